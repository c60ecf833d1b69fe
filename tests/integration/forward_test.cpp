// The host's firewall: what bridges of Docker's networks forward is let through, and what those of all
// networks do where it would be dropped, whatever happens to the rules or to the agent.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include "tests/integration/harness.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

using Names = std::set<std::string>;
const std::string kNetwork(64, 'a');
const std::string kOther(64, 'b');
const std::string kView(64, 'c');
const std::string kBridge = "lw-aaaaaaaaaaaa";
const std::string kOtherBridge = "lw-bbbbbbbbbbbb";

class Forward : public testing::Test {
 protected:
  Forward() { start(); }
  void start() { agent_.emplace(sandbox_); }
  void kill() {
    agent_->kill();
    agent_.reset();
  }

  Json docker(const std::string& call, const Json& body, const std::string& driver = "bridge") const {
    const HttpAnswer answer =
        http(agent_->docker_socket("lanwright-" + driver), "POST", "/NetworkDriver." + call, body.dump());
    return Json::parse(answer.body);
  }
  void create(const std::string& id) const {
    EXPECT_EQ(docker("CreateNetwork", {{"NetworkID", id}, {"Options", Json::object()}}), Json::object());
  }
  void remove(const std::string& id) const {
    EXPECT_EQ(docker("DeleteNetwork", {{"NetworkID", id}}), Json::object());
  }
  void declare(const std::string& network) const {
    agent_->apply("version: 1\nname: campus\nnetworks: {lab: {driver: bridge" + network + "}}\n");
  }
  void view_lab() const {
    const Json options{{"com.docker.network.generic", {{"network", "lab"}}}};
    const HttpAnswer answer = http(agent_->docker_socket("lanwright"), "POST", "/NetworkDriver.CreateNetwork",
                                   Json{{"NetworkID", kView}, {"Options", options}}.dump());
    EXPECT_EQ(Json::parse(answer.body), Json::object());
  }

  // `iptables ARGUMENTS` of both families.
  void tables(const std::vector<std::string>& arguments) const {
    for (std::string program : {"iptables", "ip6tables"}) {
      std::vector<std::string> command{program, "-w", "5"};
      command.insert(command.end(), arguments.begin(), arguments.end());
      const Finished done = run(command);
      if (!done.ok()) throw HarnessError(program + ": " + done.text());
    }
  }
  // The bridges that are let through, by both families alike.
  static Names let_through() {
    std::optional<Names> names;
    for (const std::string program : {"iptables", "ip6tables"}) {
      Names family;
      std::istringstream rules(run({program, "-w", "5", "-S", "FORWARD"}).out);
      for (std::string line; std::getline(rules, line);) {
        if (line.find("lanwright:") == std::string::npos) continue;
        std::istringstream words(line);
        std::string chain, in, out, from, to;
        words >> chain >> chain >> in >> from >> out >> to;
        EXPECT_EQ(from, to) << line;
        EXPECT_EQ(line.substr(line.size() - 9), "-j ACCEPT") << line;
        EXPECT_TRUE(family.insert(from).second) << "twice: " << line;
      }
      if (names && *names != family) return {"IPv4 and IPv6 differ"};
      names = family;
    }
    return *names;
  }
  // Whether bridged frames pass the chain at all (br_netfilter).
  static void filter_bridged(bool on) {
    for (const std::string tables : {"iptables", "ip6tables"})
      std::ofstream("/proc/sys/net/bridge/bridge-nf-call-" + tables) << (on ? 1 : 0) << std::flush;
  }
  static bool becomes(const Names& bridges) {
    return wait_until([&] { return let_through() == bridges; });
  }

  const Sandbox sandbox_;
  std::optional<AgentProcess> agent_;
};

TEST_F(Forward, ABridgeOfDockersIsLetThroughWhenItIsMadeAndNotLonger) {
  EXPECT_EQ(let_through(), Names{});
  create(kNetwork);
  EXPECT_EQ(let_through(), Names{kBridge}) << "before Docker was answered";
  create(kOther);
  EXPECT_EQ(let_through(), (Names{kBridge, kOtherBridge}));
  remove(kNetwork);
  EXPECT_TRUE(becomes({kOtherBridge}));
  EXPECT_TRUE(agent_->cli({"delete", "network", kOther.substr(0, 12), "--wait=20s"}).ok());
  EXPECT_TRUE(becomes({}));
}

