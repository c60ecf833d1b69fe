// The state machine of one object, as a table of all phases and inputs.
#include "agent/reconcile/object_state.h"

#include <gtest/gtest.h>

#include <functional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace lanwright::reconcile {
namespace {

using namespace std::chrono_literals;

const ResourceId kLan{Kind::network, "lan"};
constexpr Version kNow{7, false};

// A clock that only moves when it is told to.
struct Moment {
  Now now{SteadyTime(1000s), WallTime(5000s), 0};
  void pass(std::chrono::milliseconds time) {
    now.steady += time;
    now.wall += time;
  }
};

Action change_of(const std::string& attribute) {
  ChangeLink change;
  change.at = {"", "lw-lan"};
  change.mtu = 1500;
  return {kLan, 0, change, attribute + " differs", {attribute}, Disruption::none};
}

Error error_of(ErrorKind kind, const std::string& words = "words") {
  return {kind, "do", "lw-lan", 0, words, {}};
}

// One state machine, with the actions that its comparisons found.
struct Object {
  Moment moment;
  ObjectState state;

  Transition differs(const std::string& attribute = "mtu", Version version = kNow) {
    const Action action = change_of(attribute);
    return state.out_of_sync({&action}, version, moment.now);
  }
  Transition matches(Version version = kNow) { return state.in_sync(version, moment.now); }
  Transition fails(const std::string& words = "words") {
    return state.failed(error_of(ErrorKind::busy, words), moment.now);
  }
  Transition waits() { return state.blocked(error_of(ErrorKind::waiting), kNow, moment.now); }
  const ObjectStatus& status() const { return state.status(); }
  // Somebody changes it back as often as it is repaired; the answer to the last time.
  Transition is_fought_over() {
    matches();
    for (int repair = 0; repair < 5; ++repair) {
      moment.pass(100ms);
      differs();
      matches();
    }
    moment.pass(100ms);
    return differs();
  }
};

struct Named {
  const char* name;
  std::function<Transition(Object&)> of;
};

const std::vector<Named>& beginnings() {
  static const std::vector<Named> all{
      {"new", [](Object&) { return Transition{}; }},
      {"Pending", [](Object& o) { return o.waits(); }},
      {"Applying", [](Object& o) { return o.differs("mac"); }},
      {"Ready", [](Object& o) { return o.matches(); }},
      {"Retrying", [](Object& o) { return o.fails(); }},
      {"Conflict",
       [](Object& o) { return o.state.blocked(error_of(ErrorKind::conflict), kNow, o.moment.now); }},
      {"Contested", [](Object& o) { return o.is_fought_over(); }},
      {"Deleting",
       [](Object& o) {
         o.state.deleted(o.moment.now);
         return Transition{};
       }},
  };
  return all;
}

Transition silent(const std::function<void()>& change) {
  change();
  return {};
}

const std::vector<Named>& inputs() {
  static const std::vector<Named> all{
      {"in sync", [](Object& o) { return o.matches(); }},
      {"in progress", [](Object& o) { return o.state.in_progress(error_of(ErrorKind::busy), o.moment.now); }},
      {"out of sync", [](Object& o) { return o.differs(); }},
      {"out of sync, deleting",
       [](Object& o) {
         return o.differs("mtu", {7, true});
       }},
      {"blocked: waits",
       [](Object& o) { return o.state.blocked(error_of(ErrorKind::waiting, "else"), kNow, o.moment.now); }},
      {"blocked: foreign",
       [](Object& o) { return o.state.blocked(error_of(ErrorKind::conflict, "else"), kNow, o.moment.now); }},
      {"awaiting",
       [](Object& o) { return o.state.awaiting(error_of(ErrorKind::waiting, "up"), kNow, o.moment.now); }},
      {"blocked: busy",
       [](Object& o) { return o.state.blocked(error_of(ErrorKind::busy), kNow, o.moment.now); }},
      {"failed", [](Object& o) { return o.fails("else"); }},
      {"not tried", [](Object& o) { return silent([&] { o.state.not_tried(); }); }},
      {"declared", [](Object& o) { return silent([&] { o.state.declared(); }); }},
      {"deleted", [](Object& o) { return silent([&] { o.state.deleted(o.moment.now); }); }},
      {"superseded", [](Object& o) { return silent([&] { o.state.superseded(o.moment.now); }); }},
      {"released", [](Object& o) { return silent([&] { o.state.released(o.moment.now); }); }},
  };
  return all;
}

// "Ready + out of sync -> Applying, DriftSeen"; "later": not planned before a time; "held": its actions are
// not carried out now.
std::string row(const Named& beginning, const Named& input) {
  Object object;
  beginning.of(object);
  object.moment.pass(1ms);
  const Transition transition = input.of(object);
  std::ostringstream text;
  text << beginning.name << " + " << input.name << " -> " << name_of(object.status().phase);
  for (const auto& report : transition.reports) text << ", " << report.event;
  if (transition.retry) text << ", later" << (transition.retry->until_hint ? " or at a hint" : "");
  if (!transition.run_actions) text << ", held";
  if (object.state.is_complete() && object.status().phase != Phase::ready) text << ", complete";
  return text.str();
}

TEST(ObjectState, EachPhaseAndInput) {
  std::string table;
  for (const Named& beginning : beginnings()) {
    for (const Named& input : inputs()) table += row(beginning, input) + "\n";
  }
  EXPECT_EQ(table, 1 + R"(
new + in sync -> Ready
new + in progress -> Applying
new + out of sync -> Applying
new + out of sync, deleting -> Deleting
new + blocked: waits -> Pending, Pending
new + blocked: foreign -> Conflict, Conflict
new + awaiting -> Pending, Pending, complete
new + blocked: busy -> Applying
new + failed -> Retrying, Failed, later or at a hint, held
new + not tried -> Pending
new + declared -> Pending
new + deleted -> Deleting
new + superseded -> Pending
new + released -> Pending
Pending + in sync -> Ready, Ready
Pending + in progress -> Applying
Pending + out of sync -> Applying
Pending + out of sync, deleting -> Deleting
Pending + blocked: waits -> Pending, Pending
Pending + blocked: foreign -> Conflict, Conflict
Pending + awaiting -> Pending, Pending, complete
Pending + blocked: busy -> Applying
Pending + failed -> Retrying, Failed, later or at a hint, held
Pending + not tried -> Pending
Pending + declared -> Pending
Pending + deleted -> Deleting
Pending + superseded -> Pending
Pending + released -> Pending
Applying + in sync -> Ready, Ready
Applying + in progress -> Applying
Applying + out of sync -> Applying
Applying + out of sync, deleting -> Deleting
Applying + blocked: waits -> Pending, Pending
Applying + blocked: foreign -> Conflict, Conflict
Applying + awaiting -> Pending, Pending, complete
Applying + blocked: busy -> Applying
Applying + failed -> Retrying, Failed, later or at a hint, held
Applying + not tried -> Applying
Applying + declared -> Applying
Applying + deleted -> Deleting
Applying + superseded -> Applying
Applying + released -> Applying
Ready + in sync -> Ready
Ready + in progress -> Applying
Ready + out of sync -> Applying, DriftSeen
Ready + out of sync, deleting -> Deleting, DriftSeen
Ready + blocked: waits -> Pending, Pending
Ready + blocked: foreign -> Conflict, Conflict
Ready + awaiting -> Pending, Pending, complete
Ready + blocked: busy -> Applying
Ready + failed -> Retrying, Failed, later or at a hint, held
Ready + not tried -> Ready
Ready + declared -> Ready
Ready + deleted -> Deleting
Ready + superseded -> Applying
Ready + released -> Ready
Retrying + in sync -> Ready, Ready
Retrying + in progress -> Applying
Retrying + out of sync -> Applying
Retrying + out of sync, deleting -> Deleting
Retrying + blocked: waits -> Pending, Pending
Retrying + blocked: foreign -> Conflict, Conflict
Retrying + awaiting -> Pending, Pending, complete
Retrying + blocked: busy -> Applying
Retrying + failed -> Retrying, Failed, later, held
Retrying + not tried -> Retrying
Retrying + declared -> Retrying
Retrying + deleted -> Deleting
Retrying + superseded -> Retrying
Retrying + released -> Retrying
Conflict + in sync -> Ready, Ready
Conflict + in progress -> Applying
Conflict + out of sync -> Applying
Conflict + out of sync, deleting -> Deleting
Conflict + blocked: waits -> Pending, Pending
Conflict + blocked: foreign -> Conflict, Conflict
Conflict + awaiting -> Pending, Pending, complete
Conflict + blocked: busy -> Applying
Conflict + failed -> Retrying, Failed, later or at a hint, held
Conflict + not tried -> Conflict
Conflict + declared -> Conflict
Conflict + deleted -> Deleting
Conflict + superseded -> Conflict
Conflict + released -> Conflict
Contested + in sync -> Contested, later
Contested + in progress -> Applying
Contested + out of sync -> Contested, DriftSeen
Contested + out of sync, deleting -> Deleting, DriftSeen
Contested + blocked: waits -> Pending, Pending
Contested + blocked: foreign -> Conflict, Conflict
Contested + awaiting -> Pending, Pending, complete
Contested + blocked: busy -> Applying
Contested + failed -> Retrying, Failed, later or at a hint, held
Contested + not tried -> Contested
Contested + declared -> Contested
Contested + deleted -> Deleting
Contested + superseded -> Contested
Contested + released -> Applying
Deleting + in sync -> Ready
Deleting + in progress -> Applying
Deleting + out of sync -> Applying
Deleting + out of sync, deleting -> Deleting
Deleting + blocked: waits -> Pending, Pending
Deleting + blocked: foreign -> Conflict, Conflict
Deleting + awaiting -> Pending, Pending, complete
Deleting + blocked: busy -> Applying
Deleting + failed -> Retrying, Failed, later or at a hint, held
Deleting + not tried -> Deleting
Deleting + declared -> Deleting
Deleting + deleted -> Deleting
Deleting + superseded -> Deleting
Deleting + released -> Deleting
)");
}

TEST(ObjectState, WhatIsReleasedIsReadyWithoutWaitingForPeace) {
  Object object;
  object.is_fought_over();
  object.state.released(object.moment.now);
  EXPECT_TRUE(object.differs().run_actions);
  const Transition peace = object.matches();
  EXPECT_FALSE(peace.retry);
  EXPECT_EQ(object.status().phase, Phase::ready);
}

TEST(ObjectState, ThePhaseBeginsWhenItChanges) {
  Object object;
  object.matches();
  const WallTime since = object.status().since;
  object.moment.pass(1s);
  object.matches();
  EXPECT_EQ(object.status().since, since);
  object.differs();
  EXPECT_EQ(object.status().since, since + 1s);
}

TEST(ObjectState, ReadyIsReadyOfThisGenerationOnly) {
  Object object;
  object.matches({3, false});
  EXPECT_TRUE(object.state.is_ready({3, false}));
  EXPECT_FALSE(object.state.is_ready({4, false}));
  EXPECT_FALSE(object.state.is_ready({3, true}));
  object.waits();
  EXPECT_FALSE(object.state.is_ready(kNow));
  EXPECT_TRUE(object.state.is_idle(kNow));
  EXPECT_FALSE(object.state.is_idle({8, false}));
}

TEST(ObjectState, WhatIsToldOfAReadyObjectIsToldOnce) {
  Object object;
  const std::string note = "the default route is left";
  const auto matches = [&](const std::string& words) {
    std::string told;
    for (const auto& report : object.state.in_sync(kNow, object.moment.now, words).reports)
      told += std::string(report.event) + ": " + report.message;
    return told;
  };
  EXPECT_EQ(matches(note), "");  // it is new, and nobody did anything
  EXPECT_EQ(object.status().message, note);
  EXPECT_EQ(matches(note), "");
  EXPECT_EQ(matches(""), "Ready: as declared");
  EXPECT_EQ(object.status().message, "");
  EXPECT_EQ(matches(note), "Ready: as declared; " + note);
  EXPECT_TRUE(object.state.is_ready(kNow));
}

TEST(ObjectState, EachFailureWaitsTwiceAsLongUpToALimit) {
  Object object;
  std::vector<std::chrono::milliseconds> waits;
  for (int failure = 0; failure < 12; ++failure) {
    const Transition failed = object.fails();
    ASSERT_TRUE(failed.retry);
    EXPECT_EQ(failed.retry->until_hint, failure == 0);
    waits.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(failed.retry->until -
                                                                          object.moment.now.steady));
    EXPECT_EQ(*object.status().next_try - object.moment.now.wall, waits.back());
  }
  EXPECT_EQ(waits[0], 50ms);
  EXPECT_EQ(waits[1], 100ms);
  EXPECT_EQ(waits[4], 800ms);
  EXPECT_EQ(waits[11], 15s);
}

