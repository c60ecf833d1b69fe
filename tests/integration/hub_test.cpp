// What a hub forwards and a switch does not, shown with frames.
#include <gtest/gtest.h>

#include "tests/integration/event_stream.h"
#include "tests/integration/frames.h"
#include "tests/integration/harness.h"

namespace lanwright::test {
namespace {

std::string lan(const std::string& settings) {
  std::string text =
      "version: 1\nname: lan\nnetworks:\n  lan: {driver: bridge, bridge: {" + settings + "}}\nattachments:\n";
  for (const std::string name : {"a", "b", "c"})
    text += "  " + name + ": {network: lan, tap: {name: tap-" + name + "}}\n";
  return text;
}

class Hub : public testing::Test {
 protected:
  static bool both_ways(Group group) {
    const bool there = crosses(group, "tap-a", "tap-b");
    EXPECT_EQ(crosses(group, "tap-b", "tap-a"), there) << "it depends on the direction";
    return there;
  }

  const Sandbox sandbox_;
  const AgentProcess agent_{sandbox_};
};

TEST_F(Hub, ForwardsWhatIsKeptBetweenNeighbours) {
  agent_.apply(lan("flooding: hub"));
  EXPECT_TRUE(both_ways(Group::stp));
  EXPECT_TRUE(both_ways(Group::lldp));
}

// Without a part in the spanning tree, Linux forwards its frames so that others can find the loop.
TEST_F(Hub, ASwitchForwardsNothingOfThatButTheSpanningTree) {
  agent_.apply(lan("flooding: learn"));
  EXPECT_TRUE(both_ways(Group::stp));
  EXPECT_FALSE(both_ways(Group::lldp));
}

TEST_F(Hub, ASwitchWithAPartInTheSpanningTreeKeepsItsFrames) {
  agent_.apply(lan("flooding: learn, stp: true, forward_delay: 2"));
  EXPECT_FALSE(both_ways(Group::stp));
  EXPECT_FALSE(both_ways(Group::lldp));
}

TEST_F(Hub, IsMadeOfASwitchAndBack) {
  for (const bool hub : {false, true, false}) {
    agent_.apply(lan(hub ? "flooding: hub" : "flooding: learn"));
    EXPECT_EQ(both_ways(Group::lldp), hub);
    EXPECT_EQ(overhears("tap-c", "tap-a", "tap-b"), hub);
  }
}

TEST_F(Hub, IsAHubAgainAfterARepair) {
  agent_.apply(lan("flooding: hub"));
  EventStream events(agent_);
  for (const std::string port : {"a", "b", "c"}) {
    sandbox_.ip("link set tap-" + port + " type bridge_slave group_fwd_mask 0 learning on");
    events.expect("Repaired", "attachment " + port);
  }
  sandbox_.ip("link set lw-lan type bridge group_fwd_mask 0 ageing_time 30000");
  events.expect("Repaired", "network lan");
  EXPECT_TRUE(both_ways(Group::stp));
  EXPECT_TRUE(both_ways(Group::lldp));
  EXPECT_TRUE(overhears("tap-c", "tap-a", "tap-b"));
}

}  // namespace
}  // namespace lanwright::test
