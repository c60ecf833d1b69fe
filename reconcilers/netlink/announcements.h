// What tells the neighbours of a link that an address is there now, at this MAC address: who has talked to it
// at another one goes on at once, and not after half a minute. Sources: RFC 5227, 2.3; RFC 4861, 7.2.6.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "model/base/addresses.h"
#include "model/plan.h"
#include "reconcilers/netlink/observer.h"

namespace lanwright::netlink {

// An ARP announcement, or an unsolicited neighbour advertisement to all nodes, as a whole Ethernet frame.
// `router`: the host forwards IPv6; neighbours forget a router that says it is none.
std::vector<std::uint8_t> announcement(const IpAddress& address, const MacAddress& mac, bool router);

// Those that are due when a batch of actions is done.
class Announcements {
 public:
  // Nothing is said by links that are down or take no part in ARP.
  void note(std::size_t owner, const LinkName& where, const LinkFact& link, const IpAddress& address);
  void note_all(std::size_t owner, const LinkName& where, const LinkFact& link);
  // All addresses of a link whose MAC address this changes.
  void note_all(std::size_t owner, const ChangeLink& change, const LinkFact& link);
  // Each is sent once, from its namespace, and never waited for; none of the owners that failed. One that is
  // lost costs its neighbours the time that they take to find out by themselves.
  void send(const Observer& observer, const std::set<std::size_t>& failed) const;

 private:
  struct Due {
    std::size_t owner = 0;
    std::string link;  // its name
    int ifindex = 0;
    MacAddress mac;
    IpAddress address;
  };
  static void send(const std::vector<const Due*>& due);

  std::map<std::string, std::vector<Due>> due_;  // by netns path
};

}  // namespace lanwright::netlink
