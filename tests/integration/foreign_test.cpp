// What is not ours is left alone, and said to be in the way where it is; taken over only when that is asked
// for.
#include <gtest/gtest.h>

#include "tests/integration/event_stream.h"
#include "tests/integration/harness.h"
#include "tests/integration/kernel_facts.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

constexpr const char* kLan = R"(
version: 1
name: lan
networks:
  lan: {driver: bridge, bridge: {name: br-lan}}
attachments:
  r1-lan: {network: lan, netns: r1, interface: eth0, addresses: [10.1.0.1/24]}
  r2-lan: {network: lan, netns: r2, interface: eth0, addresses: [10.1.0.2/24]}
)";

// So many that none of them drifts so often that it would be contested.
constexpr int kSentinels = 10;

std::string sentinels() {
  std::string text = "version: 1\nname: sentinels\nnetworks:\n";
  for (int i = 0; i < kSentinels; ++i) text += "  s" + std::to_string(i) + ": {driver: bridge}\n";
  return text;
}

// Foreign links of every kind that the agent meets: beside ours, in our bridge, on our links, in our
// namespaces.
class Foreign : public testing::Test {
 protected:
  Foreign() {
    for (const char* netns : {"r1", "r2", "far"}) sandbox_.add_netns(netns);
    agent_.emplace(sandbox_);
    agent_->apply(kLan);
    agent_->apply(sentinels());
    events_.emplace(*agent_);
    for (const char* command : {
             "link add br-foreign up type bridge",
             "addr add 192.168.7.1/24 dev br-foreign",
             "link add fp0 master br-lan up type veth peer name eth0 netns far",
             "-n far addr add 10.1.0.9/24 dev eth0",
             "-n far link set eth0 up",
             "link add fv0 up type veth peer name fv1 netns r1",
             "-n r1 addr add 192.168.9.2/24 dev fv1",
             "-n r1 link set fv1 up",
             "-n r1 addr add 10.1.0.77/24 dev eth0",
             "-n r1 route add 10.66.0.0/16 via 10.1.0.2 proto static",
             "addr add 10.1.0.254/24 dev br-lan",
             "link add lo-like type bridge",
         })
      sandbox_.ip(command);
    settle();
  }

  Json facts() const { return facts_of_all(sandbox_, {"", "r1", "r2", "far"}); }

  // Drift of a link of ours, repaired: whatever happened before was seen by then, since events come in order.
  // Answers how often the agent wrote to the kernel since the last call.
  std::uint64_t settle() {
    const std::string sentinel = "s" + std::to_string(++settled_ % kSentinels);
    events_->pass_over();
    sandbox_.ip("link set lw-" + sentinel + " mtu 1400");
    events_->expect("Repaired", "network " + sentinel);
    EXPECT_TRUE(converges(*agent_));
    const std::uint64_t before = std::exchange(writes_, agent_->metric("netlink_writes_total"));
    return writes_ - before;
  }

  Sandbox sandbox_;
  std::optional<AgentProcess> agent_;
  std::optional<EventStream> events_;
  std::uint64_t writes_ = 0;
  int settled_ = 0;
};

