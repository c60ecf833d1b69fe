// Beside udev and systemd-networkd: they know the agent's links from the first moment, and leave them alone.
#include <fnmatch.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "tests/integration/event_stream.h"
#include "tests/integration/harness.h"
#include "tests/integration/networkd.h"
#include "tests/integration/product.h"
#include "tests/integration/uevent_watcher.h"

namespace lanwright::test {
namespace {

constexpr const char* kSafeForUdev = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789#+-.:=@_";

std::string shipped(const std::string& name) {
  return read_file(std::string(SOURCE_DIR) + "/systemd/" + name);
}

// What stands behind `key` in a shipped file, up to the character `end`.
std::string pattern_in(const std::string& file, const std::string& key, char end) {
  const std::string text = shipped(file);
  const auto found = text.find(key);
  if (found == std::string::npos) throw HarnessError("no " + key + " in " + file);
  const auto begin = found + key.size();
  return text.substr(begin, text.find(end, begin) - begin);
}

bool matches(const std::string& pattern, const std::string& text) {
  return fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
}

// The namespace that the agent manages: its own, or another one.
class UdevEvents : public testing::TestWithParam<const char*> {
 protected:
  UdevEvents() {
    if (!netns().empty()) sandbox_.add_netns(netns());
    AgentOptions options;
    options.netns = netns();
    agent_.emplace(sandbox_, options);
    events_.emplace(netns());
  }

  static std::string netns() { return GetParam(); }
  void ip(const std::string& arguments) const {
    sandbox_.ip((netns().empty() ? "" : "-n " + netns() + " ") + arguments);
  }
  std::vector<Uevent> of_link(const std::string& name) {
    std::vector<Uevent> found;
    for (const Uevent& event : events_->take()) {
      if (event.at("INTERFACE") == name) found.push_back(event);
    }
    return found;
  }

  const Sandbox sandbox_;
  std::optional<AgentProcess> agent_;
  std::optional<UeventWatcher> events_;
};

// It has no group when the kernel tells of it.
TEST_P(UdevEvents, TellOfATapThatTheRulesKnow) {
  agent_->apply(R"(
version: 1
name: taps
networks: {lan: {driver: bridge}}
attachments: {vm: {network: lan, tap: {name: tapvm1}}}
)");
  const std::string ifindex = std::to_string(sandbox_.link("tapvm1", netns())->at("ifindex").get<int>());
  std::vector<Uevent> told;
  for (const Uevent& event : events_->take()) {
    if (event.at("IFINDEX") == ifindex) told.push_back(event);
  }
  ASSERT_GE(told.size(), 2U);
  const std::string name = told[0].at("INTERFACE");
  EXPECT_EQ(told[0].at("ACTION"), "add");
  EXPECT_EQ(name.find_first_not_of(kSafeForUdev), std::string::npos) << name << " would be renamed by udev";
  EXPECT_TRUE(matches(pattern_in("70-lanwright.rules", "KERNEL==\"", '"'), name)) << name;
  EXPECT_TRUE(matches(pattern_in("10-lanwright-networkmanager.conf", "interface-name:", '\n'), name)) << name;
  const Uevent& renamed = told[1];
  EXPECT_EQ(renamed.at("ACTION"), "move");
  EXPECT_EQ(renamed.at("INTERFACE"), "tapvm1");
  EXPECT_TRUE(
      matches(pattern_in("70-lanwright.rules", "ENV{DEVPATH_OLD}==\"", '"'), renamed.at("DEVPATH_OLD")))
      << renamed.at("DEVPATH_OLD");
}

TEST_P(UdevEvents, TellOfALinkThatBecomesTheAgents) {
  ip("link add brold type bridge");
  const auto file = sandbox_.write_file("old.yaml", R"(
version: 1
name: old
networks: {old: {driver: bridge, bridge: {name: brold}}}
)");
  ASSERT_TRUE(agent_->cli({"apply", "-f", file}).ok());
  ASSERT_TRUE(reaches(*agent_, "networks", "old", "Conflict"));
  of_link("brold");
  ASSERT_TRUE(agent_->cli({"apply", "-f", file, "--adopt", "--wait"}).ok());
  auto told = of_link("brold");
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].at("ACTION"), "change");

  // Another group, and no longer: whoever looks in between takes it for a stranger's.
  EventStream happens(*agent_);
  ip("link set brold group 0");
  happens.expect("Repaired", "network old");
  told = of_link("brold");
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].at("ACTION"), "change");
  EXPECT_EQ(sandbox_.link("brold", netns())->at("group"), "27767");
}

INSTANTIATE_TEST_SUITE_P(In, UdevEvents, testing::Values("", "managed"), [](const auto& one) {
  return std::string(one.param).empty() ? "ItsOwn" : "Another";
});

TEST(ForeignAddresses, AreToldAndLeft) {
  const Sandbox sandbox;
  AgentProcess agent(sandbox);
  agent.apply("version: 1\nnetworks: {lan: {driver: bridge}}\n");
  EventStream events(agent);
  sandbox.ip("addr add 192.168.77.63/24 dev lw-lan");
  events.expect("Ready", "network lan", "192.168.77.63/24");
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"diff"}, {"describe", "network", "lan"}}) {
    const Finished told = agent.cli(command);
    EXPECT_TRUE(told.ok()) << told.text();
    EXPECT_NE(told.out.find("lw-lan has addresses that the agent did not give it: 192.168.77.63/24"),
              std::string::npos)
        << told.text();
  }
  EXPECT_EQ(agent.metric("repairs_total"), 0U);
  sandbox.ip("addr del 192.168.77.63/24 dev lw-lan");
  EXPECT_TRUE(wait_until([&] { return message_of(agent, "networks", "lan").empty(); }));
}

