#include "reconcilers/kinds/sharing.h"

#include <algorithm>

#include "reconcilers/kinds/table.h"

namespace lanwright::kinds {
namespace {

// "macvlan and ipvlan", whichever was named first.
std::string both(std::string_view a, std::string_view b) {
  const auto place = [](std::string_view name) { return std::ranges::find(all(), name, &LinkKind::name); };
  if (place(b) < place(a)) std::swap(a, b);
  return std::string(a) + " and " + std::string(b);
}

}  // namespace

std::optional<Clash> clash(const ParentUse& a, const ParentUse& b) {
  if (a.kind != b.kind)
    return Clash{both(a.kind, b.kind) + " links cannot stand on one parent",
                 "give one of them another parent"};
  for (const ParentUse* use : {&a, &b}) {
    if (const auto* sole = sole_mode(use->kind, use->attributes))
      return Clash{"in " + std::string(sole->mode) + " one link has its parent to itself",
                   "give one of them another parent"};
  }
  const ParentSharing* sharing = kind_of(a.kind).sharing;
  if (sharing != nullptr && !sharing->uniform.empty() && a.attributes != b.attributes)
    return Clash{std::string(sharing->uniform), "make them the same"};
  return std::nullopt;
}

std::optional<Clash> clash_with_foreign(const ParentUse& use, const LinkFact& foreign) {
  const std::string there =
      "the " + foreign.kind + " link " + foreign.name + " stands on it, which is not ours; ";
  const std::string hint = "remove that link, or name another parent";
  if (foreign.kind != use.kind)
    return Clash{there + use.kind + " and " + foreign.kind + " links cannot share a parent", hint};
  const auto* sole = sole_mode(use.kind, use.attributes);
  if (sole == nullptr) sole = sole_mode(foreign.kind, foreign.attributes);
  if (sole == nullptr) return std::nullopt;
  return Clash{there + "in " + std::string(sole->mode) + " one link has its parent to itself", hint};
}

const ParentSharing::Sole* sole_mode(std::string_view kind, const LinkAttributes& attributes) {
  const ParentSharing* sharing = kind_of(kind).sharing;
  return sharing != nullptr && sharing->sole != nullptr ? sharing->sole(attributes) : nullptr;
}

}  // namespace lanwright::kinds
