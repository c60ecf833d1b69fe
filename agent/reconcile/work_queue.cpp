#include "agent/reconcile/work_queue.h"

namespace lanwright::reconcile {

void WorkQueue::add(const ResourceId& id) {
  auto& deferral = items_[id];
  if (deferral && deferral->until_hint) deferral.reset();
}

void WorkQueue::add_now(const ResourceId& id) {
  items_[id].reset();
}

void WorkQueue::defer(const ResourceId& id, Deferral deferral) {
  items_[id] = deferral;
}

void WorkQueue::remove(const ResourceId& id) {
  items_.erase(id);
}

std::set<ResourceId> WorkQueue::ready(SteadyTime now) const {
  std::set<ResourceId> ready;
  for (const auto& [id, deferral] : items_) {
    if (!deferral || deferral->until <= now) ready.insert(ready.end(), id);
  }
  return ready;
}

std::optional<SteadyTime> WorkQueue::next() const {
  std::optional<SteadyTime> next;
  for (const auto& [id, deferral] : items_) {
    if (deferral && (!next || deferral->until < *next)) next = deferral->until;
  }
  return next;
}

}  // namespace lanwright::reconcile
