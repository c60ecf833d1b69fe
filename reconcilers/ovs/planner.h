// Bridges of Open vSwitch as they are wanted, against what is observed. A pure function: any thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "reconcilers/ovs/bridges.h"
#include "reconcilers/ovs/steps.h"

namespace lanwright::ovs {

struct Wanted {
  std::map<std::string, BridgeSpec> bridges;  // by name
  std::set<ObjectUid> deleted;                // their bridges go
};

struct Blocked {
  std::string bridge;
  std::string port;  // "" = the bridge itself
  Error why;         // `conflict`: somebody else's; `waiting`: for Open vSwitch, or a device
  bool operator==(const Blocked&) const = default;
};

struct Plan {
  std::vector<Action> actions;  // by stage
  std::vector<Blocked> blocked;
  bool operator==(const Plan&) const = default;
};

// Stages: removals; bridges with their first ports, and what differs; further ports; controllers.
inline constexpr int kRemovals = 0;
inline constexpr int kBridges = 1;
inline constexpr int kPorts = 2;           // and above, one for each further hundred
inline constexpr int kControllers = 1000;  // when the local port was set up

Plan plan(const Wanted& wanted, const Observed& observed);

}  // namespace lanwright::ovs
