// What the log says of objects in trouble: once when one gets into it, and once when it is over, however
// often it is tried in between. The events (Journal) tell each turn of it.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "agent/host/log.h"
#include "agent/reconcile/object_state.h"
#include "model/base/ids.h"

namespace lanwright::reconcile {

// One thread.
class TroubleLog {
 public:
  using Write = std::function<void(log::Level, const std::string& message, const log::Fields&)>;
  explicit TroubleLog(Write write = log::write) : write_(std::move(write)) {}

  // After each input to the object's state: what followed from it, and the state that it is in now.
  void note(const ResourceId& id, const Transition& transition, const ObjectStatus& status);
  void forget(const ResourceId& id) { troubled_.erase(id); }  // nothing of it is left

 private:
  void end(const ResourceId& id, const ObjectStatus& status);

  Write write_;
  std::map<ResourceId, Phase> troubled_;  // told to be so, and not to be over
};

}  // namespace lanwright::reconcile
