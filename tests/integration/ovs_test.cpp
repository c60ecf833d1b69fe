// Networks of driver ovs on an Open vSwitch of the test's own, with the datapath in ovs-vswitchd. Witnesses:
// ovs-vsctl(8), and traffic.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>

#include "tests/integration/cable.h"
#include "tests/integration/event_stream.h"
#include "tests/integration/frames.h"
#include "tests/integration/harness.h"
#include "tests/integration/libnetwork.h"
#include "tests/integration/open_vswitch.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

constexpr const char* kLab = R"(
version: 1
name: lab
networks:
  lab: {driver: ovs, ovs: {datapath: netdev, name: br-lab}}
attachments:
  h1-lab: {network: lab, netns: h1, interface: eth0, addresses: [10.1.0.1/24, "fd01::1/64"]}
  h2-lab: {network: lab, netns: h2, interface: eth0, addresses: [10.1.0.2/24, "fd01::2/64"], ofport: 7}
)";

// In a guest it is the kernel's own, which this machine's may lack.
const char* datapath() {
  const char* guest = std::getenv("LANWRIGHT_GUEST");
  return guest != nullptr && *guest != '\0' ? "system" : "netdev";
}

class Ovs : public testing::Test {
 protected:
  Ovs() {
    for (const char* netns : {"h1", "h2", "h3"}) sandbox_.add_netns(netns);
  }

  AgentOptions options(const std::string& name = "agent") const {
    AgentOptions options;
    options.name = name;
    options.more = {"--ovs-db", (sandbox_.directory() / "ovs" / "db.sock").string()};
    return options;
  }
  void start() {
    ovs_.emplace(sandbox_);
    agent_.emplace(sandbox_, options());
  }
  void start_with_lab() {
    start();
    apply(kLab);
  }
  // With the datapath that this kernel has.
  static std::string here(std::string text) {
    const std::string other = "datapath: netdev";
    for (std::size_t at = text.find(other); at != std::string::npos; at = text.find(other, at + 1))
      text.replace(at, other.size(), std::string("datapath: ") + datapath());
    return text;
  }
  void apply(const std::string& text) const { agent_->apply(here(text)); }
  // Without waiting.
  Finished submit(const std::string& text) const {
    return agent_->cli({"apply", "-f", sandbox_.write_file("set.yaml", here(text)).string()});
  }
  void restart_agent() {
    agent_->kill();
    agent_.reset();
    agent_.emplace(sandbox_, options());
  }

  std::string get(const std::string& table, const std::string& record, const std::string& column) const {
    return ovs_->vsctl({"get", table, record, column});
  }
  // What there is, row by row: other rows of the same names are others.
  std::string rows() const {
    std::string all;
    for (const char* table : {"Bridge", "Port", "Interface", "Controller", "Mirror"})
      all += ovs_->vsctl({"--format=csv", "--columns=_uuid", "list", table}) + "\n";
    return all;
  }
  // Changes that ovs-vswitchd was told of. ovs-vsctl tells it of none here.
  std::string configurations() const { return get("Open_vSwitch", ".", "next_cfg"); }

  testing::AssertionResult traffic(const std::string& v4 = "10.1.0.2",
                                   const std::string& v6 = "fd01::2") const {
    if (auto answered = ping("h1", v4, 30s); !answered) return answered;
    return ping("h1", v6, 30s);
  }

  Sandbox sandbox_;
  std::optional<OpenVswitch> ovs_;
  std::optional<AgentProcess> agent_;
};

TEST_F(Ovs, NetworksCarryTrafficAndLeaveNothing) {
  start();
  ovs_->vsctl(
      {"add-br", "theirs", "--", "set", "Bridge", "theirs", std::string("datapath_type=") + datapath()});
  ASSERT_TRUE(wait_until([&] { return sandbox_.link("theirs").has_value(); }));
  const Json before = inventory_of(sandbox_, *agent_);
  const std::string rows_before = rows();
  apply(kLab);
  EXPECT_TRUE(traffic());
  EXPECT_TRUE(tcp("h1", "h2", "10.1.0.2", 4U << 20U));
  EXPECT_TRUE(tcp("h2", "h1", "fd01::1", 4U << 20U));
  EXPECT_EQ(ovs_->vsctl({"list-ports", "br-lab"}), "lw-h1-lab\nlw-h2-lab");
  EXPECT_EQ(get("Interface", "lw-h1-lab", "ofport"), "1");
  EXPECT_EQ(get("Interface", "lw-h1-lab", "ofport_request"), "1") << "it is to keep it";
  EXPECT_EQ(get("Interface", "lw-h2-lab", "ofport"), "7");
  EXPECT_EQ(get("Bridge", "br-lab", "other_config:disable-in-band"), "\"true\"");
  EXPECT_EQ(get("Bridge", "br-lab", "fail_mode"), "standalone");
  EXPECT_EQ(sandbox_.link("br-lab")->at("flags").dump().find("\"UP\"") == std::string::npos, false);

  ASSERT_TRUE(agent_->cli({"delete", "set", "lab", "--wait"}).ok());
  EXPECT_EQ(ovs_->vsctl({"list-br"}), "theirs");
  EXPECT_EQ(rows(), rows_before);
  EXPECT_TRUE(wait_until([&] { return inventory_of(sandbox_, *agent_) == before; }));
}

