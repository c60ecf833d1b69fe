#include "model/plan.h"

namespace lanwright {

namespace {

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

// The kernel calls taps "tun"; people do not.
std::string kind_text(const std::string& kind) {
  if (kind.empty()) return "link ";
  return (kind == "tun" ? "tap" : kind) + " ";
}

std::string route_text(const RouteSpec& route) {
  std::string text = route.to.length == 0 ? "default" : route.to.text();
  if (route.via) text += " via " + route.via->text();
  if (route.onlink) text += " onlink";
  if (route.metric) text += " metric " + std::to_string(*route.metric);
  return text;
}

std::string vlans_text(const PortVlans& vlans) {
  std::string text;
  if (vlans.pvid) text = std::to_string(*vlans.pvid) + " (untagged)";
  for (const VlanRange& range : ranges_of(vlans.tagged)) text += (text.empty() ? "" : " ") + range.text();
  return text;
}

std::string create_text(const CreateLink& step) {
  std::string text = "create " + kind_text(step.link.kind) + step.link.at.text();
  if (step.peer) text += " with peer " + step.peer->at.text();
  return text;
}

std::string change_text(const ChangeLink& step) {
  std::string text = "change " + kind_text(step.kind) + step.at.text();
  const char* separator = ": ";
  const auto add = [&](const std::string& what) {
    text += separator + what;
    separator = ", ";
  };
  if (step.rename) add("name " + *step.rename);
  if (step.master) add(step.master->empty() ? "no master" : "master " + *step.master);
  if (step.up) add(*step.up ? "up" : "down");
  if (step.arp) add(*step.arp ? "arp on" : "arp off");
  if (step.mtu) add("mtu " + std::to_string(*step.mtu));
  if (step.mac) add("mac " + step.mac->text());
  if (step.alias) add("alias " + *step.alias);
  if (step.group) add("group " + std::to_string(*step.group));
  if (step.ipv6) add(*step.ipv6 == Ipv6Addresses::none ? "no IPv6 addresses" : "automatic IPv6 addresses");
  if (step.remove_altname) add("without the alternative name " + *step.remove_altname);
  if (step.add_altname) add("alternative name " + *step.add_altname);
  for (const auto& [attribute, value] : step.attributes) {
    add(std::string(attribute->name) + " " + std::to_string(value));
  }
  if (step.add_vlans) add("add VLANs " + vlans_text(*step.add_vlans));
  if (step.remove_vlans) add("remove VLANs " + vlans_text(*step.remove_vlans));
  if (step.tap_owner) add("owner " + std::to_string(*step.tap_owner));
  if (step.tap_group) add("tap group " + std::to_string(*step.tap_group));
  if (step.whole_checksums) add("TX checksums by the sender");
  for (const Sysctl& each : step.sysctls) add(each.text());
  return text;
}

std::string bridge_text(const OvsBridgeSpec& spec) {
  std::string text = spec.name + " (" + spec.datapath_type + ", " + spec.fail_mode;
  if (spec.datapath_id) text += ", datapath id " + *spec.datapath_id;
  return text + ")";
}

std::string list_text(const std::set<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text.empty() ? "none" : text;
}

std::string switching_text(const OvsSwitching& switching) {
  const auto word = [](const char* name, bool on) { return std::string(name) + (on ? " on" : " off"); };
  return word("stp", switching.stp) + ", " + word("rstp", switching.rstp) + ", " +
         word("mcast_snooping", switching.mcast_snooping);
}

std::string targets_text(const std::vector<OvsController>& controllers) {
  std::set<std::string> targets;
  for (const OvsController& each : controllers) targets.insert(each.target);
  return list_text(targets);
}

std::string ovs_change_text(const ChangeOvsBridge& step) {
  std::string text = "change ovs bridge " + step.at.text();
  const char* separator = ": ";
  const auto add = [&](const std::string& what) {
    text += separator + what;
    separator = ", ";
  };
  if (step.datapath_type) add("datapath " + *step.datapath_type);
  if (step.datapath_id) add("datapath id " + *step.datapath_id);
  if (step.fail_mode) add("fail mode " + *step.fail_mode);
  if (step.protocols) add("protocols " + list_text(*step.protocols));
  if (step.local_mac) add("mac " + step.local_mac->text());
  if (step.local_vlans)
    add("VLANs of the local port " + (step.local_vlans->empty() ? "all" : vlans_text(*step.local_vlans)));
  if (step.switching) add(switching_text(*step.switching));
  if (step.out_of_band) add("out of band");
  return text;
}

// "eth1 into ovs bridge br0: ofport 3, VLANs 10 (untagged)"
std::string port_text(const OvsPortSpec& spec, const char* preposition) {
  std::string text = spec.link + preposition + "ovs bridge " + spec.bridge;
  const char* separator = ": ";
  if (spec.ofport) {
    text += separator + ("ofport " + std::to_string(*spec.ofport));
    separator = ", ";
  }
  if (!spec.vlans.empty()) text += separator + ("VLANs " + vlans_text(spec.vlans));
  return text;
}

}  // namespace

const char* name_of(Disruption disruption) {
  switch (disruption) {
    case Disruption::none:
      return "none";
    case Disruption::flap:
      return "flap";
    case Disruption::recreate:
      break;
  }
  return "recreate";
}

const char* Action::verb() const {
  return std::visit(
      Overloaded{
          [](const CreateLink&) { return "create"; }, [](const ChangeLink&) { return "change"; },
          [](const RemoveLink&) { return "remove"; }, [](const AddAddress&) { return "add address"; },
          [](const RemoveAddress&) { return "remove address"; }, [](const AddRoute&) { return "add route"; },
          [](const RemoveRoute&) { return "remove route"; }, [](const RunSwitch&) { return "run switch"; },
          [](const StopSwitch&) { return "stop switch"; }, [](const PlugIn&) { return "plug in"; },
          [](const Unplug&) { return "unplug"; }, [](const CreateOvsBridge&) { return "create"; },
          [](const ChangeOvsBridge&) { return "change"; },
          [](const SetOvsControllers&) { return "set controllers"; },
          [](const RemoveOvsBridge&) { return "remove"; }, [](const AddOvsPort&) { return "plug in"; },
          [](const ChangeOvsPort&) { return "change"; }, [](const RemoveOvsPort&) { return "unplug"; }},
      step);
}

const LinkName& Action::target() const {
  return std::visit(Overloaded{[](const CreateLink& create) -> const LinkName& { return create.link.at; },
                               [](const auto& other) -> const LinkName& { return other.at; }},
                    step);
}

Carrier carrier_of(const Step& step) {
  return std::visit(
      Overloaded{
          [](const RunSwitch&) { return Carrier::switches; },
          [](const StopSwitch&) { return Carrier::switches; },
          [](const PlugIn&) { return Carrier::switches; }, [](const Unplug&) { return Carrier::switches; },
          [](const CreateOvsBridge&) { return Carrier::ovs; },
          [](const ChangeOvsBridge&) { return Carrier::ovs; },
          [](const SetOvsControllers&) { return Carrier::ovs; },
          [](const RemoveOvsBridge&) { return Carrier::ovs; }, [](const AddOvsPort&) { return Carrier::ovs; },
          [](const ChangeOvsPort&) { return Carrier::ovs; },
          [](const RemoveOvsPort&) { return Carrier::ovs; }, [](const auto&) { return Carrier::links; }},
      step);
}

std::string Action::text() const {
  const auto on = [](const char* preposition, const LinkName& where) { return preposition + where.text(); };
  return std::visit(
      Overloaded{
          [](const CreateLink& s) { return create_text(s); },
          [](const ChangeLink& s) { return change_text(s); },
          [](const RemoveLink& s) { return "remove " + kind_text(s.kind) + s.at.text(); },
          [&](const AddAddress& s) { return "add address " + s.address.text() + on(" to ", s.at); },
          [&](const RemoveAddress& s) { return "remove address " + s.address.text() + on(" from ", s.at); },
          [&](const AddRoute& s) { return "add route " + route_text(s.route) + on(" to ", s.at); },
          [&](const RemoveRoute& s) { return "remove route " + route_text(s.route) + on(" from ", s.at); },
          [](const RunSwitch& s) {
            return (s.anew ? "restart switch " : "run switch ") + s.at.text() + (s.spec.hub ? " (hub)" : "");
          },
          [](const StopSwitch& s) { return "stop switch " + s.at.text(); },
          [](const PlugIn& s) { return "plug " + s.spec.link.text() + " into switch " + s.spec.network; },
          [](const Unplug& s) { return "unplug " + s.mark.text() + " from switch " + s.at.text(); },
          [](const CreateOvsBridge& s) { return "create ovs bridge " + bridge_text(s.spec); },
          [](const ChangeOvsBridge& s) { return ovs_change_text(s); },
          [](const SetOvsControllers& s) {
            return "set controllers of ovs bridge " + s.at.text() + ": " + targets_text(s.controllers);
          },
          [](const RemoveOvsBridge& s) { return "remove ovs bridge " + s.at.text(); },
          [](const AddOvsPort& s) { return "plug " + port_text(s.spec, " into "); },
          [](const ChangeOvsPort& s) { return "change port " + port_text(s.spec, " of "); },
          [](const RemoveOvsPort& s) { return "unplug " + s.at.text() + " from ovs bridge " + s.bridge; }},
      step);
}

}  // namespace lanwright
