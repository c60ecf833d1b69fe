// An object's switch, and its plugs in switches.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "reconcilers/plan/draft.h"

namespace lanwright::planning {

class Switches {
 public:
  explicit Switches(Draft& draft) : draft_(draft) {}

  // To be called once for each object, networks before what is plugged into them, and after its links were
  // compared. Without `with_plugs` only the switch itself is seen to, and nothing is said of what blocks it.
  void compare(const Cursor& at, bool with_plugs);

 private:
  std::optional<Error> compare_switch(const Cursor& at, const SwitchSpec& spec);
  std::optional<Error> compare_plug(const Cursor& at, const PlugSpec& spec);
  void remove_strays(const Cursor& at);
  void unplug_strays(const Cursor& at, const std::string& network, const SwitchFact& fact);
  std::optional<Error> claim_place(const DesiredObject& entry, const SwitchFact& fact, RunSwitch& step) const;
  std::optional<Error> not_running(const DesiredObject& entry, const PlugSpec& spec,
                                   const SwitchFact* own) const;
  const SwitchFact* find(const std::string& network) const;
  LinkName place_of(const PlugSpec& spec, const OwnerTag& mark) const;
  const std::set<std::string>& networks_of(const ObjectUid& uid);

  Draft& draft_;
  // Networks of observed switches that are, or hold a plug, of this uid.
  std::optional<std::map<ObjectUid, std::set<std::string>>> networks_;
  std::set<std::string> run_;    // networks whose switch this plan makes run
  std::set<std::string> fresh_;  // of these, those with a plug that begins empty
};

}  // namespace lanwright::planning
