// The agent's own routes, and default routes: main table, one next hop. Pure, as in link_codec.h.
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

// RTM_NEWROUTE, RTM_DELROUTE; absent for what is neither the agent's nor a default route. Of several next
// hops the first link is told. IPv6's metric of 1024, which the kernel gives where none is asked for, is told
// as no metric.
std::optional<LinkRoute> decode_route(const nlmsghdr& message);

// IPv4 and IPv6 of the main table, filtered by the kernel; of all protocols for RTPROT_UNSPEC.
Message list_routes(std::uint8_t protocol);
// What becomes of a route to there with this metric, whoever's it is.
enum class IfThere {
  refuse,   // EEXIST
  replace,  // one of them
  beside    // stays: both lead there (IPv6)
};
Message add_route(int ifindex, const RouteSpec& route, IfThere there);
Message remove_route(int ifindex, const RouteSpec& route);  // matches only the agent's own

}  // namespace lanwright::netlink
