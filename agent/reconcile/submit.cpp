// How what is desired changes: made in place, checked, committed to the store, and only then kept.
#include <utility>

#include "agent/reconcile/clock.h"
#include "agent/reconcile/reconciler.h"
#include "model/format/json.h"
#include "reconcilers/desired/allocations.h"
#include "reconcilers/plan/planner.h"

namespace lanwright::reconcile {
namespace {

StoredObject stored_from(const Declaration& object) {
  StoredObject stored;
  stored.id = object.id;
  stored.set = object.set;
  stored.uid = object.uid;
  stored.adopt = object.adopt;
  stored.spec = to_json(*object.spec).dump();
  stored.allocations = desired::text_of_allocations(object.allocations);
  return stored;
}

StoreChange store_change_of(ChangeRequest& request, const DesiredState& desired, const Changeset& changes) {
  StoreChange change = std::move(request.beside);
  for (const ResourceId& id : changes.upserted())
    change.put_objects.push_back(stored_from(desired.find(id)->object));
  change.mark_deleting.assign(changes.deleted().begin(), changes.deleted().end());
  for (const Changeset::LeftNamespace& left : changes.left_namespaces())
    change.add_finalizers.push_back({left.uid, Finalizer::netns(left.path)});
  return change;
}

bool is_empty(const StoreChange& change) {
  return change.put_sets.empty() && change.drop_sets.empty() && change.put_objects.empty() &&
         change.mark_deleting.empty() && change.put_annexes.empty() && change.drop_annexes.empty();
}

// Namespaces that are named for the first time are looked at: they may be others' too.
LANWRIGHT_ON_LOOP void look_at_namespaces(Changeset& changes, const DesiredState& desired, Sources& sources) {
  if (changes.moves_namespaces()) sources.watch_also(desired.namespaces());
  changes.include_neighbours(sources.observed());
}

}  // namespace

Result<Plan> Reconciler::preview(ChangeRequest request) {
  const auto look = [this](std::set<std::string> namespaces) LANWRIGHT_ON_LOOP {
    return Result<std::shared_ptr<const Observed>>(observed_with(std::move(namespaces)));
  };
  return reconcile::preview(desired_, lend(io_, observed()), std::move(request), look);
}

Basis Reconciler::basis() const {
  return {desired_.parts(), lend(io_, observed())};
}

std::shared_ptr<const Observed> Reconciler::observed_with(std::set<std::string> namespaces) {
  sources_.watch_also(std::move(namespaces));
  auto seen = lend(io_, observed());
  sources_.watch(desired_.namespaces());
  return seen;
}

Result<Reconciler::Committed> Reconciler::submit(ChangeRequest request, Answer answer) {
  auto committed = commit(request, answer);
  if (!committed) sources_.watch(desired_.namespaces());
  for (const state::StoredSet& set : store_.sets()) {
    if (committed && set.name == request.set) committed->generation = set.generation;
  }
  return committed;
}

Result<Reconciler::Committed> Reconciler::commit(ChangeRequest& request, Answer answer) {
  if (const auto& stopped = waiters_.dismissed()) return *stopped;
  Changeset changes(desired_, new_uid);
  if (auto declared = declare(request, desired_, observed().find(std::string{}), changes); !declared)
    return declared.error();
  look_at_namespaces(changes, desired_, sources_);
  Committed committed;
  if (answer == Answer::with_plan) committed.plan = planning::plan(desired_, observed(), &changes.scope());
  StoreChange change = store_change_of(request, desired_, changes);
  if (is_empty(change)) return committed;

  const std::vector<Event> events = change.events;
  change.events.insert(change.events.begin(), journal_.unsaved().begin(), journal_.unsaved().end());
  const std::vector<HeldFinalizer> finalizers = change.add_finalizers;
  auto stored = store_.commit(std::move(change));
  if (!stored) return stored.error();
  changes.keep();
  journal_.committed(events);
  finalizers_.add(finalizers);
  take_over(changes, *stored);
  if (on_committed) on_committed(changes.scope());
  for (Controller* controller : controllers_) {
    if (controller != request.author) controller->on_committed(changes.scope(), changes.deleted());
  }
  return committed;
}

void Reconciler::take_over(const Changeset& changes, const std::vector<StoredObject>& stored) {
  abandon();  // the plan at hand was made for what was desired before
  for (const StoredObject& each : stored) {
    Declaration object = desired_.find(each.id)->object;
    if (object.generation != each.generation) {
      object.generation = each.generation;
      desired_.put(std::move(object));
    }
    objects_.set_created(each.id, each.created);
    update(each.id, silently(&ObjectState::declared));
    queue_.add_now(each.id);
  }
  for (const ResourceId& id : changes.deleted()) {
    update(id, silently([](ObjectState& state) { state.deleted(now()); }));
    queue_.add_now(id);
  }
  for (const ResourceId& id : changes.scope()) {
    const ObjectState* state = objects_.find(id);
    const Phase phase = state != nullptr ? state->status().phase : Phase::pending;
    if (phase == Phase::ready && changes.alters(id))
      update(id, silently([](ObjectState& its) { its.superseded(now()); }));
    if (phase == Phase::contested) {  // who changed it back may have been what is declared otherwise now
      update(id, silently([](ObjectState& its) { its.released(now()); }));
      queue_.add_now(id);
    }
    queue_.add(id);
  }
  if (changes.moves_namespaces()) sources_.watch(desired_.namespaces());
  sources_.serve(desired_.drivers());
  schedule();
}

Result<void> Reconciler::admit_deletion(std::set<ResourceId>& objects) const {
  for (const Controller* controller : controllers_) {
    if (auto admitted = controller->admit_deletion(objects); !admitted) return admitted;
  }
  return {};
}

}  // namespace lanwright::reconcile
