// What the kernel does to the facts of its links, in memory: one change has others as its consequences, in
// the order and by the rules of Linux (net/core, net/bridge, net/8021q, drivers/net). Numbers of errors are
// the kernel's. memory_kernel.h is its face; an integration test holds both against the real kernel.
//
// Left out: carrier, link-local addresses, statistics, and whatever takes time.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/observed.h"
#include "reconcilers/backends/link_backend.h"
#include "reconcilers/kinds/bridge.h"
#include "reconcilers/kinds/ipvlan.h"
#include "reconcilers/kinds/macvlan.h"
#include "reconcilers/kinds/tun.h"
#include "reconcilers/kinds/vlan.h"

namespace lanwright::test {

// In which the kernels that the agent runs on differ.
struct KernelBuild {
  bool vlan_filtering = true;    // CONFIG_BRIDGE_VLAN_FILTERING
  bool renames_while_up = true;  // since Linux 6.2
};

class MemoryLinks {
 public:
  explicit MemoryLinks(KernelBuild build) : build_(build) { facts_.complete = true; }

  const Observed& facts() const { return facts_; }
  const KernelBuild& build() const { return build_; }
  ObservedChange take_touched() { return std::exchange(touched_, {}); }

  void add_namespace(const std::string& path) {
    NamespaceFacts& facts = facts_.namespaces[path];
    facts.present = true;
    facts.inode = ++next_inode_;
    facts.nsid = path.empty() ? -1 : static_cast<int>(next_inode_);
    touched_.namespaces.insert(path);
    LinkFact loopback;
    loopback.ifindex = 1;
    loopback.name = "lo";
    loopback.loopback = true;
    loopback.up = true;
    loopback.mtu = 65536;
    facts.put(loopback);
  }

  void drop_namespace(const std::string& path) {
    NamespaceFacts& facts = facts_.namespaces.at(path);
    while (!facts.links().empty()) erase(path, facts.links().begin()->first);
    facts.present = false;
    touched_.namespaces.insert(path);
  }

  // A link as somebody found it: nothing follows from its facts.
  int add(const std::string& netns, LinkFact fact) {
    fact.ifindex = ++next_index_;
    own_mtu_.insert(fact.ifindex);
    own_mac_.insert(fact.ifindex);
    note(netns, fact);
    const int ifindex = fact.ifindex;
    facts_.namespaces.at(netns).put(std::move(fact));
    return ifindex;
  }

  // What a link would be made on and is not there.
  int missing(const LinkSpec& link) const {
    const NamespaceFacts* place = facts_.find(link.at.netns);
    if (place == nullptr || !place->present) return ENOENT;
    if (!link.master.empty() && place->find(link.master) == nullptr) return ENODEV;
    return link.parent.empty() || facts_.find(LinkName{"", link.parent}) != nullptr ? 0 : ENODEV;
  }
  // 0, or what the kernel refuses it by. All of it or nothing.
  int create(const LinkSpec& link, std::optional<LinkSpec> peer);
  void erase(const std::string& netns, int ifindex);
  void move(const LinkName& from, const LinkName& to);

  // Replaces the facts of a link, and does what follows from that. What the kernel would refuse is not asked.
  void update(const std::string& netns, LinkFact after);

  // The parts of one RTM_NEWLINK on a link that is there. 0, or what the kernel refuses it by.
  int set_mtu(const std::string& netns, LinkFact& fact, std::uint32_t mtu);
  int set_mac(const std::string& netns, LinkFact& fact, const MacAddress& mac);
  int set_name(const std::string& netns, LinkFact& fact, const std::string& name);
  int set_master(const std::string& netns, LinkFact& fact, const std::string& master);
  int set_up(const std::string& netns, LinkFact& fact, bool up);
  int set_attributes(LinkFact& fact, const LinkAttributes& attributes, bool of_port);
  static int check_ipv6(const LinkFact& fact) { return fact.mtu < kIpv6MinMtu ? EAFNOSUPPORT : 0; }

  int add_address(const LinkName& where, const IpPrefix& address);
  int remove_address(const LinkName& where, const IpPrefix& address);
  int add_route(const LinkName& where, const RouteSpec& route, bool replace);
  int remove_route(const LinkName& where, const RouteSpec& route);

