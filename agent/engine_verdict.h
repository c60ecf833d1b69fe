// What a change of the desired state would do, on its way to be carried out. For the engine's own files.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "agent/engine.h"
#include "state/store.h"

namespace lanwright {

struct Engine::Verdict {
  Blueprint candidate;
  StoreChange change;
  std::string set;
  std::vector<WantedObject> put;
  std::vector<ResourceId> removed;
  std::vector<ObjectOutcome> outcomes;
  std::set<ResourceId> scope;  // what it concerns
};

Uid new_uid();  // random

}  // namespace lanwright
