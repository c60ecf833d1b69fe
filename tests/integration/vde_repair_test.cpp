// Whatever ends or takes away a part of a LAN that a VDE switch carries: it is back, and who talks over it
// hardly notices.
#include <gtest/gtest.h>

#include <csignal>
#include <iostream>
#include <memory>

#include "tests/integration/event_stream.h"
#include "tests/integration/frames.h"
#include "tests/integration/harness.h"
#include "tests/integration/kernel_facts.h"
#include "tests/integration/product.h"
#include "tests/integration/vde.h"

namespace lanwright::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kKills = 20;
// As many within ten seconds, and an agent takes it for a fight.
constexpr int kKillsPerAgent = 4;
constexpr auto kGenerous = 5s;

std::string lan(const std::string& settings) {
  return "version: 1\nname: lan\nnetworks:\n  lan: {driver: vde, vde: {" + settings + R"(}}
attachments:
  r1-lan: {network: lan, netns: r1, interface: eth0, addresses: [10.1.0.1/24, "fd01::1/64"]}
  r2-lan:
    network: lan
    netns: r2
    interface: eth0
    addresses: [10.1.0.2/24, "fd01::2/64"]
    routes: [{to: default, via: 10.1.0.1}, {to: "fd77::/48", via: "fd01::1"}]
  vm-lan: {network: lan, tap: {name: tap-vm}}
)";
}

Milliseconds since(Clock::time_point when) {
  return std::chrono::duration_cast<Milliseconds>(Clock::now() - when);
}

class VdeRepair : public testing::Test {
 protected:
  VdeRepair() {
    for (const char* netns : {"r1", "r2"}) sandbox_.add_netns(netns);
    agent_.emplace(sandbox_);
  }

  void apply(const std::string& settings = "") {
    agent_->apply(lan(settings));
    facts_ = facts();
    events_.emplace(*agent_);
  }

  Json facts() const { return facts_of_all(sandbox_, {"", "r1", "r2"}); }

  void kill_agent() {
    events_.reset();
    agent_->kill();
  }
  void start_agent() {
    agent_.emplace(sandbox_);
    events_.emplace(*agent_);
  }

  SwitchProcesses processes() const { return switch_of(*agent_, "lan"); }

  // Who joins from outside, and everybody inside.
  void expect_traffic() const {
    VdeClient client(processes().socket);
    InterfacePort inside("r1", "eth0");
    TapPort machine("tap-vm");
    EXPECT_TRUE(talk(client, inside));
    EXPECT_TRUE(talk(machine, inside));
    EXPECT_TRUE(talk(client, machine));
    EXPECT_TRUE(ping("r1", "10.1.0.2"));
    EXPECT_TRUE(ping("r2", "fd01::1"));
  }

  void expect_interfaces_untouched() const {
    EXPECT_TRUE(wait_until([&] { return facts() == facts_; })) << differences(facts_, facts());
  }

  // The processes are killed and come back. Answers how long it took until somebody who joins from outside
  // and an interface heard each other.
  Milliseconds kill_and_time(bool the_switch, bool the_plug) {
    const SwitchProcesses before = processes();
    EXPECT_TRUE(before.run());
    const auto began = Clock::now();
    if (the_switch) ::kill(before.pid, SIGKILL);
    if (the_plug) ::kill(before.plug, SIGKILL);
    SwitchProcesses now;
    const auto is_back = [&] {
      now = processes();
      return now.run() && (now.pid != before.pid) == the_switch && (now.plug != before.plug) == the_plug;
    };
    EXPECT_TRUE(wait_until(is_back)) << now.pid << " was " << before.pid << ", plug " << now.plug << " was "
                                     << before.plug;
    // vde_switch mixes up its connections when one ends while another joins, see say_goodbye(): nobody comes
    // or goes while the plug and the agent's consoles do.
    EXPECT_TRUE(converges(*agent_));
    VdeClient client(now.socket);
    InterfacePort inside("r2", "eth0");
    EXPECT_TRUE(talk(client, inside));
    const Milliseconds took = since(began);
    EXPECT_LT(took, kGenerous);
    return took;
  }

  void kill_often(bool the_switch, bool the_plug) {
    Milliseconds longest{};
    Milliseconds all{};
    for (int round = 0; round < kKills && !HasFailure(); ++round) {
      SCOPED_TRACE(round);
      if (round % kKillsPerAgent == kKillsPerAgent - 1) {  // the next one finds them running
        kill_agent();
        start_agent();
      }
      const Milliseconds took = kill_and_time(the_switch, the_plug);
      longest = std::max(longest, took);
      all += took;
      expect_interfaces_untouched();
    }
    std::cout << "  " << kKills << " times from death to traffic: " << all.count() / kKills
              << " ms on average, " << longest.count() << " ms at most\n";
    expect_traffic();
  }

