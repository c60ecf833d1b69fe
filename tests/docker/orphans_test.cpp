// What Docker forgot without telling: it is found, shown, and can be removed; what Docker knows is left
// alone.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <csignal>
#include <filesystem>

#include "tests/docker/host.h"
#include "tests/integration/event_stream.h"
#include "tests/integration/product.h"
#include "tests/integration/traffic.h"

namespace lanwright::test {
namespace {

constexpr const char* kAdvice = "Docker does not know it any more; to remove it: lanwright delete network ";

class Orphans : public testing::Test {
 protected:
  void SetUp() override {
    if (tests_dockers_own()) GTEST_SKIP() << "Docker's own are Docker's to know";
  }

  // "lan" on p0, with c1.
  void make_lan(const std::string& kind) {
    host_.add_parent("p0", "router", {"10.5.0.1/24"});
    host_.create(kind, "lan", {"--subnet", "10.5.0.0/24", "--gateway", "10.5.0.1", "-o", "parent=p0"});
    host_.run("c1", "lan");
  }

  // As Docker says it at the agent's socket for this driver, for what it has forgotten by the time it is
  // asked.
  void say(const std::string& kind, const std::string& call, const Json& body) const {
    const HttpAnswer answer =
        http(host_.agent().docker_socket(driver(kind)), "POST", "/NetworkDriver." + call, body.dump());
    ASSERT_EQ(answer.status, 200) << answer.body;
    ASSERT_EQ(answer.body.find("\"Err\""), std::string::npos) << answer.body;
  }
  // A network that Docker never stored, as when it is killed while it makes one.
  void make_unknown_network(const std::string& kind, const std::string& id) const {
    const Json pool{{"AddressSpace", "LocalDefault"}, {"Pool", "10.6.0.0/24"}};
    say(kind, "CreateNetwork",
        {{"NetworkID", id}, {"Options", Json::object()}, {"IPv4Data", {pool}}, {"IPv6Data", Json::array()}});
  }
  void make_unknown_endpoint(const std::string& kind, const std::string& network, const std::string& id,
                             const std::string& address) const {
    say(kind, "CreateEndpoint",
        {{"NetworkID", network},
         {"EndpointID", id},
         {"Interface", {{"Address", address}, {"AddressIPv6", ""}, {"MacAddress", ""}}},
         {"Options", Json::object()}});
  }

  bool is_orphaned(const std::string& network) const {
    return host_.agent().get_json("/v1/networks/" + network).at("status").contains("orphaned");
  }
  void expect_shown_as_orphaned(const std::string& network) const {
    EXPECT_EQ(host_.agent().get_json("/v1/networks/" + network).at("status").at("orphaned"), true);
    const std::string advice = kAdvice + network;
    for (const Words& command : {Words{"get", "networks"}, Words{"describe", "network", network}}) {
      const Finished shown = host_.agent().cli(command);
      EXPECT_NE(shown.out.find(advice), std::string::npos) << shown.text();
    }
  }
  Finished delete_network(const std::string& network) const {
    return host_.agent().cli({"delete", "network", network});
  }

