#include "reconcilers/netlink/link_codec.h"

#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "reconcilers/kinds/bridge.h"
#include "reconcilers/kinds/tun.h"
#include "reconcilers/netlink/attributes.h"

namespace lanwright::netlink {

namespace {

using Place = LinkAttribute::Place;

constexpr int kChange = NLM_F_REQUEST | NLM_F_ACK;
constexpr std::uint16_t kLastVid = 4094;
constexpr std::size_t kVlansSize = 48U << 10U;  // 4094 entries of 8 bytes and the head

ifinfomsg by_index(int ifindex, unsigned char family = AF_UNSPEC) {
  ifinfomsg head{};
  head.ifi_family = family;
  head.ifi_index = ifindex;
  return head;
}

void set_up(Message& message, bool up) {
  auto* head = static_cast<ifinfomsg*>(NLMSG_DATA(&message.header()));
  head->ifi_flags = up ? unsigned{IFF_UP} : 0U;
  head->ifi_change = IFF_UP;
}

void set_arp(Message& message, bool arp) {
  auto* head = static_cast<ifinfomsg*>(NLMSG_DATA(&message.header()));
  if (!arp) head->ifi_flags |= IFF_NOARP;
  head->ifi_change |= IFF_NOARP;
}

void put_mac(Message& message, const std::optional<MacAddress>& mac) {
  if (mac) message.put_bytes(IFLA_ADDRESS, mac->bytes);
}

void put_altname(Message& message, const std::string& altname) {
  message.nest(IFLA_PROP_LIST, [&] { message.put_text(IFLA_ALT_IFNAME, altname); });
}

void put_mtu(Message& message, std::optional<std::uint32_t> mtu) {
  if (mtu) message.put_u32(IFLA_MTU, *mtu);
}

// Without the final zero: an empty one then takes the alias away.
void put_alias(Message& message, const std::string& alias) {
  message.put_bytes(IFLA_IFALIAS, {reinterpret_cast<const std::uint8_t*>(alias.data()), alias.size()});
}

void put_ipv6(Message& message, Ipv6Addresses mode) {
  message.nest(IFLA_AF_SPEC, [&] {
    message.nest(AF_INET6, [&] {
      message.put_u8(IFLA_INET6_ADDR_GEN_MODE,
                     mode == Ipv6Addresses::none ? IN6_ADDR_GEN_MODE_NONE : IN6_ADDR_GEN_MODE_EUI64);
    });
  });
}

void put_port_attributes(Message& message, const LinkAttributes& attributes, std::string_view port_kind) {
  message.nest(IFLA_LINKINFO, [&] {
    message.put_text(IFLA_INFO_SLAVE_KIND, std::string(port_kind));
    message.nest(IFLA_INFO_SLAVE_DATA, [&] { put_attributes(message, attributes, Place::port); });
  });
}

void put_peer(Message& message, const LinkSpec& peer, int netns) {
  message.nest(VETH_INFO_PEER, [&] {
    message.append(ifinfomsg{});  // IFF_UP here would fail the whole creation (ENOTCONN)
    message.put_text(IFLA_IFNAME, peer.at.name);
    message.put_u32(IFLA_GROUP, birth_group(peer));
    put_mac(message, peer.mac);
    put_mtu(message, peer.mtu);
    if (netns >= 0) message.put_s32(IFLA_NET_NS_FD, netns);
  });
}

// Where IPv6 is not there at all no address is made either. Events of a falling MTU still tell the old mode.
Ipv6Addresses read_ipv6(const Attributes& link, std::uint32_t mtu) {
  const auto mode = link.nest(IFLA_AF_SPEC).nest(AF_INET6).u8(IFLA_INET6_ADDR_GEN_MODE);
  const bool none = !mode || *mode == IN6_ADDR_GEN_MODE_NONE || mtu < kIpv6MinMtu;
  return none ? Ipv6Addresses::none : Ipv6Addresses::automatic;
}

std::optional<MacAddress> read_mac(const Attributes& link) {
  const auto bytes = link.bytes(IFLA_ADDRESS);
  MacAddress mac;
  if (bytes.size() != mac.bytes.size()) return std::nullopt;
  std::copy(bytes.begin(), bytes.end(), mac.bytes.begin());
  return mac;
}

std::vector<std::string> read_altnames(const Attributes& link) {
  std::vector<std::string> names;
  for_each_attribute(link.find(IFLA_PROP_LIST), [&](int type, std::span<const std::uint8_t> bytes) {
    if (type == IFLA_ALT_IFNAME) names.push_back(text_of(bytes));
  });
  return names;
}

// The fixed part of a "tun" says nothing; IFLA_TUN_OWNER and _GROUP are there when they were set.
void read_kind(const Attributes& link, LinkFact& fact) {
  const Attributes info = link.nest(IFLA_LINKINFO);
  fact.kind = info.text(IFLA_INFO_KIND);
  fact.port_kind = info.text(IFLA_INFO_SLAVE_KIND);
  const Attributes data = info.nest(IFLA_INFO_DATA);
  if (fact.kind == kinds::kTun.name) {
    fact.tap_owner = data.u32(IFLA_TUN_OWNER);
    fact.tap_group = data.u32(IFLA_TUN_GROUP);
  }
  read_attributes(info.nest(IFLA_INFO_SLAVE_DATA), fact.port_kind, Place::port, fact.attributes);
  read_attributes(data, fact.kind, Place::link, fact.attributes);
}

PortVlansFact read_vlans(const nlattr* spec) {
  PortVlansFact vlans;
  std::uint16_t first = 0;
  for_each_attribute(spec, [&](int type, std::span<const std::uint8_t> bytes) {
    bridge_vlan_info entry{};
    if (type != IFLA_BRIDGE_VLAN_INFO || bytes.size() < sizeof entry) return;
    std::memcpy(&entry, bytes.data(), sizeof entry);
    if (entry.vid > kLastVid) return;
    if ((entry.flags & BRIDGE_VLAN_INFO_RANGE_BEGIN) != 0) {
      first = entry.vid;
      return;
    }
    if ((entry.flags & BRIDGE_VLAN_INFO_RANGE_END) == 0) first = entry.vid;
    const bool pvid = (entry.flags & BRIDGE_VLAN_INFO_PVID) != 0;
    const bool untagged = (entry.flags & BRIDGE_VLAN_INFO_UNTAGGED) != 0;
    if (pvid && untagged) {
      vlans.pvid = entry.vid;
      return;
    }
    auto& list = pvid || untagged ? vlans.odd : vlans.tagged;
    for (unsigned vid = first; vid <= entry.vid; ++vid) list.push_back(static_cast<std::uint16_t>(vid));
  });
  std::sort(vlans.tagged.begin(), vlans.tagged.end());
  std::sort(vlans.odd.begin(), vlans.odd.end());
  return vlans;
}

void put_vlan(Message& message, unsigned flags, std::uint16_t vid) {
  message.put_struct(IFLA_BRIDGE_VLAN_INFO, bridge_vlan_info{static_cast<std::uint16_t>(flags), vid});
}

// Runs of neighbours go as a range.
void put_tagged(Message& message, const std::vector<std::uint16_t>& vids) {
  for (const VlanRange& range : ranges_of(vids)) {
    if (range.first == range.last) {
      put_vlan(message, 0, range.first);
    } else {
      put_vlan(message, BRIDGE_VLAN_INFO_RANGE_BEGIN, range.first);
      put_vlan(message, BRIDGE_VLAN_INFO_RANGE_END, range.last);
    }
  }
}

Message set_vlans(int type, int ifindex, const PortVlans& vlans, unsigned pvid_flags, VlansOf whose) {
  Message message(type, kChange, by_index(ifindex, AF_BRIDGE), kVlansSize);
  message.nest(IFLA_AF_SPEC, [&] {
    if (whose == VlansOf::bridge) message.put_u16(IFLA_BRIDGE_FLAGS, BRIDGE_FLAGS_SELF);
    if (vlans.pvid) put_vlan(message, pvid_flags, *vlans.pvid);
    put_tagged(message, vlans.tagged);
  });
  return message;
}

// `name` addresses the link when the head has no index.
Message head_of_change(int ifindex, const std::string& name) {
  Message message(RTM_NEWLINK, kChange, by_index(ifindex));
  if (ifindex == 0) message.put_text(IFLA_IFNAME, name);
  return message;
}

// Below IPv6's least MTU the kernel knows no mode of a link's addresses, and refuses it (EAFNOSUPPORT).
bool refuses_ipv6(const LinkSpec& link) {
  return link.ipv6 == Ipv6Addresses::none && link.mtu.value_or(kIpv6MinMtu) >= kIpv6MinMtu;
}

// A bridge takes the lowest MTU of its ports unless its own was changed (net/bridge/br_device.c:
// br_change_mtu). What it is made with does not count, nor does what changes nothing: so it is made with
// another one.
bool is_told_mtu_again(const LinkSpec& link) {
  return link.kind == kinds::kBridge.name;
}

std::optional<std::uint32_t> mtu_at_birth(const LinkSpec& link) {
  // No limit (68 and 65535, IPv6's 1280) is between the two.
  if (link.mtu && is_told_mtu_again(link)) return *link.mtu ^ 1U;
  return link.mtu;
}

// Port attributes and UP, which come last.
void finish_dress(std::vector<Message>& messages, int ifindex, const LinkSpec& link, bool up) {
  const bool port = any_of(link.attributes, Place::port);
  // The kernel sets UP before the IPv6 mode of the same message, and port attributes before the master.
  if (port || (up && refuses_ipv6(link))) {
    messages.push_back(head_of_change(ifindex, link.at.name));
  }
  if (port) put_port_attributes(messages.back(), link.attributes, kinds::kBridge.name);
  if (up) set_up(messages.back(), true);
  if (!link.arp) set_arp(messages.back(), false);
  if (link.altname.empty()) return;
  Message altname(RTM_NEWLINKPROP, kChange | NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND, by_index(ifindex));
  if (ifindex == 0) altname.put_text(IFLA_IFNAME, link.at.name);
  put_altname(altname, link.altname);
  messages.push_back(std::move(altname));
}

}  // namespace

std::optional<LinkFact> decode_link(const nlmsghdr& message) {
  const auto* head = fixed_part<ifinfomsg>(message);
  if (head == nullptr || head->ifi_family != AF_UNSPEC) return std::nullopt;
  const Attributes link(message, sizeof *head);
  if (!link.has(IFLA_IFNAME) || !link.has(IFLA_MTU)) return std::nullopt;
  LinkFact fact;
  fact.ifindex = head->ifi_index;
  fact.up = (head->ifi_flags & IFF_UP) != 0;
  fact.lower_up = (head->ifi_flags & IFF_LOWER_UP) != 0;
  fact.loopback = (head->ifi_flags & IFF_LOOPBACK) != 0;
  fact.ethernet = head->ifi_type == ARPHRD_ETHER;
  fact.arp = (head->ifi_flags & IFF_NOARP) == 0;
  fact.name = link.text(IFLA_IFNAME);
  fact.altnames = read_altnames(link);
  fact.mtu = link.u32(IFLA_MTU).value_or(0);
  fact.mac = read_mac(link);
  fact.master = link.s32(IFLA_MASTER).value_or(0);
  fact.parent = link.s32(IFLA_LINK).value_or(0);
  fact.parent_nsid = link.s32(IFLA_LINK_NETNSID).value_or(-1);
  fact.group = link.u32(IFLA_GROUP).value_or(0);
  fact.alias = link.text(IFLA_IFALIAS);
  fact.ipv6 = read_ipv6(link, fact.mtu);
  read_kind(link, fact);
  return fact;
}

bool is_of_bridge(const nlmsghdr& message) {
  const auto* head = fixed_part<ifinfomsg>(message);
  return head != nullptr && head->ifi_family == AF_BRIDGE;
}

std::optional<PortFact> decode_port(const nlmsghdr& message) {
  if (!is_of_bridge(message)) return std::nullopt;
  const auto* head = fixed_part<ifinfomsg>(message);
  const Attributes link(message, sizeof *head);
  PortFact port;
  port.ifindex = head->ifi_index;
  port.master = link.s32(IFLA_MASTER).value_or(0);
  if (port.master == 0) return std::nullopt;
  read_attributes(link.nest(IFLA_PROTINFO), kinds::kBridge.name, Place::port, port.attributes);
  port.vlans = read_vlans(link.find(IFLA_AF_SPEC));
  return port;
}

Message list_links() {
  Message message(RTM_GETLINK, NLM_F_REQUEST, ifinfomsg{});
  message.put_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  return message;
}

Message list_ports() {
  Message message(RTM_GETLINK, NLM_F_REQUEST, by_index(0, AF_BRIDGE));
  message.put_u32(IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN_COMPRESSED | RTEXT_FILTER_SKIP_STATS);
  return message;
}

Message get_link(int ifindex) {
  Message message(RTM_GETLINK, kChange, by_index(ifindex));
  message.put_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  return message;
}

Message get_link(const std::string& name) {
  Message message(RTM_GETLINK, kChange, ifinfomsg{});
  message.put_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  message.put_text(IFLA_IFNAME, name);
  return message;
}

namespace {

Message create_link(const LinkSpec& link, const std::string& name, const LinkPlace& place,
                    const LinkSpec* peer, int peer_netns) {
  Message message(RTM_NEWLINK, kChange | NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{});
  message.put_text(IFLA_IFNAME, name);
  message.put_u32(IFLA_GROUP, birth_group(link));
  put_mac(message, link.mac);
  put_mtu(message, mtu_at_birth(link));
  if (place.master != 0) message.put_s32(IFLA_MASTER, place.master);
  if (place.parent != 0) message.put_s32(IFLA_LINK, place.parent);
  if (place.nsid >= 0) message.put_s32(IFLA_TARGET_NETNSID, place.nsid);
  message.nest(IFLA_LINKINFO, [&] {
    message.put_text(IFLA_INFO_KIND, link.kind);
    if (peer == nullptr && !any_of(link.attributes, Place::link)) return;
    message.nest(IFLA_INFO_DATA, [&] {
      put_attributes(message, link.attributes, Place::link);
      if (peer != nullptr) put_peer(message, *peer, peer_netns);
    });
  });
  return message;
}

}  // namespace

Message create_link(const LinkSpec& link, const LinkPlace& place, const LinkSpec* peer, int peer_netns) {
  return create_link(link, link.at.name, place, peer, peer_netns);
}

Message create_link(const LinkSpec& link, const LinkPlace& place, const std::string& temporary_name) {
  return create_link(link, temporary_name, place, nullptr, -1);
}

std::vector<Message> configure_new_link(const LinkSpec& link, const OwnerTag& mark, std::optional<int> master,
                                        bool up) {
  std::vector<Message> messages;
  Message first = head_of_change(0, link.at.name);
  put_alias(first, mark.text());
  if (is_told_mtu_again(link)) put_mtu(first, link.mtu);
  if (master) first.put_s32(IFLA_MASTER, *master);
  if (refuses_ipv6(link)) put_ipv6(first, link.ipv6);
  messages.push_back(std::move(first));
  finish_dress(messages, 0, link, up);
  return messages;
}

std::vector<Message> configure_temporarily_named(int ifindex, const LinkSpec& link, const OwnerTag& mark,
                                                 int master, bool up) {
  std::vector<Message> messages;
  Message first = head_of_change(ifindex, {});
  first.put_text(IFLA_IFNAME, link.at.name);
  put_alias(first, mark.text());
  first.put_u32(IFLA_GROUP, birth_group(link));
  put_mac(first, link.mac);
  put_mtu(first, link.mtu);
  if (master != 0) first.put_s32(IFLA_MASTER, master);
  if (refuses_ipv6(link)) put_ipv6(first, link.ipv6);
  messages.push_back(std::move(first));
  finish_dress(messages, ifindex, link, up);
  return messages;
}

std::vector<Message> change_link(const ChangeLink& change, int master) {
  std::vector<Message> messages;
  if (change.remove_altname) {
    messages.emplace_back(RTM_DELLINKPROP, kChange, by_index(change.ifindex));
    put_altname(messages.back(), *change.remove_altname);
  }
  const std::size_t before = messages.size();
  Message first = head_of_change(change.ifindex, {});
  if (change.rename) first.put_text(IFLA_IFNAME, *change.rename);
  if (change.alias) put_alias(first, *change.alias);
  if (change.group) first.put_u32(IFLA_GROUP, *change.group);
  put_mac(first, change.mac);
  put_mtu(first, change.mtu);
  if (change.master) first.put_s32(IFLA_MASTER, master);
  if (change.ipv6) put_ipv6(first, *change.ipv6);
  if (any_of(change.attributes, Place::link)) {
    first.nest(IFLA_LINKINFO, [&] {
      first.put_text(IFLA_INFO_KIND, change.kind);
      first.nest(IFLA_INFO_DATA, [&] { put_attributes(first, change.attributes, Place::link); });
    });
  }
  const bool empty = !first.has_attributes(sizeof(ifinfomsg));
  const bool port = any_of(change.attributes, Place::port);
  if (!empty) messages.push_back(std::move(first));
  // The kernel sets UP before the IPv6 mode of the same message, and port attributes before the master.
  if (messages.size() == before || port || (change.up && change.ipv6)) {
    if (port || change.up || change.arp) messages.push_back(head_of_change(change.ifindex, {}));
  }
  if (port) put_port_attributes(messages.back(), change.attributes, change.port_kind);
  if (change.up) set_up(messages.back(), *change.up);
  if (change.arp) set_arp(messages.back(), *change.arp);
  if (!change.add_altname) return messages;
  Message altname(RTM_NEWLINKPROP, kChange | NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND,
                  by_index(change.ifindex));
  put_altname(altname, *change.add_altname);
  messages.push_back(std::move(altname));
  return messages;
}

Message set_up(int ifindex, bool up) {
  Message message = head_of_change(ifindex, {});
  set_up(message, up);
  return message;
}

Message set_name(int ifindex, const std::string& name) {
  Message message = head_of_change(ifindex, {});
  message.put_text(IFLA_IFNAME, name);
  return message;
}

Message set_alias(const std::string& name, const std::string& alias) {
  Message message = head_of_change(0, name);
  put_alias(message, alias);
  return message;
}

Message set_group(int ifindex, std::uint32_t group) {
  Message message = head_of_change(ifindex, {});
  message.put_u32(IFLA_GROUP, group);
  return message;
}

Message add_vlans(int ifindex, const PortVlans& vlans, VlansOf whose) {
  return set_vlans(RTM_SETLINK, ifindex, vlans, BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED, whose);
}

Message remove_vlans(int ifindex, const PortVlans& vlans, VlansOf whose) {
  return set_vlans(RTM_DELLINK, ifindex, vlans, 0, whose);
}

Message delete_link(int ifindex) {
  return {RTM_DELLINK, kChange, by_index(ifindex)};
}

Message delete_link(const std::string& name) {
  Message message(RTM_DELLINK, kChange, ifinfomsg{});
  message.put_text(IFLA_IFNAME, name);
  return message;
}

Message delete_group(std::uint32_t group) {
  Message message(RTM_DELLINK, kChange, ifinfomsg{});
  message.put_u32(IFLA_GROUP, group);
  return message;
}

}  // namespace lanwright::netlink
