#include "reconcilers/drivers/driver.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "reconcilers/kinds/tun.h"
#include "reconcilers/kinds/veth.h"

namespace lanwright::drivers {
namespace {

constexpr std::size_t kLongestLinkName = 15;  // IFNAMSIZ - 1

// FNV-1a: short, well spread, and the same on every machine and in every version.
std::uint64_t hash_of(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) {
    hash ^= static_cast<std::uint8_t>(c);
    hash *= 0x100000001b3ULL;
  }
  return hash;
}

std::string hex(std::uint64_t value, std::size_t digits) {
  std::string text(digits, '0');
  for (std::size_t i = digits; i-- > 0; value >>= 4U) text[i] = "0123456789abcdef"[value & 0xfU];
  return text;
}

template <class T>
const T* stored(const Settings& settings, const std::string& name) {
  const auto found = settings.find(name);
  return found == settings.end() ? nullptr : std::get_if<T>(&found->second);
}

// Docker lets no interface have IPv6 that has no such address, and asks the user after that.
void set_as_docker_does(LinkSpec& end, const std::vector<Sysctl>& asked) {
  const auto is_v6 = [](const IpPrefix& address) { return address.address.family == AF_INET6; };
  const Sysctl without = without_ipv6();
  if (std::ranges::none_of(end.addresses, is_v6)) end.sysctls.push_back(without);
  end.sysctls.insert(end.sysctls.end(), asked.begin(), asked.end());
  const auto last = std::ranges::find(end.sysctls.rbegin(), end.sysctls.rend(), without.name, &Sysctl::name);
  if (last == end.sysctls.rend() || last->value == "0") return;
  std::erase_if(end.addresses, is_v6);
  std::erase_if(end.routes, [&](const RouteSpec& route) { return is_v6(route.to); });
}

}  // namespace

std::string link_name(const std::string& object_name) {
  std::string full = "lw-" + object_name;
  if (full.size() <= kLongestLinkName) return full;
  constexpr std::size_t kDigits = 6;
  return full.substr(0, kLongestLinkName - kDigits) + hex(hash_of(object_name), kDigits);
}

std::string link_altname(const std::string& object_name) {
  std::string full = "lw-" + object_name;
  return full.size() <= kLongestLinkName ? std::string{} : full;
}

MacAddress stable_mac(const ObjectUid& uid, const std::string& role) {
  std::uint64_t hash = hash_of(uid + "/" + role);
  MacAddress mac;
  for (auto& byte : mac.bytes) {
    byte = static_cast<std::uint8_t>(hash & 0xffU);
    hash >>= 8U;
  }
  mac.bytes[0] = static_cast<std::uint8_t>((mac.bytes[0] | 0x02U) & 0xfeU);  // local, unicast (IEEE 802, 8.4)
  return mac;
}

void set_end(LinkSpec& end, const Named<AttachmentSpec>& attachment, std::vector<RouteSpec> routes) {
  const AttachmentSpec& spec = attachment.spec;
  end.at = {netns_path(spec.netns), spec.interface};
  if (spec.endpoint) {
    constexpr std::size_t kDigits = 12;
    const DelegatedEnd& delegated = *spec.endpoint;
    const bool settled = !delegated.sandbox.empty() && !delegated.left && !spec.interface.empty();
    end.delegated = true;
    end.handover_pending = !delegated.sandbox.empty() && !settled;
    end.at = {delegated.sandbox, spec.interface};
    if (!settled) {
      end.at = {"", "lwe" + hex(hash_of(attachment.uid), kDigits)};
      end.delegate_netns = delegated.sandbox;
      end.up = false;
      end.ipv6 = Ipv6Addresses::none;  // the host is not a member of the network by it
      return;
    }
    routes = spec.routes;  // as Docker was told, but for those to everywhere, of which it took its choice
    std::erase_if(routes, [&](const RouteSpec& route) {
      const bool chosen =
          route.to.address.family == AF_INET6 ? delegated.default_route6 : delegated.default_route;
      return route.to.length == 0 && !chosen;
    });
  }
  end.addresses = spec.addresses;
  end.routes = std::move(routes);
  if (end.delegated) set_as_docker_does(end, spec.endpoint->sysctls);
}

Resources veth_or_tap(const Named<AttachmentSpec>& attachment, const NetworkSpec& network,
                      std::uint32_t mtu) {
  const AttachmentSpec& spec = attachment.spec;
  LinkSpec port;
  port.at = {"", link_name(attachment.name)};
  port.altname = link_altname(attachment.name);
  port.mtu = mtu;
  port.mac = stable_mac(attachment.uid, "");
  port.ipv6 = Ipv6Addresses::none;  // a port is no host: it must not speak on the LAN

  if (spec.tap) {
    port.kind = kinds::kTun.name;
    if (!spec.tap->name.empty()) {
      port.at.name = spec.tap->name;
      port.altname.clear();
    }
    port.tap_owner = spec.tap->owner;
    port.tap_group = spec.tap->group;
    if (spec.tap->multi_queue) port.attributes.emplace_back(kinds::tun::kMultiQueue, *spec.tap->multi_queue);
    return {{port}};
  }

  port.kind = kinds::kVeth.name;
  LinkSpec inner;
  set_end(inner, attachment, with_gateways(spec, network));
  inner.role = kInnerRole;
  inner.kind = kinds::kVeth.name;
  inner.created_with_peer = true;
  inner.peer = port.at;
  inner.mtu = mtu;
  inner.mac = spec.mac ? *spec.mac : stable_mac(attachment.uid, kInnerRole);
  port.peer = inner.at;
  port.handover_pending = inner.handover_pending;
  return {{port, inner}};
}

std::vector<RouteSpec> with_gateways(const AttachmentSpec& attachment, const NetworkSpec& network) {
  std::vector<RouteSpec> routes = attachment.routes;
  if (network.internal) return routes;
  for (const IpPrefix& address : attachment.addresses) {
    const std::uint8_t family = address.address.family;
    const bool has_default = std::any_of(routes.begin(), routes.end(), [&](const RouteSpec& route) {
      return route.to.length == 0 && route.to.address.family == family;
    });
    if (has_default) continue;
    for (const Subnet& subnet : network.subnets) {
      if (!subnet.gateway || !subnet.cidr.contains(address.address) || *subnet.gateway == address.address)
        continue;
      RouteSpec route;
      route.to.address.family = family;
      route.via = subnet.gateway;
      route.automatic = true;
      route.onlink = std::none_of(attachment.addresses.begin(), attachment.addresses.end(),
                                  [&](const IpPrefix& own) { return own.contains(*subnet.gateway); });
      routes.push_back(route);
      break;
    }
  }
  return routes;
}

bool setting(const Settings& settings, const std::string& name, bool fallback) {
  const auto* value = stored<bool>(settings, name);
  return value != nullptr ? *value : fallback;
}

std::int64_t setting(const Settings& settings, const std::string& name, std::int64_t fallback) {
  const auto* value = stored<std::int64_t>(settings, name);
  return value != nullptr ? *value : fallback;
}

std::string setting(const Settings& settings, const std::string& name, const char* fallback) {
  const auto* value = stored<std::string>(settings, name);
  return value != nullptr ? *value : std::string(fallback);
}

}  // namespace lanwright::drivers
