#include "tests/docker/host.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include "tests/docker/pid_namespace.h"
#include "tests/integration/kernel_facts.h"
#include "tests/integration/product.h"
#include "tests/integration/traffic.h"

namespace lanwright::test {
namespace {

AgentOptions agent_of_docker(const Sandbox& sandbox) {
  return {.more = {"--docker-api-socket", Dockerd::socket_in(sandbox)},
          .docker_directory = Dockerd::plugin_directory()};
}

// What the agent keeps running for its networks.
Json helpers() {
  constexpr std::array programs{"vde_switch", "lanwright-plug"};
  std::multiset<std::string> found;
  for (const OtherProcess& process : other_processes()) {
    const std::string name = std::filesystem::path(process.program).filename();
    if (std::ranges::find(programs, name) != programs.end()) found.insert(process.command);
  }
  return found;
}

}  // namespace

bool tests_dockers_own() {
  const char* drivers = std::getenv("LANWRIGHT_TEST_DRIVERS");
  return drivers != nullptr && std::string(drivers) == "docker";
}

std::string driver(const std::string& kind) {
  return tests_dockers_own() ? kind : "lanwright-" + kind;
}

// Docker's own has no VDE, and its bridges need addresses of the host.
Words kinds() {
  return tests_dockers_own() ? Words{"macvlan"} : Words{"bridge", "macvlan", "vde"};
}

DockerHost::DockerHost(const DockerdOptions& options)
    : agent_(std::in_place, sandbox_, agent_of_docker(sandbox_)), docker_(sandbox_, options) {
  docker_.import_busybox();
}

const Engine& DockerHost::engine() const {
  return engine_of(docker_.ask({"version", "--format", "{{.Server.Version}}"}));
}

void DockerHost::kill_agent() {
  agent_->kill();
  agent_.reset();
}

void DockerHost::start_agent() {
  agent_.emplace(sandbox_, agent_of_docker(sandbox_));
}

void DockerHost::restart_killed_agent() {
  kill_agent();
  start_agent();
}

void DockerHost::restart_agent_without_database() {
  const std::filesystem::path state = agent_->state_directory();
  kill_agent();
  std::filesystem::remove_all(state);
  start_agent();
}

void DockerHost::add_parent(const std::string& link, const std::string& neighbour,
                            const Words& addresses) const {
  lay_cable(sandbox_, link, neighbour, addresses);
}

void DockerHost::create(const std::string& kind, const std::string& name, const Words& options) const {
  Words command{"network", "create", "-d", driver(kind)};
  std::ranges::copy(options, std::back_inserter(command));
  command.push_back(name);
  docker_.ask(command);
}

std::string DockerHost::refused(const std::string& kind, const Words& options) const {
  const Json before = inventory();
  Words command{"network", "create", "-d", driver(kind)};
  std::ranges::copy(options, std::back_inserter(command));
  command.emplace_back("refused");
  const Finished result = docker_.docker(command);
  EXPECT_FALSE(result.ok()) << testing::PrintToString(options) << " was accepted";
  if (result.ok()) remove_networks({"refused"});
  EXPECT_TRUE(is_as_before(before)) << testing::PrintToString(options);
  EXPECT_EQ(docker_.api("GET", "/networks/refused").status, 404);
  return result.err;
}

void DockerHost::run(const std::string& name, const std::string& network, const Words& options) const {
  docker_.run_container(name, {.network = network, .more = options});
}

void DockerHost::remove(const Words& containers) const {
  Words command{"rm", "-f"};
  std::ranges::copy(containers, std::back_inserter(command));
  docker_.ask(command);
}

void DockerHost::remove_networks(const Words& networks) const {
  for (const std::string& network : networks) {
    // Docker counts an endpoint down a moment after the removal of its container is answered.
    const bool removed = wait_until([&] {
      const Finished tried = docker_.docker({"network", "rm", network});
      if (!tried.ok() && tried.err.find("has active endpoints") == std::string::npos)
        throw HarnessError("docker network rm: " + tried.text());
      return tried.ok();
    });
    if (!removed) throw HarnessError("docker network rm " + network + ": it still has active endpoints");
  }
}

// Asks by the API: emulated processors take a second to start the client.
void DockerHost::remove_all() const {
  Words containers;
  for (const Json& each : docker_.api("GET", "/containers/json?all=1").body)
    containers.push_back(each.at("Id"));
  if (!containers.empty()) remove(containers);
  Words networks;
  for (const Json& each : docker_.api("GET", "/networks").body) {
    const std::string name = each.at("Name");
    if (name != "bridge" && name != "host" && name != "none") networks.push_back(name);
  }
  if (!networks.empty()) remove_networks(networks);
}

std::string DockerHost::ip_name(const std::string& container) const {
  return "../docker/netns/" + std::filesystem::path(netns(container)).filename().string();
}

Json DockerHost::ip_in(const std::string& container, const std::string& arguments) const {
  return sandbox_.ip_json("-n " + ip_name(container) + " " + arguments);
}

std::string DockerHost::mac(const std::string& container, const std::string& interface) const {
  return ip_in(container, "link show dev " + interface).at(0).at("address");
}

Words DockerHost::interfaces(const std::string& container) const {
  return sandbox_.links(ip_name(container));
}

std::string DockerHost::default_route(const std::string& container, bool v6) const {
  const Json routes = ip_in(container, v6 ? "-6 route show default" : "-4 route show default");
  if (routes.empty()) return "";
  const Json& route = routes.at(0);
  if (route.contains("gateway")) return route.at("gateway");
  return "dev " + route.at("dev").get<std::string>();
}

std::string DockerHost::network_id(const std::string& network) const {
  return short_id(docker_.inspect(network).at("Id"));
}

std::string DockerHost::endpoint_id(const std::string& container, const std::string& network) const {
  const Json networks = docker_.inspect(container).at("NetworkSettings").at("Networks");
  return short_id(networks.at(network).at("EndpointID"));
}

std::string DockerHost::phase_of_network(const std::string& network) const {
  return agent_->get_json("/v1/networks/" + network_id(network)).at("status").at("phase");
}

std::string DockerHost::phase_of_attachment(const std::string& container, const std::string& network) const {
  return agent_->get_json("/v1/attachments/" + endpoint_id(container, network)).at("status").at("phase");
}

bool DockerHost::leads_out(const std::string& container, const std::string& network) const {
  const Json object = agent_->get_json("/v1/attachments/" + endpoint_id(container, network));
  return object.at("spec").at("docker").value("wayOut", false);
}

std::set<std::string> DockerHost::objects(const std::string& kinds) const {
  std::set<std::string> names;
  for (const Json& object : agent_->get_json("/v1/" + kinds)) {
    if (object.at("set") == "docker") names.insert(object.at("name"));
  }
  return names;
}

testing::AssertionResult DockerHost::reach_each_other(const std::string& one, const std::string& other,
                                                      const std::string& network) const {
  if (auto there = ping(netns(one), address(other, network)); !there) return there << " from " << one;
  if (auto back = ping(netns(other), address(one, network)); !back) return back << " from " << other;
  return testing::AssertionSuccess();
}

Json DockerHost::inventory() const {
  Json now = inventory_of(sandbox_, *agent_);
  now["processes"] = helpers();
  return now;
}

testing::AssertionResult DockerHost::is_as_before(const Json& before) const {
  Json now;
  if (wait_until([&] { return (now = inventory()) == before; })) return testing::AssertionSuccess();
  return testing::AssertionFailure() << differences(before, now);
}

}  // namespace lanwright::test
