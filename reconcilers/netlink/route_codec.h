// The agent's own routes: main table, protocol kOwnProtocol, one next hop. Pure, as in link_codec.h.
// Source: rtnetlink(7), <linux/rtnetlink.h>.
#pragma once

#include <optional>

#include "model/link.h"
#include "reconcilers/netlink/message.h"

namespace lanwright::netlink {

struct LinkRoute {
  int ifindex = 0;
  RouteFact fact;
};

// RTM_NEWROUTE, RTM_DELROUTE; absent for routes that are not the agent's. IPv6's metric of 1024, which the
// kernel gives where none is asked for, is told as no metric.
std::optional<LinkRoute> decode_route(const nlmsghdr& message);

Message list_routes(std::uint8_t protocol);  // IPv4 and IPv6 of the main table, filtered by the kernel
// Without `replace` the kernel refuses (EEXIST) when a route to there with this metric exists, whoever's it
// is.
Message add_route(int ifindex, const RouteSpec& route, bool replace);
Message remove_route(int ifindex, const RouteSpec& route);  // matches only the agent's own

}  // namespace lanwright::netlink
