#include "reconcilers/plan/planner.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "reconcilers/desired/shared_links.h"
#include "reconcilers/plan/draft.h"
#include "reconcilers/plan/links.h"
#include "reconcilers/plan/open_vswitch.h"
#include "reconcilers/plan/prerequisites.h"
#include "reconcilers/plan/removals.h"
#include "reconcilers/plan/rivals.h"
#include "reconcilers/plan/switches.h"

namespace lanwright::planning {
namespace {

// Looks at one object after the other, in the order of planned_order().
class Planner {
 public:
  Planner(const DesiredState& desired, const Observed& observed)
      : draft_(desired, observed),
        prerequisites_(draft_),
        links_(draft_, prerequisites_),
        switches_(draft_),
        open_vswitch_(draft_) {}

  void compare(const DesiredObject& entry, int depth);
  Plan take() && { return std::move(draft_).take(); }

 private:
  void remove(const Cursor& at);
  void compare(const Cursor& at);
  std::optional<Error> unreadable(const DesiredObject& entry) const;
  std::optional<Error> absent_place(const DesiredObject& entry) const;
  std::optional<Error> handed_over(const DesiredObject& entry) const;
  bool has_links_to_itself(const Cursor& at);
  bool parents_are_fit(const Cursor& at);

  Draft draft_;
  Prerequisites prerequisites_;
  Links links_;
  Switches switches_;
  OpenVswitch open_vswitch_;
};

void Planner::compare(const DesiredObject& entry, int depth) {
  const Cursor at{entry, kStagesPerDepth * (1 + depth)};
  if (entry.object.deleting)
    remove(at);
  else
    compare(at);
  draft_.forget_resources();
}

void Planner::remove(const Cursor& at) {
  release_uplinks(draft_, at);
  remove_all(draft_, at);
  switches_.compare(at, true);
  open_vswitch_.compare(at, true);
}

void Planner::compare(const Cursor& at) {
  if (at.entry.object.spec) release_uplinks(draft_, at);
  if (auto error = unreadable(at.entry)) return draft_.block(at, std::move(*error));
  if (auto error = absent_place(at.entry)) return draft_.block(at, std::move(*error));
  if (auto error = refused_by_rival(draft_, at.entry)) return draft_.block(at, std::move(*error));
  remove_strays(draft_, at);
  if (!has_links_to_itself(at) || !parents_are_fit(at)) return;
  const std::size_t blocked = draft_.blocked();
  links_.compare(at);
  const bool has_links = draft_.blocked() == blocked;
  switches_.compare(at, has_links);  // a switch runs without its uplinks
  open_vswitch_.compare(at, has_links);
  if (draft_.blocked() != blocked) return;
  if (auto away = handed_over(at.entry)) return draft_.await(at, std::move(*away));
  if (auto carrier = prerequisites_.awaited(at.entry)) draft_.await(at, std::move(*carrier));
}

std::optional<Error> Planner::unreadable(const DesiredObject& entry) const {
  if (!entry.object.spec)
    return Error{ErrorKind::internal,
                 "read from the store",
                 entry.object.id.text(),
                 0,
                 "its declaration cannot be read by this version",
                 "apply it again"};
  if (entry.object.id.kind == Kind::attachment && (!entry.network || !entry.network->object.spec))
    return waiting(entry, {}, "the declaration of its network cannot be read by this version",
                   "apply the network again; until then what is plugged in stays as it is");
  return std::nullopt;
}

// An object is whole or not at all: one absent namespace holds up all of its links.
std::optional<Error> Planner::absent_place(const DesiredObject& entry) const {
  const NamespaceFacts& host = draft_.host();
  for (const LinkSpec& link : draft_.resources_of(entry).links) {
    const std::string& netns = link.at.netns;
    const NamespaceFacts* place = draft_.observed().find(netns);
    if (place != nullptr && place != &host && place->inode != 0 && place->inode == host.inode)
      return conflict(entry, link.at, netns + " is the namespace that the agent itself manages",
                      "attach another namespace, or give the host an interface by an uplink");
    if (place == nullptr || !place->present)
      return waiting(entry, link.at, "there is no network namespace " + netns,
                     "it is plugged in as soon as the namespace appears");
  }
  return std::nullopt;
}

// The link is made, and whoever moves it has not brought it to where it connects anything, or has taken it
// away.
std::optional<Error> Planner::handed_over(const DesiredObject& entry) const {
  const auto* spec = std::get_if<AttachmentSpec>(entry.object.spec.get());
  if (spec == nullptr || !spec->endpoint || spec->endpoint->sandbox.empty()) return std::nullopt;
  const auto& [sandbox, left] = std::tie(spec->endpoint->sandbox, spec->endpoint->left);
  const LinkName where{sandbox, spec->interface.empty() ? "the interface" : spec->interface};
  if (left)
    return waiting(entry, where, "Docker takes it out of the sandbox, and has not deleted the endpoint yet",
                   "if Docker does not know it any more: systemctl reload lanwrightd");
  const NamespaceFacts* place = draft_.observed().find(sandbox);
  if (place != nullptr && place->present) return std::nullopt;
  return waiting(entry, where, "there is no network namespace " + sandbox,
                 "Docker brings it there as soon as it has made the sandbox");
}

// What the host calls by several names was not seen to be one link when it was declared: the object that
// comes first by name has it.
bool Planner::has_links_to_itself(const Cursor& at) {
  const DesiredObject* network = at.entry.network ? at.entry.network.get() : &at.entry;
  const auto* spec = std::get_if<NetworkSpec>(network->object.spec.get());
  if (spec == nullptr || (spec->parent.empty() && spec->uplinks.empty())) return true;
  const auto clash = desired::find_clash_by_other_names(
      draft_.desired(), *network, draft_.resources_of(*network), desired::HostNames(&draft_.host()));
  if (!clash || network->object.id < clash->rival->object.id) return true;
  draft_.block(at, conflict(at.entry, {"", clash->link}, clash->words, clash->hint));
  return false;
}

bool Planner::parents_are_fit(const Cursor& at) {
  for (const ParentUse& use : draft_.resources_of(at.entry).parents) {
    if (auto error = prerequisites_.unmet(at.entry, use)) {
      draft_.block(at, std::move(*error));
      return false;
    }
    if (draft_.creates({"", use.name})) draft_.keep_open(at);
  }
  return true;
}

// What is removed, then what others stand on, comes first: later objects see what the plan does to them.
std::vector<std::pair<int, const DesiredObject*>> planned_order(const DesiredState& desired, Scope scope) {
  desired::Depths depths(desired);
  std::vector<std::pair<int, const DesiredObject*>> order;
  const auto add = [&](const DesiredObject& entry) {
    order.emplace_back(entry.object.deleting ? -1 : depths.of(entry), &entry);
  };
  if (scope == nullptr) {
    for (const auto& [id, entry] : desired.entries()) add(*entry);
  } else {
    for (const ResourceId& id : *scope) {
      if (const DesiredObject* entry = desired.find(id)) add(*entry);
    }
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  return order;
}

}  // namespace

Plan plan(const DesiredState& desired, const Observed& observed, Scope scope, const Abandoned& abandoned) {
  if (!observed.complete) return {};
  Planner planner(desired, observed);
  for (const auto& [depth, entry] : planned_order(desired, scope)) {
    if (nobody_waits(abandoned)) return {};
    planner.compare(*entry, depth);
  }
  return std::move(planner).take();
}

std::size_t count_orphans(const DesiredState& desired, const Observed& observed) {
  std::size_t count = 0;
  for (const auto& [netns, facts] : observed.namespaces) {
    for (const auto& [ifindex, fact] : facts.links()) {
      const auto mark = OwnerTag::parse(fact.alias);
      if (mark && desired.find_uid(mark->uid) == nullptr) ++count;
    }
  }
  for (const auto& [network, fact] : observed.switches) {
    if (!fact.uid.empty() && desired.find_uid(fact.uid) == nullptr) ++count;
  }
  for (const auto& [bridge, fact] : observed.ovs.bridges) {
    if (fact.mark && desired.find_uid(fact.mark->uid) == nullptr) ++count;
  }
  return count;
}

}  // namespace lanwright::planning
