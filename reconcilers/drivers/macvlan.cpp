// Driver `macvlan`: links with MAC addresses of their own on one parent. Source: ip-link(8) "MACVLAN and
// MACVTAP Type Support", drivers/net/macvlan.c.
#include <linux/if_link.h>

#include <algorithm>
#include <array>

#include "reconcilers/drivers/stacked.h"
#include "reconcilers/kinds/macvlan.h"

namespace lanwright::drivers {
namespace {

constexpr std::array kModes{"bridge", "private", "vepa", "passthru"};

std::uint64_t mode_of(const NetworkSpec& spec) {
  const std::string mode = setting(spec.settings, "mode", "bridge");
  if (mode == "private") return MACVLAN_MODE_PRIVATE;
  if (mode == "vepa") return MACVLAN_MODE_VEPA;
  if (mode == "passthru") return MACVLAN_MODE_PASSTHRU;
  return MACVLAN_MODE_BRIDGE;
}

Stacked how(const NetworkSpec& spec) {
  const std::uint64_t mode = mode_of(spec);
  return {kinds::kMacvlan, {{kinds::macvlan::kMode, mode}}, mode != MACVLAN_MODE_PASSTHRU, true};
}

void check_network(const std::string& /*name*/, const NetworkSpec& spec, const ReportFault& complain) {
  check_stacked_network(spec, complain);
  if (spec.host_interface && mode_of(spec) != MACVLAN_MODE_BRIDGE)
    complain("host_interface", "the host reaches its attachments in mode bridge only, not in mode " +
                                   setting(spec.settings, "mode", ""));
  if (mode_of(spec) == MACVLAN_MODE_PASSTHRU && spec.parent.empty())
    complain("macvlan.mode", "passthru hands the parent through: name a `parent`");
}

void check_attachment(const std::string& /*name*/, const AttachmentSpec& spec, const NetworkSpec& network,
                      const ReportFault& complain) {
  check_stacked_attachment(spec, network, "macvlan", complain);
  if (spec.mac && mode_of(network) == MACVLAN_MODE_PASSTHRU)
    complain("mac", "in mode passthru the MAC address is the parent's");
}

std::optional<std::string> docker_mode_fault(const std::string& mode) {
  if (std::ranges::find(kModes, mode) != kModes.end()) return std::nullopt;
  return "requested macvlan mode '" + mode + "' is not valid, 'bridge' mode is the macvlan driver default";
}

DriverSchema make_grammar() {
  DriverSchema grammar;
  grammar.name = "macvlan";
  grammar.wiring = Wiring::parent;
  grammar.capture = CapturePoint::parent;
  grammar.docker_options = {{"macvlan_mode", "mode", docker_mode_fault}};
  grammar.settings = {
      {"mode",
       SettingField::Type::choice,
       "whom the links on one parent reach: each other and the outside (bridge, the default), only the "
       "outside (private), each other by way of a switch that sends back (vepa); or one link that has "
       "the parent to itself (passthru)",
       0,
       0,
       {kModes.begin(), kModes.end()}}};
  grammar.check_network = check_network;
  grammar.check_attachment = check_attachment;
  return grammar;
}

}  // namespace

const Driver& macvlan_driver() {
  static const StackedDriver driver(make_grammar(), how);
  return driver;
}

}  // namespace lanwright::drivers
