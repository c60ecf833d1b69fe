// Driver `vde`: a switch process per network, and a plug that carries interfaces to it. Attachments in a
// namespace are taps there, opened by the plug; taps for others (virtual machines) and uplinks are heard by
// packet sockets. Sources: vde_switch(1), Documentation/networking/tuntap.rst.
#include <algorithm>
#include <charconv>

#include "reconcilers/drivers/driver.h"
#include "reconcilers/kinds/tun.h"

namespace lanwright::drivers {
namespace {

// vde_switch holds frames in 1518 bytes (header, one VLAN tag and 1500), and cuts off what is more.
constexpr std::uint32_t kLongestMtu = 1500;
constexpr std::uint32_t kRootOnly = 0600;
constexpr std::uint32_t kRootAndGroup = 0660;
constexpr std::uint32_t kAnyMode = 0777;

bool is_hub(const NetworkSpec& spec) {
  return setting(spec.settings, "hub", true);
}

std::uint32_t mtu_of(const NetworkSpec& spec) {
  return spec.mtu.value_or(kDefaultMtu);
}

// Digits as chmod(1) takes them.
std::optional<std::uint32_t> octal_mode(const std::string& text) {
  std::uint32_t mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole && mode <= kAnyMode ? std::optional(mode) : std::nullopt;
}

DriverSchema make_grammar();

class Vde final : public Driver {
 public:
  const DriverSchema& grammar() const override {
    static const DriverSchema grammar = make_grammar();
    return grammar;
  }

  Resources network(const Named<NetworkSpec>& network) const override {
    SwitchSpec vswitch;
    vswitch.network = network.name;
    vswitch.engine = "vde_switch";
    vswitch.hub = is_hub(network.spec);
    vswitch.group = setting(network.spec.settings, "group", "");
    vswitch.mode = octal_mode(setting(network.spec.settings, "mode", ""))
                       .value_or(vswitch.group.empty() ? kRootOnly : kRootAndGroup);
    vswitch.mtu = mtu_of(network.spec);
    Resources resources;
    resources.vswitch = std::move(vswitch);
    for (const Uplink& uplink : network.spec.uplinks) {
      LinkSpec link;
      link.at = {"", uplink.interface};
      link.borrowed = true;
      link.mtu = network.spec.mtu;
      resources.links.push_back(link);
      resources.plugs.push_back({network.name, link.at, uplink.interface, false, uplink.vlans, false, {}});
    }
    return resources;
  }

