// The agent dies at any instant: nothing that it answered as done is lost, nothing of its own leaks, nothing
// of others changes, and the data path does not notice.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <map>
#include <random>
#include <sstream>

#include "tests/integration/event_stream.h"
#include "tests/integration/harness.h"
#include "tests/integration/kernel_facts.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBridges = 40;
constexpr int kCables = 120;
constexpr int kTaps = 40;
constexpr int kNamespaces = 10;
constexpr const char* kOwnGroup = "27767";

std::string number(const char* prefix, int value) {
  return prefix + std::to_string(value);
}

// A link in a line: what is compared of it.
std::string link_text(int mtu, const std::string& master, const std::string& mac,
                      const std::string& address) {
  return "mtu " + std::to_string(mtu) + ", of " + master + ", mac " + mac + ", address " + address;
}

// 200 objects in two versions that differ in MTUs, in MACs, and in a sixth of the attachments. Version 0 is
// nothing.
struct Fleet {
  int version = 0;

  int mtu_of(int bridge) const { return version == 2 && bridge % 2 == 1 ? 1400 : 1500; }
  int first_cable() const { return version == 2 ? kCables / 6 : 0; }
  int first_tap() const { return version == 2 ? kTaps / 6 : 0; }

  // Half of the cables have theirs declared; "any" is one that the agent chose.
  std::string mac_of(int cable) const {
    if (cable % 2 == 1) return "any";
    std::ostringstream text;
    text << "02:00:00:00:" << std::hex << std::setfill('0') << std::setw(2) << (cable % 4 == 0 ? version : 0)
         << ":" << std::setw(2) << cable;
    return text.str();
  }
  static std::string address_of(int cable) { return "10." + std::to_string(cable) + ".0.1/24"; }

  std::string yaml() const {
    std::string text = "version: 1\nname: fleet\nnetworks:\n";
    for (int i = 0; i < kBridges; ++i) {
      text += number("  b", i) + ": {driver: bridge, mtu: " + std::to_string(mtu_of(i)) +
              (i == 0 ? ", uplinks: [up0]" : "") + "}\n";
    }
    text += "attachments:\n";
    for (int i = first_cable(); i < first_cable() + kCables; ++i) {
      text += number("  a", i) + ": {network: " + number("b", i % kBridges) +
              ", netns: " + number("c", i % kNamespaces) + ", interface: " + number("e", i) +
              (mac_of(i) == "any" ? "" : ", mac: \"" + mac_of(i) + "\"") + ", addresses: [" + address_of(i) +
              "]}\n";
    }
    for (int i = first_tap(); i < first_tap() + kTaps; ++i) {
      text += number("  t", i) + ": {network: " + number("b", i % kBridges) +
              ", tap: {name: " + number("tap", i) + "}}\n";
    }
    return text;
  }

  // What has to be in the kernel: links by namespace, and the bridge of the uplink.
  Json expected() const {
    Json all{{"host", Json::object()}, {"uplink", ""}};
    for (int i = 0; i < kNamespaces; ++i) all[number("c", i)] = Json::object();
    if (version == 0) return all;
    all["uplink"] = "lw-b0";
    for (int i = 0; i < kBridges; ++i) all["host"][number("lw-b", i)] = link_text(mtu_of(i), "", "any", "");
    for (int i = first_cable(); i < first_cable() + kCables; ++i) {
      all["host"][number("lw-a", i)] = port_text(i);
      all[number("c", i % kNamespaces)][number("e", i)] =
          link_text(mtu_of(i % kBridges), "", mac_of(i), address_of(i));
    }
    for (int i = first_tap(); i < first_tap() + kTaps; ++i) all["host"][number("tap", i)] = port_text(i);
    return all;
  }

  std::string port_text(int number_of_port) const {
    const int bridge = number_of_port % kBridges;
    return link_text(mtu_of(bridge), number("lw-b", bridge), "any", "");
  }
};

// ordered_json compares members in their order.
Json sorted(const Json& object) {
  std::map<std::string, Json> members;
  for (const auto& [key, value] : object.items()) members[key] = value.is_object() ? sorted(value) : value;
  return members;
}

