#include "reconcilers/nftables/forwarding.h"

#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "reconcilers/os/sysctl.h"

namespace lanwright::nftables {
namespace {

constexpr const char* kAllForward6 = "net.ipv6.conf.all.forwarding";

std::string text_of(const InterfaceSetting& setting) {
  std::string name = name_of(setting.setting);
  const std::string place = "IFNAME";
  return name.replace(name.find(place), place.size(), setting.interface);
}

Error failed(const char* tried, const InterfaceSetting& setting, int error) {
  Error made = error_from_errno(error, tried, text_of(setting));
  if (error == EROFS) made.hint = "/proc/sys is read-only here";
  return made;
}

// force_forwarding is not there: the kernel asks the whole host's setting only.
Error needs_consent(const InterfaceSetting& setting) {
  return {
      ErrorKind::unsupported,
      "forward IPv6 on",
      setting.interface,
      0,
      "this kernel forwards IPv6 on all interfaces or on none (no force_forwarding, which is of Linux 6.17)",
      std::string("for each interface that has its address by router advertisements `sysctl -w "
                  "net.ipv6.conf.IFNAME.accept_ra=2`, then `sysctl -w ") +
          kAllForward6 + "=1`, which makes the host a router on all"};
}

bool all_forward6() {
  Sysctl all{kAllForward6, {}};
  return os::get_sysctl({}, all) == 0 && all.value == "1";
}

Result<bool> answer_missing(const InterfaceSetting& setting) {
  if (::if_nametoindex(setting.interface.c_str()) == 0) return failed("read", setting, ENODEV);
  if (setting.setting != Setting::forward6) return failed("read", setting, ENOENT);
  if (all_forward6()) return true;
  return needs_consent(setting);
}

}  // namespace

const char* name_of(Setting setting) {
  switch (setting) {
    case Setting::forward4:
      return "net.ipv4.conf.IFNAME.forwarding";
    case Setting::forward6:
      return "net.ipv6.conf.IFNAME.force_forwarding";
    case Setting::route_localnet4:
      break;
  }
  return "net.ipv4.conf.IFNAME.route_localnet";
}

std::set<InterfaceSetting> settings_of(const Network& network, const std::set<std::string>& uplinks) {
  std::set<InterfaceSetting> settings;
  if (network.mode == Mode::internal) return settings;
  for (const IpPrefix& subnet : network.subnets) {
    const Setting forward = subnet.address.family == AF_INET6 ? Setting::forward6 : Setting::forward4;
    settings.insert({network.bridge, forward});
    for (const std::string& uplink : uplinks) settings.insert({uplink, forward});
  }
  const auto is_ipv4 = [](const PublishedPort& port) { return port.target.family == AF_INET; };
  if (std::any_of(network.ports.begin(), network.ports.end(), is_ipv4))
    settings.insert({network.bridge, Setting::route_localnet4});
  return settings;
}

Result<bool> is_set(const InterfaceSetting& setting) {
  Sysctl seen{name_of(setting.setting), {}};
  const int error = os::get_sysctl(setting.interface, seen);
  if (error == ENOENT) return answer_missing(setting);
  if (error != 0) return failed("read", setting, error);
  return seen.value == "1";
}

Result<void> set(const InterfaceSetting& setting) {
  const auto is_already = is_set(setting);
  if (!is_already) return is_already.error();
  if (*is_already) return {};
  const int error = os::set_sysctl(setting.interface, {name_of(setting.setting), "1"});
  if (error != 0) return failed("set", setting, error);
  return {};
}

}  // namespace lanwright::nftables
