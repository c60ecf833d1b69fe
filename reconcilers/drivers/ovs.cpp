// Driver `ovs`: a bridge of Open vSwitch, its uplinks, and a veth or tap port per attachment.
// Sources: ovs-vswitchd.conf.db(5), ovs-vsctl(8), "Controller Commands".
#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <map>

#include "model/base/addresses.h"
#include "model/base/names.h"
#include "model/format/suggestions.h"
#include "reconcilers/drivers/driver.h"
#include "reconcilers/kinds/tun.h"

namespace lanwright::drivers {
namespace {

constexpr std::size_t kDatapathIdDigits = 16;
// A controller on this host is back sooner than the 8 s that Open vSwitch waits between tries at most.
constexpr std::int64_t kLocalBackoff = 1000;      // ms
constexpr std::int64_t kLeastBackoff = 1000;      // ms: the schema's
constexpr std::int64_t kMostBackoff = 3'600'000;  // ms

using Words = std::vector<std::string>;

const Words& list(const NetworkSpec& spec, const char* name) {
  static const Words none;
  const auto found = spec.settings.find(name);
  const auto* words = found == spec.settings.end() ? nullptr : std::get_if<Words>(&found->second);
  return words != nullptr ? *words : none;
}

std::string datapath_of(const NetworkSpec& spec) {
  return setting(spec.settings, "datapath", "system");
}

// 16 digits, as the database has it, of "0x1" or "2a"; nothing when it is no such number, or 0.
std::optional<std::string> datapath_id_of(std::string text) {
  if (text.starts_with("0x") || text.starts_with("0X")) text.erase(0, 2);
  const bool is_hex = std::ranges::all_of(text, [](unsigned char c) { return std::isxdigit(c) != 0; });
  if (text.empty() || text.size() > kDatapathIdDigits || !is_hex) return std::nullopt;
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  text.insert(0, kDatapathIdDigits - text.size(), '0');
  if (text.find_first_not_of('0') == std::string::npos) return std::nullopt;
  return text;
}

// "127.0.0.1:6653", "[::1]:6653", "10.0.0.1"; a passive one may be a port alone.
bool is_place(const std::string& text, bool passive) {
  const auto is_port = [](const std::string& digits) {
    unsigned port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    return error == std::errc{} && end == digits.data() + digits.size() && port > 0 && port <= 65535;
  };
  if (passive && (text.empty() || is_port(text))) return true;
  std::string address = text;
  std::string port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string::npos) return false;
    address = text.substr(1, end - 1);
    port = text.substr(end + 1);
  } else if (const std::size_t colon = text.find(':'); colon != std::string::npos) {
    address = text.substr(0, colon);
    port = text.substr(colon);
  }
  if (passive && !text.starts_with('[') && is_port(address))  // PORT:HOST
    return IpAddress::parse(port.empty() ? "" : port.substr(1)).has_value();
  return IpAddress::parse(address) && (port.empty() || (port.front() == ':' && is_port(port.substr(1))));
}

// What is wrong with a controller; "" when nothing is.
std::string controller_fault(const std::string& target) {
  const std::size_t colon = target.find(':');
  const std::string method = target.substr(0, colon);
  const std::string place = colon == std::string::npos ? "" : target.substr(colon + 1);
  constexpr const char* kForms =
      "; write tcp:ADDRESS[:PORT], ssl:ADDRESS[:PORT], unix:PATH, ptcp:[PORT] or pssl:[PORT]";
  if (colon == std::string::npos) return "it does not say how to reach it" + std::string(kForms);
  if (method == "unix" || method == "punix")
    return place.starts_with('/') ? "" : "the path of its socket must be absolute";
  const bool passive = method == "ptcp" || method == "pssl";
  if (!passive && method != "tcp" && method != "ssl")
    return "`" + method + "` is no way to reach one" + std::string(kForms);
  return is_place(place, passive) ? "" : "`" + place + "` is no IP address with a port" + std::string(kForms);
}

bool is_local(const std::string& target) {
  return target.starts_with("unix:") || target.find(":127.") != std::string::npos ||
         target.find(":[::1]") != std::string::npos;
}

