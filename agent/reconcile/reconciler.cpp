#include "agent/reconcile/reconciler.h"

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstring>
#include <future>
#include <utility>

#include "agent/host/log.h"
#include "model/format/json.h"
#include "reconcilers/desired/allocations.h"
#include "reconcilers/drivers/registry.h"
#include "reconcilers/plan/planner.h"

namespace lanwright::reconcile {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kActionsPerTurn = 512;  // between looks at requests
constexpr auto kSlice = 30ms;                 // of one turn of the loop
constexpr std::size_t kBurst = 256;           // messages in one look: more will follow, wait for quiet
constexpr auto kQuiet = 5ms;
constexpr auto kQuietAfterLoss = 20ms;
constexpr auto kFirstRetry = 100ms;
constexpr auto kLongestRetry = 30s;
constexpr std::uint32_t kRoundsUntilStuck = 5;
constexpr auto kLateNews = 1ms;
constexpr auto kContestWindow = 10s;
constexpr std::size_t kContestedAfter = 6;  // repairs of one attribute within the window
constexpr auto kLongestContest = 60s;
constexpr auto kSaveDelay = 1s;
constexpr auto kAbsentPoll = 1s;
constexpr std::size_t kWorthTrimming = 200;  // actions or objects
constexpr std::size_t kEventsRemembered = 1000;

std::string join(const std::vector<std::string>& words, const char* between = ", ") {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

std::string reasons_of(const std::vector<const Action*>& actions) {
  std::vector<std::string> texts;
  for (const Action* action : actions) {
    if (texts.size() == 4) {
      texts.push_back("and " + std::to_string(actions.size() - 4) + " more");
      break;
    }
    texts.push_back(action->text() + " (" + action->reason + ")");
  }
  return join(texts, "; ");
}

// Tells one round's actions from another's.
std::size_t digest_of(const std::vector<const Action*>& actions) {
  std::size_t digest = actions.size();
  for (const Action* action : actions)
    digest = digest * 31 + std::hash<std::string>{}(action->text() + action->reason);
  return digest;
}

// Only part of the removals was done, so that the loop can turn (see LinkBackend::execute).
bool is_rest(const Action& action, const Result<void>& result) {
  return std::holds_alternative<RemoveLink>(action.step) && !result &&
         result.error().kind == ErrorKind::busy && result.error().number == 0;
}

}  // namespace

Reconciler::Reconciler(boost::asio::io_context& io, std::unique_ptr<state::Store> store,
                       std::unique_ptr<LinkBackend> links, std::unique_ptr<SwitchBackend> switches,
                       std::string store_notice)
    : io_(io),
      store_(std::move(store)),
      links_(std::move(links)),
      switches_(std::move(switches)),
      log_(store_->last_event_id(),
           [&] {
             std::vector<Event> earlier;
             if (auto history = store_->history(std::nullopt, kEventsRemembered))
               earlier = std::move(*history);
             std::reverse(earlier.begin(), earlier.end());
             return earlier;
           }()),
      netlink_events_(io),
      switch_events_(io),
      mounts_(io),
      quiet_timer_(io),
      resync_timer_(io),
      retry_timer_(io),
      save_timer_(io),
      absent_timer_(io),
      endpoints_timer_(io),
      random_(std::random_device{}()),
      store_notice_(std::move(store_notice)),
      start_time_(wall_now()) {
  for (const char* name : {"actions_total", "action_failures_total", "events_total", "netlink_messages_total",
                           "netlink_overruns_total", "plans_total", "repairs_total", "resyncs_total"})
    counters_[name] = 0;  // a counter that is not there yet cannot be told from one that is gone
}

Reconciler::~Reconciler() {
  // The descriptors are the ports': asio must not close them.
  if (netlink_events_.is_open()) netlink_events_.release();
  if (switch_events_.is_open()) switch_events_.release();
}

Result<void> Reconciler::start() {
  auto objects = store_->objects();
  if (!objects) return objects.error();
  for (const state::StoredObject& stored : *objects) {
    desired::Declaration object;
    object.id = stored.id;
    object.set = stored.set;
    object.uid = stored.uid;
    object.generation = stored.generation;
    object.deleting = stored.deleting;
    object.allocations = desired::allocations_from(stored.allocations);
    auto spec = spec_from_json(stored.id.kind, stored.id.name, stored.spec, drivers::driver_grammar());
    if (spec)
      object.spec = std::make_shared<const ObjectSpec>(std::move(*spec));
    else
      log::error("stored declaration cannot be read",
                 {{"object", stored.id.text()}, {"error", spec.error().text()}});
    tracked_[stored.id].created = stored.created;
    tracked_[stored.id].status.since = start_time_;
    desired_.put(std::move(object));
    look_at(stored.id);
    count(stored.id, tracked_[stored.id]);
  }
  auto claims = store_->claims();
  if (!claims) return claims.error();
  std::map<ObjectUid, std::set<std::string>> by_uid;
  std::vector<state::Claim> idle;
  for (const state::Claim& claim : *claims) {
    if (desired_.find_uid(claim.uid) == nullptr)
      idle.push_back(claim);
    else
      by_uid[claim.uid].insert(claim.link);
  }
  if (auto dropped = store_->drop_claims(idle); !dropped) return dropped.error();
  for (auto& [uid, links] : by_uid) desired_.set_claims(uid, std::move(links));

  const int mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
  if (mounts < 0) return error_from_errno(errno, "open", "/proc/self/mountinfo");
  mounts_.assign(mounts);
  netlink_events_.assign(links_->event_fd());
  switch_events_.assign(switches_->event_fd());
  if (auto first = read_everything(); !first) return first.error();
  watch_namespaces();  // after the first look, which would read them all a second time
  started_ = true;
  worked_ = desired_.entries().size();
  emit({0,
        {},
        "Started",
        std::nullopt,
        {},
        "lanwrightd " LANWRIGHT_VERSION " keeps " + std::to_string(desired_.entries().size()) + " objects",
        std::nullopt});
  listen();
  listen_to_switches();
  on_mounts_changed();
  run();
  return {};
}

void Reconciler::stop() {
  stopping_ = true;
  log_.close();
  for (auto& waiter : waiters_) waiter->answer.set_value(false);
  waiters_.clear();
  dismiss_settlers();
  save_events();
}

void Reconciler::look_again() {
  observed_.complete = false;
  resync();
}

// ---- events
// ------------------------------------------------------------------------------------------------

void Reconciler::listen() {
  netlink_events_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                             [this](const boost::system::error_code& error) {
                               if (error || stopping_) return;
                               on_readable();
                               listen();
                             });
}

