// A host as users have it: lanwrightd, and Docker that calls it.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/docker/dockerd.h"
#include "tests/integration/agent_process.h"
#include "tests/integration/cable.h"
#include "tests/integration/libnetwork.h"

namespace lanwright::test {

// The driver of ours for networks of this kind ("macvlan"). With LANWRIGHT_TEST_DRIVERS=docker in the
// environment Docker's own of that name: what both do, the tests must not find wrong there.
std::string driver(const std::string& kind);
bool tests_dockers_own();
// Kinds that every kernel has and that make the same of the same options.
Words kinds();

class DockerHost {
 public:
  // The agent is there before Docker, as on a host that boots.
  explicit DockerHost(const DockerdOptions& options = {});

  const Sandbox& sandbox() const { return sandbox_; }
  const AgentProcess& agent() const { return *agent_; }
  Dockerd& docker() { return docker_; }
  const Dockerd& docker() const { return docker_; }
  const Engine& engine() const;  // the version that it is of

  void kill_agent();  // SIGKILL
  void start_agent();
  void restart_killed_agent();
  void restart_agent_without_database();  // what it knew is thrown away

  // A link of the host, up, whose other end is the interface "eth0" of a neighbour: a namespace of this name
  // that has these addresses.
  void add_parent(const std::string& link, const std::string& neighbour, const Words& addresses = {}) const;

  // `docker network create -d driver(kind) OPTIONS name`.
  void create(const std::string& kind, const std::string& name, const Words& options = {}) const;
  // The same, for what must be refused: answers Docker's words, and fails the test unless it is, or when
  // anything is left of the network.
  std::string refused(const std::string& kind, const Words& options) const;
  // `docker run` of a container that sleeps.
  void run(const std::string& name, const std::string& network, const Words& options = {}) const;
  void remove(const Words& containers) const;         // docker rm -f
  void remove_networks(const Words& networks) const;  // docker network rm
  void remove_all() const;                            // all containers, and all networks that were created

  // `ip ARGUMENTS` where the container is; JSON with details.
  Json ip_in(const std::string& container, const std::string& arguments) const;
  std::string netns(const std::string& container) const { return docker_.netns_of(container); }
  // The same as `ip -n` takes it, whose names are below /run/netns.
  std::string ip_name(const std::string& container) const;
  std::string address(const std::string& container, const std::string& network) const {
    return docker_.address_of(container, network);
  }
  std::string mac(const std::string& container, const std::string& interface = "eth0") const;
  Words interfaces(const std::string& container) const;  // without lo, sorted
  // Next hop of its default route; "dev INTERFACE" of one without; "" when there is none.
  std::string default_route(const std::string& container, bool v6 = false) const;

  // The agent's object for a network, and for a container's endpoint on it.
  std::string network_id(const std::string& network) const;
  std::string endpoint_id(const std::string& container, const std::string& network) const;
  std::string phase_of_network(const std::string& network) const;
  std::string phase_of_attachment(const std::string& container, const std::string& network) const;
  // Whether the agent has seen that the container's default route (IPv4) leads through this network.
  bool leads_out(const std::string& container, const std::string& network) const;
  // Names of the agent's objects in the set "docker", of these kinds ("networks", "attachments").
  std::set<std::string> objects(const std::string& kinds) const;

  // Both reach each other by the addresses that Docker says they have on the network.
  testing::AssertionResult reach_each_other(const std::string& one, const std::string& other,
                                            const std::string& network) const;

  // What is there now, to compare with later: links of the host, objects and processes of the agent.
  Json inventory() const;
  // All is as it was then, at most a moment from now.
  testing::AssertionResult is_as_before(const Json& inventory) const;

 private:
  Sandbox sandbox_;
  std::optional<AgentProcess> agent_;
  Dockerd docker_;
};

}  // namespace lanwright::test
