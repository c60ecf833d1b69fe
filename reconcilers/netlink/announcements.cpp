#include "reconcilers/netlink/announcements.h"

#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <span>

#include "reconcilers/os/namespace.h"

namespace lanwright::netlink {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr MacAddress kEverybody{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
constexpr MacAddress kAllNodesMac{{0x33, 0x33, 0, 0, 0, 1}};  // RFC 2464, 7

void put(Bytes& frame, std::span<const std::uint8_t> bytes) {
  frame.insert(frame.end(), bytes.begin(), bytes.end());
}

void put(Bytes& frame, std::initializer_list<unsigned> bytes) {
  for (const unsigned byte : bytes) frame.push_back(static_cast<std::uint8_t>(byte));
}

void put16(Bytes& frame, unsigned value) {
  put(frame, {value >> 8U, value & 0xffU});
}

void put(Bytes& frame, const IpAddress& address) {
  put(frame, std::span(address.bytes.data(), address.size()));
}

Bytes ethernet(const MacAddress& to, const MacAddress& from, unsigned type) {
  Bytes frame;
  put(frame, to.bytes);
  put(frame, from.bytes);
  put16(frame, type);
  return frame;
}

// A request, which every neighbour takes notice of: sender and target are the same.
Bytes arp_announcement(const IpAddress& address, const MacAddress& mac) {
  Bytes frame = ethernet(kEverybody, mac, ETH_P_ARP);
  put16(frame, ARPHRD_ETHER);
  put16(frame, ETH_P_IP);
  put(frame, {ETH_ALEN, 4});
  put16(frame, ARPOP_REQUEST);
  put(frame, mac.bytes);
  put(frame, address);
  put(frame, MacAddress{}.bytes);
  put(frame, address);
  return frame;
}

// The sum of 16-bit words (RFC 1071), not complemented yet.
unsigned sum_of(std::span<const std::uint8_t> bytes) {
  unsigned sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2)
    sum += static_cast<unsigned>(bytes[i]) << 8U | bytes[i + 1];
  return sum;
}

// From the address to all nodes: header and message share the sum.
Bytes neighbour_advertisement(const IpAddress& address, const MacAddress& mac, bool router) {
  constexpr unsigned kHopLimit = 255;
  constexpr unsigned kOverride = 0x20;
  constexpr unsigned kRouter = 0x80;
  const IpAddress all_nodes = *IpAddress::parse("ff02::1");
  Bytes message;
  put(message, {ND_NEIGHBOR_ADVERT, 0, 0, 0, kOverride | (router ? kRouter : 0U), 0, 0, 0});
  put(message, address);
  put(message, {ND_OPT_TARGET_LINKADDR, 1});
  put(message, mac.bytes);

  Bytes pseudo_header;
  put(pseudo_header, address);
  put(pseudo_header, all_nodes);
  put(pseudo_header, {0, 0, 0, static_cast<unsigned>(message.size()), 0, 0, 0, IPPROTO_ICMPV6});
  unsigned sum = sum_of(pseudo_header) + sum_of(message);
  while (sum >> 16U != 0) sum = (sum & 0xffffU) + (sum >> 16U);
  message[2] = static_cast<std::uint8_t>(~sum >> 8U);
  message[3] = static_cast<std::uint8_t>(~sum);

  Bytes frame = ethernet(kAllNodesMac, mac, ETH_P_IPV6);
  put(frame, {0x60, 0, 0, 0});
  put16(frame, static_cast<unsigned>(message.size()));
  put(frame, {IPPROTO_ICMPV6, kHopLimit});
  put(frame, address);
  put(frame, all_nodes);
  put(frame, message);
  return frame;
}

// In the namespace that the thread stands in.
bool is_router(const std::string& link) {
  std::ifstream file("/proc/sys/net/ipv6/conf/" + link + "/forwarding");
  int forwarding = 0;
  return bool(file >> forwarding) && forwarding != 0;
}

}  // namespace

std::vector<std::uint8_t> announcement(const IpAddress& address, const MacAddress& mac, bool router) {
  return address.family == AF_INET6 ? neighbour_advertisement(address, mac, router)
                                    : arp_announcement(address, mac);
}

void Announcements::note(std::size_t owner, const LinkName& where, const LinkFact& link,
                         const IpAddress& address) {
  if (!link.up || !link.arp || link.loopback || !link.mac) return;
  due_[where.netns].push_back({owner, link.name, link.ifindex, *link.mac, address});
}

void Announcements::note_all(std::size_t owner, const LinkName& where, const LinkFact& link) {
  for (const AddressFact& each : link.addresses) {
    if (each.state == AddressState::usable) note(owner, where, link, each.prefix.address);
  }
}

void Announcements::note_all(std::size_t owner, const ChangeLink& change, const LinkFact& link) {
  LinkFact changed = link;
  changed.mac = change.mac;
  changed.up = change.up.value_or(link.up);
  if (change.rename) changed.name = *change.rename;
  note_all(owner, change.at, changed);
}

void Announcements::send(const Observer& observer, const std::set<std::size_t>& failed) const {
  for (const auto& [netns, all] : due_) {
    std::vector<const Due*> due;
    for (const Due& each : all) {
      if (!failed.contains(each.owner)) due.push_back(&each);
    }
    const auto place = due.empty() ? Result<os::Descriptor>(os::Descriptor()) : observer.reopen(netns);
    if (due.empty() || !place) continue;  // it went meanwhile
    const os::NamespaceVisit visit(*place);
    if (visit.error() == 0) send(due);
  }
}

void Announcements::send(const std::vector<const Due*>& due) {
  const os::Descriptor socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return;
  for (const Due* each : due) {
    const bool router = each->address.family == AF_INET6 && is_router(each->link);
    const Bytes frame = announcement(each->address, each->mac, router);
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = each->ifindex;
    ::sendto(socket.get(), frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  }
}

}  // namespace lanwright::netlink