void Reconciler::listen_to_switches() {
  switch_events_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                            [this](const boost::system::error_code& error) {
                              if (error || stopping_) return;
                              note(switches_->drain(observed_));
                              run();
                              listen_to_switches();
                            });
}

// The switches' own state first: it never makes what is known of the kernel incomplete.
Result<ObservedChange> Reconciler::read_everything() {
  if (auto switches = switches_->resync(observed_); !switches) {
    observed_.complete = false;
    return switches.error();
  }
  return links_->resync(observed_);
}

void Reconciler::on_readable() {
  const ObservedChange touched = links_->drain(observed_);
  note(touched);
  if (touched.messages < kBurst) return run();
  if (quiet_pending_) return;  // never pushed out: a storm without end must not keep us from repairing
  quiet_pending_ = true;
  quiet_timer_.expires_after(kQuiet);
  quiet_timer_.async_wait([this](const boost::system::error_code& error) {
    quiet_pending_ = false;
    if (!error && !stopping_) run();
  });
}

// After its first failure an object is tried again as soon as anything around it moves (the usual cause is
// that the kernel was still taking something down); after that only the backoff counts.
void Reconciler::look_at(const ResourceId& id) {
  dirty_.insert(id);
  const auto found = tracked_.find(id);
  if (found != tracked_.end() && found->second.failures == 1) found->second.not_before.reset();
}

