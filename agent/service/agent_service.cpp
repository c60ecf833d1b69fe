#include "agent/service/agent_service.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <future>
#include <utility>

#include "agent/reconcile/on_loop.h"
#include "agent/service/uplinks.h"
#include "reconcilers/os/on_loop.h"
#include "reconcilers/plan/planner.h"

namespace lanwright::service {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using reconcile::ChangeRequest;
using reconcile::Reconciler;

constexpr auto kReadTimeout = 2s;  // of readers with a loop that is busy

std::map<ResourceId, ObjectSpec> objects_of(const SetSpec& set) {
  std::map<ResourceId, ObjectSpec> objects;
  for (const auto& [name, spec] : set.vlans) objects.emplace(ResourceId{Kind::vlan, name}, spec);
  for (const auto& [name, spec] : set.networks) objects.emplace(ResourceId{Kind::network, name}, spec);
  for (const auto& [name, spec] : set.attachments) objects.emplace(ResourceId{Kind::attachment, name}, spec);
  return objects;
}

Error conflict(const char* tried, std::string what, std::string words, std::string hint) {
  return {ErrorKind::conflict, tried, std::move(what), 0, std::move(words), std::move(hint)};
}

Result<void> check_generation(const std::string& set, std::uint64_t is,
                              const std::optional<std::uint64_t>& expected) {
  if (!expected || is == *expected) return {};
  return conflict("change", "set " + set,
                  "it is at generation " + std::to_string(is) + ", not " + std::to_string(*expected),
                  "somebody changed it meanwhile: get it again and repeat");
}

LANWRIGHT_ON_LOOP const reconcile::OwnSet* owner_of(const Reconciler& reconciler, const std::string& set) {
  for (const reconcile::Controller* controller : reconciler.controllers()) {
    if (controller->own_set().name == set) return &controller->own_set();
  }
  return nullptr;
}

Error set_of_another(const std::string& set, const reconcile::OwnSet& owner) {
  return conflict("apply", "set " + set, owner.owner, "give the set another name");
}

LANWRIGHT_ON_LOOP std::set<ResourceId> ready_of(const Reconciler& reconciler, const std::string& set) {
  std::set<ResourceId> ready;
  for (const auto& [id, object] : reconciler.desired().entries()) {
    const reconcile::ObjectState* state = object->object.set == set ? reconciler.objects().find(id) : nullptr;
    if (state != nullptr && state->status().phase == Phase::ready) ready.insert(id);
  }
  return ready;
}

// What the request declares that is not so yet, and what of the set it does not declare any more. What is
// ready need not be adopted.
void compare_with(const DesiredState& desired, const std::set<ResourceId>& ready, const ApplyRequest& request,
                  ChangeRequest& change, std::vector<ObjectOutcome>& outcomes) {
  auto declared = objects_of(request.set);
  for (auto& [id, spec] : declared) {
    const DesiredObject* known = desired.find(id);
    const bool same = known != nullptr && known->object.set == request.set.name && !known->object.deleting &&
                      known->object.spec && *known->object.spec == spec;
    outcomes.push_back({id, same ? "unchanged" : known != nullptr ? "changed" : "created"});
    const bool adopt = request.adopt && !(same && ready.contains(id));
    if (!same || adopt)
      change.upsert.emplace(id, ChangeRequest::Wanted{std::move(spec), adopt});
    else
      change.unchanged.insert(id);
  }
  for (const auto& [id, known] : desired.entries()) {
    if (!request.prune || known->object.set != request.set.name || known->object.deleting ||
        declared.contains(id))
      continue;
    change.remove.insert(id);
    outcomes.push_back({id, "removed"});
  }
}

}  // namespace

AgentService::AgentService(boost::asio::io_context& io, const View& view, Reconciler& reconciler,
                           Options options)
    : io_(io),
      view_(view),
      reconciler_(reconciler),
      options_(std::move(options)),
      started_(reconcile::wall_now()) {}

Result<ApplyOutcome> AgentService::apply(const ApplyRequest& request, Deadline deadline,
                                         const Abandoned& abandoned) {
  if (request.dry_run) return preview(request, deadline, abandoned);
  return reconcile::on_loop<ApplyOutcome>(io_, deadline, "apply",
                                          [this, request]() LANWRIGHT_ON_LOOP { return do_apply(request); });
}