TEST_F(Ovs, EveryDriftIsRepaired) {
  start();
  sandbox_.ip("link add other up type veth peer name other-end");
  apply(std::string(kLab) + "  vm: {network: lab, tap: {name: tap0}, vlan: 30}\n");
  ASSERT_TRUE(traffic());
  EventStream events(*agent_);
  const auto expect_repaired = [&](const std::string& object, std::vector<std::string> words) {
    SCOPED_TRACE(testing::PrintToString(words));
    events.pass_over();
    ovs_->vsctl(std::move(words));
    try {
      events.expect("Repaired", object, "", events.expect("DriftSeen", object).at("id"));
    } catch (const HarnessError& error) {
      ADD_FAILURE() << error.what();
    }
    EXPECT_TRUE(converges(*agent_));
    EXPECT_TRUE(traffic());
  };
  expect_repaired("network lab", {"set", "Bridge", "br-lab", "other_config:hwaddr=02:00:00:00:99:99"});
  expect_repaired("network lab", {"set-fail-mode", "br-lab", "secure"});
  expect_repaired("network lab", {"set", "Bridge", "br-lab", "stp_enable=true"});
  expect_repaired("network lab", {"remove", "Bridge", "br-lab", "other_config", "disable-in-band"});
  expect_repaired("network lab", {"set-controller", "br-lab", "tcp:127.0.0.1:1"});
  expect_repaired("network lab", {"set", "Port", "br-lab", "tag=9"});
  expect_repaired("attachment h2-lab", {"del-port", "lw-h2-lab"});
  expect_repaired("attachment h1-lab", {"del-port", "lw-h1-lab"});
  expect_repaired("attachment h2-lab", {"set", "Interface", "lw-h2-lab", "ofport_request=9"});
  expect_repaired("attachment h1-lab", {"set", "Port", "lw-h1-lab", "tag=9"});
  expect_repaired("attachment vm", {"clear", "Port", "tap0", "tag"});
  EXPECT_EQ(get("Interface", "lw-h1-lab", "ofport"), "1");
  EXPECT_EQ(get("Interface", "lw-h2-lab", "ofport"), "7");

  events.pass_over();
  ovs_->vsctl({"del-br", "br-lab"});
  events.expect("Repaired", "network lab");
  EXPECT_TRUE(converges(*agent_));
  EXPECT_TRUE(traffic());
  EXPECT_EQ(get("Interface", "lw-h1-lab", "ofport"), "1");

  events.pass_over();
  sandbox_.ip("link set br-lab down");
  events.expect("Repaired", "network lab");
  sandbox_.ip("-n h1 link del eth0");
  events.expect("Repaired", "attachment h1-lab");
  EXPECT_TRUE(converges(*agent_));
  EXPECT_TRUE(traffic());
  EXPECT_EQ(get("Interface", "lw-h1-lab", "ofport"), "1");

  // The name alone says nothing.
  events.pass_over();
  const std::string had = get("Interface", "lw-h2-lab", "_uuid");
  ovs_->vsctl({"set", "Port", "lw-h2-lab", "external_ids:lanwright-ifindex=1"});
  events.expect("Repaired", "attachment h2-lab");
  EXPECT_NE(get("Interface", "lw-h2-lab", "_uuid"), had);
  EXPECT_TRUE(traffic());
}

// A NIC that goes and returns, however quickly.
TEST_F(Ovs, AnUplinkThatReturnsCarriesTrafficAgain) {
  start();
  const auto plug_up0_in = [&] {
    lay_cable(sandbox_, "up0", "far", {"10.1.0.9/24"});
    sandbox_.ip("-n far link set eth0 address 02:00:00:00:02:09");  // so that nobody remembers another one
  };
  plug_up0_in();
  apply(R"(
version: 1
networks: {lab: {driver: ovs, ovs: {datapath: netdev}, uplinks: [{interface: up0, ofport: 9}]}}
attachments: {h1-lab: {network: lab, netns: h1, interface: eth0, addresses: [10.1.0.1/24]}}
)");
  EXPECT_TRUE(ping("h1", "10.1.0.9"));
  sandbox_.ip("link del up0");
  EXPECT_TRUE(reaches(*agent_, "networks", "lab", "Pending"));
  for (int i = 0; i < 2; ++i) {
    plug_up0_in();
    EXPECT_TRUE(converges(*agent_));
    EXPECT_TRUE(ping("h1", "10.1.0.9"));
    EXPECT_EQ(get("Interface", "up0", "ofport"), "9");
    if (i == 0) sandbox_.ip("link del up0");  // and quickly
  }
}

