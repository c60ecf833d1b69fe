// A LAN that a VDE switch carries: what goes through it, who may join, and what is left when it goes.
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <memory>
#include <sstream>

#include "tests/integration/frames.h"
#include "tests/integration/harness.h"
#include "tests/integration/kernel_facts.h"
#include "tests/integration/product.h"
#include "tests/integration/vde.h"

namespace lanwright::test {
namespace {

namespace fs = std::filesystem;

// Frames alone: nobody has an address.
std::string wire(const std::string& settings = "") {
  return "version: 1\nname: wire\nnetworks:\n  wire: {driver: vde, vde: {" + settings + R"(}}
attachments:
  r1-wire: {network: wire, netns: r1, interface: eth0}
  r2-wire: {network: wire, netns: r2, interface: eth0}
  vm-wire: {network: wire, tap: {name: tap-vm}}
)";
}

// Both talk IP.
constexpr const char* kLan = R"(
version: 1
name: lan
networks:
  lan: {driver: vde}
attachments:
  r1-lan: {network: lan, netns: r1, interface: eth0, addresses: [10.1.0.1/24, "fd01::1/64"]}
  r2-lan: {network: lan, netns: r2, interface: eth0, addresses: [10.1.0.2/24, "fd01::2/64"]}
  vm-lan: {network: lan, tap: {name: tap-vm}}
)";

class VdeLan : public testing::Test {
 protected:
  VdeLan() {
    for (const char* netns : {"r1", "r2"}) sandbox_.add_netns(netns);
    agent_.emplace(sandbox_);
  }

  fs::path run_directory() const { return agent_->socket().parent_path(); }
  fs::path join_at(const std::string& network) const { return run_directory() / "vde" / network; }

  Sandbox sandbox_;
  std::optional<AgentProcess> agent_;
};

using Ports = std::vector<std::unique_ptr<FramePort>>;

// Whoever joins is in once a frame went either way between all.
void expect_all_joined(const Ports& ports) {
  for (std::size_t one = 0; one < ports.size(); ++one) {
    for (std::size_t other = one + 1; other < ports.size(); ++other)
      ASSERT_TRUE(talk(*ports[one], *ports[other])) << one << " and " << other;
  }
  const std::string last = frame_saying("all are here");
  for (std::size_t one = 0; one < ports.size(); ++one) {
    ports[one]->send(last);
    for (std::size_t other = 0; other < ports.size(); ++other) {
      if (other != one) received_before(*ports[other], last);
    }
  }
}

std::vector<std::string> frames_of_all_sorts() {
  return {
      frame_to(Group::stp),
      frame_to(Group::lldp),
      frame_saying("to everybody"),
      frame_saying("to a group", std::string("\x01\x00\x5e\x01\x02\x03", 6)),
      frame_saying("to nobody here", std::string("\x02\x00\x00\x00\x99\x99", 6)),
      frame_of_length(1500, "a long one"),
      frame_saying("with a tag", kEverybody, VlanTag{42, 5}),
  };
}

// What one sends, the others get: once, unchanged, in order; and the sender does not get it back. The second
// time round shows what came back to the last one of the first.
void expect_a_hub(const Ports& ports) {
  const auto sent = frames_of_all_sorts();
  std::vector<std::string> wanted;
  for (const std::string& frame : sent) wanted.push_back(summary(frame));
  for (int round = 0; round < 2; ++round) {
    for (std::size_t from = 0; from < ports.size(); ++from) {
      SCOPED_TRACE(testing::Message() << "round " << round << ", sent by " << from);
      const std::string last = frame_saying("round " + std::to_string(round) + " of " + std::to_string(from));
      for (const std::string& frame : sent) ports[from]->send(frame);
      ports[from]->send(last);
      for (std::size_t to = 0; to < ports.size(); ++to) {
        if (to == from) continue;
        EXPECT_EQ(received_before(*ports[to], last), wanted) << "received by " << to;
      }
    }
  }
}

TEST_F(VdeLan, IsAHubForEveryFrame) {
  agent_->apply(wire());
  Ports ports;
  ports.push_back(std::make_unique<InterfacePort>("r1", "eth0"));
  ports.push_back(std::make_unique<InterfacePort>("r2", "eth0"));
  ports.push_back(std::make_unique<TapPort>("tap-vm"));
  expect_all_joined(ports);
  expect_a_hub(ports);
  for (int i = 0; i < 2; ++i) ports.push_back(std::make_unique<VdeClient>(join_at("wire")));
  expect_all_joined(ports);
  expect_a_hub(ports);
  ports.pop_back();
  ports.pop_back();
  expect_a_hub(ports);
}

