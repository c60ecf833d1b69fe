// Addresses of links: pure, as in link_codec.h. Source: rtnetlink(7), <linux/if_addr.h>.
#pragma once

#include <optional>

#include "model/link.h"
#include "reconcilers/netlink/message.h"

namespace lanwright::netlink {

struct LinkAddress {
  int ifindex = 0;
  AddressFact fact;
};

// RTM_NEWADDR, RTM_DELADDR; absent for an address that is not usable yet (tentative).
std::optional<LinkAddress> decode_address(const nlmsghdr& message);

Message list_addresses();  // IPv4 and IPv6
// As `ip address add` does it; an IPv6 address is usable at once (no duplicate detection).
Message add_address(int ifindex, const IpPrefix& address);
Message remove_address(int ifindex, const IpPrefix& address);

}  // namespace lanwright::netlink