// What is somebody else's in a bridge of ours, and beside it, stays as it is.
TEST_F(Ovs, WhatIsSomebodyElsesIsLeftAlone) {
  start_with_lab();
  lay_cable(sandbox_, "theirs", "h3", {"10.1.0.3/24"});
  ovs_->vsctl({"add-port", "br-lab", "theirs", "--", "set", "Bridge", "br-lab",
               "other_config:mac-aging-time=60", "external_ids:who=them", "--", "set", "Port", "lw-h1-lab",
               "external_ids:who=them"});
  EXPECT_TRUE(ping("h3", "10.1.0.1"));
  apply(std::string(kLab) + "  vm: {network: lab, tap: {name: tap0}}\n");
  restart_agent();
  EXPECT_TRUE(converges(*agent_));
  EXPECT_TRUE(ping("h3", "10.1.0.1"));
  EXPECT_EQ(get("Bridge", "br-lab", "other_config:mac-aging-time"), "\"60\"");
  EXPECT_EQ(get("Bridge", "br-lab", "external_ids:who"), "them");
  EXPECT_EQ(get("Port", "lw-h1-lab", "external_ids:who"), "them");
  EXPECT_EQ(get("Interface", "tap0", "ofport"), "3") << "the lowest that was free";
}

TEST_F(Ovs, ABridgeOrPortThatSomebodyElseHasIsAConflict) {
  start();
  sandbox_.ip("link add up0 up type veth peer name up0-end");
  ovs_->vsctl({"add-br", "br-lab", "--", "add-port", "br-lab", "up0"});
  ovs_->vsctl({"set", "Bridge", "br-lab", std::string("datapath_type=") + datapath(),
               "other_config:datapath-id=000000000000002a"});
  const std::string before = rows();
  ASSERT_FALSE(agent_
                   ->cli({"apply", "-f",
                          sandbox_
                              .write_file("lab.yaml", std::string(kLab) + R"(
  vm: {network: other, tap: {name: tap0}}
)")
                              .string()})
                   .ok())
      << "network other is not declared";
  const std::string other = R"(
version: 1
name: other
networks:
  other: {driver: ovs, ovs: {datapath: netdev}, uplinks: [up0]}
  same: {driver: ovs, ovs: {datapath: netdev, datapath_id: "0x2a"}}
)";
  for (const std::string& text : {std::string(kLab), other}) ASSERT_TRUE(submit(text).ok());
  EXPECT_TRUE(reaches(*agent_, "networks", "lab", "Conflict"));
  EXPECT_TRUE(reaches(*agent_, "networks", "other", "Conflict"));
  EXPECT_TRUE(reaches(*agent_, "networks", "same", "Conflict"));
  EXPECT_NE(message_of(*agent_, "networks", "lab").find("ovs-vsctl del-br br-lab"), std::string::npos);
  EXPECT_NE(message_of(*agent_, "networks", "other").find("ovs-vsctl del-port br-lab up0"),
            std::string::npos);
  EXPECT_NE(message_of(*agent_, "networks", "same").find("bridge br-lab"), std::string::npos);
  ovs_->vsctl({"del-br", "br-lab"});
  EXPECT_TRUE(converges(*agent_));
  EXPECT_TRUE(traffic());
  EXPECT_NE(rows(), before);
}

// Both have a network of the same name; the second is told, and harms nothing.
TEST_F(Ovs, TwoAgentsDoNotTakeEachOthersBridges) {
  start_with_lab();
  const std::string before = rows();
  AgentProcess second(sandbox_, options("second"));
  ASSERT_TRUE(second
                  .cli({"apply", "-f",
                        sandbox_
                            .write_file("set.yaml", R"(
version: 1
networks: {lab: {driver: ovs, ovs: {datapath: netdev, name: br-lab}}}
)")
                            .string()})
                  .ok());
  EXPECT_TRUE(reaches(second, "networks", "lab", "Conflict"));
  EXPECT_NE(message_of(second, "networks", "lab").find("another store"), std::string::npos);
  ASSERT_TRUE(second.cli({"delete", "set", "default", "--wait"}).ok());
  EXPECT_EQ(rows(), before);
  EXPECT_TRUE(traffic());
}

// ---- VLANs, uplinks