// ---- lengths

std::uint64_t counted(const AgentProcess& agent, const std::string& object, const std::string& what) {
  const Json switches = agent.cli_json({"get", "switches"});
  for (const Json& port : switches.at(0).at("ports")) {
    if (port.contains("object") && port.at("object").at("name") == object) return port.at(what);
  }
  throw HarnessError("no port of " + object + " in " + switches.dump(2));
}

TEST_F(VdeLan, WhatIsTooLongIsCountedAndNeverCutOff) {
  agent_->apply(wire());
  const Json facts = facts_of_all(sandbox_, {"r1"});
  agent_->stop();  // nobody puts the MTU back
  sandbox_.ip("-n r1 link set eth0 mtu 3000");
  Ports ports;
  ports.push_back(std::make_unique<InterfacePort>("r1", "eth0"));
  ports.push_back(std::make_unique<TapPort>("tap-vm"));
  ports.push_back(std::make_unique<InterfacePort>("r2", "eth0"));
  ports.push_back(std::make_unique<VdeClient>(join_at("wire")));
  expect_all_joined(ports);
  const std::vector<std::size_t> lengths = {1501, 1504, 1505, 2000, 3000};
  const std::string longest = frame_of_length(1500, "as long as may be");
  const std::string last = frame_saying("the last one");
  for (std::size_t from : {0U, 1U}) {
    for (const std::size_t length : lengths) ports[from]->send(frame_of_length(length, "too long"));
    for (const std::string& frame : {longest, last}) ports[from]->send(frame);
    for (std::size_t to = 0; to < ports.size(); ++to) {
      if (to == from) continue;
      EXPECT_EQ(received_before(*ports[to], last), std::vector{summary(longest)}) << from << " to " << to;
    }
  }
  agent_.emplace(sandbox_);
  ASSERT_TRUE(converges(*agent_));
  EXPECT_EQ(differences(facts, facts_of_all(sandbox_, {"r1"})), "");
  EXPECT_EQ(counted(*agent_, "r1-wire", "tooLong"), lengths.size());
  EXPECT_EQ(counted(*agent_, "vm-wire", "tooLong"), lengths.size());
  EXPECT_EQ(counted(*agent_, "r2-wire", "tooLong"), 0U);
}

// vde_switch itself cuts at 1518 bytes what programs send to it.
TEST_F(VdeLan, WhatTheSwitchCutOffDoesNotReachInterfaces) {
  agent_->apply(wire());
  VdeClient client(join_at("wire"));
  InterfacePort port("r1", "eth0");
  ASSERT_TRUE(talk(client, port));
  const std::string last = frame_saying("the last one");
  for (const std::size_t length : {1501U, 1504U, 1505U, 2000U})
    client.send(frame_of_length(length, "too long"));
  client.send(frame_of_length(1500, "fits"));
  client.send(last);
  EXPECT_EQ(received_before(port, last), std::vector{summary(frame_of_length(1500, "fits"))});
}

// What a program sends may be more than a network with a lower MTU carries.
TEST_F(VdeLan, WhatAProgramSendsThatIsTooLongIsCounted) {
  agent_->apply(
      "version: 1\nname: wire\nnetworks:\n  wire: {driver: vde, mtu: 1000}\n"
      "attachments:\n  r1-wire: {network: wire, netns: r1, interface: eth0}\n");
  VdeClient client(join_at("wire"));
  InterfacePort port("r1", "eth0");
  ASSERT_TRUE(talk(client, port));
  const std::string last = frame_saying("the last one");
  for (const std::size_t length : {1001U, 1400U}) client.send(frame_of_length(length, "too long"));
  client.send(frame_of_length(1000, "fits"));
  client.send(last);
  EXPECT_EQ(received_before(port, last), std::vector{summary(frame_of_length(1000, "fits"))});
  EXPECT_EQ(agent_->get_json("/v1/switches/wire").at("tooLong"), 2);
  const std::string metrics = agent_->get("/metrics").body;
  EXPECT_NE(metrics.find("lanwright_switch_too_long_frames_total{network=\"wire\"} 2"), std::string::npos)
      << metrics;
}

// With all ports of a vde_switch taken, who joins next would wait for ever.
class VdeGrowth : public VdeLan, public testing::WithParamInterface<bool> {};