class Crash : public testing::Test {
 protected:
  Crash() {
    sandbox_.ip("link add br-foreign up type bridge");
    sandbox_.ip("addr add 192.168.7.1/24 dev br-foreign");
    sandbox_.ip("link add fv0 master br-foreign up type veth peer name fv1");
    sandbox_.ip("link add up0 up type veth peer name up1");
    for (int i = 0; i < kNamespaces; ++i) sandbox_.add_netns(number("c", i));
    sandbox_.ip("-n c0 link add br-foreign up type bridge");
    for (int version = 0; version < 3; ++version) {
      expected_[version] = sorted(Fleet{version}.expected());
      files_[version] = sandbox_.write_file(number("v", version), Fleet{version}.yaml());
    }
    foreign_ = foreign_facts();
  }

  Json foreign_facts() const {
    const Json host = facts_of(sandbox_).at("links");
    Json facts{{"inside", facts_of(sandbox_, "c0").at("links").value("br-foreign", Json())}};
    for (const char* name : {"br-foreign", "fv0", "fv1", "up1"}) facts[name] = host.value(name, Json());
    for (const char* key : {"ifindex", "mtu", "address", "group"})
      facts["uplink"][key] = host.at("up0").at(key);
    return facts;
  }

  static bool is_foreign(const std::string& name) {
    return name == "lo" || name == "br-foreign" || name.starts_with("fv") || name.starts_with("up");
  }

  // What the kernel gives itself (fe80::) is left out.
  static std::string addresses_of(const Json& link) {
    std::string text;
    for (const Json& address : link.at("addr_info")) {
      if (address.value("scope", "") == "link") continue;
      text += (text.empty() ? "" : " ") + address.at("local").get<std::string>() + "/" +
              std::to_string(address.at("prefixlen").get<int>());
    }
    return text;
  }

  // A link in the words of Fleet: the MACs that are declared begin with 02:00:00:00, which chance gives to
  // one in 2^32.
  static std::string text_of(const Json& link) {
    const auto mac = link.at("address").get<std::string>();
    std::string text = link_text(link.at("mtu").get<int>(), link.value("master", ""),
                                 mac.starts_with("02:00:00:00:") ? mac : "any", addresses_of(link));
    if (link.at("group") != kOwnGroup) text += ", in group " + link.at("group").get<std::string>();
    if (std::ranges::count(link.at("flags"), Json("UP")) == 0) text += ", down";
    return text;
  }

  // Everything that is there and not known as foreign, in the form of Fleet::expected(); and the MACs of what
  // is plugged in, by name.
  Json actual(std::map<std::string, std::string>* macs = nullptr) const {
    Json all{{"uplink", sandbox_.link("up0")->value("master", "")}};
    for (int i = -1; i < kNamespaces; ++i) {
      const std::string netns = i < 0 ? "" : number("c", i);
      Json& links = all[i < 0 ? "host" : netns] = Json::object();
      for (const Json& link : sandbox_.ip_json((i < 0 ? "" : "-n " + netns + " ") + "address show")) {
        const auto name = link.at("ifname").get<std::string>();
        if (is_foreign(name)) continue;
        links[name] = text_of(link);
        const bool bridge = name.starts_with("lw-b");  // its MAC follows its ports
        if (macs != nullptr && !bridge) (*macs)[name] = link.at("address");
      }
    }
    return sorted(all);
  }

  // An attachment that outlives the change has the MAC that it had, unless another one was declared for it.
  void expect_macs_kept(const std::map<std::string, std::string>& now) const {
    for (const auto& [name, mac] : now) {
      const auto before = macs_.find(name);
      const bool kept = before == macs_.end() || mac == before->second || mac.starts_with("02:00:00:00:");
      EXPECT_TRUE(kept) << name << " has another MAC now: " << mac;
    }
  }

