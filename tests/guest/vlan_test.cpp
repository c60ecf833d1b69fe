// VLANs as a switch at the far end of the cable sees them: 802.1Q, 802.1ad, and a bridge that filters.
#include <gtest/gtest.h>
#include <linux/if_ether.h>

#include <set>
#include <string>

#include "tests/integration/event_stream.h"
#include "tests/integration/frames.h"
#include "tests/integration/harness.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

class Vlan : public ::testing::Test {
 protected:
  Vlan() {
    for (const char* name : {"switch", "h10", "h20", "s10", "s20"}) sandbox_.add_netns(name);
  }

  // The cable: trunk0 on the host, far0 in the switch, where each VLAN ends in a namespace of its own. Its
  // addresses are always the same, or neighbours would look for the old ones for a while.
  void lay_cable() {
    sandbox_.ip("link add trunk0 type veth peer name far0 netns switch");
    sandbox_.ip("-n switch link set far0 up");
    for (const std::string vid : {"10", "20"}) {
      sandbox_.ip("-n switch link add link far0 name far.vlan" + vid + " address 02:00:00:00:09:" + vid +
                  " type vlan id " + vid);
      sandbox_.ip("-n switch link set far.vlan" + vid + " netns s" + vid);
      sandbox_.ip("-n s" + vid + " addr add 10.9.0.254/24 dev far.vlan" + vid);
      sandbox_.ip("-n s" + vid + " link set far.vlan" + vid + " up");
    }
  }

  // The same addresses in both VLANs: whatever crosses would answer.
  static constexpr const char* kTwoVlans = R"(
version: 1
name: trunk
vlans:
  trunk0.10: {parent: trunk0, id: 10}
  trunk0.20: {parent: trunk0, id: 20}
networks:
  v10: {driver: bridge, uplinks: [trunk0.10]}
  v20: {driver: bridge, uplinks: [trunk0.20]}
attachments:
  h10: {network: v10, netns: h10, interface: eth0, addresses: [10.9.0.10/24]}
  h20: {network: v20, netns: h20, interface: eth0, addresses: [10.9.0.20/24]}
)";

  // What a host that pinged left on the wire: the ping for certain, and nothing in another VLAN or in none.
  static void expect_only(int vid, const std::set<Tag>& tags) {
    EXPECT_TRUE(tags.contains({ETH_P_8021Q, vid, ETH_P_IP})) << "no packet of VLAN " << vid << " was seen";
    for (const Tag& tag : tags)
      EXPECT_EQ(std::pair(tag.protocol, tag.vid), std::pair(ETH_P_8021Q, vid))
          << "EtherType " << tag.inner_protocol;
  }

  Sandbox sandbox_;
};

TEST_F(Vlan, TenAndTwentyShareAParentAndNothingElse) {
  lay_cable();
  sandbox_.ip("link set trunk0 up");
  const AgentProcess agent(sandbox_);
  agent.apply(kTwoVlans);
  EXPECT_EQ(agent.metric("action_failures_total"), 0U) << "uplinks of the same plan";
  EXPECT_TRUE(ping("h10", "10.9.0.254"));
  EXPECT_TRUE(ping("h20", "10.9.0.254"));
  EXPECT_TRUE(tcp("h10", "s10", "10.9.0.254"));
  EXPECT_TRUE(tcp("h20", "s20", "10.9.0.254"));
  EXPECT_TRUE(no_ping("h10", "10.9.0.20"));
  EXPECT_TRUE(no_ping("h20", "10.9.0.10"));

  // By sender: for some seconds each goes on asking for the address that it did not find.
  const Wire wire("switch", "far0");
  for (const int vid : {10, 20}) {
    const std::string host = "h" + std::to_string(vid);
    EXPECT_TRUE(ping(host, "10.9.0.254"));
    expect_only(vid, wire.tags(sandbox_.link("eth0", host)->at("address")));
  }
}

