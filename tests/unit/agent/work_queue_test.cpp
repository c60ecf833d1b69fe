#include "agent/reconcile/work_queue.h"

#include <gtest/gtest.h>

namespace lanwright::reconcile {
namespace {

using namespace std::chrono_literals;

const ResourceId kA{Kind::network, "a"};
const ResourceId kB{Kind::network, "b"};
constexpr SteadyTime kNow(1000s);

TEST(WorkQueue, WhatIsAddedIsReadyUntilItIsRemoved) {
  WorkQueue queue;
  EXPECT_TRUE(queue.empty());
  queue.add(kA);
  queue.add(kB);
  EXPECT_EQ(queue.ready(kNow), (std::set<ResourceId>{kA, kB}));
  queue.remove(kA);
  EXPECT_EQ(queue.ready(kNow), std::set<ResourceId>{kB});
  EXPECT_FALSE(queue.next());
}

TEST(WorkQueue, WhatIsDeferredIsReadyWhenItsTimeComes) {
  WorkQueue queue;
  queue.defer(kA, {kNow + 5s});
  queue.defer(kB, {kNow + 3s});
  EXPECT_TRUE(queue.ready(kNow).empty());
  EXPECT_EQ(queue.next(), kNow + 3s);
  EXPECT_EQ(queue.ready(kNow + 3s), std::set<ResourceId>{kB});
  EXPECT_EQ(queue.ready(kNow + 5s), (std::set<ResourceId>{kA, kB}));
  EXPECT_FALSE(queue.empty());
}

TEST(WorkQueue, AHintEndsOnlyADeferralThatWaitsForOne) {
  WorkQueue queue;
  queue.defer(kA, {kNow + 5s, true});
  queue.defer(kB, {kNow + 5s, false});
  queue.add(kA);
  queue.add(kB);
  EXPECT_EQ(queue.ready(kNow), std::set<ResourceId>{kA});
  queue.add_now(kB);
  EXPECT_EQ(queue.ready(kNow), (std::set<ResourceId>{kA, kB}));
}

}  // namespace
}  // namespace lanwright::reconcile
