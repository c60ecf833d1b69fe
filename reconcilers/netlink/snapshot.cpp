#include "reconcilers/netlink/snapshot.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "reconcilers/kinds/bridge.h"
#include "reconcilers/netlink/address_codec.h"
#include "reconcilers/netlink/request.h"
#include "reconcilers/netlink/route_codec.h"

namespace lanwright::netlink {

namespace {

using RoutesByLink = std::unordered_map<int, std::vector<RouteFact>>;

// Addresses and routes are kept in one order, so that equal links are equal values.
bool earlier(const AddressFact& a, const AddressFact& b) {
  return a.prefix < b.prefix;
}

bool earlier(const RouteFact& a, const RouteFact& b) {
  return std::tie(a.route.to, a.route.metric, a.route.via, a.protocol) <
         std::tie(b.route.to, b.route.metric, b.route.via, b.protocol);
}

template <class Fact>
auto place_of(std::vector<Fact>& facts, const Fact& fact) {
  return std::lower_bound(facts.begin(), facts.end(), fact,
                          [](const Fact& a, const Fact& b) { return earlier(a, b); });
}

template <class Fact>
bool put_sorted(std::vector<Fact>& facts, const Fact& fact) {
  const auto place = place_of(facts, fact);
  if (place == facts.end() || earlier(fact, *place)) {
    facts.insert(place, fact);
    return true;
  }
  if (*place == fact) return false;
  *place = fact;
  return true;
}

template <class Fact>
bool remove_sorted(std::vector<Fact>& facts, const Fact& fact) {
  const auto place = place_of(facts, fact);
  if (place == facts.end() || earlier(fact, *place)) return false;
  facts.erase(place);
  return true;
}

bool is_vlan_filter(const LinkFact& fact) {
  return find(fact.attributes, kinds::bridge::kVlanFiltering) == 1U;
}

bool has_vlan_filter(const NamespaceFacts& facts) {
  return std::any_of(facts.links().begin(), facts.links().end(),
                     [](const auto& entry) { return is_vlan_filter(entry.second); });
}

Result<void> read_addresses(Socket& socket, NamespaceFacts& facts) {
  auto addresses = dump<LinkAddress>(socket, list_addresses(), decode_address, "addresses");
  if (!addresses) return addresses.error();
  for (const LinkAddress& address : *addresses) {
    // One that is missing was made after the links were listed: its events are waiting.
    if (LinkFact* link = facts.edit(address.ifindex)) put_sorted(link->addresses, address.fact);
  }
  return {};
}

// The kernel goes through its whole table for each protocol: the managed namespace's may be large.
std::vector<std::uint8_t> protocols_read(bool managed, bool rare) {
  if (rare && !managed) return {RTPROT_UNSPEC};
  if (managed) return {kOwnProtocol, RTPROT_BOOT};
  return {kOwnProtocol, RTPROT_BOOT, RTPROT_STATIC, RTPROT_DHCP, RTPROT_RA};
}

Result<RoutesByLink> read_routes(Socket& socket, bool managed, bool rare) {
  RoutesByLink result;
  for (const std::uint8_t protocol : protocols_read(managed, rare)) {
    auto routes = dump<LinkRoute>(socket, list_routes(protocol), decode_route, "routes");
    if (!routes) return routes.error();
    for (const LinkRoute& route : *routes) put_sorted(result[route.ifindex], route.fact);
  }
  return result;
}

Result<std::vector<PortFact>> read_ports(Socket& socket) {
  return dump<PortFact>(socket, list_ports(), decode_port, "bridge ports");
}

}  // namespace

Result<NamespaceFacts> read_namespace(Socket& socket, bool managed) {
  auto links = dump<LinkFact>(socket, list_links(), decode_link, "links");
  if (!links) return links.error();
  NamespaceFacts facts;
  for (LinkFact& link : *links) facts.put(std::move(link));
  if (auto done = read_addresses(socket, facts); !done) return done.error();
  auto routes = read_routes(socket, managed, false);
  if (!routes) return routes.error();
  for (auto& [ifindex, list] : *routes) {
    if (LinkFact* link = facts.edit(ifindex)) link->routes = std::move(list);
  }
  if (!has_vlan_filter(facts)) return facts;
  auto ports = read_ports(socket);
  if (!ports) return ports.error();
  for (PortFact& port : *ports) {
    const LinkFact* bridge = facts.find(port.master);
    LinkFact* link = facts.edit(port.ifindex);
    if (link != nullptr && bridge != nullptr && is_vlan_filter(*bridge)) link->vlans = std::move(port.vlans);
  }
  return facts;
}

void FactsEditor::apply(const nlmsghdr& event) {
  switch (event.nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_SETLINK:  // some kernels tell changed VLANs of a port under this number
      if (auto port = decode_port(event)) return put_port(*port);
      if (auto link = decode_link(event)) put_link(std::move(*link));
      return;
    case RTM_DELLINK:
      // Of a bridge: a port was released. The link lives on, and an RTM_NEWLINK of its own tells so.
      if (const auto* head = fixed_part<ifinfomsg>(event); head != nullptr && !is_of_bridge(event)) {
        remove_link(head->ifi_index);
      }
      return;
    case RTM_NEWADDR:
      return put_address(event);
    case RTM_DELADDR:
      return remove_address(event);
    case RTM_NEWROUTE:
      return put_route(event);
    case RTM_DELROUTE:
      return remove_route(event);
    case RTM_NEWVLAN:
    case RTM_DELVLAN:
      stale_.vlans = true;
      return;
    default:
      return;
  }
}

// The kernel tells of no change of alias, alternative names, group or attributes of a link that is down, and
// of a changed MTU before it has made up its mind on IPv6.
bool FactsEditor::may_change_unheard(const LinkFact& fact, const LinkFact* known) const {
  const bool ipv6_again = known != nullptr && known->mtu < kIpv6MinMtu && fact.mtu >= kIpv6MinMtu;
  return !fact.up || ipv6_again;
}

void FactsEditor::put_link(LinkFact fact) {
  const LinkFact* known = facts_.find(fact.ifindex);
  if (may_change_unheard(fact, known)) {
    stale_.links.insert(fact.ifindex);
  } else {
    stale_.links.erase(fact.ifindex);
  }
  if (known == nullptr) {
    touch(fact);
    return facts_.put(std::move(fact));
  }
  fact.addresses = known->addresses;
  fact.routes = known->routes;
  if (fact.master == known->master) fact.vlans = known->vlans;
  if (!fact.routes.empty() && (!fact.up || fact.mtu != known->mtu)) stale_.routes = true;
  if (is_vlan_filter(fact) != is_vlan_filter(*known)) stale_.vlans = true;
  if (fact.master != known->master && filters_vlans(fact.master)) stale_.vlans = true;
  if (fact == *known) return;
  touch(*known);
  touch(fact);
  facts_.put(std::move(fact));
}

void FactsEditor::remove_link(int ifindex) {
  stale_.links.erase(ifindex);
  const LinkFact* known = facts_.find(ifindex);
  if (known == nullptr) return;
  touch_routes(*known, known->routes);
  facts_.erase(ifindex);
}

void FactsEditor::put_port(const PortFact& port) {
  LinkFact* link = facts_.edit(port.ifindex);
  if (link == nullptr || (link->master != port.master && port.ifindex != port.master)) return;
  LinkFact changed = *link;
  for (const auto& [attribute, value] : port.attributes) {
    const auto place = std::ranges::find(changed.attributes, attribute, &LinkAttributeValue::attribute);
    if (place != changed.attributes.end()) place->value = value;
  }
  if (filters_vlans(port.master)) changed.vlans = port.vlans;
  if (changed == *link) return;
  *link = std::move(changed);
  touch(*link);
}

void FactsEditor::put_address(const nlmsghdr& event) {
  const auto address = decode_address(event);
  LinkFact* link = address ? facts_.edit(address->ifindex) : nullptr;
  if (link != nullptr && put_sorted(link->addresses, address->fact)) touch(*link);
}

void FactsEditor::remove_address(const nlmsghdr& event) {
  const auto address = decode_address(event);
  LinkFact* link = address ? facts_.edit(address->ifindex) : nullptr;
  if (link == nullptr) return;
  if (!link->routes.empty()) stale_.routes = true;
  if (remove_sorted(link->addresses, address->fact)) touch(*link);
}

void FactsEditor::put_route(const nlmsghdr& event) {
  // A replaced route has no event of its own for the old next hop, and may be one that is not read.
  if ((event.nlmsg_flags & NLM_F_REPLACE) != 0) stale_.routes = true;
  const auto route = decode_route(event);
  LinkFact* link = route && is_watched(route->fact) ? facts_.edit(route->ifindex) : nullptr;
  if (link == nullptr) return;
  if (put_sorted(link->routes, route->fact)) touch_routes(*link, {route->fact});
}

void FactsEditor::remove_route(const nlmsghdr& event) {
  const auto route = decode_route(event);
  LinkFact* link = route ? facts_.edit(route->ifindex) : nullptr;
  if (link != nullptr && remove_sorted(link->routes, route->fact)) touch_routes(*link, {route->fact});
}

bool FactsEditor::is_watched(const RouteFact& route) const {
  return !netns_.empty() || route.protocol == kOwnProtocol || route.protocol == RTPROT_BOOT;
}

// Somebody else's default route concerns whatever would lead out of the namespace, by any link.
void FactsEditor::touch_routes(const LinkFact& fact, const std::vector<RouteFact>& changed) {
  touch(fact);
  const bool foreign = std::any_of(changed.begin(), changed.end(), [](const RouteFact& route) {
    return route.route.to.length == 0 && route.protocol != kOwnProtocol;
  });
  if (foreign && !netns_.empty()) touched_.namespaces.insert(netns_);
}

bool FactsEditor::filters_vlans(int bridge) const {
  const LinkFact* fact = facts_.find(bridge);
  return fact != nullptr && is_vlan_filter(*fact);
}

void FactsEditor::touch(const LinkFact& fact) {
  // What stands on a link may keep others from standing on it.
  const LinkFact* parent = fact.parent != 0 && fact.parent_nsid < 0 ? facts_.find(fact.parent) : nullptr;
  for (const LinkFact* link : {&fact, parent}) {
    if (link == nullptr) continue;
    touched_.links.insert({netns_, link->name});
    for (const std::string& altname : link->altnames) touched_.links.insert({netns_, altname});
  }
  if (const auto mark = OwnerTag::parse(fact.alias)) touched_.uids.insert(mark->uid);
}

Result<void> FactsEditor::reread(const Stale& what, Socket& socket) {
  stale_ = {};
  if (auto done = reread_links(what.links, socket); !done) return done;
  if (what.vlans || stale_.vlans) {
    if (auto done = reread_vlans(socket); !done) return done;
  }
  if (what.routes || what.rare_routes || stale_.routes) {
    if (auto done = reread_routes(socket, what.rare_routes); !done) return done;
  }
  stale_ = {};
  return {};
}

Result<void> FactsEditor::reread_routes(Socket& socket, bool rare) {
  auto routes = read_routes(socket, netns_.empty(), rare);
  if (!routes) return routes.error();
  for (const auto& entry : facts_.links()) {
    const auto found = routes->find(entry.first);
    const std::vector<RouteFact> now = found == routes->end() ? std::vector<RouteFact>{} : found->second;
    if (entry.second.routes == now) continue;
    LinkFact* link = facts_.edit(entry.first);
    const std::vector<RouteFact> before = std::exchange(link->routes, now);
    touch_routes(*link, before);
    touch_routes(*link, now);
  }
  return {};
}

Result<void> FactsEditor::reread_vlans(Socket& socket) {
  std::unordered_map<int, PortVlansFact> vlans;
  if (has_vlan_filter(facts_)) {
    auto ports = read_ports(socket);
    if (!ports) return ports.error();
    for (PortFact& port : *ports) {
      if (filters_vlans(port.master)) vlans[port.ifindex] = std::move(port.vlans);
    }
  }
  for (const auto& entry : facts_.links()) {
    const auto found = vlans.find(entry.first);
    const PortVlansFact now = found == vlans.end() ? PortVlansFact{} : found->second;
    if (entry.second.vlans == now) continue;
    LinkFact* link = facts_.edit(entry.first);
    link->vlans = now;
    touch(*link);
  }
  return {};
}

Result<void> FactsEditor::reread_links(const std::set<int>& links, Socket& socket) {
  if (links.empty()) return {};
  std::vector<Request> requests;
  requests.reserve(links.size());
  for (const int ifindex : links) requests.push_back({get_link(ifindex), requests.size()});
  std::vector<LinkFact> facts;
  const auto replies = perform(socket, requests, [&](std::size_t, const nlmsghdr& message) {
    if (auto fact = decode_link(message)) facts.push_back(std::move(*fact));
  });
  for (LinkFact& fact : facts) put_link(std::move(fact));
  for (const Reply& reply : replies) {
    // One that is gone has an event that says so.
    if (!reply.ok() && reply.error != ENODEV)
      return error_from_errno(reply.error, "read", "links", reply.words);
  }
  return {};
}

}  // namespace lanwright::netlink