TEST_F(Foreign, LinksAreLeftAloneWhateverHappensToThem) {
  // A bridge takes over the lowest MTU of its ports until somebody sets its own: that drift of ours is
  // repaired.
  sandbox_.ip("link set fp0 mtu 1400");
  settle();
  const std::uint64_t writes_of_sentinel = settle();
  ASSERT_TRUE(ping("far", "10.1.0.1"));
  const auto change = [&](const std::vector<std::string>& commands) {
    SCOPED_TRACE(commands.front());
    for (const std::string& command : commands) sandbox_.ip(command);
    const Json before = facts();
    EXPECT_EQ(settle(), writes_of_sentinel);
    EXPECT_EQ(differences(before, facts()), "");
  };
  change({"link set br-foreign mtu 1400"});
  change({"link set br-foreign address 02:00:00:00:99:99"});
  change({"link set br-foreign type bridge ageing_time 700 stp_state 1"});
  change({"link set br-foreign alias lanwright-is-great"});
  change({"link set br-foreign group 27767"});  // the agent's group alone says nothing
  change({"addr flush dev br-foreign"});
  change({"link set br-foreign down", "link set br-foreign name br-renamed"});
  change({"link del br-renamed"});
  change({"link set fp0 mtu 1300"});
  change({"link set fp0 type bridge_slave isolated on learning off"});
  change({"link set fp0 master lo-like"});
  change({"link set fp0 master br-lan"});
  change({"link set fp0 down"});
  change({"link set fp0 up"});
  change({"-n r1 link set fv1 mtu 1300 address 02:00:00:00:99:98"});
  change({"-n r1 link set fv1 down"});
  change({"-n r1 link set fv1 name fv2"});
  change({"-n r1 addr flush dev fv2"});
  change({"link del fv0"});
  change({"-n r1 addr del 10.1.0.77/24 dev eth0"});
  change({"-n r1 addr add 10.1.0.78/24 dev eth0"});
  change({"-n r1 addr add fd77::1/64 dev eth0 nodad"});
  change({"-n r1 route del 10.66.0.0/16"});
  change({"-n r1 route add default via 10.1.0.2"});
  change({"addr add 10.1.0.253/24 dev br-lan"});
  EXPECT_TRUE(ping("far", "10.1.0.1"));
}

TEST_F(Foreign, ThingsOnOurLinksSurviveRepairsAndApplies) {
  const auto has_address = [&](const char* netns, const char* dev, const char* address) {
    return sandbox_.ip_json(std::string(netns) + " addr show dev " + dev).dump().find(address) !=
           std::string::npos;
  };
  sandbox_.ip("-n r1 link set eth0 mtu 1400");
  sandbox_.ip("link set br-lan mtu 1400");
  settle();
  agent_->apply(std::string(kLan) + "  r3-lan: {network: lan, tap: {name: tap3}}\n");
  settle();
  EXPECT_TRUE(has_address("-n r1", "eth0", "10.1.0.77"));
  EXPECT_TRUE(has_address("", "br-lan", "10.1.0.254"));
  EXPECT_NE(sandbox_.ip_json("-n r1 route").dump().find("10.66.0.0/16"), std::string::npos);
  EXPECT_EQ(sandbox_.link("fp0")->value("master", ""), "br-lan");
}

TEST_F(Foreign, LinksRemainWhenOurSetGoes) {
  const Json before = facts_of_all(sandbox_, {"", "r1", "r2", "far"});
  ASSERT_TRUE(agent_->cli({"delete", "set", "lan", "--wait"}).ok());
  ASSERT_TRUE(agent_->cli({"delete", "set", "sentinels", "--wait"}).ok());
  EXPECT_EQ(sandbox_.links(), (std::vector<std::string>{"br-foreign", "fp0", "fv0", "lo-like"}));
  EXPECT_EQ(sandbox_.links("r1"), std::vector<std::string>{"fv1"});
  EXPECT_EQ(sandbox_.links("r2"), std::vector<std::string>{});
  EXPECT_EQ(facts_of(sandbox_, "r1").at("links").at("fv1"), before.at("r1").at("links").at("fv1"));
  const Json port = *sandbox_.link("fp0");
  EXPECT_FALSE(port.contains("master"));
  EXPECT_EQ(port.at("ifindex"), before.at("host").at("links").at("fp0").at("ifindex"));
}

// A foreign link stands where ours should be.
class InTheWay : public testing::Test {
 protected:
  InTheWay() { sandbox_.add_netns("r1"); }

  static std::string set_with(const std::string& networks, const std::string& attachments = "") {
    return "version: 1\nname: lan\nnetworks:\n  other: {driver: bridge, bridge: {name: br-free}}\n" +
           networks + (attachments.empty() ? "" : "attachments:\n" + attachments);
  }

