// Networks whose links stand on a parent, and the addresses that are leased to attachments: what is decided
// without a kernel.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "reconcilers/desired/allocations.h"
#include "reconcilers/desired/set_check.h"
#include "reconcilers/drivers/registry.h"
#include "reconcilers/plan/planner.h"
#include "tests/support/world.h"

namespace lanwright {
namespace {

using test::attachment;
using test::declaration;
using test::foreign_link;
using test::network;
using test::prefix;
using test::prefixes;
using test::subnet;
using Addresses = std::vector<IpPrefix>;

class ParentsTest : public ::testing::Test, protected test::World {
 protected:
  void put_network(const std::string& name, NetworkSpec spec) { put({Kind::network, name}, std::move(spec)); }
  void put_attachment(const std::string& name, AttachmentSpec spec) {
    put({Kind::attachment, name}, std::move(spec));
  }

  // As a request does it; the error's text when it is refused.
  std::string lease(const std::string& on = "lan") {
    auto changed = desired::allocate_addresses(desired, on);
    if (!changed) return changed.error().text();
    for (auto& [id, addresses] : *changed) {
      desired::Declaration wanted = desired.find(id)->object;
      wanted.allocations = addresses;
      desired.put(wanted);
    }
    return {};
  }

  Addresses of(const std::string& name) const {
    return desired.find({Kind::attachment, name})->object.allocations;
  }
  LinkSpec link_of(const std::string& name) const {
    return desired.find({Kind::attachment, name})->compile().links.back();
  }
  std::string refusal() const {
    const auto checked = desired.check();
    return checked ? std::string{} : checked.error().text();
  }

