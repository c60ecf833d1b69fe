// What goes wrong around a LAN that a VDE switch carries, and what is said of it.
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <memory>
#include <optional>
#include <thread>

#include "tests/integration/event_stream.h"
#include "tests/integration/frames.h"
#include "tests/integration/harness.h"
#include "tests/integration/product.h"
#include "tests/integration/vde.h"
#include "tests/support/sanitized.h"

namespace lanwright::test {
namespace {

namespace fs = std::filesystem;

// A network of each name with one attachment, and a bridge that has nothing to do with them.
std::string networks(const std::vector<std::string>& names, const std::string& settings = "") {
  std::string text = "version: 1\nname: lan\nnetworks:\n  other: {driver: bridge}\n";
  for (const std::string& name : names) text += "  " + name + ": {driver: vde" + settings + "}\n";
  text += "attachments:\n";
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string number = std::to_string(i);
    text += "  r1-" + number + ": {network: " + names[i] + ", netns: r1, interface: e" + number + "}\n";
  }
  return text;
}

class VdeFaults : public testing::Test {
 protected:
  VdeFaults() { sandbox_.add_netns("r1"); }

  void start(AgentOptions options = {}) { agent_.emplace(sandbox_, std::move(options)); }

  Finished apply(const std::string& yaml, const std::string& more = "--wait=0s") const {
    return agent_->cli({"apply", "-f", sandbox_.write_file("given.yaml", yaml), more}, {.limit = 120s});
  }

  // The network is in this phase and says all these words; others are not concerned.
  void expect_told(const std::string& network, const std::string& phase,
                   const std::vector<std::string>& words) const {
    EXPECT_TRUE(reaches(*agent_, "networks", network, phase));
    const std::string message = message_of(*agent_, "networks", network);
    for (const std::string& word : words)
      EXPECT_NE(message.find(word), std::string::npos) << word << " in: " << message;
    EXPECT_TRUE(reaches(*agent_, "networks", "other", "Ready"));
  }

  fs::path place(const std::string& network) const {
    return agent_->socket().parent_path() / "vde" / network;
  }

  // It is up, and carries frames.
  void expect_works(const std::string& network, const std::string& interface) const {
    ASSERT_TRUE(reaches(*agent_, "networks", network, "Ready"));
    ASSERT_TRUE(reaches(*agent_, "attachments", "r1-" + interface.substr(1), "Ready"));
    VdeClient client(switch_of(*agent_, network).socket);
    InterfacePort inside("r1", interface);
    EXPECT_TRUE(talk(client, inside));
  }