TEST(ObjectState, JitterAddsUpToAsMuchAgain) {
  Object object;
  object.moment.now.jitter = 0.5;
  EXPECT_EQ(object.fails().retry->until - object.moment.now.steady, 75ms);
}

TEST(ObjectState, TheSameErrorIsReportedTwiceAndNoMore) {
  Object object;
  std::size_t reports = 0;
  for (int failure = 0; failure < 6; ++failure) reports += object.fails().reports.size();
  EXPECT_EQ(reports, 2U);
  EXPECT_EQ(object.fails("another one").reports.size(), 1U);
}

TEST(ObjectState, AFirstFailureOfARepairIsNotReported) {
  Object object;
  object.matches();
  object.differs();
  EXPECT_TRUE(object.fails().reports.empty());
  EXPECT_EQ(object.fails().reports.size(), 1U);
}

// Before the same is done again, the kernel gets a moment to say that it was done.
TEST(ObjectState, TheSameActionsWaitOnceBeforeTheyAreDoneAgain) {
  Object object;
  EXPECT_TRUE(object.differs().run_actions);
  const Transition again = object.differs();
  EXPECT_FALSE(again.run_actions);
  EXPECT_TRUE(again.retry);
  EXPECT_TRUE(object.differs().run_actions);
  EXPECT_TRUE(object.differs("mac").run_actions);
}