  // Applies without waiting for what cannot become Ready.
  void apply(const std::string& yaml, bool adopt = false) const {
    const auto file = sandbox_.write_file("set.yaml", yaml);
    std::vector<std::string> command{"apply", "-f", file};
    if (adopt) command.emplace_back("--adopt");
    const Finished result = agent_.cli(command);
    ASSERT_TRUE(result.ok()) << result.text();
  }

  Sandbox sandbox_;
  AgentProcess agent_{sandbox_};
};

TEST_F(InTheWay, OfABridgeIsAConflictUntilAdopted) {
  sandbox_.ip("link add br-lan up mtu 1300 type bridge ageing_time 700");
  const Json before = facts_of(sandbox_).at("links").at("br-lan");
  const int ifindex = before.at("ifindex");
  const std::string yaml = set_with("  lan: {driver: bridge, bridge: {name: br-lan}}\n");
  apply(yaml);
  ASSERT_TRUE(reaches(agent_, "networks", "lan", "Conflict"));
  const std::string words = message_of(agent_, "networks", "lan");
  EXPECT_NE(words.find("br-lan"), std::string::npos) << words;
  EXPECT_NE(words.find("ifindex " + std::to_string(ifindex)), std::string::npos) << words;
  EXPECT_NE(words.find("--adopt"), std::string::npos) << words;
  EXPECT_TRUE(reaches(agent_, "networks", "other", "Ready"));
  EXPECT_TRUE(sandbox_.link("br-free"));
  EXPECT_EQ(differences(before, facts_of(sandbox_).at("links").at("br-lan")), "");

  const Finished waited = agent_.cli({"apply", "-f", sandbox_.directory() / "set.yaml", "--wait=300ms"});
  EXPECT_EQ(waited.status, 4) << waited.text();
  EXPECT_NE(waited.text().find("Conflict"), std::string::npos) << waited.text();

  apply(yaml, true);
  ASSERT_TRUE(reaches(agent_, "networks", "lan", "Ready"));
  const Json after = *sandbox_.link("br-lan");
  EXPECT_EQ(after.at("ifindex"), ifindex) << "taken over, not made again";
  EXPECT_EQ(after.at("mtu"), 1500);
  EXPECT_TRUE(after.at("ifalias").get<std::string>().starts_with("lanwright:"));

  ASSERT_TRUE(agent_.cli({"delete", "network", "lan", "--wait"}).ok());
  EXPECT_FALSE(sandbox_.link("br-lan"));
}

TEST_F(InTheWay, OfAnotherKindCannotBeAdopted) {
  sandbox_.ip("link add br-lan type veth peer name other-end");
  const Json before = facts_of(sandbox_).at("links").at("br-lan");
  const std::string yaml = set_with("  lan: {driver: bridge, bridge: {name: br-lan}}\n");
  for (const bool adopt : {false, true}) {
    apply(yaml, adopt);
    ASSERT_TRUE(reaches(agent_, "networks", "lan", "Conflict"));
    EXPECT_NE(message_of(agent_, "networks", "lan").find("veth"), std::string::npos);
    EXPECT_TRUE(reaches(agent_, "networks", "other", "Ready"));
    EXPECT_EQ(differences(before, facts_of(sandbox_).at("links").at("br-lan")), "");
  }
  sandbox_.ip("link del br-lan");
  EXPECT_TRUE(reaches(agent_, "networks", "lan", "Ready")) << "nothing is in the way any more";
}

