// Whatever somebody else changes on a link of ours is put right, at once, and told.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <iostream>
#include <thread>

#include "tests/integration/event_stream.h"
#include "tests/integration/frames.h"
#include "tests/integration/harness.h"
#include "tests/integration/kernel_facts.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kLan = R"(
version: 1
name: lan
networks:
  lan:
    driver: bridge
    bridge: {name: br-lan, ageing_time: 120}
    uplinks: [up0]
  a-network-with-a-long-name: {driver: bridge}
attachments:
  r1-lan:
    network: lan
    netns: r1
    interface: eth0
    mac: 02:00:00:00:01:01
    addresses: [10.1.0.1/24, "fd01::1/64"]
  r2-lan:
    network: lan
    netns: r2
    interface: eth0
    addresses: [10.1.0.2/24, "fd01::2/64"]
    routes:
      - {to: default, via: 10.1.0.9}
      - {to: 10.77.0.0/16, via: 10.1.0.9, metric: 50}
      - {to: default, via: "fd01::9", metric: 1024}
      - {to: "fd77::/48", via: "fd01::9"}
  vm1-lan:
    network: lan
    tap: {name: tap-vm1, owner: 1000}
)";

// A LAN with two hosts, a virtual machine's tap, and a neighbour behind a foreign uplink.
class Drift : public testing::Test {
 protected:
  Drift() {
    for (const char* netns : {"r1", "r2", "far", "spare"}) sandbox_.add_netns(netns);
    add_uplink();
    sandbox_.ip("link add br-other type bridge");
    agent_.emplace(sandbox_);
    agent_->apply(kLan);
    events_.emplace(*agent_);
  }

  // Its far end keeps its address, so that nobody remembers an old one.
  void add_uplink() const {
    sandbox_.ip("link add up0 type veth peer name eth0 address 02:00:00:00:02:09 netns far");
    sandbox_.ip("-n far addr add 10.1.0.9/24 dev eth0");
    sandbox_.ip("-n far link set eth0 up");
  }

  Json facts() const {
    Json all = facts_of_all(sandbox_, {"", "r1", "r2", "spare"});
    for (Json& facts : all) facts = without_indexes(std::move(facts));
    all.at("host").at("links").erase("br-other");  // a bridge follows its ports
    return all;
  }

  testing::AssertionResult traffic() const {
    for (const auto& [from, to] : {std::pair("r1", "10.1.0.2"), std::pair("r2", "10.1.0.9")}) {
      if (auto answered = ping(from, to, 30s); !answered) return answered;
    }
    return tap_talks_to("tap-vm1", "r1", "eth0", 30s);
  }

  // Somebody who reads the events of the object learns what it was that drifted.
  bool is_told(const std::string& object, const std::string& attribute) const {
    return std::ranges::any_of(events_->seen(), [&](const Json& event) {
      if (event.at("type") != "DriftSeen" && event.at("type") != "Repaired") return false;
      const Json& about = event.at("object");
      return about.at("kind").get<std::string>() + " " + about.at("name").get<std::string>() == object &&
             event.at("message").get<std::string>().find(attribute) != std::string::npos;
    });
  }

  // The commands of ip(8) are done, one after the other; the agent sees that `attribute` of the object
  // drifted, and repairs it.
  void expect_repaired(const std::string& object, const std::string& attribute,
                       const std::vector<std::string>& commands, bool unseen = false) {
    SCOPED_TRACE(testing::Message() << "ip " << commands.front() << " (" << object << ", " << attribute
                                    << ")");
    const Json before = facts();
    events_->pass_over();
    const auto began = Clock::now();
    if (unseen) agent_->signal(SIGSTOP);
    for (const std::string& command : commands) sandbox_.ip(command);
    if (unseen) agent_->signal(SIGCONT);
    try {
      const Json seen = events_->expect("DriftSeen", object);
      const Json repaired = events_->expect("Repaired", object, "", seen.at("id"));
      const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began);
      std::cout << "  " << took.count() / 1000 << '.' << took.count() % 1000 / 100 << " ms  ip "
                << commands.front() << '\n';  // with the time that ip(8) takes
      EXPECT_TRUE(is_told(object, attribute))
          << "the attribute is not named: " << Json(events_->seen()).dump(2);
    } catch (const HarnessError& error) {
      ADD_FAILURE() << error.what();
    }
    EXPECT_TRUE(wait_until([&] { return facts() == before; })) << differences(before, facts());
    EXPECT_TRUE(traffic());
    EXPECT_TRUE(converges(*agent_));
  }

  Sandbox sandbox_;
  std::optional<AgentProcess> agent_;
  std::optional<EventStream> events_;
};

