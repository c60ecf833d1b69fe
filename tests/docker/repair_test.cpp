// What breaks below running containers, and who is killed: containers keep what they have, or have it back.
#include <gtest/gtest.h>

#include <csignal>
#include <optional>

#include "tests/docker/host.h"
#include "tests/integration/kernel_facts.h"
#include "tests/integration/product.h"
#include "tests/integration/traffic.h"
#include "tests/integration/vde.h"

namespace lanwright::test {
namespace {

class Repair : public testing::Test {
 protected:
  explicit Repair(const DockerdOptions& options = {}) : host_(options) {}

  // "lan" on p0, with c1 and c2 at fixed addresses, and a router at p0's other end.
  void make_lan(const std::string& kind) {
    add_parent();
    host_.create(kind, "lan", {"--subnet", "10.5.0.0/24", "--gateway", "10.5.0.1", "-o", "parent=p0"});
    host_.run("c1", "lan", {"--ip", "10.5.0.11"});
    host_.run("c2", "lan", {"--ip", "10.5.0.12"});
    ASSERT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
  }
  void add_parent() { host_.add_parent("p0", "router", {"10.5.0.1/24"}); }

  void remove_lan(const Words& containers = {"c1", "c2"}) {
    host_.remove(containers);
    host_.remove_networks({"lan"});
  }

  // What is in a container, but for the index of its link, which is a new one after a repair, and for who set
  // what: the agent marks routes as its own.
  Json facts(const std::string& container) const {
    Json facts = without_indexes(facts_of(host_.sandbox(), host_.ip_name(container)));
    for (Json& route : facts.at("routes")) route.erase("protocol");
    return facts;
  }
  pid_t process(const std::string& container) const {
    return host_.docker().inspect(container).at("State").at("Pid");
  }

  // The agent's attachments are those of the endpoints that Docker has.
  testing::AssertionResult attachments_are_of(const Words& containers) const {
    if (tests_dockers_own()) return testing::AssertionSuccess();
    std::set<std::string> wanted;
    for (const auto& container : containers) wanted.insert(host_.endpoint_id(container, "lan"));
    if (wait_until([&] { return host_.objects("attachments") == wanted; }))
      return testing::AssertionSuccess();
    return testing::AssertionFailure() << testing::PrintToString(host_.objects("attachments"))
                                       << " instead of " << testing::PrintToString(wanted);
  }