  // Starts `lanwright ARGUMENTS` without waiting for it.
  static pid_t start_client(const AgentProcess& agent, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {client_program(), "--socket", agent.socket()});
    return spawn({arguments, "", {}, -1, -1, -1});
  }

  Milliseconds random_moment() {
    return Milliseconds(std::uniform_int_distribution<std::int64_t>(0, whole_.count())(random_));
  }

  // How long a whole apply takes: the moments to die at are spread over this time.
  void measure() {
    const AgentProcess agent(sandbox_);
    const auto began = Clock::now();
    ASSERT_TRUE(agent.cli({"apply", "-f", files_[1], "--wait=60s"}, {.limit = 90s}).ok());
    whole_ = std::chrono::duration_cast<Milliseconds>(Clock::now() - began);
    ASSERT_EQ(differences(expected_[1], actual(&macs_)), "");
    current_ = 1;
  }

  // The moments follow a machine that others keep busy now and then: less time after a change that was over,
  // more after one that had not begun.
  void aim(const Json& state, int goal) {
    if (state == expected_[goal]) whole_ = whole_ * 4 / 5;
    if (state == expected_[current_]) whole_ = whole_ * 5 / 4 + 1ms;
  }

  int next_goal() {
    if (current_ == 0) return 1 + std::uniform_int_distribution<int>(0, 1)(random_);
    const bool remove = std::uniform_int_distribution<int>(0, 4)(random_) == 0;
    return remove ? 0 : 3 - current_;
  }

  // Asks for another version and kills the agent somewhere in it. True when the client was told that it is
  // done.
  bool die_while_changing_to(int goal) {
    AgentProcess agent(sandbox_);
    const std::vector<std::string> command =
        goal == 0 ? std::vector<std::string>{"delete", "set", "fleet"}
                  : std::vector<std::string>{"apply", "-f", files_[goal].string()};
    const pid_t client = start_client(agent, command);
    EXPECT_FALSE(agent.wait(random_moment())) << "the agent ended by itself: " << agent.log();
    agent.kill();
    return wait_exit(client, 20s) == 0;
  }

  void die_while_recovering() {
    AgentOptions options;
    options.wait_ready = false;
    AgentProcess agent(sandbox_, options);
    EXPECT_FALSE(agent.wait(random_moment())) << "the agent ended by itself: " << agent.log();
    agent.kill();
  }

  // A start that converges to what was answered as done, or to what was asked and not answered.
  void recover(int goal, bool answered) {
    const AgentProcess agent(sandbox_);
    ASSERT_TRUE(converges(agent, "60s"));
    std::map<std::string, std::string> macs;
    const Json now = actual(&macs);
    expect_macs_kept(macs);
    macs_ = std::move(macs);
    const bool changed = now == expected_[goal];
    if (answered || now != expected_[current_]) {
      ASSERT_TRUE(changed) << "from version " << current_ << " to " << goal
                           << (answered ? ", answered as done" : "") << ":\n"
                           << differences(expected_[goal], now);
    }
    if (changed) current_ = goal;
    ASSERT_EQ(differences(foreign_, foreign_facts()), "");
    ASSERT_EQ(agent.get_json("/v1/status").at("orphans"), 0);
  }

  void survive(int rounds, unsigned seed) {
    random_.seed(seed);
    measure();
    int torn = 0;
    int answered = 0;
    for (int round = 0; round < rounds && !HasFatalFailure(); ++round) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", round " << round);
      const int goal = next_goal();
      const bool done = die_while_changing_to(goal);
      const Json state = actual();
      torn += state != expected_[goal] && state != expected_[current_] ? 1 : 0;
      answered += done ? 1 : 0;
      aim(state, goal);
      if (round % 4 == 0) die_while_recovering();
      recover(goal, done);
    }
    if (HasFatalFailure()) return;
    std::cout << "  " << rounds << " rounds, the last over " << whole_.count() << " ms: " << torn
              << " died between two states, " << answered << " after the answer\n";
    constexpr int kEnoughToAim = 50;
    EXPECT_GT(torn, rounds < kEnoughToAim ? 0 : rounds / 5) << "the moments were not where the work is";
  }

  Sandbox sandbox_;
  std::map<int, Json> expected_;
  std::map<int, std::filesystem::path> files_;
  Json foreign_;
  std::map<std::string, std::string> macs_;  // after the last recovery
  std::mt19937 random_;
  Milliseconds whole_{};
  int current_ = 0;
};

