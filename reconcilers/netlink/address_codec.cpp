#include "reconcilers/netlink/address_codec.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>

namespace lanwright::netlink {

namespace {

Message change(int type, int flags, int ifindex, const IpPrefix& prefix) {
  ifaddrmsg head{};
  head.ifa_family = prefix.address.family;
  head.ifa_prefixlen = prefix.length;
  head.ifa_index = static_cast<unsigned>(ifindex);
  const bool loopback = prefix.address.family == AF_INET && prefix.address.bytes[0] == 127;
  head.ifa_scope = loopback ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
  Message message(type, NLM_F_REQUEST | NLM_F_ACK | flags, head);
  const std::span<const std::uint8_t> bytes(prefix.address.bytes.data(), prefix.address.size());
  message.put_bytes(IFA_LOCAL, bytes);
  message.put_bytes(IFA_ADDRESS, bytes);
  return message;
}

// As Docker, systemd-networkd and ifupdown have it; a pair has none (RFC 3021).
bool has_broadcast(const IpPrefix& prefix) {
  constexpr std::uint8_t kLongest = 30;
  return prefix.address.family == AF_INET && prefix.length <= kLongest && prefix.address.bytes[0] != 127;
}

AddressState state_of(std::uint32_t flags) {
  if ((flags & IFA_F_DADFAILED) != 0) return AddressState::duplicate;
  const bool tentative = (flags & IFA_F_TENTATIVE) != 0 && (flags & IFA_F_OPTIMISTIC) == 0;
  return tentative ? AddressState::tentative : AddressState::usable;
}

}  // namespace

std::optional<LinkAddress> decode_address(const nlmsghdr& message) {
  const auto* head = fixed_part<ifaddrmsg>(message);
  if (head == nullptr) return std::nullopt;
  const Attributes attributes(message, sizeof *head);
  // With a point-to-point peer IFA_ADDRESS is the peer; IPv6 without one has IFA_ADDRESS alone.
  const auto bytes = attributes.bytes(attributes.has(IFA_LOCAL) ? IFA_LOCAL : IFA_ADDRESS);
  LinkAddress result;
  IpPrefix& prefix = result.fact.prefix;
  prefix.address.family = head->ifa_family;
  prefix.length = head->ifa_prefixlen;
  if ((head->ifa_family != AF_INET && head->ifa_family != AF_INET6) ||
      bytes.size() != prefix.address.size()) {
    return std::nullopt;
  }
  std::copy(bytes.begin(), bytes.end(), prefix.address.bytes.begin());
  const std::uint32_t flags = attributes.u32(IFA_FLAGS).value_or(head->ifa_flags);
  result.fact.state = state_of(flags);
  // The kernel tells of an address of its own making when duplicate detection has ended: until then a list
  // that has it is ahead.
  const bool link_local = prefix.address.bytes[0] == 0xfe && prefix.address.family == AF_INET6;
  if (result.fact.state == AddressState::tentative && message.nlmsg_type == RTM_NEWADDR &&
      (link_local || (flags & IFA_F_PERMANENT) == 0))
    return std::nullopt;
  result.fact.secondary = head->ifa_family == AF_INET && (flags & IFA_F_SECONDARY) != 0;
  result.ifindex = static_cast<int>(head->ifa_index);
  result.fact.protocol = attributes.u8(IFA_PROTO).value_or(0);
  return result;
}

Message list_addresses() {
  return {RTM_GETADDR, NLM_F_REQUEST, ifaddrmsg{}};
}

Message add_address(int ifindex, const IpPrefix& address, bool look_for_duplicates) {
  Message message = change(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, ifindex, address);
  const IpAddress last = address.last();
  if (has_broadcast(address)) message.put_bytes(IFA_BROADCAST, {last.bytes.data(), last.size()});
  message.put_u8(IFA_PROTO, kOwnProtocol);  // since Linux 5.18, ignored before
  if (address.address.family == AF_INET6 && !look_for_duplicates) message.put_u32(IFA_FLAGS, IFA_F_NODAD);
  return message;
}

Message remove_address(int ifindex, const IpPrefix& address) {
  return change(RTM_DELADDR, 0, ifindex, address);
}

Message promote_secondaries(int ifindex) {
  ifinfomsg head{};
  head.ifi_index = ifindex;
  Message message(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, head);
  message.nest(IFLA_AF_SPEC, [&] {
    message.nest(AF_INET, [&] {
      message.nest(IFLA_INET_CONF, [&] { message.put_u32(IPV4_DEVCONF_PROMOTE_SECONDARIES, 1); });
    });
  });
  return message;
}

}  // namespace lanwright::netlink
