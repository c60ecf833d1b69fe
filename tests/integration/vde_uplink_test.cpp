// Interfaces of the host as uplinks of a LAN that a VDE switch carries.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iostream>

#include "tests/integration/frames.h"
#include "tests/integration/harness.h"
#include "tests/integration/product.h"
#include "tests/integration/vde.h"

namespace lanwright::test {
namespace {

constexpr std::size_t kLongestFrame = 1514;

std::string lan(const std::string& uplinks, const std::string& settings = "",
                const std::string& attachment = "") {
  return "version: 1\nname: lan\nnetworks:\n  lan: {driver: vde, uplinks: [" + uplinks + "], vde: {" +
         settings +
         "}}\nattachments:\n  r1-lan: {network: lan, netns: r1, interface: eth0, addresses: [10.1.0.1/24]" +
         attachment + "}\n";
}

// Behind the uplink is a cable, and at its far end a neighbour.
class VdeUplink : public testing::Test {
 protected:
  VdeUplink() {
    for (const char* netns : {"r1", "far"}) sandbox_.add_netns(netns);
    add_uplink();
    agent_.emplace(sandbox_);
  }

  void add_uplink() const {
    sandbox_.ip("link add up0 up type veth peer name eth0 address 02:00:00:00:02:09 netns far");
    sandbox_.ip("-n far addr add 10.1.0.9/24 dev eth0");
    sandbox_.ip("-n far link set eth0 up");
  }

  int promiscuity() const { return sandbox_.link("up0")->at("promiscuity"); }

  Sandbox sandbox_;
  std::optional<AgentProcess> agent_;
};

// What is heard until all is quiet for a moment.
struct Capture {
  std::size_t frames = 0;
  std::size_t longest = 0;
  std::string wrong;  // the first frame whose checksums are