// LANWRIGHT_TEST_ROUNDS in the environment, or as many as one waits for.
int rounds() {
#ifdef __SANITIZE_ADDRESS__
  constexpr int kUsual = 15;  // each way is taken; the moments to die at are for the build that is released
#else
  constexpr int kUsual = 50;
#endif
  const char* text = std::getenv("LANWRIGHT_TEST_ROUNDS");
  return text != nullptr ? std::stoi(text) : kUsual;
}

// Two programs of ctest, so that they run side by side.
TEST_F(Crash, IsSurvivedAtAnyMoment) {
  survive(rounds(), 1);
}

TEST_F(Crash, IsSurvivedAtOtherMoments) {
  survive(rounds(), 2);
}

constexpr const char* kLan = R"(
version: 1
name: lan
networks:
  lan: {driver: bridge}
attachments:
  r1-lan: {network: lan, netns: r1, interface: eth0, addresses: [10.1.0.1/24], routes: [{to: default, via: 10.1.0.2}]}
  r2-lan: {network: lan, netns: r2, interface: eth0, addresses: [10.1.0.2/24]}
  vm: {network: lan, tap: {}}
)";

class Running : public testing::Test {
 protected:
  Running() {
    sandbox_.add_netns("r1");
    sandbox_.add_netns("r2");
    agent_.emplace(sandbox_);
    agent_->apply(kLan);
  }
  Sandbox sandbox_;
  std::optional<AgentProcess> agent_;
};

TEST_F(Running, DataPathDoesNotNoticeCrashes) {
  Stream stream("r1", "r2", "10.1.0.2");
  for (int round = 0; round < 10; ++round) {
    agent_->kill();
    agent_.emplace(sandbox_);
    ASSERT_TRUE(converges(*agent_));
  }
  const StreamCount count = stream.stop();
  std::cout << "  " << count.sent << " packets sent, " << count.lost() << " lost, longest gap "
            << count.longest_gap.count() << " ms\n";
  EXPECT_GT(count.sent, 100U);
  EXPECT_EQ(count.lost(), 0U);
  EXPECT_EQ(count.refused, 0U);
}

TEST_F(Running, AStartWithNothingToChangeWritesNothing) {
  const std::vector<std::string> namespaces{"", "r1", "r2"};
  ASSERT_TRUE(settles(sandbox_, namespaces));
  for (const int how : {SIGTERM, SIGKILL}) {
    SCOPED_TRACE(how);
    agent_->signal(how);
    ASSERT_TRUE(agent_->wait(20s));
    std::vector<LinkWatcher> watchers;
    for (const std::string& netns : namespaces) watchers.emplace_back(netns);
    agent_.emplace(sandbox_);
    ASSERT_TRUE(converges(*agent_));
    EXPECT_EQ(agent_->metric("netlink_writes_total"), 0U);
    for (LinkWatcher& watcher : watchers) EXPECT_TRUE(watcher.take().empty());
    EXPECT_EQ(phase_of(*agent_, "attachments", "r1-lan"), "Ready");
  }
}

TEST_F(Running, HistoryAndGenerationSurvive) {
  const Json before = agent_->get_json("/v1/sets").at(0);
  const Json object = object_of(*agent_, "networks", "lan");
  agent_->kill();
  agent_.emplace(sandbox_);
  ASSERT_TRUE(converges(*agent_));
  EXPECT_EQ(agent_->get_json("/v1/sets").at(0).at("generation"), before.at("generation"));
  const Json again = object_of(*agent_, "networks", "lan");
  for (const char* key : {"uid", "generation", "created", "spec"})
    EXPECT_EQ(again.at(key), object.at(key)) << key;
  const std::string events = agent_->get_json("/v1/events?limit=1000").dump();
  EXPECT_NE(events.find("\"Applied\""), std::string::npos) << events;
}

}  // namespace
}  // namespace lanwright::test