constexpr const char* kCatchAll = "[Match]\nName=*\n[Network]\nDHCP=yes\n";

class BesideNetworkd : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_networkd()) GTEST_SKIP() << "this machine has no systemd-networkd";
    sandbox_.add_netns("r1");
    sandbox_.ip("link add up0 type veth peer name up1");
    for (const std::string name : {"up0", "up1"}) sandbox_.ip("link set " + name + " up");
    agent_.emplace(sandbox_);
    networkd_.emplace(sandbox_);
  }

  // It has begun with those that it is to manage.
  testing::AssertionResult manages(const std::string& link) const {
    if (wait_until([&] { return networkd_->state_of(link).starts_with("config"); }))
      return testing::AssertionSuccess();
    return testing::AssertionFailure() << link << " is " << networkd_->state_of(link) << "\n"
                                       << networkd_->log();
  }

  // What the network's history says of who took the uplink away.
  std::string told_of_uplink() const {
    const Json description = agent_->get_json("/v1/networks/lan/describe");
    for (const Json& event : description.at("history")) {
      const std::string message = event.at("message");
      if (message.find("KeepMaster=yes") != std::string::npos) return message;
    }
    return {};
  }

  const Sandbox sandbox_;
  std::optional<AgentProcess> agent_;
  std::optional<Networkd> networkd_;
};

// As cloud images have it; and whatever its name, as the first file that matches is the one that counts.
TEST_F(BesideNetworkd, LeavesItNoLinkEvenOfACatchAll) {
  agent_->apply(R"(
version: 1
name: small
networks:
  lan: {driver: bridge}
  other: {driver: bridge, bridge: {name: br7}}
attachments:
  named: {network: lan, netns: r1, interface: eth0, addresses: [10.1.0.1/24]}
  vm: {network: other, tap: {name: tapvm1}}
)");
  std::vector<std::string> own = sandbox_.links();
  std::erase_if(own, [](const std::string& name) { return name.starts_with("up"); });
  ASSERT_EQ(own.size(), 4U);
  const auto facts = [&] {
    Json told = Json::array();
    for (const std::string& name : own) {
      const Json link = *sandbox_.link(name);
      told.push_back(
          {name, link.value("master", ""), link.at("address"), link.at("mtu"), link.at("addr_info")});
    }
    return told;
  };
  const Json before = facts();
  const auto repairs = agent_->metric("repairs_total");
  Networkd::configure("05-all.network", kCatchAll);
  networkd_->start();
  ASSERT_TRUE(manages("up0"));
  ASSERT_TRUE(manages("up1"));
  for (const std::string& name : own) {
    EXPECT_TRUE(wait_until([&] { return !networkd_->state_of(name).empty(); })) << name;
    EXPECT_EQ(networkd_->state_of(name), "unmanaged") << name;
  }
  EXPECT_EQ(facts(), before);
  EXPECT_EQ(agent_->metric("repairs_total"), repairs);
}

constexpr const char* kWithUplink = R"(
version: 1
name: up
networks: {lan: {driver: bridge, uplinks: [up0]}}
)";

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

// The file that the README shows for an uplink called eth1.
std::string file_of_readme(const std::string& path) {
  const std::string text = read_file(std::string(SOURCE_DIR) + "/README.md");
  const auto begin = text.find("# " + path + "\n");
  if (begin == std::string::npos) throw HarnessError("no " + path + " in the README");
  return text.substr(begin, text.find("```", begin) - begin);
}

TEST_F(BesideNetworkd, ThatTakesAnUplinkAwaySaysWhatToDo) {
  agent_->apply(kWithUplink);
  Networkd::configure("05-all.network", kCatchAll);
  networkd_->start();
  // What it has as its own it writes down after it took it, and forgets for a moment whenever it begins anew:
  // only what happens at other moments can be told as its deed.
  ASSERT_TRUE(manages("up0"));
  std::string told;
  ASSERT_TRUE(wait_until([&] {
    sandbox_.ip("link set up0 nomaster");
    EXPECT_TRUE(converges(*agent_));
    told = told_of_uplink();
    return !told.empty();
  }));
  for (const char* word : {"up0", "systemd-networkd", "/run/systemd/network/05-all.network", "Unmanaged=yes"})
    EXPECT_NE(told.find(word), std::string::npos) << told;
  // It takes it away a few times more, which may be contested meanwhile.
  EXPECT_TRUE(wait_until([&] { return sandbox_.link("up0")->value("master", "") == "lw-lan"; }));
}

TEST_F(BesideNetworkd, LeavesAnUplinkThatItIsToldOf) {
  agent_->apply(kWithUplink);
  ASSERT_EQ(sandbox_.link("up0")->value("master", ""), "lw-lan");
  const auto repairs = agent_->metric("repairs_total");
  Networkd::configure("05-uplink.network",
                      replaced(file_of_readme("/etc/systemd/network/05-uplink.network"), "eth1", "up0"));
  Networkd::configure("90-all.network", kCatchAll);
  networkd_->start();
  ASSERT_TRUE(wait_until([&] { return networkd_->state_of("up0") == "configured"; })) << networkd_->log();
  ASSERT_TRUE(manages("up1"));
  EXPECT_EQ(sandbox_.link("up0")->value("master", ""), "lw-lan");
  EXPECT_EQ(agent_->metric("repairs_total"), repairs);
}

}  // namespace
}  // namespace lanwright::test