// An event says only "look again": at whose link it is, at who uses it, and at whose mark it carries.
void Reconciler::note(const ObservedChange& touched) {
  counters_["netlink_messages_total"] += touched.messages;
  if (touched.overrun) {
    ++counters_["netlink_overruns_total"];
    if (!resync_pending_)
      emit({0,
            {},
            "Resync",
            std::nullopt,
            {},
            "kernel events were lost; nothing is removed until everything is read again",
            std::nullopt});
    resync_later(kQuietAfterLoss);
  }
  if (touched.full_resync) {
    for (const auto& [id, entry] : desired_.entries()) look_at(id);
    return;
  }
  for (const LinkName& link : touched.links) {
    if (const auto* owner = desired_.owner_of(link)) look_at(owner->object.id);
    for (const auto* user : desired_.users_of(link)) look_at(user->object.id);
  }
  for (const ObjectUid& uid : touched.uids) {
    if (const auto* entry = desired_.find_uid(uid)) look_at(entry->object.id);
  }
  for (const std::string& netns : touched.namespaces) {
    for (const auto* object : desired_.in_namespace(netns)) look_at(object->object.id);
  }
  for (const std::string& network : touched.switches) {
    if (desired_.find({Kind::network, network}) != nullptr) look_at({Kind::network, network});
    for (const ResourceId& attachment : desired_.attachments_of(network)) look_at(attachment);
  }
}

void Reconciler::resync_later(std::chrono::milliseconds delay) {
  if (resync_pending_) return;
  resync_pending_ = true;
  resync_timer_.expires_after(delay);
  resync_timer_.async_wait([this](const boost::system::error_code& error) {
    resync_pending_ = false;
    if (!error && !stopping_) resync();
  });
}

void Reconciler::resync() {
  ++counters_["resyncs_total"];
  auto touched = read_everything();
  if (!touched) {
    log::warning("reading the kernel failed; trying again", {{"error", touched.error().text()}});
    return resync_later(kFirstRetry);
  }
  drop_plan();
  note(*touched);
  run();
}

void Reconciler::watch_namespaces() {
  note(links_->watch(desired_.namespaces(), observed_));
}

// `ip netns add`, Docker and others make a namespace visible by a mount: /proc/self/mountinfo polls as an
// exceptional condition whenever the mounts change (proc_pid_mountinfo(5)). Paths under /proc appear without
// one.
void Reconciler::on_mounts_changed() {
  for (const std::string& path : desired_.namespaces()) note(links_->recheck(path, observed_));
  mounts_.async_wait(boost::asio::posix::stream_descriptor::wait_error,
                     [this](const boost::system::error_code& error) {
                       if (error || stopping_) return;
                       on_mounts_changed();
                       run();
                     });
}

// ---- the loop
// ----------------------------------------------------------------------------------------------

void Reconciler::schedule() {
  if (scheduled_ || stopping_) return;
  scheduled_ = true;
  boost::asio::post(io_, [this] {
    scheduled_ = false;
    if (!stopping_) run();
  });
}

void Reconciler::run() {
  const auto end = Clock::now() + kSlice;
  while (round()) {
    if (Clock::now() < end) continue;
    schedule();
    return;
  }
  forget_removed();
  keep_up_with_endpoints();
  arm_retry_timer();
  wake_waiters();
  const bool converged = is_converged(std::nullopt, 0);
  if (on_converged && (!announced_ || converged != was_converged_)) on_converged(converged);
  // What a large change took is given back to the system; small ones are not worth the time.
  if (converged && worked_ > kWorthTrimming) malloc_trim(0);
  if (converged) worked_ = 0;
  announced_ = true;
  was_converged_ = converged;
}

// One piece of work; false when there is none left to do now.
bool Reconciler::round() {
  if (!observed_.complete || stopping_) return false;
  if (next_action_ < plan_.actions.size()) {
    act();
    return true;
  }
  const std::set<ResourceId> scope = due();
  if (scope.empty()) return false;
  Plan next = planning::plan(desired_, observed_, &scope);
  if (take_a_fresh_look_for(next)) return observed_.complete;
  begin(std::move(next), scope);
  return true;
}