  DockerHost host_;
};

// --- the agent ---

TEST_F(Repair, ContainersStopAndStartWhenTheAgentWasKilled) {
  const Json before = host_.inventory();
  for (const std::string& kind : kinds()) {
    SCOPED_TRACE(kind);
    make_lan(kind);
    host_.restart_killed_agent();
    host_.docker().ask({"stop", "c1"});
    EXPECT_TRUE(no_ping(host_.netns("c2"), "10.5.0.11"));
    host_.docker().ask({"start", "c1"});
    EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
    EXPECT_EQ(host_.default_route("c1"), "10.5.0.1");
    EXPECT_TRUE(attachments_are_of({"c1", "c2"}));
    // Killed once more between two calls for the same endpoint: what it knew is on disk.
    host_.restart_killed_agent();
    remove_lan();
    host_.sandbox().ip("link del p0");
    EXPECT_TRUE(host_.is_as_before(before));
  }
}

TEST_F(Repair, TrafficPassesWhileTheAgentIsKilled) {
  for (const std::string& kind : kinds()) {
    SCOPED_TRACE(kind);
    make_lan(kind);
    const Json before = host_.inventory();
    const Json inside = facts("c1");
    Stream stream(host_.netns("c1"), host_.netns("c2"), "10.5.0.12");
    host_.restart_killed_agent();
    EXPECT_TRUE(converges(host_.agent()));
    const StreamCount count = stream.stop();
    EXPECT_EQ(count.lost(), 0U) << "of " << count.sent;
    EXPECT_EQ(count.refused, 0U);
    EXPECT_EQ(differences(inside, facts("c1")), "");
    EXPECT_TRUE(host_.is_as_before(before));
    remove_lan();
    host_.sandbox().ip("link del p0");
  }
}

// --- the parent ---

TEST_F(Repair, TheParentReturnsAndContainersHaveAllBack) {
  if (tests_dockers_own()) GTEST_SKIP() << "Docker's own repairs nothing";
  make_lan("macvlan");
  const Json inside = facts("c1");
  const pid_t process_before = process("c1");
  ASSERT_TRUE(ping(host_.netns("c1"), "10.5.0.1"));
  for (int round = 0; round < 2; ++round) {
    host_.sandbox().ip("link del p0");
    EXPECT_TRUE(wait_until([&] { return host_.phase_of_attachment("c1", "lan") == "Pending"; }, 3s))
        << host_.phase_of_attachment("c1", "lan");
    EXPECT_TRUE(wait_until([&] { return host_.phase_of_network("lan") == "Pending"; }, 3s));
    EXPECT_EQ(host_.interfaces("c1"), Words{});
    add_parent();
    EXPECT_TRUE(wait_until([&] { return host_.phase_of_attachment("c1", "lan") == "Ready"; }));
    EXPECT_TRUE(wait_until([&] { return host_.phase_of_attachment("c2", "lan") == "Ready"; }));
    EXPECT_EQ(differences(inside, facts("c1")), "");
    EXPECT_EQ(host_.default_route("c1"), "10.5.0.1");
    EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
    EXPECT_TRUE(ping(host_.netns("c1"), "10.5.0.1"));
  }
  EXPECT_EQ(process("c1"), process_before);
  // As good as new for Docker as well.
  host_.docker().ask({"restart", "c1"});
  EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
  remove_lan();
  EXPECT_EQ(host_.objects("attachments"), std::set<std::string>{});
  EXPECT_EQ(host_.sandbox().links(), (Words{"docker0", "p0"}));
}

// Of a container's networks Docker chooses the one that leads out, and tells nobody.
TEST_F(Repair, TheNetworkThatLedOutDoesSoAgain) {
  if (tests_dockers_own()) GTEST_SKIP() << "Docker's own repairs nothing";
  const std::map<std::string, std::string> gateways{{"first", "10.5.0.1"}, {"second", "10.6.0.1"}};
  const auto add_parents = [this](const Words& order) {
    for (const std::string& link : order)
      host_.add_parent(link, "beside-" + link, {link == "p0" ? "10.5.0.1/24" : "10.6.0.1/24"});
  };
  add_parents({"p0", "p1"});
  host_.create("macvlan", "first", {"--subnet", "10.5.0.0/24", "--gateway", "10.5.0.1", "-o", "parent=p0"});
  host_.create("macvlan", "second", {"--subnet", "10.6.0.0/24", "--gateway", "10.6.0.1", "-o", "parent=p1"});
  host_.run("c1", "first");
  host_.docker().ask({"network", "connect", "second", "c1"});
  // Then with one network between the agent and Docker that leads out and has nothing to do with it.
  for (const bool bridged : {false, true}) {
    SCOPED_TRACE(bridged);
    if (bridged) host_.docker().ask({"network", "connect", "bridge", "c1"});
    const std::string led = host_.default_route("c1");
    ASSERT_NE(led, "");
    const auto leads_out = [&](const std::string& network) { return gateways.at(network) == led; };
    for (const auto& [network, gateway] : gateways)
      ASSERT_TRUE(wait_until([&] { return host_.leads_out("c1", network) == leads_out(network); }))
          << network;
    for (const Words& order : {Words{"p0", "p1"}, Words{"p1", "p0"}}) {
      SCOPED_TRACE(order.front());
      for (const char* link : {"p0", "p1"}) host_.sandbox().ip(std::string("link del ") + link);
      ASSERT_TRUE(wait_until([&] { return host_.interfaces("c1").size() == (bridged ? 1U : 0U); }));
      add_parents(order);
      for (const auto& [network, gateway] : gateways) {
        EXPECT_TRUE(wait_until([&] { return host_.phase_of_attachment("c1", network) == "Ready"; }))
            << network;
        EXPECT_TRUE(ping(host_.netns("c1"), gateway));
      }
      EXPECT_EQ(host_.default_route("c1"), led);
      EXPECT_EQ(host_.agent().get_json("/v1/events?limit=1000").dump().find("File exists"),
                std::string::npos);
    }
  }
  // The other one leads out now.
  host_.docker().ask({"network", "disconnect", "bridge", "c1"});
  host_.docker().ask({"network", "disconnect", "first", "c1"});
  EXPECT_EQ(host_.default_route("c1"), "10.6.0.1");
  ASSERT_TRUE(wait_until([&] { return host_.leads_out("c1", "second"); }));
  host_.sandbox().ip("link del p1");
  ASSERT_TRUE(wait_until([&] { return host_.interfaces("c1").empty(); }));
  add_parents({"p1"});
  EXPECT_TRUE(wait_until([&] { return host_.phase_of_attachment("c1", "second") == "Ready"; }));
  EXPECT_EQ(host_.default_route("c1"), "10.6.0.1");
  host_.remove({"c1"});
  host_.remove_networks({"first", "second"});
}

// What keeps a part of it from being made is told, and the part made as soon as it can be: also by an agent
// that was killed in between.
TEST_F(Repair, ALinkThatCouldBeMadeAgainInPartOnlyIsNotMade) {
  if (tests_dockers_own()) GTEST_SKIP() << "Docker's own repairs nothing";
  add_parent();
  host_.create("macvlan", "lan",
               {"--ipv6", "--subnet", "10.5.0.0/24", "--subnet", "fd05::/64", "--gateway", "10.5.0.1", "-o",
                "parent=p0"});
  host_.run("c1", "lan", {"--ip6", "fd05::77"});
  ASSERT_TRUE(wait_until([&] { return host_.leads_out("c1", "lan"); }));
  const Json inside = facts("c1");
  for (const bool killed : {false, true}) {
    SCOPED_TRACE(killed);
    host_.sandbox().ip("link del p0");
    ASSERT_TRUE(wait_until([&] { return host_.interfaces("c1").empty(); }));
    host_.sandbox().ip("link add p0 mtu 1200 type veth peer name eth0 netns router");  // too small for IPv6
    host_.sandbox().ip("-n router addr add 10.5.0.1/24 dev eth0");
    host_.sandbox().ip("-n router link set eth0 up");
    host_.sandbox().ip("link set p0 up");
    EXPECT_TRUE(wait_until([&] { return host_.phase_of_attachment("c1", "lan") == "Conflict"; }));
    EXPECT_TRUE(host_.interfaces("c1").empty());
    if (killed) host_.restart_killed_agent();
    host_.sandbox().ip("link set p0 mtu 1500");
    EXPECT_TRUE(wait_until([&] { return host_.phase_of_attachment("c1", "lan") == "Ready"; }));
    EXPECT_EQ(differences(inside, facts("c1")), "");
    EXPECT_TRUE(ping(host_.netns("c1"), "10.5.0.1"));
  }
  host_.remove({"c1"});
  host_.remove_networks({"lan"});
}

// In its sandboxes Docker disables IPv6 for links to come.
TEST_F(Repair, Ipv6ComesBackWithTheParent) {
  add_parent();
  host_.create("macvlan", "lan",
               {"--ipv6", "--subnet", "10.5.0.0/24", "--subnet", "fd05::/64", "--gateway", "10.5.0.1", "-o",
                "parent=p0"});
  host_.run("c1", "lan", {"--ip6", "fd05::77"});
  host_.run("c2", "lan");
  ASSERT_TRUE(ping(host_.netns("c2"), "fd05::77"));
  EXPECT_TRUE(wait_until([&] { return host_.phase_of_attachment("c1", "lan") == "Ready"; }));
  host_.sandbox().ip("link del p0");
  EXPECT_TRUE(wait_until([&] { return host_.interfaces("c1").empty() && host_.interfaces("c2").empty(); }));
  add_parent();
  EXPECT_TRUE(
      wait_until([&] { return ping(host_.netns("c2"), "fd05::77") && ping(host_.netns("c1"), "10.5.0.1"); }));
  EXPECT_TRUE(wait_until([&] { return host_.default_route("c1") == "10.5.0.1"; }));
  remove_lan();
}

TEST_F(Repair, ContainersStopWhileTheParentIsGone) {
  if (tests_dockers_own()) GTEST_SKIP() << "Docker's own repairs nothing";
  make_lan("macvlan");
  host_.sandbox().ip("link del p0");
  EXPECT_TRUE(wait_until([&] { return host_.phase_of_attachment("c1", "lan") == "Pending"; }, 3s));
  host_.docker().ask({"stop", "c1"});
  EXPECT_TRUE(attachments_are_of({"c2"}));
  // It cannot start, and Docker says what is missing.
  const Finished refused = host_.docker().docker({"start", "c1"});
  EXPECT_FALSE(refused.ok());
  EXPECT_NE(refused.err.find("p0"), std::string::npos) << refused.text();
  EXPECT_TRUE(attachments_are_of({"c2"}));
  add_parent();
  host_.docker().ask({"start", "c1"});
  EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
}

// --- what somebody takes away from outside ---

TEST_F(Repair, ABridgeAndItsPortsComeBack) {
  if (tests_dockers_own()) GTEST_SKIP() << "Docker's own repairs nothing";
  make_lan("bridge");
  const Json inside = facts("c1");
  const Words links = host_.sandbox().links();
  for (const std::string& link : links) {
    if (link == "p0" || link == "docker0") continue;
    SCOPED_TRACE(link);
    host_.sandbox().ip("link del " + link);
    EXPECT_TRUE(wait_until([&] { return host_.sandbox().links() == links; }));
    EXPECT_TRUE(converges(host_.agent()));
    EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
    EXPECT_TRUE(ping(host_.netns("c1"), "10.5.0.1"));
    EXPECT_EQ(differences(inside, facts("c1")), "");
  }
}

TEST_F(Repair, TheLinkInsideComesBack) {
  if (tests_dockers_own()) GTEST_SKIP() << "Docker's own repairs nothing";
  for (const std::string& kind : kinds()) {
    SCOPED_TRACE(kind);
    make_lan(kind);
    const Json inside = facts("c1");
    const auto in_c1 = [&](const Words& command) { return run(command, {.netns = host_.netns("c1")}).ok(); };
    ASSERT_TRUE(in_c1({"ip", "link", "del", "eth0"}));
    EXPECT_TRUE(wait_until([&] { return differences(inside, facts("c1")).empty(); }))
        << differences(inside, facts("c1"));
    EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
    EXPECT_TRUE(ping(host_.netns("c1"), "10.5.0.1"));
    remove_lan();
    host_.sandbox().ip("link del p0");
  }
}

// --- VDE's processes ---

TEST_F(Repair, SwitchAndPlugComeBackUnderContainers) {
  if (tests_dockers_own()) GTEST_SKIP() << "Docker's own has no VDE";
  const Json before = host_.inventory();
  make_lan("vde");
  const std::string network = host_.network_id("lan");
  const Json inside = facts("c1");
  for (const bool plug : {true, false}) {
    SCOPED_TRACE(plug ? "plug" : "switch");
    const pid_t container = process("c1");
    const SwitchProcesses killed = switch_of(host_.agent(), network);
    ASSERT_TRUE(killed.run());
    ASSERT_EQ(::kill(plug ? killed.plug : killed.pid, SIGKILL), 0);
    const auto is_another = [&] {
      const SwitchProcesses now = switch_of(host_.agent(), network);
      return now.run() && (plug ? now.plug != killed.plug : now.pid != killed.pid);
    };
    EXPECT_TRUE(wait_until(is_another));
    EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
    EXPECT_TRUE(ping(host_.netns("c1"), "10.5.0.1"));
    EXPECT_EQ(differences(inside, facts("c1")), "");
    EXPECT_EQ(process("c1"), container);
  }
  // Both at once, while nobody is there to see it.
  const SwitchProcesses killed = switch_of(host_.agent(), network);
  host_.kill_agent();
  ASSERT_EQ(::kill(killed.plug, SIGKILL), 0);
  ASSERT_EQ(::kill(killed.pid, SIGKILL), 0);
  host_.start_agent();
  EXPECT_TRUE(wait_until([&] { return switch_of(host_.agent(), network).run(); }));
  EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
  EXPECT_EQ(differences(inside, facts("c1")), "");
  remove_lan();
  host_.sandbox().ip("link del p0");
  EXPECT_TRUE(host_.is_as_before(before));
}

// --- dockerd ---

TEST_F(Repair, ADaemonThatWasKilledHasItsAddressesBack) {
  const Json before = host_.inventory();
  for (const std::string& kind : kinds()) {
    SCOPED_TRACE(kind);
    make_lan(kind);
    const std::string stale = host_.endpoint_id("c1", "lan");
    host_.docker().kill();
    host_.docker().start();
    EXPECT_FALSE(host_.docker().is_running("c1"));
    host_.docker().ask({"start", "c1"});
    EXPECT_EQ(host_.address("c1", "lan"), "10.5.0.11");
    EXPECT_NE(host_.endpoint_id("c1", "lan"), stale);
    EXPECT_EQ(host_.interfaces("c1"), Words{"eth0"});
    EXPECT_TRUE(ping(host_.netns("c1"), "10.5.0.1"));
    EXPECT_TRUE(attachments_are_of({"c1"}));
    host_.docker().ask({"start", "c2"});
    EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
    EXPECT_TRUE(attachments_are_of({"c1", "c2"}));
    remove_lan();
    host_.sandbox().ip("link del p0");
    EXPECT_TRUE(host_.is_as_before(before));
  }
}

TEST_F(Repair, ADaemonThatStopsTakesItsEndpointsAway) {
  make_lan(kinds().back());
  host_.docker().restart();
  EXPECT_EQ(host_.objects("attachments"), std::set<std::string>{});
  EXPECT_EQ(host_.objects("networks").size(), tests_dockers_own() ? 0U : 1U);
  host_.docker().ask({"start", "c1", "c2"});
  EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
}

TEST_F(Repair, BothAreKilledAndTheHostIsAsBefore) {
  make_lan(kinds().back());
  host_.docker().kill();
  host_.restart_killed_agent();
  host_.docker().start();
  host_.docker().ask({"start", "c1", "c2"});
  EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
  EXPECT_TRUE(attachments_are_of({"c1", "c2"}));
}

class LiveRestore : public Repair {
 protected:
  LiveRestore() : Repair({.live_restore = true}) {}
};

TEST_F(LiveRestore, TrafficPassesWhileTheDaemonIsAway) {
  const Json before = host_.inventory();
  for (const std::string& kind : kinds()) {
    SCOPED_TRACE(kind);
    make_lan(kind);
    const pid_t container = process("c1");
    const Json inside = facts("c1");
    Stream stream(host_.netns("c1"), host_.netns("c2"), "10.5.0.12");
    host_.docker().kill();
    host_.docker().start();
    const StreamCount count = stream.stop();
    EXPECT_EQ(count.lost(), 0U) << "of " << count.sent;
    EXPECT_EQ(process("c1"), container);
    EXPECT_EQ(differences(inside, facts("c1")), "");
    EXPECT_TRUE(attachments_are_of({"c1", "c2"}));
    // A container that such a daemon inherited stops and starts as any.
    host_.docker().ask({"stop", "c1"});
    EXPECT_TRUE(attachments_are_of({"c2"}));
    host_.docker().ask({"start", "c1"});
    EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
    remove_lan();
    host_.sandbox().ip("link del p0");
    EXPECT_TRUE(host_.is_as_before(before));
  }
}

}  // namespace
}  // namespace lanwright::test
