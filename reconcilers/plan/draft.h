// The plan in the making, and what it is made of: what is desired, what is observed, and what the actions
// planned so far do to the latter, so that later objects are compared with the host as it will be.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/observed.h"
#include "model/plan.h"
#include "reconcilers/desired/desired_state.h"

namespace lanwright::planning {

using desired::DesiredObject;
using desired::DesiredState;
using drivers::Resources;

// Stages of what one object needs, relative to its depth; removals come before all of them, and before those
// the marks of links that lost theirs: nothing is removed that is not marked.
inline constexpr int kMarks = -1;
inline constexpr int kRemovals = 0;
inline constexpr int kStagesPerDepth = 10;
enum Within : int { kLinks = 0, kInnerLinks = 1, kAddresses = 2, kRoutes = 3, kWhole = 4 };

// The object at hand, and the stage at which its actions begin.
struct Cursor {
  const DesiredObject& entry;
  int stage;
};

class Draft {
 public:
  // Both outlive it, and do not change meanwhile.
  Draft(const DesiredState& desired, const Observed& observed) : desired_(desired), observed_(observed) {}

  const DesiredState& desired() const { return desired_; }
  const Observed& observed() const { return observed_; }
  const NamespaceFacts& host() const;  // the managed namespace
  // "" for 0; "ifindex N" when there is no such link.
  std::string name_of_index(const std::string& netns, int ifindex) const;
  // Compiled once, until forget_resources(): those of thousands of objects would take much room.
  const Resources& resources_of(const DesiredObject& entry) const;
  void forget_resources() { resources_.clear(); }
  // All watched paths that lead to where this one does, itself included.
  std::vector<std::string> paths_to(const std::string& netns) const;

  // What the plan does so far.
  bool creates(const LinkName& link) const { return created_.contains(place_of(link)); }
  bool creates_down(const LinkName& link) const { return created_down_.contains(place_of(link)); }
  bool renames_to(const LinkName& link) const { return renamed_.contains(place_of(link)); }
  bool removes(const std::string& netns, int ifindex) const {
    return removed_.contains({observed_.id_of(netns), ifindex});
  }

  void note_creation(const LinkName& link) { created_.insert(place_of(link)); }
  void note_held_down(const LinkName& link) { created_down_.insert(place_of(link)); }  // of what it creates
  void note_rename(const LinkName& to) { renamed_.insert(place_of(to)); }
  // False when it goes already.
  bool note_removal(const std::string& netns, int ifindex) {
    return removed_.insert({observed_.id_of(netns), ifindex}).second;
  }

  void act(const Cursor& at, int stage, Step step, std::string reason, std::vector<std::string> differences,
           Disruption disruption = Disruption::none);
  void block(const Cursor& at, Error why);
  // All of it is planned or there, but carries nothing until then.
  void await(const Cursor& at, Error carrier);
  void note(const Cursor& at, const std::string& text);
  void keep_open(const Cursor& at) { plan_.open.insert(at.entry.object.id); }
  std::size_t blocked() const { return plan_.blocked.size(); }

  // The plan in the order of its stages; what is of one stage stays in the order in which it came.
  Plan take() &&;

 private:
  using Place = std::pair<NamespaceId, std::string>;  // what a LinkName means
  Place place_of(const LinkName& link) const { return {observed_.id_of(link.netns), link.name}; }

  const DesiredState& desired_;
  const Observed& observed_;
  Plan plan_;
  mutable std::map<const DesiredObject*, Resources> resources_;
  std::set<Place> created_;
  std::set<Place> created_down_;                   // those of them that cannot be up yet
  std::set<Place> renamed_;                        // names that the plan gives to links that are there
  std::set<std::pair<NamespaceId, int>> removed_;  // ifindexes by namespace
  mutable std::optional<std::map<NamespaceId, std::vector<std::string>>> paths_;
};

// See LinkSpec::whole_checksums.
bool sends_whole_checksums(const Draft& draft, const LinkSpec& link);

// Why an object cannot be made to match now.
Error waiting(const DesiredObject& entry, const LinkName& link, std::string words, std::string hint);
Error conflict(const DesiredObject& entry, const LinkName& link, std::string words, std::string hint);

// "eth0 of attachment h1"
std::string label(const DesiredObject& entry, const LinkName& link);
// "vlan", or "physical" for what has no kind.
std::string kind_or_physical(const LinkFact& fact);
// "none" for the empty text.
std::string text_or_none(const std::string& text);
// A change of this link as it is now, of which nothing is said yet.
ChangeLink change_of(const LinkName& where, const LinkFact& fact);

}  // namespace lanwright::planning
