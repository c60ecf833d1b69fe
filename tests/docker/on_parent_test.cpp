// Docker's networks on a parent of the host as users ask for them: VLANs that are there or made on demand,
// links that share their parent's MAC address, and networks without a parent. In the guest, as all of it
// needs 802.1Q, ipvlan or dummy.
#include <gtest/gtest.h>
#include <linux/if_ether.h>

#include <functional>
#include <memory>

#include "tests/docker/host.h"
#include "tests/integration/frames.h"
#include "tests/integration/kernel_facts.h"
#include "tests/integration/traffic.h"

namespace lanwright::test {
namespace {

// The host's p0; its cable ends at eth0 in the namespace "router". One host for all, as emulated processors
// take long to start Docker.
class OnParent : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    lacking_ = lacking_kind(Sandbox());
    if (lacking_.empty()) host_ = std::make_unique<DockerHost>();
  }
  static void TearDownTestSuite() { host_.reset(); }

  void SetUp() override {
    if (!lacking_.empty()) GTEST_SKIP() << "this kernel has no links of kind " << lacking_;
    host_->add_parent("p0", "router");
  }
  // Leaves nothing to the test that is next, whatever became of this one.
  void TearDown() override {
    if (host_ == nullptr) return;
    host_->remove_all();
    host_->sandbox().ip("link del p0");
    for (const std::string& netns : netns_) host_->sandbox().delete_netns(netns);
    netns_.clear();
  }

  // Where a VLAN of the cable ends: a namespace "vlan40" with this address.
  void end_vlan(const std::string& vid, const std::string& address) {
    const Sandbox& sandbox = host_->sandbox();
    const std::string netns = "vlan" + vid;
    sandbox.add_netns(netns);
    netns_.push_back(netns);
    sandbox.ip("-n router link add link eth0 name end" + vid + " type vlan id " + vid);
    sandbox.ip("-n router link set end" + vid + " netns " + netns);
    sandbox.ip("-n " + netns + " addr add " + address + " dev end" + vid);
    sandbox.ip("-n " + netns + " link set end" + vid + " up");
  }

  // All that crosses the cable while the container pings the address has this tag.
  static void expect_tagged(int vid, const std::string& container, const std::string& address) {
    const Wire wire("router", "eth0");
    EXPECT_TRUE(ping(host_->netns(container), address));
    const std::set<Tag> tags = wire.tags();
    EXPECT_TRUE(tags.contains({ETH_P_8021Q, vid, ETH_P_IP}));
    for (const Tag& tag : tags) EXPECT_EQ(std::pair(tag.protocol, tag.vid), std::pair(ETH_P_8021Q, vid));
  }
  // Nothing is left of a container c1 that has a MAC address of its own, and its user is told why.
  static void expect_mac_refused(const Words& start, const Json& before) {
    const Finished result = host_->docker().docker(start);
    EXPECT_FALSE(result.ok());
    if (!tests_dockers_own()) {
      EXPECT_NE(result.err.find("ipvlan links have the MAC address of their parent"), std::string::npos)
          << result.text();
    }
    EXPECT_FALSE(host_->docker().is_running("c1"));
    EXPECT_TRUE(host_->is_as_before(before));
    host_->remove({"c1"});
  }
  static int index_of(const std::string& link) { return host_->sandbox().link(link)->at("ifindex"); }

  static std::unique_ptr<DockerHost> host_;
  static std::string lacking_;
  Words netns_;
};

std::unique_ptr<DockerHost> OnParent::host_;
std::string OnParent::lacking_;

// --- VLANs ---

TEST_F(OnParent, AVlanLinkOfAnyNameIsUsedAndSurvives) {
  host_->sandbox().ip("link add link p0 name foo type vlan id 40");
  host_->sandbox().ip("link set foo up");
  end_vlan("40", "10.5.0.1/24");
  const Json before = host_->inventory();
  const int index = index_of("foo");
  for (const std::string kind : {"macvlan", "ipvlan"}) {
    SCOPED_TRACE(kind);
    host_->create(kind, "lan", {"--subnet", "10.5.0.0/24", "--gateway", "10.5.0.1", "-o", "parent=foo"});
    EXPECT_EQ(host_->sandbox().links(), before.at("links")) << "there is another VLAN link";
    host_->run("c1", "lan");
    expect_tagged(40, "c1", "10.5.0.1");
    host_->remove({"c1"});
    host_->remove_networks({"lan"});
    EXPECT_TRUE(host_->is_as_before(before));
    EXPECT_EQ(index_of("foo"), index) << "it is another link";
  }
}