std::vector<OvsController> controllers_of(const NetworkSpec& spec) {
  std::vector<OvsController> controllers;
  for (const std::string& target : list(spec, "controllers")) {
    OvsController controller{target, std::nullopt};
    if (const std::int64_t given = setting(spec.settings, "max_backoff", std::int64_t{0}); given != 0)
      controller.max_backoff = given;
    else if (is_local(target))
      controller.max_backoff = kLocalBackoff;
    controllers.push_back(std::move(controller));
  }
  return controllers;
}

// Without a controller a bridge in fail mode `secure` forwards nothing.
std::string fail_mode_of(const NetworkSpec& spec) {
  return setting(spec.settings, "fail_mode", list(spec, "controllers").empty() ? "standalone" : "secure");
}

std::string bridge_name(const std::string& network, const NetworkSpec& spec) {
  const std::string given = setting(spec.settings, "name", "");
  return given.empty() ? link_name(network) : given;
}

std::optional<MacAddress> local_mac_of(const NetworkSpec& spec) {
  return MacAddress::parse(setting(spec.settings, "local_mac", ""));
}

PortVlans default_vlans(const NetworkSpec& spec) {
  if (!spec.settings.contains("vlan")) return {};
  return {static_cast<std::uint16_t>(setting(spec.settings, "vlan", std::int64_t{0})), {}};
}

OvsBridgeSpec bridge_of(const Named<NetworkSpec>& network) {
  OvsBridgeSpec bridge;
  bridge.name = bridge_name(network.name, network.spec);
  bridge.datapath_type = datapath_of(network.spec);
  bridge.datapath_id = datapath_id_of(setting(network.spec.settings, "datapath_id", ""));
  bridge.fail_mode = fail_mode_of(network.spec);
  // Otherwise it is the lowest of its ports', and the datapath id with it.
  bridge.local_mac = local_mac_of(network.spec).value_or(stable_mac(network.uid, ""));
  bridge.local_vlans = default_vlans(network.spec);
  bridge.switching = {setting(network.spec.settings, "stp", false),
                      setting(network.spec.settings, "rstp", false),
                      setting(network.spec.settings, "mcast_snooping", false)};
  const Words& protocols = list(network.spec, "protocols");
  bridge.protocols.insert(protocols.begin(), protocols.end());
  bridge.controllers = controllers_of(network.spec);
  return bridge;
}

PortVlans vlans_of(const AttachmentSpec& attachment, const NetworkSpec& network) {
  return attachment.vlans.empty() ? default_vlans(network) : attachment.vlans;
}

DriverSchema make_grammar();

class Ovs final : public Driver {
 public:
  const DriverSchema& grammar() const override {
    static const DriverSchema grammar = make_grammar();
    return grammar;
  }

  Resources network(const Named<NetworkSpec>& network) const override {
    Resources resources;
    resources.ovs_bridge = bridge_of(network);
    for (const Uplink& uplink : network.spec.uplinks) {
      LinkSpec link;
      link.at = {"", uplink.interface};
      link.borrowed = true;
      link.mtu = network.spec.mtu;
      resources.links.push_back(std::move(link));
      resources.ovs_ports.push_back(
          {resources.ovs_bridge->name, uplink.interface, uplink.interface, uplink.ofport, uplink.vlans});
    }
    return resources;
  }

  Resources attachment(const Named<AttachmentSpec>& attachment,
                       const Named<NetworkSpec>& network) const override {
    const std::uint32_t mtu = attachment.spec.mtu.value_or(network.spec.mtu.value_or(kDefaultMtu));
    Resources resources = veth_or_tap(attachment, network.spec, mtu);
    // Of a tap what is behind it does what the tap asks for, and that is what its program says.
    if (resources.links.size() > 1)
      resources.links.back().whole_checksums = datapath_of(network.spec) == "netdev";
    resources.ovs_ports.push_back({bridge_name(network.name, network.spec), resources.links.front().at.name,
                                   "", attachment.spec.ofport, vlans_of(attachment.spec, network.spec)});
    return resources;
  }
};