TEST_P(VdeGrowth, ThereIsAPortForEverybodyWhoJoins) {
  constexpr std::size_t kPrograms = 45;  // more than a switch begins with
  agent_->apply(std::string("version: 1\nname: wire\nnetworks:\n  wire: {driver: vde, vde: {hub: ") +
                (GetParam() ? "true" : "false") + "}}\n");
  const auto socket = join_at("wire");
  Ports programs;
  for (std::size_t i = 0; i < kPrograms; ++i) {
    programs.push_back(std::make_unique<VdeClient>(socket));
    if (i > 0) {
      ASSERT_TRUE(talk(*programs[i], *programs[0])) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, VdeGrowth, testing::Values(true, false),
                         [](const auto& mode) { return mode.param ? "Hub" : "Switch"; });

// ---- switch mode

class VdeSwitch : public VdeLan {
 protected:
  // Taps a, b, ... with what each has beside its name.
  void apply(const std::vector<std::string>& settings) const {
    std::string text =
        "version: 1\nname: wire\nnetworks:\n  wire: {driver: vde, vde: {hub: false}}\nattachments:\n";
    char name = 'a';
    for (const std::string& each : settings) {
      text += std::string("  ") + name + ": {network: wire, tap: {name: tap-" + name + "}" + each + "}\n";
      ++name;
    }
    agent_->apply(text);
  }

  void kill_the_switch() const {
    const SwitchProcesses before = switch_of(*agent_, "wire");
    ASSERT_EQ(::kill(before.pid, SIGKILL), 0);
    ASSERT_TRUE(wait_until([&] {
      const pid_t now = switch_of(*agent_, "wire").pid;
      return now != 0 && now != before.pid;
    }));
    ASSERT_TRUE(converges(*agent_));
  }
};

TEST_F(VdeSwitch, KeepsWhatIsForOneFromOthers) {
  apply({"", "", ""});
  EXPECT_FALSE(overhears("tap-c", "tap-a", "tap-b"));
  EXPECT_TRUE(crosses(Group::lldp, "tap-a", "tap-b")) << "it does not keep what is between neighbours";
  kill_the_switch();
  EXPECT_FALSE(overhears("tap-c", "tap-a", "tap-b"));
}

// a and b in VLAN 5, c in VLAN 6, d carries both with tags.
void expect_two_vlans(FramePort& a, FramePort& b, FramePort& c, FramePort& d) {
  ASSERT_TRUE(talk(a, b));
  const std::string from_a = frame_saying("of five");
  const std::string from_a_tagged = frame_saying("of five", kEverybody, VlanTag{5, 0});
  const std::string from_c = frame_saying("of six");
  const std::string from_c_tagged = frame_saying("of six", kEverybody, VlanTag{6, 0});
  const auto eventually = [](FramePort& from, const std::string& sent, FramePort& to,
                             const std::string& received) {
    return wait_until([&] {
      from.send(sent);
      for (auto frame = to.receive(20ms); frame; frame = to.receive(0ms)) {
        if (*frame == received) return true;
      }
      return false;
    });
  };
  ASSERT_TRUE(eventually(a, from_a, d, from_a_tagged));
  ASSERT_TRUE(eventually(c, from_c, d, from_c_tagged));
  ASSERT_TRUE(eventually(d, from_c_tagged, c, from_c));
  ASSERT_TRUE(eventually(d, from_a_tagged, b, from_a));
  // All is up. What d has of somebody, the switch has given to everybody who gets it.
  const std::string last_of_five = frame_saying("last", kEverybody, VlanTag{5, 0});
  const std::string last_of_six = frame_saying("last", kEverybody, VlanTag{6, 0});
  const std::string last = frame_saying("last");
  const auto drain = [&] {
    d.send(last_of_five);
    d.send(last_of_six);
    std::vector<std::vector<std::string>> frames;
    for (FramePort* port : {&a, &b, &c}) frames.push_back(received_before(*port, last));
    return frames;
  };
  drain();
  using Frames = std::vector<std::string>;
  while (d.receive(0ms)) continue;
  a.send(from_a);
  ASSERT_EQ(d.receive(10s), from_a_tagged);
  EXPECT_EQ(drain(), (std::vector<Frames>{{}, {summary(from_a)}, {}}));
  c.send(from_c);
  ASSERT_EQ(d.receive(10s), from_c_tagged);
  EXPECT_EQ(drain(), (std::vector<Frames>{{}, {}, {}}));
  d.send(from_c_tagged);
  EXPECT_EQ(drain(), (std::vector<Frames>{{}, {}, {summary(from_c)}}));
  // A VLAN that nobody was given, and none, go nowhere.
  d.send(frame_saying("of seven", kEverybody, VlanTag{7, 0}));
  d.send(frame_saying("of none"));
  EXPECT_EQ(drain(), (std::vector<Frames>{{}, {}, {}}));
}

TEST_F(VdeSwitch, VlansKeepApartAndTagAlsoInASwitchThatIsBack) {
  apply({", vlan: 5", ", vlan: 5", ", vlan: 6", ", trunk: [5, 6]"});
  TapPort a("tap-a");
  TapPort b("tap-b");
  TapPort c("tap-c");
  TapPort d("tap-d");
  {
    SCOPED_TRACE("at first");
    expect_two_vlans(a, b, c, d);
  }
  kill_the_switch();
  {
    SCOPED_TRACE("after the switch was killed");
    expect_two_vlans(a, b, c, d);
  }
  ASSERT_EQ(::kill(switch_of(*agent_, "wire").plug, SIGKILL), 0);
  ASSERT_TRUE(hears(b, a));
  ASSERT_TRUE(converges(*agent_));
  {
    SCOPED_TRACE("after the plug was killed");
    expect_two_vlans(a, b, c, d);
  }
  apply({", vlan: 5", ", vlan: 5", ", vlan: 6", ", vlan: 6"});
  EXPECT_TRUE(talk(c, d));
}

TEST_F(VdeSwitch, IsMadeOfAHubAndBack) {
  const auto lan = [](bool hub) {
    std::string text = std::string("version: 1\nname: wire\nnetworks:\n  wire: {driver: vde, vde: {hub: ") +
                       (hub ? "true" : "false") + "}}\nattachments:\n";
    for (const std::string name : {"a", "b", "c"})
      text += "  " + name + ": {network: wire, tap: {name: tap-" + name + "}}\n";
    return text;
  };
  for (const bool hub : {false, true, false}) {
    agent_->apply(lan(hub));
    EXPECT_EQ(overhears("tap-c", "tap-a", "tap-b"), hub);
  }
}

// ---- who may join, and with what rights all that runs

std::string status_field(pid_t pid, const std::string& name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(name + ":")) continue;
    return line.substr(line.find_first_not_of(" \t", name.size() + 1));
  }
  throw HarnessError("no " + name + " of process " + std::to_string(pid));
}

