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

// RTM_NEWADDR, RTM_DELADDR; absent for an address that the kernel makes up itself while it is tentative.
std::optional<LinkAddress> decode_address(const nlmsghdr& message);

Message list_addresses();  // IPv4 and IPv6
// As `ip address add` does it; an IPv6 address is usable at once, unless duplicates are looked for first.
Message add_address(int ifindex, const IpPrefix& address, bool look_for_duplicates = false);
Message remove_address(int ifindex, const IpPrefix& address);
// From then on the first IPv4 address of a subnet leaves its place to the next one when it goes; otherwise it
// takes all others of the subnet along (ip-sysctl: promote_secondaries).
Message promote_secondaries(int ifindex);

}  // namespace lanwright::netlink