void check_settings(const NetworkSpec& spec, const ReportFault& complain) {
  if (spec.settings.contains("datapath_id")) {
    const std::string id = setting(spec.settings, "datapath_id", "");
    if (!datapath_id_of(id))
      complain("ovs.datapath_id",
               "`" + id + "` is no datapath id; write 1 to 16 hex digits that are not all 0, as \"0x2a\"");
  }
  if (spec.settings.contains("name")) {
    const std::string name = setting(spec.settings, "name", "");
    if (const char* fault = interface_name_fault(name))
      complain("ovs.name", "bridge name `" + name + "` " + fault);
  }
  if (spec.settings.contains("local_mac")) {
    const auto mac = local_mac_of(spec);
    if (!mac || mac->is_multicast() || *mac == MacAddress{})
      complain("ovs.local_mac", "`" + setting(spec.settings, "local_mac", "") +
                                    "` is no MAC address of an interface; write it like 02:00:00:00:01:01");
  }
  if (setting(spec.settings, "stp", false) && setting(spec.settings, "rstp", false))
    complain("ovs.rstp", "a bridge speaks one spanning tree protocol: choose `stp` or `rstp`");
  std::set<std::string> targets;
  for (const std::string& target : list(spec, "controllers")) {
    if (const std::string fault = controller_fault(target); !fault.empty())
      complain("ovs.controllers", "controller `" + target + "`: " + fault);
    if (!targets.insert(target).second)
      complain("ovs.controllers", "controller `" + target + "` is named twice");
  }
  if (spec.settings.contains("max_backoff") && targets.empty())
    complain("ovs.max_backoff", "there is no controller to be tried again: name `controllers`");
  constexpr std::array kProtocols = {"OpenFlow10", "OpenFlow11", "OpenFlow12",
                                     "OpenFlow13", "OpenFlow14", "OpenFlow15"};
  for (const std::string& protocol : list(spec, "protocols")) {
    if (std::ranges::find(kProtocols, protocol) == kProtocols.end())
      complain("ovs.protocols", "`" + protocol + "` is no version; they are OpenFlow10 to OpenFlow15");
  }
}

void check_network(const std::string& /*name*/, const NetworkSpec& spec, const ReportFault& complain) {
  if (spec.mode != NetworkMode::flat) complain("mode", "driver ovs has only mode flat so far");
  if (!spec.parent.empty())
    complain("parent", "a bridge has no parent; plug host interfaces in with `uplinks`");
  if (spec.host_interface)
    complain("host_interface", "host_interface is for networks of driver macvlan or ipvlan");
  if (spec.internal) complain("internal", "a flat bridge has no way out to close; leave `internal` away");
  check_settings(spec, complain);
  std::map<std::uint32_t, std::string> by_ofport;
  for (std::size_t i = 0; i < spec.uplinks.size(); ++i) {
    const std::string path = "uplinks[" + std::to_string(i) + "]";
    const Uplink& uplink = spec.uplinks[i];
    if (!uplink.ofport) continue;
    const auto [holder, is_new] = by_ofport.emplace(*uplink.ofport, uplink.interface);
    if (!is_new)
      complain(path + ".ofport", "OpenFlow port " + std::to_string(*uplink.ofport) + " is that of " +
                                     holder->second + " already");
  }
}

void check_attachment(const std::string& /*name*/, const AttachmentSpec& spec, const NetworkSpec& network,
                      const ReportFault& complain) {
  if (spec.isolated)
    complain("isolated", "ports of Open vSwitch are kept apart by flows of a controller, or by VLANs");
  const std::uint32_t fabric = network.mtu.value_or(kDefaultMtu);
  if (spec.mtu && *spec.mtu > fabric)
    complain("mtu", "mtu " + std::to_string(*spec.mtu) + " is above the network's " + std::to_string(fabric) +
                        ": its longest frames would be dropped");
}

// ---- the options that dovesnap has, whose network driver `ovs` is
// Source: https://github.com/iqtlabs/dovesnap, README.md.

using Fault = DockerOption::Fault;

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t end = 0; end != std::string::npos; begin = end + 1) {
    end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end == std::string::npos ? end : end - begin));
  }
  return parts;
}

template <class Number>
std::optional<Number> number_of(const std::string& text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool good = error == std::errc{} && end == text.data() + text.size();
  return good ? std::optional(number) : std::nullopt;
}

