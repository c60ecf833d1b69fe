// Networks without a switch: macvlan and ipvlan links on a parent of the host, as the namespaces that are
// attached, the far end of the parent's cable and the host itself see them.
#include <gtest/gtest.h>
#include <linux/if_ether.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <map>
#include <random>
#include <set>

#include "tests/integration/event_stream.h"
#include "tests/integration/frames.h"
#include "tests/integration/harness.h"
#include "tests/integration/kernel_facts.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

using Names = std::vector<std::string>;

constexpr const char* kHost = "192.168.1.251";
constexpr const char* kRouter = "192.168.1.1";

std::string set_of(const std::string& declarations) {
  return "version: 1\nname: parents\n" + declarations;
}

std::string plain(const std::string& address) {
  return address.substr(0, address.find('/'));
}

// A host whose eth0 has the address 192.168.1.251; its cable ends at far0 in the namespace `far`, where the
// router 192.168.1.1 is.
class Parents : public testing::Test {
 protected:
  explicit Parents(Names kinds = {"macvlan"}) : kinds_(std::move(kinds)) {
    for (const char* name : {"far", "r1", "r2", "r3"}) sandbox_.add_netns(name);
  }

  void SetUp() override {
    lay_cable();
    for (const std::string& kind : kinds_) {
      const bool there =
          sandbox_.try_ip("link add link eth0 name try0 type " + kind + (kind == "vlan" ? " id 2" : ""));
      if (there) sandbox_.ip("link del try0");
      if (there) continue;
      GTEST_SKIP() << "this kernel has no links of kind " << kind;
    }
    agent_.emplace(sandbox_);
  }

  void lay_cable() const {
    sandbox_.ip(
        "link add eth0 address 02:00:00:00:01:01 type veth peer name far0 address 02:00:00:00:01:02 "
        "netns far");
    sandbox_.ip("addr add 192.168.1.251/24 dev eth0");
    sandbox_.ip("link set eth0 up");
    sandbox_.ip("-n far addr add 192.168.1.1/24 dev far0");
    sandbox_.ip("-n far link set far0 up");
  }

  void apply(const std::string& declarations) const { agent_->apply(set_of(declarations)); }

  Finished try_apply(const std::string& declarations) const {
    return agent_->cli({"apply", "-f", sandbox_.write_file("set.yaml", set_of(declarations))});
  }

  // Nothing changes, and whoever asked is told all of these words.
  void expect_refused(const std::string& declarations, const Names& words) const {
    SCOPED_TRACE(declarations);
    const Names links = sandbox_.links();
    const auto writes = agent_->metric("netlink_writes_total");
    const Finished applied = try_apply(declarations);
    EXPECT_EQ(applied.status, 1) << applied.text();
    for (const std::string& word : words)
      EXPECT_NE(applied.err.find(word), std::string::npos) << word << " is not in: " << applied.text();
    EXPECT_EQ(sandbox_.links(), links);
    EXPECT_EQ(agent_->metric("netlink_writes_total"), writes);
  }

  void remove_all() const {
    const Finished removed = agent_->cli({"delete", "set", "parents", "--wait"}, {.limit = 60s});
    ASSERT_TRUE(removed.ok()) << removed.text();
  }

  // What a namespace's interface has, IPv4 first, without what the kernel gives it by itself.
  Names addresses(const std::string& netns, const std::string& interface = "eth0") const {
    Names found;
    const auto link = sandbox_.link(interface, netns);
    if (!link) return found;
    for (const Json& address : link->at("addr_info")) {
      const auto local = address.at("local").get<std::string>();
      if (local.starts_with("fe80:")) continue;
      found.push_back(local + "/" + std::to_string(address.at("prefixlen").get<int>()));
    }
    return found;
  }

  std::string address(const std::string& netns, const std::string& interface = "eth0") const {
    const Names found = addresses(netns, interface);
    return found.empty() ? "" : plain(found.front());
  }

  // By what the default routes lead, IPv4 first: a gateway, or "dev eth0".
  Names default_routes(const std::string& netns) const {
    Names found;
    for (const char* family : {"-4", "-6"}) {
      for (const Json& route : sandbox_.ip_json(std::string(family) + " -n " + netns + " route show default"))
        found.push_back(route.value("gateway", "dev " + route.at("dev").get<std::string>()));
    }
    return found;
  }

  std::string mac(const std::string& interface, const std::string& netns = "") const {
    return sandbox_.link(interface, netns)->at("address");
  }

  // What the kernel says of a link of one of the kinds.
  Json kind_data(const std::string& interface, const std::string& netns = "") const {
    return sandbox_.link(interface, netns)->at("linkinfo").at("info_data");
  }

  Names vlans() const {
    Names names;
    for (const Json& vlan : agent_->get_json("/v1/vlans")) names.push_back(vlan.at("name"));
    std::ranges::sort(names);
    return names;
  }

  void expect_conflict(const std::string& network, const Names& words) const {
    EXPECT_TRUE(reaches(*agent_, "networks", network, "Conflict"));
    const std::string message = message_of(*agent_, "networks", network);
    for (const std::string& word : words)
      EXPECT_NE(message.find(word), std::string::npos) << word << " is not in: " << message;
  }

  Names kinds_;
  Sandbox sandbox_;
  std::optional<AgentProcess> agent_;
};

class Macvlan : public Parents {};

// --- bridge mode: the example "macnet100", and "macvlanNetworkName" with other numbers ---

constexpr const char* kMacnet100 = R"(
networks:
  macnet100: {driver: macvlan, parent: eth0, subnets: [{cidr: 192.168.1.0/24, gateway: 192.168.1.1}]}
attachments:
  one: {network: macnet100, netns: r1, interface: eth0}
  two: {network: macnet100, netns: r2, interface: eth0}
)";

TEST_F(Macvlan, Macnet100ReachesEachOtherAndTheRouterButNotTheHost) {
  apply(kMacnet100);
  EXPECT_EQ(addresses("r1"), Names{"192.168.1.2/24"}) << "the router's own address is passed over";
  EXPECT_EQ(addresses("r2"), Names{"192.168.1.3/24"});
  EXPECT_EQ(default_routes("r1"), Names{kRouter});
  EXPECT_EQ(kind_data("eth0", "r1").at("mode"), "bridge");
  EXPECT_NE(mac("eth0", "r1"), mac("eth0", "r2"));
  EXPECT_TRUE(ping("r1", "192.168.1.3"));
  EXPECT_TRUE(ping("r2", kRouter));
  EXPECT_TRUE(ping("far", "192.168.1.2"));
  EXPECT_TRUE(tcp("r1", "far", kRouter));
  EXPECT_TRUE(tcp("r1", "r2", "192.168.1.3"));
  EXPECT_TRUE(no_ping("r1", kHost));
  EXPECT_TRUE(no_ping("", "192.168.1.2"));

  EXPECT_EQ(sandbox_.links(), Names{"eth0"}) << "the host itself has nothing of it";
  sandbox_.ip("-n far addr add 10.77.0.1/32 dev far0");
  EXPECT_TRUE(ping("r1", "10.77.0.1")) << "by the gateway";
  remove_all();
  EXPECT_EQ(sandbox_.links("r1"), Names{});
  EXPECT_EQ(sandbox_.links(), Names{"eth0"});
}

TEST_F(Macvlan, MacvlanNetworkNameLeavesTheHostsAddressOut) {
  sandbox_.ip("addr add 10.0.0.2/24 dev eth0");
  sandbox_.ip("-n far addr add 10.0.0.1/24 dev far0");
  apply(R"(
networks:
  macvlanNetworkName:
    driver: macvlan
    parent: eth0
    subnets: [{cidr: 10.0.0.0/24, gateway: 10.0.0.1, reserved: {host: 10.0.0.2}}]
attachments:
  one: {network: macvlanNetworkName, netns: r1, interface: eth0}
)");
  EXPECT_EQ(addresses("r1"), Names{"10.0.0.3/24"});
  EXPECT_TRUE(ping("r1", "10.0.0.1"));
  EXPECT_TRUE(no_ping("r1", "10.0.0.2"));
}