TEST_F(Drift, OfABridgeIsRepaired) {
  ASSERT_TRUE(traffic());
  const std::string bridge = "network lan";
  expect_repaired(bridge, "missing", {"link del br-lan"});
  expect_repaired(bridge, "name", {"link set br-lan name elsewhere"});
  expect_repaired(bridge, "state", {"link set br-lan down"});
  expect_repaired(bridge, "mtu", {"link set br-lan mtu 1400"});
  expect_repaired(bridge, "mac", {"link set br-lan address 02:00:00:00:99:99"});
  expect_repaired(bridge, "alias", {"link set br-lan alias mine"});
  expect_repaired(bridge, "group", {"link set br-lan group 0"});
  expect_repaired(bridge, "bridge.ageing_time", {"link set br-lan type bridge ageing_time 1000"});
  expect_repaired(bridge, "bridge.stp_state", {"link set br-lan type bridge stp_state 1"});
  expect_repaired(bridge, "bridge.priority", {"link set br-lan type bridge priority 4096"});
  expect_repaired(bridge, "bridge.group_fwd_mask", {"link set br-lan type bridge group_fwd_mask 8"});
  expect_repaired(bridge, "bridge.mcast_snooping", {"link set br-lan type bridge mcast_snooping 0"});
  expect_repaired(bridge, "ipv6", {"link set br-lan addrgenmode eui64"});
}

TEST_F(Drift, OfAnAlternativeNameIsRepaired) {
  const std::string name = "lw-a-network-with-a-long-name";
  ASSERT_TRUE(sandbox_.link(name));
  // Renamed while nobody looks, and its name kept as an alternative one.
  expect_repaired("network lan", "name",
                  {"link set br-lan down", "link set br-lan name br9",
                   "link property add dev br9 altname br-lan", "link set br9 up"},
                  true);
  expect_repaired("network a-network-with-a-long-name", "altname",
                  {"link property del dev " + name + " altname " + name});
  EXPECT_TRUE(sandbox_.link(name));
}

TEST_F(Drift, OfAnAttachmentOnTheHostIsRepaired) {
  const std::string port = "attachment r1-lan";
  expect_repaired(port, "missing", {"link del lw-r1-lan"});
  expect_repaired(port, "name", {"link set lw-r1-lan name elsewhere"});
  expect_repaired(port, "state", {"link set lw-r1-lan down"});
  expect_repaired(port, "master", {"link set lw-r1-lan nomaster"});
  expect_repaired(port, "master", {"link set lw-r1-lan master br-other"});
  expect_repaired(port, "mtu", {"link set lw-r1-lan mtu 1400"});
  expect_repaired(port, "mac", {"link set lw-r1-lan address 02:00:00:00:99:98"});
  expect_repaired(port, "alias", {"link set lw-r1-lan alias mine"});
  expect_repaired(port, "group", {"link set lw-r1-lan group 7"});
  expect_repaired(port, "port.isolated", {"link set lw-r1-lan type bridge_slave isolated on"});
  expect_repaired(port, "port.learning", {"link set lw-r1-lan type bridge_slave learning off"});
  expect_repaired(port, "port.unicast_flood", {"link set lw-r1-lan type bridge_slave flood off"});
}

TEST_F(Drift, OfAnAttachmentInItsNamespaceIsRepaired) {
  const std::string host = "attachment r2-lan";
  expect_repaired(host, "missing", {"-n r2 link del eth0"});
  expect_repaired(host, "name", {"-n r2 link set eth0 name elsewhere"});
  expect_repaired(host, "state", {"-n r2 link set eth0 down"});
  expect_repaired(host, "mtu", {"-n r2 link set eth0 mtu 1400"});
  expect_repaired(host, "mac", {"-n r2 link set eth0 address 02:00:00:00:99:97"});
  expect_repaired(host, "alias", {"-n r2 link set eth0 alias mine"});
  expect_repaired(host, "group", {"-n r2 link set eth0 group 7"});
}

