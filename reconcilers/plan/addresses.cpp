#include "reconcilers/plan/addresses.h"

#include <sys/socket.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "reconcilers/plan/ownership.h"

namespace lanwright::planning {
namespace {

bool same_route(const RouteSpec& wanted, const RouteSpec& found) {
  return has_same_place(wanted, found) && wanted.via == found.via && wanted.onlink == found.onlink;
}

bool is_wanted(const LinkSpec& link, const IpPrefix& address) {
  return std::find(link.addresses.begin(), link.addresses.end(), address) != link.addresses.end();
}

const AddressFact* find_address(const LinkFact& fact, const IpPrefix& wanted) {
  const auto found = std::find_if(fact.addresses.begin(), fact.addresses.end(),
                                  [&](const AddressFact& address) { return address.prefix == wanted; });
  return found == fact.addresses.end() ? nullptr : &*found;
}

// Of IPv4, where the first address of a subnet is the one that the host speaks by.
bool is_of_one_subnet(const IpPrefix& a, const IpPrefix& b) {
  return a.address.family == AF_INET && a.network() == b.network();
}

// `wanted` is the first that is declared of its subnet, and another one of ours is before it on the link.
bool gives_way_to(const LinkFact& found, const LinkSpec& link, const IpPrefix& wanted) {
  const auto first = std::find_if(link.addresses.begin(), link.addresses.end(),
                                  [&](const IpPrefix& other) { return is_of_one_subnet(other, wanted); });
  if (first == link.addresses.end() || *first != wanted) return false;
  const AddressFact* own = find_address(found, wanted);
  if (own != nullptr && !own->secondary) return false;
  return std::any_of(found.addresses.begin(), found.addresses.end(), [&](const AddressFact& other) {
    return other.prefix != wanted && !other.secondary && is_of_one_subnet(other.prefix, wanted) &&
           (is_wanted(link, other.prefix) || other.protocol == kOwnProtocol);
  });
}

// Given by somebody else: no IPv6 address that the kernel makes by itself, or by what a router advertises.
bool is_foreign(const LinkSpec& link, const AddressFact& address) {
  constexpr std::uint8_t kLastOfKernel = 3;  // IFAPROT_KERNEL_LL, <linux/if_addr.h>
  const auto& bytes = address.prefix.address.bytes;
  const bool link_local =
      address.prefix.address.family == AF_INET6 && bytes[0] == 0xfe && (bytes[1] & 0xc0U) == 0x80;
  const bool of_kernel = address.protocol != 0 && address.protocol <= kLastOfKernel;
  return !link_local && !of_kernel && address.protocol != kOwnProtocol && !is_wanted(link, address.prefix);
}

Error still_checked(const DesiredObject& entry, const LinkName& link, const IpPrefix& address) {
  return {ErrorKind::busy,
          "wait for",
          address.text() + " on " + label(entry, link),
          0,
          "the kernel is asking whether another host has the address " + address.text(),
          {}};
}

}  // namespace

void Addresses::compare(const Cursor& at, const LinkSpec& link, const LinkFact* found) {
  compare_addresses(at, link, found);
  compare_routes(at, link, found);
}

void Addresses::compare_addresses(const Cursor& at, const LinkSpec& link, const LinkFact* found) {
  for (const IpPrefix& wanted : link.addresses) {
    const AddressFact* address = found != nullptr ? find_address(*found, wanted) : nullptr;
    if (address == nullptr)
      draft_.act(at, at.stage + kAddresses, AddAddress{link.at, wanted}, "missing", {"addresses"});
    else if (address->state == AddressState::duplicate)
      draft_.act(at, at.stage + kAddresses, AddAddress{link.at, wanted, true}, "another host has it",
                 {"addresses"});
    else if (address->state == AddressState::tentative)
      draft_.block(at, still_checked(at.entry, link.at, wanted));
    if (found != nullptr && gives_way_to(*found, link, wanted)) put_behind(at, link, *found, wanted);
  }
  if (found == nullptr) return;
  for (const AddressFact& address : found->addresses) {
    if (!is_wanted(link, address.prefix) && address.protocol == kOwnProtocol)
      draft_.act(at, kRemovals, RemoveAddress{{link.at.netns, found->name}, address.prefix},
                 "no longer declared", {"addresses"});
  }
  note_foreign(at, link, *found);
}

// They are left alone, and people are told: on the host they come from a program that takes the link for its
// own to configure. In other namespaces whoever lives there may have as many as he likes.
void Addresses::note_foreign(const Cursor& at, const LinkSpec& link, const LinkFact& found) {
  if (!link.at.netns.empty() || link.delegated) return;
  std::string addresses;
  for (const AddressFact& address : found.addresses) {
    if (is_foreign(link, address)) addresses += (addresses.empty() ? "" : ", ") + address.prefix.text();
  }
  if (!addresses.empty())
    draft_.note(at, found.name + " has addresses that the agent did not give it: " + addresses);
}

// The others of its subnet, in the order in which they are declared.
void Addresses::put_behind(const Cursor& at, const LinkSpec& link, const LinkFact& found,
                           const IpPrefix& first) {
  const std::string reason = first.text() + " is declared before it";
  for (const IpPrefix& other : link.addresses) {
    if (other == first || !is_of_one_subnet(other, first) || find_address(found, other) == nullptr) continue;
    draft_.act(at, at.stage + kAddresses, RemoveAddress{link.at, other}, reason, {"addresses"},
               Disruption::flap);
    draft_.act(at, at.stage + kAddresses, AddAddress{link.at, other}, reason, {"addresses"});
  }
}

// Of several attachments in one namespace, whose networks all name a gateway, one has the default route: of
// those that are there one that declares it, else the first by name; when none is there yet, likewise of all.
std::optional<ResourceId> Addresses::default_route_of(const std::string& netns, std::uint8_t family) const {
  std::optional<std::tuple<bool, bool, ResourceId>> best;
  std::set<const DesiredObject*> there;
  for (const std::string& path : draft_.paths_to(netns)) {
    const auto by_path = draft_.desired().in_namespace(path);
    there.insert(by_path.begin(), by_path.end());
  }
  for (const DesiredObject* other : there) {
    if (other->object.deleting || other->object.id.kind != Kind::attachment) continue;
    const Resources resources = other->compile();
    for (const LinkSpec& link : resources.links) {
      if (!draft_.observed().is_same_namespace(link.at.netns, netns)) continue;
      const bool absent = locate(draft_, *other, link) == nullptr;
      for (const RouteSpec& route : link.routes) {
        if (route.to.length != 0 || route.to.address.family != family) continue;
        if (effective_metric(route) != effective_metric({route.to, {}, {}})) continue;
        std::tuple<bool, bool, ResourceId> rank{absent, route.automatic, other->object.id};
        if (!best || rank < *best) best = std::move(rank);
      }
    }
  }
  return best ? std::optional(std::get<ResourceId>(*best)) : std::nullopt;
}

bool Addresses::holds_default_route(const DesiredObject& entry, const std::string& netns,
                                    std::uint8_t family) {
  const auto [place, is_new] = default_routes_.try_emplace({draft_.observed().id_of(netns), family});
  if (is_new) place->second = default_route_of(netns, family);
  return !place->second || *place->second == entry.object.id;
}

// An automatic route is left out where somebody else's leads out already. Of IPv6, that a router on the link
// itself advertises one says nothing: both may stand.
bool Addresses::leaves_default_route(const Cursor& at, const LinkSpec& link, const LinkFact* found,
                                     const RouteSpec& route) {
  constexpr std::uint8_t kAdvertised = 9;  // RTPROT_RA, <linux/rtnetlink.h>
  const NamespaceFacts* place = draft_.observed().find(link.at.netns);
  if (!route.automatic || place == nullptr) return false;
  for (const auto& [ifindex, other] : place->links()) {
    for (const RouteFact& fact : other.routes) {
      const bool leads_out =
          fact.route.to.length == 0 && fact.route.to.address.family == route.to.address.family;
      const bool beside = fact.protocol == kAdvertised && found != nullptr && found->ifindex == ifindex;
      if (!leads_out || beside || fact.protocol == kOwnProtocol) continue;
      draft_.note(at, "the default route is left to the one that is there already, " +
                          (fact.route.via ? "via " + fact.route.via->text() + " " : std::string()) + "by " +
                          other.name);
      return true;
    }
  }
  return false;
}

void Addresses::compare_routes(const Cursor& at, const LinkSpec& link, const LinkFact* found) {
  std::vector<RouteSpec> routes = link.routes;
  std::erase_if(routes, [&](const RouteSpec& route) {
    return route.automatic && !holds_default_route(at.entry, link.at.netns, route.to.address.family);
  });
  const auto is_there = [&](const RouteSpec& wanted) {
    return found != nullptr &&
           std::any_of(found->routes.begin(), found->routes.end(), [&](const RouteFact& fact) {
             return (fact.protocol == kOwnProtocol || link.delegated) && same_route(wanted, fact.route);
           });
  };
  for (const RouteSpec& wanted : routes) {
    // Where somebody else configures the links, another one may lead out by now: that is his choice.
    const bool yields = wanted.automatic || (link.delegated && wanted.to.length == 0);
    if (!is_there(wanted) && !leaves_default_route(at, link, found, wanted))
      draft_.act(at, at.stage + kRoutes, AddRoute{link.at, wanted, yields}, "missing", {"routes"});
  }
  if (found == nullptr) return;
  for (const RouteFact& fact : found->routes) {
    const bool wanted = std::any_of(routes.begin(), routes.end(),
                                    [&](const RouteSpec& spec) { return same_route(spec, fact.route); });
    if (!wanted && fact.protocol == kOwnProtocol)
      draft_.act(at, kRemovals, RemoveRoute{{link.at.netns, found->name}, fact.route}, "no longer declared",
                 {"routes"});
  }
}

}  // namespace lanwright::planning
