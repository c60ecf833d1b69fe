// What the log says while objects fail, are contested, and recover: the state machine with its log behind it.
#include "agent/reconcile/trouble_log.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lanwright::reconcile {
namespace {

using namespace std::chrono_literals;

const ResourceId kLan{Kind::network, "lan"};
constexpr Version kVersion{1, false};

class Troubles : public testing::Test {
 protected:
  void note(const Transition& transition) { log_.note(kLan, transition, state_.status()); }
  void matches() { note(state_.in_sync(kVersion, pass(100ms))); }
  void differs() {
    ChangeLink change;
    change.at = {"", "lw-lan"};
    change.mtu = 1500;
    const Action action{kLan, 0, change, "mtu differs", {"mtu"}, Disruption::none};
    note(state_.out_of_sync({&action}, kVersion, pass(100ms)));
  }
  void fails(const std::string& words = "no buffer space") {
    note(state_.failed({ErrorKind::busy, "make", "lw-lan", 0, words, {}}, pass(100ms)));
  }
  void blocked(ErrorKind kind) {
    note(state_.blocked({kind, "make", "lw-lan", 0, "eth7 is not there", {}}, kVersion, pass(100ms)));
  }
  Now pass(std::chrono::milliseconds time) {
    now_.steady += time;
    now_.wall += time;
    return now_;
  }
  // "warning network lan failed, ..." for each line since the last call.
  std::vector<std::string> lines() { return std::exchange(lines_, {}); }
  std::string line() {
    const auto told = lines();
    EXPECT_EQ(told.size(), 1U);
    return told.empty() ? std::string() : told.front();
  }

  std::vector<std::string> lines_;
  TroubleLog log_{[this](log::Level level, const std::string& message, const log::Fields& fields) {
    ASSERT_FALSE(fields.empty());
    EXPECT_EQ(fields.front().second, kLan.text());
    lines_.push_back((level == log::Level::warning ? "warning " : "info ") + message);
  }};
  ObjectState state_;
  Now now_{SteadyTime(1000s), WallTime(5000s), 0};
};

TEST_F(Troubles, AreNoneWhenAllIsWell) {
  differs();
  matches();
  differs();  // drift, repaired
  matches();
  blocked(ErrorKind::waiting);
  matches();
  EXPECT_EQ(lines(), std::vector<std::string>{});
}

TEST_F(Troubles, OfOneThatFailsAreToldOnceHoweverOftenItIsTried) {
  differs();
  fails();
  EXPECT_EQ(line(), "warning network lan failed, and is tried again: " + state_.status().message);
  for (int again = 0; again < 20; ++again) {
    differs();
    fails(again % 2 == 0 ? "no buffer space" : "device busy");
  }
  EXPECT_EQ(lines(), std::vector<std::string>{});
  differs();
  matches();
  EXPECT_EQ(line(), "info network lan is as declared again");
  differs();
  fails();
  fails();
  EXPECT_EQ(lines().size(), 1U) << "it is in trouble anew";
}

TEST_F(Troubles, OfAFirstFailureWhileRepairingAreNotTold) {
  differs();
  matches();
  differs();
  fails();
  EXPECT_EQ(lines(), std::vector<std::string>{}) << "it mostly passes by itself";
  differs();
  fails();
  EXPECT_EQ(line().rfind("warning network lan failed", 0), 0U);
}

TEST_F(Troubles, OfOneThatIsContestedAreToldOnceUntilThePeaceHolds) {
  matches();
  for (int fight = 0; fight < 40; ++fight) {
    differs();
    matches();
  }
  const std::string told = line();
  EXPECT_EQ(told.rfind("warning network lan is contested: mtu is changed back", 0), 0U) << told;
  pass(1h);
  matches();
  EXPECT_EQ(line(), "info network lan is as declared again");
}

TEST_F(Troubles, ChangeAndEnd) {
  blocked(ErrorKind::conflict);
  EXPECT_EQ(line().rfind("warning network lan is in conflict: ", 0), 0U);
  blocked(ErrorKind::conflict);
  EXPECT_EQ(lines(), std::vector<std::string>{});
  differs();
  fails();
  EXPECT_EQ(line().rfind("warning network lan failed", 0), 0U);
  blocked(ErrorKind::waiting);
  EXPECT_EQ(line(), "info network lan waits: " + state_.status().message);
  matches();
  EXPECT_EQ(lines(), std::vector<std::string>{});
}

TEST_F(Troubles, EndWithTheObject) {
  blocked(ErrorKind::conflict);
  lines();
  log_.forget(kLan);
  matches();
  EXPECT_EQ(lines(), std::vector<std::string>{}) << "another one of this name";
}

}  // namespace
}  // namespace lanwright::reconcile