  // Nothing happens, and nobody does anything.
  void expect_idle() const {
    const SwitchProcesses found = processes();
    for (const auto& [pid, used] : processor_times({agent_->pid(), found.pid, found.plug}, 2s))
      EXPECT_LE(used, 100ms) << "process " << pid << " of agent " << agent_->pid() << ", switch " << found.pid
                             << ", plug " << found.plug;
  }

  Sandbox sandbox_;
  std::optional<AgentProcess> agent_;
  std::optional<EventStream> events_;
  Json facts_;
};

// ---- the agent

TEST_F(VdeRepair, TheDataPathDoesNotNoticeThatTheAgentDies) {
  apply();
  Stream there("r1", "r2", "10.1.0.2", 10ms);
  Stream back("r2", "r1", "fd01::1", 10ms);
  const auto began = Clock::now();
  for (int round = 0; round < 10 || since(began) < 5s; ++round) {
    kill_agent();
    start_agent();
    ASSERT_TRUE(converges(*agent_));
    EXPECT_EQ(agent_->metric("netlink_writes_total"), 0U);
  }
  for (Stream* stream : {&there, &back}) {
    const StreamCount count = stream->stop();
    std::cout << "  " << count.sent << " packets sent, " << count.lost() << " lost, longest gap "
              << count.longest_gap.count() << " ms\n";
    EXPECT_GE(count.sent, 500U);
    EXPECT_EQ(count.lost(), 0U);
    EXPECT_EQ(count.refused, 0U);
    EXPECT_EQ(count.duplicates, 0U);
  }
}

TEST_F(VdeRepair, OutsideItDoesNotNoticeEither) {
  apply();
  VdeClient client(processes().socket);
  InterfacePort inside("r1", "eth0");
  ASSERT_TRUE(talk(client, inside));
  for (int round = 0; round < 5; ++round) {
    kill_agent();
    for (int step = 0; step < 2; ++step) {
      const std::string frame =
          frame_saying("frame " + std::to_string(round) + " of " + std::to_string(step));
      client.send(frame);
      received_before(inside, frame);
      inside.send(frame);
      received_before(client, frame);
      if (step == 0) start_agent();
    }
    ASSERT_TRUE(converges(*agent_));
  }
}

// ---- its processes

TEST_F(VdeRepair, OfAHubWhoseSwitchIsKilled) {
  apply();
  // Between interfaces the switch carries nothing.
  Stream stream("r1", "r2", "10.1.0.2");
  kill_often(true, false);
  EXPECT_EQ(stream.stop().lost(), 0U);
  expect_idle();
}

TEST_F(VdeRepair, OfAHubWhosePlugIsKilled) {
  apply();
  kill_often(false, true);
  expect_idle();
}

TEST_F(VdeRepair, OfALearningSwitchThatIsKilled) {
  apply("hub: false");
  kill_often(true, false);
  expect_idle();
}

TEST_F(VdeRepair, OfALearningSwitchWhosePlugIsKilled) {
  apply("hub: false");
  kill_often(false, true);
  expect_idle();
}

TEST_F(VdeRepair, OfBothAtOnce) {
  apply();
  kill_often(true, true);
  expect_idle();
}

TEST_F(VdeRepair, OfBothThatWereKilledWhileTheAgentWasAway) {
  for (const char* settings : {"", "hub: false"}) {
    SCOPED_TRACE(settings);
    apply(settings);
    const SwitchProcesses before = processes();
    kill_agent();
    ASSERT_EQ(::kill(before.pid, SIGKILL), 0);
    ASSERT_EQ(::kill(before.plug, SIGKILL), 0);
    ASSERT_TRUE(wait_until([&] { return !is_alive(before.pid) && !is_alive(before.plug); }));
    start_agent();
    ASSERT_TRUE(converges(*agent_));
    EXPECT_TRUE(processes().run());
    expect_interfaces_untouched();
    expect_traffic();
  }
}

// Each by itself while the agent is away: what still runs is kept.
TEST_F(VdeRepair, OfOneThatWasKilledWhileTheAgentWasAway) {
  apply();
  for (const bool the_switch : {true, false}) {
    SCOPED_TRACE(the_switch ? "switch" : "plug");
    const SwitchProcesses before = processes();
    kill_agent();
    const pid_t victim = the_switch ? before.pid : before.plug;
    ASSERT_EQ(::kill(victim, SIGKILL), 0);
    ASSERT_TRUE(wait_until([&] { return !is_alive(victim); }));
    start_agent();
    ASSERT_TRUE(converges(*agent_));
    const SwitchProcesses now = processes();
    EXPECT_EQ(now.pid == before.pid, !the_switch);
    EXPECT_EQ(now.plug == before.plug, the_switch);
    expect_interfaces_untouched();
    expect_traffic();
  }
}

