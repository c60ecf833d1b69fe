// What Docker's own tests ask of its drivers macvlan and ipvlan, asked of ours. In the guest, as all of it
// needs 802.1Q, ipvlan or dummy. Source of the cases:
// https://github.com/moby/moby/tree/master/integration/network and the tests of daemon/libnetwork/drivers;
// how containers ask DNS is Docker's own affair.
#include <fstream>
#include <map>

#include "tests/integration/docker_on_parent.h"

namespace lanwright::test {
namespace {

class AnyParity : public DockerOnParent {
 protected:
  using DockerOnParent::DockerOnParent;

  static NetworkRequest on(const std::string& parent, std::vector<NetworkPool> pools, Texts options = {}) {
    if (!parent.empty()) options["parent"] = parent;
    return {.pools = std::move(pools), .options = std::move(options)};
  }
  // Both have addresses of these.
  void run_two(const std::string& one, const std::string& other, const Words& its, const Words& others) {
    docker_->run(one, "lan", {.addresses = its});
    docker_->run(other, "lan", {.addresses = others});
  }
  static std::string without_length(const std::string& address) {
    return address.substr(0, address.find('/'));
  }
  static testing::AssertionResult reach(const std::string& container, const Words& addresses) {
    for (const std::string& address : addresses)
      if (auto there = ping(container, without_length(address)); !there) return there;
    return testing::AssertionSuccess();
  }
  std::string disable_ipv6(const std::string& container) const {
    std::string value;
    in_netns(container, [&] {
      std::ifstream file("/proc/sys/net/ipv6/conf/eth0/disable_ipv6");
      std::getline(file, value);
    });
    return value;
  }
  // Of the families of its addresses, those of the kernel's own making included.
  std::set<std::string> families(const std::string& container) const {
    const Json link = sandbox_.link("eth0", container).value();
    std::set<std::string> families;
    for (const Json& address : link.at("addr_info")) families.insert(address.at("family"));
    return families;
  }
};

class Parity : public AnyParity, public testing::WithParamInterface<KindAndEngine> {
 protected:
  Parity() : AnyParity(GetParam().second) {}
  static const std::string& kind() { return GetParam().first; }
};

TEST_P(Parity, NetworksShareAParentThatGoesWithTheLast) {
  const Json before = inventory();
  end_vlan(sandbox_, "router", "40", "10.5.0.1/24");
  docker_->create_network(kind(), "lan", lan_on("p0.40"));
  const int index = index_of("p0.40");
  docker_->create_network(kind(), "second", on("p0.40", {{"10.6.0.0/24", "10.6.0.1"}}));
  docker_->remove_network("second");
  EXPECT_EQ(index_of("p0.40"), index);
  run("c1", "lan", "10.5.0.11");
  expect_tagged(40, "c1", "10.5.0.1");
  remove({"c1"}, {"lan"});
  EXPECT_TRUE(is_as_before(before));

  const int parent = index_of("p0");
  docker_->create_network(kind(), "lan", lan_on("p0"));
  docker_->create_network(kind(), "second", on("p0", {{"10.6.0.0/24", "10.6.0.1"}}));
  remove({}, {"second", "lan"});
  EXPECT_TRUE(is_as_before(before));
  EXPECT_EQ(index_of("p0"), parent) << "it is another link";
}

TEST_P(Parity, EachAddressHasTheGatewayOfItsSubnet) {
  const Json before = inventory();
  for (const std::string parent : {"p0", ""}) {
    SCOPED_TRACE(parent);
    docker_->create_network(kind(), "lan",
                            on(parent, {{"172.28.100.0/24"},
                                        {"172.28.102.0/24", "172.28.102.254"},
                                        {"2001:db8:abc2::/64"},
                                        {"2001:db8:abc4::/64", "2001:db8:abc4::254"}}));
    const Words second{"172.28.100.21/24", "2001:db8:abc2::21/64"};
    const Words fourth{"172.28.102.21/24", "2001:db8:abc4::21/64"};
    run_two("c1", "c2", {"172.28.100.20/24", "2001:db8:abc2::20/64"}, second);
    run_two("c3", "c4", {"172.28.102.20/24", "2001:db8:abc4::20/64"}, fourth);
    EXPECT_TRUE(reach("c1", second));
    EXPECT_TRUE(reach("c3", fourth));
    EXPECT_EQ(default_route("c1"), engine_.asks_of_gateways ? "" : "172.28.100.1");
    EXPECT_EQ(default_route("c1", true), engine_.asks_of_gateways ? "" : "2001:db8:abc2::1");
    EXPECT_EQ(default_route("c3"), "172.28.102.254");
    EXPECT_EQ(default_route("c3", true), "2001:db8:abc4::254");
    for (const char* container : {"c1", "c3"}) EXPECT_EQ(sandbox_.links(container), Words{"eth0"});
    remove({"c1", "c2", "c3", "c4"}, {"lan"});
    EXPECT_TRUE(is_as_before(before));
  }
}

// Of one family there is a router, of the other none.
TEST_P(Parity, ARouterIsOfTheFamilyThatItIsNamedFor) {
  for (const bool v6 : {false, true}) {
    docker_->create_network(kind(), "lan",
                            on("p0", {{"172.28.130.0/24", v6 ? "" : "172.28.130.254"},
                                      {"2001:db8:abca::/64", v6 ? "2001:db8:abca::254" : ""}}));
    docker_->run("c1", "lan", {.addresses = {"172.28.130.2/24", "2001:db8:abca::2/64"}});
    const bool all = !engine_.asks_of_gateways;
    EXPECT_EQ(default_route("c1"), !v6 ? "172.28.130.254" : all ? "172.28.130.1" : "");
    EXPECT_EQ(default_route("c1", true), v6 ? "2001:db8:abca::254" : all ? "2001:db8:abca::1" : "");
    remove({"c1"}, {"lan"});
  }
}

// An interface has the families of its network and no other, also when it is made again.
TEST_P(Parity, FamiliesAreThoseOfTheNetwork) {
  const Json before = inventory();
  const NetworkPool four{"10.66.77.0/24", "10.66.77.1", {{"outside", "10.66.77.128"}}};
  const NetworkPool six{"2001:db8:abcd::/64"};
  const std::string at4 = "10.66.77.66/24";
  const std::string at6 = "2001:db8:abcd::2/64";
  struct Case {
    std::vector<NetworkPool> pools;
    Words addresses;
    std::set<std::string> families;
  };
  const std::vector<Case> cases{{{four, six}, {at4, at6}, {"inet", "inet6"}},
                                {{four}, {at4}, {"inet"}},
                                {{six}, {at6}, {"inet6"}},
                                {{}, {}, {}}};
  for (const auto& [pools, addresses, wanted] : cases) {
    if (!engine_.asks_of_gateways && !wanted.contains("inet")) continue;  // older ones have it always
    SCOPED_TRACE(testing::PrintToString(wanted));
    const Texts mode = kind() == "ipvlan" ? Texts{{"ipvlan_mode", "l3"}} : Texts{{"macvlan_mode", "bridge"}};
    docker_->create_network(kind(), "lan", on("", pools, mode));
    docker_->run("c1", "lan", {.addresses = addresses});
    EXPECT_TRUE(becomes("Ready", "c1"));
    const std::string disabled = wanted.contains("inet6") ? "0" : "1";
    EXPECT_EQ(families("c1"), wanted);
    EXPECT_EQ(disable_ipv6("c1"), disabled);
    const int index = sandbox_.link("eth0", "c1").value().at("ifindex");
    sandbox_.ip("-n c1 link del eth0");
    EXPECT_TRUE(wait_until([&] {
      const auto link = sandbox_.link("eth0", "c1");
      return link && link->at("ifindex") != index;
    }));
    EXPECT_TRUE(becomes("Ready", "c1"));
    EXPECT_EQ(families("c1"), wanted);
    EXPECT_EQ(disable_ipv6("c1"), disabled);
    remove({"c1"}, {"lan"});
    EXPECT_TRUE(is_as_before(before));
  }
}

// Whoever gives the addresses sees to it that none is given twice.
TEST_P(Parity, NetworksOfOneSubnetAreApartWithoutAParent) {
  const std::vector<NetworkPool> pools{{"192.168.0.0/24", "192.168.0.1"}, {"2001:db8:abcd::/64"}};
  for (const std::string number : {"1", "2", "3"})
    docker_->create_network(kind(), "lan" + number, on("", pools));
  docker_->run("c1", "lan1", {.addresses = {"192.168.0.11/24", "2001:db8:abcd::11/64"}});
  docker_->run("c2", "lan1", {.addresses = {"192.168.0.12/24", "2001:db8:abcd::12/64"}});
  docker_->run("c3", "lan2", {.addresses = {"192.168.0.13/24", "2001:db8:abcd::13/64"}});
  EXPECT_TRUE(reach("c1", {"192.168.0.12", "2001:db8:abcd::12"}));
  EXPECT_TRUE(no_ping("c1", "192.168.0.13"));
}

TEST_P(Parity, AnInterfaceOnAVlanIsCalledAsTheContainerAsks) {
  end_vlan(sandbox_, "router", "60", "10.5.0.1/24");
  docker_->create_network(kind(), "lan", lan_on("p0.60"));
  docker_->run(
      "c1", "lan",
      {.addresses = {"10.5.0.11/24"}, .options = {{"com.docker.network.endpoint.ifname", "foobar"}}});
  EXPECT_EQ(sandbox_.links("c1"), Words{"foobar"});
  expect_tagged(60, "c1", "10.5.0.1");
}

// Docker makes no network a second time, whatever ended.
TEST_P(Parity, ANetworkOutlivesDockerAndTheAgent) {
  end_vlan(sandbox_, "router", "60", "10.5.0.1/24");
  docker_->create_network(kind(), "lan", lan_on("p0.60"));
  const int index = index_of("p0.60");
  run("c1", "lan", "10.5.0.11");
  docker_->be_killed();
  docker_->start("c1");
  expect_tagged(60, "c1", "10.5.0.1");
  docker_->be_killed();
  restart_killed_agent();
  docker_->start("c1");
  expect_tagged(60, "c1", "10.5.0.1");
  EXPECT_EQ(index_of("p0.60"), index);
}

// One that no program has open has no carrier either.
TEST_P(Parity, ATapThatIsDownIsAParent) {
  sandbox_.ip("tuntap add mode tap dummytap0");
  docker_->create_network(kind(), "lan",
                          on("dummytap0", {{"10.5.0.0/24", "10.5.0.1"}, {"fd05::/64", "fd05::1"}}));
  const Words others{"10.5.0.12/24", "fd05::12/64"};
  run_two("c1", "c2", {"10.5.0.11/24", "fd05::11/64"}, others);
  EXPECT_TRUE(becomes("Pending", "c1"));
  sandbox_.ip("link set dummytap0 up");
  EXPECT_TRUE(becomes("Ready", "c1"));
}

TEST_P(Parity, WhatIsNoVlanIsNoParent) {
  for (const std::string name :
       {"p0.", ".50", "p0:50", "p0.-1", "p0.0x32", "p0.50.", "p0.4096", "p0.65586", "lo.50"})
    EXPECT_NE(refused(kind(), lan_on(name)), "") << name;
}

INSTANTIATE_TEST_SUITE_P(Docker, Parity,
                         testing::Values(KindAndEngine("macvlan", kDocker26),
                                         KindAndEngine("ipvlan", kDocker28)),
                         [](const auto& both) { return name_of(both.param); });

class NewerParity : public AnyParity {
 protected:
  NewerParity() : AnyParity(kDocker28) {}
};

TEST_F(NewerParity, PassthruIsAlone) {
  const Json before = inventory();
  const NetworkRequest shared = on("p0.40", {{"10.6.0.0/24", "10.6.0.1"}});
  const NetworkRequest alone = on("p0.40", {{"10.7.0.0/24", "10.7.0.1"}}, {{"macvlan_mode", "passthru"}});
  for (const auto& [first, second] : {std::pair(shared, alone), std::pair(alone, shared)}) {
    docker_->create_network("macvlan", "lan", first);
    const int index = index_of("p0.40");
    EXPECT_NE(refused("macvlan", second).find("p0.40"), std::string::npos);
    EXPECT_EQ(index_of("p0.40"), index);
    docker_->remove_network("lan");
    EXPECT_TRUE(is_as_before(before));
  }
}

// Nothing is set aside for a router that would be of no use.
TEST_F(NewerParity, TwoAddressesAreEnoughForTwo) {
  struct Case {
    std::string kind;
    std::string parent;
    Texts options;
  };
  const std::vector<Case> cases{{"macvlan", "", {}},
                                {"ipvlan", "", {}},
                                {"ipvlan", "p0", {{"ipvlan_mode", "l3"}}},
                                {"ipvlan", "p0", {{"ipvlan_mode", "l3s"}}}};
  for (const auto& [kind, parent, options] : cases) {
    SCOPED_TRACE(kind + testing::PrintToString(options));
    docker_->create_network(kind, "lan", on(parent, {{"192.168.135.0/31"}}, options));
    run_two("c1", "c2", {"192.168.135.0/31"}, {"192.168.135.1/31"});
    EXPECT_TRUE(reach_each_other("c1", "192.168.135.0", "c2", "192.168.135.1"));
    remove({"c1", "c2"}, {"lan"});
  }
}

// Its links route, whatever leads out of there.
TEST_F(NewerParity, IpvlanRoutesBetweenSubnetsWithoutAParent) {
  for (const bool internal : {false, true}) {
    SCOPED_TRACE(internal);
    docker_->create_network("ipvlan", "lan",
                            {.pools = {{"172.28.10.0/24"},
                                       {"172.28.12.0/24", "172.28.12.254"},
                                       {"2001:db8:abc9::/64"},
                                       {"2001:db8:abc7::/64", "2001:db8:abc7::254"}},
                             .options = {{"ipvlan_mode", "l3"}},
                             .internal = internal});
    docker_->run("c1", "lan", {.addresses = {"172.28.10.20/24", "2001:db8:abc9::20/64"}});
    docker_->run("c2", "lan", {.addresses = {"172.28.10.21/24", "2001:db8:abc9::21/64"}});
    docker_->run("c3", "lan", {.addresses = {"172.28.12.20/24", "2001:db8:abc7::20/64"}});
    EXPECT_TRUE(reach_each_other("c1", "172.28.10.20", "c2", "172.28.10.21"));
    EXPECT_TRUE(reach_each_other("c1", "2001:db8:abc9::20", "c2", "2001:db8:abc9::21"));
    for (const bool v6 : {false, true})
      for (const char* container : {"c1", "c3"})
        EXPECT_EQ(default_route(container, v6), internal ? "" : "dev eth0");
    if (!internal) {
      EXPECT_TRUE(reach_each_other("c1", "172.28.10.20", "c3", "172.28.12.20"));
      EXPECT_TRUE(reach_each_other("c1", "2001:db8:abc9::20", "c3", "2001:db8:abc7::20"));
    }
    remove({"c1", "c2", "c3"}, {"lan"});
  }
}

}  // namespace
}  // namespace lanwright::test