  void add_host_link(const std::string& name, const std::string& kind = "") {
    kernel.add_link("", foreign_link(name, kind));
  }
};

#define EXPECT_NAMES(text, ...)                                                        \
  do {                                                                                 \
    const std::string told = (text);                                                   \
    for (const char* word : {__VA_ARGS__})                                             \
      EXPECT_NE(told.find(word), std::string::npos) << word << " is not in: " << told; \
  } while (false)

// ---- leases

TEST_F(ParentsTest, LeasesTheLowestFreeAddressOfTheRange) {
  Subnet spec = subnet("192.168.50.0/24", "192.168.50.128", "192.168.50.128/25");
  spec.reserved["printer"] = *IpAddress::parse("192.168.50.130");
  NetworkSpec lan = network("macvlan", "eth0", {spec});
  lan.host_interface = HostInterface{"shim", prefixes({"192.168.50.131/32"}), {}};
  put_network("lan", lan);
  put_attachment("a", attachment("lan", "r1"));
  put_attachment("b", attachment("lan", "r2"));
  put_attachment("c", attachment("lan", "r3", prefixes({"192.168.50.132/24"})));
  ASSERT_EQ(lease(), "");
  EXPECT_EQ(of("a"), prefixes({"192.168.50.129/24"}));
  EXPECT_EQ(of("b"), prefixes({"192.168.50.133/24"}));
  EXPECT_TRUE(of("c").empty());
  EXPECT_EQ(link_of("a").addresses, of("a"));
}

TEST_F(ParentsTest, LeasesAreKeptWhateverComesAndGoes) {
  put_network("lan", network("macvlan", "eth0", {subnet("10.0.0.0/24"), subnet("fd00::/64")}));
  put_attachment("m", attachment("lan", "r1"));
  ASSERT_EQ(lease(), "");
  EXPECT_EQ(of("m"), prefixes({"10.0.0.1/24", "fd00::1/64"}));
  put_attachment("a", attachment("lan", "r2"));  // comes first by name
  ASSERT_EQ(lease(), "");
  EXPECT_EQ(of("m"), prefixes({"10.0.0.1/24", "fd00::1/64"}));
  EXPECT_EQ(of("a"), prefixes({"10.0.0.2/24", "fd00::2/64"}));
  put_network("lan", network("macvlan", "eth0", {subnet("10.0.0.0/24"), subnet("fd11::/64")}));
  ASSERT_EQ(lease(), "");
  EXPECT_EQ(of("m").front(), prefix("10.0.0.1/24")) << "the other subnet is no reason to lose this one";
  EXPECT_TRUE(prefix("fd11::/64").contains(of("m").back().address));
}

TEST_F(ParentsTest, GivesAnAddressBackWhenOneIsDeclared) {
  put_network("lan", network("macvlan", "eth0", {subnet("10.0.0.0/24")}));
  put_attachment("a", attachment("lan", "r1"));
  ASSERT_EQ(lease(), "");
  put_attachment("a", attachment("lan", "r1", prefixes({"10.0.0.9/24"})));
  put_attachment("b", attachment("lan", "r2"));
  ASSERT_EQ(lease(), "");
  EXPECT_TRUE(of("a").empty());
  EXPECT_EQ(of("b"), prefixes({"10.0.0.1/24"}));
}

TEST_F(ParentsTest, NoAddressesMeansNone) {
  put_network("lan", network("macvlan", "eth0", {subnet("10.0.0.0/24")}));
  AttachmentSpec none = attachment("lan", "r1");
  none.no_addresses = true;
  put_attachment("a", none);
  ASSERT_EQ(lease(), "");
  EXPECT_TRUE(of("a").empty());
}

TEST_F(ParentsTest, FullSubnetsAreRefusedAndTheNextIsUsedBefore) {
  put_network("lan", network("macvlan", "eth0", {subnet("10.0.0.0/30"), subnet("10.0.1.0/31")}));
  for (const char* name : {"a", "b", "c", "d"}) put_attachment(name, attachment("lan", name));
  ASSERT_EQ(lease(), "");
  EXPECT_EQ(of("b"), prefixes({"10.0.0.2/30"}));
  EXPECT_EQ(of("c"), prefixes({"10.0.1.0/31"})) << "a pair has no broadcast address (RFC 3021)";
  EXPECT_EQ(of("d"), prefixes({"10.0.1.1/31"}));
  put_attachment("e", attachment("lan", "e"));
  EXPECT_NAMES(lease(), "attachment e", "10.0.0.0/30", "10.0.1.0/31");
}

TEST_F(ParentsTest, OneAddressForTwoIsRefused) {
  put_network("lan", network("macvlan", "eth0", {subnet("10.0.0.0/24")}));
  put_attachment("a", attachment("lan", "r1", prefixes({"10.0.0.7/24"})));
  put_attachment("b", attachment("lan", "r2", prefixes({"10.0.0.7/24"})));
  EXPECT_NAMES(lease(), "attachment a", "attachment b", "10.0.0.7");
}

TEST_F(ParentsTest, LeasesAsTextReadBack) {
  const Addresses both = prefixes({"192.168.50.129/24", "fd50::2/64"});
  EXPECT_EQ(desired::allocations_from(desired::text_of_allocations(both)), both);
  EXPECT_TRUE(desired::allocations_from("").empty());
}

// ---- routes

TEST_F(ParentsTest, TheGatewayIsThatOfTheSubnetThatTheAddressIsIn) {
  put_network("lan", network("macvlan", "eth0",
                             {subnet("10.0.0.0/24", "10.0.0.254"), subnet("10.0.1.0/24", "10.0.1.254"),
                              subnet("fd00::/64", "fd00::ff")}));
  put_attachment("a", attachment("lan", "r1", prefixes({"10.0.1.5/24", "fd00::5/64"})));
  const auto routes = link_of("a").routes;
  ASSERT_EQ(routes.size(), 2U);
  EXPECT_EQ(routes[0].via, IpAddress::parse("10.0.1.254"));
  EXPECT_EQ(routes[0].to, prefix("0.0.0.0/0"));
  EXPECT_EQ(routes[1].via, IpAddress::parse("fd00::ff"));
}

TEST_F(ParentsTest, ADefaultRouteOfItsOwnAnInternalNetworkAndTheGatewayItselfHaveNone) {
  NetworkSpec lan = network("macvlan", "eth0", {subnet("10.0.0.0/24", "10.0.0.254")});
  put_network("lan", lan);
  AttachmentSpec own = attachment("lan", "r1", prefixes({"10.0.0.1/24"}));
  own.routes = {{prefix("0.0.0.0/0"), IpAddress::parse("10.0.0.9"), {}}};
  put_attachment("own", own);
  put_attachment("router", attachment("lan", "r2", prefixes({"10.0.0.254/24"})));
  EXPECT_EQ(link_of("own").routes, own.routes);
  EXPECT_TRUE(link_of("router").routes.empty());
  lan.internal = true;
  put_network("lan", lan);
  put_attachment("inside", attachment("lan", "r3", prefixes({"10.0.0.3/24"})));
  EXPECT_TRUE(link_of("inside").routes.empty());
}

TEST_F(ParentsTest, OfTwoGatewaysInOneNamespaceOnePlanChoosesOne) {
  kernel.add_namespace("/run/netns/r1");
  add_host_link("eth0");
  put_network("a", network("macvlan", "eth0", {subnet("10.0.0.0/24", "10.0.0.254")}));
  put_network("b", network("macvlan", "eth0", {subnet("10.0.1.0/24", "10.0.1.254")}));
  put_attachment("one", attachment("a", "r1", prefixes({"10.0.0.1/24"})));
  AttachmentSpec two = attachment("b", "r1", prefixes({"10.0.1.1/24"}));
  two.interface = "eth1";
  put_attachment("two", two);
  const auto routes = [](const Plan& plan) {
    return std::count_if(plan.actions.begin(), plan.actions.end(),
                         [](const Action& action) { return std::holds_alternative<AddRoute>(action.step); });
  };
  EXPECT_EQ(routes(plan()), 1);
  converge();
  mark_deleting({Kind::attachment, "one"});
  EXPECT_EQ(routes(plan()), 1) << "the other takes over";
}

TEST_F(ParentsTest, WithoutBroadcastTheDeviceIsTheWayOut) {
  NetworkSpec routed = network("ipvlan", "eth0", {subnet("10.0.0.0/24", "10.0.0.254"), subnet("fd00::/64")});
  routed.settings["mode"] = std::string("l3");
  put_network("lan", routed);
  put_attachment("a", attachment("lan", "r1", prefixes({"10.0.0.1/24", "fd00::1/64"})));
  const auto routes = link_of("a").routes;
  ASSERT_EQ(routes.size(), 2U);
  for (const RouteSpec& route : routes) {
    EXPECT_EQ(route.to.length, 0);
    EXPECT_FALSE(route.via);
  }
  EXPECT_FALSE(link_of("a").mac) << "it has the parent's";
}

// ---- VLAN links on demand

TEST(VlanNamed, IsNameDotVid) {
  const auto vlan = vlan_named("eth0.50");
  ASSERT_TRUE(vlan);
  EXPECT_EQ(vlan->parent, "eth0");
  EXPECT_EQ(vlan->id, 50);
  const auto inner = vlan_named("eth0.20.200");
  ASSERT_TRUE(inner);
  EXPECT_EQ(inner->parent, "eth0.20");
  EXPECT_EQ(inner->id, 200);
  for (const char* other : {"eth0", "eth0.", ".5", "eth0.0", "eth0.4095", "eth0.x", "eth0.05", "eth0.x.6",
                            "eth0.05.6", "eth0.5.", "eth0..5", "eth0.5x"})
    EXPECT_FALSE(vlan_named(other)) << other;
}

TEST_F(ParentsTest, AVlanLinkIsDemandedUntilItIsDeclaredOrNobodyNamesIt) {
  put_network("a", network("macvlan", "eth0.50"));
  put_network("b", network("macvlan", "eth0.50"));
  put_network("c", network("macvlan", "eth1"));
  EXPECT_EQ(desired.implicit_vlans(), (std::map<std::string, VlanSpec>{{"eth0.50", *vlan_named("eth0.50")}}));
  desired.put(declaration({Kind::vlan, "eth0.50"}, *vlan_named("eth0.50"), ""));
  EXPECT_EQ(desired.implicit_vlans().size(), 1U) << "one made on demand is no declared one";
  desired.put(declaration({Kind::vlan, "eth0.50"}, *vlan_named("eth0.50")));
  EXPECT_TRUE(desired.implicit_vlans().empty());
  desired.erase({Kind::vlan, "eth0.50"});
  desired.erase({Kind::network, "a"});
  EXPECT_EQ(desired.implicit_vlans().size(), 1U);
  desired.erase({Kind::network, "b"});
  EXPECT_TRUE(desired.implicit_vlans().empty());
}

TEST_F(ParentsTest, AVlanLinkInAVlanIsDemandedWithTheOneBelow) {
  put_network("a", network("macvlan", "eth0.20.200"));
  const std::map<std::string, VlanSpec> both{{"eth0.20", *vlan_named("eth0.20")},
                                             {"eth0.20.200", *vlan_named("eth0.20.200")}};
  EXPECT_EQ(desired.implicit_vlans(), both);
  desired.put(declaration({Kind::vlan, "eth0.20"}, *vlan_named("eth0.20")));
  EXPECT_EQ(desired.implicit_vlans().size(), 1U) << "the one below is declared";
  desired.put(declaration({Kind::vlan, "eth0.20.200"}, *vlan_named("eth0.20.200")));
  EXPECT_TRUE(desired.implicit_vlans().empty());
}

TEST_F(ParentsTest, AVlanLinkIsDemandedAsAnUplink) {
  NetworkSpec lan = network("bridge", "");
  lan.uplinks = {{"eth0.50", {}, {}}, {"eth1", {}, {}}};
  put_network("lan", lan);
  EXPECT_EQ(desired.implicit_vlans(), (std::map<std::string, VlanSpec>{{"eth0.50", *vlan_named("eth0.50")}}));
  lan.uplinks.erase(lan.uplinks.begin());
  put_network("lan", lan);
  EXPECT_TRUE(desired.implicit_vlans().empty());
}

// ---- what cannot share a parent

TEST_F(ParentsTest, TwoKindsOnOneParentAreRefused) {
  put_network("a", network("macvlan", "eth0"));
  put_network("b", network("ipvlan", "eth0"));
  EXPECT_NAMES(refusal(), "network a", "network b", "eth0", "macvlan", "ipvlan");
}

TEST_F(ParentsTest, TwoNetworksOfOneKindShareAParent) {
  put_network("a", network("macvlan", "eth0", {subnet("10.0.0.0/24")}));
  put_network("b", network("macvlan", "eth0", {subnet("10.0.1.0/24")}));
  EXPECT_EQ(refusal(), "");
}

TEST_F(ParentsTest, ASecondUserBesidePassthruIsRefused) {
  NetworkSpec alone = network("macvlan", "eth0");
  alone.settings["mode"] = std::string("passthru");
  put_network("a", alone);
  put_attachment("one", attachment("a", "r1"));
  EXPECT_EQ(refusal(), "");
  put_attachment("two", attachment("a", "r2"));
  EXPECT_NAMES(refusal(), "attachment one", "attachment two", "network a", "passthru");
  desired.erase({Kind::attachment, "two"});
  put_network("b", network("macvlan", "eth0"));
  EXPECT_NAMES(refusal(), "network a", "network b", "passthru");
}

TEST_F(ParentsTest, APortIsNoParent) {
  NetworkSpec bridge = network("bridge", "");
  bridge.uplinks = {{"eth0", std::nullopt, {}}};
  put_network("lan", bridge);
  put_network("office", network("macvlan", "eth0"));
  EXPECT_NAMES(refusal(), "network lan", "network office", "eth0", "port");
}

TEST_F(ParentsTest, IpvlanModesOfOneParentMustAgree) {
  NetworkSpec routed = network("ipvlan", "eth0");
  routed.settings["mode"] = std::string("l3");
  put_network("a", routed);
  put_network("b", network("ipvlan", "eth0"));
  EXPECT_NAMES(refusal(), "network a", "network b", "mode");
}

TEST_F(ParentsTest, OverlappingSubnetsOnOneParentAreRefused) {
  put_network("a", network("macvlan", "eth0", {subnet("10.0.0.0/16")}));
  put_network("b", network("macvlan", "eth0", {subnet("10.0.7.0/24")}));
  EXPECT_NAMES(refusal(), "network a", "network b", "10.0.0.0/16", "10.0.7.0/24");
  put_network("b", network("macvlan", "eth1", {subnet("10.0.7.0/24")}));
  EXPECT_EQ(refusal(), "") << "labs use the same addresses on LANs that do not meet";
}

TEST_F(ParentsTest, AnMtuAboveTheParentsIsRefused) {
  VlanSpec vlan = *vlan_named("eth0.50");
  vlan.mtu = 1400;
  desired.put(declaration({Kind::vlan, "eth0.50"}, vlan));
  NetworkSpec lan = network("macvlan", "eth0.50");
  lan.mtu = 1500;
  put_network("a", lan);
  EXPECT_NAMES(refusal(), "network a", "1500", "1400", "vlan eth0.50");
}

TEST(SetCheck, FindsWhatTheReaderOfOneObjectCannotSee) {
  SetSpec set;
  set.networks["a"] = network("macvlan", "eth0", {subnet("10.0.0.0/30")});
  set.networks["b"] = network("ipvlan", "eth0");
  EXPECT_EQ(desired::faults_between(set).size(), 2U) << "each says it of the other";
  set.networks.erase("b");
  EXPECT_TRUE(desired::faults_between(set).empty());
  for (const char* name : {"x", "y", "z"}) set.attachments[name] = attachment("a", name);
  const auto faults = desired::faults_between(set);
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_NAMES(faults.front().text(), "attachment z", "10.0.0.0/30");
}

TEST_F(ParentsTest, OneAddressForTwoIsRefusedWithoutSubnetsToo) {
  put_network("lan", network("bridge", ""));
  put_attachment("a", attachment("lan", "r1", prefixes({"10.0.0.1/24"})));
  put_attachment("b", attachment("lan", "r2", prefixes({"10.0.0.1/16"})));
  const auto refused = desired::allocate_addresses(desired, "lan");
  ASSERT_FALSE(refused.ok());
  EXPECT_NAMES(refused.error().text(), "attachment a", "attachment b", "10.0.0.1");
  // One attachment may have an address of IPv4 with two lengths.
  desired.erase({Kind::attachment, "b"});
  put_attachment("a", attachment("lan", "r1", prefixes({"10.0.0.1/24", "10.0.0.1/16"})));
  EXPECT_TRUE(desired::allocate_addresses(desired, "lan").ok());
}

TEST_F(ParentsTest, TheFullNameOfALinkIsANameOfIt) {
  put_network("a-network-with-a-long-name", network("bridge", ""));
  put_network("on-it", network("macvlan", "lw-a-network-with-a-long-name"));
  EXPECT_EQ(refusal(), "");
  const auto* below = desired.find({Kind::network, "a-network-with-a-long-name"});
  EXPECT_EQ(desired.owner_of({"", "lw-a-network-with-a-long-name"}), below);
  EXPECT_EQ(desired.user_outside(*below, {}), desired.find({Kind::network, "on-it"}));
}

TEST_F(ParentsTest, ARouterThatNoAddressCoversIsRefused) {
  put_network("lan", network("bridge", ""));
  const auto put_route = [&](const std::vector<std::string>& addresses, const std::string& via,
                             bool onlink = false, const std::string& beside = "") {
    AttachmentSpec host = attachment("lan", "r1");
    for (const std::string& address : addresses) host.addresses.push_back(prefix(address));
    RouteSpec route;
    route.to = prefix(via.find(':') == std::string::npos ? "10.9.0.0/16" : "fd09::/16");
    route.via = IpAddress::parse(via);
    route.onlink = onlink;
    host.routes.push_back(route);
    if (!beside.empty()) host.routes.push_back({prefix(beside), {}, {}});
    put_attachment("a", host);
    return refusal();
  };
  EXPECT_NAMES(put_route({"10.0.0.1/24"}, "10.0.1.1"), "attachment a", "10.0.1.1", "onlink");
  EXPECT_NAMES(put_route({"10.0.0.1/24"}, "10.0.0.1"), "its own address");
  EXPECT_NAMES(put_route({"fd00::1/64"}, "fd01::1"), "fd01::1");
  EXPECT_EQ(put_route({"10.0.0.1/24"}, "10.0.0.2"), "");
  EXPECT_EQ(put_route({"10.0.0.1/24"}, "10.0.1.1", true), "");
  EXPECT_EQ(put_route({"10.0.0.1/24"}, "10.0.1.1", false, "10.0.1.0/24"), "") << "it is on the link";
  EXPECT_EQ(put_route({"fd00::1/64"}, "fe80::1"), "");
  EXPECT_EQ(put_route({}, "10.0.1.1"), "") << "whoever gives it an address knows";
}

TEST_F(ParentsTest, ASubnetThatNoInterfaceCanBeInIsRefused) {
  put_network("lan", network("bridge", "", {subnet("224.0.0.0/24")}));
  EXPECT_NAMES(refusal(), "network lan", "224.0.0.0/24", "multicast");
}

// ---- the planner

TEST_F(ParentsTest, AParentThatGoesAndComesTakesAndBringsWhatStandsOnIt) {
  kernel.add_namespace("/run/netns/r1");
  add_host_link("eth0");
  put_network("lan", network("macvlan", "eth0"));
  put_attachment("a", attachment("lan", "r1", prefixes({"10.0.0.1/24"})));
  converge();
  EXPECT_NE(kernel.real().find(LinkName{"/run/netns/r1", "eth0"}), nullptr);
  kernel.delete_link({"", "eth0"});
  const Plan waiting = plan();
  EXPECT_TRUE(waiting.empty());
  EXPECT_EQ(waiting.blocked.size(), 2U) << "the network and the attachment";
  add_host_link("eth0");
  converge();
  const LinkFact* again = kernel.real().find(LinkName{"/run/netns/r1", "eth0"});
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->addresses.size(), 1U);
}

TEST_F(ParentsTest, AFoundVlanLinkIsUsedAndLeftAlone) {
  add_host_link("eth0");
  add_host_link("eth0.50", "vlan");
  put_network("lan", network("macvlan", "eth0.50"));
  desired.put(declaration({Kind::vlan, "eth0.50"}, *vlan_named("eth0.50"), ""));
  const Plan todo = plan();
  EXPECT_TRUE(todo.empty());
  EXPECT_TRUE(todo.blocked.empty());
  mark_deleting({Kind::vlan, "eth0.50"});
  EXPECT_TRUE(plan().empty());
}

// `ip link add link enp1s0 name eth0.50 type vlan id 50`, or no VLAN link at all.
TEST_F(ParentsTest, AFoundLinkNeedNotStandOnWhatItsNameSays) {
  put_network("lan", network("macvlan", "eth0.50"));
  desired.put(declaration({Kind::vlan, "eth0.50"}, *vlan_named("eth0.50"), ""));
  EXPECT_EQ(plan().blocked.size(), 2U) << "the VLAN and the network";
  add_host_link("eth0.50", "veth");
  const Plan todo = plan();
  EXPECT_TRUE(todo.empty());
  EXPECT_TRUE(todo.blocked.empty());
}

TEST_F(ParentsTest, WhatAnAttachmentLeavesBehindIsRemovedWhereItWas) {
  kernel.add_namespace("/run/netns/r1");
  kernel.add_namespace("/run/netns/r2");
  add_host_link("eth0");
  put_network("lan", network("macvlan", "eth0"));
  put_attachment("a", attachment("lan", "r1"));
  converge();
  put_attachment("a", attachment("lan", "r2"));
  const ObjectUid uid = desired.find({Kind::attachment, "a"})->object.uid;
  desired.set_finalizers(uid, {Finalizer::netns("/run/netns/r1")});
  converge();
  EXPECT_EQ(kernel.real().find(LinkName{"/run/netns/r1", "eth0"}), nullptr);
  EXPECT_NE(kernel.real().find(LinkName{"/run/netns/r2", "eth0"}), nullptr);
  const auto settled = planning::settled_finalizers(*desired.find_uid(uid), desired, look());
  EXPECT_EQ(settled.size(), 1U);
}

TEST_F(ParentsTest, TwoThatSwapNamesMakeRoomForEachOther) {
  NetworkSpec a = network("bridge", "");
  NetworkSpec b = network("bridge", "");
  a.settings["name"] = std::string("br0");
  b.settings["name"] = std::string("br1");
  put_network("a", a);
  put_network("b", b);
  converge();
  put_network("a", b);
  put_network("b", a);
  ASSERT_EQ(refusal(), "");
  converge();
  EXPECT_TRUE(plan().blocked.empty());
  const LinkFact* now = kernel.real().find(LinkName{"", "br1"});
  ASSERT_NE(now, nullptr);
  EXPECT_EQ(OwnerTag::parse(now->alias)->uid, desired.find({Kind::network, "a"})->object.uid);
}

TEST_F(ParentsTest, WhatIsPluggedIntoAnUnreadableNetworkStays) {
  kernel.add_namespace("/run/netns/r1");
  put_network("lan", network("bridge", ""));
  put_attachment("a", attachment("lan", "r1", prefixes({"10.0.0.1/24"})));
  converge();
  desired::Declaration unreadable = desired.find({Kind::network, "lan"})->object;
  unreadable.spec = nullptr;
  desired.put(unreadable);
  const Plan todo = plan();
  EXPECT_TRUE(todo.empty()) << todo.actions.front().text();
  EXPECT_EQ(todo.blocked.size(), 2U);
}

TEST_F(ParentsTest, VlanFilteringIsSwitchedOffAgain) {
  NetworkSpec lan = network("bridge", "");
  lan.settings["vlan_filtering"] = true;
  put_network("lan", lan);
  converge();
  lan.settings.clear();
  put_network("lan", lan);
  const Plan todo = plan();
  ASSERT_EQ(todo.actions.size(), 1U);
  EXPECT_EQ(todo.actions[0].differences, std::vector<std::string>{"bridge.vlan_filtering"});
}

}  // namespace
}  // namespace lanwright