TEST_F(Ovs, VlansOfPortsAndUplinksKeepTrafficApart) {
  start();
  lay_cable(sandbox_, "up0", "router");
  lay_cable(sandbox_, "up1", "host10", {"10.1.0.110/24"});
  apply(R"(
version: 1
networks:
  lab:
    driver: ovs
    ovs: {datapath: netdev}
    uplinks: [{interface: up0, ofport: 100, trunk: [10, 20]}, {interface: up1, vlan: 10}]
attachments:
  a: {network: lab, netns: h1, interface: eth0, addresses: [10.1.0.1/24], vlan: 10}
  b: {network: lab, netns: h2, interface: eth0, addresses: [10.1.0.2/24], vlan: 20}
  c: {network: lab, netns: h3, interface: eth0, addresses: [10.1.0.3/24], vlan: 10}
)");
  EXPECT_EQ(get("Interface", "up0", "ofport"), "100");
  EXPECT_TRUE(ping("h1", "10.1.0.3"));
  EXPECT_TRUE(ping("h1", "10.1.0.110"));
  EXPECT_TRUE(no_ping("h1", "10.1.0.2"));
  // The trunk has tags, whichever way; and no other VLANs than its own.
  InterfacePort router("router", "eth0");
  InterfacePort ten("h1", "eth0");
  InterfacePort twenty("h2", "eth0");
  const auto arrives = [&](FramePort& from, FramePort& to, const std::string& frame, const std::string& as) {
    return wait_until([&] {
      from.send(frame);
      for (auto got = to.receive(50ms); got; got = to.receive(0ms)) {
        if (summary(*got) == summary(as)) return true;
      }
      return false;
    });
  };
  EXPECT_TRUE(arrives(ten, router, frame_saying("ten"), frame_saying("ten", kEverybody, VlanTag{10})));
  EXPECT_TRUE(
      arrives(twenty, router, frame_saying("twenty"), frame_saying("twenty", kEverybody, VlanTag{20})));
  EXPECT_TRUE(arrives(router, ten, frame_saying("in", kEverybody, VlanTag{10}), frame_saying("in")));
  router.send(frame_saying("untagged"));
  router.send(frame_saying("thirty", kEverybody, VlanTag{30}));
  router.send(frame_saying("twenty", kEverybody, VlanTag{20}));
  router.send(frame_saying("last", kEverybody, VlanTag{10}));
  const auto heard = received_before(ten, frame_saying("last"));
  for (const char* words : {"untagged", "thirty", "twenty"})
    EXPECT_EQ(std::ranges::count(heard, summary(frame_saying(words))), 0) << words;
  ASSERT_TRUE(agent_->cli({"delete", "set", "default", "--wait"}).ok());
  EXPECT_TRUE(sandbox_.link("up0")) << "it is the host's";
  EXPECT_EQ(ovs_->vsctl({"list-br"}), "");
}

TEST_F(Ovs, AnOfportThatIsTakenIsToldAndGivenWhenItIsFree) {
  start_with_lab();
  lay_cable(sandbox_, "theirs", "h3");
  ovs_->vsctl({"add-port", "br-lab", "theirs", "--", "set", "Interface", "theirs", "ofport_request=5"});
  ASSERT_TRUE(wait_until([&] { return get("Interface", "theirs", "ofport") == "5"; }));
  const std::string more = std::string(kLab) + "  vm: {network: lab, tap: {name: tap0}, ofport: 5}\n";
  ASSERT_TRUE(submit(more).ok());
  EXPECT_TRUE(reaches(*agent_, "attachments", "vm", "Conflict"));
  EXPECT_NE(message_of(*agent_, "attachments", "vm").find("OpenFlow port 5 is that of theirs"),
            std::string::npos)
      << message_of(*agent_, "attachments", "vm");
  ovs_->vsctl({"del-port", "theirs"});
  EXPECT_TRUE(converges(*agent_));
  EXPECT_EQ(get("Interface", "tap0", "ofport"), "5");
}

// ---- failures

TEST_F(Ovs, AnAgentThatIsKilledLosesNoPacketAndWritesNothing) {
  start_with_lab();
  ASSERT_TRUE(traffic());
  const std::string before = rows();
  const std::string written = configurations();
  Stream stream("h1", "h2", "10.1.0.2");
  restart_agent();
  EXPECT_TRUE(converges(*agent_));
  const StreamCount count = stream.stop();
  EXPECT_EQ(count.lost(), 0U) << count.sent;
  EXPECT_EQ(rows(), before);
  EXPECT_EQ(configurations(), written);
  EXPECT_EQ(agent_->metric("netlink_writes_total"), 0U);
}

TEST_F(Ovs, WhatIsLeftOfAKilledAgentGoesWithItsSet) {
  start_with_lab();
  agent_->kill();
  ovs_->vsctl({"del-port", "lw-h1-lab"});
  agent_.reset();
  agent_.emplace(sandbox_, options());
  EXPECT_TRUE(converges(*agent_));
  EXPECT_TRUE(traffic());
  ASSERT_TRUE(agent_->cli({"delete", "set", "lab", "--wait"}).ok());
  EXPECT_EQ(ovs_->vsctl({"list-br"}), "");
  EXPECT_TRUE(wait_until([this] { return sandbox_.links().empty(); }))
      << testing::PrintToString(sandbox_.links());
}

TEST_F(Ovs, ASwitchDaemonThatIsKilledIsBackWithNothingMadeAnew) {
  start_with_lab();
  ASSERT_TRUE(traffic());
  const std::string before = rows();
  for (int i = 0; i < 3; ++i) {
    ovs_->kill_vswitchd();
    ovs_->start_vswitchd();
    EXPECT_TRUE(traffic());
  }
  EXPECT_TRUE(converges(*agent_));
  EXPECT_EQ(rows(), before);
  EXPECT_EQ(get("Interface", "lw-h2-lab", "ofport"), "7");
}

TEST_F(Ovs, ADatabaseThatIsKilledIsWaitedFor) {
  start_with_lab();
  const std::string before = rows();
  ovs_->kill_server();
  EXPECT_TRUE(reaches(*agent_, "networks", "lab", "Pending"));
  EXPECT_NE(message_of(*agent_, "networks", "lab").find("systemctl"), std::string::npos)
      << message_of(*agent_, "networks", "lab");
  apply("version: 1\nname: wire\nnetworks: {wire: {driver: bridge}}\n");  // others do not suffer
  ovs_->start_server();
  EXPECT_TRUE(converges(*agent_));
  EXPECT_EQ(rows(), before);
  EXPECT_TRUE(traffic());
}

