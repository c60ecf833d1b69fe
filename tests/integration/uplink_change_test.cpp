// Uplinks that `lanwright uplink` adds and takes away, of networks that a file declares and that Docker made.
#include <gtest/gtest.h>

#include "tests/integration/harness.h"
#include "tests/integration/libnetwork.h"

namespace lanwright::test {
namespace {

constexpr const char* kNear = "10.3.0.2";
constexpr const char* kFar = "10.3.0.9";

struct Case {
  const char* driver;
  bool docker;  // Docker made the network
};

std::string name_of(const testing::TestParamInfo<Case>& info) {
  return std::string(info.param.docker ? "docker_" : "declared_") + info.param.driver;
}

// Behind the interface up0 is a cable, and at its far end a neighbour; a namespace `c1` is on the LAN.
class UplinkChange : public testing::TestWithParam<Case> {
 protected:
  UplinkChange() {
    for (const char* netns : {"c1", "far"}) sandbox_.add_netns(netns);
    add_cable();
    start();
    if (GetParam().docker)
      make_dockers();
    else
      agent_->apply("version: 1\nname: lan\nnetworks:\n  lan: {driver: " + std::string(GetParam().driver) +
                    "}\nattachments:\n  c1: {network: lan, netns: c1, interface: eth0, addresses: [" + kNear +
                    "/24]}\n");
  }

  void start() { agent_.emplace(sandbox_, AgentOptions{.more = {"--docker-api-socket", ""}}); }

  void add_cable() const {
    sandbox_.ip("link add up0 up type veth peer name eth0 address 02:00:00:00:03:09 netns far");
    sandbox_.ip("-n far addr add " + std::string(kFar) + "/24 dev eth0");
    sandbox_.ip("-n far link set eth0 up");
  }

  void make_dockers() {
    docker_.emplace(sandbox_, agent_->docker_socket("lanwright").parent_path());
    docker_->create_network(GetParam().driver, "lan", {.pools = {{"10.3.0.0/24", "10.3.0.1"}}});
    docker_->run("c2", "lan", {.addresses = {std::string(kNear) + "/24"}});
    network_ = short_id(docker_->network_id("lan"));
    near_ = "c2";
  }

  Finished uplink(const std::string& command, const std::string& interface) const {
    return agent_->cli({"uplink", command, network_, interface, "--wait"});
  }
  testing::AssertionResult talks() const {
    if (auto there = ping(near_, kFar); !there) return there;
    return ping("far", kNear);
  }

  Sandbox sandbox_;
  std::optional<AgentProcess> agent_;
  std::optional<Libnetwork> docker_;
  std::string network_ = "lan";
  std::string near_ = "c1";
};

TEST_P(UplinkChange, CarriesTrafficUntilItIsTakenAway) {
  EXPECT_TRUE(no_ping(near_, kFar));
  const Finished added = uplink("add", "up0");
  ASSERT_TRUE(added.ok()) << added.text();
  EXPECT_TRUE(talks());
  const Finished again = uplink("add", "up0");
  EXPECT_TRUE(again.ok() && again.out.find("unchanged") != std::string::npos) << again.text();
  EXPECT_TRUE(talks());
  const Finished removed = uplink("remove", "up0");
  ASSERT_TRUE(removed.ok()) << removed.text();
  EXPECT_TRUE(no_ping(near_, kFar));
  EXPECT_FALSE(sandbox_.link("up0")->contains("master"));
  EXPECT_EQ(sandbox_.link("up0")->at("promiscuity"), 0);
  const Finished gone = uplink("remove", "up0");
  EXPECT_TRUE(gone.ok() && gone.out.find("unchanged") != std::string::npos) << gone.text();
}

TEST_P(UplinkChange, IsThereAfterTheAgentWasKilledAndWhenItsInterfaceComesBack) {
  ASSERT_TRUE(uplink("add", "up0").ok());
  ASSERT_TRUE(talks());
  agent_->kill();
  EXPECT_TRUE(talks());
  sandbox_.ip("link del up0");
  add_cable();
  start();
  EXPECT_TRUE(talks());
  sandbox_.ip("link del up0");
  add_cable();
  EXPECT_TRUE(talks());
}

TEST_P(UplinkChange, IsRefusedWhereTheInterfaceIsAnothers) {
  agent_->apply("version: 1\nname: other\nnetworks:\n  other: {driver: " + std::string(GetParam().driver) +
                ", uplinks: [up0]}\n");
  const Finished refused = uplink("add", "up0");
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.err.find("up0"), std::string::npos) << refused.text();
  EXPECT_NE(refused.err.find("other"), std::string::npos) << refused.text();
  EXPECT_TRUE(no_ping(near_, kFar));
}

TEST_P(UplinkChange, GoesWithItsNetwork) {
  ASSERT_TRUE(uplink("add", "up0").ok());
  if (GetParam().docker) {
    docker_->remove("c2");
    docker_->remove_network("lan");
  } else {
    ASSERT_TRUE(agent_->cli({"delete", "set", "lan", "--wait"}).ok());
  }
  EXPECT_EQ(agent_->get_json("/v1/networks"), Json::array());
  EXPECT_FALSE(sandbox_.link("up0")->contains("master"));
  EXPECT_EQ(sandbox_.link("up0")->at("promiscuity"), 0);
}

INSTANTIATE_TEST_SUITE_P(Drivers, UplinkChange,
                         testing::Values(Case{"bridge", false}, Case{"vde", false}, Case{"bridge", true},
                                         Case{"vde", true}),
                         name_of);

}  // namespace
}  // namespace lanwright::test
