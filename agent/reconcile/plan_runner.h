// Carries out a plan, batch by batch, so that the loop turns in between. Loop thread only.
#pragma once

#include <cstddef>
#include <set>
#include <vector>

#include "agent/reconcile/sources.h"
#include "model/base/loop_thread.h"
#include "model/plan.h"

namespace lanwright::reconcile {

class PlanRunner {
 public:
  struct Failure {
    ResourceId object;
    Error error;
  };
  struct Batch {
    std::size_t actions = 0;        // that were tried
    std::vector<Failure> failures;  // the first one of each object; the rest of its actions is left out
  };

  explicit PlanRunner(Sources& sources) : sources_(sources) {}

  // Takes the place of the plan before, which is done or abandoned.
  const Plan& begin(Plan plan) LANWRIGHT_ON_LOOP;
  // Actions of this object that were not begun are left out.
  void withhold(const ResourceId& object) LANWRIGHT_ON_LOOP { withheld_.insert(object); }
  bool is_done() const LANWRIGHT_ON_LOOP { return next_ >= plan_.actions.size(); }
  // The next actions of one stage. Not when done.
  Batch run_batch() LANWRIGHT_ON_LOOP;
  // Forgets the rest; returns the objects whose actions were not all tried, without those withheld.
  std::set<ResourceId> abandon() LANWRIGHT_ON_LOOP;

 private:
  Plan plan_;
  std::size_t next_ = 0;  // of plan_.actions
  std::set<ResourceId> withheld_;
  Sources& sources_;
};

}  // namespace lanwright::reconcile
