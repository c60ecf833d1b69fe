#include "agent/reconcile/reconciler.h"

#include <malloc.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "agent/host/log.h"
#include "agent/reconcile/clock.h"
#include "agent/reconcile/outcome.h"
#include "model/format/json.h"
#include "reconcilers/desired/allocations.h"
#include "reconcilers/drivers/registry.h"
#include "reconcilers/os/on_loop.h"
#include "reconcilers/plan/planner.h"

namespace lanwright::reconcile {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kSlice = 30ms;        // of one turn of the loop
constexpr std::size_t kBurst = 256;  // messages in one look: more will follow, wait for quiet
constexpr auto kQuiet = 5ms;
constexpr auto kStoreRetry = 1s;
constexpr std::size_t kWorthTrimming = 200;  // actions or objects

Version version_of(const DesiredObject& object) {
  return {object.object.generation, object.object.deleting};
}

Declaration declaration_from(const StoredObject& stored) {
  Declaration object;
  object.id = stored.id;
  object.set = stored.set;
  object.uid = stored.uid;
  object.generation = stored.generation;
  object.deleting = stored.deleting;
  object.adopt = stored.adopt;
  object.allocations = desired::allocations_from(stored.allocations);
  auto spec = spec_from_json(stored.id.kind, stored.id.name, stored.spec, drivers::driver_grammar());
  if (spec)
    object.spec = std::make_shared<const ObjectSpec>(std::move(*spec));
  else
    log::error("stored declaration cannot be read",
               {{"object", stored.id.text()}, {"error", spec.error().text()}});
  return object;
}

}  // namespace

Reconciler::Reconciler(boost::asio::io_context& io, Store& store, Sources& sources, Journal& journal)
    : io_(io),
      store_(store),
      sources_(sources),
      journal_(journal),
      finalizers_(store, desired_),
      runner_(sources),
      wake_timer_(io, [this]() LANWRIGHT_ON_LOOP { reconcile(); }) {}

Result<void> Reconciler::start() {
  if (auto loaded = load(); !loaded) return loaded;
  if (auto read =
          sources_.open([this](const ObservedChange& change) LANWRIGHT_ON_LOOP { on_observed(change); });
      !read)
    return read;
  sources_.watch(desired_.namespaces());  // after the first look, which would read them all a second time
  sources_.serve(desired_.drivers());
  found_.actions = desired_.entries().size();
  journal_.record_own("Started", "lanwrightd " LANWRIGHT_VERSION " keeps " +
                                     std::to_string(desired_.entries().size()) + " objects");
  sources_.listen();
  reconcile();
  return {};
}

Result<void> Reconciler::load() {
  auto objects = store_.objects();
  if (!objects) return objects.error();
  const Now started = now();
  for (const StoredObject& stored : *objects) {
    Declaration object = declaration_from(stored);
    objects_.set_created(stored.id, stored.created);
    objects_.update(object, silently([&](ObjectState& state) { state.begin(started.wall); }));
    queue_.add_now(stored.id);
    desired_.put(std::move(object));
  }
  return finalizers_.load();
}

void Reconciler::stop() {
  run_ = Run::stopped;
  wake_timer_.cancel();
  sources_.stop();
  journal_.record_own("Stopping", "the data path stays as it is");
  waiters_.dismiss({ErrorKind::busy, {}, "the agent", 0, "it is being stopped", "try again"});
  journal_.close();
}

void Reconciler::resync() {
  sources_.reread();
}

// Events are hints: whatever they concern is compared anew.
void Reconciler::on_observed(const ObservedChange& change) {
  journal_.count("netlink_messages_total", change.messages);
  if (change.overrun) {
    journal_.count("netlink_overruns_total");
    if (!sources_.is_reread_pending())
      journal_.record_own("Resync",
                          "kernel events were lost; nothing is removed until everything is read again");
  }
  if (change.full_resync) {
    journal_.count("resyncs_total");
    abandon();  // the plan at hand rests on what was known before
  }
  for (const ResourceId& id : desired_.concerned_by(change)) queue_.add(id);
  // More will follow a burst: it is waited for, but never pushed out, as a storm may have no end.
  if (change.messages < kBurst)
    schedule();
  else if (!wake_timer_.is_set() || wake_timer_.due() > Clock::now() + kQuiet)
    wake_timer_.set_in(kQuiet);
}

// ---- the loop

void Reconciler::schedule() {
  if (run_ != Run::idle) return;
  run_ = Run::scheduled;
  boost::asio::post(io_, [this] {
    os::assert_on_loop(io_);
    if (run_ == Run::scheduled) reconcile();
  });
}