TEST_F(InTheWay, WithTheMarkOfAnotherAgentIsAConflict) {
  sandbox_.ip("link add br-lan group 27767 up type bridge");
  sandbox_.ip("link set br-lan alias lanwright:0123456789abcdef");
  const Json before = facts_of(sandbox_).at("links").at("br-lan");
  const std::string yaml = set_with("  lan: {driver: bridge, bridge: {name: br-lan}}\n");
  apply(yaml);
  ASSERT_TRUE(reaches(agent_, "networks", "lan", "Conflict"));
  EXPECT_NE(message_of(agent_, "networks", "lan").find("lanwright:0123456789abcdef"), std::string::npos);
  EXPECT_EQ(differences(before, facts_of(sandbox_).at("links").at("br-lan")), "");
  EXPECT_EQ(agent_.get_json("/v1/status").at("orphans"), 1);

  ASSERT_TRUE(agent_.cli({"delete", "set", "lan", "--wait"}).ok());
  EXPECT_EQ(differences(before, facts_of(sandbox_).at("links").at("br-lan")), "") << "it never was ours";

  apply(yaml, true);
  ASSERT_TRUE(reaches(agent_, "networks", "lan", "Ready"));
  EXPECT_EQ(sandbox_.link("br-lan")->at("ifindex"), before.at("ifindex"));
  EXPECT_EQ(agent_.get_json("/v1/status").at("orphans"), 0);
}

// The kernel does not tell when the alias of a link that is down changes (netdev_state_change()).
TEST_F(InTheWay, IsSeenThoughTheKernelDidNotTell) {
  sandbox_.ip("link add br-lan group 27767 type bridge");
  sandbox_.ip("link set br-lan alias lanwright:0123456789abcdef");
  const Json before = facts_of(sandbox_).at("links").at("br-lan");
  apply(set_with("  lan: {driver: bridge, bridge: {name: br-lan}}\n"));
  EXPECT_TRUE(reaches(agent_, "networks", "lan", "Conflict", 2s));
  EXPECT_EQ(differences(before, facts_of(sandbox_).at("links").at("br-lan")), "");
}

TEST_F(InTheWay, OfAnInterfaceInANamespaceIsAConflict) {
  sandbox_.ip("link add fv0 type veth peer name eth0 netns r1");
  const Json before = facts_of(sandbox_, "r1");
  apply(set_with("  lan: {driver: bridge}\n", "  r1-lan: {network: lan, netns: r1, interface: eth0}\n"));
  ASSERT_TRUE(reaches(agent_, "attachments", "r1-lan", "Conflict"));
  EXPECT_NE(message_of(agent_, "attachments", "r1-lan").find("eth0"), std::string::npos);
  EXPECT_TRUE(reaches(agent_, "networks", "lan", "Ready"));
  EXPECT_EQ(differences(before, facts_of(sandbox_, "r1")), "");
  EXPECT_FALSE(sandbox_.link("lw-r1-lan")) << "half of a cable was left";
  sandbox_.ip("link del fv0");
  EXPECT_TRUE(reaches(agent_, "attachments", "r1-lan", "Ready"));
}

TEST_F(InTheWay, OfATapIsAConflictUntilAdopted) {
  sandbox_.ip("tuntap add tap1 mode tap");
  const int ifindex = sandbox_.link("tap1")->at("ifindex");
  const std::string yaml =
      set_with("  lan: {driver: bridge}\n", "  vm1: {network: lan, tap: {name: tap1}}\n");
  apply(yaml);
  ASSERT_TRUE(reaches(agent_, "attachments", "vm1", "Conflict"));
  EXPECT_FALSE(sandbox_.link("tap1")->contains("master"));
  apply(yaml, true);
  ASSERT_TRUE(reaches(agent_, "attachments", "vm1", "Ready"));
  EXPECT_EQ(sandbox_.link("tap1")->at("ifindex"), ifindex);
  EXPECT_EQ(sandbox_.link("tap1")->value("master", ""), "lw-lan");
}