TEST_F(Macvlan, LeasesStayInTheirRangeAndTheSameOverRestarts) {
  const auto network = [](const std::string& attachments) {
    return R"(
networks:
  lan:
    driver: macvlan
    parent: eth0
    subnets:
      - cidr: 192.168.1.0/24
        gateway: 192.168.1.192
        range: 192.168.1.192/29
        reserved: {printer: 192.168.1.193, host: 192.168.1.195}
attachments:
)" + attachments;
  };
  const std::string one = "  one: {network: lan, netns: r1, interface: eth0}\n";
  const std::string two = "  two: {network: lan, netns: r2, interface: eth0}\n";
  const std::string fixed =
      "  fixed: {network: lan, netns: r3, interface: eth0, addresses: [192.168.1.196/24]}\n";
  const std::string none = "  none: {network: lan, netns: r3, interface: eth1, addresses: []}\n";
  apply(network(two));
  EXPECT_EQ(addresses("r2"), Names{"192.168.1.194/24"});
  apply(network(one + two + fixed + none));
  EXPECT_EQ(addresses("r2"), Names{"192.168.1.194/24"}) << "whoever has one keeps it";
  EXPECT_EQ(addresses("r1"), Names{"192.168.1.197/24"});
  EXPECT_EQ(addresses("r3", "eth1"), Names{});
  EXPECT_EQ(object_of(*agent_, "attachments", "one").at("leases"), Json::array({"192.168.1.197/24"}));

  for (const bool killed : {false, true}) {
    const Json before = facts_of_all(sandbox_, {"", "r1", "r2", "r3"});
    if (killed)
      agent_->kill();
    else
      agent_->stop();
    agent_.emplace(sandbox_);
    ASSERT_TRUE(converges(*agent_));
    EXPECT_EQ(differences(before, facts_of_all(sandbox_, {"", "r1", "r2", "r3"})), "");
    EXPECT_EQ(agent_->metric("netlink_writes_total"), 0U);
  }
  sandbox_.ip("-n r1 link del eth0");
  ASSERT_TRUE(wait_until([&] { return address("r1") == "192.168.1.197"; }));

  // Of the eight, two are free.
  std::string more;
  for (const char* name : {"a", "b"})
    more += std::string("  ") + name + ": {network: lan, netns: r3, interface: " + name + "}\n";
  const std::string last = "  last: {network: lan, netns: r3, interface: last}\n";
  expect_refused(network(one + two + fixed + none + more + last), {"no address is free", "192.168.1.192/29"});
}

// --- the example "mynet": the host's own way in ---

constexpr const char* kMynet = R"(
networks:
  mynet:
    driver: macvlan
    parent: eth0
    subnets:
      - {cidr: 192.168.1.0/24, gateway: 192.168.1.1, range: 192.168.1.192/27, reserved: {host: 192.168.1.223}}
    host_interface: {name: mynet-aux, addresses: [192.168.1.223/32], routes: [{to: 192.168.1.192/27}]}
attachments:
  one: {network: mynet, netns: r1, interface: eth0}
)";

TEST_F(Macvlan, MynetLetsTheHostInAndIsRepaired) {
  apply(kMynet);
  const std::string one = address("r1");
  EXPECT_EQ(one, "192.168.1.192");
  const auto talks = [&] {
    EXPECT_TRUE(ping("", one));
    EXPECT_TRUE(ping("r1", "192.168.1.223"));
    EXPECT_TRUE(tcp("", "r1", one));
  };
  talks();
  EXPECT_TRUE(ping("r1", kRouter));
  const Json before = without_indexes(facts_of(sandbox_));
  for (const char* harm :
       {"link del mynet-aux", "addr flush dev mynet-aux", "route del 192.168.1.192/27 dev mynet-aux",
        "link set mynet-aux down", "link set mynet-aux mtu 1400"}) {
    SCOPED_TRACE(harm);
    EventStream events(*agent_);
    sandbox_.ip(harm);
    events.expect("Repaired", "network mynet");
    const auto same = [&] { return without_indexes(facts_of(sandbox_)) == before; };
    EXPECT_TRUE(wait_until(same)) << differences(before, without_indexes(facts_of(sandbox_)));
    talks();
  }
  sandbox_.ip("link del eth0");
  ASSERT_TRUE(reaches(*agent_, "networks", "mynet", "Pending"));
  lay_cable();
  ASSERT_TRUE(reaches(*agent_, "networks", "mynet", "Ready"));
  ASSERT_TRUE(reaches(*agent_, "attachments", "one", "Ready"));
  talks();
  remove_all();
  EXPECT_EQ(sandbox_.links(), Names{"eth0"});
}

// --- modes ---

std::string in_mode(const std::string& mode) {
  return "networks:\n  lan: {driver: macvlan, parent: eth0, macvlan: {mode: " + mode +
         "}, subnets: [{cidr: 192.168.1.0/24, gateway: 192.168.1.1}]}\nattachments:\n"
         "  one: {network: lan, netns: r1, interface: eth0}\n";
}
const std::string kSecond = "  two: {network: lan, netns: r2, interface: eth0}\n";

TEST_F(Macvlan, PrivateSiblingsReachOnlyTheOutside) {
  apply(in_mode("private") + kSecond);
  EXPECT_EQ(kind_data("eth0", "r1").at("mode"), "private");
  EXPECT_TRUE(ping("r1", kRouter));
  EXPECT_TRUE(ping("r2", kRouter));
  EXPECT_TRUE(no_ping("r1", "192.168.1.3"));
  EXPECT_TRUE(no_ping("r2", "192.168.1.2"));
  apply(in_mode("bridge") + kSecond);
  EXPECT_EQ(kind_data("eth0", "r1").at("mode"), "bridge");
  EXPECT_TRUE(ping("r1", "192.168.1.3"));
  EXPECT_EQ(addresses("r1"), Names{"192.168.1.2/24"});
}

TEST_F(Macvlan, VepaSiblingsTalkByWayOfASwitchThatSendsBack) {
  apply(in_mode("vepa") + kSecond);
  EXPECT_EQ(kind_data("eth0", "r1").at("mode"), "vepa");
  EXPECT_TRUE(ping("r1", kRouter));
  EXPECT_TRUE(no_ping("r1", "192.168.1.3"));
  sandbox_.ip("-n far link add br0 type bridge");
  sandbox_.ip("-n far link set far0 master br0");
  sandbox_.ip("-n far link set br0 up");
  sandbox_.ip("-n far link set far0 type bridge_slave hairpin on");
  EXPECT_TRUE(ping("r1", "192.168.1.3"));
  EXPECT_TRUE(tcp("r2", "r1", "192.168.1.2"));
}

TEST_F(Macvlan, PassthruHasItsParentToItself) {
  apply(in_mode("passthru"));
  EXPECT_EQ(kind_data("eth0", "r1").at("mode"), "passthru");
  EXPECT_EQ(mac("eth0", "r1"), mac("eth0"));
  EXPECT_TRUE(ping("r1", kRouter));
  expect_refused(in_mode("passthru") + kSecond, {"attachment", "one", "two", "network lan", "passthru"});
  for (const char* driver : {"macvlan", "macvlan, macvlan: {mode: passthru}"}) {
    const Finished applied =
        agent_->cli({"apply", "-f", "-"},
                    {.input = std::string("version: 1\nname: other\nnetworks:\n  rival: {driver: ") + driver +
                              ", parent: eth0}\n"});
    EXPECT_EQ(applied.status, 1);
    for (const char* word : {"network rival", "network lan", "eth0", "passthru"})
      EXPECT_NE(applied.err.find(word), std::string::npos) << word << " is not in: " << applied.text();
  }
  EXPECT_TRUE(ping("r1", kRouter));
}

// --- several subnets ---

TEST_F(Macvlan, EachAddressHasTheGatewayOfItsSubnet) {
  sandbox_.ip("-n far addr add 192.168.131.1/24 dev far0");
  sandbox_.ip("-n far addr add 192.168.133.1/24 dev far0");
  sandbox_.ip("-n far addr add fd14::1/64 dev far0 nodad");
  apply(R"(
networks:
  lan:
    driver: macvlan
    parent: eth0
    subnets:
      - {cidr: 192.168.131.0/24, gateway: 192.168.131.1, range: 192.168.131.0/30, reserved: {exclude2: 192.168.131.2}}
      - {cidr: 192.168.133.0/24, gateway: 192.168.133.1, range: 192.168.133.0/25, reserved: {exclude3: 192.168.133.254}}
      - {cidr: "fd14::/64", gateway: "fd14::1", reserved: {exclude1: "fd14::2"}}
attachments:
  a: {network: lan, netns: r1, interface: eth0}
  b: {network: lan, netns: r2, interface: eth0}
  c: {network: lan, netns: r3, interface: eth0, addresses: [192.168.131.99/24, "fd14::99/64"]}
)");
  EXPECT_EQ(addresses("r1"), (Names{"192.168.131.3/24", "fd14::3/64"}));
  EXPECT_EQ(default_routes("r1"), (Names{"192.168.131.1", "fd14::1"}));
  EXPECT_EQ(addresses("r2"), (Names{"192.168.133.2/24", "fd14::4/64"})) << "the first range is full";
  EXPECT_EQ(default_routes("r2"), (Names{"192.168.133.1", "fd14::1"}));
  EXPECT_EQ(default_routes("r3"), (Names{"192.168.131.1", "fd14::1"}));
  EXPECT_TRUE(ping("r1", "fd14::4"));
  EXPECT_TRUE(ping("r2", "fd14::1"));
  EXPECT_TRUE(ping("r1", "192.168.131.99"));
  EXPECT_TRUE(ping("r2", "192.168.133.1"));
  EXPECT_TRUE(tcp("r1", "r3", "fd14::99"));
}