Result<ApplyOutcome> AgentService::remove(const DeleteRequest& request, Deadline deadline) {
  return reconcile::on_loop<ApplyOutcome>(io_, deadline, "delete",
                                          [this, request]() LANWRIGHT_ON_LOOP { return do_remove(request); });
}

Result<ApplyOutcome> AgentService::change_uplink(const UplinkRequest& request, Deadline deadline) {
  return reconcile::on_loop<ApplyOutcome>(io_, deadline, "change the uplinks",
                                          [this, request]()
                                              LANWRIGHT_ON_LOOP { return do_change_uplink(request); });
}

Result<Plan> AgentService::difference(const std::optional<std::string>& set, Deadline deadline,
                                      const Abandoned& abandoned) {
  auto mine = turn("compare", deadline, abandoned);
  if (!mine) return mine.error();
  struct Known {
    reconcile::Basis basis;
    std::set<ResourceId> scope;
  };
  auto known = reconcile::on_loop<Known>(
      io_, deadline, "compare",
      [&]() LANWRIGHT_ON_LOOP -> Result<Known> {
        auto scope = service::scope_of(reconciler_, view_.store, set);
        if (!scope) return scope.error();
        return Known{reconciler_.basis(), std::move(*scope)};
      },
      reconcile::OnTimeout::never_runs);
  if (!known) return known.error();
  const DesiredState desired(std::move(known->basis.desired));
  Plan plan = planning::plan(desired, *known->basis.observed, &known->scope, abandoned);
  if (nobody_waits(abandoned)) return reconcile::given_up("compare");
  return plan;
}

Result<Description> AgentService::describe(const ResourceId& id, Deadline deadline) {
  return reconcile::on_loop<Description>(io_, deadline, "describe", [this, id]() LANWRIGHT_ON_LOOP {
    return service::describe(reconciler_, view_, id);
  });
}

Result<std::vector<SwitchView>> AgentService::switches(Deadline deadline) {
  return reconcile::on_loop<std::vector<SwitchView>>(
      io_, deadline, "read", [this]() LANWRIGHT_ON_LOOP -> Result<std::vector<SwitchView>> {
        return service::switches(reconciler_, view_);
      });
}

// Of the moment of the call; when the loop is held up in the kernel (somebody else has the link lock), the
// last one.
Result<AgentService::Published> AgentService::snapshot(Deadline deadline) {
  const Deadline asked = Clock::now();
  auto fresh = reconcile::on_loop<Published>(
      io_, std::min(deadline, asked + kReadTimeout), "read", [this]() LANWRIGHT_ON_LOOP -> Result<Published> {
        auto made = std::make_shared<Snapshot>(service::snapshot(reconciler_, view_));
        made->store_notice = options_.store_notice;
        made->started = started_;
        return Published(std::move(made));
      });
  if (!fresh) return last_published(fresh.error(), asked);
  const std::lock_guard lock(mutex_);
  published_ = *fresh;
  unanswered_since_.reset();
  return fresh;
}

Result<AgentService::Published> AgentService::last_published(const Error& why, Deadline asked) {
  const std::lock_guard lock(mutex_);
  if (!unanswered_since_) unanswered_since_ = asked;
  if (!published_) return why;
  if (Clock::now() - *unanswered_since_ < options_.stalled_after) return published_;
  auto stalled = std::make_shared<Snapshot>(*published_);
  stalled->live = false;
  return Published(std::move(stalled));
}

bool AgentService::wait_converged(const std::optional<std::string>& set, std::uint64_t generation,
                                  Deadline deadline) {
  struct Answer {
    std::promise<bool> converged;
    reconcile::Waiters::Ticket ticket = 0;
  };
  auto answer = std::make_shared<Answer>();
  auto converged = answer->converged.get_future();
  boost::asio::post(io_, [this, answer, set, generation] {
    os::assert_on_loop(io_);
    answer->ticket = reconciler_.wait_converged(
        set, generation, [answer](const Result<void>& result) { answer->converged.set_value(result.ok()); });
  });
  if (converged.wait_until(deadline) == std::future_status::ready) return converged.get();
  boost::asio::post(io_, [this, answer] {
    os::assert_on_loop(io_);
    reconciler_.cancel(answer->ticket);
  });
  return false;
}