TEST_F(Forward, WhatAFirewallThrewAwayComesBack) {
  create(kNetwork);
  tables({"-P", "FORWARD", "DROP"});
  tables({"-F", "FORWARD"});
  EXPECT_TRUE(becomes({kBridge}));
  tables({"-D", "FORWARD", "1"});
  EXPECT_TRUE(becomes({kBridge}));
  // Somebody else's rules and the policy are his.
  tables({"-I", "FORWARD", "-i", "x0", "-j", "ACCEPT"});
  remove(kNetwork);
  EXPECT_TRUE(becomes({}));
  const std::string rules = run({"iptables", "-S", "FORWARD"}).out;
  EXPECT_EQ(rules, "-P FORWARD DROP\n-A FORWARD -i x0 -j ACCEPT\n");
}

TEST_F(Forward, ADeclaredNetworkIsLetThroughWhileDockerHasAViewOfIt) {
  declare("");
  EXPECT_EQ(let_through(), Names{});
  view_lab();
  EXPECT_EQ(let_through(), Names{"lw-lab"});
  declare(", bridge: {name: br9}");  // which makes another bridge of it
  EXPECT_TRUE(becomes({"br9"}));
  remove(kView);
  EXPECT_TRUE(becomes({}));
  EXPECT_EQ(phase_of(*agent_, "networks", "lab"), "Ready");
}

// dockerd sets this policy when it starts, long after a LAN was declared.
TEST_F(Forward, ADeclaredBridgeCarriesTrafficWhenTheHostDropsWhatItForwards) {
  filter_bridged(true);
  for (const char* host : {"h1", "h2"}) sandbox_.add_netns(host);
  agent_->apply(
      "version: 1\nname: campus\nnetworks: {lab: {driver: bridge}}\nattachments:\n"
      "  h1: {network: lab, netns: h1, interface: eth0, addresses: [10.9.0.1/24, \"fd09::1/64\"]}\n"
      "  h2: {network: lab, netns: h2, interface: eth0, addresses: [10.9.0.2/24, \"fd09::2/64\"]}\n");
  EXPECT_EQ(let_through(), Names{}) << "nothing is dropped";
  EXPECT_TRUE(ping("h1", "10.9.0.2"));
  tables({"-P", "FORWARD", "DROP"});
  EXPECT_TRUE(becomes({"lw-lab"}));
  EXPECT_TRUE(ping("h1", "10.9.0.2"));
  EXPECT_TRUE(ping("h1", "fd09::2"));
  tables({"-F", "FORWARD"});
  EXPECT_TRUE(becomes({"lw-lab"}));
  kill();
  tables({"-F", "FORWARD"});
  start();
  EXPECT_TRUE(becomes({"lw-lab"}));
  agent_->apply("version: 1\nname: other\nnetworks: {second: {driver: bridge}}\n");
  EXPECT_TRUE(becomes({"lw-lab", "lw-second"}));
  EXPECT_TRUE(agent_->cli({"delete", "network", "second", "--wait=20s"}).ok());
  EXPECT_TRUE(becomes({"lw-lab"}));
  tables({"-P", "FORWARD", "ACCEPT"});
  EXPECT_TRUE(becomes({})) << "nothing is dropped any more";
}

// Its other ports belong to somebody who has one bridge for all of them.
TEST_F(Forward, ABridgeOfTheHostCarriesTrafficWhileANetworkIsOnIt) {
  filter_bridged(true);
  for (const char* host : {"h1", "h2"}) sandbox_.add_netns(host);
  for (const char* command : {"link add br0 up mtu 1500 type bridge",
                              "link add fp0 master br0 up type veth peer name eth0 netns h2",
                              "-n h2 addr add 10.9.0.2/24 dev eth0", "-n h2 link set eth0 up"})
    sandbox_.ip(command);
  tables({"-P", "FORWARD", "DROP"});
  agent_->apply(
      "version: 1\nname: campus\nnetworks: {lab: {driver: bridge, bridge: {existing: br0}}}\nattachments:\n"
      "  h1: {network: lab, netns: h1, interface: eth0, addresses: [10.9.0.1/24]}\n");
  EXPECT_TRUE(becomes({"br0"}));
  EXPECT_TRUE(ping("h1", "10.9.0.2"));
  EXPECT_TRUE(agent_->cli({"delete", "set", "campus", "--wait=20s"}).ok());
  EXPECT_TRUE(becomes({}));
}