  // Somebody asked for what differs.
  void own(const LinkFact& before, const LinkFact& after) {
    if (after.mtu != before.mtu) own_mtu_.insert(after.ifindex);
    if (after.mac != before.mac) own_mac_.insert(after.ifindex);
  }
  static bool is_port(const LinkAttributeValue& each) {
    return each.attribute->place == LinkAttribute::Place::port;
  }
  void note(const std::string& netns, const LinkFact& fact) {
    touched_.links.insert({netns, fact.name});
    for (const std::string& altname : fact.altnames) touched_.links.insert({netns, altname});
    if (const auto mark = OwnerTag::parse(fact.alias)) touched_.uids.insert(mark->uid);
    ++touched_.messages;
  }

 private:
  static constexpr std::uint32_t kIpv6MinMtu = 1280;  // RFC 8200
  static constexpr std::uint32_t kEthernetMtu = 1500;

  static constexpr std::uint64_t kNeverForwarded = 7;  // BR_GROUPFWD_RESTRICTED

  // What a bridge looks at after all others (net/bridge/br_netlink.c: br_changelink).
  static bool comes_late(const LinkAttributeValue& each) {
    return each.attribute == &kinds::bridge::kGroupFwdMask ||
           each.attribute == &kinds::bridge::kMcastSnooping;
  }
  static bool stands_on_parent(const LinkFact& fact) {
    return fact.kind == "vlan" || fact.kind == "macvlan" || fact.kind == "ipvlan";
  }
  static void set(LinkAttributes& attributes, const LinkAttributeValue& wanted) {
    const auto found = std::ranges::find(attributes, wanted.attribute, &LinkAttributeValue::attribute);
    if (found == attributes.end())
      attributes.push_back(wanted);
    else
      *found = wanted;
  }
  static bool has_address(const LinkFact& fact, std::uint8_t family) {
    return std::any_of(fact.addresses.begin(), fact.addresses.end(),
                       [&](const AddressFact& each) { return each.prefix.address.family == family; });
  }
  static std::vector<RouteFact> foreign_default_routes(const LinkFact& fact) {
    std::vector<RouteFact> routes = fact.routes;
    std::erase_if(routes, [](const RouteFact& each) {
      return each.route.to.length != 0 || each.protocol == kOwnProtocol;
    });
    return routes;
  }
  static void drop_routes(LinkFact& fact, std::uint8_t family) {
    std::erase_if(fact.routes, [&](const RouteFact& each) { return each.route.to.address.family == family; });
  }
  static bool is_of_one_subnet(const IpPrefix& a, const IpPrefix& b) {
    return a.address.family == AF_INET && a.network() == b.network();
  }
  // The first that is left of the subnet is its primary address; the agent sees to that.
  static void promote(LinkFact& fact, const IpPrefix& gone) {
    for (AddressFact& each : fact.addresses) {
      if (!is_of_one_subnet(each.prefix, gone)) continue;
      each.secondary = false;
      return;
    }
  }
  static void drop_ipv6(LinkFact& fact) {
    std::erase_if(fact.addresses,
                  [](const AddressFact& each) { return each.prefix.address.family == AF_INET6; });
    drop_routes(fact, AF_INET6);
  }

  LinkAttributes birth_attributes(const std::string& kind) const;
  int make(const LinkSpec& link, LinkFact& fact);
  bool sibling_has(const LinkFact& link, const IpAddress& address) const;
  int check_mtu(const LinkFact& fact, std::uint32_t mtu) const;
  int check_parent(const LinkFact& parent, const LinkFact& child) const;
  const LinkFact* parent_of(const LinkFact& fact, std::string* netns = nullptr) const;
  std::vector<std::pair<std::string, int>> links_on(int parent) const;
  void join(const std::string& netns, LinkFact& fact) const;
  static void leave(LinkFact& fact);
  void follow_ports(const std::string& netns, int bridge);
  void follow_parent(const LinkFact& before, const LinkFact& after);