TEST_F(InTheWay, IsALinkOfOursThatLostAllItsMarks) {
  const std::string yaml = set_with("  lan: {driver: bridge, bridge: {name: br-lan}}\n");
  agent_.apply(yaml);
  EventStream events(agent_);
  const auto batch = sandbox_.write_file(
      "batch", "link set br-lan alias nobody\nlink set br-lan group 0\nlink set br-lan mtu 1300\n");
  agent_.kill();
  sandbox_.ip("-batch " + batch.string());
  const Json before = facts_of(sandbox_).at("links").at("br-lan");
  const AgentProcess again(sandbox_);
  ASSERT_TRUE(reaches(again, "networks", "lan", "Conflict"));
  EXPECT_EQ(differences(before, facts_of(sandbox_).at("links").at("br-lan")), "");
  ASSERT_TRUE(again.cli({"delete", "set", "lan", "--wait"}).ok());
  EXPECT_EQ(differences(before, facts_of(sandbox_).at("links").at("br-lan")), "");
}

class Uplink : public testing::Test {
 protected:
  Uplink() {
    sandbox_.add_netns("r1");
    sandbox_.add_netns("far");
    sandbox_.ip("link add up0 mtu 1450 type veth peer name eth0 netns far");
    sandbox_.ip("link set up0 alias office");
    sandbox_.ip("-n far addr add 10.1.0.9/24 dev eth0");
    sandbox_.ip("-n far link set eth0 up");
  }
  static std::string lan(const std::string& uplinks) {
    return "version: 1\nname: lan\nnetworks:\n  lan: {driver: bridge, bridge: {name: br-lan}" + uplinks +
           "}\nattachments:\n"
           "  r1-lan: {network: lan, netns: r1, interface: eth0, addresses: [10.1.0.1/24]}\n";
  }
  // What must never change of a link that is only borrowed.
  Json character() const {
    const Json link = *sandbox_.link("up0");
    return {{"ifindex", link.at("ifindex")},
            {"mtu", link.at("mtu")},
            {"address", link.at("address")},
            {"ifalias", link.at("ifalias")},
            {"group", link.at("group")}};
  }
  std::string master() const { return sandbox_.link("up0")->value("master", ""); }

  Sandbox sandbox_;
};

TEST_F(Uplink, IsBorrowedAndGivenBack) {
  const AgentProcess agent(sandbox_);
  const Json before = character();
  agent.apply(lan(", uplinks: [up0]"));
  EXPECT_TRUE(ping("r1", "10.1.0.9"));
  EXPECT_EQ(character(), before);
  agent.apply(lan(""));
  EXPECT_EQ(master(), "");
  EXPECT_TRUE(no_ping("r1", "10.1.0.9"));
  EXPECT_EQ(character(), before);

  agent.apply(lan(", uplinks: [up0]"));
  EXPECT_EQ(master(), "br-lan");
  ASSERT_TRUE(agent.cli({"delete", "set", "lan", "--wait"}).ok());
  EXPECT_EQ(sandbox_.links(), std::vector<std::string>{"up0"});
  EXPECT_EQ(master(), "");
  EXPECT_EQ(character(), before);
}

TEST_F(Uplink, IsGivenBackAfterACrashToo) {
  const Json before = character();
  {
    AgentProcess agent(sandbox_);
    agent.apply(lan(", uplinks: [up0]"));
    agent.kill();
  }
  {
    AgentProcess agent(sandbox_);
    EventStream events(agent);
    const auto file = sandbox_.write_file("without.yaml", lan(""));
    ASSERT_TRUE(agent.cli({"apply", "-f", file}).ok());
    agent.kill();  // at once: whether it was done already is not known
  }
  const AgentProcess agent(sandbox_);
  ASSERT_TRUE(converges(agent));
  EXPECT_EQ(master(), "");
  EXPECT_EQ(character(), before);
}