// An iptables that inserts nothing while a certain file is there.
class BrokenTables : public Forward {
 protected:
  BrokenTables() {
    kill();
    std::filesystem::create_directory(programs_);
    for (const std::string program : {"iptables", "ip6tables"}) {
      std::ofstream(programs_ / program)
          << "#!/bin/sh\n[ \"$3\" = -I ] && [ -e " << broken_.string()
          << " ] && { echo no such luck; exit 4; }\nexec /usr/sbin/" << program << " \"$@\"\n";
      std::filesystem::permissions(programs_ / program, std::filesystem::perms::owner_all);
    }
    AgentOptions options;
    options.environment = {"PATH=" + programs_.string() + ":/usr/sbin:/usr/bin:/sbin:/bin"};
    agent_.emplace(sandbox_, options);
  }
  void break_them() const { std::ofstream(broken_) << "yes"; }
  void mend_them() const { std::filesystem::remove(broken_); }

  std::filesystem::path programs_ = sandbox_.directory() / "programs";
  std::filesystem::path broken_ = sandbox_.directory() / "broken";
};

TEST_F(BrokenTables, FailWhatNeedsThemAndNothingElse) {
  break_them();
  const Json refused = docker("CreateNetwork", {{"NetworkID", kNetwork}, {"Options", Json::object()}});
  EXPECT_NE(refused.value("Err", "").find("no such luck"), std::string::npos) << refused;
  EXPECT_FALSE(sandbox_.link(kBridge)) << "it is taken back";
  EXPECT_EQ(docker("CreateNetwork", {{"NetworkID", kOther}, {"Options", Json::object()}}, "vde"),
            Json::object());
  mend_them();
  create(kNetwork);
  EXPECT_EQ(let_through(), Names{kBridge});
}

// Also where somebody else changes rules all the time.
TEST_F(BrokenTables, AreTriedAgain) {
  create(kNetwork);
  break_them();
  tables({"-F", "FORWARD"});
  ASSERT_TRUE(wait_until([&] { return agent_->log().find("no such luck") != std::string::npos; }));
  mend_them();
  EXPECT_TRUE(wait_until([&] {
    tables({"-I", "OUTPUT", "-j", "ACCEPT"});
    tables({"-D", "OUTPUT", "-j", "ACCEPT"});
    return let_through() == Names{kBridge};
  }));
}

// Where nothing is Docker's, and no bridged frame passes them, nobody runs them.
TEST_F(BrokenTables, AreLeftAloneWithoutANetworkOfDockers) {
  filter_bridged(false);
  std::ofstream(programs_ / "iptables") << "#!/bin/sh\ntouch " << broken_.string() << "\n";
  declare("");
  agent_->signal(SIGHUP);
  ASSERT_TRUE(agent_->wait_notified("RELOADING=1"));
  ASSERT_TRUE(agent_->wait_notified("READY=1"));
  EXPECT_EQ(docker("CreateNetwork", {{"NetworkID", kOther}, {"Options", Json::object()}}, "vde"),
            Json::object());
  EXPECT_FALSE(std::filesystem::exists(broken_));
}

// A host, or a container, in which there is no iptables.
class NoTables : public Forward {
 protected:
  NoTables() {
    kill();
    std::filesystem::create_directory(programs_);
    AgentOptions options;
    options.environment = {"PATH=" + programs_.string()};
    agent_.emplace(sandbox_, options);
  }
  void call_tables(bool on) const {
    for (const std::string family : {"iptables", "ip6tables"})
      std::ofstream("/proc/sys/net/bridge/bridge-nf-call-" + family) << on;
  }
  bool is_said() const {
    const Json described = agent_->get_json("/v1/networks/" + kNetwork.substr(0, 12) + "/describe");
    const std::string words = "there is no program iptables";
    return described.at("history").dump().find(words) != std::string::npos &&
           agent_->log().find(words) != std::string::npos;
  }
  static bool filters_bridges() { return std::filesystem::exists("/proc/sys/net/bridge"); }

