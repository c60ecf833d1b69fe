#include "reconcilers/netlink/route_codec.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace lanwright::netlink {

namespace {

bool read_address(std::span<const std::uint8_t> bytes, std::uint8_t family, IpAddress& address) {
  address.family = family;
  if (bytes.size() != address.size()) return false;
  std::copy(bytes.begin(), bytes.end(), address.bytes.begin());
  return true;
}

std::span<const std::uint8_t> bytes_of(const IpAddress& address) {
  return {address.bytes.data(), address.size()};
}

rtmsg head_of(const RouteSpec& route) {
  rtmsg head{};
  head.rtm_family = route.to.address.family;
  head.rtm_dst_len = route.to.length;
  head.rtm_table = RT_TABLE_MAIN;
  head.rtm_protocol = kOwnProtocol;
  if (route.onlink) head.rtm_flags = RTNH_F_ONLINK;
  return head;
}

bool is_read(const rtmsg& head) {
  if (head.rtm_type != RTN_UNICAST || (head.rtm_family != AF_INET && head.rtm_family != AF_INET6))
    return false;
  return head.rtm_protocol == kOwnProtocol || head.rtm_dst_len == 0;
}

// Of several next hops the first's.
std::optional<int> ifindex_of(const Attributes& attributes) {
  const auto several = attributes.bytes(RTA_MULTIPATH);
  if (several.size() < sizeof(rtnexthop)) return attributes.s32(RTA_OIF);
  rtnexthop hop{};
  std::memcpy(&hop, several.data(), sizeof hop);
  return hop.rtnh_ifindex;
}

void put_route(Message& message, int ifindex, const RouteSpec& route) {
  const IpPrefix to = route.to.network();
  if (to.length > 0) message.put_bytes(RTA_DST, bytes_of(to.address));
  if (route.via) message.put_bytes(RTA_GATEWAY, bytes_of(*route.via));
  if (route.metric) message.put_u32(RTA_PRIORITY, *route.metric);
  message.put_s32(RTA_OIF, ifindex);
}

}  // namespace

std::optional<LinkRoute> decode_route(const nlmsghdr& message) {
  const auto* head = fixed_part<rtmsg>(message);
  if (head == nullptr || !is_read(*head)) return std::nullopt;
  const Attributes attributes(message, sizeof *head);
  const auto ifindex = ifindex_of(attributes);
  if (!ifindex || attributes.u32(RTA_TABLE).value_or(head->rtm_table) != RT_TABLE_MAIN) return std::nullopt;
  LinkRoute result;
  result.ifindex = *ifindex;
  result.fact.protocol = head->rtm_protocol;
  RouteSpec& route = result.fact.route;
  route.to.address.family = head->rtm_family;
  route.to.length = head->rtm_dst_len;
  if (head->rtm_dst_len > 0 && !read_address(attributes.bytes(RTA_DST), head->rtm_family, route.to.address)) {
    return std::nullopt;
  }
  IpAddress via;
  if (read_address(attributes.bytes(RTA_GATEWAY), head->rtm_family, via)) route.via = via;
  route.onlink = (head->rtm_flags & RTNH_F_ONLINK) != 0;
  const RouteSpec usual{route.to, route.via, std::nullopt};
  if (const auto metric = attributes.u32(RTA_PRIORITY); metric && *metric != effective_metric(usual))
    route.metric = metric;
  return result;
}

Message list_routes(std::uint8_t protocol) {
  rtmsg head{};
  head.rtm_table = RT_TABLE_MAIN;
  head.rtm_protocol = protocol;
  return {RTM_GETROUTE, NLM_F_REQUEST, head};
}

Message add_route(int ifindex, const RouteSpec& route, IfThere there) {
  rtmsg head = head_of(route);
  head.rtm_type = RTN_UNICAST;
  head.rtm_scope = route.via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  const int flags = NLM_F_CREATE | (there == IfThere::replace  ? NLM_F_REPLACE
                                    : there == IfThere::refuse ? NLM_F_EXCL
                                                               : 0);
  Message message(RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_ACK | flags, head);
  put_route(message, ifindex, route);
  return message;
}

Message remove_route(int ifindex, const RouteSpec& route) {
  rtmsg head = head_of(route);
  head.rtm_scope = RT_SCOPE_NOWHERE;  // any
  Message message(RTM_DELROUTE, NLM_F_REQUEST | NLM_F_ACK, head);
  put_route(message, ifindex, route);
  return message;
}

}  // namespace lanwright::netlink
