// The pure planner: desired and observed in, ordered actions out. No I/O, no clock, no memory: the same input
// gives the same plan, and once the plan's actions are done and observed the plan is empty. Any thread.
#pragma once

#include <set>

#include "model/base/abandoned.h"
#include "model/observed.h"
#include "model/plan.h"
#include "reconcilers/desired/desired_state.h"

namespace lanwright::planning {

// What is compared: these objects; all when absent. Objects outside are not looked at, except as what others
// stand on.
using Scope = const std::set<ResourceId>*;

// Never plans a removal or a change of a link that does not carry our mark, except master, port attributes
// and UP of declared uplinks, and what an object with `adopt` names. Empty when `observed` is not complete.
// One that is given up is a part, of no use.
Plan plan(const desired::DesiredState& desired, const Observed& observed, Scope scope = nullptr,
          const Abandoned& abandoned = {});

// Finalizers of this object that are no longer declared and no longer hold in the kernel: may be dropped.
std::set<Finalizer> settled_finalizers(const desired::DesiredObject& entry,
                                       const desired::DesiredState& desired, const Observed& observed);

// Links that carry a mark of ours that `desired` does not know, and switches likewise. They are left alone,
// and told.
std::size_t count_orphans(const desired::DesiredState& desired, const Observed& observed);

}  // namespace lanwright::planning
