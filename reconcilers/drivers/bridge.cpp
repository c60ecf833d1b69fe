// Driver `bridge`: a Linux bridge, its uplinks, and a veth or tap port per attachment.
// Sources: ip-link(8) "BRIDGE Type Support", bridge(8), net/bridge/br_private.h for the limits.
#include "reconcilers/kinds/bridge.h"
#include "model/base/names.h"
#include "model/format/suggestions.h"
#include "reconcilers/drivers/driver.h"

namespace lanwright::drivers {
namespace {

namespace attr = kinds::bridge;

// Link-local group addresses 01:80:c2:00:00:0X that are forwarded. The kernel keeps bits 0 to 2 (STP, pause,
// LACP) from the bridge's own mask; a port's mask may have all but pause (BR_GROUPFWD_MACPAUSE).
constexpr std::uint64_t kForwardAllBridge = 0xfff8;
constexpr std::uint64_t kForwardAllPort = 0xfffd;

constexpr std::int64_t kDefaultAgeing = 300;       // s
constexpr std::int64_t kDefaultForwardDelay = 15;  // s
constexpr std::int64_t kDefaultHelloTime = 2;      // s
constexpr std::int64_t kDefaultMaxAge = 20;        // s
constexpr std::int64_t kDefaultPriority = 32768;
constexpr std::uint64_t kCentiseconds = 100;

bool is_hub(const NetworkSpec& spec) {
  return setting(spec.settings, "flooding", "learn") == "hub";
}
bool filters_vlans(const NetworkSpec& spec) {
  return setting(spec.settings, "vlan_filtering", false);
}

// A bridge of the host's that is used, and is nobody's here. "" when the network has one of its own.
std::string existing_bridge(const NetworkSpec& spec) {
  return setting(spec.settings, "existing", "");
}

std::string bridge_name(const Named<NetworkSpec>& network) {
  if (std::string existing = existing_bridge(network.spec); !existing.empty()) return existing;
  const std::string given = setting(network.spec.settings, "name", "");
  return given.empty() ? link_name(network.name) : given;
}

std::uint64_t number(const NetworkSpec& spec, const char* name, std::int64_t fallback) {
  return static_cast<std::uint64_t>(setting(spec.settings, name, fallback));
}

LinkAttributes bridge_attributes(const NetworkSpec& spec) {
  const bool hub = is_hub(spec);
  const bool filters = filters_vlans(spec);
  LinkAttributes attributes = {
      {attr::kStpState, setting(spec.settings, "stp", false) ? 1U : 0U},
      {attr::kAgeingTime, hub ? 0U : number(spec, "ageing_time", kDefaultAgeing) * kCentiseconds},
      {attr::kGroupFwdMask, hub ? kForwardAllBridge : 0U},
      {attr::kMcastSnooping, hub ? 0U : 1U},
      {attr::kVlanFiltering, filters ? 1U : 0U},
  };
  // A port is in the VLANs that it declares, no other.
  if (filters) attributes.emplace_back(attr::kVlanDefaultPvid, 0);
  attributes.emplace_back(attr::kForwardDelay,
                          number(spec, "forward_delay", kDefaultForwardDelay) * kCentiseconds);
  attributes.emplace_back(attr::kHelloTime, number(spec, "hello_time", kDefaultHelloTime) * kCentiseconds);
  attributes.emplace_back(attr::kMaxAge, number(spec, "max_age", kDefaultMaxAge) * kCentiseconds);
  attributes.emplace_back(attr::kPriority, number(spec, "priority", kDefaultPriority));
  return attributes;
}

// What being a port of this network means, for attachments and uplinks alike.
void plug_in(LinkSpec& port, const Named<NetworkSpec>& network, const PortVlans& vlans, bool isolated) {
  const bool hub = is_hub(network.spec);
  port.master = bridge_name(network);
  const LinkAttributes of_a_port = {
      {attr::kPortIsolated, isolated ? 1U : 0U},
      {attr::kPortLearning, hub ? 0U : 1U},
      {attr::kPortUnicastFlood, 1U},
      {attr::kPortGroupFwdMask, hub ? kForwardAllPort : 0U},
  };
  port.attributes.insert(port.attributes.begin(), of_a_port.begin(), of_a_port.end());
  if (filters_vlans(network.spec)) port.vlans = vlans;
}

LinkSpec own_bridge(const Named<NetworkSpec>& network) {
  LinkSpec bridge;
  bridge.at = {"", bridge_name(network)};
  if (bridge.at.name == link_name(network.name)) bridge.altname = link_altname(network.name);
  bridge.kind = kinds::kBridge.name;
  bridge.mtu = network.spec.mtu.value_or(kDefaultMtu);
  bridge.mac = stable_mac(network.uid, "");  // otherwise it follows the ports and changes with them
  bridge.ipv6 = Ipv6Addresses::none;         // the host is not a member of a flat network
  bridge.attributes = bridge_attributes(network.spec);
  return bridge;
}

LinkSpec host_bridge(const Named<NetworkSpec>& network) {
  LinkSpec bridge;
  bridge.at = {"", existing_bridge(network.spec)};
  bridge.kind = kinds::kBridge.name;
  bridge.borrowed = true;
  bridge.mtu = network.spec.mtu.value_or(kDefaultMtu);
  return bridge;
}

// A bridge to which nobody gave an address has the lowest of its ports (br_stp_recalculate_bridge_id() in
// net/bridge/br_stp_if.c): it is not to change by ours.
MacAddress highest_mac(const ObjectUid& uid) {
  constexpr std::uint8_t kHighestLocalUnicast = 0xfe;
  MacAddress mac = stable_mac(uid, "");
  mac.bytes[0] = kHighestLocalUnicast;
  return mac;
}

// What a network says of a bridge that is not its own.
void check_existing(const NetworkSpec& spec, const ReportFault& complain) {
  if (existing_bridge(spec).empty()) return;
  if (const char* fault = interface_name_fault(existing_bridge(spec)))
    complain("bridge.existing", "bridge name `" + existing_bridge(spec) + "` " + fault);
  if (!spec.uplinks.empty())
    complain("uplinks",
             "what else is plugged into an existing bridge is up to its owner: leave out `uplinks`");
  for (const auto& [name, value] : spec.settings) {
    if (name != "existing")
      complain("bridge." + name, "an existing bridge stays as it is: leave out `" + name + "`");
  }
}

DriverSchema make_grammar();

class Bridge final : public Driver {
 public:
  const DriverSchema& grammar() const override {
    static const DriverSchema grammar = make_grammar();
    return grammar;
  }