TEST_F(Vlan, DeclaredBeforeItsParentComesUpWhenTheParentAppears) {
  AgentProcess agent(sandbox_);
  const auto file = sandbox_.write_file("trunk.yaml", kTwoVlans);
  ASSERT_TRUE(agent.cli({"apply", "-f", file}).ok());
  ASSERT_TRUE(reaches(agent, "vlans", "trunk0.10", "Pending"));
  EXPECT_NE(message_of(agent, "vlans", "trunk0.10").find("trunk0"), std::string::npos);
  ASSERT_TRUE(reaches(agent, "networks", "v10", "Pending"));
  EventStream events(agent);
  lay_cable();
  events.expect("Pending", "vlan trunk0.10", "trunk0 is down");
  sandbox_.ip("link set trunk0 up");
  events.expect("Ready", "vlan trunk0.10");
  ASSERT_TRUE(reaches(agent, "networks", "v10", "Ready"));
  ASSERT_TRUE(reaches(agent, "networks", "v20", "Ready"));
  EXPECT_TRUE(ping("h10", "10.9.0.254"));
  EXPECT_TRUE(ping("h20", "10.9.0.254"));

  sandbox_.ip("link del trunk0");  // and its VLANs with it
  ASSERT_TRUE(reaches(agent, "vlans", "trunk0.10", "Pending"));
  lay_cable();
  sandbox_.ip("link set trunk0 up");
  ASSERT_TRUE(reaches(agent, "networks", "v20", "Ready"));
  EXPECT_TRUE(ping("h20", "10.9.0.254"));
}

TEST_F(Vlan, IsMadeOnDemandAsAnUplinkAndInsideAnother) {
  lay_cable();
  sandbox_.ip("link set trunk0 up");
  sandbox_.ip("-n s20 link add inner link far.vlan20 up type vlan id 200");
  sandbox_.ip("-n s20 address add 10.9.1.254/24 dev inner");
  const AgentProcess agent(sandbox_);
  agent.apply(R"(
version: 1
name: trunk
networks:
  a: {driver: bridge, uplinks: [trunk0.10]}
  b: {driver: vde, uplinks: [trunk0.20.200]}
attachments:
  h10: {network: a, netns: h10, interface: eth0, addresses: [10.9.0.10/24]}
  h20: {network: b, netns: h20, interface: eth0, addresses: [10.9.1.20/24]}
)");
  EXPECT_TRUE(ping("h10", "10.9.0.254"));
  EXPECT_TRUE(ping("h20", "10.9.1.254"));
  EXPECT_EQ(agent.get_json("/v1/vlans").size(), 3U);

  EventStream events(agent);
  sandbox_.ip("link del trunk0.20");  // and what is on it
  events.expect("Ready", "network b");
  ASSERT_TRUE(converges(agent));
  EXPECT_TRUE(ping("h20", "10.9.1.254"));

  ASSERT_TRUE(agent.cli({"delete", "set", "trunk", "--wait=20s"}).ok());
  ASSERT_TRUE(converges(agent));
  for (const char* name : {"trunk0.10", "trunk0.20", "trunk0.20.200"})
    EXPECT_FALSE(sandbox_.link(name)) << name;
}

TEST_F(Vlan, AServiceTagGoesAroundTheCustomersTag) {
  sandbox_.ip("link add trunk0 type veth peer name far0 netns switch");
  sandbox_.ip("link set trunk0 up");
  sandbox_.ip("-n switch link set far0 up");
  const AgentProcess agent(sandbox_);
  agent.apply(R"(
version: 1
name: qinq
vlans:
  service: {parent: trunk0, id: 100, protocol: 802.1ad}
  customer: {parent: service, id: 5}
networks:
  lan: {driver: bridge, uplinks: [customer]}
attachments:
  h10: {network: lan, netns: h10, interface: eth0, addresses: [10.9.0.10/24]}
)");
  const Wire wire("switch", "far0");
  EXPECT_TRUE(no_ping("h10", "10.9.0.254"));  // nobody there: what it asks for is what is looked at
  EXPECT_EQ(wire.tags(), (std::set<Tag>{{ETH_P_8021AD, 100, ETH_P_8021Q}}));
}

