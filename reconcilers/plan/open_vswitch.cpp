#include "reconcilers/plan/open_vswitch.h"

#include <algorithm>
#include <utility>

namespace lanwright::planning {
namespace {

constexpr const char* kNotDeclared = "no longer declared";
// Before any link goes: a port whose link is gone is an error of ovs-vswitchd's until it goes, too.
constexpr int kUnplugs = kMarks;
// After all ports of all objects, however deep these stand (Depths::kDeepest).
constexpr int kControllers = 1000;

Error of_bridge(ErrorKind kind, const DesiredObject& entry, const std::string& name, std::string words,
                std::string hint) {
  return {kind,           "use", "bridge " + name + " of " + entry.object.id.text(), 0, std::move(words),
          std::move(hint)};
}

Error of_port(ErrorKind kind, const DesiredObject& entry, const std::string& name, std::string words,
              std::string hint) {
  return {kind, "plug in", name + " of " + entry.object.id.text(), 0, std::move(words), std::move(hint)};
}

std::string number(const std::optional<std::int64_t>& value) {
  return value ? std::to_string(*value) : std::string();
}

std::string joined(const std::set<std::string>& words) {
  std::string text;
  for (const std::string& each : words) text += (text.empty() ? "" : ",") + each;
  return text;
}

std::string text_of(const std::optional<PortVlans>& vlans) {
  if (!vlans) return "of another kind";
  std::string text = vlans->pvid ? std::to_string(*vlans->pvid) + " (untagged)" : "";
  for (const VlanRange& range : ranges_of(vlans->tagged)) text += (text.empty() ? "" : " ") + range.text();
  return text.empty() ? "all" : text;
}

std::string text_of(const OvsSwitching& switching) {
  std::set<std::string> on;
  if (switching.stp) on.insert("stp");
  if (switching.rstp) on.insert("rstp");
  if (switching.mcast_snooping) on.insert("mcast_snooping");
  return on.empty() ? "plain" : joined(on);
}

struct Found {
  std::string reason;
  std::vector<std::string> names;
  Disruption disruption = Disruption::none;
  void add(const char* what, const std::string& is, const std::string& wanted, Disruption felt) {
    reason += reason.empty() ? "" : "; ";
    reason += std::string(what) + " is " + text_or_none(is) + ", wanted " + wanted;
    names.emplace_back(what);
    disruption = std::max(disruption, felt);
  }
};

Error waits(const DesiredObject& entry, const std::string& what) {
  return {ErrorKind::busy,
          "wait for",
          "Open vSwitch",
          0,
          "ovs-vswitchd has not taken up " + what + " of " + entry.object.id.text() + " yet",
          {}};
}

}  // namespace

void OpenVswitch::compare(const Cursor& at, bool with_ports) {
  const Resources& resources = draft_.resources_of(at.entry);
  const bool deleting = at.entry.object.deleting;
  if (facts().live) {
    remove_strays(at);
  } else if (deleting && resources.ovs_bridge &&
             draft_.desired()
                 .finalizers_of(at.entry.object.uid)
                 .contains(Finalizer::ovs(resources.ovs_bridge->name))) {
    return draft_.block(at, *away(at.entry));
  }
  if (deleting || (!resources.ovs_bridge && resources.ovs_ports.empty())) return;
  auto blocked = away(at.entry);
  if (!blocked && resources.ovs_bridge) blocked = compare_bridge(at, *resources.ovs_bridge);
  if (!blocked) {  // one port does not hold up the others
    for (const OvsPortSpec& port : resources.ovs_ports) {
      auto why = with_ports ? compare_port(at, port) : std::nullopt;
      if (!blocked) blocked = std::move(why);
    }
    if (resources.ovs_bridge) compare_controllers(at, *resources.ovs_bridge);
  }
  if (blocked && with_ports) draft_.block(at, std::move(*blocked));
}

// Why nothing can be said or done now.
std::optional<Error> OpenVswitch::away(const DesiredObject& entry) const {
  const auto wait = [&](ErrorKind kind, std::string words, std::string hint) {
    return Error{kind,           "use", "Open vSwitch for " + entry.object.id.text(), 0, std::move(words),
                 std::move(hint)};
  };
  if (!facts().live && !facts().trouble) return wait(ErrorKind::busy, "its database is being read", {});
  if (!facts().live)
    return wait(ErrorKind::waiting, "its database cannot be reached: " + facts().trouble->words,
                facts().trouble->hint.empty() ? "see whether it runs: systemctl status openvswitch-switch"
                                              : facts().trouble->hint);
  if (!facts().initialised)
    return wait(ErrorKind::waiting, "its database is not initialised",
                "systemctl start openvswitch-switch, or: ovs-vsctl --no-wait init");
  return std::nullopt;
}

const OvsBridgeFact* OpenVswitch::find(const std::string& bridge) const {
  const auto found = facts().bridges.find(bridge);
  return found == facts().bridges.end() ? nullptr : &found->second;
}

const std::vector<OpenVswitch::Place>& OpenVswitch::places_of(const ObjectUid& uid) {
  static const std::vector<Place> none;
  if (!places_) {
    places_.emplace();
    for (const auto& [bridge, fact] : facts().bridges) {
      if (fact.mark) (*places_)[fact.mark->uid].emplace_back(bridge, "");
      for (const auto& [port, its] : fact.ports) {
        if (its.mark) (*places_)[its.mark->uid].emplace_back(bridge, port);
      }
    }
  }
  const auto found = places_->find(uid);
  return found == places_->end() ? none : found->second;
}

// ---- what is there and not wanted

void OpenVswitch::remove_strays(const Cursor& at) {
  const Resources& resources = draft_.resources_of(at.entry);
  const bool deleting = at.entry.object.deleting;
  for (const auto& [bridge, port] : places_of(at.entry.object.uid)) {
    const OvsBridgeFact& fact = *find(bridge);
    if (port.empty()) {
      const bool kept = !deleting && resources.ovs_bridge && resources.ovs_bridge->name == bridge;
      if (kept) {
        remove_lost_ports(at, bridge, fact);
      } else if (!is_under_way(*fact.mark)) {
        removed_bridges_.insert(bridge);
        draft_.act(at, kUnplugs, RemoveOvsBridge{{"", bridge}, at.entry.object.uid}, kNotDeclared, {});
      }
      continue;
    }
    const OwnerTag& mark = *fact.ports.at(port).mark;
    const bool kept = !deleting && std::ranges::any_of(resources.ovs_ports, [&](const OvsPortSpec& spec) {
      return spec.bridge == bridge && spec.link == port && spec.role == mark.role;
    });
    if (!kept) remove_port(at, bridge, port, mark);
  }
}

// Of objects that went, or went elsewhere, while Open vSwitch could not be asked.
void OpenVswitch::remove_lost_ports(const Cursor& at, const std::string& bridge, const OvsBridgeFact& fact) {
  for (const auto& [port, its] : fact.ports) {
    if (!its.mark || its.mark->uid == at.entry.object.uid) continue;
    const DesiredObject* owner = draft_.desired().find_uid(its.mark->uid);
    if (owner == nullptr || !owner->network || owner->network->object.id != at.entry.object.id)
      remove_port(at, bridge, port, *its.mark);
  }
}

void OpenVswitch::remove_port(const Cursor& at, const std::string& bridge, const std::string& port,
                              const OwnerTag& mark) {
  if (removed_bridges_.contains(bridge) || is_under_way(mark) || !removed_ports_.insert(port).second) return;
  draft_.act(at, kUnplugs, RemoveOvsPort{{"", port}, bridge, mark}, kNotDeclared, {"ports"});
}

// ---- bridges

std::optional<Error> OpenVswitch::compare_bridge(const Cursor& at, const OvsBridgeSpec& spec) {
  const OvsBridgeFact* fact = find(spec.name);
  if (is_under_way({at.entry.object.uid, {}})) return waits(at.entry, "bridge " + spec.name);
  if (auto taken = taken_datapath_id(at.entry, spec)) return taken;
  if (fact == nullptr || removed_bridges_.contains(spec.name)) return create_bridge(at, spec);
  if (auto foreign = foreign_bridge(at.entry, spec.name, *fact)) return foreign;
  change_bridge(at, spec, *fact);
  raise_local_port(at, spec.name);
  return fact->local ? why_unusable(at.entry, spec.name, spec.name, *fact->local) : std::nullopt;
}

std::optional<Error> OpenVswitch::create_bridge(const Cursor& at, const OvsBridgeSpec& spec) {
  const LinkName name{"", spec.name};
  const LinkFact* link = draft_.observed().find(name);
  // Its own local port may be left of a database that was emptied: it is used again.
  const bool is_left = link != nullptr && (link->kind == "tun" || link->kind == "openvswitch");
  if (link != nullptr && !is_left && !draft_.removes("", link->ifindex))
    return conflict(at.entry, name,
                    "there is a link of this name already (" + kind_or_physical(*link) + ", ifindex " +
                        std::to_string(link->ifindex) + ")",
                    "rename or remove that link, or choose another name");
  OvsBridgeSpec first = spec;
  first.controllers.reset();
  created_.insert(spec.name);
  draft_.act(at, at.stage + kLinks, CreateOvsBridge{name, std::move(first), at.entry.object.uid}, "missing",
             {});
  ChangeLink up;
  up.at = name;
  up.up = true;
  up.ipv6 = Ipv6Addresses::none;
  draft_.act(at, at.stage + kAddresses, std::move(up), "its local port begins down", {"state"});
  return std::nullopt;
}

std::optional<Error> OpenVswitch::foreign_bridge(const DesiredObject& entry, const std::string& name,
                                                 const OvsBridgeFact& fact) const {
  if (!fact.mark)
    return of_bridge(ErrorKind::conflict, entry, name,
                     "Open vSwitch has a bridge of this name that is not ours",
                     "remove it (ovs-vsctl del-br " + name + "), or choose another name");
  if (fact.mark->uid == entry.object.uid) return std::nullopt;
  if (const DesiredObject* owner = draft_.desired().find_uid(fact.mark->uid))
    return of_bridge(ErrorKind::waiting, entry, name, "it is still that of " + owner->object.id.text(),
                     "it is made as soon as that is gone");
  return of_bridge(ErrorKind::conflict, entry, name,
                   "it carries the mark of an agent with another store (" + fact.mark->text() + ")",
                   "remove it (ovs-vsctl del-br " + name + "), or choose another name");
}

std::optional<Error> OpenVswitch::taken_datapath_id(const DesiredObject& entry,
                                                    const OvsBridgeSpec& spec) const {
  if (!spec.datapath_id) return std::nullopt;
  for (const auto& [name, fact] : facts().bridges) {
    const bool own = name == spec.name || removed_bridges_.contains(name);
    const std::string& id = fact.datapath_id.empty() ? fact.running_id : fact.datapath_id;
    if (own || id != *spec.datapath_id) continue;
    const DesiredObject* owner = fact.mark ? draft_.desired().find_uid(fact.mark->uid) : nullptr;
    // One of ours that is about to have another one.
    return of_bridge(owner != nullptr ? ErrorKind::waiting : ErrorKind::conflict, entry, spec.name,
                     "its datapath id " + id + " is that of bridge " + name +
                         (owner != nullptr ? " of " + owner->object.id.text() : " of Open vSwitch"),
                     owner != nullptr ? "it is given it as soon as that is free" : "choose another one");
  }
  return std::nullopt;
}

void OpenVswitch::change_bridge(const Cursor& at, const OvsBridgeSpec& spec, const OvsBridgeFact& fact) {
  ChangeOvsBridge step;
  step.at = {"", spec.name};
  step.uid = at.entry.object.uid;
  Found found;
  if (fact.datapath_type != spec.datapath_type) {
    step.datapath_type = spec.datapath_type;
    found.add("datapath", fact.datapath_type, spec.datapath_type, Disruption::recreate);
  }
  if (fact.fail_mode != spec.fail_mode) {
    step.fail_mode = spec.fail_mode;
    found.add("fail_mode", fact.fail_mode, spec.fail_mode, Disruption::none);
  }
  // Of these two a connected controller loses sight of the bridge, and begins anew.
  if (spec.datapath_id && fact.datapath_id != *spec.datapath_id) {
    step.datapath_id = spec.datapath_id;
    found.add("datapath_id", fact.datapath_id, *spec.datapath_id, Disruption::flap);
  }
  if (!spec.protocols.empty() && fact.protocols != spec.protocols) {
    step.protocols = spec.protocols;
    found.add("protocols", joined(fact.protocols), joined(spec.protocols), Disruption::flap);
  }
  if (spec.local_mac && fact.local_mac != spec.local_mac->text()) {
    step.local_mac = spec.local_mac;
    found.add("mac", fact.local_mac, spec.local_mac->text(), Disruption::none);
  }
  if (fact.local && fact.local->vlans != spec.local_vlans) {
    step.local_vlans = spec.local_vlans;
    found.add("vlans", text_of(fact.local->vlans), text_of(spec.local_vlans), Disruption::none);
  }
  if (fact.switching != spec.switching) {
    step.switching = spec.switching;
    found.add("switching", text_of(fact.switching), text_of(spec.switching), Disruption::none);
  }
  if (fact.in_band) {
    step.out_of_band = true;
    found.add("disable-in-band", "", "true", Disruption::none);
  }
  if (!found.names.empty())
    draft_.act(at, at.stage + kLinks, std::move(step), std::move(found.reason), std::move(found.names),
               found.disruption);
}

void OpenVswitch::raise_local_port(const Cursor& at, const std::string& bridge) {
  const LinkFact* link = draft_.observed().find(LinkName{"", bridge});
  if (link == nullptr || (link->up && link->ipv6 == Ipv6Addresses::none)) return;
  ChangeLink change = change_of({"", link->name}, *link);
  Found found;
  if (!link->up) {
    change.up = true;
    found.add("state", "down", "up", Disruption::none);
  }
  if (link->ipv6 != Ipv6Addresses::none) {
    change.ipv6 = Ipv6Addresses::none;
    found.add("ipv6 address generation", "on", "off", Disruption::none);
  }
  draft_.act(at, at.stage + kAddresses, std::move(change), std::move(found.reason), std::move(found.names));
}

void OpenVswitch::compare_controllers(const Cursor& at, const OvsBridgeSpec& spec) {
  if (!spec.controllers) return;
  const OvsBridgeFact* fact = created_.contains(spec.name) ? nullptr : find(spec.name);
  const auto& wanted = *spec.controllers;
  const auto there = fact != nullptr ? fact->controllers : std::vector<OvsControllerFact>();
  const auto is_there = [&](const OvsController& each) {
    return std::ranges::any_of(there, [&](const OvsControllerFact& is) {
      return is.target == each.target && (!each.max_backoff || is.max_backoff == each.max_backoff);
    });
  };
  if (there.size() == wanted.size() && std::ranges::all_of(wanted, is_there)) return;
  const auto is_kept = [&](const OvsControllerFact& is) {
    return std::ranges::any_of(wanted, [&](const OvsController& each) { return each.target == is.target; });
  };
  std::set<std::string> is;
  std::set<std::string> will;
  for (const auto& each : there) is.insert(each.target);
  for (const auto& each : wanted) will.insert(each.target);
  Found found;
  found.add("controllers", joined(is), text_or_none(joined(will)),
            std::ranges::all_of(there, is_kept) ? Disruption::none : Disruption::flap);
  draft_.act(at, kControllers, SetOvsControllers{{"", spec.name}, at.entry.object.uid, wanted},
             std::move(found.reason), std::move(found.names), found.disruption);
}

// ---- ports

std::optional<Error> OpenVswitch::compare_port(const Cursor& at, const OvsPortSpec& spec) {
  const DesiredObject& network = at.entry.network ? *at.entry.network : at.entry;
  const OwnerTag mark{at.entry.object.uid, spec.role};
  if (is_under_way(mark)) return waits(at.entry, "port " + spec.link);
  const OvsBridgeFact* bridge = find(spec.bridge);
  const bool is_new = created_.contains(spec.bridge);
  if (!is_new && (bridge == nullptr || !bridge->mark || bridge->mark->uid != network.object.uid))
    return of_port(ErrorKind::waiting, at.entry, spec.link,
                   "Open vSwitch has no bridge " + spec.bridge + " of " + network.object.id.text(),
                   "see the condition of " + network.object.id.text());
  const auto known =
      is_new ? std::map<std::string, OvsPortFact>::const_iterator() : bridge->ports.find(spec.link);
  if (!is_new && known != bridge->ports.end() && !removed_ports_.contains(spec.link))
    return compare_port(at, spec, mark, known->second);
  if (auto held = held_elsewhere(at.entry, spec)) return held;
  plug_in(at, spec, mark, "missing");
  return std::nullopt;
}

void OpenVswitch::plug_in(const Cursor& at, OvsPortSpec spec, const OwnerTag& mark,
                          const std::string& reason) {
  const DesiredObject& network = at.entry.network ? *at.entry.network : at.entry;
  if (!spec.ofport) spec.ofport = free_number(network, spec, mark);
  draft_.act(at, at.stage + kInnerLinks,
             AddOvsPort{{"", spec.link}, std::move(spec), mark, network.object.uid}, reason, {"ports"});
}

// One that nobody else has or wants: the one it had, otherwise the lowest.
std::int64_t OpenVswitch::free_number(const DesiredObject& network, const OvsPortSpec& spec,
                                      const OwnerTag& mark) {
  auto [known, is_new] = numbers_.try_emplace(spec.bridge);
  std::set<std::int64_t>& taken = known->second;
  if (is_new) taken = taken_numbers(network, spec.bridge);
  const auto had = facts().numbers.find(mark);
  std::int64_t number = had != facts().numbers.end() ? had->second : 1;
  if (taken.contains(number)) number = 1;
  while (taken.contains(number)) ++number;
  taken.insert(number);
  return number;
}

std::set<std::int64_t> OpenVswitch::taken_numbers(const DesiredObject& network,
                                                  const std::string& bridge) const {
  std::set<std::int64_t> taken;
  if (const OvsBridgeFact* fact = find(bridge); fact != nullptr && !removed_bridges_.contains(bridge)) {
    for (const auto& [port, its] : fact->ports) {
      if (its.ofport) taken.insert(*its.ofport);
      if (its.ofport_request) taken.insert(*its.ofport_request);
    }
  }
  for (const OvsPortSpec& port : draft_.resources_of(network).ovs_ports) {
    if (port.ofport) taken.insert(*port.ofport);
  }
  for (const ResourceId& id : draft_.desired().attachments_of(network.object.id.name)) {
    const auto* spec = std::get_if<AttachmentSpec>(draft_.desired().find(id)->object.spec.get());
    if (spec != nullptr && spec->ofport) taken.insert(*spec->ofport);
  }
  return taken;
}

// An interface is a port of one bridge.
std::optional<Error> OpenVswitch::held_elsewhere(const DesiredObject& entry, const OvsPortSpec& spec) const {
  const std::string* other = facts().bridge_of(spec.link);
  if (other == nullptr || *other == spec.bridge || removed_bridges_.contains(*other) ||
      removed_ports_.contains(spec.link))
    return std::nullopt;
  const auto& mark = facts().bridges.at(*other).ports.at(spec.link).mark;
  const DesiredObject* owner = mark ? draft_.desired().find_uid(mark->uid) : nullptr;
  if (owner != nullptr)
    return of_port(ErrorKind::waiting, entry, spec.link,
                   "it is still a port of bridge " + *other + ", of " + owner->object.id.text(),
                   "it is plugged in as soon as that lets it go");
  return of_port(ErrorKind::conflict, entry, spec.link,
                 "it is a port of bridge " + *other + " of Open vSwitch already",
                 "take it off: ovs-vsctl del-port " + *other + " " + spec.link);
}

std::optional<Error> OpenVswitch::foreign_port(const DesiredObject& entry, const OvsPortSpec& spec,
                                               const OwnerTag& mark, const OvsPortFact& fact) const {
  if (fact.mark == mark) return std::nullopt;
  const DesiredObject* owner = fact.mark ? draft_.desired().find_uid(fact.mark->uid) : nullptr;
  if (owner != nullptr)
    return of_port(ErrorKind::waiting, entry, spec.link,
                   "the port is still that of " + owner->object.id.text(),
                   "it is plugged in as soon as that lets it go");
  return of_port(ErrorKind::conflict, entry, spec.link,
                 "bridge " + spec.bridge + " has this port already, and it is not ours",
                 "take it off: ovs-vsctl del-port " + spec.bridge + " " + spec.link);
}

// As long as there is none of this name, ovs-vswitchd waits for it.
bool OpenVswitch::is_of_another_link(const OvsPortSpec& spec, const OvsPortFact& fact) const {
  if (draft_.creates({"", spec.link})) return true;
  const LinkFact* link = draft_.observed().find(LinkName{"", spec.link});
  return link != nullptr && fact.ifindex != link->ifindex;
}

std::optional<Error> OpenVswitch::compare_port(const Cursor& at, const OvsPortSpec& spec,
                                               const OwnerTag& mark, const OvsPortFact& fact) {
  if (auto foreign = foreign_port(at.entry, spec, mark, fact)) return foreign;
  if (is_of_another_link(spec, fact)) {
    const std::string reason = "it is of a link that was called so before";
    draft_.act(at, kUnplugs, RemoveOvsPort{{"", spec.link}, spec.bridge, mark}, reason, {"ports"});
    OvsPortSpec again = spec;
    if (!again.ofport && fact.ofport.value_or(0) > 0) again.ofport = fact.ofport;
    plug_in(at, std::move(again), mark, reason);
    return std::nullopt;
  }
  Found found;
  if (spec.ofport && fact.ofport_request != spec.ofport)
    found.add("ofport", number(fact.ofport_request), number(spec.ofport), Disruption::flap);
  if (fact.vlans != spec.vlans)
    found.add("vlans", text_of(fact.vlans), text_of(spec.vlans), Disruption::none);
  if (!found.names.empty()) {
    const DesiredObject& network = at.entry.network ? *at.entry.network : at.entry;
    draft_.act(at, at.stage + kInnerLinks, ChangeOvsPort{{"", spec.link}, spec, mark, network.object.uid},
               std::move(found.reason), std::move(found.names), found.disruption);
    return std::nullopt;
  }
  if (auto why = why_unusable(at.entry, spec.bridge, spec.link, fact)) return why;
  if (!spec.ofport || fact.ofport == spec.ofport) return std::nullopt;
  const auto& ports = find(spec.bridge)->ports;
  const auto holder =
      std::ranges::find_if(ports, [&](const auto& each) { return each.second.ofport == spec.ofport; });
  return of_port(ErrorKind::conflict, at.entry, spec.link,
                 "OpenFlow port " + number(spec.ofport) + " is that of " +
                     (holder != ports.end() ? holder->first : std::string("another port")) + ", and it got " +
                     number(fact.ofport),
                 "choose another ofport, or free that one");
}

// What ovs-vswitchd made of a port that is in the database.
std::optional<Error> OpenVswitch::why_unusable(const DesiredObject& entry, const std::string& bridge,
                                               const std::string& port, const OvsPortFact& fact) const {
  if (fact.error && !fact.error->empty())
    return of_port(ErrorKind::waiting, entry, port, *fact.error,
                   "Open vSwitch tries again when the device changes");
  if (fact.ofport && *fact.ofport > 0) return std::nullopt;
  if (!facts().taken_up)
    return of_port(ErrorKind::waiting, entry, port, "ovs-vswitchd has not taken it up yet",
                   "see whether it runs: systemctl status ovs-vswitchd");
  const OvsBridgeFact* its = find(bridge);
  const bool by_kernel = its == nullptr || its->datapath_type == "system";
  return of_port(
      ErrorKind::waiting, entry, port, "ovs-vswitchd gave it no OpenFlow port and does not say why",
      by_kernel ? "the kernel's datapath needs a module: modprobe openvswitch; or `ovs: {datapath: "
                  "netdev}` does without"
                : "see its log: journalctl -u ovs-vswitchd");
}

}  // namespace lanwright::planning
