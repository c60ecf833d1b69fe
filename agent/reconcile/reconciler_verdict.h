// What a change of the desired state would do, on its way to be carried out. For the engine's own files.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "agent/reconcile/reconciler.h"
#include "state/store.h"

namespace lanwright::reconcile {

struct Reconciler::Verdict {
  desired::DesiredState candidate;
  state::StoreChange change;
  std::string set;
  std::vector<desired::Declaration> put;
  std::vector<ResourceId> removed;
  std::vector<ObjectOutcome> outcomes;
  std::set<ResourceId> scope;  // what it concerns
};

ObjectUid new_uid();  // random

}  // namespace lanwright::reconcile