// The kernel does not tell when the alias of a link that is down changes. Before a link without its mark is
// taken for one of ours that lost it, everything is read anew: it may long carry somebody else's.
bool Reconciler::take_a_fresh_look_for(const Plan& plan) {
  const bool marks = std::any_of(plan.actions.begin(), plan.actions.end(), [](const Action& action) {
    const auto* change = std::get_if<ChangeLink>(&action.step);
    return change != nullptr && change->alias;
  });
  if (!marks || std::exchange(looked_afresh_, true)) {
    looked_afresh_ = false;
    return false;
  }
  ++counters_["resyncs_total"];
  auto touched = links_->resync(observed_);
  if (touched)
    note(*touched);
  else
    resync_later(kFirstRetry);
  return true;
}

// Before a host's link is made a port of ours, that it will be is written down: it is given back even if the
// declaration is gone by then, and repaired if somebody else takes it.
void Reconciler::claim_uplinks(const Plan& plan) {
  std::vector<state::Claim> claims;
  std::set<ResourceId> claimants;
  for (const Action& action : plan.actions) {
    const auto* change = std::get_if<ChangeLink>(&action.step);
    const auto* entry = desired_.find(action.object);
    if (change == nullptr || !change->master || change->master->empty() || entry == nullptr) continue;
    if (desired_.claims_of(entry->object.uid).contains(change->where.name)) continue;
    const drivers::Resources resources = entry->compile();
    const auto& links = resources.links;
    const bool uplink = std::any_of(links.begin(), links.end(), [&](const LinkSpec& link) {
      return !link.owned && link.where == change->where;
    });
    if (!uplink) continue;
    claims.push_back({entry->object.uid, change->where.name});
    claimants.insert(action.object);
  }
  if (claims.empty()) return;
  if (auto stored = store_->add_claims(claims); !stored) {
    for (const ResourceId& id : claimants) {
      failed_.insert(id);
      failed(id, stored.error());
    }
    return;
  }
  remember(claims);
}

void Reconciler::remember(const std::vector<state::Claim>& claims) {
  for (const state::Claim& claim : claims) {
    std::set<std::string> links = desired_.claims_of(claim.uid);
    links.insert(claim.link);
    desired_.set_claims(claim.uid, std::move(links));
  }
}

std::set<ResourceId> Reconciler::due() {
  std::set<ResourceId> scope;
  const auto now = Clock::now();
  for (auto at = dirty_.begin(); at != dirty_.end();) {
    if (desired_.find(*at) == nullptr) {
      at = dirty_.erase(at);
      continue;
    }
    const auto& not_before = tracked_[*at].not_before;
    if (!not_before || *not_before <= now) scope.insert(scope.end(), *at);
    ++at;
  }
  return scope;
}

void Reconciler::begin(Plan plan, const std::set<ResourceId>& scope) {
  ++counters_["plans_total"];
  plan_ = std::move(plan);
  next_action_ = 0;
  failed_.clear();
  settle(scope, plan_);
  claim_uplinks(plan_);
}

// Everything in scope that needs no action is done with; what needs some, or stands on what is made by some,
// stays to be looked at again after.
void Reconciler::settle(const std::set<ResourceId>& scope, const Plan& plan) {
  std::map<ResourceId, std::vector<const Action*>> actions;
  for (const Action& action : plan.actions) actions[action.object].push_back(&action);
  std::map<ResourceId, const Error*> blocks;
  for (const Blocked& block : plan.blocked) blocks.emplace(block.object, &block.why);
  for (const ResourceId& id : scope) {
    Tracked& tracked = tracked_[id];
    tracked.not_before.reset();
    removed_.erase(id);  // it may have come back since it was seen to be gone
    const auto found = actions.find(id);
    if (found != actions.end()) {
      differs(id, tracked, found->second);
    } else if (const auto block = blocks.find(id); block != blocks.end()) {
      dirty_.erase(id);
      blocked(id, tracked, *block->second);
    } else if (!plan.open.contains(id)) {
      dirty_.erase(id);
      verified(id, tracked);
    }
    count(id, tracked);
  }
}

