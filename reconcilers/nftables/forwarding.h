// That the host forwards between a network's bridge and the interfaces by which its answers come in, and
// between no others: settings of these interfaces. Never net.ipv4.ip_forward, net.ipv6.conf.all.forwarding,
// or anything else that is the whole host's. Source: Documentation/networking/ip-sysctl.rst.
#pragma once

#include <compare>
#include <set>
#include <string>
#include <vector>

#include "model/base/result.h"
#include "reconcilers/nftables/firewall.h"

namespace lanwright::nftables {

enum class Setting : std::uint8_t {
  forward4,         // net.ipv4.conf.IFNAME.forwarding
  forward6,         // net.ipv6.conf.IFNAME.force_forwarding (Linux 6.17)
  route_localnet4,  // net.ipv4.conf.IFNAME.route_localnet: the host's own way to published ports by 127.0.0.1
};
const char* name_of(Setting setting);  // as sysctl(8) has it, with IFNAME

struct InterfaceSetting {
  std::string interface;
  Setting setting = Setting::forward4;
  auto operator<=>(const InterfaceSetting&) const = default;
};

// What is to be 1 for this network; `uplinks` are the interfaces that lead out. Pure. Of an internal network
// nothing.
std::set<InterfaceSetting> settings_of(const Network& network, const std::set<std::string>& uplinks);

// Whether it is 1, or need not be as the whole host forwards. In the network namespace of the calling thread.
// `waiting` when there is no such interface; `unsupported`, with the command that the user must decide on,
// when the kernel can only have all interfaces forward or none.
Result<bool> is_set(const InterfaceSetting& setting);
// Makes it 1 where it is not; the same errors.
Result<void> set(const InterfaceSetting& setting);

}  // namespace lanwright::nftables