TEST_F(Ovs, ADatabaseThatIsReplacedByAnEmptyOneIsFilledAgain) {
  start_with_lab();
  ovs_->kill_vswitchd();
  ovs_->kill_server();
  ovs_->empty_database();
  ovs_->start_server();
  EXPECT_TRUE(reaches(*agent_, "networks", "lab", "Pending"));
  ovs_->vsctl({"init"});
  ovs_->start_vswitchd();
  EXPECT_TRUE(converges(*agent_));
  EXPECT_TRUE(traffic());
  EXPECT_EQ(get("Interface", "lw-h1-lab", "ofport"), "1");
  EXPECT_EQ(get("Interface", "lw-h2-lab", "ofport"), "7");
}

TEST_F(Ovs, WithoutOpenVswitchTheNetworkWaits) {
  agent_.emplace(sandbox_, options());
  ASSERT_TRUE(submit(kLab).ok());
  EXPECT_TRUE(reaches(*agent_, "networks", "lab", "Pending"));
  EXPECT_NE(message_of(*agent_, "networks", "lab").find("openvswitch"), std::string::npos)
      << message_of(*agent_, "networks", "lab");
  apply("version: 1\nname: wire\nnetworks: {wire: {driver: bridge}}\n");
  ovs_.emplace(sandbox_);
  EXPECT_TRUE(converges(*agent_));
  EXPECT_TRUE(traffic());
}

// Its database says nothing of that.
TEST_F(Ovs, WithoutTheKernelsModuleTheNetworkSaysWhatHelps) {
  if (std::filesystem::exists("/sys/module/openvswitch") || datapath() == std::string("system"))
    GTEST_SKIP() << "it is there";
  start();
  const std::string system = "version: 1\nnetworks: {lab: {driver: ovs}}\n";
  ASSERT_TRUE(submit(system).ok());
  EXPECT_TRUE(reaches(*agent_, "networks", "lab", "Pending"));
  EXPECT_TRUE(wait_until([&] {
    return message_of(*agent_, "networks", "lab").find("modprobe openvswitch") != std::string::npos;
  })) << message_of(*agent_, "networks", "lab");
  apply("version: 1\nnetworks: {lab: {driver: ovs, ovs: {datapath: netdev}}}\n");
  EXPECT_EQ(get("Bridge", "lw-lab", "datapath_type"), "netdev");
}

// It is not asked twice for the same, and nobody waits for it.
TEST_F(Ovs, ASwitchDaemonThatHangsHoldsUpNobodyElse) {
  start_with_lab();
  ovs_->signal_vswitchd(SIGSTOP);
  ASSERT_TRUE(agent_
                  ->cli({"apply", "-f",
                         sandbox_
                             .write_file("set.yaml", R"(
version: 1
name: more
networks: {more: {driver: ovs, ovs: {datapath: netdev}}}
)")
                             .string()})
                  .ok());
  EXPECT_TRUE(wait_until([&] { return ovs_->vsctl({"list-br"}).find("lw-more") != std::string::npos; }));
  const std::string written = configurations();
  apply("version: 1\nname: wire\nnetworks: {wire: {driver: bridge}}\n");
  EXPECT_EQ(configurations(), written);
  ovs_->signal_vswitchd(SIGCONT);
  EXPECT_TRUE(converges(*agent_));
  EXPECT_EQ(phase_of(*agent_, "networks", "more"), "Ready");
}