  std::filesystem::path programs_ = sandbox_.directory() / "programs";
};

TEST_F(NoTables, AreToldWhereBridgedFramesPassThem) {
  if (!filters_bridges()) GTEST_SKIP() << "this kernel has no br_netfilter";
  call_tables(true);
  create(kNetwork);
  EXPECT_TRUE(is_said()) << agent_->log();
}

TEST_F(NoTables, AreNotMissedWhereTheyAreNotAsked) {
  if (filters_bridges()) call_tables(false);
  create(kNetwork);
  EXPECT_FALSE(is_said());
}

// Nothing is forgotten over a kill, and nothing is left.
TEST_F(Forward, AnAgentThatWasKilledPutsItsRulesInOrder) {
  create(kNetwork);
  declare("");
  view_lab();
  const Names both{kBridge, "lw-lab"};
  kill();
  tables({"-F", "FORWARD"});
  // Of a network that was removed when it was killed, and of an agent beside it.
  tables({"-I", "FORWARD", "-i", "lw-old", "-o", "lw-old", "-m", "comment", "--comment", "lanwright:old",
          "-j", "ACCEPT"});
  sandbox_.ip("link add others type bridge");
  tables({"-I", "FORWARD", "-i", "others", "-o", "others", "-m", "comment", "--comment", "lanwright:other",
          "-j", "ACCEPT"});
  start();
  EXPECT_TRUE(becomes({kBridge, "lw-lab", "others"})) << "it is not ours";
}

// Killed between its removal of a network and that of the network's rule; and nothing is wanted any more, so
// that only what it wrote down tells of the rule.
TEST_F(Forward, ARuleThatAKilledAgentDidNotTakeAwayGoesAtTheNextStart) {
  const auto rule_of = [this](const std::string& bridge, const std::string& network) {
    tables({"-I", "FORWARD", "-i", bridge, "-o", bridge, "-m", "comment", "--comment", "lanwright:" + network,
            "-j", "ACCEPT"});
  };
  const std::filesystem::path record = sandbox_.directory() / "agent/run/forward-rules";
  EXPECT_FALSE(std::filesystem::exists(record)) << "there are no rules";
  create(kNetwork);
  const std::string written = read_file(record);
  const std::string uid = written.substr(0, written.find('\n'));
  ASSERT_FALSE(uid.empty());
  remove(kNetwork);
  ASSERT_TRUE(becomes({}));
  ASSERT_TRUE(wait_until([&] { return !std::filesystem::exists(record); }));
  kill();
  // One whose bridge is gone, one whose name somebody else took, and one of an agent beside it.
  std::ofstream(record) << written << std::flush;
  sandbox_.ip("link add taken type bridge");
  sandbox_.ip("link add others type bridge");
  rule_of(kBridge, uid);
  rule_of("taken", uid);
  rule_of("others", "other");
  start();
  EXPECT_TRUE(becomes({"others"}));
  EXPECT_TRUE(wait_until([&] { return !std::filesystem::exists(record); }));
  EXPECT_EQ(agent_->log().find("warning the host's firewall"), std::string::npos);
}

// Neither is it a reason to take away what is still wanted, nor is what Docker's networks want known too
// late.
TEST_F(Forward, ARuleThatIsWantedStaysOverAKill) {
  filter_bridged(true);
  create(kNetwork);
  run({"iptables", "-I", "FORWARD", "1", "-i", "none0", "-j",
       "ACCEPT"});  // what is made anew comes before it
  kill();
  start();
  create(kOther);
  remove(kOther);
  ASSERT_TRUE(becomes({kBridge}));
  const std::string rules = run({"iptables", "-S", "FORWARD"}).out;
  EXPECT_LT(rules.find("none0"), rules.find(kBridge)) << rules;
}

}  // namespace
}  // namespace lanwright::test