TEST_F(Macvlan, Macnetv6IsIpv6Only) {
  sandbox_.ip("-n far addr add fe90::22/64 dev far0 nodad");
  apply(R"(
networks:
  macnetv6: {driver: macvlan, parent: eth0, subnets: [{cidr: "fe90::/64", gateway: "fe90::22"}]}
attachments:
  one: {network: macnetv6, netns: r1, interface: eth0}
  two: {network: macnetv6, netns: r2, interface: eth0}
)");
  EXPECT_EQ(addresses("r1"), Names{"fe90::1/64"});
  EXPECT_EQ(addresses("r2"), Names{"fe90::2/64"});
  EXPECT_EQ(default_routes("r1"), Names{"fe90::22"});
  EXPECT_TRUE(ping("r2", "fe90::1%eth0"));
  EXPECT_TRUE(ping("r1", "fe90::22%eth0"));
}

TEST_F(Macvlan, InternalHasNoWayOut) {
  apply(R"(
networks:
  lan: {driver: macvlan, parent: eth0, internal: true, subnets: [{cidr: 192.168.1.0/24, gateway: 192.168.1.1}]}
attachments:
  one: {network: lan, netns: r1, interface: eth0}
  two: {network: lan, netns: r2, interface: eth0}
)");
  EXPECT_EQ(default_routes("r1"), Names{});
  EXPECT_TRUE(ping("r1", address("r2")));
}

// --- the parent comes and goes ---

TEST_F(Macvlan, WhatStoodOnTheParentComesBackWithIt) {
  sandbox_.ip("link del eth0");
  ASSERT_TRUE(try_apply(kMacnet100).ok());
  ASSERT_TRUE(reaches(*agent_, "networks", "macnet100", "Pending"));
  EXPECT_NE(message_of(*agent_, "networks", "macnet100").find("eth0"), std::string::npos);
  lay_cable();
  for (const char* name : {"one", "two"}) ASSERT_TRUE(reaches(*agent_, "attachments", name, "Ready"));
  const auto facts = [&] {
    return Json{without_indexes(facts_of(sandbox_, "r1")), without_indexes(facts_of(sandbox_, "r2"))};
  };
  ASSERT_TRUE(ping("r1", kRouter));
  const Json before = facts();
  for (int round = 0; round < 3; ++round) {
    EventStream events(*agent_);
    sandbox_.ip("link del eth0");
    events.expect("Pending", "network macnet100", "eth0", 0, 1s);
    events.expect("Pending", "attachment one", "eth0", 0, 1s);
    EXPECT_EQ(sandbox_.links("r1"), Names{});
    events.pass_over();
    lay_cable();
    events.expect("Ready", "attachment one");
    ASSERT_TRUE(reaches(*agent_, "attachments", "two", "Ready"));
    EXPECT_TRUE(wait_until([&] { return facts() == before; })) << differences(before, facts());
    EXPECT_TRUE(ping("r1", kRouter));
    EXPECT_TRUE(ping("r2", "192.168.1.2"));
  }
  EventStream events(*agent_);
  sandbox_.ip("link set eth0 down");
  events.expect("Pending", "network macnet100", "eth0");
  sandbox_.ip("link set eth0 up");
  ASSERT_TRUE(reaches(*agent_, "networks", "macnet100", "Ready"));
  EXPECT_TRUE(ping("r1", kRouter));
}

// A reboot: no link and no namespace is left, but the store.
TEST_F(Macvlan, EverythingComesBackAfterAReboot) {
  const std::string more = R"(
  up: {driver: bridge, bridge: {name: br-up}}
  inner: {driver: macvlan, parent: br-up, subnets: [{cidr: 10.5.0.0/24}]}
)";
  std::string yaml = kMynet;
  yaml.insert(yaml.find("attachments:"), more.substr(1));
  yaml += R"(  port: {network: up, netns: r1, interface: eth1}
  i2: {network: inner, netns: r2, interface: eth0}
  i3: {network: inner, netns: r3, interface: eth0}
)";
  apply(yaml);
  const auto facts = [&] {
    Json all = facts_of_all(sandbox_, {"", "r1", "r2", "r3"});
    for (Json& each : all) each = without_indexes(each);
    return all;
  };
  const Json before = facts();
  for (const bool agent_first : {false, true}) {
    SCOPED_TRACE(agent_first ? "the agent starts first" : "the agent starts last");
    agent_->stop();
    for (const char* name : {"r1", "r2", "r3"}) sandbox_.delete_netns(name);
    for (const std::string& link : sandbox_.links()) sandbox_.try_ip("link del " + link);
    ASSERT_EQ(sandbox_.links(), Names{});
    if (agent_first) {
      agent_.emplace(sandbox_);
      ASSERT_TRUE(reaches(*agent_, "networks", "mynet", "Pending"));
      ASSERT_TRUE(reaches(*agent_, "networks", "inner", "Ready")) << "its bridge is the agent's to make";
    }
    for (const char* name : {"r1", "r2", "r3"}) sandbox_.add_netns(name);
    lay_cable();
    if (!agent_first) agent_.emplace(sandbox_);
    for (const char* name : {"one", "i2", "i3"}) ASSERT_TRUE(reaches(*agent_, "attachments", name, "Ready"));
    EXPECT_TRUE(converges(*agent_));
    EXPECT_TRUE(wait_until([&] { return facts() == before; })) << differences(before, facts());
    EXPECT_TRUE(ping("", "192.168.1.192"));
    EXPECT_TRUE(ping("r2", address("r3")));
  }
}

// --- what is declared changes ---

TEST_F(Macvlan, LeasesMakeRoomForDeclaredAddressesAndFollowTheSubnets) {
  const auto with = [](const std::string& subnet, const std::string& declared) {
    return "networks:\n  lan: {driver: macvlan, parent: eth0, subnets: [" + subnet +
           "]}\nattachments:\n  one: {network: lan, netns: r1, interface: eth0}\n"
           "  two: {network: lan, netns: r2, interface: eth0, addresses: [" +
           declared + "]}\n";
  };
  const std::string home = "{cidr: 192.168.1.0/24, gateway: 192.168.1.1}";
  apply(with(home, "192.168.1.9/24"));
  EXPECT_EQ(addresses("r1"), Names{"192.168.1.2/24"});
  apply(with(home, "192.168.1.2/24"));
  EXPECT_EQ(addresses("r1"), Names{"192.168.1.3/24"});
  EXPECT_TRUE(ping("r1", "192.168.1.2"));
  apply(with("{cidr: 10.7.0.0/24, gateway: 10.7.0.1}", "192.168.1.2/24"));
  EXPECT_EQ(addresses("r1"), Names{"10.7.0.2/24"});
  EXPECT_EQ(default_routes("r1"), Names{"10.7.0.1"});
  EXPECT_EQ(default_routes("r2"), Names{}) << "its address is of no subnet";
}

TEST_F(Macvlan, ADriverIsExchangedUnderItsAttachments) {
  const auto with = [](const std::string& settings) {
    return "networks:\n  lan: {" + settings +
           ", subnets: [{cidr: 192.168.1.0/24, gateway: 192.168.1.1}]}\nattachments:\n"
           "  one: {network: lan, netns: r1, interface: eth0}\n";
  };
  for (const char* settings :
       {"driver: macvlan, parent: eth0", "driver: bridge, uplinks: [eth0]",
        "driver: macvlan, parent: eth0, macvlan: {mode: passthru}", "driver: macvlan, parent: eth0"}) {
    SCOPED_TRACE(settings);
    apply(with(settings));
    EXPECT_EQ(addresses("r1"), Names{"192.168.1.2/24"});
    EXPECT_TRUE(ping("r1", kRouter));
    EXPECT_EQ(sandbox_.link("eth0")->contains("master"), settings[8] == 'b');
  }
  EXPECT_EQ(sandbox_.links(), Names{"eth0"});
}

// --- what cannot share a parent ---