// Carries out the next actions of one stage, and takes in what the kernel said about them meanwhile.
void Reconciler::act() {
  auto& actions = plan_.actions;
  const int stage = actions[next_action_].stage;
  std::size_t end = next_action_;
  std::vector<const Action*> batch;
  std::vector<std::size_t> places;
  // Removals know themselves when to stop, and are the cheaper the more of them go together.
  const bool removals = std::holds_alternative<RemoveLink>(actions[next_action_].step);
  const std::size_t most = removals ? actions.size() : kActionsPerTurn;
  for (; end < actions.size() && actions[end].stage == stage && batch.size() < most; ++end) {
    if (failed_.contains(actions[end].object)) continue;
    batch.push_back(&actions[end]);
    places.push_back(end);
  }
  const auto results = execute(batch);
  counters_["actions_total"] += batch.size();
  worked_ += batch.size();

  std::vector<Action> rest;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i]) continue;
    const Action& action = actions[places[i]];
    if (is_rest(action, results[i])) {
      rest.push_back(action);
      continue;
    }
    // A switch that could not be started holds up what is plugged into it: the next plan says so.
    const bool waits = is_switch_step(action.step) && results[i].error().kind == ErrorKind::waiting;
    if (failed_.insert(action.object).second && !waits) failed(action.object, results[i].error());
  }
  next_action_ = end - rest.size();
  std::move(rest.begin(), rest.end(), actions.begin() + static_cast<std::ptrdiff_t>(next_action_));
  if (!observed_.complete) drop_plan();  // events were lost: what is left rests on what may not be so
}

// Of one stage, each by its port. What they did is taken in before the next one.
std::vector<Result<void>> Reconciler::execute(const std::vector<const Action*>& batch) {
  std::vector<Result<void>> results(batch.size());
  for (const bool of_switches : {false, true}) {
    std::vector<const Action*> part;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (is_switch_step(batch[i]->step) != of_switches) continue;
      part.push_back(batch[i]);
      places.push_back(i);
    }
    if (part.empty()) continue;
    auto done = of_switches ? switches_->execute(part, observed_) : links_->execute(part, observed_);
    for (std::size_t i = 0; i < done.size(); ++i) results[places[i]] = std::move(done[i]);
    note(links_->drain(observed_));
    if (of_switches) note(switches_->drain(observed_));
  }
  return results;
}

// What was not done of it was not tried: it must not count as a change that does not hold.
void Reconciler::drop_plan() {
  std::set<ResourceId> untried;
  for (std::size_t i = next_action_; i < plan_.actions.size(); ++i) {
    if (!failed_.contains(plan_.actions[i].object)) untried.insert(plan_.actions[i].object);
  }
  for (const ResourceId& id : untried) {
    const auto tracked = tracked_.find(id);
    if (tracked != tracked_.end() && tracked->second.rounds > 0) --tracked->second.rounds;
  }
  plan_ = {};
  next_action_ = 0;
}

void Reconciler::arm_retry_timer() {
  std::optional<SteadyTime> next;
  for (const ResourceId& id : dirty_) {
    const auto& not_before = tracked_[id].not_before;
    if (not_before && (!next || *not_before < *next)) next = not_before;
  }
  if (!next) {
    retry_timer_.cancel();
    return;
  }
  retry_timer_.expires_at(*next);
  retry_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && !stopping_) run();
  });
}

// ---- what becomes of one object
// ----------------------------------------------------------------------------

void Reconciler::set_phase(Tracked& tracked, Phase phase, std::string message) {
  if (tracked.status.phase != phase) tracked.status.since = wall_now();
  tracked.status.phase = phase;
  tracked.status.message = std::move(message);
  if (phase != Phase::retrying && phase != Phase::contested) tracked.status.next_try.reset();
  tracked.view.reset();
}