// ---- its interfaces

struct Victim {
  std::string netns;
  std::string link;
  std::string object;
};

TEST_F(VdeRepair, OfATapThatIsDeleted) {
  apply();
  for (const Victim& victim :
       {Victim{"r1", "eth0", "r1-lan"}, Victim{"r2", "eth0", "r2-lan"}, Victim{"", "tap-vm", "vm-lan"}}) {
    SCOPED_TRACE(victim.object);
    const auto now = [&] { return without_indexes(facts_of(sandbox_, victim.netns)); };
    const Json before = now();
    events_->pass_over();
    sandbox_.ip((victim.netns.empty() ? "" : "-n " + victim.netns + " ") + "link del " + victim.link);
    events_->expect("Repaired", "attachment " + victim.object);
    EXPECT_TRUE(wait_until([&] { return now() == before; })) << differences(before, now());
    ASSERT_TRUE(converges(*agent_));
    expect_traffic();
  }
}

TEST_F(VdeRepair, OfANamespaceThatIsMadeAnew) {
  apply();
  sandbox_.delete_netns("r2");
  EXPECT_TRUE(reaches(*agent_, "attachments", "r2-lan", "Pending"));
  EXPECT_TRUE(ping("", "127.0.0.1"));
  sandbox_.add_netns("r2");
  EXPECT_TRUE(reaches(*agent_, "attachments", "r2-lan", "Ready"));
  expect_traffic();
}

// ---- nobody spins

TEST_F(VdeRepair, LeavesNobodyBusy) {
  apply();
  expect_traffic();
  expect_idle();
  sandbox_.ip("-n r1 link del eth0");
  events_->expect("Repaired", "attachment r1-lan");
  sandbox_.ip("link del tap-vm");
  events_->expect("Repaired", "attachment vm-lan");
  ASSERT_TRUE(converges(*agent_));
  expect_idle();
  sandbox_.delete_netns("r2");
  EXPECT_TRUE(reaches(*agent_, "attachments", "r2-lan", "Pending"));
  expect_idle();
}

TEST_F(VdeRepair, LeavesNobodyBusyWithASwitchThatDoesNotRead) {
  apply();
  const SwitchProcesses found = processes();
  VdeClient client(found.socket);
  {
    InterfacePort inside("r1", "eth0");
    ASSERT_TRUE(talk(client, inside));
    // More than the switch's socket takes: the plug keeps the rest, and waits.
    ASSERT_EQ(::kill(found.pid, SIGSTOP), 0);
    for (int i = 0; i < 200; ++i) inside.send(frame_of_length(1400, "number " + std::to_string(i)));
    expect_idle();
    ASSERT_EQ(::kill(found.pid, SIGCONT), 0);
    EXPECT_TRUE(talk(client, inside));
  }
  ASSERT_TRUE(converges(*agent_));
  EXPECT_EQ(processes(), found) << "it was not dead";
  expect_idle();
}

// Neither has ended: only who asks for a sign of life finds out.
TEST_F(VdeRepair, OfASwitchAndAPlugThatHang) {
  constexpr auto kFoundOut = 15s;
  apply();
  for (const auto part : {&SwitchProcesses::pid, &SwitchProcesses::plug}) {
    const SwitchProcesses before = processes();
    SCOPED_TRACE(part == &SwitchProcesses::pid ? "switch" : "plug");
    ASSERT_EQ(::kill(before.*part, SIGSTOP), 0);
    // Nobody is held up meanwhile.
    const auto began = Clock::now();
    const Json view = agent_->get_json("/v1/switches/lan");
    EXPECT_FALSE(view.at("answers").get<bool>());
    EXPECT_TRUE(agent_->cli({"get", "networks"}).ok());
    EXPECT_LT(since(began), 1500ms);
    ASSERT_TRUE(wait_until([&] { return !is_alive(before.*part); }, kFoundOut));
    ASSERT_TRUE(wait_until([&] {
      const SwitchProcesses now = processes();
      return now.run() && now.*part != before.*part;
    }));
    ASSERT_TRUE(converges(*agent_));
    EXPECT_TRUE(agent_->get_json("/v1/switches/lan").at("answers").get<bool>());
    expect_interfaces_untouched();
    expect_traffic();
  }
}

}  // namespace
}  // namespace lanwright::test