TEST_F(Macvlan, ConflictsOfDeclarationsNameBothSides) {
  const Names rivals{"network a", "network b", "eth0"};
  const auto with = [](Names words, const Names& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  expect_refused("networks:\n  a: {driver: macvlan, parent: eth0}\n  b: {driver: ipvlan, parent: eth0}\n",
                 with(rivals, {"macvlan and ipvlan"}));
  expect_refused(
      "networks:\n  a: {driver: macvlan, parent: eth0, macvlan: {mode: passthru}}\n"
      "  b: {driver: macvlan, parent: eth0}\n",
      with(rivals, {"passthru"}));
  expect_refused("networks:\n  a: {driver: macvlan, parent: eth0}\n  b: {driver: bridge, uplinks: [eth0]}\n",
                 with(rivals, {"a port of a bridge or the parent of others"}));
  expect_refused(
      "networks:\n  a: {driver: macvlan, parent: eth0, subnets: [{cidr: 10.1.0.0/16}]}\n"
      "  b: {driver: macvlan, parent: eth0, subnets: [{cidr: 10.1.2.0/24}]}\n",
      with(rivals, {"10.1.0.0/16", "10.1.2.0/24", "overlap"}));
  expect_refused(
      "networks:\n  a: {driver: macvlan, parent: eth0, subnets: [{cidr: 10.1.0.0/16}, {cidr: "
      "10.1.2.0/24}]}\n",
      {"10.1.0.0/16", "10.1.2.0/24", "overlaps"});
  expect_refused(
      "networks:\n  b: {driver: bridge, bridge: {name: br-b}, mtu: 1400}\n"
      "  a: {driver: macvlan, parent: br-b, mtu: 1500}\n",
      {"network a", "network b", "1500", "1400"});
  expect_refused(
      "networks:\n  a: {driver: macvlan, parent: eth0, mtu: 1400}\nattachments:\n"
      "  one: {network: a, netns: r1, interface: eth0, mtu: 1500, addresses: []}\n",
      {"one", "1500", "1400"});
  expect_refused(
      "networks:\n  a: {driver: ipvlan, parent: eth0}\nattachments:\n"
      "  one: {network: a, netns: r1, interface: eth0, mac: 02:00:00:00:00:07, addresses: []}\n",
      {"one", "mac", "ipvlan", "parent"});
  for (const char* driver : {"macvlan", "ipvlan"}) {
    const std::string begin = std::string("networks:\n  a: {driver: ") + driver + ", parent: ";
    expect_refused(begin + "lo}\n", {"a", "loopback"});
    expect_refused(begin + "eth0.4095}\n", {"eth0.4095", "between 1 and 4094"});
  }
  EXPECT_EQ(agent_->get_json("/v1/networks"), Json::array());
}

TEST_F(Macvlan, ConflictsAcrossSetsNameBothSides) {
  apply("networks:\n  mine: {driver: macvlan, parent: eth0, subnets: [{cidr: 10.1.0.0/16}]}\n");
  for (const char* rival : {"driver: ipvlan, parent: eth0", "driver: bridge, uplinks: [eth0]",
                            "driver: macvlan, parent: eth0, macvlan: {mode: passthru}",
                            "driver: macvlan, parent: eth0, subnets: [{cidr: 10.1.9.0/24}]"}) {
    SCOPED_TRACE(rival);
    const Finished applied = agent_->cli(
        {"apply", "-f", "-"},
        {.input = std::string("version: 1\nname: other\nnetworks:\n  theirs: {") + rival + "}\n"});
    EXPECT_EQ(applied.status, 1);
    for (const char* word : {"network theirs", "network mine", "eth0"})
      EXPECT_NE(applied.err.find(word), std::string::npos) << word << " is not in: " << applied.text();
  }
  EXPECT_EQ(sandbox_.links(), Names{"eth0"});
  EXPECT_FALSE(sandbox_.link("eth0")->contains("master"));
}

TEST_F(Macvlan, AParentThatIsAPortOfAForeignBridgeIsAConflictUntilItIsTakenOff) {
  sandbox_.ip("link add br-foreign up type bridge");
  sandbox_.ip("link set eth0 master br-foreign");
  ASSERT_TRUE(try_apply(kMacnet100).ok());
  expect_conflict("macnet100", {"eth0", "bridge br-foreign"});
  EXPECT_EQ(sandbox_.links("r1"), Names{});
  EventStream events(*agent_);
  sandbox_.ip("link set eth0 nomaster");
  events.expect("Ready", "network macnet100");
  ASSERT_TRUE(reaches(*agent_, "attachments", "one", "Ready"));
  EXPECT_TRUE(ping("r1", kRouter));
}

TEST_F(Macvlan, AnUplinkThatIsAForeignParentIsAConflict) {
  sandbox_.ip("link add link eth0 name theirs type macvlan mode bridge");
  ASSERT_TRUE(try_apply("networks:\n  lan: {driver: bridge, uplinks: [eth0]}\n").ok());
  expect_conflict("lan", {"eth0", "macvlan link theirs"});
  EXPECT_FALSE(sandbox_.link("eth0")->contains("master"));
}

TEST_F(Macvlan, PassthruBesideAForeignLinkIsAConflict) {
  sandbox_.ip("link add link eth0 name theirs type macvlan mode bridge");
  ASSERT_TRUE(try_apply(in_mode("passthru")).ok());
  expect_conflict("lan", {"eth0", "macvlan link theirs", "passthru"});
  EXPECT_EQ(sandbox_.links("r1"), Names{});
  apply(in_mode("bridge"));
  EXPECT_TRUE(ping("r1", kRouter));
  EXPECT_TRUE(sandbox_.link("theirs"));
}

TEST_F(Macvlan, AnMtuAboveTheParentsIsAConflictUntilTheParentHasIt) {
  ASSERT_TRUE(try_apply("networks:\n  lan: {driver: macvlan, parent: eth0, mtu: 9000}\nattachments:\n"
                        "  one: {network: lan, netns: r1, interface: eth0, addresses: [192.168.1.9/24]}\n")
                  .ok());
  expect_conflict("lan", {"9000", "1500", "eth0"});
  EXPECT_EQ(sandbox_.links("r1"), Names{});
  EventStream events(*agent_);
  sandbox_.ip("link set eth0 mtu 9000");
  events.expect("Ready", "network lan");
  ASSERT_TRUE(reaches(*agent_, "attachments", "one", "Ready"));
  EXPECT_EQ(sandbox_.link("eth0", "r1")->at("mtu"), 9000);
}

// The kernel refuses an address that another link of the parent has while it is up (EADDRINUSE).
TEST_F(Macvlan, TwoAttachmentsSwapTheirMacAddresses) {
  const auto declare = [&](const std::string& first, const std::string& second) {
    apply(
        "networks:\n  lan: {driver: macvlan, parent: eth0}\nattachments:\n"
        "  one: {network: lan, netns: r1, interface: eth0, addresses: [192.168.1.9/24], mac: " +
        first +
        "}\n"
        "  two: {network: lan, netns: r2, interface: eth0, addresses: [192.168.1.10/24], mac: " +
        second + "}\n");
  };
  declare("02:00:00:00:00:01", "02:00:00:00:00:02");
  declare("02:00:00:00:00:02", "02:00:00:00:00:01");
  EXPECT_EQ(mac("eth0", "r1"), "02:00:00:00:00:02");
  EXPECT_EQ(mac("eth0", "r2"), "02:00:00:00:00:01");
  EXPECT_TRUE(ping("r1", "192.168.1.10"));
}

TEST_F(Macvlan, AMacThatIsTakenOnTheParentIsTold) {
  ASSERT_TRUE(try_apply("networks:\n  lan: {driver: macvlan, parent: eth0}\nattachments:\n"
                        "  one: {network: lan, netns: r1, interface: eth0, addresses: [], mac: " +
                        mac("eth0") + "}\n")
                  .ok());
  ASSERT_TRUE(reaches(*agent_, "attachments", "one", "Conflict"));
  EXPECT_NE(message_of(*agent_, "attachments", "one").find("its parent eth0"), std::string::npos);
}

TEST_F(Macvlan, AParentWithoutEthernetIsAConflict) {
  sandbox_.ip("tuntap add tun0 mode tun");
  sandbox_.ip("link set tun0 up");
  ASSERT_TRUE(try_apply("networks:\n  on-tun: {driver: macvlan, parent: tun0}\n"
                        "  lan: {driver: bridge, uplinks: [tun0]}\n")
                  .status == 1)
      << "one link, for two";
  ASSERT_TRUE(try_apply("networks:\n  on-tun: {driver: macvlan, parent: tun0}\n").ok());
  expect_conflict("on-tun", {"tun0", "Ethernet"});
  ASSERT_TRUE(try_apply("networks:\n  lan: {driver: bridge, uplinks: [tun0]}\n").ok());
  expect_conflict("lan", {"tun0", "Ethernet"});
}

TEST_F(Macvlan, AnotherNameOfTheParentMeansTheSameLink) {
  const std::string other = "enp0s31f6-as-udev-calls-it-by-path";
  sandbox_.ip("link property add dev eth0 altname " + other);
  expect_refused(
      "networks:\n  a: {driver: macvlan, parent: eth0}\n  b: {driver: ipvlan, parent: " + other + "}\n",
      {"network a", "network b", "eth0", other});
  apply("networks:\n  a: {driver: macvlan, parent: " + other +
        "}\nattachments:\n"
        "  one: {network: a, netns: r1, interface: eth0, addresses: [192.168.1.9/24]}\n");
  EXPECT_TRUE(ping("r1", kRouter));
}

// --- VLANs on demand ---

class Trunk : public Parents {
 protected:
  Trunk() : Parents({"vlan", "macvlan", "ipvlan"}) {}

  // Where a VLAN of the cable ends: a namespace "s10" of its own.
  void end_vlan(const std::string& vid, const std::string& router) const {
    sandbox_.add_netns("s" + vid);
    connect_vlan(vid, router);
  }
  // Always with the same MAC, or neighbours would look for the old one for a while.
  void connect_vlan(const std::string& vid, const std::string& router) const {
    const std::string name = "far0." + vid;
    sandbox_.ip("-n far link add link far0 name " + name + " address 02:00:00:00:09:" + vid +
                " type vlan id " + vid);
    sandbox_.ip("-n far link set " + name + " netns s" + vid);
    sandbox_.ip("-n s" + vid + " addr add " + router + " dev " + name);
    sandbox_.ip("-n s" + vid + " link set " + name + " up");
  }

  // All that crosses the cable while one pings the other has this tag.
  void expect_tagged(int vid, const std::string& from, const std::string& to) const {
    const Wire wire("far", "far0");
    EXPECT_TRUE(ping(from, to));
    const std::set<Tag> tags = wire.tags();
    EXPECT_TRUE(tags.contains({ETH_P_8021Q, vid, ETH_P_IP}));
    for (const Tag& tag : tags) EXPECT_EQ(std::pair(tag.protocol, tag.vid), std::pair(ETH_P_8021Q, vid));
  }
};

struct TrunkExample {
  std::string name;
  std::string driver;
  std::string settings;
  std::string prefix;  // of the subnets: "192.168."
  Names vids;
};

class TrunkExamples : public Trunk, public testing::WithParamInterface<TrunkExample> {
 protected:
  std::string network(const std::string& vid) const {
    const TrunkExample& example = GetParam();
    const std::string lan = example.prefix + vid;
    return "  " + example.driver + vid + ": {driver: " + example.driver + example.settings +
           ", parent: eth0." + vid + ", subnets: [{cidr: " + lan + ".0/24, gateway: " + lan + ".1}]}\n";
  }
  std::string attachment(const std::string& vid, const std::string& netns) const {
    return "  " + netns + ": {network: " + GetParam().driver + vid + ", netns: " + netns +
           ", interface: eth0}\n";
  }
};

TEST_P(TrunkExamples, KeepTheirVlansApart) {
  const Names& vids = GetParam().vids;
  std::string yaml = "networks:\n";
  for (const std::string& vid : vids) yaml += network(vid);
  yaml += "attachments:\n";
  for (const std::string& vid : vids) {
    end_vlan(vid, GetParam().prefix + vid + ".1/24");
    for (const char* side : {"a", "b"}) {
      sandbox_.add_netns(side + vid);
      yaml += attachment(vid, side + vid);
    }
  }
  apply(yaml);
  for (const std::string& vid : vids) {
    const std::string lan = GetParam().prefix + vid;
    EXPECT_EQ(addresses("a" + vid), Names{lan + ".2/24"});
    EXPECT_EQ(addresses("b" + vid), Names{lan + ".3/24"});
    EXPECT_EQ(default_routes("a" + vid), Names{lan + ".1"});
    EXPECT_EQ(kind_data("eth0." + vid).at("id"), std::stoi(vid));
    EXPECT_TRUE(ping("a" + vid, lan + ".3"));
    expect_tagged(std::stoi(vid), "b" + vid, lan + ".1");
    EXPECT_TRUE(tcp("a" + vid, "s" + vid, lan + ".1"));
  }
  EXPECT_TRUE(no_ping("a" + vids[0], GetParam().prefix + vids[1] + ".2")) << "without a router between them";
  EXPECT_EQ(vlans(), (Names{"eth0." + vids[0], "eth0." + vids[1]}));
  remove_all();
  EXPECT_EQ(sandbox_.links(), Names{"eth0"});
  EXPECT_EQ(vlans(), Names{});
}

INSTANTIATE_TEST_SUITE_P(
    Seeds, TrunkExamples,
    testing::Values(
        TrunkExample{"macvlan10_macvlan20", "macvlan", "", "10.0.", {"10", "20"}},
        TrunkExample{"macvlan50_macvlan60", "macvlan", ", macvlan: {mode: bridge}", "192.168.", {"50", "60"}},
        TrunkExample{"ipvlan20_ipvlan30", "ipvlan", ", ipvlan: {mode: l2}", "192.168.", {"20", "30"}}),
    [](const auto& example) { return example.param.name; });

// The same addresses everywhere: whatever crosses would answer.
constexpr const char* kFourVlans = R"(
networks:
  m10: {driver: macvlan, parent: eth0.10}
  m20: {driver: macvlan, parent: eth0.20}
  i50: {driver: ipvlan, parent: eth0.50}
  i60: {driver: ipvlan, parent: eth0.60}
attachments:
  h10: {network: m10, netns: h10, interface: eth0, addresses: [10.9.0.10/24]}
  h20: {network: m20, netns: h20, interface: eth0, addresses: [10.9.0.20/24]}
  h50: {network: i50, netns: h50, interface: eth0, addresses: [10.9.0.50/24]}
  h60: {network: i60, netns: h60, interface: eth0, addresses: [10.9.0.60/24]}
)";