void Reconciler::verified(const ResourceId& id, Tracked& tracked) {
  const auto* entry = desired_.find(id);
  drop_settled_claims(id);
  if (entry->object.deleting) {
    removed_.insert(id);
    return;
  }
  if (entry->object.adopt) {  // once: what is taken over carries our mark now
    desired::Declaration object = entry->object;
    object.adopt = false;
    desired_.put(std::move(object));
    entry = desired_.find(id);
  }
  const bool waited = tracked.status.phase == Phase::pending && !tracked.status.message.empty();
  const bool worked =
      tracked.rounds > 0 || tracked.failures > 0 || waited || tracked.status.phase == Phase::conflict;
  tracked.failures = 0;
  tracked.rounds = 0;
  tracked.tried = 0;
  tracked.status.observed_generation = entry->object.generation;
  if (tracked.drifting) {
    tracked.drifting = false;
    ++tracked.status.repairs;
    ++counters_["repairs_total"];
    emit("Repaired", id, "as declared again");
  } else if (worked) {
    emit("Ready", id, "as declared");
  }
  if (tracked.contested_until && *tracked.contested_until > Clock::now()) {
    tracked.not_before = tracked.contested_until;  // to see whether it holds
    dirty_.insert(id);
    tracked.view.reset();
    return;
  }
  tracked.contested_until.reset();
  tracked.contests = 0;
  set_phase(tracked, Phase::ready, {});
  look_at_endpoint(id);
}

// What was begun goes on by itself, and tells when it is done.
void Reconciler::goes_on(Tracked& tracked, const Error& why) {
  tracked.rounds = 0;
  set_phase(tracked, Phase::applying, why.words);
}

void Reconciler::blocked(const ResourceId& id, Tracked& tracked, const Error& why) {
  if (why.kind == ErrorKind::busy) return goes_on(tracked, why);
  const bool conflict = why.kind != ErrorKind::waiting;
  const Phase phase = conflict ? Phase::conflict : Phase::pending;
  const std::string text = why.text();
  const bool news = tracked.status.phase != phase || tracked.status.message != text;
  tracked.rounds = 0;
  tracked.drifting = false;
  tracked.status.observed_generation = desired_.find(id)->object.generation;
  if (conflict) tracked.status.last_error = std::make_shared<const Error>(why);
  set_phase(tracked, phase, text);
  if (news) emit(conflict ? "Conflict" : "Pending", id, text);
  look_at_endpoint(id);
  const auto* entry = desired_.find(id);
  const drivers::Resources resources = entry->compile();
  const bool under_proc =
      std::any_of(resources.links.begin(), resources.links.end(),
                  [](const LinkSpec& link) { return link.where.netns.starts_with("/proc/"); });
  if (!under_proc) return;
  absent_timer_.expires_after(kAbsentPoll);
  absent_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || stopping_) return;
    for (const std::string& path : desired_.namespaces()) {
      if (path.starts_with("/proc/")) note(links_->recheck(path, observed_));
    }
    for (const auto& [waiting, state] : tracked_) {
      if (state.status.phase == Phase::pending) look_at(waiting);
    }
    run();
  });
}

void Reconciler::differs(const ResourceId& id, Tracked& tracked, const std::vector<const Action*>& actions) {
  const auto* entry = desired_.find(id);
  const bool was_ready =
      tracked.status.phase == Phase::ready && tracked.status.observed_generation == entry->object.generation;
  if (was_ready || tracked.contested_until) {
    if (tracked.rounds == 0 && contest(id, tracked, actions)) {
      failed_.insert(id);
      return;
    }
    tracked.drifting = true;
  }
  // The kernel takes things down in steps: what shows only now is told as well.
  const std::size_t digest = digest_of(actions);
  if (tracked.drifting && tracked.tried != digest) emit("DriftSeen", id, reasons_of(actions));
  // The kernel tells some things later than it answers (IPv6 addresses): before the same is done again, it
  // gets a moment to say that it was done.
  const bool again = tracked.rounds > 0 && tracked.tried == digest;
  tracked.waited = again && !tracked.waited;
  if (tracked.waited) {
    tracked.not_before = Clock::now() + kLateNews * (1U << tracked.rounds);
    failed_.insert(id);
    return;
  }
  tracked.tried = digest;
  if (++tracked.rounds > kRoundsUntilStuck) {
    failed_.insert(id);
    return failed(id, {ErrorKind::internal, "reconcile", id.text(), 0,
                       "the change does not hold: " + reasons_of(actions),
                       "somebody else may be changing it, or this kernel ignores the attribute"});
  }
  if (entry->object.deleting)
    set_phase(tracked, Phase::deleting, {});
  else if (tracked.status.phase != Phase::contested)
    set_phase(tracked, Phase::applying, {});
}