TEST_F(Vlan, AChangedIdMovesTheNetwork) {
  lay_cable();
  sandbox_.ip("link set trunk0 up");
  const AgentProcess agent(sandbox_);
  const auto set = [](const std::string& vid) {
    return "version: 1\nname: one\nvlans:\n  up: {parent: trunk0, id: " + vid +
           "}\nnetworks:\n  lan: {driver: bridge, uplinks: [up]}\nattachments:\n"
           "  h: {network: lan, netns: h10, interface: eth0, addresses: [10.9.0.10/24]}\n";
  };
  agent.apply(set("10"));
  EXPECT_TRUE(ping("s10", "10.9.0.10"));
  agent.apply(set("20"));
  EXPECT_TRUE(ping("s20", "10.9.0.10"));
  EXPECT_TRUE(no_ping("s10", "10.9.0.10"));
}

TEST_F(Vlan, AFilteringBridgeKeepsPortsInTheirVlansAndRepairsThem) {
  const AgentProcess agent(sandbox_);
  agent.apply(R"(
version: 1
name: filter
networks:
  lan: {driver: bridge, bridge: {vlan_filtering: true}}
attachments:
  a: {network: lan, netns: h10, interface: eth0, vlan: 10, addresses: [10.9.0.10/24]}
  b: {network: lan, netns: s10, interface: eth0, vlan: 10, addresses: [10.9.0.11/24]}
  c: {network: lan, netns: h20, interface: eth0, vlan: 20, addresses: [10.9.0.20/24]}
  d: {network: lan, netns: s20, interface: eth0, vlan: 20, trunk: [10], addresses: [10.9.0.21/24]}
)");
  EXPECT_TRUE(ping("h10", "10.9.0.11"));
  EXPECT_TRUE(tcp("h20", "s20", "10.9.0.21"));
  EXPECT_TRUE(no_ping("h10", "10.9.0.20"));
  EXPECT_TRUE(no_ping("h10", "10.9.0.21"));

  EventStream events(agent);
  ASSERT_TRUE(run({"bridge", "vlan", "del", "dev", "lw-a", "vid", "10"}).ok());
  events.expect("Repaired", "attachment a");
  EXPECT_TRUE(ping("h10", "10.9.0.11"));
  ASSERT_TRUE(run({"bridge", "vlan", "add", "dev", "lw-c", "vid", "10"}).ok());
  events.expect("Repaired", "attachment c");
  EXPECT_EQ(run({"bridge", "vlan", "show", "dev", "lw-c"}).out.find(" 10"), std::string::npos);

  // Otherwise tagged than it is wanted.
  events.pass_over();
  ASSERT_TRUE(run({"bridge", "vlan", "add", "dev", "lw-c", "vid", "20", "pvid"}).ok());
  events.expect("Repaired", "attachment c");
  events.pass_over();
  ASSERT_TRUE(run({"bridge", "vlan", "add", "dev", "lw-c", "vid", "30", "untagged"}).ok());
  events.expect("Repaired", "attachment c");
  ASSERT_TRUE(run({"bridge", "vlan", "add", "dev", "lw-d", "vid", "10", "untagged"}).ok());
  events.expect("Repaired", "attachment d");
  ASSERT_TRUE(converges(agent));
  const auto has = [](const std::string& port, const std::string& vlan) {
    return run({"bridge", "vlan", "show", "dev", port}).out.find(vlan + "\n") != std::string::npos;
  };
  EXPECT_TRUE(has("lw-c", "20 PVID Egress Untagged"));
  EXPECT_FALSE(has("lw-c", "30 Egress Untagged"));
  EXPECT_TRUE(has("lw-d", "20 PVID Egress Untagged"));
  EXPECT_TRUE(has("lw-d", " 10")) << run({"bridge", "vlan", "show"}).out;
  EXPECT_TRUE(tcp("h20", "s20", "10.9.0.21"));
}