class FourVlans : public Trunk {
 protected:
  void SetUp() override {
    Trunk::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    for (const std::string vid : kVids) {
      end_vlan(vid, "10.9.0.254/24");
      sandbox_.add_netns("h" + vid);
    }
  }
  void expect_traffic() const {
    for (const std::string vid : kVids) expect_tagged(std::stoi(vid), "h" + vid, "10.9.0.254");
  }
  void expect_apart() const {
    for (const std::string vid : kVids) {
      for (const std::string other : kVids) {
        if (vid == other) continue;
        EXPECT_TRUE(no_ping("h" + vid, "10.9.0." + other, 300ms)) << vid;
      }
    }
  }
  static constexpr std::array kVids{"10", "20", "50", "60"};
};

TEST_F(FourVlans, CrossNowhereAndShareTheirTrunk) {
  apply(kFourVlans);
  expect_traffic();
  expect_apart();
  EXPECT_EQ(vlans(), (Names{"eth0.10", "eth0.20", "eth0.50", "eth0.60"}));
  for (const Json& vlan : agent_->get_json("/v1/vlans")) EXPECT_EQ(vlan.value("set", ""), "") << vlan;

  // Another set uses one of them as well, and keeps it.
  sandbox_.add_netns("g10");
  const std::string second = R"(
version: 1
name: second
networks:
  again: {driver: macvlan, parent: eth0.10, macvlan: {mode: bridge}}
attachments:
  g10: {network: again, netns: g10, interface: eth0, addresses: [10.9.0.11/24]}
)";
  agent_->apply(second);
  const int index = sandbox_.link("eth0.10")->at("ifindex");
  EXPECT_TRUE(ping("g10", "10.9.0.10"));
  remove_all();
  EXPECT_EQ(sandbox_.links(), (Names{"eth0", "eth0.10"}));
  EXPECT_EQ(sandbox_.link("eth0.10")->at("ifindex"), index);
  EXPECT_TRUE(ping("g10", "10.9.0.254"));
  ASSERT_TRUE(agent_->cli({"delete", "set", "second", "--wait"}).ok());
  EXPECT_EQ(sandbox_.links(), Names{"eth0"});
  EXPECT_EQ(vlans(), Names{});
}

TEST_F(FourVlans, ComeBackWithTheTrunkAndAfterAReboot) {
  apply(kFourVlans);
  const auto facts = [&] {
    Json all = facts_of_all(sandbox_, {"", "h10", "h20", "h50", "h60"});
    for (Json& each : all) each = without_indexes(each);
    return all;
  };
  const auto all_ready = [&] {
    for (const std::string vid : kVids) ASSERT_TRUE(reaches(*agent_, "attachments", "h" + vid, "Ready"));
    EXPECT_TRUE(converges(*agent_));
  };
  const auto lay_trunk = [&] {
    lay_cable();
    for (const std::string vid : kVids) connect_vlan(vid, "10.9.0.254/24");
  };
  const Json before = facts();

  EventStream events(*agent_);
  sandbox_.ip("link del eth0");
  events.expect("Pending", "attachment h50", "eth0.50");
  EXPECT_EQ(sandbox_.links("h50"), Names{});
  lay_trunk();
  all_ready();
  EXPECT_TRUE(wait_until([&] { return facts() == before; })) << differences(before, facts());
  expect_traffic();

  agent_->stop();
  for (const std::string vid : kVids) sandbox_.delete_netns("h" + vid);
  sandbox_.ip("link del eth0");
  ASSERT_EQ(sandbox_.links(), Names{});
  agent_.emplace(sandbox_);
  ASSERT_TRUE(reaches(*agent_, "networks", "m10", "Pending"));
  for (const std::string vid : kVids) sandbox_.add_netns("h" + vid);
  lay_trunk();
  all_ready();
  EXPECT_TRUE(wait_until([&] { return facts() == before; })) << differences(before, facts());
  expect_traffic();
}

TEST_F(FourVlans, AParentOnDemandThatIsDeletedIsMadeAgain) {
  apply(kFourVlans);
  EventStream events(*agent_);
  sandbox_.ip("link del eth0.50");
  events.expect("Repaired", "vlan eth0.50");
  ASSERT_TRUE(reaches(*agent_, "attachments", "h50", "Ready"));
  expect_tagged(50, "h50", "10.9.0.254");
}

// The kernel has one link for each VLAN ID of a parent.
TEST_F(Trunk, AVlanThatIsThereByAnotherNameIsToldAndAwaited) {
  sandbox_.ip("link add link eth0 name vlan50 type vlan id 50");
  ASSERT_TRUE(try_apply("networks:\n  n: {driver: macvlan, parent: eth0.50}\n").ok());
  ASSERT_TRUE(reaches(*agent_, "vlans", "eth0.50", "Conflict"));
  ASSERT_TRUE(reaches(*agent_, "networks", "n", "Pending"));
  EXPECT_NE(message_of(*agent_, "networks", "n").find("vlan50"), std::string::npos);
  EventStream events(*agent_);
  sandbox_.ip("link del vlan50");
  events.expect("Ready", "network n");
  EXPECT_TRUE(sandbox_.link("eth0.50"));
}

