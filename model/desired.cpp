#include "model/desired.h"

#include <sys/socket.h>

namespace lanwright {

std::uint32_t effective_metric(const RouteSpec& route) {
  constexpr std::uint32_t kIpv6Default = 1024;
  const std::uint32_t said = route.metric.value_or(0);
  return said == 0 && route.to.address.family == AF_INET6 ? kIpv6Default : said;
}

std::string netns_path(const std::string& netns) {
  if (netns.empty() || netns.front() == '/') return netns;
  return "/run/netns/" + netns;
}

}  // namespace lanwright