TEST_F(Uplink, MayBeDeclaredByItsAlternativeName) {
  sandbox_.ip("link property add dev up0 altname enp1s0");
  sandbox_.ip("link set up0 up");
  const Json before = character();
  const AgentProcess agent(sandbox_);
  agent.apply(lan(", uplinks: [enp1s0]"));
  EXPECT_EQ(master(), "br-lan");
  EXPECT_TRUE(ping("r1", "10.1.0.9"));
  EventStream events(agent);
  sandbox_.ip("link set up0 nomaster");
  events.expect("Repaired", "network lan");
  sandbox_.ip("link set up0 down");
  EXPECT_TRUE(wait_until([&] { return ping("r1", "10.1.0.9"); }));
  EXPECT_EQ(character(), before);
  agent.apply(lan(""));
  EXPECT_EQ(master(), "");

  agent.apply(lan(", uplinks: [enp1s0]"));
  events.pass_over();
  sandbox_.ip("link del up0");
  events.expect("Pending", "network lan", "enp1s0");
  sandbox_.ip("link add up7 type veth peer name eth0 netns far");
  sandbox_.ip("link property add dev up7 altname enp1s0");
  sandbox_.ip("link set up7 up");
  events.expect("Ready", "network lan");
  EXPECT_EQ(sandbox_.link("up7")->value("master", ""), "br-lan");
}

TEST_F(Uplink, ThatSomebodyElseUsesIsAConflict) {
  sandbox_.ip("link add br-foreign up type bridge");
  sandbox_.ip("link set up0 master br-foreign");
  const AgentProcess agent(sandbox_);
  const auto file = sandbox_.write_file("lan.yaml", lan(", uplinks: [up0]"));
  ASSERT_TRUE(agent.cli({"apply", "-f", file}).ok());
  ASSERT_TRUE(reaches(agent, "networks", "lan", "Conflict"));
  EXPECT_NE(message_of(agent, "networks", "lan").find("br-foreign"), std::string::npos);
  EXPECT_EQ(master(), "br-foreign");
  ASSERT_TRUE(reaches(agent, "attachments", "r1-lan", "Ready")) << "the others proceed";

  sandbox_.ip("link set up0 nomaster");
  ASSERT_TRUE(reaches(agent, "networks", "lan", "Ready"));
  EXPECT_TRUE(ping("r1", "10.1.0.9"));
}

TEST_F(Uplink, ThatSomebodyElseUsesIsMovedWhenAdopted) {
  sandbox_.ip("link add br-foreign up type bridge");
  sandbox_.ip("link set up0 master br-foreign");
  const Json before = character();
  const AgentProcess agent(sandbox_);
  const auto file = sandbox_.write_file("lan.yaml", lan(", uplinks: [up0]"));
  ASSERT_TRUE(agent.cli({"apply", "-f", file, "--adopt", "--wait"}).ok());
  EXPECT_EQ(master(), "br-lan");
  EXPECT_TRUE(ping("r1", "10.1.0.9"));
  ASSERT_TRUE(agent.cli({"delete", "set", "lan", "--wait"}).ok());
  EXPECT_EQ(character(), before);
  EXPECT_TRUE(sandbox_.link("br-foreign"));
}

// ---- a bridge of the host's that is used as it is

class HostBridge : public testing::Test {
 protected:
  HostBridge() {
    for (const char* netns : {"far", "r1"}) sandbox_.add_netns(netns);
    agent_.emplace(sandbox_);
  }

  // With a member of its own and an address of the host's.
  void make_bridge() const {
    for (const char* command :
         {"link add br0 up mtu 1500 type bridge forward_delay 0 ageing_time 12300",
          "addr add 10.1.0.254/24 dev br0",
          "link add fp0 address 02:00:00:00:01:01 master br0 up type veth peer name eth0 netns far",
          "-n far addr add 10.1.0.9/24 dev eth0", "-n far link set eth0 up address 02:00:00:00:01:09"})
      sandbox_.ip(command);
  }
  // Of the bridge and its own member; what is counted and what is elected changes by itself.
  Json facts() const {
    Json links = facts_of(sandbox_).at("links");
    Json facts;
    for (const char* name : {"br0", "fp0"})
      for (const char* key :
           {"ifindex", "mtu", "address", "group", "addr_info", "master", "ifalias", "altnames"})
        facts[name][key] = links.at(name).value(key, Json());
    return facts;
  }

