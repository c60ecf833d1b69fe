#include "reconcilers/plan/rivals.h"

#include <algorithm>
#include <tuple>

#include "reconcilers/plan/ownership.h"

namespace lanwright::planning {
namespace {

// An object with one of its links.
struct Claimant {
  const DesiredObject& entry;
  const LinkSpec& link;
};

const LinkFact* own_link(const Draft& draft, const Claimant& who) {
  const NamespaceFacts* place = draft.observed().find(who.link.at.netns);
  return place != nullptr ? place->find(tag_of(who.entry, who.link)) : nullptr;
}

bool holds_name(const Draft& draft, const Claimant& who) {
  const LinkFact* link = own_link(draft, who);
  return link != nullptr && link->name == who.link.at.name;
}

bool holds_route(const Draft& draft, const Claimant& who, const RouteSpec& route) {
  const LinkFact* link = own_link(draft, who);
  return link != nullptr && std::any_of(link->routes.begin(), link->routes.end(), [&](const RouteFact& fact) {
           return fact.protocol == kOwnProtocol && has_same_place(fact.route, route);
         });
}

// Whoever has it keeps it.
bool comes_after(const Claimant& one, bool one_holds, const Claimant& other, bool other_holds) {
  return std::make_tuple(!one_holds, one.entry.object.id) >
         std::make_tuple(!other_holds, other.entry.object.id);
}

// The first route that both declare and that a table has room for once.
const RouteSpec* shared_route(const LinkSpec& link, const LinkSpec& other) {
  if (link.delegated || other.delegated) return nullptr;
  const auto found = std::find_if(link.routes.begin(), link.routes.end(), [&](const RouteSpec& route) {
    return !route.automatic &&
           std::any_of(other.routes.begin(), other.routes.end(),
                       [&](const RouteSpec& its) { return !its.automatic && has_same_place(route, its); });
  });
  return found == link.routes.end() ? nullptr : &*found;
}

std::optional<Error> refused_by(const Draft& draft, const Claimant& who, const Claimant& rival) {
  const std::string& path = who.link.at.netns;
  const std::string same = path + " and " + rival.link.at.netns + " are one namespace, and ";
  const std::string its = " wants it as well";
  if (who.link.at.name == rival.link.at.name &&
      comes_after(who, holds_name(draft, who), rival, holds_name(draft, rival)))
    return conflict(who.entry, who.link.at, same + rival.entry.object.id.text() + its,
                    "give one of them another `interface`");
  const RouteSpec* route = shared_route(who.link, rival.link);
  if (route == nullptr ||
      !comes_after(who, holds_route(draft, who, *route), rival, holds_route(draft, rival, *route)))
    return std::nullopt;
  return conflict(who.entry, who.link.at,
                  same + rival.entry.object.id.text() + " declares the route to " +
                      route->to.network().text() + " as well",
                  "give one of them another metric");
}

std::optional<Error> refused_by(const Draft& draft, const Claimant& who, const DesiredObject& other,
                                const std::string& path) {
  if (&other == &who.entry || other.object.deleting) return std::nullopt;
  const Resources resources = other.compile();
  for (const LinkSpec& link : resources.links) {
    if (link.borrowed || link.at.netns != path) continue;
    if (auto error = refused_by(draft, who, {other, link})) return error;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Error> refused_by_rival(const Draft& draft, const DesiredObject& entry) {
  for (const LinkSpec& link : draft.resources_of(entry).links) {
    if (link.at.netns.empty() || link.delegated) continue;
    for (const std::string& path : draft.paths_to(link.at.netns)) {
      if (path == link.at.netns) continue;
      for (const DesiredObject* other : draft.desired().in_namespace(path)) {
        if (auto error = refused_by(draft, {entry, link}, *other, path)) return error;
      }
    }
  }
  return std::nullopt;
}

}  // namespace lanwright::planning