  Resources attachment(const Named<AttachmentSpec>& attachment,
                       const Named<NetworkSpec>& network) const override {
    const AttachmentSpec& spec = attachment.spec;
    LinkSpec tap;
    tap.kind = kinds::kTun.name;
    tap.mtu = spec.mtu.value_or(mtu_of(network.spec));
    if (spec.tap) {
      const bool named = !spec.tap->name.empty();
      tap.at = {"", named ? spec.tap->name : link_name(attachment.name)};
      if (!named) tap.altname = link_altname(attachment.name);
      tap.mac = stable_mac(attachment.uid, "");
      tap.tap_owner = spec.tap->owner;
      tap.tap_group = spec.tap->group;
      // Who speaks through it is behind its device file, not this host.
      tap.ipv6 = Ipv6Addresses::none;
      tap.arp = false;
    } else {
      set_end(tap, attachment, with_gateways(spec, network.spec));
      tap.mac = spec.mac ? *spec.mac : stable_mac(attachment.uid, kInnerRole);
      // On a LAN of frames alone nobody is to be heard who was not asked to speak.
      if (spec.addresses.empty() && network.spec.subnets.empty()) tap.ipv6 = Ipv6Addresses::none;
    }
    Resources resources;
    resources.plugs.push_back(
        {network.name, tap.at, "", !spec.tap, spec.vlans, tap.delegated, tap.delegate_netns});
    resources.links.push_back(std::move(tap));
    return resources;
  }
};

void check_mtu(const std::optional<std::uint32_t>& mtu, std::uint32_t limit, const char* whose,
               const ReportFault& complain) {
  if (mtu && *mtu > limit)
    complain("mtu", "mtu " + std::to_string(*mtu) + " is above " + whose + " " + std::to_string(limit) +
                        ": its longest frames would be cut off");
}

// A hub knows none. Of vde_switch (2.3.2) the console cuts off what it lists behind 200 KiB, some 4000 lines
// of a port in a VLAN, and takes one VLAN less than there are.
void check_vlans(const PortVlans& vlans, const NetworkSpec& network, const std::string& path,
                 const ReportFault& complain) {
  constexpr std::uint16_t kLastOfSwitch = 4093;
  constexpr std::size_t kMostOfPort = 1000;
  if (vlans.empty()) return;
  if (is_hub(network)) return complain(path, "a hub knows no VLANs: `vde: {hub: false}` does");
  const std::uint16_t last =
      std::max(vlans.pvid.value_or(0), vlans.tagged.empty() ? std::uint16_t{0} : vlans.tagged.back());
  if (vlans.tagged.size() > kMostOfPort)
    complain(path, std::to_string(vlans.tagged.size()) + " VLANs are more than vde_switch can list; " +
                       std::to_string(kMostOfPort) + " of a port are the most, or take driver bridge");
  else if (last > kLastOfSwitch)
    complain(path, "vde_switch knows VLANs 1 to " + std::to_string(kLastOfSwitch) + " only, and not " +
                       std::to_string(last));
}

void check_network(const std::string& name, const NetworkSpec& spec, const ReportFault& complain) {
  if (spec.mode != NetworkMode::flat) complain("mode", "driver vde has only mode flat");
  if (!spec.parent.empty())
    complain("parent", "a switch has no parent; plug host interfaces in with `uplinks`");
  if (spec.host_interface)
    complain("host_interface", "host_interface is for networks of driver macvlan or ipvlan");
  if (spec.internal) complain("internal", "a flat switch has no way out to close; leave `internal` away");
  check_mtu(spec.mtu, kLongestMtu, "what a VDE switch carries,", complain);
  if (name.find('/') != std::string::npos || name.starts_with("."))
    complain("", "the switch's directory is named after the network, and `" + name + "` is no name of one");
  if (spec.settings.contains("mode") && !octal_mode(setting(spec.settings, "mode", "")))
    complain("vde.mode",
             "`" + setting(spec.settings, "mode", "") + "` is no mode; write octal digits as \"0660\"");
  for (std::size_t i = 0; i < spec.uplinks.size(); ++i) {
    const std::string path = "uplinks[" + std::to_string(i) + "]";
    if (spec.uplinks[i].ofport) complain(path + ".ofport", kNoOpenFlow);
    check_vlans(spec.uplinks[i].vlans, spec, path, complain);
  }
}

void check_attachment(const std::string& /*name*/, const AttachmentSpec& spec, const NetworkSpec& network,
                      const ReportFault& complain) {
  check_vlans(spec.vlans, network, spec.vlans.pvid ? "vlan" : "trunk", complain);
  if (spec.tap && spec.tap->multi_queue)
    complain("tap.multi_queue", "the switch's plug is the program at a tap of driver vde, and opens it once");
  if (spec.ofport) complain("ofport", kNoOpenFlow);
  if (spec.isolated) complain("isolated", "ports of a VDE switch cannot be isolated from each other");
  check_mtu(spec.mtu, mtu_of(network), "the network's", complain);
}

DriverSchema make_grammar() {
  using Type = SettingField::Type;
  DriverSchema grammar;
  grammar.name = "vde";
  grammar.wiring = Wiring::ports;
  grammar.capture = CapturePoint::vswitch;
  grammar.settings = {
      {"hub",
       Type::boolean,
       "every frame to every port; otherwise addresses are learnt (default true)",
       0,
       0,
       {}},
      {"group",
       Type::text,
       "group of users that may connect to the switch's socket (default none)",
       0,
       0,
       {}},
      {"mode",
       Type::text,
       "mode of the socket, octal (default \"0660\" with a group, otherwise \"0600\")",
       0,
       0,
       {}},
  };
  grammar.check_network = check_network;
  grammar.check_attachment = check_attachment;
  return grammar;
}

}  // namespace

const Driver& vde_driver() {
  static const Vde driver;
  return driver;
}

}  // namespace lanwright::drivers