// What its database says is what Open vSwitch has, whenever the agent dies; and nothing else of it moved.
TEST_F(Ovs, AnAgentThatDiesAtAnyMomentLeavesNothingUndone) {
#ifdef __SANITIZE_ADDRESS__
  constexpr int kRounds = 4;
#else
  constexpr int kRounds = 15;
#endif
  start();
  ovs_->vsctl(
      {"add-br", "theirs", "--", "set", "Bridge", "theirs", std::string("datapath_type=") + datapath()});
  const std::string theirs = get("Bridge", "theirs", "_uuid") + get("Port", "theirs", "_uuid");
  const auto version = [](int number) {
    std::string networks = "version: 1\nname: lab\nnetworks:\n";
    std::string attachments = "attachments:\n";
    for (int i = number; i < number + 2; ++i) {
      const std::string network = "n" + std::to_string(i);
      networks += "  " + network + ": {driver: ovs, ovs: {datapath: netdev, mcast_snooping: " +
                  (number == 0 ? "true" : "false") + "}}\n";
      for (int j = 0; j < 5; ++j)
        attachments += "  " + network + "-" + std::to_string(j) + ": {network: " + network +
                       ", tap: {}, vlan: " + std::to_string(10 + number) + "}\n";
    }
    return networks + attachments;
  };
  const auto is_as_stored = [&]() -> testing::AssertionResult {
    std::string bridges;
    for (const Json& network : agent_->get_json("/v1/networks"))
      bridges += "lw-" + network.at("name").get<std::string>() + "\n";
    std::map<std::string, std::string> ports;
    for (const Json& attachment : agent_->get_json("/v1/attachments"))
      ports["lw-" + attachment.at("spec").at("network").get<std::string>()] +=
          "lw-" + attachment.at("name").get<std::string>() + "\n";
    if (ovs_->vsctl({"list-br"}) + "\n" != bridges + "theirs\n")
      return testing::AssertionFailure() << ovs_->vsctl({"list-br"}) << " instead of " << bridges;
    for (const auto& [bridge, names] : ports) {
      const std::string there = ovs_->vsctl({"list-ports", bridge});
      if (there + "\n" != names)
        return testing::AssertionFailure() << bridge << ": " << there << " instead of " << names;
    }
    return testing::AssertionSuccess();
  };
  std::mt19937 random(1);
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    SCOPED_TRACE(round);
    const std::string file = sandbox_.write_file("set.yaml", here(version(round % 3)));
    const std::vector<std::string> change = round % 4 == 3 ? std::vector<std::string>{"delete", "set", "lab"}
                                                           : std::vector<std::string>{"apply", "-f", file};
    std::vector<std::string> client{client_program(), "--socket", agent_->socket()};
    client.insert(client.end(), change.begin(), change.end());
    const pid_t pid = spawn({client, "", {}});
    EXPECT_FALSE(agent_->wait(Milliseconds(std::uniform_int_distribution<int>(0, 120)(random))));
    restart_agent();
    wait_exit(pid, 20s);
    EXPECT_TRUE(converges(*agent_));
    EXPECT_TRUE(is_as_stored());
    EXPECT_EQ(get("Bridge", "theirs", "_uuid") + get("Port", "theirs", "_uuid"), theirs);
    EXPECT_EQ(agent_->get_json("/v1/status").at("orphans"), 0);
  }
}

// ---- controllers

std::string controlled(const std::string& more) {
  return R"(
version: 1
networks:
  lab: {driver: ovs, ovs: {datapath: netdev, datapath_id: "0x1", controllers: ["tcp:127.0.0.1:6653"])" +
         more + R"(}}
attachments:
  h1-lab: {network: lab, netns: h1, interface: eth0, addresses: [10.1.0.1/24]}
  h2-lab: {network: lab, netns: h2, interface: eth0, addresses: [10.1.0.2/24]}
)";
}

TEST_F(Ovs, OnlyAControllersFlowsForward) {
  start();
  apply(controlled(""));
  EXPECT_EQ(get("Bridge", "lw-lab", "fail_mode"), "secure");
  EXPECT_EQ(get("Bridge", "lw-lab", "datapath_id"), "\"0000000000000001\"");
  EXPECT_TRUE(no_ping("h1", "10.1.0.2"));
  std::optional<LearningController> controller(std::in_place, sandbox_);
  EXPECT_TRUE(ping("h1", "10.1.0.2"));
  controller.reset();
  EXPECT_TRUE(ping("h1", "10.1.0.2")) << "known flows go on";
  restart_agent();
  EXPECT_TRUE(converges(*agent_));
  EXPECT_TRUE(ping("h1", "10.1.0.2"));
  controller.emplace(sandbox_);
  EXPECT_TRUE(ping("h2", "10.1.0.1"));
}

TEST_F(Ovs, ADescriptionHasControllersAndPortsByNumber) {
  start();
  const LearningController controller(sandbox_);
  apply(controlled(""));
  lay_cable(sandbox_, "theirs", "h3");
  ovs_->vsctl({"add-port", "lw-lab", "theirs"});
  const auto bridge = [&] { return agent_->get_json("/v1/networks/lab/describe").at("openVswitch"); };
  EXPECT_TRUE(wait_until([&] { return bridge().at("controllers")[0].at("connected") == true; }, 20s));
  EXPECT_TRUE(wait_until(
      [&] { return bridge().at("ports").size() == 3 && bridge().at("ports")[2].contains("ofport"); }));
  EXPECT_EQ(bridge().at("datapathId"), "0000000000000001");
  EXPECT_EQ(bridge().at("failMode"), "secure");
  EXPECT_EQ(bridge().at("ports")[1],
            Json::parse(
                R"({"link": "lw-h2-lab", "object": {"kind": "attachment", "name": "h2-lab"}, "ofport": 2})"));
  EXPECT_EQ(bridge().at("ports")[2], Json::parse(R"({"link": "theirs", "ofport": 3})"));
  const std::string text = agent_->cli({"describe", "network", "lab"}).out;
  for (const char* words :
       {"tcp:127.0.0.1:6653   yes", "lw-h2-lab   attachment h2-lab", "theirs      not ours"})
    EXPECT_NE(text.find(words), std::string::npos) << words << " is not in:\n" << text;
}

TEST_F(Ovs, InFailModeStandaloneTheBridgeSwitchesByItself) {
  start();
  apply(controlled(", fail_mode: standalone"));
  // It does so after three of these, which are 5 s by default.
  ovs_->vsctl({"set", "Controller", ovs_->vsctl({"--bare", "--columns=_uuid", "list", "Controller"}),
               "inactivity_probe=500"});
  EXPECT_TRUE(ping("h1", "10.1.0.2", 40s));
}