std::vector<Event> AgentService::events_after(std::uint64_t after, std::size_t limit, Deadline deadline) {
  return view_.journal.events().after(after, limit, deadline);
}

std::vector<Event> AgentService::recent_events(std::size_t limit) {
  return view_.journal.events().recent(limit);
}

std::uint64_t AgentService::generation_of(const std::string& set) const {
  for (const StoredSet& stored : view_.store.sets()) {
    if (stored.name == set) return stored.generation;
  }
  return 0;
}

Result<void> AgentService::admit(const ApplyRequest& request) const {
  if (const auto* owner = owner_of(reconciler_, request.set.name))
    return set_of_another(request.set.name, *owner);
  return check_generation(request.set.name, generation_of(request.set.name), request.if_generation);
}

// A dry run may take as much time and memory as a plan of everything: one after the other.
Result<AgentService::Turn> AgentService::turn(const char* what, Deadline deadline,
                                              const Abandoned& abandoned) {
  constexpr std::chrono::milliseconds kGlance{100};  // how late it sees that who waits has gone
  Turn turn(previews_, std::defer_lock);
  for (auto left = deadline - Clock::now(); left.count() > 0; left = deadline - Clock::now()) {
    // By the wall clock: the thread sanitizer does not know pthread_mutex_clocklock(3).
    const bool mine =
        turn.try_lock_until(std::chrono::system_clock::now() + std::min<Clock::duration>(left, kGlance));
    if (nobody_waits(abandoned)) return reconcile::given_up(what);
    if (mine) return turn;
  }
  return Error{ErrorKind::timeout, what, "the agent", 0, "it works on the plans that others asked for",
               "try again"};
}

Result<ApplyOutcome> AgentService::preview(const ApplyRequest& request, Deadline deadline,
                                           const Abandoned& abandoned) {
  auto mine = turn("plan", deadline, abandoned);
  if (!mine) return mine.error();
  struct Known {
    reconcile::Basis basis;
    std::uint64_t generation = 0;
    std::set<ResourceId> ready;
  };
  const auto never = reconcile::OnTimeout::never_runs;
  auto known = reconcile::on_loop<Known>(
      io_, deadline, "plan",
      [&]() LANWRIGHT_ON_LOOP -> Result<Known> {
        if (auto admitted = admit(request); !admitted) return admitted.error();
        const std::string& set = request.set.name;
        return Known{reconciler_.basis(), generation_of(set),
                     request.adopt ? ready_of(reconciler_, set) : std::set<ResourceId>{}};
      },
      never);
  if (!known) return known.error();

  DesiredState desired(std::move(known->basis.desired));
  ApplyOutcome outcome;
  outcome.generation = known->generation;
  ChangeRequest change;
  change.set = request.set.name;
  compare_with(desired, known->ready, request, change, outcome.objects);
  const auto look = [&](std::set<std::string> namespaces) {
    using Seen = std::shared_ptr<const Observed>;
    return reconcile::on_loop<Seen>(
        io_, deadline, "plan",
        [&]() LANWRIGHT_ON_LOOP -> Result<Seen> { return reconciler_.observed_with(std::move(namespaces)); },
        never);
  };
  auto plan =
      reconcile::preview(desired, std::move(known->basis.observed), std::move(change), look, abandoned);
  if (!plan) return plan.error();
  outcome.plan = std::move(*plan);
  return outcome;
}

Result<ApplyOutcome> AgentService::submit(ChangeRequest change, ApplyOutcome outcome) {
  auto committed = reconciler_.submit(std::move(change), Reconciler::Answer::with_plan);
  if (!committed) return committed.error();
  outcome.plan = std::move(committed->plan);
  outcome.generation = committed->generation;
  return outcome;
}

