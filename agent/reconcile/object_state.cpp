#include "agent/reconcile/object_state.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <utility>

#include "model/base/text.h"

namespace lanwright::reconcile {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr auto kFirstRetry = 100ms;
constexpr milliseconds kLongestRetry = 30s;
constexpr std::uint32_t kRoundsUntilStuck = 5;
constexpr auto kLateNews = 1ms;
constexpr auto kContestWindow = 10s;
constexpr std::size_t kContestedAfter = 6;  // repairs of one attribute within the window
constexpr auto kFirstContest = 1s;
constexpr milliseconds kLongestContest = 60s;
constexpr std::size_t kActionsNamed = 4;

std::string reasons_of(const std::vector<const Action*>& actions) {
  std::vector<std::string> texts;
  for (const Action* action : actions) {
    if (texts.size() == kActionsNamed) {
      texts.push_back("and " + std::to_string(actions.size() - kActionsNamed) + " more");
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

std::set<std::string> attributes_of(const std::vector<const Action*>& actions) {
  std::set<std::string> attributes;
  for (const Action* action : actions) {
    if (action->differences.empty()) attributes.insert(std::string(action->verb()));
    attributes.insert(action->differences.begin(), action->differences.end());
  }
  return attributes;
}

}  // namespace

bool ObjectState::is_ready(Version version) const {
  return is_current(version) && status_.phase == Phase::ready && !version.deleting;
}

bool ObjectState::is_idle(Version version) const {
  return is_ready(version) || (is_current(version) && status_.phase == Phase::pending);
}

void ObjectState::set_phase(Phase phase, std::string message, const Now& now) {
  if (status_.phase != phase) status_.since = now.wall;
  status_.phase = phase;
  status_.message = std::move(message);
  awaiting_ = false;
  if (phase != Phase::retrying && phase != Phase::contested) status_.next_try.reset();
}

Transition ObjectState::in_sync(Version version, const Now& now, const std::string& note) {
  const bool waited = status_.phase == Phase::pending && !status_.message.empty();
  const bool told = status_.phase != Phase::ready || status_.message == note;
  const bool worked = attempt_.rounds > 0 || failures_ > 0 || waited || status_.phase == Phase::conflict;
  failures_ = 0;
  attempt_ = {};
  status_.observed_generation = version.generation;
  Transition transition;
  if (std::exchange(drifting_, false)) {
    ++status_.repairs;
    transition.reports.push_back({"Repaired", "as declared again"});
  } else if (worked || !told) {
    transition.reports.push_back({"Ready", note.empty() ? "as declared" : "as declared; " + note});
  }
  if (contest_.until && *contest_.until > now.steady) {
    transition.retry = Deferral{*contest_.until};  // to see whether it holds
    return transition;
  }
  contest_.until.reset();
  contest_.count = 0;
  set_phase(Phase::ready, note, now);
  return transition;
}

// What was begun goes on by itself, and the kernel says when it is done.
Transition ObjectState::in_progress(const Error& why, const Now& now) {
  attempt_.rounds = 0;
  set_phase(Phase::applying, why.words, now);
  return {};
}

Transition ObjectState::blocked(const Error& why, Version version, const Now& now) {
  if (why.kind == ErrorKind::busy) return in_progress(why, now);
  const bool conflict = why.kind != ErrorKind::waiting;
  const Phase phase = conflict ? Phase::conflict : Phase::pending;
  std::string text = why.text();
  const bool news = status_.phase != phase || status_.message != text;
  attempt_.rounds = 0;
  drifting_ = false;
  status_.observed_generation = version.generation;
  if (conflict) status_.last_error = std::make_shared<const Error>(why);
  Transition transition;
  if (news) transition.reports.push_back({conflict ? "Conflict" : "Pending", text});
  set_phase(phase, std::move(text), now);
  return transition;
}

Transition ObjectState::awaiting(const Error& carrier, Version version, const Now& now) {
  Transition transition = blocked(carrier, version, now);
  awaiting_ = true;
  return transition;
}

Transition ObjectState::out_of_sync(const std::vector<const Action*>& actions, Version version,
                                    const Now& now) {
  const bool was_ready = status_.phase == Phase::ready && is_current(version);
  if (was_ready || contest_.until) {
    const auto attributes =
        attempt_.rounds == 0 ? contested_attributes(actions, now) : std::vector<std::string>{};
    if (!attributes.empty()) return contested(attributes, actions, now);
    drifting_ = true;
  }
  Transition transition;
  const std::size_t digest = digest_of(actions);
  // The kernel takes things down in steps: what shows only now is reported as well.
  if (drifting_ && attempt_.digest != digest)
    transition.reports.push_back({"DriftSeen", reasons_of(actions)});
  // The kernel announces some things later than it answers (IPv6 addresses): before the same is done again,
  // it gets a moment to say that it was done.
  const bool again = attempt_.rounds > 0 && attempt_.digest == digest;
  attempt_.waited = again && !attempt_.waited;
  if (attempt_.waited) {
    transition.retry = Deferral{now.steady + kLateNews * (1U << attempt_.rounds), failures_ == 1};
    transition.run_actions = false;
    return transition;
  }
  attempt_.digest = digest;
  if (++attempt_.rounds > kRoundsUntilStuck) {
    Transition stuck = failed({ErrorKind::internal, "reconcile", actions.front()->object.text(), 0,
                               "the change does not hold: " + reasons_of(actions),
                               "somebody else may be changing it, or this kernel ignores the attribute"},
                              now);
    stuck.reports.insert(stuck.reports.begin(), transition.reports.begin(), transition.reports.end());
    return stuck;
  }
  if (version.deleting)
    set_phase(Phase::deleting, {}, now);
  else if (status_.phase != Phase::contested)
    set_phase(Phase::applying, {}, now);
  return transition;
}

// Counts how often each attribute had to be repaired lately; those that somebody keeps changing back.
std::vector<std::string> ObjectState::contested_attributes(const std::vector<const Action*>& actions,
                                                           const Now& now) {
  std::vector<std::string> contested;
  for (const std::string& attribute : attributes_of(actions)) {
    auto& times = contest_.repairs[attribute];
    times.push_back(now.steady);
    const auto window = kContestWindow * (1U << std::min(contest_.count, 4U));
    while (!times.empty() && times.front() < now.steady - window) times.pop_front();
    if (times.size() >= kContestedAfter) contested.push_back(attribute);
  }
  for (const std::string& attribute : contested) contest_.repairs[attribute].clear();
  return contested;
}

// The repair is put off, longer each time, so that two writers do not wear each other out.
Transition ObjectState::contested(const std::vector<std::string>& attributes,
                                  const std::vector<const Action*>& actions, const Now& now) {
  const auto delay =
      std::min<milliseconds>(kFirstContest * (1U << std::min(contest_.count, 6U)), kLongestContest);
  ++contest_.count;
  contest_.until = now.steady + delay + kContestWindow;
  const bool dies = attributes.size() == 1 && attributes.front() == "switch";
  set_phase(Phase::contested,
            (dies ? "its processes end as often as they are started; they are started less often now: "
                  : join(attributes, ", ") +
                        " is changed back by somebody else as often as it is repaired; it is repaired less "
                        "often now: ") +
                reasons_of(actions),
            now);
  status_.next_try = now.wall + delay;
  Transition transition;
  transition.reports.push_back({"Contested", status_.message});
  transition.retry = Deferral{now.steady + delay, failures_ == 1};
  transition.run_actions = false;
  return transition;
}

// Exponential backoff with jitter. After the first failure the usual cause is that the kernel was still
// taking something down: the object is tried again as soon as anything around it moves.
Transition ObjectState::failed(const Error& error, const Now& now) {
  const bool news = !status_.last_error || *status_.last_error != error || failures_ < 2;
  const milliseconds longest =
      std::min<milliseconds>(kFirstRetry * (1U << std::min(failures_, 12U)), kLongestRetry);
  const milliseconds delay(longest.count() / 2 +
                           static_cast<std::int64_t>(now.jitter * static_cast<double>(longest.count()) / 2));
  ++failures_;
  attempt_.rounds = 0;
  status_.last_error = std::make_shared<const Error>(error);
  set_phase(Phase::retrying, error.text(), now);
  status_.next_try = now.wall + delay;
  Transition transition;
  transition.retry = Deferral{now.steady + delay, failures_ == 1};
  transition.run_actions = false;
  transition.failed = true;
  // A first failure while repairing mostly passes by itself: reported only if it lasts.
  if (news && !(drifting_ && failures_ == 1)) transition.reports.push_back({"Failed", error.text()});
  return transition;
}

void ObjectState::not_tried() {
  if (attempt_.rounds > 0) --attempt_.rounds;
}

void ObjectState::declared() {
  attempt_.rounds = 0;
  failures_ = 0;
}

void ObjectState::deleted(const Now& now) {
  set_phase(Phase::deleting, {}, now);
  declared();
}

void ObjectState::released(const Now& now) {
  contest_ = {};
  if (status_.phase == Phase::contested) set_phase(Phase::applying, {}, now);
}

void ObjectState::superseded(const Now& now) {
  if (status_.phase == Phase::ready) set_phase(Phase::applying, {}, now);
}

}  // namespace lanwright::reconcile