// os-ken, with an application of ours.
class AclController {
 public:
  explicit AclController(const std::string& denied_ports) {
    const std::string application = std::string(SOURCE_DIR) + "/tests/integration/acl_controller.py";
    pid_ = spawn(
        {{"osken-manager", "--ofp-listen-host", "127.0.0.1", "--ofp-tcp-listen-port", "6653", application},
         "",
         {"DENIED=" + denied_ports}});
  }
  ~AclController() {
    ::kill(pid_, SIGKILL);
    wait_exit(pid_, 10s);
  }
  AclController(const AclController&) = delete;
  AclController& operator=(const AclController&) = delete;

 private:
  pid_t pid_ = -1;
};

// It knows a host by its port's number alone: whatever is restarted, its rules are about the same ones.
TEST_F(Ovs, ARuleForAPortHoldsThroughAllRestarts) {
  start();
  const AclController controller("3");
  const auto attachment = [](const std::string& number) {
    return "  h" + number + "-lab: {network: lab, netns: h" + number +
           ", interface: eth0, addresses: [10.1.0." + number + "/24]}\n";
  };
  const std::string network = R"(
version: 1
networks: {lab: {driver: ovs, ovs: {datapath: netdev, controllers: ["tcp:127.0.0.1:6653"]}}}
attachments:
)";
  for (const std::string& hosts : {attachment("1"), attachment("1") + attachment("2"),
                                   attachment("1") + attachment("2") + attachment("3")})
    apply(network + hosts);
  const auto rules_hold = [&]() -> testing::AssertionResult {
    for (const std::string number : {"1", "2", "3"}) {
      const std::string ofport = get("Interface", "lw-h" + number + "-lab", "ofport");
      if (ofport != number) return testing::AssertionFailure() << "h" << number << " has port " << ofport;
    }
    if (auto answered = ping("h1", "10.1.0.2", 30s); !answered) return answered;
    return no_ping("h3", "10.1.0.1", 300ms);
  };
  EXPECT_TRUE(rules_hold());
  restart_agent();
  EXPECT_TRUE(converges(*agent_));
  EXPECT_TRUE(rules_hold()) << "the agent was killed";
  ovs_->kill_vswitchd();
  ovs_->start_vswitchd();
  EXPECT_TRUE(rules_hold()) << "ovs-vswitchd was killed";
  ovs_->vsctl({"del-port", "lw-h3-lab", "--", "del-port", "lw-h1-lab"});
  EXPECT_TRUE(wait_until([&] { return bool(rules_hold()); })) << "somebody removed ports";
  ovs_->kill_vswitchd();
  ovs_->kill_server();
  ovs_->empty_database();
  ovs_->start_server();
  ovs_->vsctl({"init"});
  ovs_->start_vswitchd();
  EXPECT_TRUE(converges(*agent_));
  EXPECT_TRUE(rules_hold()) << "the database was lost";
}

// ---- Docker

class OvsDocker : public Ovs, public testing::WithParamInterface<Engine> {
 protected:
  void start_docker() {
    docker_.emplace(sandbox_, agent_->docker_socket("lanwright-ovs").parent_path(), GetParam());
  }
  static NetworkRequest lan_with(Texts options) {
    options.emplace("ovs.bridge.userspace", datapath() == std::string("netdev") ? "true" : "false");
    return {.pools = {{"10.5.0.0/24", "10.5.0.1"}}, .options = std::move(options)};
  }
  testing::AssertionResult reach() const {
    if (auto answered = ping("c1", "10.5.0.12"); !answered) return answered;
    return ping("c2", "10.5.0.9");
  }

  std::optional<Libnetwork> docker_;
};

