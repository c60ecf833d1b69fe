// What an object once took and is still to be cleared of: see settled_finalizers() in planner.h.
#include <algorithm>

#include "reconcilers/plan/draft.h"
#include "reconcilers/plan/ownership.h"
#include "reconcilers/plan/planner.h"

namespace lanwright::planning {
namespace {

// The object has links there again, or none any more.
bool is_settled_place(const Draft& draft, const DesiredObject& entry, const std::string& place) {
  const auto& links = draft.resources_of(entry).links;
  const bool declared = std::any_of(links.begin(), links.end(), [&](const LinkSpec& link) {
    return draft.observed().is_same_namespace(link.at.netns, place) ||
           draft.observed().is_same_namespace(link.delegate_netns, place);
  });
  const NamespaceFacts* facts = draft.observed().find(place);
  return declared || facts == nullptr || !facts->present || facts->marked(entry.object.uid).empty();
}

// The link is not declared any more, and no port of the object's either.
bool is_settled_uplink(const Draft& draft, const DesiredObject& entry, const std::string& name) {
  const bool unknown = draft.observed().find(std::string{}) == nullptr;
  if (unknown || declares_uplink(draft, entry, {"", name})) return false;
  const LinkFact* link = draft.host().find(name);
  const LinkFact* master = link != nullptr && link->master != 0 ? draft.host().find(link->master) : nullptr;
  const auto mark = master != nullptr ? OwnerTag::parse(master->alias) : std::nullopt;
  return !mark || mark->uid != entry.object.uid;
}

}  // namespace

std::set<Finalizer> settled_finalizers(const DesiredObject& entry, const DesiredState& desired,
                                       const Observed& observed) {
  const Draft draft(desired, observed);
  std::set<Finalizer> settled;
  for (const Finalizer& finalizer : desired.finalizers_of(entry.object.uid)) {
    const bool done = finalizer.kind == Finalizer::Kind::netns
                          ? is_settled_place(draft, entry, finalizer.name)
                          : is_settled_uplink(draft, entry, finalizer.name);
    if (done) settled.insert(finalizer);
  }
  return settled;
}

}  // namespace lanwright::planning