TEST_F(Drift, OfAddressesIsRepaired) {
  const std::string host = "attachment r2-lan";
  expect_repaired(host, "add address", {"-n r2 addr flush dev eth0"});
  expect_repaired(host, "10.1.0.2", {"-n r2 addr del 10.1.0.2/24 dev eth0"});
  expect_repaired(host, "fd01::2", {"-n r2 addr del fd01::2/64 dev eth0"});
}

TEST_F(Drift, OfRoutesIsRepaired) {
  const std::string host = "attachment r2-lan";
  expect_repaired(host, "add route", {"-n r2 route del default"});
  expect_repaired(host, "10.77.0.0/16", {"-n r2 route del 10.77.0.0/16"});
  expect_repaired(host, "add route", {"-n r2 route flush proto 108"});
}

TEST_F(Drift, OfAnEndThatWasMovedAwayIsRepaired) {
  expect_repaired("attachment r2-lan", "other end", {"-n r2 link set eth0 netns spare name stolen"});
  EXPECT_EQ(sandbox_.links("spare"), std::vector<std::string>{})
      << "the end that was moved away is left over";
}

TEST_F(Drift, OfATapIsRepaired) {
  const std::string tap = "attachment vm1-lan";
  expect_repaired(tap, "missing", {"link del tap-vm1"});
  expect_repaired(tap, "name", {"link set tap-vm1 name elsewhere"});
  expect_repaired(tap, "state", {"link set tap-vm1 down"});
  expect_repaired(tap, "master", {"link set tap-vm1 nomaster"});
  expect_repaired(tap, "mtu", {"link set tap-vm1 mtu 1400"});
  expect_repaired(tap, "mac", {"link set tap-vm1 address 02:00:00:00:99:96"});
  expect_repaired(tap, "alias", {"link set tap-vm1 alias mine"});
  expect_repaired(tap, "group", {"link set tap-vm1 group 7"});
  expect_repaired(tap, "port.isolated", {"link set tap-vm1 type bridge_slave isolated on"});
}

// QEMU opens such a tap once for each queue. Whether it is one is settled when it is made.
TEST_F(Drift, OfATapWithSeveralQueuesIsRepaired) {
  const std::string tap = "attachment vm1-lan";
  const auto lan_with = [](const std::string& options) {
    std::string text = kLan;
    const std::string plain = "{name: tap-vm1, owner: 1000";
    return text.replace(text.find(plain), plain.size(), plain + options);
  };
  const auto opens_as_queues = [](std::size_t number) {
    std::vector<Fd> queues;
    while (queues.size() < number) queues.push_back(open_tap("tap-vm1", true));
  };
  const auto owner = [&] {
    return sandbox_.link("tap-vm1").value().at("linkinfo").at("info_data").at("user");
  };
  EXPECT_THROW(opens_as_queues(1), HarnessError);
  agent_->apply(lan_with(", multi_queue: true"));
  opens_as_queues(4);

  expect_repaired(tap, "missing", {"link del tap-vm1"});
  opens_as_queues(4);

  agent_->apply(lan_with("1, multi_queue: true"));  // another owner, 10001, of the same tap
  EXPECT_EQ(owner(), 10001);
  opens_as_queues(4);
  agent_->apply(lan_with(", multi_queue: false"));
  EXPECT_THROW(opens_as_queues(1), HarnessError);
  EXPECT_TRUE(tap_talks_to("tap-vm1", "r1", "eth0"));
}

TEST_F(Drift, OfAForeignUplinkIsRepaired) {
  const std::string bridge = "network lan";
  expect_repaired(bridge, "master", {"link set up0 nomaster"});
  expect_repaired(bridge, "state", {"link set up0 down"});
  expect_repaired(bridge, "port.learning", {"link set up0 type bridge_slave learning off"});

  events_->pass_over();
  sandbox_.ip("link del up0");
  events_->expect("Pending", bridge, "up0");
  EXPECT_TRUE(ping("r1", "10.1.0.2")) << "the rest of the network must not suffer";
  add_uplink();
  EXPECT_TRUE(reaches(*agent_, "networks", "lan", "Ready"));
  EXPECT_TRUE(traffic());
}