// One subnet in both: whatever crosses would answer.
TEST_F(OnParent, VlansMadeOnDemandAreApartAndGoWithTheirNetworks) {
  const Json before = host_->inventory();
  const auto create = [&](const std::string& kind, const std::string& vid, const std::string& range) {
    end_vlan(vid, "10.5.0.1/24");
    host_->create(kind, "lan" + vid,
                  {"--ipam-driver", "lanwright", "--subnet", "10.5.0.0/24", "--ip-range", range, "-o",
                   "parent=p0." + vid});
  };
  create("macvlan", "50", "10.5.0.32/27");
  create("ipvlan", "60", "10.5.0.64/27");
  host_->run("c50", "lan50", {"--ip", "10.5.0.50"});
  host_->run("c60", "lan60", {"--ip", "10.5.0.80"});
  expect_tagged(50, "c50", "10.5.0.1");
  expect_tagged(60, "c60", "10.5.0.1");
  EXPECT_TRUE(no_ping(host_->netns("c50"), "10.5.0.80"));
  EXPECT_TRUE(no_ping(host_->netns("c60"), "10.5.0.50"));

  host_->remove({"c50"});
  host_->remove_networks({"lan50"});
  EXPECT_TRUE(wait_until([] { return !host_->sandbox().link("p0.50"); }));
  expect_tagged(60, "c60", "10.5.0.1");
  host_->remove({"c60"});
  host_->remove_networks({"lan60"});
  EXPECT_TRUE(host_->is_as_before(before));
}

TEST_F(OnParent, AVlanMadeOnDemandGoesWithTheLastOfItsNetworks) {
  if (tests_dockers_own()) GTEST_SKIP() << "that of this age lets one network have a parent";
  const Json before = host_->inventory();
  host_->create("macvlan", "one", {"--subnet", "10.5.0.0/24", "-o", "parent=p0.50"});
  const int index = index_of("p0.50");
  host_->create("macvlan", "two", {"--subnet", "10.6.0.0/24", "-o", "parent=p0.50"});
  host_->remove_networks({"one"});
  end_vlan("50", "10.6.0.1/24");
  host_->run("c1", "two");
  expect_tagged(50, "c1", "10.6.0.1");
  EXPECT_EQ(index_of("p0.50"), index);
  host_->remove({"c1"});
  host_->remove_networks({"two"});
  EXPECT_TRUE(host_->is_as_before(before));
}

// --- ipvlan ---

TEST_F(OnParent, IpvlanHasNoMacAddressButItsParents) {
  host_->create("ipvlan", "lan", {"--subnet", "10.5.0.0/24", "-o", "parent=p0"});
  const Json before = host_->inventory();
  const std::string mac = "02:00:00:00:07:01";
  // As Compose and other clients say it, which are not as careful as Docker's own.
  const Json wanted{{"Image", "busybox"}, {"MacAddress", mac}, {"HostConfig", {{"NetworkMode", "lan"}}}};
  ASSERT_EQ(host_->docker().api("POST", "/containers/create?name=c1", wanted).status, 201);
  expect_mac_refused({"start", "c1"}, before);
  expect_mac_refused({"run", "-d", "--name", "c1", "--network", "lan", "--mac-address", mac, "busybox"},
                     before);

  host_->run("c1", "lan");
  host_->run("c2", "lan");
  EXPECT_EQ(host_->mac("c1"), host_->sandbox().link("p0")->at("address"));
  EXPECT_TRUE(host_->reach_each_other("c1", "c2", "lan"));
}

TEST_F(OnParent, IpvlanRoutesBetweenItsSubnets) {
  const Json before = host_->inventory();
  const auto create = [](const std::string& name, const Words& subnets, const std::string& option) {
    Words options{"-o", "ipvlan_mode=l3", option};
    for (const std::string& subnet : subnets) options.insert(options.end(), {"--subnet", subnet});
    host_->create("ipvlan", name, options);
  };
  create("lan", {"10.5.0.0/24", "10.6.0.0/24"}, "-o=parent=p0");
  host_->run("c1", "lan", {"--ip", "10.5.0.10"});
  host_->run("c2", "lan", {"--ip", "10.6.0.10"});
  EXPECT_TRUE(host_->reach_each_other("c1", "c2", "lan"));
  for (const char* container : {"c1", "c2"}) {
    EXPECT_EQ(host_->default_route(container), "dev eth0");
    EXPECT_EQ(host_->interfaces(container), Words{"eth0"});
  }
  create("inside", {"10.7.0.0/24"}, "--internal");
  host_->run("c3", "inside");
  EXPECT_EQ(host_->default_route("c3"), "");
  host_->remove({"c1", "c2", "c3"});
  host_->remove_networks({"lan", "inside"});
  EXPECT_TRUE(host_->is_as_before(before));
}

// --- the parent that goes and returns ---