// With the options that dovesnap's users have.
TEST_P(OvsDocker, ContainersTalkThroughEverythingAndLeaveNothing) {
  start();
  lay_cable(sandbox_, "up0", "far", {"10.5.0.9/24"});
  start_docker();
  const Json before = inventory_of(sandbox_, *agent_);
  const std::string rows_before = rows();
  docker_->create_network("ovs", "lan",
                          lan_with({{"ovs.bridge.name", "ovsbr-lan"},
                                    {"ovs.bridge.dpid", "0x5"},
                                    {"ovs.bridge.mtu", "1400"},
                                    {"ovs.bridge.mode", "flat"},
                                    {"ovs.bridge.ovs_local_mac", "0e:01:00:00:00:23"},
                                    {"ovs.bridge.add_ports", "up0/888"}}));
  EXPECT_EQ(get("Bridge", "ovsbr-lan", "datapath_id"), "\"0000000000000005\"");
  EXPECT_EQ(get("Interface", "up0", "ofport"), "888");
  EXPECT_EQ(sandbox_.link("ovsbr-lan")->at("address"), "0e:01:00:00:00:23");
  docker_->run("c1", "lan", {.addresses = {"10.5.0.11/24"}});
  docker_->run("c2", "lan", {.addresses = {"10.5.0.12/24"}});
  EXPECT_TRUE(reach());
  EXPECT_TRUE(tcp("c1", "c2", "10.5.0.12", 4U << 20U));
  EXPECT_EQ(sandbox_.link("eth0", "c1")->at("mtu"), 1400);
  const std::string link = "lw-" + short_id(docker_->endpoint_id("c1", "lan"));
  EXPECT_EQ(get("Interface", link, "ofport"), "1");

  restart_agent();
  EXPECT_TRUE(reach());
  sandbox_.ip("-n c1 link del eth0");
  EXPECT_TRUE(converges(*agent_));
  EXPECT_TRUE(reach()) << "its link is made again in the container, and plugged in";
  EXPECT_TRUE(tcp("c1", "c2", "10.5.0.12", 4U << 20U)) << "with its checksums";
  EXPECT_EQ(get("Interface", link, "ofport"), "1");
  ovs_->vsctl({"del-br", "ovsbr-lan"});
  EXPECT_TRUE(converges(*agent_));
  EXPECT_TRUE(reach());

  docker_->stop("c2");
  docker_->start("c2");
  EXPECT_TRUE(reach());
  for (const char* container : {"c1", "c2"}) docker_->remove(container);
  docker_->remove_network("lan");
  EXPECT_EQ(rows(), rows_before);
  EXPECT_TRUE(wait_until([&] { return inventory_of(sandbox_, *agent_) == before; }));
}

TEST_P(OvsDocker, VlansKeepContainersApart) {
  start();
  lay_cable(sandbox_, "up0", "h20", {"10.5.0.9/24"});
  lay_cable(sandbox_, "up1", "h30", {"10.5.0.10/24"});
  start_docker();
  docker_->create_network(
      "ovs", "lan", lan_with({{"ovs.bridge.vlan", "20"}, {"ovs.bridge.add_ports", "up0///20,up1///30"}}));
  docker_->run("c1", "lan", {.addresses = {"10.5.0.11/24"}});
  docker_->run("c2", "lan", {.addresses = {"10.5.0.12/24"}});
  EXPECT_TRUE(reach());
  EXPECT_TRUE(no_ping("c1", "10.5.0.10"));
}

TEST_P(OvsDocker, WhatCannotBeIsToldAndLeavesNothing) {
  agent_.emplace(sandbox_, options());
  start_docker();
  const auto refused = [&](const NetworkRequest& request) -> std::string {
    try {
      docker_->create_network("ovs", "lan", request);
      docker_->remove_network("lan");
    } catch (const DriverRefuses& error) {
      return error.what();
    }
    return "it was made";
  };
  EXPECT_NE(refused(lan_with({})).find("systemctl"), std::string::npos) << refused(lan_with({}));
  ovs_.emplace(sandbox_);
  ASSERT_TRUE(wait_until([&] { return refused(lan_with({})) == "it was made"; }));
  const std::string rows_before = rows();
  ovs_->vsctl({"add-br", "theirs", "--", "set", "Bridge", "theirs",
               std::string("datapath_type=") + datapath(), "other_config:datapath-id=0000000000000001"});
  const std::vector<std::pair<Texts, std::string>> mistakes{
      {{{"ovs.bridge.dpid", "0x1"}}, "theirs"},
      {{{"ovs.bridge.name", "theirs"}}, "not ours"},
      {{{"ovs.bridge.dpid", "no"}}, "hex digits"},
      {{{"ovs.bridge.controller", "nowhere"}}, "tcp:ADDRESS"},
      {{{"ovs.bridge.mode", "bridged"}}, "flat, nat, routed"},
      {{{"ovs.bridge.vlan", "4095"}}, "4094"},
      {{{"ovs.bridge.mtu", "big"}}, "number of bytes"},
      {{{"ovs.bridge.add_ports", "nope/1"}}, "nope"},
      {{{"ovs.bridge.add_ports", "up0/1/allowall"}}, "faucet.yaml"},
      {{{"ovs.bridge.nat_acl", "x"}}, "faucet.yaml"},
      {{{"ovs.bridge.preallocate_ports", "10"}}, "faucet.yaml"},
      {{{"ovs.bridge.dhcp", "true"}}, "DHCP"},
      {{{"ovs.bridge.contoller", "tcp:127.0.0.1"}}, "ovs.bridge.controller"},
      {{{"ovs.bridge.name", "a"}, {"ovs.name", "b"}}, "same option"},
  };
  for (const auto& [options, words] : mistakes) {
    const std::string error = refused(lan_with(options));
    EXPECT_NE(error.find(words), std::string::npos) << options.begin()->first << ": " << error;
  }
  ovs_->vsctl({"del-br", "theirs"});
  EXPECT_EQ(rows(), rows_before);
}

INSTANTIATE_TEST_SUITE_P(Docker, OvsDocker, testing::Values(kDocker20, kDocker26, kDocker28),
                         [](const auto& each) {
                           std::string name = each.param.version;
                           std::ranges::replace(name, '.', '_');
                           return name;
                         });

}  // namespace
}  // namespace lanwright::test