// Counts how often each attribute had to be repaired lately. True when somebody keeps changing one back: the
// repair is then put off, longer each time, so that two writers do not wear each other out.
bool Reconciler::contest(const ResourceId& id, Tracked& tracked, const std::vector<const Action*>& actions) {
  const auto now = Clock::now();
  std::set<std::string> attributes;
  for (const Action* action : actions) {
    if (action->differences.empty()) attributes.insert(std::string(action->verb()));
    attributes.insert(action->differences.begin(), action->differences.end());
  }
  std::vector<std::string> fought;
  for (const std::string& attribute : attributes) {
    auto& times = tracked.drifts[attribute];
    times.push_back(now);
    const auto window = kContestWindow * (1U << std::min(tracked.contests, 4U));
    while (!times.empty() && times.front() < now - window) times.pop_front();
    if (times.size() >= kContestedAfter) fought.push_back(attribute);
  }
  if (fought.empty()) return false;
  for (const std::string& attribute : fought) tracked.drifts[attribute].clear();
  const auto delay =
      std::min<std::chrono::milliseconds>(1s * (1U << std::min(tracked.contests, 6U)), kLongestContest);
  ++tracked.contests;
  tracked.not_before = now + delay;
  tracked.contested_until = now + delay + kContestWindow;
  const bool dies = fought.size() == 1 && fought.front() == "switch";
  set_phase(tracked, Phase::contested,
            (dies ? "its processes end as often as they are started; they are started less often now: "
                  : join(fought) + " is changed back by somebody else as often as it is repaired; it is "
                                   "repaired less often now: ") +
                reasons_of(actions));
  tracked.status.next_try = wall_now() + delay;
  emit("Contested", id, tracked.status.message);
  return true;
}

void Reconciler::failed(const ResourceId& id, const Error& error) {
  Tracked& tracked = tracked_[id];
  const bool news = !tracked.status.last_error || *tracked.status.last_error != error || tracked.failures < 2;
  const auto doubled = kFirstRetry * (1U << std::min(tracked.failures, 12U));
  const auto longest = std::min<std::chrono::milliseconds>(doubled, kLongestRetry);
  const auto delay = std::chrono::milliseconds(
      std::uniform_int_distribution<std::int64_t>(longest.count() / 2, longest.count())(random_));
  ++tracked.failures;
  tracked.rounds = 0;
  tracked.not_before = Clock::now() + delay;
  tracked.status.last_error = std::make_shared<const Error>(error);
  set_phase(tracked, Phase::retrying, error.text());
  tracked.status.next_try = wall_now() + delay;
  dirty_.insert(id);
  count(id, tracked);
  ++counters_["action_failures_total"];
  // A first failure while repairing mostly means that the kernel is still at what we repair: only if it
  // lasts.
  if (!news || (tracked.drifting && tracked.failures == 1)) return;
  emit("Failed", id, error.text());
  log::warning("object failed", {{"object", id.text()}, {"error", error.text()}});
}

void Reconciler::drop_settled_claims(const ResourceId& id) {
  const auto* entry = desired_.find(id);
  const auto settled = planning::settled_claims(*entry, desired_, observed_);
  if (settled.empty()) return;
  std::vector<state::Claim> claims;
  std::set<std::string> rest = desired_.claims_of(entry->object.uid);
  for (const std::string& link : settled) {
    claims.push_back({entry->object.uid, link});
    rest.erase(link);
  }
  if (auto dropped = store_->drop_claims(claims); !dropped) {
    log::warning("store", {{"error", dropped.error().text()}});
    return;
  }
  desired_.set_claims(entry->object.uid, std::move(rest));
}