Result<ApplyOutcome> AgentService::do_apply(const ApplyRequest& request) {
  if (auto admitted = admit(request); !admitted) return admitted.error();
  const std::string& set = request.set.name;
  const std::uint64_t current = generation_of(set);

  ApplyOutcome outcome;
  ChangeRequest change;
  change.set = set;
  compare_with(reconciler_.desired(), request.adopt ? ready_of(reconciler_, set) : std::set<ResourceId>{},
               request, change, outcome.objects);
  if (current == 0 || change.changes_objects()) {
    change.beside.put_sets.push_back(set);
    change.beside.events.push_back({0, reconcile::wall_now(), "Applied", std::nullopt, set,
                                    std::to_string(change.upsert.size()) + " objects declared, " +
                                        std::to_string(change.remove.size()) + " removed",
                                    request.peer});
  }
  return submit(std::move(change), std::move(outcome));
}

Result<ApplyOutcome> AgentService::do_remove(const DeleteRequest& request) {
  const DesiredState& desired = reconciler_.desired();
  const std::string what = request.object ? request.object->text() : "set " + request.set.value_or("");
  ChangeRequest change;
  if (request.object) {
    const DesiredObject* known = desired.find(*request.object);
    if (known == nullptr)
      return Error{ErrorKind::not_found,
                   "delete",
                   what,
                   0,
                   "there is no such object",
                   std::string("see `lanwright get ") + plural_of(request.object->kind) + "`"};
    change.set = known->object.set;
    change.remove.insert(*request.object);
  } else {
    change.set = *request.set;
    for (const auto& [id, known] : desired.entries()) {
      if (known->object.set == change.set) change.remove.insert(id);
    }
    change.beside.drop_sets.push_back(change.set);
  }
  if (auto admitted = reconciler_.admit_deletion(change.remove); !admitted) return admitted.error();
  const std::uint64_t current = generation_of(change.set);
  if (!request.object && current == 0 && change.remove.empty())
    return Error{ErrorKind::not_found, "delete", what, 0, "there is no such set", "see `lanwright get sets`"};
  if (auto checked = check_generation(change.set, current, request.if_generation); !checked)
    return checked.error();
  ApplyOutcome outcome;
  for (const ResourceId& id : change.remove) {
    if (const DesiredObject* user = desired.user_outside(*desired.find(id), change.remove)) {
      const auto* owner = owner_of(reconciler_, user->object.set);
      return conflict(
          "delete", id.text(), "it is in use by " + user->object.id.text(),
          owner != nullptr ? owner->in_use_hint : "remove that first, or both together with their set");
    }
    outcome.objects.push_back({id, "removed"});
  }
  change.beside.events.push_back({0, reconcile::wall_now(), "Deleted", request.object, change.set,
                                  what + " is to be removed", request.peer});
  return submit(std::move(change), std::move(outcome));
}

// The network stays in its set, whoever declared it: for Docker's it is Docker that removes it.
Result<ApplyOutcome> AgentService::do_change_uplink(const UplinkRequest& request) {
  const ResourceId id{Kind::network, request.network};
  const DesiredObject* known = reconciler_.desired().find(id);
  if (known == nullptr || known->object.deleting)
    return Error{ErrorKind::not_found,       "change the uplinks of",       id.text(), 0,
                 "there is no such network", "see `lanwright get networks`"};
  const std::string set = known->object.set;
  const std::uint64_t current = generation_of(set);
  if (auto checked = check_generation(set, current, request.if_generation); !checked) return checked.error();
  const auto& before = std::get<NetworkSpec>(*known->object.spec);
  auto after = request.remove ? without_uplink(before, request.uplink.interface)
                              : with_uplink(request.network, before, request.uplink);
  if (!after) return after.error();

  ApplyOutcome outcome;
  outcome.generation = current;
  const bool same = *after == before;
  outcome.objects.push_back({id, same ? "unchanged" : "changed"});
  if (same) return outcome;
  ChangeRequest change;
  change.set = set;
  change.upsert.emplace(id, ChangeRequest::Wanted{std::move(*after), known->object.adopt});
  if (request.dry_run) {
    auto plan = reconciler_.preview(std::move(change));
    if (!plan) return plan.error();
    outcome.plan = std::move(*plan);
    return outcome;
  }
  change.beside.events.push_back(
      {0, reconcile::wall_now(), "Applied", id, set,
       "uplink " + request.uplink.interface + (request.remove ? " is taken away" : " is added"),
       request.peer});
  return submit(std::move(change), std::move(outcome));
}

}  // namespace lanwright::service