TEST_F(Trunk, AVlanWithAnMtuAboveItsParentsIsAConflict) {
  ASSERT_TRUE(try_apply("vlans:\n  eth0.50: {parent: eth0, id: 50, mtu: 9000}\n").ok());
  ASSERT_TRUE(reaches(*agent_, "vlans", "eth0.50", "Conflict"));
  EventStream events(*agent_);
  sandbox_.ip("link set eth0 mtu 9000");
  events.expect("Ready", "vlan eth0.50");
}

// The example "ipvlan40".
TEST_F(Trunk, VlanLinksOfTheAdministratorAreUsedAndSurvive) {
  sandbox_.ip("link add link eth0 name eth0.40 type vlan id 40");
  sandbox_.ip("link set eth0.40 up");
  sandbox_.ip("link add link eth0 name office type vlan id 41");
  sandbox_.ip("link set office up");
  end_vlan("40", "192.168.40.1/24");
  end_vlan("41", "192.168.41.1/24");
  const auto facts = [&] {
    Json now = facts_of(sandbox_);
    for (Json& link : now.at("links")) link.erase("promiscuity");  // the kernel's, for MACs on VLANs
    return now;
  };
  const Json before = facts();
  apply(R"(
networks:
  ipvlan40: {driver: ipvlan, parent: eth0.40, subnets: [{cidr: 192.168.40.0/24, gateway: 192.168.40.1}]}
  macvlan41: {driver: macvlan, parent: office, subnets: [{cidr: 192.168.41.0/24, gateway: 192.168.41.1}]}
attachments:
  ivlan_test5: {network: ipvlan40, netns: r1, interface: eth0}
  ivlan_test6: {network: ipvlan40, netns: r2, interface: eth0}
  other: {network: macvlan41, netns: r3, interface: eth0}
)");
  EXPECT_TRUE(ping("r1", address("r2")));
  expect_tagged(40, "r1", "192.168.40.1");
  expect_tagged(41, "r3", "192.168.41.1");
  EXPECT_EQ(differences(before, facts()), "");
  agent_->kill();
  agent_.emplace(sandbox_);
  ASSERT_TRUE(converges(*agent_));
  remove_all();
  EXPECT_EQ(differences(before, facts()), "");
}

TEST_F(Trunk, AParentOnDemandBecomesADeclaredOne) {
  end_vlan("10", "10.0.10.1/24");
  apply(R"(
networks:
  lan: {driver: macvlan, parent: eth0.10, subnets: [{cidr: 10.0.10.0/24, gateway: 10.0.10.1}]}
attachments:
  one: {network: lan, netns: r1, interface: eth0}
)");
  const int index = sandbox_.link("eth0.10")->at("ifindex");
  agent_->apply("version: 1\nname: vlans\nvlans:\n  eth0.10: {parent: eth0, id: 10}\n");
  EXPECT_EQ(object_of(*agent_, "vlans", "eth0.10").at("set"), "vlans");
  EXPECT_EQ(sandbox_.link("eth0.10")->at("ifindex"), index) << "it is the same link";
  expect_tagged(10, "r1", "10.0.10.1");
  remove_all();
  EXPECT_EQ(sandbox_.links(), (Names{"eth0", "eth0.10"})) << "it belongs to another set now";
}

TEST_F(Trunk, AnotherNameIsNotMadeOnDemand) {
  ASSERT_TRUE(try_apply("networks:\n  lan: {driver: macvlan, parent: eth0.office}\n").ok());
  ASSERT_TRUE(reaches(*agent_, "networks", "lan", "Pending"));
  EXPECT_NE(message_of(*agent_, "networks", "lan").find("NAME.VID"), std::string::npos);
  EXPECT_EQ(sandbox_.links(), Names{"eth0"});
}

// "docker network connect": one namespace in both VLANs; only one of them can be the way out.
TEST_F(Trunk, OneNamespaceIsInTwoVlans) {
  end_vlan("10", "10.0.10.1/24");
  end_vlan("20", "10.0.20.1/24");
  apply(R"(
networks:
  macvlan10: {driver: macvlan, parent: eth0.10, subnets: [{cidr: 10.0.10.0/24, gateway: 10.0.10.1}]}
  macvlan20: {driver: macvlan, parent: eth0.20, subnets: [{cidr: 10.0.20.0/24}]}
attachments:
  container0: {network: macvlan10, netns: r1, interface: eth0, addresses: [10.0.10.2/24]}
  container0-20: {network: macvlan20, netns: r1, interface: eth1, addresses: [10.0.20.3/24]}
)");
  EXPECT_EQ(default_routes("r1"), Names{"10.0.10.1"});
  expect_tagged(10, "r1", "10.0.10.1");
  expect_tagged(20, "r1", "10.0.20.1");
}

TEST_F(Trunk, AServiceTagGoesAroundTheCustomersTag) {
  apply(R"(
vlans:
  service: {parent: eth0, id: 100, protocol: 802.1ad}
networks:
  outer: {driver: macvlan, parent: service}
  inner: {driver: ipvlan, parent: service.5}
attachments:
  one: {network: outer, netns: r1, interface: eth0, addresses: [10.9.0.1/24]}
  two: {network: inner, netns: r2, interface: eth0, addresses: [10.9.0.2/24]}
)");
  EXPECT_EQ(kind_data("service").at("protocol"), "802.1ad");
  EXPECT_EQ(vlans(), (Names{"service", "service.5"}));
  const Wire wire("far", "far0");
  for (const auto& [netns, inside] : {std::pair("r1", ETH_P_ARP), std::pair("r2", ETH_P_8021Q)}) {
    EXPECT_TRUE(no_ping(netns, "10.9.0.254"));  // nobody there: what it asks for is what is looked at
    const std::set<Tag> tags = wire.tags();
    EXPECT_TRUE(tags.contains({ETH_P_8021AD, 100, inside})) << netns;
    for (const Tag& tag : tags) EXPECT_EQ(std::pair(tag.protocol, tag.vid), std::pair(ETH_P_8021AD, 100));
  }
  apply("vlans:\n  service: {parent: eth0, id: 100, protocol: 802.1ad}\n");
  EXPECT_EQ(sandbox_.links(), (Names{"eth0", "service"}));
  remove_all();
  EXPECT_EQ(sandbox_.links(), Names{"eth0"});
}

TEST_F(Trunk, AnMtuAboveADeclaredParentsIsRefused) {
  expect_refused(
      "vlans:\n  up: {parent: eth0, id: 7, mtu: 1400}\nnetworks:\n  lan: {driver: macvlan, parent: up, mtu: "
      "1500}\n",
      {"network lan", "vlan up", "1500", "1400"});
}

// --- ipvlan ---

class Ipvlan : public Parents {
 protected:
  Ipvlan() : Parents({"macvlan", "ipvlan"}) {}
};

TEST_F(Ipvlan, Ipnet100SharesTheParentsMac) {
  apply(R"(
networks:
  ipnet100: {driver: ipvlan, parent: eth0, subnets: [{cidr: 192.168.1.0/24, gateway: 192.168.1.1}]}
attachments:
  one: {network: ipnet100, netns: r1, interface: eth0}
  two: {network: ipnet100, netns: r2, interface: eth0}
)");
  EXPECT_EQ(addresses("r1"), Names{"192.168.1.2/24"});
  EXPECT_EQ(default_routes("r1"), Names{kRouter});
  EXPECT_EQ(kind_data("eth0", "r1").at("mode"), "l2");
  EXPECT_EQ(mac("eth0", "r1"), mac("eth0"));
  EXPECT_EQ(mac("eth0", "r2"), mac("eth0"));
  EXPECT_TRUE(ping("r1", "192.168.1.3"));
  EXPECT_TRUE(ping("far", "192.168.1.3"));
  EXPECT_TRUE(tcp("r2", "far", kRouter));
  EXPECT_TRUE(no_ping("r1", kHost));
  EXPECT_TRUE(no_ping("", "192.168.1.2"));
  const Json before = without_indexes(facts_of(sandbox_, "r1"));
  EventStream events(*agent_);
  sandbox_.ip("link del eth0");
  events.expect("Pending", "attachment one", "eth0");
  lay_cable();
  events.expect("Ready", "attachment one");
  const auto same = [&] { return without_indexes(facts_of(sandbox_, "r1")) == before; };
  EXPECT_TRUE(wait_until(same)) << differences(before, without_indexes(facts_of(sandbox_, "r1")));
  EXPECT_TRUE(ping("r1", kRouter));
}