TEST_F(VdeLan, ProcessesHaveNoMoreRightsThanTheyNeed) {
  agent_->apply(wire());
  const SwitchProcesses found = switch_of(*agent_, "wire");
  for (const char* set : {"CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"})
    EXPECT_EQ(status_field(found.plug, set), "0000000000000000") << set << " of the plug";
  // CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER: the bits 0, 1 and 3 (linux/capability.h).
  for (const char* set : {"CapEff", "CapPrm", "CapBnd"})
    EXPECT_EQ(status_field(found.pid, set), "000000000000000b") << set << " of the switch";
  for (const pid_t pid : {found.pid, found.plug}) EXPECT_EQ(status_field(pid, "NoNewPrivs"), "1");
}

TEST_F(VdeLan, RootAloneMayJoinUnlessAGroupIsNamed) {
  agent_->apply(wire());
  struct stat socket {};
  ASSERT_EQ(::stat((join_at("wire") / "ctl").c_str(), &socket), 0);
  EXPECT_EQ(socket.st_mode & 07777U, 0600U);
  ASSERT_EQ(::stat(join_at("wire").c_str(), &socket), 0);
  EXPECT_EQ(socket.st_mode & 07777U, 0700U);
}

TEST_F(VdeLan, TheGroupMayJoin) {
  agent_->apply(wire("group: daemon"));  // a group that every system has
  constexpr gid_t kDaemon = 1;
  struct stat found {};
  ASSERT_EQ(::stat((join_at("wire") / "ctl").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777U, 0660U);
  EXPECT_EQ(found.st_gid, kDaemon);
  ASSERT_EQ(::stat(join_at("wire").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777U, 01770U) << "of its members none may remove the switch's own socket";
  EXPECT_EQ(found.st_gid, kDaemon);
  const auto as = [](const std::string& group) {
    return std::vector<std::string>{"setpriv", "--reuid=65534", "--regid=" + group, "--clear-groups"};
  };
  InterfacePort port("r1", "eth0");
  VdeClient member(join_at("wire"), as("daemon"));
  EXPECT_TRUE(talk(member, port));
  std::vector<std::string> command = as("65534");
  command.insert(command.end(), {"vde_plug", "vde://" + join_at("wire").string()});
  const Finished stranger = run(command, {.limit = 10s});
  EXPECT_NE(stranger.status, 0);
  EXPECT_FALSE(stranger.timed_out) << "somebody else has joined";

  agent_->apply(wire("group: daemon, mode: \"0666\""));
  ASSERT_EQ(::stat((join_at("wire") / "ctl").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777U, 0666U);
  VdeClient anybody(join_at("wire"), as("65534"));
  EXPECT_TRUE(talk(anybody, port));
}

// ---- its life

TEST_F(VdeLan, LeavesNothingWhenItIsDeleted) {
  agent_->apply(wire());
  const SwitchProcesses found = switch_of(*agent_, "wire");
  InterfacePort port("r1", "eth0");
  VdeClient killed(join_at("wire"));
  ASSERT_TRUE(talk(killed, port));
  killed.kill();
  VdeClient joined(join_at("wire"));
  ASSERT_TRUE(talk(joined, port));
  const Finished removed = agent_->cli({"delete", "set", "wire", "--wait"}, {.limit = 60s});
  EXPECT_TRUE(removed.ok()) << removed.text();
  EXPECT_FALSE(is_alive(found.pid));
  EXPECT_FALSE(is_alive(found.plug));
  EXPECT_FALSE(fs::exists(join_at("wire")));
  EXPECT_FALSE(fs::exists(run_directory() / "switches" / "wire"));
  EXPECT_EQ(sandbox_.links(), std::vector<std::string>{});
  EXPECT_EQ(sandbox_.links("r1"), std::vector<std::string>{});
  EXPECT_EQ(agent_->cli_json({"get", "switches"}), Json::array());
  agent_->apply(wire());
  VdeClient again(join_at("wire"));
  InterfacePort anew("r1", "eth0");
  EXPECT_TRUE(talk(again, anew));
}

// What somebody put into the directory is his.
TEST_F(VdeLan, LeavesWhatIsNotItsOwnWhenItIsDeleted) {
  agent_->apply(wire());
  std::ofstream(join_at("wire") / "notes") << "mine";
  const Finished removed = agent_->cli({"delete", "set", "wire", "--wait=10s"}, {.limit = 60s});
  EXPECT_TRUE(removed.ok()) << removed.text();
  EXPECT_TRUE(fs::exists(join_at("wire") / "notes"));
  EXPECT_FALSE(fs::exists(join_at("wire") / "ctl"));
}

TEST_F(VdeLan, OutlivesTheAgent) {
  agent_->apply(kLan);
  const SwitchProcesses before = switch_of(*agent_, "lan");
  VdeClient client(join_at("lan"));
  InterfacePort port("r1", "eth0");
  Stream stream("r1", "r2", "10.1.0.2");
  EXPECT_EQ(agent_->stop(), 0);
  EXPECT_TRUE(tcp("r2", "r1", "10.1.0.1"));
  EXPECT_TRUE(talk(client, port));
  agent_.emplace(sandbox_);
  ASSERT_TRUE(converges(*agent_));
  EXPECT_EQ(agent_->metric("netlink_writes_total"), 0U);
  EXPECT_EQ(stream.stop().lost(), 0U);
  EXPECT_EQ(switch_of(*agent_, "lan"), before);
}

TEST_F(VdeLan, AppliedAgainNothingIsDone) {
  agent_->apply(kLan);
  ASSERT_TRUE(converges(*agent_));
  const SwitchProcesses before = switch_of(*agent_, "lan");
  const auto writes = agent_->metric("netlink_writes_total");
  const auto file = sandbox_.write_file("again.yaml", kLan);
  EXPECT_EQ(agent_->cli_json({"plan", "-f", file}).at("actions"), Json::array());
  LinkWatcher watcher("r1");
  agent_->apply(kLan);
  ASSERT_TRUE(converges(*agent_));
  EXPECT_EQ(agent_->metric("netlink_writes_total"), writes);
  EXPECT_TRUE(watcher.take().empty());
  EXPECT_EQ(switch_of(*agent_, "lan"), before);
}

}  // namespace
}  // namespace lanwright::test