  static constexpr const char* kLan = R"(
version: 1
name: lan
networks:
  lan: {driver: bridge, bridge: {existing: br0}}
attachments:
  r1: {network: lan, netns: r1, interface: eth0, addresses: [10.1.0.1/24]}
)";

  Sandbox sandbox_;
  std::optional<AgentProcess> agent_;
};

TEST_F(HostBridge, IsUsedAndSurvives) {
  make_bridge();
  const Json before = facts();
  agent_->apply(kLan);
  EXPECT_TRUE(ping("r1", "10.1.0.9"));
  EXPECT_TRUE(ping("r1", "10.1.0.254"));
  EXPECT_EQ(differences(before, facts()), "");
  const std::string described = agent_->cli({"describe", "network", "lan"}).out;
  EXPECT_NE(described.find("fp0"), std::string::npos) << "a port of the bridge: " << described;

  agent_->kill();
  agent_.emplace(sandbox_);
  ASSERT_TRUE(converges(*agent_));
  EXPECT_EQ(agent_->metric("netlink_writes_total"), 0U);
  EventStream events(*agent_);
  sandbox_.ip("link set lw-r1 nomaster");
  events.expect("Repaired", "attachment r1");
  EXPECT_TRUE(ping("r1", "10.1.0.9"));

  ASSERT_TRUE(agent_->cli({"delete", "set", "lan", "--wait=20s"}).ok());
  EXPECT_EQ(differences(before, facts()), "");
  EXPECT_FALSE(sandbox_.link("lw-r1"));
}

// The kernel gives a bridge the least MTU of its ports, unless somebody set it.
TEST_F(HostBridge, KeepsItsMtu) {
  for (const char* command : {"link add br0 up type bridge",
                              "link add fp0 mtu 9000 master br0 up type veth peer name eth0 netns far"})
    sandbox_.ip(command);
  ASSERT_EQ(sandbox_.link("br0")->at("mtu"), 9000);
  const auto file = sandbox_.write_file("lan.yaml", kLan);
  ASSERT_TRUE(agent_->cli({"apply", "-f", file}).ok());
  ASSERT_TRUE(reaches(*agent_, "networks", "lan", "Conflict"));
  EXPECT_NE(message_of(*agent_, "networks", "lan").find("say `mtu: 9000`"), std::string::npos);
  EXPECT_EQ(sandbox_.link("br0")->at("mtu"), 9000);
  std::string jumbo = kLan;
  jumbo.replace(jumbo.find("{existing: br0}"), 15, "{existing: br0}, mtu: 9000");
  agent_->apply(jumbo);
  EXPECT_EQ(sandbox_.link("br0")->at("mtu"), 9000);
  EXPECT_EQ(sandbox_.link("eth0", "r1")->at("mtu"), 9000);
}

TEST_F(HostBridge, IsWaitedForWheneverItIsNotThere) {
  const auto file = sandbox_.write_file("lan.yaml", kLan);
  ASSERT_TRUE(agent_->cli({"apply", "-f", file}).ok());
  ASSERT_TRUE(reaches(*agent_, "networks", "lan", "Pending"));
  EXPECT_NE(message_of(*agent_, "networks", "lan").find("there is no such bridge"), std::string::npos);
  EventStream events(*agent_);
  make_bridge();
  events.expect("Ready", "attachment r1");
  EXPECT_TRUE(ping("r1", "10.1.0.9"));

  sandbox_.ip("link set br0 down");
  events.expect("Pending", "network lan", "the bridge is down");
  sandbox_.ip("link set br0 up");
  events.expect("Ready", "network lan");

  sandbox_.ip("link del br0");
  sandbox_.ip("link del fp0");
  events.expect("Pending", "network lan", "there is no such bridge");
  make_bridge();
  events.expect("Ready", "network lan");
  ASSERT_TRUE(converges(*agent_));
  EXPECT_TRUE(ping("r1", "10.1.0.9"));
}

}  // namespace
}  // namespace lanwright::test