  Sandbox sandbox_;
  std::optional<AgentProcess> agent_;
};

// ---- told before anything is done

TEST_F(VdeFaults, WhatCannotBeIsRefusedWithItsReason) {
  start();
  const auto refused = [&](const std::string& network, const std::string& attachment,
                           const std::vector<std::string>& words) {
    const Finished result =
        apply("version: 1\nname: lan\nnetworks:\n  lan: {driver: vde" + network +
              "}\nattachments:\n  r1: {network: lan, netns: r1, interface: e0" + attachment + "}\n");
    EXPECT_NE(result.status, 0) << network << attachment;
    for (const std::string& word : words)
      EXPECT_NE(result.text().find(word), std::string::npos) << word << " in: " << result.text();
  };
  refused(", mtu: 1501", "", {"mtu 1501", "1500"});
  refused(", mtu: 9000", "", {"mtu 9000", "1500"});
  refused("", ", mtu: 1501", {"mtu 1501", "1500"});
  refused(", mtu: 1400", ", mtu: 1450", {"mtu 1450", "1400"});
  refused("", ", vlan: 5", {"hub: false"});
  refused("", ", trunk: [5, 6]", {"hub: false"});
  refused(", uplinks: [{interface: up0, vlan: 5}]", "", {"hub: false"});
  refused(", vde: {hub: false}", ", vlan: 4094", {"4093"});
  refused(", vde: {hub: false}", ", trunk: [all]", {"4094 VLANs", "1000"});
  refused(", vde: {hub: false}, uplinks: [{interface: up0, trunk: [4090-4094]}]", "", {"4093"});
  refused("", ", isolated: true", {"isolated"});
  refused(", vde: {mode: \"0999\"}", "", {"0999", "octal"});
  refused(", vde: {mode: \"01777\"}", "", {"01777", "octal"});
  refused(", vde: {hubb: true}", "", {"hubb", "hub"});
  refused(", internal: true", "", {"internal"});
  EXPECT_EQ(agent_->get_json("/v1/networks"), Json::array());
  EXPECT_TRUE(fs::is_empty(place("")));
  agent_->apply(
      "version: 1\nname: lan\nnetworks:\n  lan: {driver: vde, vde: {hub: false}}\nattachments:\n"
      "  r1: {network: lan, netns: r1, interface: e0, vlan: 7, trunk: [3000-3999], addresses: []}\n");
}

TEST_F(VdeFaults, MoreAttachmentsThanASwitchHasPortsAreRefused) {
  start();
  std::string text = "version: 1\nname: lan\nnetworks:\n  lan: {driver: vde}\nattachments:\n";
  for (int i = 0; i < 4097; ++i)
    text +=
        "  a" + std::to_string(i) + ": {network: lan, netns: r1, interface: e" + std::to_string(i) + "}\n";
  const Finished result = apply(text);
  EXPECT_NE(result.status, 0);
  for (const char* word : {"4097", "4096", "network lan"})
    EXPECT_NE(result.text().find(word), std::string::npos)
        << word << " in: " << result.text().substr(0, 2000);
  EXPECT_EQ(agent_->get_json("/v1/networks"), Json::array());
}

// ---- told when it is tried

// Of 108 bytes clients and the console need 17 behind the directory; a network's name has up to 63.
TEST_F(VdeFaults, APathThatIsTooLongForASocketIsTold) {
  const std::string longest(63, 'n');
  AgentOptions options;
  for (const bool fits : {true, false}) {
    SCOPED_TRACE(fits ? "it just fits" : "it is one too long");
    options.name = std::string(fits ? 9 : 10, 'd');
    start(options);
    ASSERT_EQ(place(longest).string().size(), fits ? 91U : 92U);
    apply(networks({longest, "lan"}));
    if (fits)
      expect_works(longest, "e0");
    else
      expect_told(longest, "Retrying", {"too long", longest, "108", "shorter name", "--run-dir"});
    expect_works("lan", "e1");
    EXPECT_TRUE(agent_->cli({"delete", "set", "lan", "--wait=20s"}, {.limit = 60s}).ok());
    agent_->stop();
  }
}

TEST_F(VdeFaults, AGroupThatDoesNotExistIsTold) {
  start();
  apply(networks({"lan"}, ", vde: {group: nosuchgroup}"));
  expect_told("lan", "Retrying", {"nosuchgroup", "switch"});
  apply(networks({"lan"}, ", vde: {group: daemon}"), "--wait=20s");
  expect_works("lan", "e0");
}

TEST_F(VdeFaults, ASwitchThatIsNotInstalledIsToldAndFoundLater) {
  AgentOptions options;
  const fs::path programs = sandbox_.directory() / "programs";
  fs::create_directory(programs);
  options.environment = {"PATH=" + programs.string()};
  start(options);
  apply(networks({"lan"}));
  expect_told("lan", "Retrying", {"vde_switch", "not installed", "apt-get install vde-switch"});
  EXPECT_NE(phase_of(*agent_, "attachments", "r1-0"), "Ready");
  fs::create_symlink("/usr/bin/vde_switch", programs / "vde_switch");
  expect_works("lan", "e0");
}

// ---- slow to start

// A vde_switch that waits, before it begins, until it is let go.
class SlowSwitch : public VdeFaults {
 protected:
  SlowSwitch() {
    fs::create_directory(programs_);
    if (::mkfifo(gate_.c_str(), 0600) != 0) throw HarnessError("mkfifo " + gate_.string());
    std::ofstream(programs_ / "vde_switch")
        << "#!/bin/sh\nread -r go <" << gate_.string() << "\nexec /usr/bin/vde_switch \"$@\"\n";
    fs::permissions(programs_ / "vde_switch", fs::perms::owner_all);
    AgentOptions options;
    options.environment = {"PATH=" + programs_.string()};
    start(options);
  }
  void let_go() const { std::ofstream(gate_) << "go\n"; }  // opens when one waits there

  Json ask(const std::string& driver, const std::string& call, const Json& body) const {
    return Json::parse(
        http(agent_->docker_socket("lanwright-" + driver), "POST", "/NetworkDriver." + call, body.dump())
            .body);
  }

