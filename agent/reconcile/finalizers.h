// What objects left traces on and must be cleared of it later, whatever is declared by then: written down
// before it is done, forgotten when nothing of it is left. Loop thread only.
#pragma once

#include <optional>
#include <set>
#include <vector>

#include "model/base/loop_thread.h"
#include "model/plan.h"
#include "reconcilers/desired/desired_state.h"
#include "state/store.h"

namespace lanwright::reconcile {

using desired::DesiredObject;
using desired::DesiredState;
using state::HeldFinalizer;
using state::Store;

class Finalizers {
 public:
  Finalizers(Store& store, DesiredState& desired) : store_(store), desired_(desired) {}

  Result<void> load() LANWRIGHT_ON_LOOP;  // once the desired state is there
  // Takes in what was committed already.
  void add(const std::vector<HeldFinalizer>& finalizers) LANWRIGHT_ON_LOOP;
  // Before a host's link is made a port by this plan, that it will be is written down: it is given back even
  // if the declaration is gone by then, and repaired if somebody else takes it. On failure, whose actions
  // must not be carried out.
  struct Refused {
    Error error;
    std::set<ResourceId> objects;
  };
  std::optional<Refused> record_traces(const Plan& plan) LANWRIGHT_ON_LOOP;
  // Forgets what this object no longer declares and the kernel no longer has.
  void drop_settled(const DesiredObject& object, const Observed& observed) LANWRIGHT_ON_LOOP;
  // What these objects were to take over is theirs: from now on a foreign link is a conflict again.
  void end_adoption(const std::set<ResourceId>& objects) LANWRIGHT_ON_LOOP;

 private:
  Store& store_;
  DesiredState& desired_;
};

}  // namespace lanwright::reconcile