// The examples "ipvlan120" and 192.168.130.0/24 of the second host.
TEST_F(Ipvlan, Ipvlan120And130AreRoutedByOneParent) {
  apply(R"(
networks:
  ipvlan120: {driver: ipvlan, parent: eth0, ipvlan: {mode: l3}, subnets: [{cidr: 192.168.120.0/24}]}
  ipvlan130:
    driver: ipvlan
    parent: eth0
    ipvlan: {mode: l3}
    subnets: [{cidr: 192.168.130.0/24, gateway: 192.168.130.1}]
attachments:
  any: {network: ipvlan120, netns: r1, interface: eth0}
  fixed: {network: ipvlan120, netns: r2, interface: eth0, addresses: [192.168.120.10/24]}
  other: {network: ipvlan130, netns: r3, interface: eth0}
)");
  EXPECT_EQ(kind_data("eth0", "r1").at("mode"), "l3");
  EXPECT_EQ(default_routes("r1"), Names{"dev eth0"});
  EXPECT_EQ(default_routes("r3"), Names{"dev eth0"}) << "a gateway is of no use";
  EXPECT_TRUE(ping("r1", "192.168.120.10"));
  EXPECT_TRUE(ping("r1", address("r3")));
  EXPECT_TRUE(tcp("r3", "r2", "192.168.120.10"));
  sandbox_.ip("-n far route add 192.168.120.0/24 via 192.168.1.251");
  sandbox_.ip("-n far route add 192.168.130.0/24 via 192.168.1.251");
  EXPECT_TRUE(ping("far", "192.168.120.10"));
  EXPECT_TRUE(ping("r3", kRouter));
}

TEST_F(Ipvlan, Ipnet131HasTwoSubnetsAndIpv6InModeL3) {
  apply(R"(
networks:
  ipnet131:
    driver: ipvlan
    parent: eth0
    ipvlan: {mode: l3}
    subnets:
      - {cidr: 192.168.131.0/24, gateway: 192.168.131.1, range: 192.168.131.0/25, reserved: {exclude2: 192.168.131.254}}
      - {cidr: 192.168.133.0/24, gateway: 192.168.133.1, range: 192.168.133.0/25, reserved: {exclude3: 192.168.133.254}}
      - {cidr: "fd14::/64", reserved: {exclude1: "fd14::2"}}
attachments:
  one: {network: ipnet131, netns: r1, interface: eth0}
  two: {network: ipnet131, netns: r2, interface: eth0}
  three: {network: ipnet131, netns: r3, interface: eth0, addresses: [192.168.133.7/24, "fd14::7/64"]}
)");
  EXPECT_EQ(addresses("r1"), (Names{"192.168.131.2/24", "fd14::1/64"}));
  EXPECT_EQ(addresses("r2"), (Names{"192.168.131.3/24", "fd14::3/64"}));
  EXPECT_EQ(default_routes("r1"), (Names{"dev eth0", "dev eth0"}));
  EXPECT_TRUE(ping("r1", "192.168.133.7"));
  EXPECT_TRUE(ping("r1", "fd14::7"));
  EXPECT_TRUE(ping("r2", "fd14::1"));
}

std::string ipvlan_with(const std::string& settings) {
  return "networks:\n  lan: {driver: ipvlan, parent: eth0, ipvlan: {" + settings +
         "}, subnets: [{cidr: 192.168.1.0/24, gateway: 192.168.1.1}]}\nattachments:\n"
         "  one: {network: lan, netns: r1, interface: eth0}\n  two: {network: lan, netns: r2, interface: "
         "eth0}\n";
}

TEST_F(Ipvlan, FlagsSayWhomItReaches) {
  for (const std::string flag : {"private", "vepa", "bridge"}) {
    SCOPED_TRACE(flag);
    apply(ipvlan_with("flag: " + flag));
    EXPECT_EQ(kind_data("eth0", "r1").at("mode"), "l2");
    EXPECT_NE(kind_data("eth0", "r1").dump().find("\"" + flag + "\""), std::string::npos)
        << kind_data("eth0", "r1");
    EXPECT_TRUE(ping("r1", kRouter));
    EXPECT_TRUE(flag == "bridge" ? ping("r1", "192.168.1.3") : no_ping("r1", "192.168.1.3"));
  }
  apply(ipvlan_with("mode: l3s"));
  EXPECT_EQ(kind_data("eth0", "r1").at("mode"), "l3s");
  EXPECT_EQ(default_routes("r1"), Names{"dev eth0"});
  EXPECT_TRUE(ping("r1", "192.168.1.3"));
}

TEST_F(Ipvlan, TheHostHasAWayIn) {
  apply(R"(
networks:
  lan:
    driver: ipvlan
    parent: eth0
    subnets: [{cidr: 192.168.1.0/24, gateway: 192.168.1.1, range: 192.168.1.192/27, reserved: {host: 192.168.1.223}}]
    host_interface: {name: lan-host, addresses: [192.168.1.223/32], routes: [{to: 192.168.1.192/27}]}
attachments:
  one: {network: lan, netns: r1, interface: eth0}
)");
  EXPECT_TRUE(ping("", "192.168.1.192"));
  EXPECT_TRUE(ping("r1", "192.168.1.223"));
  EventStream events(*agent_);
  sandbox_.ip("link del lan-host");
  events.expect("Repaired", "network lan");
  EXPECT_TRUE(ping("", "192.168.1.192"));
}

TEST_F(Ipvlan, ConflictsNameBothSides) {
  expect_refused(
      "networks:\n  a: {driver: ipvlan, parent: eth0}\n  b: {driver: ipvlan, parent: eth0, ipvlan: {mode: "
      "l3}}\n",
      {"network a", "network b", "eth0", "one mode and flag"});
  sandbox_.ip("link add link eth0 name theirs type ipvlan mode l2");
  ASSERT_TRUE(try_apply(kMacnet100).ok());
  expect_conflict("macnet100", {"eth0", "ipvlan link theirs", "macvlan"});
  EXPECT_EQ(sandbox_.links("r1"), Names{});
  sandbox_.ip("link del theirs");
  ASSERT_TRUE(reaches(*agent_, "attachments", "one", "Ready"));
  EXPECT_TRUE(ping("r1", kRouter));
}

// --- without a parent ---

class Dummy : public Parents {
 protected:
  Dummy() : Parents({"macvlan", "ipvlan", "dummy"}) {}
};

TEST_F(Dummy, Macnet242ReachesOnlyItself) {
  for (const std::string driver : {"macvlan", "ipvlan"}) {
    SCOPED_TRACE(driver);
    apply("networks:\n  macnet242: {driver: " + driver +
          ", subnets: [{cidr: 192.168.242.0/24}]}\n"
          "  macnet246: {driver: " +
          driver + ", internal: true, subnets: [{cidr: 192.168.246.0/24, gateway: 192.168.246.1}]}\n" + R"(
attachments:
  one: {network: macnet242, netns: r1, interface: eth0}
  two: {network: macnet242, netns: r2, interface: eth0}
  three: {network: macnet246, netns: r3, interface: eth0}
)");
    EXPECT_EQ(sandbox_.links(), (Names{"eth0", "lw-macnet242", "lw-macnet246"}));
    EXPECT_EQ(sandbox_.link("lw-macnet242")->at("linkinfo").at("info_kind"), "dummy");
    EXPECT_EQ(default_routes("r1"), Names{});
    EXPECT_EQ(default_routes("r3"), Names{});
    EXPECT_TRUE(ping("r1", address("r2")));
    EXPECT_TRUE(no_ping("r1", kRouter, 300ms));
    EXPECT_TRUE(no_ping("r1", kHost, 300ms));
    EXPECT_TRUE(no_ping("r1", address("r3"), 300ms));
    EXPECT_TRUE(no_ping("", address("r1"), 300ms));

    EventStream events(*agent_);
    sandbox_.ip("link del lw-macnet242");
    events.expect("Repaired", "network macnet242");
    for (const char* name : {"one", "two"}) ASSERT_TRUE(reaches(*agent_, "attachments", name, "Ready"));
    EXPECT_TRUE(ping("r1", address("r2")));
    remove_all();
    EXPECT_EQ(sandbox_.links(), Names{"eth0"});
    EXPECT_EQ(sandbox_.links("r1"), Names{});
  }
}

TEST_F(Dummy, Macnet222HasThreeSubnets) {
  apply(R"(
networks:
  macnet222:
    driver: macvlan
    macvlan: {mode: bridge}
    subnets:
      - {cidr: 192.168.222.0/24, range: 192.168.222.0/25, reserved: {exclude2: 192.168.222.2}}
      - {cidr: 192.168.224.0/24, range: 192.168.224.0/25, reserved: {exclude3: 192.168.224.2}}
      - {cidr: "fd18::/64", reserved: {exclude1: "fd18::2"}}
attachments:
  any: {network: macnet222, netns: r1, interface: eth0}
  both: {network: macnet222, netns: r2, interface: eth0, addresses: [192.168.222.10/24, "fd18::10/64"]}
  six: {network: macnet222, netns: r3, interface: eth0, addresses: ["fd18::11/64"]}
)");
  EXPECT_EQ(addresses("r1"), (Names{"192.168.222.1/24", "fd18::1/64"}));
  EXPECT_TRUE(ping("r1", "192.168.222.10"));
  EXPECT_TRUE(ping("r1", "fd18::10"));
  EXPECT_TRUE(ping("r3", "fd18::1"));
  EXPECT_TRUE(tcp("r2", "r3", "fd18::11"));
}