// Words of others become settings of ours, which are checked as declared ones are.
template <const char* const& setting>
Fault take_text(const std::string& value, NetworkSpec& spec) {
  spec.settings[setting] = value;
  return std::nullopt;
}
constexpr const char* kName = "name";
constexpr const char* kDatapathId = "datapath_id";
constexpr const char* kLocalMac = "local_mac";

Fault take_controllers(const std::string& value, NetworkSpec& spec) {
  spec.settings["controllers"] = split(value, ',');
  return std::nullopt;
}

Fault take_userspace(const std::string& value, NetworkSpec& spec) {
  if (value != "true" && value != "false") return "it must be true or false, got `" + value + "`";
  spec.settings["datapath"] = std::string(value == "true" ? "netdev" : "system");
  return std::nullopt;
}

Fault take_mode(const std::string& value, NetworkSpec& spec) {
  if (value == "flat")
    spec.mode = NetworkMode::flat;
  else if (value == "nat")
    spec.mode = NetworkMode::nat;
  else if (value == "routed")
    spec.mode = NetworkMode::routed;
  else
    return "it must be one of flat, nat, routed, got `" + value + "`";
  return std::nullopt;
}

Fault take_mtu(const std::string& value, NetworkSpec& spec) {
  spec.mtu = number_of<std::uint32_t>(value);
  return spec.mtu ? std::nullopt : Fault("it must be a number of bytes, got `" + value + "`");
}

Fault take_vlan(const std::string& value, NetworkSpec& spec) {
  const auto vid = vid_of(value);
  if (!vid) return "it must be a VLAN id from 1 to 4094, got `" + value + "`";
  spec.settings["vlan"] = std::int64_t{*vid};
  return std::nullopt;
}

std::string faucet_does(const std::string& what) {
  return "it configures Faucet, which is done in its faucet.yaml: " + what;
}

// IF[/OFPORT[/ACL[/VLAN]]]
Fault add_port(const std::string& text, NetworkSpec& spec) {
  const std::vector<std::string> parts = split(text, '/');
  const auto part = [&](std::size_t i) { return i < parts.size() ? parts[i] : std::string(); };
  Uplink uplink;
  uplink.interface = part(0);
  if (const char* fault = interface_name_fault(uplink.interface))
    return "the name `" + part(0) + "` " + fault;
  if (!part(1).empty() && !(uplink.ofport = number_of<std::uint32_t>(part(1))))
    return "`" + part(1) + "` in `" + text + "` is no OpenFlow port number";
  if (!part(2).empty())
    return faucet_does("name ACL `" + part(2) + "` as `acls_in` of the port; leave it out here, as in `" +
                       part(0) + "/" + part(1) + "//" + part(3) + "`");
  if (!part(3).empty() && !(uplink.vlans.pvid = vid_of(part(3))))
    return "`" + part(3) + "` in `" + text + "` is no VLAN id";
  if (parts.size() > 4) return "`" + text + "` has more than IF/OFPORT/ACL/VLAN";
  spec.uplinks.push_back(std::move(uplink));
  return std::nullopt;
}

Fault take_ports(const std::string& value, NetworkSpec& spec) {
  for (const std::string& each : split(value, ',')) {
    if (auto fault = add_port(each, spec)) return fault;
  }
  return std::nullopt;
}

Fault refuse_acl(const std::string& /*value*/, NetworkSpec& /*spec*/) {
  return faucet_does("`acls_in` of an interface or `acl_in`, `acl_out` of a VLAN");
}
Fault refuse_ports(const std::string& /*value*/, NetworkSpec& /*spec*/) {
  return faucet_does("an entry in `interfaces` for each OpenFlow port; attachments have these by `ofport`");
}
Fault refuse_coprocessor(const std::string& /*value*/, NetworkSpec& /*spec*/) {
  return faucet_does("`coprocessor: {strategy: vlan_vid}` of an interface, plugged in by `uplinks`");
}
Fault refuse_stacking(const std::string& /*value*/, NetworkSpec& /*spec*/) {
  return faucet_does("`stack` of a datapath and of its interfaces");
}
Fault refuse_dhcp(const std::string& value, NetworkSpec& /*spec*/) {
  if (value == "false") return std::nullopt;
  return "the agent asks no DHCP server; give the network a --subnet";
}

