// Driver `ipvlan`: links that share their parent's MAC address and are told apart by their IP addresses.
// Source: ip-link(8) "IPVLAN and IPVTAP Type Support", Documentation/networking/ipvlan.rst of Linux.
#include <linux/if_link.h>

#include <algorithm>
#include <array>

#include "reconcilers/drivers/stacked.h"
#include "reconcilers/kinds/ipvlan.h"

namespace lanwright::drivers {
namespace {

constexpr std::array kModes{"l2", "l3", "l3s"};
constexpr std::array kFlags{"bridge", "private", "vepa"};

std::uint64_t mode_of(const NetworkSpec& spec) {
  const std::string mode = setting(spec.settings, "mode", "l2");
  if (mode == "l3") return IPVLAN_MODE_L3;
  if (mode == "l3s") return IPVLAN_MODE_L3S;
  return IPVLAN_MODE_L2;
}

std::uint64_t flags_of(const NetworkSpec& spec) {
  const std::string flag = setting(spec.settings, "flag", "bridge");
  if (flag == "private") return IPVLAN_F_PRIVATE;
  if (flag == "vepa") return IPVLAN_F_VEPA;
  return 0;
}

Stacked how(const NetworkSpec& spec) {
  const std::uint64_t mode = mode_of(spec);
  return {kinds::kIpvlan,
          {{kinds::ipvlan::kMode, mode}, {kinds::ipvlan::kFlags, flags_of(spec)}},
          false,
          mode == IPVLAN_MODE_L2};
}

void check_network(const std::string& /*name*/, const NetworkSpec& spec, const ReportFault& complain) {
  check_stacked_network(spec, complain);
  if (spec.host_interface && flags_of(spec) != 0)
    complain("host_interface", "the host reaches its attachments with flag bridge only, not with flag " +
                                   setting(spec.settings, "flag", ""));
}

void check_attachment(const std::string& /*name*/, const AttachmentSpec& spec, const NetworkSpec& network,
                      const ReportFault& complain) {
  check_stacked_attachment(spec, network, "ipvlan", complain);
  if (spec.mac)
    complain("mac", "ipvlan links have the MAC address of their parent; driver macvlan gives each its own");
}

std::optional<std::string> docker_mode_fault(const std::string& mode) {
  if (std::ranges::find(kModes, mode) != kModes.end()) return std::nullopt;
  return "requested ipvlan mode '" + mode + "' is not valid, 'l2' mode is the ipvlan driver default";
}

std::optional<std::string> docker_flag_fault(const std::string& flag) {
  if (std::ranges::find(kFlags, flag) != kFlags.end()) return std::nullopt;
  return "requested ipvlan flag '" + flag + "' is not valid, 'bridge' is the ipvlan driver default flag";
}

DriverSchema make_grammar() {
  DriverSchema grammar;
  grammar.name = "ipvlan";
  grammar.wiring = Wiring::parent;
  grammar.capture = CapturePoint::parent;
  grammar.docker_options = {{"ipvlan_mode", "mode", docker_mode_fault},
                            {"ipvlan_flag", "flag", docker_flag_fault}};
  grammar.settings = {
      {"mode",
       SettingField::Type::choice,
       "l2: a LAN with broadcast (the default); l3: routed by the parent, without broadcast; l3s: as l3, "
       "through the host's netfilter",
       0,
       0,
       {kModes.begin(), kModes.end()}},
      {"flag",
       SettingField::Type::choice,
       "whom the links on one parent reach: each other and the outside (bridge, the default), only the "
       "outside (private), each other by way of a switch that sends back (vepa)",
       0,
       0,
       {kFlags.begin(), kFlags.end()}}};
  grammar.check_network = check_network;
  grammar.check_attachment = check_attachment;
  return grammar;
}

}  // namespace

const Driver& ipvlan_driver() {
  static const StackedDriver driver(make_grammar(), how);
  return driver;
}

}  // namespace lanwright::drivers