  void take(FramePort& port, const std::function<bool()>& unfinished) {
    for (auto frame = port.receive(200ms); frame; frame = port.receive(200ms)) {
      ++frames;
      longest = std::max(longest, frame->size());
      const auto right = has_right_checksums(*frame, unfinished());
      if (!right && wrong.empty()) wrong = right.message();
    }
  }
};

class VdeUplinkTraffic : public VdeUplink, public testing::WithParamInterface<const char*> {};

TEST_P(VdeUplinkTraffic, GoesBothWaysInLargeAmounts) {
  agent_->apply(lan("up0", GetParam()));
  EXPECT_TRUE(ping("r1", "10.1.0.9"));
  EXPECT_TRUE(ping("far", "10.1.0.1"));
  EXPECT_TRUE(tcp("r1", "far", "10.1.0.9", 32U << 20U, 60s));
  EXPECT_TRUE(tcp("far", "r1", "10.1.0.1", 32U << 20U, 60s));
}

TEST_P(VdeUplinkTraffic, HasRightChecksums) {
  agent_->apply(lan("up0", GetParam()));
  ASSERT_TRUE(ping("r1", "10.1.0.9"));
  InterfacePort far("far", "eth0");
  InterfacePort near("r1", "eth0");
  ASSERT_TRUE(tcp("r1", "far", "10.1.0.9", 1U << 20U));
  for (InterfacePort* port : {&far, &near}) {
    SCOPED_TRACE(port == &far ? "far" : "near");
    Capture capture;
    capture.take(*port, [&] { return port->is_unfinished(); });
    EXPECT_GT(capture.frames, 20U);
    EXPECT_EQ(capture.wrong, "");
  }
}

TEST_F(VdeUplink, KeepsTags) {
  agent_->apply(lan("up0"));
  InterfacePort far("far", "eth0");
  InterfacePort near("r1", "eth0");
  VdeClient client(switch_of(*agent_, "lan").socket);
  ASSERT_TRUE(talk(far, near));
  ASSERT_TRUE(talk(far, client));
  const std::vector<std::pair<FramePort*, FramePort*>> ways = {
      {&far, &near}, {&near, &far}, {&far, &client}, {&client, &far}};
  for (std::size_t way = 0; way < ways.size(); ++way) {
    const auto& [from, to] = ways[way];
    const std::string words = "way " + std::to_string(way);
    const std::vector<std::string> frames = {
        frame_saying(words, kEverybody, VlanTag{42, 5}),
        frame_saying(words, kEverybody, VlanTag{0, 3}),
        frame_of_length(1500, words),
    };
    const std::string last = frame_saying("the end of " + words);
    for (const std::string& frame : frames) from->send(frame);
    from->send(last);
    const auto received = received_before(*to, last);
    for (const std::string& frame : frames)
      EXPECT_EQ(std::ranges::count(received, summary(frame)), 1) << words << ", " << summary(frame);
  }
}

// A VLAN of each namespace's own over the LAN: the kernel takes the tag out of the frame and into the
// packet's data at the uplink, and segments are cut with the tag in them. A switch that learns passes the
// tags that its ports were told.
TEST_P(VdeUplinkTraffic, GoesBothWaysInLargeAmountsWithATag) {
  const std::string trunk = std::string(GetParam()) == "hub: true" ? "" : ", trunk: [42]";
  agent_->apply(lan("{interface: up0" + trunk + "}", GetParam(), trunk));
  for (const char* netns : {"r1", "far"}) {
    const std::string in = std::string("-n ") + netns;
    if (!sandbox_.try_ip(in + " link add eth0.42 link eth0 type vlan id 42"))
      GTEST_SKIP() << "this kernel has no links of kind vlan";
    sandbox_.ip(in + " link set eth0.42 up");
  }
  sandbox_.ip("-n r1 addr add 10.42.0.1/24 dev eth0.42");
  sandbox_.ip("-n far addr add 10.42.0.9/24 dev eth0.42");
  ASSERT_TRUE(ping("r1", "10.42.0.9"));
  EXPECT_TRUE(tcp("r1", "far", "10.42.0.9", 8U << 20U, 120s));
  EXPECT_TRUE(tcp("far", "r1", "10.42.0.1", 8U << 20U, 120s));
  InterfacePort far("far", "eth0");
  ASSERT_TRUE(tcp("r1", "far", "10.42.0.9", 1U << 18U, 60s));
  Capture capture;
  capture.take(far, [&] { return far.is_unfinished(); });
  EXPECT_GT(capture.frames, 5U);
  EXPECT_EQ(capture.wrong, "");
}

INSTANTIATE_TEST_SUITE_P(Modes, VdeUplinkTraffic, testing::Values("hub: true", "hub: false"),
                         [](const auto& mode) { return mode.index == 0 ? "Hub" : "Switch"; });

// Cut into frames that a switch can carry, and finished.
TEST_F(VdeUplink, WhoJoinsHearsWholeFramesOnly) {
  agent_->apply(lan("up0"));
  InterfacePort near("r1", "eth0");
  VdeClient client(switch_of(*agent_, "lan").socket);
  ASSERT_TRUE(talk(client, near));
  // The switch drops what a client does not take in time: on a busy machine most of it.
  constexpr std::size_t kEnough = 100;
  constexpr int kMostRounds = 20;
  Capture capture;
  for (int round = 0; round < kMostRounds && capture.frames <= kEnough; ++round) {
    ASSERT_TRUE(tcp("r1", "far", "10.1.0.9", 2U << 20U));
    capture.take(client, [] { return false; });
  }
  EXPECT_GT(capture.frames, kEnough);
  EXPECT_EQ(capture.longest, kLongestFrame);
  EXPECT_EQ(capture.wrong, "");
}

TEST_F(VdeUplink, IsPluggedInAgainWhenItIsBack) {
  agent_->apply(lan("up0"));
  ASSERT_TRUE(ping("r1", "10.1.0.9"));
  for (int round = 0; round < 3; ++round) {
    sandbox_.ip("link del up0");
    EXPECT_TRUE(reaches(*agent_, "networks", "lan", "Pending"));
    EXPECT_NE(message_of(*agent_, "networks", "lan").find("up0"), std::string::npos);
    EXPECT_EQ(phase_of(*agent_, "attachments", "r1-lan"), "Ready") << "it has nothing to do with it";
    add_uplink();
    EXPECT_TRUE(reaches(*agent_, "networks", "lan", "Ready"));
    EXPECT_TRUE(ping("r1", "10.1.0.9"));
    EXPECT_EQ(promiscuity(), 1);
  }
}

TEST_F(VdeUplink, ThatWentDownGoesOnWhenItIsUpAgain) {
  agent_->apply(lan("up0"));
  ASSERT_TRUE(ping("r1", "10.1.0.9"));
  sandbox_.ip("link set up0 down");
  EXPECT_TRUE(ping("r1", "10.1.0.9")) << "the agent sets it up again";
  ASSERT_TRUE(converges(*agent_));
  EXPECT_EQ(promiscuity(), 1);
}

TEST_F(VdeUplink, IsPromiscuousOnlyWhilePluggedIn) {
  EXPECT_EQ(promiscuity(), 0);
  agent_->apply(lan("up0"));
  EXPECT_EQ(promiscuity(), 1);
  agent_->apply(lan(""));
  EXPECT_EQ(promiscuity(), 0);
  EXPECT_TRUE(no_ping("r1", "10.1.0.9"));
  agent_->apply(lan("up0"));
  EXPECT_EQ(promiscuity(), 1);
  const SwitchProcesses found = switch_of(*agent_, "lan");
  const Finished removed = agent_->cli({"delete", "set", "lan", "--wait"});
  EXPECT_TRUE(removed.ok()) << removed.text();
  EXPECT_EQ(promiscuity(), 0);
  EXPECT_FALSE(is_alive(found.plug));
}

// Nobody spins when the interface behind a packet socket is gone.
TEST_F(VdeUplink, LeavesNobodyBusyWhenItIsDeleted) {
  agent_->apply(lan("up0"));
  ASSERT_TRUE(ping("r1", "10.1.0.9"));
  sandbox_.ip("link del up0");
  EXPECT_TRUE(reaches(*agent_, "networks", "lan", "Pending"));
  const SwitchProcesses found = switch_of(*agent_, "lan");
  for (const auto& [pid, used] : processor_times({agent_->pid(), found.pid, found.plug}, 2s))
    EXPECT_LE(used, 100ms) << "process " << pid;
}

}  // namespace
}  // namespace lanwright::test
