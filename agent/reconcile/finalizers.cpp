#include "agent/reconcile/finalizers.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "agent/host/log.h"
#include "reconcilers/plan/planner.h"

namespace lanwright::reconcile {
namespace {

// Whether this change makes a link a port that is an uplink of the object.
bool takes_uplink(const ChangeLink& change, const DesiredObject& object) {
  if (!change.master || change.master->empty()) return false;
  const drivers::Resources resources = object.compile();
  return std::any_of(resources.links.begin(), resources.links.end(),
                     [&](const LinkSpec& link) { return link.borrowed && link.at == change.at; });
}

std::optional<Finalizer> trace_of(const Step& step, const DesiredObject& object) {
  if (const auto* bridge = std::get_if<CreateOvsBridge>(&step)) return Finalizer::ovs(bridge->at.name);
  const auto* change = std::get_if<ChangeLink>(&step);
  if (change != nullptr && takes_uplink(*change, object)) return Finalizer::port(change->at.name);
  return std::nullopt;
}

}  // namespace

Result<void> Finalizers::load() {
  auto stored = store_.finalizers();
  if (!stored) return stored.error();
  std::vector<HeldFinalizer> held;
  std::vector<HeldFinalizer> idle;
  for (const HeldFinalizer& one : *stored)
    (desired_.find_uid(one.uid) == nullptr ? idle : held).push_back(one);
  if (auto dropped = store_.drop_finalizers(idle); !dropped) return dropped;
  add(held);
  return {};
}

void Finalizers::add(const std::vector<HeldFinalizer>& finalizers) {
  std::map<ObjectUid, std::set<Finalizer>> by_object;
  for (const auto& [uid, finalizer] : finalizers) by_object[uid].insert(finalizer);
  for (auto& [uid, its] : by_object) {
    its.insert(desired_.finalizers_of(uid).begin(), desired_.finalizers_of(uid).end());
    desired_.set_finalizers(uid, std::move(its));
  }
}

std::optional<Finalizers::Refused> Finalizers::record_traces(const Plan& plan) {
  std::vector<HeldFinalizer> finalizers;
  std::set<ResourceId> takers;
  for (const Action& action : plan.actions) {
    const auto* object = desired_.find(action.object);
    auto trace = object != nullptr ? trace_of(action.step, *object) : std::nullopt;
    if (!trace || desired_.finalizers_of(object->object.uid).contains(*trace)) continue;
    finalizers.push_back({object->object.uid, *std::move(trace)});
    takers.insert(action.object);
  }
  if (finalizers.empty()) return std::nullopt;
  if (auto stored = store_.add_finalizers(finalizers); !stored)
    return Refused{stored.error(), std::move(takers)};
  add(finalizers);
  return std::nullopt;
}

void Finalizers::drop_settled(const DesiredObject& object, const Observed& observed) {
  const auto settled = planning::settled_finalizers(object, desired_, observed);
  if (settled.empty()) return;
  const ObjectUid& uid = object.object.uid;
  std::vector<HeldFinalizer> finalizers;
  std::set<Finalizer> rest = desired_.finalizers_of(uid);
  for (const Finalizer& finalizer : settled) {
    finalizers.push_back({uid, finalizer});
    rest.erase(finalizer);
  }
  if (auto dropped = store_.drop_finalizers(finalizers); !dropped) {
    log::warning("store", {{"error", dropped.error().text()}});
    return;
  }
  desired_.set_finalizers(uid, std::move(rest));
}

void Finalizers::end_adoption(const std::set<ResourceId>& objects) {
  if (objects.empty()) return;
  for (const ResourceId& id : objects) {
    const DesiredObject* known = desired_.find(id);
    if (known == nullptr || !known->object.adopt) continue;
    desired::Declaration object = known->object;
    object.adopt = false;
    desired_.put(std::move(object));
  }
  if (auto ended = store_.end_adoption(objects); !ended)
    log::warning("store", {{"error", ended.error().text()}});
}

}  // namespace lanwright::reconcile
