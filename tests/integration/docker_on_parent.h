// The fixture of tests with Docker's networks on a parent of the host: the test says what dockerd says, and
// does with the links what dockerd does. In the guest, as all of it needs 802.1Q, ipvlan or dummy.
#pragma once

#include <gtest/gtest.h>
#include <linux/if_ether.h>

#include <optional>
#include <set>
#include <string>
#include <utility>

#include "tests/integration/cable.h"
#include "tests/integration/frames.h"
#include "tests/integration/harness.h"
#include "tests/integration/kernel_facts.h"
#include "tests/integration/libnetwork.h"
#include "tests/integration/product.h"

namespace lanwright::test {

inline const Words kBothKinds{"macvlan", "ipvlan"};

// 10.5.0.0/24 with the gateway 10.5.0.1.
inline NetworkRequest lan_on(const std::string& parent, const Texts& options = {}) {
  NetworkRequest request{.pools = {{"10.5.0.0/24", "10.5.0.1"}}, .options = options};
  if (!parent.empty()) request.options["parent"] = parent;
  return request;
}

// The host's p0; its cable ends at eth0 of the namespace "router".
class DockerOnParent : public testing::Test {
 protected:
  explicit DockerOnParent(const Engine& engine = kDocker20) : engine_(engine) {}
  void SetUp() override {
    const std::string lacking = lacking_kind(sandbox_);
    if (!lacking.empty()) GTEST_SKIP() << "this kernel has no links of kind " << lacking;
    lay_cable(sandbox_, "p0", "router");
    agent_.emplace(sandbox_);
    docker_.emplace(sandbox_, agent_->docker_socket("any").parent_path(), engine_);
  }

  void restart_killed_agent() {
    agent_->kill();
    agent_.reset();
    agent_.emplace(sandbox_);
  }

  // Answers why the driver refuses a network; nothing is left of it.
  std::string refused(const std::string& kind, const NetworkRequest& request) {
    const Json before = inventory();
    std::string words;
    try {
      docker_->create_network(kind, "refused", request);
      docker_->remove_network("refused");
      ADD_FAILURE() << testing::PrintToString(request.options) << " was accepted";
    } catch (const DriverRefuses& error) {
      words = error.what();
    }
    EXPECT_TRUE(is_as_before(before)) << testing::PrintToString(request.options);
    return words;
  }

  void run(const std::string& container, const std::string& network, const std::string& address) {
    docker_->run(container, network, {.addresses = {address + "/24"}});
  }
  void remove(const Words& containers, const Words& networks) {
    for (const std::string& container : containers) docker_->remove(container);
    for (const std::string& network : networks) docker_->remove_network(network);
  }

  // All that crosses the cable while the container pings the address has this tag.
  static void expect_tagged(int vid, const std::string& container, const std::string& address) {
    const Wire wire("router", "eth0");
    EXPECT_TRUE(ping(container, address));
    const std::set<Tag> tags = wire.tags();
    EXPECT_TRUE(tags.contains({ETH_P_8021Q, vid, ETH_P_IP}));
    for (const Tag& tag : tags) EXPECT_EQ(std::pair(tag.protocol, tag.vid), std::pair(ETH_P_8021Q, vid));
  }
  static testing::AssertionResult reach_each_other(const std::string& one, const std::string& its,
                                                   const std::string& other, const std::string& others) {
    if (auto there = ping(one, others); !there) return there << " from " << one;
    if (auto back = ping(other, its); !back) return back << " from " << other;
    return testing::AssertionSuccess();
  }

  // Next hop of its default route; "dev INTERFACE" of one without; "" when there is none.
  std::string default_route(const std::string& container, bool v6 = false) const {
    const Json routes = sandbox_.ip_json((v6 ? "-6 -n " : "-4 -n ") + container + " route show default");
    if (routes.empty()) return "";
    const Json& route = routes.at(0);
    return route.value("gateway", "dev " + route.at("dev").get<std::string>());
  }
  std::string mac(const std::string& link, const std::string& netns = "") const {
    return sandbox_.link(link, netns).value().at("address");
  }
  std::string mode(const std::string& container) const {
    return sandbox_.link("eth0", container).value().at("linkinfo").at("info_data").at("mode");
  }
  int index_of(const std::string& link) const { return sandbox_.link(link).value().at("ifindex"); }

  Json attachment(const std::string& container, const std::string& network) const {
    return object_of(*agent_, "attachments", short_id(docker_->endpoint_id(container, network)));
  }
  testing::AssertionResult becomes(const std::string& phase, const std::string& container,
                                   const std::string& network = "lan", Milliseconds limit = 30s) const {
    return reaches(*agent_, "attachments", short_id(docker_->endpoint_id(container, network)), phase, limit);
  }
  // The agent has seen that the container's default route leads through this network.
  bool leads_out(const std::string& container, const std::string& network) const {
    return attachment(container, network).at("spec").at("docker").value("wayOut", false);
  }

  Json inventory() const { return inventory_of(sandbox_, *agent_); }
  testing::AssertionResult is_as_before(const Json& before) const {
    Json now;
    if (wait_until([&] { return (now = inventory()) == before; })) return testing::AssertionSuccess();
    return testing::AssertionFailure() << differences(before, now);
  }

  const Engine engine_;
  const Sandbox sandbox_;
  std::optional<AgentProcess> agent_;
  std::optional<Libnetwork> docker_;
};

}  // namespace lanwright::test
