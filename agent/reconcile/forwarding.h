// What the bridges of networks forward, let through the host's firewall where that drops it. Loop thread
// only.
#pragma once

#include <optional>
#include <set>

#include "model/base/ids.h"
#include "model/base/loop_thread.h"
#include "reconcilers/backends/firewall_backend.h"
#include "reconcilers/desired/desired_state.h"

namespace lanwright::reconcile {

// For the bridge of this network, when it has one and is to stay.
std::optional<ForwardRule> forward_rule_for(const desired::DesiredObject& network);

class Forwarding {
 public:
  // Both outlive it.
  Forwarding(const desired::DesiredState& desired, FirewallBackend& firewall) LANWRIGHT_ON_LOOP;

  // These changed; what is no network is not looked at.
  void look_at(const std::set<ResourceId>& objects) LANWRIGHT_ON_LOOP;

 private:
  const desired::DesiredState& desired_;
  FirewallBackend& firewall_;
};

}  // namespace lanwright::reconcile
