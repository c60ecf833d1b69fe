// What of an object's switch, or of its plugs in switches, differs. Pure, as the planner that calls it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model/observed.h"
#include "model/plan.h"
#include "reconcilers/desired/desired_state.h"

namespace lanwright::planning {

class SwitchPlanner {
 public:
  struct Change {
    Step step;
    std::string reason;
    std::vector<std::string> differences;
    Disruption disruption = Disruption::none;
  };
  struct Outcome {
    std::vector<Change> removals;
    std::vector<Change> changes;
    std::optional<Error> blocked;
  };

  SwitchPlanner(const desired::DesiredState& desired, const Observed& observed)
      : desired_(desired), observed_(observed) {}

  // To be called once for each object, networks before what is plugged into them. `resources` are the
  // object's. `made` are links that the plan makes. Without `with_plugs` only the switch itself is seen to.
  Outcome compare(const desired::DesiredObject& entry, const drivers::Resources& resources,
                  const std::set<LinkName>& made, bool with_plugs);

 private:
  void compare_vswitch(const desired::DesiredObject& entry, const SwitchSpec& spec, Outcome& outcome);
  LinkName place_of(const PlugSpec& spec, const OwnerTag& mark) const;
  void compare_plug(const desired::DesiredObject& entry, const PlugSpec& spec, const std::set<LinkName>& made,
                    Outcome& outcome);
  void unplug_strays(const desired::DesiredObject& entry, const drivers::Resources& resources,
                     const std::set<LinkName>& made, Outcome& outcome);
  const std::set<std::string>& networks_of(const ObjectUid& uid);

  const desired::DesiredState& desired_;
  const Observed& observed_;
  std::map<ObjectUid, std::set<std::string>>
      networks_;  // of observed switches that are, or hold a plug, of this uid
  bool indexed_ = false;
  std::set<std::string> run_;    // networks whose switch this plan makes run
  std::set<std::string> fresh_;  // of these, those with a plug that begins empty
};

}  // namespace lanwright::planning