  fs::path programs_ = sandbox_.directory() / "programs";
  fs::path gate_ = sandbox_.directory() / "gate";
};

TEST_F(SlowSwitch, HoldsUpNobodyElse) {
  apply(networks({"lan"}));
  EXPECT_TRUE(reaches(*agent_, "networks", "lan", "Applying"));
  EXPECT_TRUE(reaches(*agent_, "networks", "other", "Ready"));
  const std::string message = message_of(*agent_, "networks", "lan");
  EXPECT_NE(message.find("does not answer yet"), std::string::npos) << message;
  const Finished beside = agent_->cli(
      {"apply", "-f",
       sandbox_.write_file("beside.yaml", "version: 1\nname: beside\nnetworks: {more: {driver: bridge}}\n"),
       "--wait=20s"});
  EXPECT_TRUE(beside.ok()) << beside.text();
  EXPECT_EQ(switch_of(*agent_, "lan").pid, 0);
  let_go();
  expect_works("lan", "e0");
}

// Whoever waited for it, the plug sees to it that there are ports.
TEST_F(SlowSwitch, GrowsAsAnyOther) {
  constexpr std::size_t kPrograms = 45;  // more than a switch begins with
  apply("version: 1\nname: lan\nnetworks: {lan: {driver: vde, vde: {hub: false}}}\n");
  let_go();
  ASSERT_TRUE(reaches(*agent_, "networks", "lan", "Ready"));
  const pid_t first = switch_of(*agent_, "lan").pid;
  ASSERT_EQ(::kill(first, SIGKILL), 0);  // the plug, which stays, has watched this one
  ASSERT_TRUE(wait_until([&] { return switch_of(*agent_, "lan").pid == 0; }));
  let_go();
  ASSERT_TRUE(wait_until([&] { return switch_of(*agent_, "lan").pid != 0; }));
  ASSERT_TRUE(reaches(*agent_, "networks", "lan", "Ready"));
  std::vector<std::unique_ptr<VdeClient>> programs;
  for (std::size_t i = 0; i < kPrograms; ++i) {
    programs.push_back(std::make_unique<VdeClient>(switch_of(*agent_, "lan").socket));
    ASSERT_TRUE(i == 0 || talk(*programs[i], *programs[0])) << i;
  }
}

// Its start fails when it is over, and is tried again.
TEST_F(SlowSwitch, ThatNeverAnswersIsToldAndStartedAgain) {
  EventStream events(*agent_);
  apply(networks({"lan"}));
  events.expect("Failed", "network lan", "it does not answer: ");
  let_go();
  expect_works("lan", "e0");
}

TEST_F(SlowSwitch, HoldsUpNoOtherNetworkOfDockers) {
  const std::string slow(64, 'a');
  const std::string quick(64, 'b');
  const std::string endpoint(64, 'c');
  std::atomic<bool> answered = false;
  Json answer;
  std::jthread asks([&] {
    answer = ask("vde", "CreateNetwork", {{"NetworkID", slow}, {"Options", Json::object()}});
    answered = true;
  });
  EXPECT_TRUE(wait_until([&] {
    const Json networks = agent_->get_json("/v1/networks");
    return networks.size() == 1 && networks.at(0).at("status").at("phase") == "Applying";
  }));
  EXPECT_EQ(ask("bridge", "CreateNetwork", {{"NetworkID", quick}, {"Options", Json::object()}}),
            Json::object());
  EXPECT_TRUE(ask("bridge", "CreateEndpoint", {{"NetworkID", quick}, {"EndpointID", endpoint}})
                  .contains("Interface"));
  EXPECT_TRUE(ask("bridge", "Join",
                  {{"NetworkID", quick}, {"EndpointID", endpoint}, {"SandboxKey", "/run/docker/netns/c"}})
                  .contains("InterfaceName"));
  EXPECT_FALSE(answered);
  let_go();
  asks.join();
  EXPECT_EQ(answer, Json::object());
  EXPECT_TRUE(switch_of(*agent_, slow.substr(0, 12)).run());
}

// ---- others in its place

class VdeStranger : public VdeFaults {
 protected:
  void expect_conflict(pid_t pid) const {
    expect_told("lan", "Conflict", {place("lan"), "process " + std::to_string(pid)});
  }
};

TEST_F(VdeStranger, WhoWasThereFirstIsNamedAndLeftAlone) {
  start();
  fs::create_directories(place(""));
  ForeignSwitch stranger(place("lan"));
  std::ofstream(place("lan") / "notes") << "mine";
  apply(networks({"lan", "wire"}));
  expect_conflict(stranger.pid());
  expect_works("wire", "e1");
  EXPECT_TRUE(is_alive(stranger.pid()));
  EXPECT_TRUE(fs::exists(place("lan") / "notes"));
  VdeClient one(place("lan"));
  VdeClient other(place("lan"));
  EXPECT_TRUE(talk(one, other)) << "it is disturbed";

  agent_->kill();
  start();
  expect_conflict(stranger.pid());

  fs::remove(place("lan") / "notes");
}

std::optional<ino_t> inode_of(const fs::path& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 ? std::optional(found.st_ino) : std::nullopt;
}

TEST_F(VdeStranger, TheNetworkComesUpWhenHeGoes) {
  start();
  ForeignSwitch stranger(place("lan"));
  apply(networks({"lan"}));
  expect_conflict(stranger.pid());
  const auto his = inode_of(place("lan"));
  ASSERT_TRUE(his);
  stranger.end(SIGTERM);  // takes its directory away; ours may be there by now
  EXPECT_NE(inode_of(place("lan")), his);
  expect_works("lan", "e0");
}

TEST_F(VdeStranger, WhatHeLeavesBehindIsStillHis) {
  start();
  ForeignSwitch stranger(place("lan"));
  apply(networks({"lan"}));
  expect_conflict(stranger.pid());
  stranger.end(SIGKILL);
  ASSERT_TRUE(fs::exists(place("lan") / "ctl"));
  EXPECT_EQ(phase_of(*agent_, "networks", "lan"), "Conflict");
  fs::remove_all(place("lan"));
  expect_works("lan", "e0");
}

// Deleting the network while somebody else is in its place is not his end.
TEST_F(VdeStranger, DeletionLeavesHimAlone) {
  start();
  ForeignSwitch stranger(place("lan"));
  apply(networks({"lan"}));
  expect_conflict(stranger.pid());
  const Finished removed = agent_->cli({"delete", "set", "lan", "--wait=20s"}, {.limit = 60s});
  EXPECT_TRUE(removed.ok()) << removed.text();
  EXPECT_TRUE(is_alive(stranger.pid()));
  EXPECT_TRUE(fs::exists(place("lan") / "ctl"));
}

// ---- the system has no thread and no process left

// Processes that together may not have one more thread (cgroups, pids controller of either version).
class Full {
 public:
  Full() : group_(root() / ("lanwright-test-" + std::to_string(getpid()))) { fs::create_directory(group_); }
  ~Full() {
    lift();
    std::ifstream members(group_ / "cgroup.procs");
    for (std::string pid; std::getline(members, pid);)
      std::ofstream(group_.parent_path() / "cgroup.procs") << pid;
    std::error_code ignored;  // its members are about to end
    fs::remove(group_, ignored);
  }
  Full(const Full&) = delete;
  Full& operator=(const Full&) = delete;