std::vector<DockerOption> docker_options() {
  std::vector<DockerOption> all;
  for (const std::string prefix : {"ovs.bridge.", "net.gopher.ovs.bridge."}) {
    const auto add = [&](const char* name, const char* setting,
                         Fault (*take)(const std::string&, NetworkSpec&)) {
      all.push_back({prefix + name, setting, nullptr, take});
    };
    add("mode", "mode", take_mode);
    add("name", kName, take_text<kName>);
    add("mtu", "mtu", take_mtu);
    add(prefix == "ovs.bridge." ? "add_ports" : "bind_interface", "uplinks", take_ports);
  }
  const auto add = [&](const char* name, const char* setting,
                       Fault (*take)(const std::string&, NetworkSpec&)) {
    all.push_back({std::string("ovs.bridge.") + name, setting, nullptr, take});
  };
  add("dpid", kDatapathId, take_text<kDatapathId>);
  add("controller", "controllers", take_controllers);
  add("userspace", "datapath", take_userspace);
  add("ovs_local_mac", kLocalMac, take_text<kLocalMac>);
  add("vlan", "vlan", take_vlan);
  for (const char* acl : {"nat_acl", "default_acl", "vlan_out_acl"}) add(acl, acl, refuse_acl);
  add("preallocate_ports", "preallocate_ports", refuse_ports);
  add("add_copro_ports", "add_copro_ports", refuse_coprocessor);
  for (const char* stack : {"lbport", "mirror_tunnel_vid"}) add(stack, stack, refuse_stacking);
  add("dhcp", "dhcp", refuse_dhcp);
  return all;
}

DriverSchema make_grammar() {
  using Type = SettingField::Type;
  DriverSchema grammar;
  grammar.name = kOvsDriver;
  grammar.wiring = Wiring::ports;
  grammar.capture = CapturePoint::link;
  grammar.settings = {
      {"datapath",
       Type::choice,
       "in the kernel, which needs its module openvswitch, or in ovs-vswitchd, which is slower (default "
       "system)",
       0,
       0,
       {"system", "netdev"}},
      {"datapath_id",
       Type::text,
       "by which controllers know it, hex digits (default: as it comes)",
       0,
       0,
       {}},
      {"controllers",
       Type::text_list,
       "of OpenFlow: tcp:ADDRESS[:PORT], ssl:ADDRESS[:PORT], unix:PATH, ptcp:[PORT], pssl:[PORT] (default "
       "none)",
       0,
       0,
       {}},
      {"fail_mode",
       Type::choice,
       "without a controller: `secure` keeps to the flows that there are, `standalone` switches by itself "
       "(default secure with controllers, otherwise standalone)",
       0,
       0,
       {"secure", "standalone"}},
      {"protocols",
       Type::text_list,
       "versions of OpenFlow, OpenFlow10 to OpenFlow15 (default all)",
       0,
       0,
       {}},
      {"max_backoff",
       Type::integer,
       "milliseconds between tries to reach a controller at most (default 1000 on this host, otherwise 8000)",
       kLeastBackoff,
       kMostBackoff,
       {}},
  };
  const auto flag = [](const char* name, const char* help) {
    return SettingField{name, Type::boolean, help, 0, 0, {}};
  };
  grammar.settings.push_back({"name", Type::text, "name of the bridge (default lw-NETWORK)", 0, 0, {}});
  grammar.settings.push_back({"local_mac", Type::text, "MAC address of the local port", 0, 0, {}});
  grammar.settings.push_back(flag("stp", "take part in the spanning tree protocol (default false)"));
  grammar.settings.push_back(flag("rstp", "take part in the rapid spanning tree protocol (default false)"));
  grammar.settings.push_back(
      flag("mcast_snooping", "forward multicast frames to those only who asked for them (default false)"));
  grammar.settings.push_back({"vlan",
                              Type::integer,
                              "of attachments that declare none, and of the local port (default: none)",
                              kFirstVid,
                              kLastVid,
                              {}});
  grammar.docker_options = docker_options();
  grammar.check_network = check_network;
  grammar.check_attachment = check_attachment;
  return grammar;
}

}  // namespace

const Driver& ovs_driver() {
  static const Ovs driver;
  return driver;
}

}  // namespace lanwright::drivers