TEST_F(Drift, OfEverythingAtOnceIsRepaired) {
  const Json before = facts();
  events_->pass_over();
  const auto batch = sandbox_.write_file("batch", R"(
link set lw-r1-lan mtu 1300
link set br-lan type bridge ageing_time 700
link set tap-vm1 nomaster
link set up0 nomaster
link del lw-r2-lan
link set br-lan down
)");
  sandbox_.ip("-batch " + batch.string());
  events_->expect("Repaired", "network lan");
  EXPECT_TRUE(wait_until([&] { return facts() == before; })) << differences(before, facts());
  EXPECT_TRUE(traffic());
}

TEST_F(Drift, ThatHappenedWhileTheAgentWasAwayIsRepaired) {
  const Json before = facts();
  events_.reset();
  agent_->kill();
  sandbox_.ip("link set lw-r1-lan mtu 1300");
  sandbox_.ip("-n r2 addr flush dev eth0");
  sandbox_.ip("link del tap-vm1");
  agent_.emplace(sandbox_);
  ASSERT_TRUE(converges(*agent_));
  EXPECT_TRUE(wait_until([&] { return facts() == before; })) << differences(before, facts());
  EXPECT_TRUE(traffic());
}

// Sets the MTU of br-lan back whenever the agent has repaired it.
class Fighter {
 public:
  explicit Fighter(const Sandbox& sandbox) : thread_([this, &sandbox] { fight(sandbox); }) {}
  ~Fighter() { stop(); }
  Fighter(const Fighter&) = delete;
  Fighter& operator=(const Fighter&) = delete;
  std::uint64_t blows() const { return blows_; }
  void stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }

 private:
  void fight(const Sandbox& sandbox) {
    LinkWatcher watcher;
    while (!stopping_) {
      const auto link = sandbox.link("br-lan");
      if (link && link->at("mtu") != 1400) {
        sandbox.ip("link set br-lan mtu 1400");
        ++blows_;
      }
      watcher.wait_for([](const Notice& notice) { return notice.name == "br-lan"; }, 100ms);
    }
  }

  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> blows_ = 0;
  std::jthread thread_;
};

TEST_F(Drift, ThatSomebodyInsistsOnBecomesContested) {
  events_->pass_over();
  Fighter fighter(sandbox_);
  const Json first = events_->expect("Contested", "network lan", "mtu");
  const auto began = Clock::now();
  const auto used_before = processor_time(agent_->pid());
  const std::uint64_t blows_before = fighter.blows();
  EXPECT_EQ(phase_of(*agent_, "networks", "lan"), "Contested");
  EXPECT_NE(message_of(*agent_, "networks", "lan").find("mtu"), std::string::npos);
  EXPECT_EQ(phase_of(*agent_, "attachments", "r1-lan"), "Ready") << "nobody fights over this one";

  const Json second = events_->expect("Contested", "network lan", "mtu", first.at("id"), 30s);
  events_->expect("Contested", "network lan", "mtu", second.at("id"), 30s);
  const Milliseconds passed = std::chrono::duration_cast<Milliseconds>(Clock::now() - began);
  const Milliseconds used = processor_time(agent_->pid()) - used_before;
  const std::uint64_t blows = fighter.blows() - blows_before;
  std::cout << "  fought for " << passed.count() << " ms: " << blows << " repairs, " << used.count()
            << " ms of processor time\n";
  EXPECT_GE(passed, 1s) << "it does not slow down";
  EXPECT_LE(blows, 20U);
  EXPECT_LT(used * 5, passed) << "the agent is busy with it";

  fighter.stop();
  EXPECT_TRUE(reaches(*agent_, "networks", "lan", "Ready", 60s));
  EXPECT_EQ(sandbox_.link("br-lan")->at("mtu"), 1500);
  EXPECT_TRUE(traffic());
}

}  // namespace
}  // namespace lanwright::test