void Reconciler::reconcile() {
  if (run_ == Run::stopped) return;
  run_ = Run::looping;
  const auto end = Clock::now() + kSlice;
  while (reconcile_once()) {
    if (Clock::now() < end) continue;
    run_ = Run::idle;
    return schedule();
  }
  run_ = Run::idle;
  finish();
}

// One piece of work; false when there is none left to do now.
bool Reconciler::reconcile_once() {
  if (!observed().complete) return false;
  if (!runner_.is_done()) {
    run_batch();
    return true;
  }
  std::set<ResourceId> scope;
  for (const ResourceId& id : queue_.ready(Clock::now())) {
    if (desired_.find(id) != nullptr)
      scope.insert(scope.end(), id);
    else
      queue_.remove(id);
  }
  if (scope.empty()) return false;
  Plan next = planning::plan(desired_, observed(), &scope);
  if (reread_before_claiming_unmarked(next)) return observed().complete;
  begin(std::move(next), scope);
  return true;
}

// The kernel does not announce when the alias of a link that is down changes. Before a link without its tag
// is taken for one of ours that lost it, everything is read anew: it may long carry somebody else's.
bool Reconciler::reread_before_claiming_unmarked(const Plan& plan) {
  const bool tags = std::any_of(plan.actions.begin(), plan.actions.end(), [](const Action& action) {
    const auto* change = std::get_if<ChangeLink>(&action.step);
    return change != nullptr && change->alias;
  });
  if (!tags || std::exchange(found_.reread, true)) {
    found_.reread = false;
    return false;
  }
  sources_.reread_links();
  return true;
}

// What needs no action is done with; what needs some, or stands on what is made by some, stays queued.
void Reconciler::begin(Plan next, const std::set<ResourceId>& scope) {
  journal_.count("plans_total");
  const Plan& plan = runner_.begin(std::move(next));
  std::map<ResourceId, std::vector<const Action*>> actions;
  for (const Action& action : plan.actions) actions[action.object].push_back(&action);
  std::map<ResourceId, const Blocked*> blocks;
  for (const Blocked& block : plan.blocked) blocks.emplace(block.object, &block);
  for (const ResourceId& id : scope) {
    const auto block = blocks.find(id);
    found_.removed.erase(id);  // it may have come back since it was seen to be gone
    queue_.add_now(id);
    compared(*desired_.find(id), actions[id], block != blocks.end() ? block->second : nullptr, plan);
  }
  if (const auto refused = finalizers_.record_traces(plan)) {
    for (const ResourceId& id : refused->objects)
      update(id, [&](ObjectState& state) { return state.failed(refused->error, now()); });
  }
}

void Reconciler::compared(const DesiredObject& object, const std::vector<const Action*>& actions,
                          const Blocked* block, const Plan& plan) {
  const ResourceId id = object.object.id;
  const Version version = version_of(object);
  if (!actions.empty())
    return update(id, [&](ObjectState& state) LANWRIGHT_ON_LOOP {
      Transition transition = state.out_of_sync(actions, version, now());
      add_remedies(actions, state, transition);
      return transition;
    });
  if (block == nullptr && plan.open.contains(id)) return;
  queue_.remove(id);
  if (block != nullptr && !block->complete) {
    found_.compared.insert(id);
    return update(id, [&](ObjectState& state) { return state.blocked(block->why, version, now()); });
  }
  finalizers_.drop_settled(object, observed());
  if (version.deleting) {
    found_.removed.insert(id);
    return;
  }
  if (object.object.adopt) found_.adopted.insert(id);
  found_.compared.insert(id);
  const auto note = plan.notes.find(id);
  const std::string words = note != plan.notes.end() ? note->second : std::string();
  update(id, [&](ObjectState& state) {
    return block != nullptr ? state.awaiting(block->why, version, now())
                            : state.in_sync(version, now(), words);
  });
}

// What people can do about an uplink that is taken off its network, where it can be seen who does that.
void Reconciler::add_remedies(const std::vector<const Action*>& actions, ObjectState& state,
                              Transition& transition) const {
  if (!remedy_for_uplink || transition.reports.empty()) return;
  std::string remedies;
  for (const Action* action : actions) {
    const auto* change = std::get_if<ChangeLink>(&action->step);
    if (change == nullptr || !change->at.netns.empty() || change->master.value_or("").empty()) continue;
    const LinkFact* link = observed().find(change->at);
    if (link == nullptr || OwnerTag::parse(link->alias)) continue;
    const std::string remedy = remedy_for_uplink(link->name, link->ifindex);
    if (!remedy.empty()) remedies += "; " + remedy;
  }
  if (remedies.empty()) return;
  for (Transition::Report& report : transition.reports) {
    report.message += remedies;
    // Of the others the state has no message.
    if (report.event != std::string_view("DriftSeen")) state.add_to_message(remedies);
  }
}