TEST_F(Macvlan, AForeignLinkInTheWayIsMissedWhenItGoes) {
  sandbox_.ip("link add link eth0 name theirs type macvlan mode bridge");
  ASSERT_TRUE(try_apply("networks:\n  lan: {driver: bridge, uplinks: [eth0]}\n").ok());
  expect_conflict("lan", {"eth0", "macvlan link theirs"});
  // Whatever else is told of eth0 would have it looked at again.
  const auto quiet = [&] { return sandbox_.link("eth0")->dump().find("tentative") == std::string::npos; };
  ASSERT_TRUE(wait_until(quiet));
  EventStream events(*agent_);
  sandbox_.ip("link del theirs");
  events.expect("Ready", "network lan", "", 0, 5s);
}

TEST_F(Macvlan, AttachmentsOfANetworkInConflictAreNotTried) {
  sandbox_.ip("link add link eth0 name theirs type macvlan mode bridge");
  ASSERT_TRUE(try_apply(in_mode("passthru")).ok());
  expect_conflict("lan", {"eth0", "macvlan link theirs", "passthru"});
  EXPECT_TRUE(wait_until(
      [&] { return message_of(*agent_, "attachments", "one").find("theirs") != std::string::npos; }, 3s))
      << message_of(*agent_, "attachments", "one");
  EXPECT_EQ(agent_->metric("action_failures_total"), 0U);
}

TEST_F(Macvlan, ANetworkThatNeedsNothingTellsThatItIsReadyAgain) {
  apply(kMacnet100);
  EventStream events(*agent_);
  sandbox_.ip("link set eth0 down");
  events.expect("Pending", "network macnet100", "eth0");
  sandbox_.ip("link set eth0 up");
  events.expect("Ready", "network macnet100", "", 0, 5s);
}

TEST_F(Macvlan, AnUplinkOfTheSamePlanIsNoFailure) {
  sandbox_.ip("link add eth9 up type veth peer name far9 netns far");
  sandbox_.ip("-n far link set far9 up");
  const auto set_on = [](const std::string& parent) {
    return "networks:\n  below: {driver: macvlan, parent: " + parent +
           ", host_interface: {name: shim0}}\n"
           "  lan: {driver: bridge, uplinks: [shim0]}\n";
  };
  const auto expect_plugged_in = [&] {
    const auto shim = sandbox_.link("shim0");
    ASSERT_TRUE(shim);
    EXPECT_EQ(shim->value("master", ""), "lw-lan");
    EXPECT_EQ(agent_->metric("action_failures_total"), 0U);
    for (const Json& event : agent_->get_json("/v1/events?limit=1000"))
      EXPECT_NE(event.at("type"), "Failed") << event.dump();
  };
  apply(set_on("eth0"));
  expect_plugged_in();
  const Json before = *sandbox_.link("shim0");
  apply(set_on("eth9"));
  expect_plugged_in();
  EXPECT_NE(sandbox_.link("shim0")->at("ifindex"), before.at("ifindex")) << "it is made anew";

  agent_->kill();
  sandbox_.ip("link del shim0");
  agent_.emplace(sandbox_);
  ASSERT_TRUE(converges(*agent_));
  expect_plugged_in();
}

TEST_F(Macvlan, ASetIsDeletedWithWhatWasMadeOnDemandOnItsVlans) {
  ASSERT_TRUE(
      try_apply("vlans:\n  up: {parent: absent, id: 7}\nnetworks:\n  lan: {driver: macvlan, parent: up.5}\n")
          .ok());
  EXPECT_EQ(vlans(), (Names{"up", "up.5"}));
  remove_all();
  EXPECT_TRUE(wait_until([&] { return vlans().empty(); }));
}

TEST_F(Macvlan, TwoGatewaysInOneNamespaceAreNotFoughtOver) {
  ASSERT_TRUE(try_apply(R"(
networks:
  macvlan10: {driver: macvlan, parent: eth0, subnets: [{cidr: 10.0.10.0/24, gateway: 10.0.10.1}]}
  macvlan20: {driver: macvlan, parent: eth0, subnets: [{cidr: 10.0.20.0/24, gateway: 10.0.20.1}]}
attachments:
  one: {network: macvlan10, netns: r1, interface: eth0}
  two: {network: macvlan20, netns: r1, interface: eth1}
)")
                  .ok());
  for (const char* name : {"one", "two"}) EXPECT_TRUE(reaches(*agent_, "attachments", name, "Ready", 3s));
  EXPECT_FALSE(wait_until([&] { return agent_->metric("repairs_total") > 0; }, 2s));
  EXPECT_EQ(default_routes("r1").size(), 1U);
}

// --- nothing is left behind ---

TEST_F(Macvlan, AnAttachmentThatMovesLeavesNothingBehind) {
  const auto in = [](const std::string& netns) {
    return "networks:\n  lan: {driver: macvlan, parent: eth0, subnets: [{cidr: "
           "192.168.1.0/24}]}\nattachments:\n"
           "  one: {network: lan, netns: " +
           netns + ", interface: eth0}\n";
  };
  apply(in("r1"));
  const std::string first = address("r1");
  apply(in("r2"));
  EXPECT_EQ(sandbox_.links("r1"), Names{});
  EXPECT_EQ(address("r2"), first) << "it is the same attachment";
  EXPECT_TRUE(ping("far", first));

  for (int round = 0; round < 6; ++round) {
    SCOPED_TRACE(round);
    const std::string to = round % 2 == 0 ? "r1" : "r2";
    const std::string from = round % 2 == 0 ? "r2" : "r1";
    ASSERT_TRUE(try_apply(in(to)).ok());  // answered when it is stored, before it is done
    agent_->kill();
    agent_.emplace(sandbox_);
    ASSERT_TRUE(converges(*agent_));
    EXPECT_EQ(sandbox_.links(from), Names{});
    EXPECT_EQ(sandbox_.links(to), Names{"eth0"});
    EXPECT_EQ(address(to), first);
  }
  EXPECT_TRUE(ping("far", first));
}

class Crash : public Macvlan {
 protected:
  static constexpr int kAttachments = 20;

  static std::string fleet(int version) {
    std::string text =
        "networks:\n  lan: {driver: macvlan, parent: eth0, subnets: [{cidr: 10.8.0.0/24}]}\nattachments:\n";
    for (int i = 0; i < kAttachments; ++i) {
      text += "  a" + std::to_string(i) + ": {network: lan, netns: r" +
              std::to_string(1 + (i + version) % 3) + ", interface: e" + std::to_string(i) + "}\n";
    }
    return text;
  }

  // What the agent's own word is, and what is there.
  std::set<std::string> declared() const {
    std::set<std::string> places;
    for (const Json& object : agent_->get_json("/v1/attachments")) {
      const Json& spec = object.at("spec");
      places.insert(spec.at("netns").get<std::string>() + "/" + spec.at("interface").get<std::string>());
    }
    return places;
  }
  std::set<std::string> present() const {
    std::set<std::string> places;
    for (const std::string netns : {"r1", "r2", "r3"}) {
      for (const std::string& link : sandbox_.links(netns)) places.insert(netns + "/" + link);
    }
    return places;
  }

  // Asks for another version, or for nothing, and kills the agent somewhere in it.
  void die_while_changing_to(int version, Milliseconds moment) {
    Names command{client_program(), "--socket", agent_->socket()};
    const std::string file = sandbox_.write_file("fleet.yaml", set_of(fleet(version)));
    const Names words = version % 5 == 0 ? Names{"delete", "set", "parents"} : Names{"apply", "-f", file};
    command.insert(command.end(), words.begin(), words.end());
    const pid_t client = spawn({command, "", {}, -1, -1, -1});
    EXPECT_FALSE(agent_->wait(moment)) << "the agent ended by itself";
    agent_->kill();
    wait_exit(client, 20s);
  }
};

TEST_F(Crash, NeverLeaksOverTwentyRounds) {
  std::mt19937 random(3);
  const auto began = std::chrono::steady_clock::now();
  apply(fleet(0));
  const auto whole =
      std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - began).count();
  int torn = 0;
  for (int round = 1; round <= 20; ++round) {
    SCOPED_TRACE(round);
    const std::set<std::string> before = present();
    die_while_changing_to(round, Milliseconds(std::uniform_int_distribution<std::int64_t>(0, whole)(random)));
    const std::set<std::string> left = present();
    agent_.emplace(sandbox_);
    ASSERT_TRUE(converges(*agent_));
    ASSERT_EQ(present(), declared());
    torn += left != before && left != present() ? 1 : 0;
    ASSERT_EQ(sandbox_.links(), Names{"eth0"});
    ASSERT_EQ(agent_->get_json("/v1/status").at("orphans"), 0);
  }
  std::cout << "  20 rounds over " << whole << " ms each: " << torn << " died between two states\n";
  apply(fleet(0));
  EXPECT_TRUE(ping("r1", address("r2", "e1")));
  remove_all();
  EXPECT_EQ(present(), std::set<std::string>{});
}

}  // namespace
}  // namespace lanwright::test
