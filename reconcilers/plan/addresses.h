// Addresses and routes of a link.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "reconcilers/plan/draft.h"

namespace lanwright::planning {

class Addresses {
 public:
  explicit Addresses(Draft& draft) : draft_(draft) {}

  // `found` is nullptr for a link that the plan makes.
  void compare(const Cursor& at, const LinkSpec& link, const LinkFact* found);

 private:
  void compare_addresses(const Cursor& at, const LinkSpec& link, const LinkFact* found);
  void note_foreign(const Cursor& at, const LinkSpec& link, const LinkFact& found);
  void put_behind(const Cursor& at, const LinkSpec& link, const LinkFact& found, const IpPrefix& first);
  void compare_routes(const Cursor& at, const LinkSpec& link, const LinkFact* found);
  bool holds_default_route(const DesiredObject& entry, const std::string& netns, std::uint8_t family);
  std::optional<ResourceId> default_route_of(const std::string& netns, std::uint8_t family) const;
  bool leaves_default_route(const Cursor& at, const LinkSpec& link, const LinkFact* found,
                            const RouteSpec& route);

  Draft& draft_;
  // Of namespaces and address families: which attachment has the default route.
  std::map<std::pair<NamespaceId, std::uint8_t>, std::optional<ResourceId>> default_routes_;
};

}  // namespace lanwright::planning
