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

// The bridge is wanted otherwise or not at all, and seen not to be there.
bool is_settled_bridge(const Draft& draft, const DesiredObject& entry, const std::string& name) {
  const auto& wanted = draft.resources_of(entry).ovs_bridge;
  const OvsFacts& facts = draft.observed().ovs;
  if ((wanted && wanted->name == name) || !facts.live) return false;
  const auto known = facts.bridges.find(name);
  return known == facts.bridges.end() || !known->second.mark || known->second.mark->uid != entry.object.uid;
}

bool is_settled(const Draft& draft, const DesiredObject& entry, const Finalizer& finalizer) {
  switch (finalizer.kind) {
    case Finalizer::Kind::netns:
      return is_settled_place(draft, entry, finalizer.name);
    case Finalizer::Kind::ovs:
      return is_settled_bridge(draft, entry, finalizer.name);
    case Finalizer::Kind::port:
      break;
  }
  return is_settled_uplink(draft, entry, finalizer.name);
}

}  // namespace

std::set<Finalizer> settled_finalizers(const DesiredObject& entry, const DesiredState& desired,
                                       const Observed& observed) {
  const Draft draft(desired, observed);
  std::set<Finalizer> settled;
  for (const Finalizer& finalizer : desired.finalizers_of(entry.object.uid)) {
    if (is_settled(draft, entry, finalizer)) settled.insert(finalizer);
  }
  return settled;
}

}  // namespace lanwright::planning
