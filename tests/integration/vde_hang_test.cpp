// Switches and plugs that hang, many at once: nobody waits for them, and they are started anew.
// ctest label: timed
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <functional>
#include <iostream>
#include <thread>
#include <vector>

#include "tests/integration/harness.h"
#include "tests/integration/product.h"
#include "tests/integration/vde.h"

namespace lanwright::test {
namespace {

using Clock = std::chrono::steady_clock;
using Part = pid_t SwitchProcesses::*;

constexpr int kSwitches = 12;
constexpr auto kAtOnce = 1s;  // one after the other they would be waited for several times as long

std::string name_of(int number) {
  return "lan" + std::to_string(number);
}

Milliseconds time_of(const std::function<void()>& request) {
  const auto began = Clock::now();
  request();
  return std::chrono::ceil<Milliseconds>(Clock::now() - began);
}

// Requests that the loop has to answer, without a pause: how long the slowest of them took.
class Requests {
 public:
  explicit Requests(const AgentProcess& agent)
      : thread_([this, &agent] {
          while (!over_) {
            const Milliseconds took = time_of([&] { agent.get("/v1/networks/other/describe"); });
            slowest_ = std::max(slowest_, took);
          }
        }) {}
  Milliseconds slowest() {
    over_ = true;
    thread_.join();
    return slowest_;
  }

 private:
  std::atomic<bool> over_ = false;
  Milliseconds slowest_{0};
  std::jthread thread_;
};

class VdeHang : public testing::TestWithParam<Part> {
 protected:
  VdeHang() : agent_(sandbox_) {
    sandbox_.add_netns("r1");
    // Half of them are asked for VLANs whenever they are looked at.
    text_ = "version: 1\nname: lan\nnetworks:\n";
    std::string attachments = "attachments:\n";
    for (int i = 0; i < kSwitches; ++i) {
      const bool hub = i % 2 == 0;
      text_ += "  " + name_of(i) + ": {driver: vde" + (hub ? "" : ", vde: {hub: false}") + "}\n";
      attachments += "  r1-" + std::to_string(i) + ": {network: " + name_of(i) + ", netns: r1, interface: e" +
                     std::to_string(i) + (hub ? "" : ", vlan: 5") + "}\n";
    }
    text_ += attachments;
    agent_.apply(text_);
    agent_.apply("version: 1\nname: beside\nnetworks: {other: {driver: bridge}}\n");
  }

  std::vector<pid_t> pids() const {
    std::vector<pid_t> found;
    for (int i = 0; i < kSwitches; ++i) found.push_back(switch_of(agent_, name_of(i)).*GetParam());
    return found;
  }

  void stop_all() {
    hung_ = pids();
    for (const pid_t pid : hung_) ASSERT_EQ(::kill(pid, SIGSTOP), 0);
  }

  Sandbox sandbox_;
  AgentProcess agent_;
  std::string text_;
  std::vector<pid_t> hung_;
};

TEST_P(VdeHang, HoldsUpNobody) {
  stop_all();
  Requests beside(agent_);
  const Milliseconds listed = time_of([&] {
    for (const Json& each : agent_.get_json("/v1/switches")) EXPECT_FALSE(each.at("answers").get<bool>());
  });
  const Milliseconds measured = time_of([&] { EXPECT_EQ(agent_.get("/metrics").status, 200); });
  EXPECT_LT(listed, kAtOnce);
  EXPECT_LT(measured, kAtOnce);
  // They are ended, and others take their place.
  for (const pid_t pid : hung_) EXPECT_TRUE(wait_until([&] { return !is_alive(pid); }, 15s));
  EXPECT_TRUE(converges(agent_));
  const Milliseconds slowest = beside.slowest();
  EXPECT_LT(slowest, kAtOnce);
  for (const Json& each : agent_.get_json("/v1/switches")) EXPECT_TRUE(each.at("answers").get<bool>());
  std::cout << "listed in " << listed.count() << " ms, measured in " << measured.count()
            << " ms, slowest request beside " << slowest.count() << " ms\n";
}

TEST_P(VdeHang, AreRemovedWhileNobodyWaits) {
  stop_all();
  Requests beside(agent_);
  const Finished removed = agent_.cli({"delete", "set", "lan", "--wait=20s"}, {.limit = 60s});
  EXPECT_TRUE(removed.ok()) << removed.text();
  const Milliseconds slowest = beside.slowest();
  EXPECT_LT(slowest, kAtOnce);
  for (const pid_t pid : hung_) EXPECT_FALSE(is_alive(pid));
  std::cout << "slowest request beside " << slowest.count() << " ms\n";
}

// What it did not answer in time is taken in when it goes on, and what was asked of it is done.
TEST_P(VdeHang, ForAMomentChangesNothing) {
  stop_all();
  agent_.get_json("/v1/switches");  // which finds out
  const std::string more = text_ + "  r2: {network: lan1, netns: r1, interface: more, vlan: 6}\n";
  const Finished applied = agent_.cli({"apply", "-f", sandbox_.write_file("more.yaml", more)});
  EXPECT_TRUE(applied.ok()) << applied.text();
  for (const pid_t pid : hung_) ASSERT_EQ(::kill(pid, SIGCONT), 0);
  EXPECT_TRUE(reaches(agent_, "attachments", "r2", "Ready"));
  EXPECT_TRUE(converges(agent_));
  EXPECT_EQ(pids(), hung_);
  for (const Json& each : agent_.get_json("/v1/switches")) EXPECT_TRUE(each.at("answers").get<bool>());
}

INSTANTIATE_TEST_SUITE_P(Of, VdeHang, testing::Values(&SwitchProcesses::pid, &SwitchProcesses::plug),
                         [](const auto& part) {
                           return part.param == &SwitchProcesses::pid ? "Switches" : "Plugs";
                         });

}  // namespace
}  // namespace lanwright::test
