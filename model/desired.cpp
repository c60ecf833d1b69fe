#include "model/desired.h"

#include <sys/socket.h>

#include <charconv>
#include <string_view>

#include "model/base/names.h"

namespace lanwright {

std::uint32_t effective_metric(const RouteSpec& route) {
  constexpr std::uint32_t kIpv6Default = 1024;
  const std::uint32_t said = route.metric.value_or(0);
  return said == 0 && route.to.address.family == AF_INET6 ? kIpv6Default : said;
}

bool has_same_place(const RouteSpec& a, const RouteSpec& b) {
  return a.to.network() == b.to.network() && effective_metric(a) == effective_metric(b);
}

std::optional<VlanSpec> vlan_named(const std::string& name) {
  constexpr std::uint16_t kLastVid = 4094;
  const std::size_t dot = name.rfind('.');
  if (dot == std::string::npos || dot == 0 || interface_name_fault(name) != nullptr) return std::nullopt;
  const std::string parent = name.substr(0, dot);
  const std::string_view digits = std::string_view(name).substr(dot + 1);
  VlanSpec vlan;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), vlan.id);
  const bool number = error == std::errc{} && end == digits.data() + digits.size() && digits.front() != '0';
  if (!number || vlan.id == 0 || vlan.id > kLastVid || parent.find('.') != std::string::npos)
    return std::nullopt;
  vlan.parent = parent;
  return vlan;
}

std::string netns_path(const std::string& netns) {
  if (netns.empty() || netns.front() == '/') return netns;
  return "/run/netns/" + netns;
}

}  // namespace lanwright