  Resources network(const Named<NetworkSpec>& network) const override {
    Resources resources{{existing_bridge(network.spec).empty() ? own_bridge(network) : host_bridge(network)}};
    for (const Uplink& uplink : network.spec.uplinks) {
      LinkSpec port;
      port.at = {"", uplink.interface};
      port.borrowed = true;
      port.mtu =
          network.spec.mtu;  // not set: who declares what passes the bridge has it pass the uplink, too
      plug_in(port, network, uplink.vlans, false);
      resources.links.push_back(std::move(port));
    }
    return resources;
  }

  Resources attachment(const Named<AttachmentSpec>& attachment,
                       const Named<NetworkSpec>& network) const override {
    const std::uint32_t mtu = attachment.spec.mtu.value_or(network.spec.mtu.value_or(kDefaultMtu));
    Resources resources = veth_or_tap(attachment, network.spec, mtu);
    if (!existing_bridge(network.spec).empty()) resources.links.front().mac = highest_mac(attachment.uid);
    plug_in(resources.links.front(), network, attachment.spec.vlans, attachment.spec.isolated);
    return resources;
  }
};

void check_network(const std::string& /*name*/, const NetworkSpec& spec, const ReportFault& complain) {
  if (spec.mode != NetworkMode::flat) complain("mode", "driver bridge has only mode flat so far");
  const std::string name = setting(spec.settings, "name", "");
  if (spec.settings.contains("name")) {
    if (const char* fault = interface_name_fault(name))
      complain("bridge.name", "bridge name `" + name + "` " + fault);
  }
  check_existing(spec, complain);
  if (!spec.parent.empty())
    complain("parent", "a bridge has no parent; plug host interfaces in with `uplinks`");
  if (spec.host_interface)
    complain("host_interface", "host_interface is for networks of driver macvlan or ipvlan");
  if (spec.internal) complain("internal", "a flat bridge has no way out to close; leave `internal` away");
  if (is_hub(spec) && setting(spec.settings, "stp", false))
    complain("bridge.stp", "a hub forwards STP frames and cannot take part in STP: choose one of both");
  if (is_hub(spec) && spec.settings.contains("ageing_time"))
    complain("bridge.ageing_time", "a hub learns nothing, so that nothing ages: leave `ageing_time` away");
  for (std::size_t i = 0; i < spec.uplinks.size(); ++i) {
    const std::string path = "uplinks[" + std::to_string(i) + "]";
    if (spec.uplinks[i].ofport) complain(path + ".ofport", kNoOpenFlow);
    if (!spec.uplinks[i].vlans.empty() && !filters_vlans(spec))
      complain(path, "VLANs of a port need `bridge: {vlan_filtering: true}`");
  }
}

void check_attachment(const std::string& /*name*/, const AttachmentSpec& spec, const NetworkSpec& network,
                      const ReportFault& complain) {
  if (!spec.vlans.empty() && !filters_vlans(network))
    complain(spec.vlans.pvid ? "vlan" : "trunk", "VLANs of a port need `bridge: {vlan_filtering: true}`");
  if (spec.ofport) complain("ofport", kNoOpenFlow);
  const std::uint32_t fabric = network.mtu.value_or(kDefaultMtu);
  if (spec.mtu && *spec.mtu < fabric && !existing_bridge(network).empty())
    complain("mtu", "a port with mtu " + std::to_string(*spec.mtu) +
                        " would lower that of the bridge, which is the least of its ports': leave out `mtu`");
  if (spec.mtu && *spec.mtu > fabric)
    complain("mtu", "mtu " + std::to_string(*spec.mtu) + " is above the network's " + std::to_string(fabric) +
                        ": its longest frames would be dropped");
}

std::optional<std::string> docker_name_fault(const std::string& value) {
  if (const char* fault = interface_name_fault(value)) return "the name " + quote(value) + " " + fault;
  return std::nullopt;
}

DriverSchema make_grammar() {
  using Type = SettingField::Type;
  const auto seconds = [](const char* name, std::int64_t min, std::int64_t max, const char* help) {
    return SettingField{name, Type::integer, help, min, max, {}};
  };
  const auto flag = [](const char* name, const char* help) {
    return SettingField{name, Type::boolean, help, 0, 0, {}};
  };
  DriverSchema grammar;
  grammar.name = "bridge";
  grammar.wiring = Wiring::ports;
  grammar.capture = CapturePoint::link;
  grammar.docker_options = {{"com.docker.network.bridge.name", "name", docker_name_fault}};
  grammar.settings = {
      flag("stp", "take part in the spanning tree protocol (default false)"),
      // Limits of net/bridge: BR_MIN/MAX_FORWARD_DELAY, HELLO_TIME, MAX_AGE.
      seconds("ageing_time", 0, 1'000'000, "seconds until a silent address is forgotten (default 300)"),
      seconds("forward_delay", 2, 30, "seconds in listening and in learning state (default 15)"),
      seconds("hello_time", 1, 10, "seconds between BPDUs of a root bridge (default 2)"),
      seconds("max_age", 6, 40, "seconds until a BPDU is too old (default 20)"),
      seconds("priority", 0, 65535, "of this bridge in the election of the root (default 32768)"),
      flag("vlan_filtering",
           "ports are members of the VLANs that they declare, and of no other (default false)"),
      SettingField{"flooding",
                   Type::choice,
                   "learn addresses, or forward every frame to every port as a hub does, STP frames included",
                   0,
                   0,
                   {"learn", "hub"}},
      SettingField{"name", Type::text, "name of the bridge link (default lw-NETWORK)", 0, 0, {}},
      SettingField{"existing",
                   Type::text,
                   "a bridge of the host's that is used as it is, and stays: no other setting goes with it",
                   0,
                   0,
                   {}},
  };
  grammar.check_network = check_network;
  grammar.check_attachment = check_attachment;
  return grammar;
}

}  // namespace

const Driver& bridge_driver() {
  static const Bridge driver;
  return driver;
}

}  // namespace lanwright::drivers
