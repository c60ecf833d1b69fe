#include "agent/reconcile/waiters.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lanwright::reconcile {
namespace {

class WaitersTest : public testing::Test {
 protected:
  Waiters::Ticket wait(const std::string& name, bool& done) {
    return waiters.wait_for(
        [&done]() -> std::optional<Result<void>> {
          if (!done) return std::nullopt;
          return Result<void>();
        },
        [this, name](const Result<void>& result) { answers.push_back(name + (result ? "" : " failed")); });
  }

  Waiters waiters;
  std::vector<std::string> answers;
};

TEST_F(WaitersTest, WhatIsSoIsAnsweredAtOnceAndWhatComesTrueWhenItIsChecked) {
  bool now = true;
  bool later = false;
  wait("now", now);
  wait("later", later);
  EXPECT_EQ(answers, std::vector<std::string>{"now"});
  waiters.check();
  EXPECT_EQ(answers.size(), 1U);
  later = true;
  waiters.check();
  waiters.check();
  EXPECT_EQ(answers, (std::vector<std::string>{"now", "later"}));
}

TEST_F(WaitersTest, WhoCancelsIsNotAnswered) {
  bool done = false;
  const auto ticket = wait("cancelled", done);
  waiters.cancel(ticket);
  done = true;
  waiters.check();
  waiters.dismiss({});
  EXPECT_TRUE(answers.empty());
}

TEST_F(WaitersTest, WhoIsAnsweredMayAskTheNextQuestion) {
  bool done = false;
  bool never = false;
  waiters.wait_for(
      [&done]() -> std::optional<Result<void>> {
        if (!done) return std::nullopt;
        return Result<void>();
      },
      [&](const Result<void>&) {
        wait("next", done);
        wait("never", never);
      });
  done = true;
  waiters.check();
  EXPECT_EQ(answers, std::vector<std::string>{"next"});
}

TEST_F(WaitersTest, AllAreDismissedNowAndFromThenOn) {
  bool done = false;
  wait("before", done);
  waiters.dismiss({ErrorKind::busy, {}, "the agent", 0, "it is being stopped", {}});
  done = true;
  wait("after", done);
  EXPECT_EQ(answers, (std::vector<std::string>{"before failed", "after failed"}));
}

}  // namespace
}  // namespace lanwright::reconcile
