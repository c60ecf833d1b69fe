// The objects that are to be compared with the kernel, each at once or not before a time. A value; the
// reconciler's thread.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>

#include "model/base/ids.h"

namespace lanwright::reconcile {

using SteadyTime = std::chrono::steady_clock::time_point;

// How long an object is left alone.
struct Deferral {
  SteadyTime until;
  bool until_hint = false;  // or until anything around the object moves, whichever comes first
};

class WorkQueue {
 public:
  // Something moved around the object. Does not end a deferral that is not `until_hint`.
  void add(const ResourceId& id);
  void add_now(const ResourceId& id);  // ends any deferral
  void defer(const ResourceId& id, Deferral deferral);
  void remove(const ResourceId& id);

  std::set<ResourceId> ready(SteadyTime now) const;
  // When the next deferred object is ready; absent when none is deferred.
  std::optional<SteadyTime> next() const;
  bool empty() const { return items_.empty(); }

 private:
  std::map<ResourceId, std::optional<Deferral>> items_;
};

}  // namespace lanwright::reconcile