  KernelBuild build_;
  Observed facts_;
  ObservedChange touched_;
  std::set<int> own_mtu_;  // links whose MTU, and whose MAC address, somebody asked for
  std::set<int> own_mac_;
  int next_index_ = 1;
  std::uint64_t next_inode_ = 0;
};

// ---- what follows from a change ----

inline void MemoryLinks::update(const std::string& netns, LinkFact after) {
  NamespaceFacts& facts = facts_.namespaces.at(netns);
  const LinkFact before = *facts.find(after.ifindex);
  if (after.master != before.master) {
    leave(after);
    if (after.master != 0) join(netns, after);
  }
  if (before.up && !after.up) drop_ipv6(after);
  if (!after.up) after.routes.clear();
  if (after.mtu < kIpv6MinMtu) {
    drop_ipv6(after);
    after.ipv6 = Ipv6Addresses::none;
  } else if (before.mtu < kIpv6MinMtu) {
    after.ipv6 = Ipv6Addresses::automatic;
  }
  if (has_address(before, AF_INET) && !has_address(after, AF_INET)) drop_routes(after, AF_INET);
  note(netns, before);
  note(netns, after);
  if (!netns.empty() && foreign_default_routes(before) != foreign_default_routes(after))
    touched_.namespaces.insert(netns);
  facts.put(after);
  follow_parent(before, after);
  for (const int bridge : std::set<int>{before.master, after.master}) {
    if (bridge != 0) follow_ports(netns, bridge);
  }
}

// A port's attributes are the bridge's to give (net/bridge/br_if.c: new_nbp).
inline void MemoryLinks::join(const std::string& netns, LinkFact& fact) const {
  fact.port_kind = "bridge";
  for (const LinkAttributeValue& each : LinkAttributes{{kinds::bridge::kPortIsolated, 0},
                                                       {kinds::bridge::kPortLearning, 1},
                                                       {kinds::bridge::kPortUnicastFlood, 1},
                                                       {kinds::bridge::kPortGroupFwdMask, 0}})
    set(fact.attributes, each);
  const LinkFact* bridge = facts_.namespaces.at(netns).find(fact.master);
  if (bridge == nullptr || find(bridge->attributes, kinds::bridge::kVlanFiltering) != 1U) return;
  const auto pvid = find(bridge->attributes, kinds::bridge::kVlanDefaultPvid).value_or(1);
  if (pvid != 0) fact.vlans.pvid = static_cast<std::uint16_t>(pvid);
}

inline void MemoryLinks::leave(LinkFact& fact) {
  fact.port_kind.clear();
  std::erase_if(fact.attributes, is_port);
  fact.vlans = {};
}

// A bridge that was told neither has the lowest MTU and the lowest MAC address of its ports.
inline void MemoryLinks::follow_ports(const std::string& netns, int bridge) {
  const NamespaceFacts& facts = facts_.namespaces.at(netns);
  const LinkFact* found = facts.find(bridge);
  if (found == nullptr || found->kind != "bridge") return;
  LinkFact after = *found;
  std::optional<std::uint32_t> mtu;
  std::optional<MacAddress> mac;
  for (const int ifindex : facts.ports_of(bridge)) {
    const LinkFact& port = *facts.find(ifindex);
    mtu = std::min(mtu.value_or(port.mtu), port.mtu);
    if (port.mac) mac = std::min(mac.value_or(*port.mac), *port.mac);
  }
  if (!own_mtu_.contains(bridge)) after.mtu = mtu.value_or(kEthernetMtu);
  if (!own_mac_.contains(bridge)) after.mac = mac.value_or(MacAddress{});
  if (!(after == *found)) update(netns, std::move(after));
}

inline const LinkFact* MemoryLinks::parent_of(const LinkFact& fact, std::string* netns) const {
  for (const auto& [path, facts] : facts_.namespaces) {
    const LinkFact* parent = fact.parent != 0 ? facts.find(fact.parent) : nullptr;
    if (parent == nullptr) continue;
    if (netns != nullptr) *netns = path;
    return parent;
  }
  return nullptr;
}

inline std::vector<std::pair<std::string, int>> MemoryLinks::links_on(int parent) const {
  std::vector<std::pair<std::string, int>> links;
  for (const auto& [path, facts] : facts_.namespaces) {
    for (const auto& [ifindex, fact] : facts.links())
      if (fact.parent == parent && stands_on_parent(fact)) links.emplace_back(path, ifindex);
  }
  return links;
}

// What the kinds do when their parent's MTU, MAC address or state changes.
inline void MemoryLinks::follow_parent(const LinkFact& before, const LinkFact& after) {
  for (const auto& [path, ifindex] : links_on(after.ifindex)) {
    const LinkFact& found = *facts_.namespaces.at(path).find(ifindex);
    LinkFact link = found;
    if (after.mtu != before.mtu) {
      link.mtu = link.kind == "ipvlan" ? after.mtu : std::min(link.mtu, after.mtu);
    }
    if (link.kind == "vlan" && after.up != before.up) link.up = after.up;
    const bool inherits = link.kind == "ipvlan" || (link.kind == "vlan" && !own_mac_.contains(ifindex));
    if (inherits && after.mac != before.mac) link.mac = after.mac;
    if (!(link == found)) update(path, std::move(link));
  }
}

inline void MemoryLinks::erase(const std::string& netns, int ifindex) {
  NamespaceFacts& facts = facts_.namespaces.at(netns);
  const LinkFact* found = facts.find(ifindex);
  if (found == nullptr) return;
  const LinkFact gone = *found;
  note(netns, gone);
  facts.erase(ifindex);
  for (const int port : facts.ports_of(ifindex)) {
    LinkFact released = *facts.find(port);
    released.master = 0;
    update(netns, std::move(released));
  }
  auto also = links_on(ifindex);
  std::string place;
  const LinkFact* peer = gone.kind == "veth" ? parent_of(gone, &place) : nullptr;
  if (peer != nullptr && peer->parent == ifindex) also.emplace_back(place, peer->ifindex);
  for (const auto& [path, index] : also) erase(path, index);
  if (gone.master != 0) follow_ports(netns, gone.master);
}

// Into another namespace a link takes its name, MAC address and marks; the rest stays behind.
inline void MemoryLinks::move(const LinkName& from, const LinkName& to) {
  LinkFact fact = *facts_.namespaces.at(from.netns).find(from.name);
  fact.up = false;
  fact.master = 0;
  fact.addresses.clear();
  update(from.netns, fact);
  fact = *facts_.namespaces.at(from.netns).find(from.name);
  facts_.namespaces.at(from.netns).erase(fact.ifindex);
  fact.name = to.name;
  if (fact.mtu >= kIpv6MinMtu) fact.ipv6 = Ipv6Addresses::automatic;
  std::string place;
  LinkFact peer;
  if (const LinkFact* found = parent_of(fact, &place)) {
    peer = *found;
    fact.parent_nsid = place == to.netns ? -1 : std::max(0, facts_.namespaces.at(place).nsid);
    if (fact.kind == "veth") {
      peer.parent_nsid = place == to.netns ? -1 : std::max(0, facts_.namespaces.at(to.netns).nsid);
      facts_.namespaces.at(place).put(peer);
    }
  }
  for (const auto& [path, ifindex] : links_on(fact.ifindex)) {
    LinkFact above = *facts_.namespaces.at(path).find(ifindex);
    above.parent_nsid = path == to.netns ? -1 : std::max(0, facts_.namespaces.at(to.netns).nsid);
    facts_.namespaces.at(path).put(std::move(above));
  }
  note(to.netns, fact);
  facts_.namespaces.at(to.netns).put(std::move(fact));
}

// ---- what is asked for ----

inline LinkAttributes MemoryLinks::birth_attributes(const std::string& kind) const {
  if (kind == "vlan") return {{kinds::vlan::kProtocol, 0x8100}};
  if (kind == "macvlan") return {{kinds::macvlan::kMode, 2}};                            // vepa
  if (kind == "ipvlan") return {{kinds::ipvlan::kMode, 1}, {kinds::ipvlan::kFlags, 0}};  // l3
  if (kind == "tun") return {{kinds::tun::kMultiQueue, 0}};
  if (kind != "bridge") return {};
  LinkAttributes attributes = {{kinds::bridge::kStpState, 0},        {kinds::bridge::kAgeingTime, 30000},
                               {kinds::bridge::kGroupFwdMask, 0},    {kinds::bridge::kMcastSnooping, 1},
                               {kinds::bridge::kVlanFiltering, 0},   {kinds::bridge::kVlanDefaultPvid, 1},
                               {kinds::bridge::kForwardDelay, 1500}, {kinds::bridge::kHelloTime, 200},
                               {kinds::bridge::kMaxAge, 2000},       {kinds::bridge::kPriority, 32768}};
  if (!build_.vlan_filtering)
    std::erase_if(attributes,
                  [](const auto& each) { return each.attribute == &kinds::bridge::kVlanDefaultPvid; });
  return attributes;
}

inline int MemoryLinks::check_mtu(const LinkFact& fact, std::uint32_t mtu) const {
  constexpr std::uint32_t kMost = 65535;
  constexpr std::uint32_t kMostOfTap = kMost - 14;  // with its Ethernet header
  constexpr std::uint32_t kLeast = 68;              // RFC 791
  if (fact.kind == "dummy") return 0;
  if (mtu < kLeast) return EINVAL;
  if (mtu > (fact.kind == "tun" ? kMostOfTap : kMost)) return EINVAL;
  const LinkFact* parent = stands_on_parent(fact) && fact.kind != "ipvlan" ? parent_of(fact) : nullptr;
  return parent != nullptr && mtu > parent->mtu ? (fact.kind == "vlan" ? ERANGE : EINVAL) : 0;
}

// One link has one receive handler: it is a port, or the parent of links of one kind.
inline int MemoryLinks::check_parent(const LinkFact& parent, const LinkFact& child) const {
  if (parent.loopback || !parent.ethernet) return EINVAL;
  if (child.kind == "vlan") {
    for (const auto& [path, ifindex] : links_on(parent.ifindex)) {
      const LinkFact& other = *facts_.namespaces.at(path).find(ifindex);
      const bool same =
          other.kind == "vlan" &&
          find(other.attributes, kinds::vlan::kId) == find(child.attributes, kinds::vlan::kId) &&
          find(other.attributes, kinds::vlan::kProtocol) == find(child.attributes, kinds::vlan::kProtocol);
      if (same) return EEXIST;
    }
    return 0;
  }
  if (!parent.port_kind.empty()) return EBUSY;
  for (const auto& [path, ifindex] : links_on(parent.ifindex)) {
    const LinkFact& other = *facts_.namespaces.at(path).find(ifindex);
    if (other.kind != "vlan" && other.kind != child.kind) return EBUSY;
  }
  return 0;
}

inline int MemoryLinks::make(const LinkSpec& link, LinkFact& fact) {
  if (const int error = missing(link)) return error;
  // A tap is made under another name first, and gets its name after its MTU.
  fact.kind = link.kind;
  if (link.kind == "tun" && link.mtu)
    if (const int error = check_mtu(fact, *link.mtu)) return error;
  if (facts_.find(link.at) != nullptr) return EEXIST;
  fact.ifindex = ++next_index_;
  fact.name = link.at.name;
  fact.kind = link.kind;
  fact.group = birth_group(link);
  fact.arp = link.kind != "dummy";
  fact.mtu = kEthernetMtu;
  fact.mac = MacAddress{{0x0e, 0, 0, 0, static_cast<std::uint8_t>(fact.ifindex / 256),
                         static_cast<std::uint8_t>(fact.ifindex % 256)}};
  fact.attributes = birth_attributes(link.kind);
  if (!link.parent.empty()) {
    const LinkFact* parent = facts_.find(LinkName{"", link.parent});
    fact.parent = parent->ifindex;
    if (!link.at.netns.empty()) fact.parent_nsid = 0;
    fact.mtu = parent->mtu;
    if (link.kind != "macvlan") fact.mac = parent->mac;
  }
  if (const int error = set_attributes(fact, link.attributes, false)) return error;
  if (fact.kind == "ipvlan" && find(fact.attributes, kinds::ipvlan::kMode) != 0U) fact.arp = false;
  if (fact.parent != 0)
    if (const int error = check_parent(*parent_of(fact), fact)) return error;
  if (link.mtu)
    if (const int error = check_mtu(fact, *link.mtu)) return error;
  if (link.mtu) fact.mtu = *link.mtu;
  if (link.mac) fact.mac = link.mac;
  fact.tap_owner = link.tap_owner;
  fact.tap_group = link.tap_group;
  if (fact.mtu < kIpv6MinMtu) fact.ipv6 = Ipv6Addresses::none;
  return 0;
}

inline int MemoryLinks::create(const LinkSpec& link, std::optional<LinkSpec> peer) {
  LinkFact fact;
  if (const int error = make(link, fact)) return error;
  LinkFact other;
  if (peer) {
    if (peer->at == link.at) return EEXIST;
    if (const int error = make(*peer, other)) return error;
    fact.parent = other.ifindex;
    other.parent = fact.ifindex;
    if (peer->at.netns != link.at.netns) {
      fact.parent_nsid = std::max(0, facts_.namespaces.at(peer->at.netns).nsid);
      other.parent_nsid = std::max(0, facts_.namespaces.at(link.at.netns).nsid);
    }
  }
  if (!link.master.empty()) {
    LinkFact probe = fact;
    if (const int error = set_master(link.at.netns, probe, link.master)) return error;
  }
  const auto put = [&](const LinkSpec& spec, const LinkFact& made) {
    if (spec.mtu) own_mtu_.insert(made.ifindex);
    if (spec.mac) own_mac_.insert(made.ifindex);
    note(spec.at.netns, made);
    facts_.namespaces.at(spec.at.netns).put(made);
  };
  put(link, fact);
  if (peer) put(*peer, other);
  if (!link.master.empty()) {
    set_master(link.at.netns, fact, link.master);
    update(link.at.netns, fact);
  }
  return 0;
}

inline int MemoryLinks::set_mtu(const std::string& /*netns*/, LinkFact& fact, std::uint32_t mtu) {
  if (const int error = check_mtu(fact, mtu)) return error;
  if (mtu != fact.mtu) own_mtu_.insert(fact.ifindex);  // what changes nothing says nothing
  fact.mtu = mtu;
  return 0;
}

inline int MemoryLinks::set_mac(const std::string& /*netns*/, LinkFact& fact, const MacAddress& mac) {
  if (mac.is_multicast()) return EADDRNOTAVAIL;
  fact.mac = mac;
  own_mac_.insert(fact.ifindex);
  return 0;
}

inline int MemoryLinks::set_name(const std::string& netns, LinkFact& fact, const std::string& name) {
  if (name == fact.name) return 0;
  if (facts_.namespaces.at(netns).find(name) != nullptr) return EEXIST;
  fact.name = name;
  return 0;
}

inline int MemoryLinks::set_master(const std::string& netns, LinkFact& fact, const std::string& master) {
  if (master.empty()) {
    fact.master = 0;
    return 0;
  }
  const LinkFact* found = facts_.namespaces.at(netns).find(master);
  if (found == nullptr) return ENODEV;
  if (found->ifindex == fact.master) return 0;
  if (found->kind != "bridge") return EOPNOTSUPP;
  if (fact.loopback || !fact.ethernet) return EINVAL;
  if (fact.kind == "bridge") return ELOOP;
  for (const auto& [path, ifindex] : links_on(fact.ifindex))
    if (facts_.namespaces.at(path).find(ifindex)->kind != "vlan") return EBUSY;
  fact.master = found->ifindex;
  return 0;
}

inline int MemoryLinks::set_up(const std::string& /*netns*/, LinkFact& fact, bool up) {
  const LinkFact* parent = up && fact.kind == "vlan" ? parent_of(fact) : nullptr;
  if (parent != nullptr && !parent->up) return ENETDOWN;
  fact.up = up;
  return 0;
}

inline int MemoryLinks::set_attributes(LinkFact& fact, const LinkAttributes& attributes, bool of_port) {
  const bool any = std::any_of(attributes.begin(), attributes.end(),
                               [&](const auto& each) { return is_port(each) == of_port; });
  if (any && of_port && fact.port_kind.empty()) return EOPNOTSUPP;
  LinkAttributes ordered = attributes;
  std::erase_if(ordered, [&](const auto& each) { return is_port(each) != of_port; });
  std::stable_partition(ordered.begin(), ordered.end(), [](const auto& each) { return !comes_late(each); });
  for (const LinkAttributeValue& each : ordered) {
    if (each.attribute == &kinds::bridge::kGroupFwdMask && (each.value & kNeverForwarded) != 0) return EINVAL;
    set(fact.attributes, each);
    if (each.attribute == &kinds::ipvlan::kMode) fact.arp = each.value == 0;
  }
  return 0;
}

// Wherever they are, no two links on one parent have the same address (drivers/net/ipvlan: ipvlan_addr_busy).
inline bool MemoryLinks::sibling_has(const LinkFact& link, const IpAddress& address) const {
  const LinkFact* parent = parent_of(link);
  const auto has = [&](const LinkFact& other) {
    return other.kind == link.kind && &other != &link && parent_of(other) == parent &&
           std::any_of(other.addresses.begin(), other.addresses.end(),
                       [&](const AddressFact& each) { return each.prefix.address == address; });
  };
  return parent != nullptr &&
         std::any_of(facts_.namespaces.begin(), facts_.namespaces.end(), [&](const auto& place) {
           const auto& links = place.second.links();
           return std::any_of(links.begin(), links.end(), [&](const auto& each) { return has(each.second); });
         });
}

inline int MemoryLinks::add_address(const LinkName& where, const IpPrefix& address) {
  const LinkFact* found = facts_.find(where);
  if (found == nullptr) return ENODEV;
  const std::uint8_t family = address.address.family;
  if (family == AF_INET6 && found->mtu < kIpv6MinMtu) return EINVAL;
  for (const AddressFact& each : found->addresses) {
    const bool same = each.prefix.address == address.address;
    if (same && (family == AF_INET6 || each.prefix.length == address.length)) return EEXIST;
  }
  if (found->kind == "ipvlan" && sibling_has(*found, address.address)) return EADDRINUSE;
  LinkFact fact = *found;
  AddressFact added{address, kOwnProtocol};
  added.secondary = std::any_of(fact.addresses.begin(), fact.addresses.end(), [&](const AddressFact& each) {
    return is_of_one_subnet(each.prefix, address);
  });
  fact.addresses.push_back(added);
  update(where.netns, std::move(fact));
  return 0;
}

inline int MemoryLinks::remove_address(const LinkName& where, const IpPrefix& address) {
  const LinkFact* found = facts_.find(where);
  if (found == nullptr) return ENODEV;
  LinkFact fact = *found;
  const auto gone =
      std::erase_if(fact.addresses, [&](const AddressFact& each) { return each.prefix == address; });
  if (gone == 0) return EADDRNOTAVAIL;
  promote(fact, address);
  update(where.netns, std::move(fact));
  return 0;
}

inline int MemoryLinks::add_route(const LinkName& where, const RouteSpec& wanted, bool replace) {
  const LinkFact* found = facts_.find(where);
  if (found == nullptr) return ENODEV;
  if (!found->up) return ENETDOWN;
  const NamespaceFacts& facts = facts_.namespaces.at(where.netns);
  RouteSpec route = wanted;
  route.to = route.to.network();
  route.automatic = false;
  const RouteSpec usual{route.to, route.via, std::nullopt};
  if (effective_metric(route) == effective_metric(usual)) route.metric.reset();  // so it is told
  const bool reachable =
      !route.via || route.onlink ||
      std::any_of(found->addresses.begin(), found->addresses.end(),
                  [&](const AddressFact& each) {
                    return each.prefix.contains(*route.via) && each.prefix.address != *route.via;
                  }) ||
      std::any_of(found->routes.begin(), found->routes.end(), [&](const RouteFact& each) {
        return !each.route.via && each.route.to.contains(*route.via);  // it is on the link by a route
      });
  if (!reachable) return ENETUNREACH;
  const auto in_place = [&](const RouteFact& fact) {
    return fact.route.to == route.to && effective_metric(fact.route) == effective_metric(route);
  };
  std::vector<int> holders;
  for (const auto& [ifindex, link] : facts.links())
    if (std::any_of(link.routes.begin(), link.routes.end(), in_place)) holders.push_back(ifindex);
  if (!holders.empty() && !replace) return EEXIST;
  for (const int ifindex : holders) {
    LinkFact holder = *facts.find(ifindex);
    std::erase_if(holder.routes, in_place);
    update(where.netns, std::move(holder));
  }
  LinkFact fact = *facts.find(where.name);
  fact.routes.push_back({route, kOwnProtocol});
  update(where.netns, std::move(fact));
  return 0;
}

inline int MemoryLinks::remove_route(const LinkName& where, const RouteSpec& route) {
  const LinkFact* found = facts_.find(where);
  if (found == nullptr) return ENODEV;
  LinkFact fact = *found;
  const auto gone = std::erase_if(fact.routes, [&](const RouteFact& each) {
    return each.protocol == kOwnProtocol && each.route.to == route.to.network() &&
           (!route.via || each.route.via == route.via) &&
           (!route.metric || effective_metric(each.route) == *route.metric);
  });
  if (gone == 0) return ESRCH;
  update(where.netns, std::move(fact));
  return 0;
}

}  // namespace lanwright::test