class Returning : public OnParent {
 protected:
  // What a container has of its network, but for the index of its link, the MAC address of an ipvlan link,
  // which is that of the new parent, and for who made its routes.
  static Json facts(const std::string& kind) {
    Json facts = without_indexes(facts_of(host_->sandbox(), host_->ip_name("c1")));
    for (Json& route : facts.at("routes")) route.erase("protocol");
    if (kind == "ipvlan") facts.at("links").at("eth0").erase("address");
    return facts;
  }
  static bool is(const std::string& phase) { return host_->phase_of_attachment("c1", "lan") == phase; }

  // c1 on "lan" loses its link with p0, and has all of it back with the next one, whose far end is
  // `finished`.
  static void lose_and_return(const std::string& kind, const std::function<void()>& finish,
                              const std::function<bool()>& reaches) {
    host_->run("c1", "lan");
    host_->run("c2", "lan");
    ASSERT_TRUE(wait_until([] { return is("Ready"); }));
    ASSERT_TRUE(reaches());
    const Json inside = facts(kind);
    host_->sandbox().ip("link del p0");
    EXPECT_TRUE(wait_until([] { return is("Pending") && host_->phase_of_network("lan") == "Pending"; }, 5s));
    EXPECT_EQ(host_->interfaces("c1"), Words{});
    host_->add_parent("p0", "router");
    finish();
    for (const char* container : {"c1", "c2"})
      EXPECT_TRUE(wait_until([&] { return host_->phase_of_attachment(container, "lan") == "Ready"; }));
    EXPECT_EQ(differences(inside, facts(kind)), "");
    EXPECT_TRUE(wait_until(reaches));
    // As good as new for Docker as well, which does not let go of a network that is in use.
    const Finished refused = host_->docker().docker({"network", "rm", "lan"});
    EXPECT_NE(refused.err.find("has active endpoints"), std::string::npos) << refused.text();
    host_->remove({"c1", "c2"});
    host_->remove_networks({"lan"});
  }
};

TEST_F(Returning, IpvlanComesBack) {
  if (tests_dockers_own()) GTEST_SKIP() << "Docker's own repairs nothing";
  const Json before = host_->inventory();
  for (const std::string mode : {"l2", "l3"}) {
    SCOPED_TRACE(mode);
    host_->create("ipvlan", "lan",
                  {"--subnet", "10.5.0.0/24", "-o", "parent=p0", "-o", "ipvlan_mode=" + mode});
    lose_and_return(
        "ipvlan", [] {}, [] { return bool(host_->reach_each_other("c1", "c2", "lan")); });
  }
  EXPECT_TRUE(host_->is_as_before(before));
}

TEST_F(Returning, LinksOnAVlanComeBack) {
  if (tests_dockers_own()) GTEST_SKIP() << "Docker's own repairs nothing";
  const Json before = host_->inventory();
  end_vlan("50", "10.5.0.1/24");
  const auto end_it_again = [this] {
    host_->sandbox().delete_netns(netns_.back());
    netns_.pop_back();
    end_vlan("50", "10.5.0.1/24");
  };
  for (const std::string kind : {"macvlan", "ipvlan"}) {
    SCOPED_TRACE(kind);
    host_->create(kind, "lan", {"--subnet", "10.5.0.0/24", "--gateway", "10.5.0.1", "-o", "parent=p0.50"});
    lose_and_return(kind, end_it_again, [] { return bool(ping(host_->netns("c1"), "10.5.0.1")); });
  }
  EXPECT_TRUE(host_->is_as_before(before));
}

// --- no parent ---

TEST_F(OnParent, WithoutOneTheyReachOnlyEachOther) {
  host_->sandbox().ip("-n router addr add 10.5.0.200/24 dev eth0");
  host_->sandbox().ip("addr add 10.5.0.201/24 dev p0");
  const Json before = host_->inventory();
  const auto dummies = [] { return host_->sandbox().ip_json("link show type dummy").size(); };
  ASSERT_EQ(dummies(), 0U);
  for (const std::string kind : {"macvlan", "ipvlan"}) {
    SCOPED_TRACE(kind);
    host_->create(kind, "lan", {"--subnet", "10.5.0.0/24"});
    EXPECT_EQ(dummies(), 1U);
    host_->run("c1", "lan");
    host_->run("c2", "lan");
    EXPECT_TRUE(host_->reach_each_other("c1", "c2", "lan"));
    EXPECT_TRUE(no_ping(host_->netns("c1"), "10.5.0.200"));
    EXPECT_TRUE(no_ping(host_->netns("c1"), "10.5.0.201"));
    host_->remove({"c1", "c2"});
    host_->remove_networks({"lan"});
    EXPECT_TRUE(host_->is_as_before(before));
  }
}

}  // namespace
}  // namespace lanwright::test
