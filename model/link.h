// Kernel links as values: what is wanted of one (LinkSpec) and what the kernel says of one (LinkFact).
// The words are those of ip-link(8) and <linux/if_link.h>.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/base/addresses.h"
#include "model/base/ids.h"
#include "model/desired.h"
#include "model/link_attribute.h"

namespace lanwright {

// A link's place: the path of its netns ("" is the namespace that the agent manages) and its name there.
struct LinkName {
  std::string netns;
  std::string name;
  auto operator<=>(const LinkName&) const = default;
  bool operator==(const LinkName&) const = default;
  std::string text() const;  // "eth0" or "eth0 in /run/netns/r1"
};

// Address generation of IPv6 on a link: `none` keeps the kernel from giving it a link-local address and from
// soliciting routers, so that a pure L2 port makes no noise.
enum class Ipv6Addresses : std::uint8_t { automatic, none };

// A link that an object wants. Everything optional that is absent is not looked at.
struct LinkSpec {
  LinkName at;
  std::string role;  // tells the links of one object apart in their marks; "" for the main one
  std::string kind;  // IFLA_INFO_KIND: "" = a host link used as it is
  // An uplink: the agent only sets master, port attributes and UP. With a `kind`, a bridge of the host's that
  // ports are plugged into: nothing of it is the agent's to say.
  bool borrowed = false;
  bool created_with_peer = false;  // made by the creation of `peer`, the other end of a veth
  bool accept_foreign =
      false;  // a link of this name that is not ours is as good: it is used, and left as it is
  // Somebody else (Docker) moves it, and names and configures it: it is found by its mark, in
  // `delegate_netns` as well as at `at`, and is left as it is.
  bool delegated = false;
  std::string delegate_netns;     // the path of a netns; "" is the managed one
  bool handover_pending = false;  // not made when it is missing: somebody has it in his hands
  std::optional<LinkName> peer;
  std::string altname;  // the full name, where `at.name` is a shortened one
  std::string master;   // name, same namespace; "" = whoever uses the link says
  std::string parent;   // IFLA_LINK by name in the managed namespace, for vlan, macvlan, ipvlan
  bool up = true;
  bool arp = true;  // false: this host does not answer for its addresses there; true is not looked at
  std::optional<std::uint32_t> mtu;
  std::optional<MacAddress> mac;
  std::optional<std::uint32_t> tap_owner;
  std::optional<std::uint32_t> tap_group;
  Ipv6Addresses ipv6 = Ipv6Addresses::automatic;
  LinkAttributes attributes;
  std::optional<PortVlans> vlans;
  std::vector<IpPrefix> addresses;
  std::vector<RouteSpec> routes;
  // What it sends has whole checksums, unless what carries it completes them (OvsFacts::userspace_tso): set
  // before it goes up.
  bool whole_checksums = false;
  std::vector<Sysctl> sysctls;  // of a delegated one: set before it goes up when it is made again
  bool operator==(const LinkSpec&) const = default;