  bool works() const { return fs::exists(group_ / "pids.max"); }
  void take(pid_t pid) const { write("cgroup.procs", std::to_string(pid)); }
  void close() const { write("pids.max", "0"); }
  void lift() const {
    if (works()) write("pids.max", "max");
  }

 private:
  static fs::path root() {
    const fs::path first = "/sys/fs/cgroup/pids";
    return fs::exists(first) ? first : first.parent_path();
  }
  void write(const std::string& file, const std::string& text) const {
    if (!(std::ofstream(group_ / file) << text << std::flush)) throw HarnessError("cannot write " + file);
  }
  fs::path group_;
};

TEST_F(VdeFaults, APlugWithoutAThreadSaysSoAndLivesOn) {
  const Full full;
  if (!full.works()) GTEST_SKIP() << "there is no pids controller here";
  start();
  ASSERT_TRUE(apply(networks({"lan"}), "--wait=30s").ok());
  const auto before = switch_of(*agent_, "lan");
  full.take(before.plug);
  full.close();
  ASSERT_EQ(::kill(before.pid, SIGKILL), 0);
  ASSERT_TRUE(wait_until(
      [&] { return agent_->log().find("no thread to connect to the switch") != std::string::npos; }));
  EXPECT_EQ(::kill(before.plug, 0), 0);
  full.lift();
  expect_works("lan", "e0");
}

TEST_F(VdeFaults, AnAgentWithoutAThreadAnswersAndStops) {
  if (kAddressSanitized) GTEST_SKIP() << "the search for leaks at its end needs a process";
  const Full full;
  if (!full.works()) GTEST_SKIP() << "there is no pids controller here";
  start();
  full.take(agent_->pid());
  full.close();
  apply(networks({"lan"}));
  expect_told("lan", "Retrying", {"Resource temporarily unavailable"});
  EXPECT_EQ(agent_->get("/healthz").status, 200);
  full.lift();
  expect_works("lan", "e0");
  full.close();
  EXPECT_EQ(agent_->stop(), 0);
  EXPECT_NE(agent_->log().find("without a thread"), std::string::npos) << agent_->log();
}

}  // namespace
}  // namespace lanwright::test