  DockerHost host_;
};

TEST_F(Orphans, ANetworkThatDockerLostIsShownAndRemoved) {
  const Json before = host_.inventory();
  for (const std::string& kind : kinds()) {
    SCOPED_TRACE(kind);
    make_lan(kind);
    const std::string lan = host_.network_id("lan");
    host_.docker().stop();
    host_.docker().forget_networks();
    host_.restart_killed_agent();
    EventStream events(host_.agent());
    host_.docker().start();
    // The first that this dockerd wants of the agent.
    host_.create("vde", "next", {"--ipam-driver", "null"});
    events.expect("Orphaned", "network " + lan, kAdvice + lan);
    expect_shown_as_orphaned(lan);
    EXPECT_FALSE(is_orphaned(host_.network_id("next")));
    EXPECT_EQ(host_.phase_of_network("next"), "Ready");
    // It is found by the next agent as well, which nobody calls.
    host_.restart_killed_agent();
    EXPECT_TRUE(wait_until([&] { return is_orphaned(lan); }));
    EXPECT_FALSE(is_orphaned(host_.network_id("next")));
    const Finished deleted = delete_network(lan);
    EXPECT_TRUE(deleted.ok()) << deleted.text();
    host_.remove({"c1"});
    host_.remove_networks({"next"});
    host_.sandbox().ip("link del p0");
    EXPECT_TRUE(host_.is_as_before(before));
    make_lan(kind);
    EXPECT_TRUE(ping(host_.netns("c1"), "10.5.0.1"));
    host_.remove({"c1"});
    host_.remove_networks({"lan"});
    host_.sandbox().ip("link del p0");
    EXPECT_TRUE(host_.is_as_before(before));
  }
}

TEST_F(Orphans, OnlyWhatDockerDoesNotKnowIsTouched) {
  const std::string unknown(64, 'd');
  const std::string endpoint(64, 'e');
  const std::string other_endpoint(64, 'f');
  for (const std::string& kind : Words{"bridge", "vde"}) {
    SCOPED_TRACE(kind);
    const Json before = host_.inventory();
    make_lan(kind);
    const Json known = host_.inventory();
    const std::string joined = host_.endpoint_id("c1", "lan");
    make_unknown_network(kind, unknown);
    make_unknown_endpoint(kind, unknown, other_endpoint, "10.6.0.9/24");
    make_unknown_endpoint(kind, host_.docker().inspect("lan").at("Id"), endpoint, "10.5.0.99/24");
    ASSERT_EQ(host_.objects("attachments"),
              (std::set<std::string>{joined, short_id(endpoint), short_id(other_endpoint)}));
    host_.restart_killed_agent();
    EventStream events(host_.agent());
    events.expect("Orphaned", "network " + short_id(unknown));
    events.expect("Removed", "attachment " + short_id(endpoint));
    EXPECT_FALSE(is_orphaned(host_.network_id("lan")));
    EXPECT_EQ(host_.phase_of_attachment("c1", "lan"), "Ready");
    EXPECT_TRUE(ping(host_.netns("c1"), "10.5.0.1"));
    EXPECT_EQ(host_.objects("attachments"), (std::set<std::string>{joined, short_id(other_endpoint)}))
        << "of a network that Docker does not know, nothing is removed";
    const Finished deleted = delete_network(short_id(unknown));
    EXPECT_TRUE(deleted.ok()) << deleted.text();
    EXPECT_TRUE(host_.is_as_before(known)) << "its endpoint went with it";
    host_.remove({"c1"});
    host_.remove_networks({"lan"});
    host_.sandbox().ip("link del p0");
    EXPECT_TRUE(host_.is_as_before(before));
  }
}

TEST_F(Orphans, ANetworkIsNotRemovedFromUnderAContainer) {
  make_lan("bridge");
  const std::string lan = host_.network_id("lan");
  const std::string sandbox = host_.netns("c1");
  const Json before = host_.inventory();
  const Finished refused = delete_network(lan);
  EXPECT_FALSE(refused.ok());
  EXPECT_NE(refused.err.find(std::filesystem::path(sandbox).filename()), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("stop the container or disconnect it"), std::string::npos) << refused.err;
  EXPECT_TRUE(host_.is_as_before(before));
  EXPECT_TRUE(ping(sandbox, "10.5.0.1"));
  host_.docker().ask({"network", "disconnect", "lan", "c1"});
  const Finished deleted = delete_network(lan);
  EXPECT_TRUE(deleted.ok()) << deleted.text();
}

// The container of a dockerd that was killed and lost its data runs on, and nobody can stop it through
// Docker.
TEST_F(Orphans, AContainerThatDockerLostHoldsItsNetworkUntilItIsEnded) {
  const Json before = host_.inventory();
  make_lan("macvlan");
  const std::string lan = host_.network_id("lan");
  const std::string sandbox = host_.netns("c1");
  const pid_t process = host_.docker().inspect("c1").at("State").at("Pid");
  host_.docker().kill();
  host_.docker().forget_networks();
  const Finished refused = delete_network(lan);
  EXPECT_FALSE(refused.ok());
  EXPECT_NE(refused.err.find("umount " + sandbox), std::string::npos) << refused.err;
  ASSERT_EQ(::kill(process, SIGKILL), 0);
  ASSERT_EQ(umount2(sandbox.c_str(), MNT_DETACH), 0);
  EXPECT_TRUE(wait_until([&] { return host_.objects("attachments").empty(); }));
  const Finished deleted = delete_network(lan);
  EXPECT_TRUE(deleted.ok()) << deleted.text();
  host_.sandbox().ip("link del p0");
  EXPECT_TRUE(host_.is_as_before(before));
}

// As when Docker is killed between two of its calls, or its release was not heard.
TEST_F(Orphans, AddressesAndPoolsThatDockerDoesNotHaveAreTakenBack) {
  const auto ask = [this](const std::string& call, const Json& body) {
    const HttpAnswer answer =
        http(host_.agent().docker_socket("lanwright"), "POST", "/IpamDriver." + call, body.dump());
    return answer.status == 200 && answer.body.find("\"Error\"") == std::string::npos;
  };
  const auto request_pool = [&](const std::string& cidr) {
    return ask("RequestPool", {{"AddressSpace", "lanwright"}, {"Pool", cidr}, {"V6", false}});
  };
  const auto request_address = [&](const std::string& address) {
    return ask("RequestAddress", {{"PoolID", "lanwright/10.5.0.0/24"}, {"Address", address}});
  };
  host_.create(
      "bridge", "lan",
      {"--ipam-driver", "lanwright", "--subnet", "10.5.0.0/24", "--aux-address", "printer=10.5.0.9"});
  // Of another driver; a host that has containers on it.
  host_.docker().ask({"network", "create", "-d", "bridge", "--ipam-driver", "lanwright", "--subnet",
                      "10.7.0.0/24", "theirs"});
  // And one of another driver beside ours in one subnet.
  host_.add_parent("p0", "router");
  host_.create("bridge", "half",
               {"--ipam-driver", "lanwright", "--subnet", "10.9.0.0/24", "--ip-range", "10.9.0.0/25"});
  host_.docker().ask({"network", "create", "-d", "macvlan", "--ipam-driver", "lanwright", "--subnet",
                      "10.9.0.0/24", "--ip-range", "10.9.0.128/25", "-o", "parent=p0", "other-half"});
  host_.run("c4", "other-half", {"--ip", "10.9.0.200"});
  host_.run("c1", "lan", {"--ip", "10.5.0.20"});
  host_.run("c2", "theirs");
  ASSERT_TRUE(request_pool("10.8.0.0/24"));
  ASSERT_TRUE(request_address("10.5.0.30"));
  EXPECT_FALSE(request_pool("10.8.0.0/24"));
  EXPECT_FALSE(request_address("10.5.0.30"));
  host_.restart_killed_agent();
  constexpr auto kPatience = 60s;  // Docker is given half of it to list what it is making
  EXPECT_TRUE(wait_until([&] { return request_address("10.5.0.30"); }, kPatience));
  EXPECT_TRUE(wait_until([&] { return request_pool("10.8.0.0/24"); }, kPatience));
  for (const char* used : {"10.5.0.9", "10.5.0.20"}) EXPECT_FALSE(request_address(used)) << used;
  // Docker's own before it asked whether it has to choose a gateway.
  if (!host_.engine().asks_of_gateways) {
    EXPECT_FALSE(request_address("10.5.0.1"));
  }
  EXPECT_FALSE(request_pool("10.7.0.0/24"));
  EXPECT_FALSE(request_pool("10.5.0.0/24"));
  EXPECT_FALSE(
      ask("RequestAddress", {{"PoolID", "lanwright/10.9.0.0/24/10.9.0.128/25"}, {"Address", "10.9.0.200"}}));
  host_.run("c3", "lan");
  EXPECT_TRUE(host_.reach_each_other("c1", "c3", "lan"));
  EXPECT_TRUE(ping(host_.netns("c2"), host_.default_route("c2")));
  host_.remove({"c1", "c2", "c3", "c4"});
  host_.remove_networks({"lan", "theirs", "half", "other-half"});
}

// The other way round: Docker is asked what it knows, and containers do not notice.
TEST_F(Orphans, ANetworkThatTheAgentLostIsMadeAgain) {
  const Json nothing = host_.inventory();
  for (const std::string& kind : kinds()) {
    SCOPED_TRACE(kind);
    make_lan(kind);
    host_.run("c2", "lan");
    const auto is_ready = [&](const std::string& container) {
      return wait_until([&] {
        return host_.phase_of_attachment(container, "lan") == "Ready" && host_.leads_out(container, "lan");
      });
    };
    ASSERT_TRUE(is_ready("c1") && is_ready("c2"));
    const Json before = host_.inventory();
    Stream stream(host_.netns("c1"), host_.netns("c2"), host_.address("c2", "lan"));
    host_.restart_agent_without_database();
    EXPECT_TRUE(host_.is_as_before(before));
    EXPECT_TRUE(is_ready("c1") && is_ready("c2"));
    const StreamCount count = stream.stop();
    EXPECT_EQ(count.lost(), 0U) << "of " << count.sent;

    host_.run("c3", "lan");
    EXPECT_TRUE(host_.reach_each_other("c1", "c3", "lan"));
    ASSERT_TRUE(run({"ip", "link", "del", "eth0"}, {.netns = host_.netns("c1")}).ok());
    EXPECT_TRUE(wait_until([&] { return host_.default_route("c1") == "10.5.0.1"; }));
    EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
    EXPECT_TRUE(ping(host_.netns("c1"), "10.5.0.1"));

    host_.remove({"c1", "c2", "c3"});
    host_.remove_networks({"lan"});
    host_.sandbox().ip("link del p0");
    EXPECT_TRUE(host_.is_as_before(nothing));
  }
}

TEST_F(Orphans, APoolThatTheAgentLostIsThereAgain) {
  host_.create("bridge", "lan", {"--ipam-driver", "lanwright", "--subnet", "10.5.0.0/24"});
  host_.run("c1", "lan");
  EXPECT_EQ(host_.default_route("c1"), "") << "nobody has the gateway that was chosen";
  // One of another driver, too.
  host_.docker().ask({"network", "create", "-d", "bridge", "--ipam-driver", "lanwright", "--subnet",
                      "10.7.0.0/24", "theirs"});
  host_.run("c3", "theirs");
  host_.restart_agent_without_database();
  ASSERT_TRUE(wait_until([&] { return host_.objects("attachments").size() == 1; }));
  host_.run("c4", "theirs");
  EXPECT_TRUE(host_.reach_each_other("c3", "c4", "theirs"));
  host_.run("c2", "lan");
  EXPECT_NE(host_.address("c1", "lan"), host_.address("c2", "lan"));
  EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
  EXPECT_EQ(host_.default_route("c2"), "");
  host_.remove({"c1", "c2", "c3", "c4"});
  host_.remove_networks({"lan", "theirs"});
  host_.create("bridge", "lan", {"--ipam-driver", "lanwright", "--subnet", "10.5.0.0/24"});
  host_.remove_networks({"lan"});
}

// What was removed here on purpose stays so, and Docker's users are told.
TEST_F(Orphans, ANetworkThatWasRemovedHereIsToldClearly) {
  host_.create("bridge", "lan", {"--subnet", "10.5.0.0/24"});
  EXPECT_TRUE(host_.agent().cli({"delete", "network", host_.network_id("lan")}).ok());
  host_.restart_killed_agent();
  const Finished refused = host_.docker().docker({"run", "--rm", "--network", "lan", "busybox", "true"});
  EXPECT_FALSE(refused.ok());
  for (const char* words : {"the agent does not know it", "docker network rm", "create it again"})
    EXPECT_NE(refused.err.find(words), std::string::npos) << refused.text();
  host_.remove_networks({"lan"});
}

}  // namespace
}  // namespace lanwright::test