TEST(ObjectState, AChangeThatNeverHoldsFails) {
  Object object;
  Transition last;
  for (int round = 0; round < 20 && !last.failed; ++round) last = object.differs();
  ASSERT_TRUE(last.failed);
  EXPECT_EQ(object.status().phase, Phase::retrying);
  EXPECT_NE(object.status().message.find("does not hold"), std::string::npos);
}

TEST(ObjectState, WhatWasNotTriedIsNoChangeThatDoesNotHold) {
  Object object;
  for (int round = 0; round < 50; ++round) {
    EXPECT_FALSE(object.differs(round % 2 == 0 ? "mtu" : "mac").failed);
    object.state.not_tried();
  }
}

TEST(ObjectState, AContestIsOverWhenThePeaceHasHeld) {
  Object object;
  const Transition contested = object.is_fought_over();
  ASSERT_EQ(object.status().phase, Phase::contested);
  EXPECT_FALSE(contested.run_actions);
  EXPECT_NE(object.status().message.find("mtu is changed back"), std::string::npos);
  object.moment.pass(1s);
  EXPECT_TRUE(object.differs().run_actions);
  const Transition repaired = object.matches();
  EXPECT_EQ(object.status().phase, Phase::contested);
  ASSERT_TRUE(repaired.retry);
  object.moment.now.steady = repaired.retry->until;
  object.matches();
  EXPECT_EQ(object.status().phase, Phase::ready);
}

TEST(ObjectState, EachContestPutsTheRepairOffLonger) {
  Object object;
  std::chrono::steady_clock::duration before{};
  for (int contest = 0; contest < 8; ++contest) {
    Transition last;
    while (last.reports.empty() || last.reports.front().event != std::string_view("Contested")) {
      object.moment.pass(100ms);
      object.matches();
      last = object.differs();
    }
    const auto delay = last.retry->until - object.moment.now.steady;
    EXPECT_TRUE(delay > before || delay == 60s);
    before = delay;
    object.moment.now.steady = last.retry->until;
  }
  EXPECT_EQ(before, 60s);
}

TEST(ObjectState, ADeclarationForgetsFailures) {
  Object object;
  object.fails();
  object.fails();
  object.state.declared();
  EXPECT_EQ(object.state.failures(), 0U);
  EXPECT_EQ(object.fails().retry->until - object.moment.now.steady, 50ms);
}

}  // namespace
}  // namespace lanwright::reconcile