TEST_F(Vlan, APortOfAllVlansCarriesEachWithItsTag) {
  const AgentProcess agent(sandbox_);
  const std::string lan = R"(
version: 1
name: trunk
networks:
  lan: {driver: bridge, bridge: {vlan_filtering: true}}
attachments:
  a: {network: lan, netns: h10, interface: eth0, vlan: 100, addresses: [10.9.0.10/24]}
  t: {network: lan, netns: s10, interface: eth0, vlan: 7, trunk: [)";
  agent.apply(lan + "all], addresses: []}\n");
  sandbox_.ip("-n s10 link add eth0.100 link eth0 up type vlan id 100");
  sandbox_.ip("-n s10 address add 10.9.0.11/24 dev eth0.100");
  EXPECT_TRUE(ping("h10", "10.9.0.11"));
  EXPECT_EQ(agent.get_json("/v1/attachments/t").at("spec").at("trunk"), Json({"1-6", "8-4094"}));

  EventStream events(agent);
  ASSERT_TRUE(run({"bridge", "vlan", "del", "dev", "lw-t", "vid", "50-150"}).ok());
  events.expect("Repaired", "attachment t");
  EXPECT_TRUE(ping("h10", "10.9.0.11"));

  agent.apply(lan + "2-6, 8-99], addresses: []}\n");
  EXPECT_TRUE(no_ping("h10", "10.9.0.11"));
}

// The host's own VLAN links on the bridge: declared, made on demand, and somebody else's.
TEST_F(Vlan, AFilteringBridgeTakesPartInTheVlansOfTheLinksOnIt) {
  const AgentProcess agent(sandbox_);
  const std::string lan = R"(
version: 1
name: filter
networks:
  sw: {driver: bridge, bridge: {vlan_filtering: true}}
  host10: {driver: macvlan, parent: lw-sw.10}
attachments:
  a: {network: sw, netns: h10, interface: eth0, vlan: 10, addresses: [10.9.0.10/24]}
  b: {network: host10, netns: s10, interface: eth0, addresses: [10.9.0.11/24]}
  c: {network: sw, netns: h20, interface: eth0, vlan: 20, addresses: [10.9.0.20/24]}
)";
  agent.apply(lan);
  EXPECT_TRUE(ping("h10", "10.9.0.11"));
  EXPECT_TRUE(no_ping("h20", "10.9.0.11"));
  EXPECT_EQ(agent.metric("repairs_total"), 0U);
  const auto members = [] { return run({"bridge", "vlan", "show", "dev", "lw-sw"}).out; };
  EventStream events(agent);
  ASSERT_TRUE(run({"bridge", "vlan", "del", "dev", "lw-sw", "vid", "10", "self"}).ok());
  events.expect("Repaired", "vlan lw-sw.10");
  EXPECT_TRUE(ping("h10", "10.9.0.11"));

  sandbox_.ip("link add link lw-sw name theirs type vlan id 20");
  sandbox_.ip("addr add 10.9.0.21/24 dev theirs");
  sandbox_.ip("link set theirs up");
  EXPECT_TRUE(ping("h20", "10.9.0.21"));

  agent.apply(lan.substr(0, lan.find("  host10")) + "attachments:\n" +
              "  a: {network: sw, netns: h10, interface: eth0, vlan: 10, addresses: [10.9.0.10/24]}\n");
  EXPECT_EQ(members().find(" 10"), std::string::npos) << members();
  EXPECT_NE(members().find(" 20"), std::string::npos) << members();
}

}  // namespace
}  // namespace lanwright::test