  bool is_host_bridge() const { return borrowed && !kind.empty(); }
};

// A link of the managed namespace that links of an object stand on and that is not the object's own: used as
// it is.
struct ParentUse {
  std::string name;
  std::string kind;                  // of the links on it
  LinkAttributes attributes;         // of theirs; some can be had in one way only by all links on one parent
  std::optional<std::uint32_t> mtu;  // of theirs; it cannot exceed the parent's
  bool operator==(const ParentUse&) const = default;
};

// Of IPv6: an address that is being looked for on the link (RFC 4862, 5.4), and one that another host has.
enum class AddressState : std::uint8_t { usable, tentative, duplicate };

inline constexpr std::uint32_t kLeastIpv6Mtu = 1280;  // RFC 8200, 5; below it a link has no IPv6

struct AddressFact {
  IpPrefix prefix;
  std::uint8_t protocol = 0;  // IFA_PROTO: the agent's own are marked with kOwnProtocol
  AddressState state = AddressState::usable;
  bool secondary =
      false;  // of IPv4: another one of its subnet was there first, and is what the host speaks by
  bool operator==(const AddressFact&) const = default;
};

// Of the main table; only the agent's own (kOwnProtocol), and default routes: in the managed namespace those
// made by hand (RTPROT_BOOT, as ip-route(8) and Docker make them), in others whoever made them.
struct RouteFact {
  RouteSpec route;
  std::uint8_t protocol = 0;  // rtm_protocol
  bool operator==(const RouteFact&) const = default;
};

// rtm_protocol and IFA_PROTO of what the agent adds (a number that /etc/iproute2/rt_protos leaves free).
inline constexpr std::uint8_t kOwnProtocol = 108;
// IFLA_GROUP given at creation to every link of the agent.
inline constexpr std::uint32_t kOwnGroup = 0x6c77;
// The same for one that is made again in a namespace that was handed over, until all of it is there.
inline constexpr std::uint32_t kIncompleteGroup = 0x6c78;
// A link that is being removed is in a random group with this bit, which a crash may leave it in.
inline constexpr std::uint32_t kDeletingGroup = 0x40000000;
inline bool is_birth_group(std::uint32_t group) {
  return group == kOwnGroup || group == kIncompleteGroup;
}
// Also one whose removal failed, or was cut short.
inline bool is_incomplete_group(std::uint32_t group) {
  return group == kIncompleteGroup || (group & kDeletingGroup) != 0;
}
inline std::uint32_t birth_group(const LinkSpec& link) {
  return link.delegated && !link.at.netns.empty() ? kIncompleteGroup : kOwnGroup;
}
inline bool is_own_group(std::uint32_t group) {
  return is_birth_group(group) || (group & kDeletingGroup) != 0;
}

struct PortVlansFact : PortVlans {
  std::vector<std::uint16_t> odd;  // ascending: untagged without being the PVID, or the PVID but tagged
  PortVlansFact() = default;
  PortVlansFact(PortVlans vlans) : PortVlans(std::move(vlans)) {}
  bool operator==(const PortVlansFact&) const = default;
  bool operator==(const PortVlans& vlans) const { return *this == PortVlansFact(vlans); }
};

struct LinkFact {
  int ifindex = 0;
  std::string name;
  std::vector<std::string> altnames;
  std::string kind;       // "" for physical links
  std::string port_kind;  // IFLA_INFO_SLAVE_KIND: "bridge" for a bridge's port
  bool up = false;        // IFF_UP
  bool lower_up = false;  // IFF_LOWER_UP: carrier
  bool loopback = false;
  bool ethernet = true;  // ARPHRD_ETHER: frames with MAC addresses; not tun, WireGuard, ppp
  bool arp = true;       // not IFF_NOARP
  std::uint32_t mtu = 0;
  std::optional<MacAddress> mac;
  int master = 0;        // ifindex, 0 = none
  int parent = 0;        // IFLA_LINK: ifindex, of the parent or the veth peer
  int parent_nsid = -1;  // IFLA_LINK_NETNSID: where `parent` lives, -1 = same namespace
  std::uint32_t group = 0;
  std::string alias;
  Ipv6Addresses ipv6 = Ipv6Addresses::automatic;
  std::optional<std::uint32_t> tap_owner;
  std::optional<std::uint32_t> tap_group;
  LinkAttributes attributes;
  PortVlansFact vlans;  // read only for ports of bridges that filter VLANs
  std::vector<AddressFact> addresses;
  std::vector<RouteFact> routes;  // that leave through this link
  bool operator==(const LinkFact&) const = default;
};

// The mark in a link's alias: "lanwright:UID" or "lanwright:UID/ROLE".
struct OwnerTag {
  ObjectUid uid;
  std::string role;
  auto operator<=>(const OwnerTag&) const = default;
  bool operator==(const OwnerTag&) const = default;
  std::string text() const;
  static std::optional<OwnerTag> parse(const std::string& alias);
};

}  // namespace lanwright