void Reconciler::forget_removed() {
  // An object may have been declared again since it was seen to be gone.
  std::erase_if(removed_, [this](const ResourceId& id) {
    const auto* entry = desired_.find(id);
    return entry == nullptr || !entry->object.deleting;
  });
  if (removed_.empty()) return;
  if (auto forgotten = store_->forget({removed_.begin(), removed_.end()}); !forgotten) {
    log::warning("store", {{"error", forgotten.error().text()}});
    for (const ResourceId& id : removed_) {
      tracked_[id].not_before = Clock::now() + 1s;
      look_at(id);
    }
    removed_.clear();
    return;
  }
  for (const ResourceId& id : removed_) {
    emit("Removed", id, "nothing of it is left");
    Tracked& tracked = tracked_[id];
    const std::string set = set_of(id);
    if (tracked.unready && --unready_[set] == 0) unready_.erase(set);
    if (tracked.unsettled) --unsettled_;
    desired_.erase(id);
    tracked_.erase(id);
  }
  removed_.clear();
  watch_namespaces();
}

// ---- events to tell
// ----------------------------------------------------------------------------------------

std::string Reconciler::set_of(const ResourceId& id) const {
  const auto* entry = desired_.find(id);
  return entry != nullptr ? entry->object.set : std::string{};
}

void Reconciler::emit(std::string type, const ResourceId& id, std::string message) {
  emit({0, {}, std::move(type), id, set_of(id), std::move(message), std::nullopt});
}

void Reconciler::emit(Event event) {
  ++counters_["events_total"];
  Event told = log_.append(std::move(event));
  log::debug(told.message, {{"event", told.type}, {"object", told.object ? told.object->text() : "-"}});
  unsaved_.push_back(std::move(told));
  save_events_later();
}

void Reconciler::save_events_later() {
  if (saving_ || stopping_) return;
  saving_ = true;
  save_timer_.expires_after(kSaveDelay);
  save_timer_.async_wait([this](const boost::system::error_code& error) {
    saving_ = false;
    if (!error) save_events();
  });
}

void Reconciler::save_events() {
  if (unsaved_.empty()) return;
  auto saved = store_->record(unsaved_);
  if (!saved) log::warning("history is not written", {{"error", saved.error().text()}});
  if (saved || unsaved_.size() > kEventsRemembered) std::exchange(unsaved_, {});
}

// ---- who waits
// -------------------------------------------------------------------------------------------

void Reconciler::wake_waiters() {
  std::erase_if(waiters_, [this](const std::shared_ptr<Waiter>& waiter) {
    if (!is_converged(waiter->set, waiter->generation)) return false;
    waiter->answer.set_value(true);
    return true;
  });
  wake_settlers();
}

bool Reconciler::is_converged(const std::optional<std::string>& set, std::uint64_t generation) const {
  if (!observed_.complete) return false;
  if (!set) return dirty_.empty() && unsettled_ == 0;
  for (const state::StoredSet& stored : store_->sets()) {
    if (stored.name == *set && stored.generation < generation) return false;
  }
  return !unready_.contains(*set);
}

// Keeps the counts of what is not as declared, so that nobody has to go through all objects to know.
void Reconciler::count(const ResourceId& id, Tracked& tracked) {
  const auto* entry = desired_.find(id);
  const bool current = entry != nullptr && tracked.status.observed_generation == entry->object.generation;
  const bool ready = current && tracked.status.phase == Phase::ready && !entry->object.deleting;
  const bool waits = current && tracked.status.phase == Phase::pending;
  const bool unready = entry != nullptr && !ready;
  const bool unsettled = entry != nullptr && !ready && !waits;
  if (entry != nullptr && unready != tracked.unready) {
    auto& number = unready_[entry->object.set];
    number = unready ? number + 1 : number - 1;
    if (number == 0) unready_.erase(entry->object.set);
  }
  if (unsettled != tracked.unsettled) unsettled_ = unsettled ? unsettled_ + 1 : unsettled_ - 1;
  tracked.unready = unready;
  tracked.unsettled = unsettled;
}

}  // namespace lanwright::reconcile