// Gives the object's state an input, and carries out what follows.
void Reconciler::update(const ResourceId& id, const ObjectTable::Input& input) {
  const DesiredObject* object = desired_.find(id);
  if (object == nullptr) return;
  const Transition transition = objects_.update(object->object, input);
  if (transition.retry) queue_.defer(id, *transition.retry);
  if (!transition.run_actions) runner_.withhold(id);
  if (transition.failed) journal_.count("action_failures_total");
  for (const Transition::Report& report : transition.reports) record(report.event, id, report.message);
  troubles_.note(id, transition, objects_.find(id)->status());
}

void Reconciler::run_batch() {
  const PlanRunner::Batch batch = runner_.run_batch();
  journal_.count("actions_total", batch.actions);
  found_.actions += batch.actions;
  for (const PlanRunner::Failure& failure : batch.failures) {
    update(failure.object, [&](ObjectState& state) { return state.failed(failure.error, now()); });
  }
  if (!observed().complete) abandon();  // events were lost: what is left rests on what may not be so
}

// What was not done of the plan was not tried: it must not count as a change that does not hold.
void Reconciler::abandon() {
  for (const ResourceId& id : runner_.abandon()) update(id, silently(&ObjectState::not_tried));
}

// ---- when there is nothing left to do now

void Reconciler::finish() {
  forget_removed();
  finalizers_.end_adoption(std::exchange(found_.adopted, {}));
  const auto compared = std::exchange(found_.compared, {});
  for (Controller* controller : controllers_) controller->on_compared(compared);
  if (const auto next = queue_.next())
    wake_timer_.set_at(*next);
  else
    wake_timer_.cancel();
  waiters_.check();
  const bool converged = is_converged(std::nullopt, 0);
  if (on_converged && found_.converged != converged) on_converged(converged);
  found_.converged = converged;
  if (!converged) return;
  // What a large change took is given back to the system; small ones are not worth the time.
  if (std::exchange(found_.actions, 0) > kWorthTrimming) malloc_trim(0);
}

void Reconciler::forget_removed() {
  // An object may have been declared again since it was seen to be gone.
  std::erase_if(found_.removed, [this](const ResourceId& id) {
    const DesiredObject* object = desired_.find(id);
    return object == nullptr || !object->object.deleting;
  });
  const auto removed = std::exchange(found_.removed, {});
  if (removed.empty()) return;
  if (auto forgotten = store_.forget({removed.begin(), removed.end()}); !forgotten) {
    log::warning("store", {{"error", forgotten.error().text()}});
    for (const ResourceId& id : removed) queue_.defer(id, {Clock::now() + kStoreRetry});
    return;
  }
  for (const ResourceId& id : removed) {
    record("Removed", id, "nothing of it is left");
    desired_.erase(id);
    objects_.forget(id);
    troubles_.forget(id);
  }
  sources_.watch(desired_.namespaces());
  sources_.serve(desired_.drivers());
}

// ---- who asks

bool Reconciler::is_converged(const std::optional<std::string>& set, std::uint64_t generation) const {
  if (!observed().complete) return false;
  if (!set) return queue_.empty() && objects_.all_idle();
  for (const state::StoredSet& stored : store_.sets()) {
    if (stored.name == *set && stored.generation < generation) return false;
  }
  return objects_.is_ready(*set);
}

Waiters::Ticket Reconciler::wait_converged(std::optional<std::string> set, std::uint64_t generation,
                                           Waiters::Done done) {
  return waiters_.wait_for(
      [this, set = std::move(set), generation]() LANWRIGHT_ON_LOOP -> std::optional<Result<void>> {
        if (!is_converged(set, generation)) return std::nullopt;
        return Result<void>();
      },
      std::move(done));
}

Waiters::Ticket Reconciler::wait_for(std::set<ResourceId> objects, Waiters::Done done) {
  return waiters_.wait_for(
      [this, objects = std::move(objects)]() LANWRIGHT_ON_LOOP -> std::optional<Result<void>> {
        if (!observed().complete) return std::nullopt;
        return outcome_of(objects, desired_, objects_);
      },
      std::move(done));
}

void Reconciler::set_orphaned(const ResourceId& id, bool orphaned, const std::string& message) {
  const ObjectState* state = objects_.find(id);
  if (state == nullptr || state->status().orphaned == orphaned) return;
  update(id, silently([&](ObjectState& its) { its.set_orphaned(orphaned); }));
  record(orphaned ? "Orphaned" : "Found", id, message);
}

void Reconciler::record(const std::string& type, const ResourceId& id, const std::string& message) {
  const DesiredObject* object = desired_.find(id);
  const std::string set = object != nullptr ? object->object.set : std::string{};
  journal_.record({0, {}, type, id, set, message, std::nullopt});
}

}  // namespace lanwright::reconcile
