// Docker's networks on a parent of the host: VLANs that are there or made on demand, links that share their
// parent's MAC address, and networks without a parent. The test says what dockerd says, and does with the
// links what dockerd does. In the guest, as all of it needs 802.1Q, ipvlan or dummy.
#include "tests/integration/docker_on_parent.h"

#include <filesystem>
#include <functional>
#include <map>
#include <thread>

namespace lanwright::test {
namespace {

// --- VLANs ---

TEST_F(DockerOnParent, AVlanLinkOfAnyNameIsUsedAndSurvives) {
  sandbox_.ip("link add link p0 name foo type vlan id 40");
  sandbox_.ip("link set foo up");
  end_vlan(sandbox_, "router", "40", "10.5.0.1/24");
  const Json before = inventory();
  const int index = index_of("foo");
  for (const std::string& kind : kBothKinds) {
    SCOPED_TRACE(kind);
    docker_->create_network(kind, "lan", lan_on("foo"));
    EXPECT_EQ(sandbox_.links(), before.at("links")) << "there is another VLAN link";
    run("c1", "lan", "10.5.0.11");
    expect_tagged(40, "c1", "10.5.0.1");
    remove({"c1"}, {"lan"});
    EXPECT_TRUE(is_as_before(before));
    EXPECT_EQ(index_of("foo"), index) << "it is another link";
  }
}

// One subnet in both: whatever crosses would answer.
TEST_F(DockerOnParent, VlansMadeOnDemandAreApartAndGoWithTheirNetworks) {
  const Json before = inventory();
  for (const std::string vid : {"50", "60"}) end_vlan(sandbox_, "router", vid, "10.5.0.1/24");
  docker_->create_network("macvlan", "lan50", lan_on("p0.50"));
  docker_->create_network("ipvlan", "lan60", lan_on("p0.60"));
  run("c50", "lan50", "10.5.0.50");
  run("c60", "lan60", "10.5.0.80");
  expect_tagged(50, "c50", "10.5.0.1");
  expect_tagged(60, "c60", "10.5.0.1");
  EXPECT_TRUE(no_ping("c50", "10.5.0.80"));
  EXPECT_TRUE(no_ping("c60", "10.5.0.50"));

  remove({"c50"}, {"lan50"});
  EXPECT_TRUE(wait_until([&] { return !sandbox_.link("p0.50"); }));
  expect_tagged(60, "c60", "10.5.0.1");
  remove({"c60"}, {"lan60"});
  EXPECT_TRUE(is_as_before(before));
}

TEST_F(DockerOnParent, AVlanMadeOnDemandGoesWithTheLastOfItsNetworks) {
  const Json before = inventory();
  end_vlan(sandbox_, "router", "50", "10.6.0.1/24");
  docker_->create_network("macvlan", "one", lan_on("p0.50"));
  const int index = index_of("p0.50");
  docker_->create_network("macvlan", "two",
                          {.pools = {{"10.6.0.0/24", "10.6.0.1"}}, .options = {{"parent", "p0.50"}}});
  docker_->remove_network("one");
  run("c1", "two", "10.6.0.11");
  expect_tagged(50, "c1", "10.6.0.1");
  EXPECT_EQ(index_of("p0.50"), index);
  remove({"c1"}, {"two"});
  EXPECT_TRUE(is_as_before(before));
}

TEST_F(DockerOnParent, AVlanInAVlanIsMadeOnDemandAndBothGo) {
  const Json before = inventory();
  end_vlan(sandbox_, "router", "5", "10.9.0.1/24");
  sandbox_.ip("-n vlan5 link add link end name inner type vlan id 6");
  sandbox_.ip("-n vlan5 address add 10.5.0.1/24 dev inner");
  sandbox_.ip("-n vlan5 link set inner up");
  for (const std::string& kind : kBothKinds) {
    SCOPED_TRACE(kind);
    docker_->create_network(kind, "lan", lan_on("p0.5.6"));
    run("c1", "lan", "10.5.0.11");
    EXPECT_TRUE(ping("c1", "10.5.0.1"));
    EXPECT_TRUE(sandbox_.link("p0.5"));
    remove({"c1"}, {"lan"});
    EXPECT_TRUE(is_as_before(before));
  }
}

// As tutorials have it, one of which prints the mode's option with dashes.
TEST_F(DockerOnParent, VlansOfATrunkHaveTheirOwnGatewaysAndSubnets) {
  const Json before = inventory();
  for (const std::string& kind : kBothKinds) {
    SCOPED_TRACE(kind);
    sandbox_.ip("link add link p0 name p0.40 type vlan id 40");  // by the user, as one of them
    sandbox_.ip("link set p0.40 up");
    const std::string usual = kind == "macvlan" ? "bridge" : "l2";
    for (const std::string vid : {"40", "50", "60"}) {
      end_vlan(sandbox_, "router", vid, "10." + vid + ".0.1/24");
      NetworkRequest request{.pools = {{"10." + vid + ".0.0/24", "10." + vid + ".0.1"}},
                             .options = {{"host_iface", "p0." + vid}}};
      if (vid == "60") request.options["--" + kind + "_mode"] = usual;
      docker_->create_network(kind, "lan" + vid, request);
      for (const std::string host : {"11", "12"})
        run("c" + vid + "-" + host, "lan" + vid, "10." + vid + ".0." + host);
      const std::string one = "c" + vid + "-11";
      EXPECT_TRUE(reach_each_other(one, "10." + vid + ".0.11", "c" + vid + "-12", "10." + vid + ".0.12"));
      EXPECT_TRUE(ping(one, "10." + vid + ".0.1"));
      EXPECT_EQ(default_route(one), "10." + vid + ".0.1");
      EXPECT_EQ(mode(one), usual);
    }
    EXPECT_TRUE(no_ping("c50-11", "10.60.0.11"));
    EXPECT_TRUE(no_ping("c60-11", "10.40.0.11"));
    for (const std::string vid : {"40", "50", "60"}) {
      remove({"c" + vid + "-11", "c" + vid + "-12"}, {"lan" + vid});
      sandbox_.delete_netns("vlan" + vid);
    }
    EXPECT_TRUE(sandbox_.link("p0.40")) << "it was not Docker's to remove";
    sandbox_.ip("link del p0.40");
    EXPECT_TRUE(is_as_before(before));
  }
}

TEST_F(DockerOnParent, ARunningContainerIsConnectedToAnotherVlan) {
  for (const std::string vid : {"10", "20"}) {
    end_vlan(sandbox_, "router", vid, "10.0." + vid + ".1/24");
    sandbox_.ip("link add link p0 name p0." + vid + " type vlan id " + vid);
    sandbox_.ip("link set p0." + vid + " up");
    docker_->create_network(
        "macvlan", "macvlan" + vid,
        {.pools = {{"10.0." + vid + ".0/24", "10.0." + vid + ".1"}}, .options = {{"parent", "p0." + vid}}});
  }
  const Json before = inventory();
  run("container0", "macvlan10", "10.0.10.2");
  run("container1", "macvlan10", "10.0.10.3");
  EXPECT_TRUE(reach_each_other("container0", "10.0.10.2", "container1", "10.0.10.3"));
  EXPECT_TRUE(ping("container0", "10.0.10.1"));
  EXPECT_TRUE(no_ping("container0", "10.0.20.3"));
  docker_->connect("macvlan20", "container1", {.addresses = {"10.0.20.3/24"}});
  EXPECT_TRUE(ping("container1", "10.0.20.1"));
  EXPECT_TRUE(no_ping("container0", "10.0.20.3"));
  remove({"container0", "container1"}, {});
  EXPECT_TRUE(is_as_before(before));
}

// As of the file for Compose that is shipped: one container on a LAN that leads nowhere and on a VLAN made on
// demand.
TEST_F(DockerOnParent, OneOfALanIsOnAVlanAsWell) {
  const Json before = inventory();
  end_vlan(sandbox_, "router", "50", "192.168.50.1/24");
  docker_->create_network("vde", "lab", {.pools = {{"10.41.0.0/24", "10.41.0.1"}}});
  docker_->create_network("macvlan", "office",
                          {.pools = {{"192.168.50.0/24", "192.168.50.1"}}, .options = {{"parent", "p0.50"}}});
  for (const Json& vlan : agent_->get_json("/v1/vlans"))
    EXPECT_EQ(vlan.at("status").at("phase"), "Ready") << vlan;
  docker_->create_container("both", "lab", {.addresses = {"10.41.0.2/24"}});
  docker_->connect("office", "both", {.addresses = {"192.168.50.128/24"}});
  docker_->start("both");
  run("client", "lab", "10.41.0.128");
  EXPECT_TRUE(ping("client", "10.41.0.2"));
  expect_tagged(50, "both", "192.168.50.1");
  EXPECT_TRUE(no_ping("client", "192.168.50.1"));
  remove({"both", "client"}, {"lab", "office"});
  EXPECT_TRUE(is_as_before(before));
}

// --- ipvlan ---

TEST_F(DockerOnParent, IpvlanHasNoMacAddressButItsParents) {
  docker_->create_network("ipvlan", "lan", lan_on("p0"));
  const Json before = inventory();
  const EndpointRequest asks{.addresses = {"10.5.0.11/24"}, .mac = "02:00:00:00:07:01"};
  try {
    docker_->run("c1", "lan", asks);
    ADD_FAILURE() << "it was accepted";
  } catch (const DriverRefuses& error) {
    EXPECT_NE(std::string(error.what()).find("ipvlan links have the MAC address of their parent"),
              std::string::npos)
        << error.what();
  }
  EXPECT_TRUE(is_as_before(before));
  docker_->remove("c1");

  run("c1", "lan", "10.5.0.11");
  run("c2", "lan", "10.5.0.12");
  EXPECT_EQ(mac("eth0", "c1"), mac("p0"));
  EXPECT_TRUE(reach_each_other("c1", "10.5.0.11", "c2", "10.5.0.12"));
}

TEST_F(DockerOnParent, IpvlanIsBesideItsParentNotBelowIt) {
  sandbox_.ip("-n router addr add 10.5.0.1/24 dev eth0");
  sandbox_.ip("addr add 10.5.0.251/24 dev p0");
  docker_->create_network("ipvlan", "lan",
                          {.pools = {{"10.5.0.0/24", "10.5.0.1"}}, .options = {{"host_iface", "p0"}}});
  run("c1", "lan", "10.5.0.11");
  run("c2", "lan", "10.5.0.12");
  EXPECT_EQ(mode("c1"), "l2");
  EXPECT_TRUE(reach_each_other("c1", "10.5.0.11", "c2", "10.5.0.12"));
  EXPECT_TRUE(ping("c1", "10.5.0.1"));
  EXPECT_TRUE(no_ping("c1", "10.5.0.251"));
}

TEST_F(DockerOnParent, IpvlanRoutesBetweenItsSubnets) {
  const Json before = inventory();
  docker_->create_network("ipvlan", "lan",
                          {.pools = {{"10.5.0.0/24", "10.5.0.1"}, {"10.6.0.0/24", "10.6.0.1"}},
                           .options = {{"parent", "p0"}, {"ipvlan_mode", "l3"}}});
  run("c1", "lan", "10.5.0.10");
  run("c2", "lan", "10.6.0.10");
  EXPECT_TRUE(reach_each_other("c1", "10.5.0.10", "c2", "10.6.0.10"));
  for (const char* container : {"c1", "c2"}) {
    EXPECT_EQ(default_route(container), "dev eth0");
    EXPECT_EQ(sandbox_.links(container), Words{"eth0"});
  }
  NetworkRequest inside{
      .pools = {{"10.7.0.0/24", "10.7.0.1"}}, .options = {{"ipvlan_mode", "l3"}}, .internal = true};
  docker_->create_network("ipvlan", "inside", inside);
  run("c3", "inside", "10.7.0.10");
  EXPECT_EQ(default_route("c3"), "");
  remove({"c1", "c2", "c3"}, {"lan", "inside"});
  EXPECT_TRUE(is_as_before(before));
}

// Other hosts have a route to its subnets by the host, and its networks to each other.
TEST_F(DockerOnParent, IpvlanL3IsReachedByWhoRoutesToTheHost) {
  sandbox_.ip("-n router addr add 10.1.0.251/24 dev eth0");
  sandbox_.ip("addr add 10.1.0.249/24 dev p0");
  const auto create = [&](const std::string& name, const std::string& subnet) {
    docker_->create_network("ipvlan", name,
                            {.pools = {{subnet + "0/24", subnet + "1"}},
                             .options = {{"host_iface", "p0"}, {"ipvlan_mode", "l3"}}});
    sandbox_.ip("-n router route add " + subnet + "0/24 via 10.1.0.249");
  };
  create("ipvlan120", "10.5.0.");
  run("c1", "ipvlan120", "10.5.0.2");
  run("c2", "ipvlan120", "10.5.0.10");
  EXPECT_EQ(mode("c1"), "l3");
  EXPECT_TRUE(reach_each_other("c1", "10.5.0.2", "c2", "10.5.0.10"));
  EXPECT_EQ(default_route("c1"), "dev eth0");
  EXPECT_TRUE(ping("router", "10.5.0.10"));
  EXPECT_TRUE(ping("c2", "10.1.0.251"));
  create("ipvlan130", "10.6.0.");
  run("c3", "ipvlan130", "10.6.0.2");
  EXPECT_TRUE(ping("router", "10.6.0.2"));
  EXPECT_TRUE(reach_each_other("c2", "10.5.0.10", "c3", "10.6.0.2"));
}

TEST_F(DockerOnParent, IpvlanL3RoutesBothFamilies) {
  const NetworkPool six{.subnet = "fd14::/64", .gateway = "fd14::1", .aux = {{"exclude1", "fd14::2"}}};
  docker_->create_network("ipvlan", "lan",
                          {.pools = {{"10.5.0.0/24", "10.5.0.1", {{"exclude2", "10.5.0.254"}}},
                                     {"10.6.0.0/24", "10.6.0.1", {{"exclude3", "10.6.0.254"}}},
                                     six},
                           .options = {{"host_iface", "p0"}, {"ipvlan_mode", "l3"}}});
  docker_->run("c1", "lan", {.addresses = {"10.5.0.10/24", "fd14::10/64"}});
  docker_->run("c2", "lan", {.addresses = {"10.6.0.10/24", "fd14::11/64"}});
  EXPECT_TRUE(reach_each_other("c1", "10.5.0.10", "c2", "10.6.0.10"));
  EXPECT_TRUE(reach_each_other("c1", "fd14::10", "c2", "fd14::11"));
  for (const bool v6 : {false, true}) EXPECT_EQ(default_route("c1", v6), "dev eth0");
}

// --- no parent ---

TEST_F(DockerOnParent, WithoutOneTheyReachOnlyEachOther) {
  sandbox_.ip("-n router addr add 10.5.0.200/24 dev eth0");
  sandbox_.ip("addr add 10.5.0.201/24 dev p0");
  const Json before = inventory();
  const auto dummies = [&] { return sandbox_.ip_json("link show type dummy").size(); };
  ASSERT_EQ(dummies(), 0U);
  for (const std::string& kind : kBothKinds) {
    SCOPED_TRACE(kind);
    docker_->create_network(kind, "lan", lan_on(""));
    EXPECT_EQ(dummies(), 1U);
    run("c1", "lan", "10.5.0.11");
    run("c2", "lan", "10.5.0.12");
    EXPECT_TRUE(reach_each_other("c1", "10.5.0.11", "c2", "10.5.0.12"));
    EXPECT_TRUE(no_ping("c1", "10.5.0.200"));
    EXPECT_TRUE(no_ping("c1", "10.5.0.201"));

    docker_->create_network(kind, "inside", {.pools = {{"10.6.0.0/24", "10.6.0.1"}}, .internal = true});
    run("c3", "inside", "10.6.0.11");
    run("c4", "inside", "10.6.0.12");
    EXPECT_TRUE(reach_each_other("c3", "10.6.0.11", "c4", "10.6.0.12"));
    EXPECT_EQ(default_route("c3"), "");
    EXPECT_TRUE(no_ping("c3", "10.5.0.11"));
    remove({"c1", "c2", "c3", "c4"}, {"lan", "inside"});
    EXPECT_TRUE(is_as_before(before));
  }
}

TEST_F(DockerOnParent, AddressesAreOfSeveralSubnetsAndBothFamilies) {
  NetworkRequest request;
  request.pools = {{"10.5.0.0/24", "10.5.0.1", {{"exclude2", "10.5.0.2"}}},
                   {"10.6.0.0/24", "10.6.0.1", {{"exclude3", "10.6.0.2"}}},
                   {"fd18::/64", "fd18::1", {{"exclude1", "fd18::2"}}}};
  request.options = {{"macvlan_mode", "bridge"}};
  docker_->create_network("macvlan", "lan", request);
  for (const Words& kept : {Words{"10.5.0.2/24"}, Words{"10.6.0.2/24"}, Words{"10.5.0.9/24", "fd18::2/64"}}) {
    EXPECT_THROW(docker_->run("none", "lan", {.addresses = kept}), DriverRefuses)
        << testing::PrintToString(kept);
    docker_->remove("none");
  }
  docker_->run("c1", "lan", {.addresses = {"10.5.0.10/24", "fd18::10/64"}});
  docker_->run("c2", "lan", {.addresses = {"10.5.0.11/24", "fd18::11/64"}});
  docker_->run("c3", "lan", {.addresses = {"10.6.0.10/24", "fd18::12/64"}});
  EXPECT_TRUE(reach_each_other("c1", "10.5.0.10", "c2", "10.5.0.11"));
  EXPECT_TRUE(reach_each_other("c1", "fd18::10", "c2", "fd18::11"));
  EXPECT_TRUE(reach_each_other("c2", "fd18::11", "c3", "fd18::12"));
  EXPECT_EQ(default_route("c1"), "10.5.0.1");
  EXPECT_EQ(default_route("c3"), "10.6.0.1");
  EXPECT_EQ(default_route("c3", true), "fd18::1");
}

// --- mistakes ---

// Each is told in other words, and nothing is left of it. Where VLANs could be made, what is no VLAN is
// refused all the same.
TEST_F(DockerOnParent, MistakesAreToldApart) {
  for (const std::string& kind : kBothKinds) {
    SCOPED_TRACE(kind);
    const std::map<std::pair<std::string, std::string>, std::string> mistakes{
        {{kind + "_mode", "foo"}, "requested " + kind + " mode 'foo' is not valid"},
        {{"parent", "lo"}, "loopback interface is not a valid " + kind + " parent link"},
        {{"parent", "p0.0"}, "vlan id must be between 1-4094, received: 0"},
        {{"parent", "p0.4095"}, "vlan id must be between 1-4094, received: 4095"},
        {{"parent", "p0.x"}, "p0.x"},
        {{"parent", "p0.5.x"}, "p0.5.x"},
        {{"parent", "nope.5"}, "nope"},
        {{"parent", "nope"}, "nope"},
    };
    std::map<std::string, std::string> told;
    for (const auto& [option, words] : mistakes) {
      const auto& [key, value] = option;
      const std::string error = refused(kind, lan_on(key == "parent" ? value : "p0", {{key, value}}));
      EXPECT_NE(error.find(words), std::string::npos) << key << "=" << value << ": " << error;
      const auto [place, is_new] = told.emplace(error, value);
      EXPECT_TRUE(is_new) << value << " is told as " << place->second << " is: " << error;
    }
  }
}

// --- the parent that goes and returns ---

std::string name_of_kind_and_parent(const testing::TestParamInfo<std::pair<const char*, const char*>>& each) {
  return std::string(each.param.first) + (std::string(each.param.second) == "p0" ? "" : "_on_vlan");
}

// As Docker's own drivers have it: a link is made over a parent that is down, and has a carrier when that
// comes up. A host that boots starts its containers before the cable of a NIC is seen.
class DockerParentIsDown : public DockerOnParent,
                           public testing::WithParamInterface<std::pair<const char*, const char*>> {
 protected:
  void SetUp() override {
    DockerOnParent::SetUp();
    if (IsSkipped()) return;
    if (is_vlan())
      end_vlan(sandbox_, "router", "50", "10.5.0.1/24");
    else
      sandbox_.ip("-n router address add 10.5.0.1/24 dev eth0");
    sandbox_.ip("link set p0 down");
  }
  static std::string kind() { return GetParam().first; }
  static std::string parent() { return GetParam().second; }
  static bool is_vlan() { return parent() != "p0"; }
  void expect_waiting(const std::string& container) {
    EXPECT_TRUE(becomes("Pending", container));
    const std::string status = attachment(container, "lan").at("status").dump();
    EXPECT_NE(status.find("p0 is down"), std::string::npos) << status;
  }
};

TEST_P(DockerParentIsDown, NetworksAndContainersAreMadeAllTheSame) {
  const Json before = inventory();
  docker_->create_network(kind(), "lan", lan_on(parent()));
  run("c1", "lan", "10.5.0.11");
  expect_waiting("c1");
  EXPECT_EQ(sandbox_.links("c1"), Words{"eth0"});
  EXPECT_TRUE(no_ping("c1", "10.5.0.1"));
  sandbox_.ip("link set p0 up");
  EXPECT_TRUE(becomes("Ready", "c1"));
  EXPECT_TRUE(ping("c1", "10.5.0.1"));

  sandbox_.ip("link set p0 down");
  expect_waiting("c1");
  docker_->remove("c1");
  run("c1", "lan", "10.5.0.11");  // docker restart
  expect_waiting("c1");
  restart_killed_agent();
  expect_waiting("c1");
  sandbox_.ip("link set p0 up");
  EXPECT_TRUE(becomes("Ready", "c1"));
  EXPECT_TRUE(ping("c1", "10.5.0.1"));

  sandbox_.ip("link set p0 down");
  remove({"c1"}, {"lan"});
  sandbox_.ip("link set p0 up");
  EXPECT_TRUE(is_as_before(before));
}

INSTANTIATE_TEST_SUITE_P(Docker, DockerParentIsDown,
                         testing::Values(std::pair("macvlan", "p0"), std::pair("macvlan", "p0.50"),
                                         std::pair("ipvlan", "p0"), std::pair("ipvlan", "p0.50")),
                         name_of_kind_and_parent);

// A host boots, whose Docker starts its containers before there is a link to stand on.
class DockerParentIsLate : public DockerOnParent,
                           public testing::WithParamInterface<std::pair<const char*, const char*>> {
 protected:
  static std::string kind() { return GetParam().first; }
  static std::string parent() { return GetParam().second; }
  void end_it_beyond() const {
    if (parent() == "p0") {
      sandbox_.ip("-n router address add 10.5.0.1/24 dev eth0");
    } else {
      if (std::filesystem::exists("/run/netns/vlan50")) sandbox_.delete_netns("vlan50");
      end_vlan(sandbox_, "router", "50", "10.5.0.1/24");
    }
  }
  void boot_without_parent() {
    sandbox_.ip("link del p0");
    docker_->be_killed();
    restart_killed_agent();
    EXPECT_TRUE(wait_until([this] { return agent_->get_json("/v1/attachments").empty(); }))
        << "they are gone with their sandboxes";
  }
  void add_parent_that_is_down() const {
    sandbox_.ip("link add p0 type veth peer name eth0 netns router");
    sandbox_.ip("-n router link set eth0 up");
    end_it_beyond();
  }
  // Its network says why not all is there.
  testing::AssertionResult is_waiting(const std::string& words) const {
    Json status;
    const bool told = wait_until([&] {
      status = object_of(*agent_, "networks", short_id(docker_->network_id("lan"))).at("status");
      return status.at("phase") == "Pending" && status.dump().find(words) != std::string::npos;
    });
    return told ? testing::AssertionSuccess() : testing::AssertionFailure() << status;
  }
};

TEST_P(DockerParentIsLate, ContainersStartAsSoonAsTheyCan) {
  end_it_beyond();
  docker_->create_network(kind(), "lan", lan_on(parent()));
  run("c1", "lan", "10.5.0.11");
  run("c2", "lan", "10.5.0.12");
  EXPECT_TRUE(ping("c1", "10.5.0.1"));
  boot_without_parent();
  EXPECT_TRUE(is_waiting("p0"));
  const Json before = inventory();
  try {
    docker_->start("c1");
    ADD_FAILURE() << "it was started";
  } catch (const DriverRefuses& error) {
    EXPECT_NE(std::string(error.what()).find("p0"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("does not exist"), std::string::npos) << error.what();
  }
  EXPECT_TRUE(is_as_before(before));
  add_parent_that_is_down();
  for (const char* container : {"c1", "c2"}) docker_->start(container);
  EXPECT_TRUE(becomes("Pending", "c1"));
  EXPECT_TRUE(is_waiting("p0 is down"));
  sandbox_.ip("link set p0 up");
  EXPECT_TRUE(becomes("Ready", "c1"));
  EXPECT_TRUE(reaches(*agent_, "networks", short_id(docker_->network_id("lan")), "Ready"));
  EXPECT_TRUE(wait_until([] { return bool(ping("c1", "10.5.0.1")); }));
  EXPECT_TRUE(reach_each_other("c1", "10.5.0.11", "c2", "10.5.0.12"));
  remove({"c1", "c2"}, {"lan"});
}

INSTANTIATE_TEST_SUITE_P(Docker, DockerParentIsLate,
                         testing::Values(std::pair("macvlan", "p0"), std::pair("macvlan", "p0.50"),
                                         std::pair("ipvlan", "p0"), std::pair("ipvlan", "p0.50")),
                         name_of_kind_and_parent);

class DockerParentReturns : public DockerOnParent {
 protected:
  // What a container has of its network, but for the index of its link, the MAC address of an ipvlan link,
  // which is that of the new parent, and for who made its routes.
  Json facts(const std::string& kind) const {
    Json facts = without_indexes(facts_of(sandbox_, "c1"));
    for (Json& route : facts.at("routes")) route.erase("protocol");
    if (kind == "ipvlan") facts.at("links").at("eth0").erase("address");
    return facts;
  }

  // c1 and c2 on "lan" lose their links with p0, and have all of them back with the next one, once `finish`
  // has done what its far end needs.
  void lose_and_return(const std::string& kind, const std::function<void()>& finish,
                       const std::function<bool()>& is_reached) {
    run("c1", "lan", "10.5.0.11");
    run("c2", "lan", "10.5.0.12");
    ASSERT_TRUE(becomes("Ready", "c1"));
    ASSERT_TRUE(wait_until([&] { return default_route("c1").starts_with("dev") || leads_out("c1", "lan"); }));
    ASSERT_TRUE(is_reached());
    const Json inside = facts(kind);
    sandbox_.ip("link del p0");
    EXPECT_TRUE(becomes("Pending", "c1", "lan", 5s));
    EXPECT_TRUE(reaches(*agent_, "networks", short_id(docker_->network_id("lan")), "Pending", 5s));
    EXPECT_EQ(sandbox_.links("c1"), Words{});
    lay_cable(sandbox_, "p0", "router");
    finish();
    for (const char* container : {"c1", "c2"}) EXPECT_TRUE(becomes("Ready", container));
    EXPECT_EQ(differences(inside, facts(kind)), "");
    EXPECT_TRUE(wait_until(is_reached));
    remove({"c1", "c2"}, {"lan"});
  }
};

TEST_F(DockerParentReturns, AndIpvlanWithIt) {
  const Json before = inventory();
  for (const std::string mode : {"l2", "l3"}) {
    SCOPED_TRACE(mode);
    docker_->create_network("ipvlan", "lan", lan_on("p0", {{"ipvlan_mode", mode}}));
    lose_and_return(
        "ipvlan", [] {}, [] { return bool(reach_each_other("c1", "10.5.0.11", "c2", "10.5.0.12")); });
  }
  EXPECT_TRUE(is_as_before(before));
}

TEST_F(DockerParentReturns, AndLinksOnAVlanWithIt) {
  const Json before = inventory();
  end_vlan(sandbox_, "router", "50", "10.5.0.1/24");
  const auto end_it_again = [&] {
    sandbox_.delete_netns("vlan50");
    end_vlan(sandbox_, "router", "50", "10.5.0.1/24");
  };
  for (const std::string& kind : kBothKinds) {
    SCOPED_TRACE(kind);
    docker_->create_network(kind, "lan", lan_on("p0.50"));
    lose_and_return(kind, end_it_again, [] { return bool(ping("c1", "10.5.0.1")); });
  }
  EXPECT_TRUE(is_as_before(before));
}

// --- many ---

TEST_F(DockerOnParent, ManyComeAndGoAtOnce) {
  constexpr std::size_t kContainers = 20;
  constexpr std::size_t kAtOnce = 10;
  sandbox_.ip("-n router addr add 10.5.0.1/24 dev eth0");
  const auto name = [](std::size_t number) { return "c" + std::to_string(number); };
  const auto for_each_at_once = [&](const std::function<void(std::size_t)>& work) {
    std::vector<std::jthread> clients;
    for (std::size_t client = 0; client < kAtOnce; ++client) {
      clients.emplace_back([&, client] {
        try {
          for (std::size_t number = client; number < kContainers; number += kAtOnce) work(number);
        } catch (const std::exception& failed) {
          ADD_FAILURE() << "client " << client << ": " << failed.what();
        }
      });
    }
  };
  const Json before = inventory();
  docker_->create_network("ipvlan", "lan", lan_on("p0"));
  for_each_at_once(
      [&](std::size_t number) { run(name(number), "lan", "10.5.0." + std::to_string(20 + number)); });
  std::set<std::string> macs;
  for (std::size_t number = 0; number < kContainers; ++number) {
    EXPECT_EQ(sandbox_.links(name(number)), Words{"eth0"}) << name(number);
    macs.insert(mac("eth0", name(number)));
    ASSERT_TRUE(ping(name(number), "10.5.0.1")) << name(number);
  }
  EXPECT_EQ(macs, std::set{mac("p0")});
  EXPECT_TRUE(reach_each_other(name(0), "10.5.0.20", name(kContainers - 1), "10.5.0.39"));
  EXPECT_EQ(agent_->get_json("/v1/attachments").size(), kContainers);
  for_each_at_once([&](std::size_t number) { docker_->remove(name(number)); });
  docker_->remove_network("lan");
  EXPECT_TRUE(is_as_before(before));
}

// c1 and c2, on "one" and on "two" each.
class DockerOnTwoParents : public DockerOnParent {
 protected:
  void make() {
    add_parent("p0");
    add_parent("p1");
    docker_->create_network("ipvlan", "one", lan_on("p0"));
    docker_->create_network("ipvlan", "two",
                            {.pools = {{"10.6.0.0/24", "10.6.0.1"}}, .options = {{"parent", "p1"}}});
    for (const std::string number : {"1", "2"}) {
      docker_->create_container("c" + number, "one", {.addresses = {"10.5.0.1" + number + "/24"}});
      docker_->connect("two", "c" + number,
                       {.addresses = {"10.6.0.1" + number + "/24"}});  // it does not run yet
    }
    start();
  }
  void SetUp() override {
    DockerOnParent::SetUp();
    if (!IsSkipped()) sandbox_.ip("link del p0");
  }
  void add_parent(const std::string& link) const {
    lay_cable(sandbox_, link, "beyond-" + link, {link == "p0" ? "10.5.0.1/24" : "10.6.0.1/24"});
  }
  void start() {
    for (const char* container : {"c1", "c2"}) docker_->start(container);
  }

  void expect_all_reach() const {
    for (const std::string container : {"c1", "c2"}) {
      EXPECT_EQ(sandbox_.links(container), (Words{"eth0", "eth1"}));
      EXPECT_EQ(default_route(container), "10.5.0.1");
      for (const char* gateway : {"10.5.0.1", "10.6.0.1"})
        EXPECT_TRUE(wait_until([&] { return ping(container, gateway); })) << container;
    }
    for (const std::string net : {"10.5.0.", "10.6.0."})
      EXPECT_TRUE(reach_each_other("c1", net + "11", "c2", net + "12"));
    EXPECT_TRUE(wait_until([&] { return agent_->get_json("/v1/attachments").size() == 4; }));
  }
  void expect_ready() const {
    for (const std::string container : {"c1", "c2"}) {
      for (const std::string network : {"one", "two"}) EXPECT_TRUE(becomes("Ready", container, network));
      EXPECT_TRUE(wait_until([&] { return leads_out(container, "one"); }));
    }
  }
};

TEST_F(DockerOnTwoParents, ReachEachOtherWhoeverIsKilled) {
  make();
  expect_all_reach();
  docker_->stop("c1");
  docker_->start("c1");
  expect_all_reach();
  restart_killed_agent();
  expect_all_reach();
  docker_->be_killed();
  start();
  expect_all_reach();
  docker_->be_killed();
  restart_killed_agent();
  start();
  expect_all_reach();
}

TEST_F(DockerOnTwoParents, HaveAllBackWithTheirParents) {
  make();
  expect_ready();
  for (const char* link : {"p0", "p1"}) sandbox_.ip(std::string("link del ") + link);
  for (const char* link : {"p1", "p0"}) add_parent(link);
  expect_ready();
  expect_all_reach();
}

TEST_F(DockerOnTwoParents, LeaveNothing) {
  for (const char* link : {"p0", "p1"}) add_parent(link);
  const Json before = inventory();
  for (const char* link : {"p0", "p1"}) sandbox_.ip(std::string("link del ") + link);
  make();
  docker_->disconnect("one", "c2");
  EXPECT_TRUE(reach_each_other("c1", "10.6.0.11", "c2", "10.6.0.12"));
  remove({"c1", "c2"}, {"one", "two"});
  EXPECT_TRUE(is_as_before(before));
}

}  // namespace
}  // namespace lanwright::test
