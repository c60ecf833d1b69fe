// F8: what users of Docker wait for. The agent's share of an endpoint, asked as Docker asks; and whole
// commands of theirs on a macvlan network, beside Docker's own driver of that name.
#include <net/if.h>
#include <strings.h>
#include <sys/socket.h>

#include <array>
#include <cstdio>
#include <limits>

#include "tests/bench/figures.h"
#include "tests/bench/plant.h"
#include "tests/bench/rtnetlink.h"
#include "tests/bench/subject.h"
#include "tests/docker/dockerd.h"
#include "tests/integration/agent_process.h"
#include "tests/integration/daemon.h"

namespace lanwright::bench {
namespace {

using test::AgentProcess;
using test::Dockerd;
using test::Fd;
using test::HarnessError;
using test::Json;
using test::Sandbox;

void add_trunk(const Sandbox& sandbox, const std::string& name) {
  const std::string peer = name + "-peer";
  sandbox.ip("link add " + name + " type veth peer name " + peer);
  for (const std::string& end : {name, peer}) sandbox.ip("link set " + end + " up");
}

// ---- the agent's share

// Calls of a plugin over one connection that stays, as Docker makes them.
class PluginConnection {
 public:
  explicit PluginConnection(const std::filesystem::path& socket);
  // Throws with the plugin's words unless it succeeds.
  Json call(const std::string& name, const Json& request) const;

 private:
  void send(const std::string& text) const;
  std::string receive() const;

  Fd socket_;
};

PluginConnection::PluginConnection(const std::filesystem::path& socket)
    : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket") {
  constexpr timeval kAnswerTimeout{30, 0};
  setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &kAnswerTimeout, sizeof kAnswerTimeout);
  test::UnixAddress address(socket);
  if (connect(socket_.get(), address.get(), test::UnixAddress::size) != 0)
    test::fail_errno("connect " + socket.string());
}

// Of the whole answer; more than there can be while its head is not complete.
std::size_t size_of_answer(const std::string& text) {
  const std::size_t end = text.find("\r\n\r\n");
  if (end == std::string::npos) return std::numeric_limits<std::size_t>::max();
  constexpr std::string_view kLength = "\r\nContent-Length:";
  for (std::size_t line = text.find("\r\n"); line < end; line = text.find("\r\n", line + 1)) {
    if (strncasecmp(text.c_str() + line, kLength.data(), kLength.size()) == 0)
      return end + 4 + std::stoul(text.substr(line + kLength.size()));
  }
  throw HarnessError("an answer of unknown length: " + text);
}

void PluginConnection::send(const std::string& text) const {
  const ssize_t sent = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
  if (sent < 0) test::fail_errno("call the plugin");
  if (static_cast<std::size_t>(sent) != text.size()) throw HarnessError("the plugin does not read its call");
}

std::string PluginConnection::receive() const {
  std::string text;
  std::array<char, 4096> buffer{};
  while (text.size() < size_of_answer(text)) {
    const ssize_t size = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (size < 0) test::fail_errno("read the plugin's answer");
    if (size == 0) throw HarnessError("the plugin breaks off: " + text);
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return text;
}

Json PluginConnection::call(const std::string& name, const Json& request) const {
  const std::string body = request.dump();
  send("POST /NetworkDriver." + name + " HTTP/1.1\r\nHost: \r\nUser-Agent: Go-http-client/1.1\r\n" +
       "Content-Length: " + std::to_string(body.size()) +
       "\r\nAccept: application/vnd.docker.plugins.v1.2+json\r\n\r\n" + body);
  const std::string text = receive();
  Json answer = Json::parse(text.substr(text.find("\r\n\r\n")));
  if (!text.starts_with("HTTP/1.1 200 ") || answer.contains("Err"))
    throw HarnessError(name + ": " + answer.dump());
  return answer;
}

// 64 digits, as Docker draws them; the first twelve name the object.
std::string docker_id(std::size_t number) {
  std::array<char, 16> digits{};
  std::snprintf(digits.data(), digits.size(), "%012zx", number);
  return digits.data() + std::string(52, '0');
}

Json create_network(const std::string& id, const Json& options) {
  return {{"NetworkID", id},
          {"Options", {{"com.docker.network.enable_ipv6", false}, {"com.docker.network.generic", options}}},
          {"IPv4Data",
           {{{"AddressSpace", "LocalDefault"}, {"Pool", "10.88.0.0/24"}, {"Gateway", "10.88.0.1/24"}}}},
          {"IPv6Data", Json::array()}};
}

Json create_endpoint(const Json& ids, std::size_t number) {
  Json request = ids;
  request["Interface"] = {
      {"Address", "10.88.0." + std::to_string(number + 2) + "/24"}, {"AddressIPv6", ""}, {"MacAddress", ""}};
  request["Options"] = Json::object();
  return request;
}

Json join(const Json& ids, const std::string& sandbox) {
  Json request = ids;
  request["SandboxKey"] = "/run/netns/" + sandbox;
  request["Options"] = Json::object();
  return request;
}

// Docker has a sandbox ready before it asks, and gives each a path of its own.
std::string sandbox_name(std::size_t number) {
  return "s" + std::to_string(number);
}

// Seconds of CreateEndpoint and Join; nothing of it is left afterwards.
double time_endpoint(const PluginConnection& docker, const std::string& network, std::size_t number) {
  const Json ids{{"NetworkID", network}, {"EndpointID", docker_id(number)}};
  const Json create_request = create_endpoint(ids, number);
  const Json join_request = join(ids, sandbox_name(number));
  Json joined;
  const double time = seconds_of([&] {
    docker.call("CreateEndpoint", create_request);
    joined = docker.call("Join", join_request);
  });
  const std::string link = joined.at("InterfaceName").at("SrcName");
  if (if_nametoindex(link.c_str()) == 0)
    throw HarnessError("Docker is given " + link + ", which is not there");
  docker.call("Leave", ids);
  docker.call("DeleteEndpoint", ids);
  if (if_nametoindex(link.c_str()) != 0) throw HarnessError(link + " stays when its endpoint is deleted");
  return time;
}

void measure_endpoints(const Options& options, std::size_t other_networks, Figures& figures) {
  const Sandbox sandbox;
  Plant others;
  others.networks = other_networks;
  const AgentProcess agent(sandbox, {.log_level = "info"});
  agent.apply(yaml_of(others));
  check_kernel(sandbox, others);
  add_trunk(sandbox, "p0");
  for (std::size_t i = 0; i < options.endpoints; ++i) sandbox.add_netns(sandbox_name(i));
  const std::array<std::pair<std::string, Json>, 2> networks{
      {{"bridge", Json::object()}, {"macvlan", {{"parent", "p0"}}}}};
  for (std::size_t i = 0; i < networks.size(); ++i) {
    const auto& [driver, driver_options] = networks.at(i);
    say("F8: " + std::to_string(options.endpoints) + " endpoints of a " + driver + " network");
    const PluginConnection docker(agent.docker_socket("lanwright-" + driver));
    const std::string id = docker_id(options.endpoints + i);  // links are named after both
    docker.call("CreateNetwork", create_network(id, driver_options));
    wait_for_quiet_kernel();
    for (std::size_t number = 0; number < options.endpoints; ++number)
      figures.endpoints[{other_networks, driver}].add(time_endpoint(docker, id, number));
    docker.call("DeleteNetwork", {{"NetworkID", id}});
  }
}

// ---- beside Docker's own

// Each on a parent of its own: Docker's own driver wants one that no other network has.
struct Contender {
  const char* driver;
  const char* parent;
  const char* network;
  const char* subnet;
  Series Pair::*side;
};
constexpr std::array kContenders{
    Contender{"macvlan", "p0", "dockers", "10.81.0.0/24", &Pair::floor},
    Contender{"lanwright-macvlan", "p1", "ours", "10.82.0.0/24", &Pair::ours},
};

// Whoever comes second may find the kernel busy with what the first one left: they take turns in that, too.
void alternate(std::size_t rounds, const std::function<void(const Contender&)>& work) {
  for (std::size_t round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < kContenders.size(); ++i) {
      wait_for_quiet_kernel();
      work(kContenders.at((round + i) % kContenders.size()));
    }
  }
}

double time_docker(const Dockerd& docker, const std::vector<std::string>& arguments) {
  return seconds_of([&] { docker.ask(arguments); });
}

double create_network(const Dockerd& docker, const Contender& who) {
  return time_docker(docker, {"network", "create", "-d", who.driver, "--subnet", who.subnet, "-o",
                              std::string("parent=") + who.parent, who.network});
}

double remove_network(const Dockerd& docker, const Contender& who) {
  return time_docker(docker, {"network", "rm", who.network});
}

double run_container(const Dockerd& docker, const Contender& who) {
  return time_docker(docker, {"run", "--rm", "--network", who.network, "busybox", "true"});
}

void measure_networks(const Dockerd& docker, std::size_t runs, Figures& figures) {
  say("F8: " + std::to_string(runs) + " times docker network create and rm");
  alternate(runs, [&](const Contender& who) {
    (figures.create_by_docker.*who.side).add(create_network(docker, who));
    (figures.remove_by_docker.*who.side).add(remove_network(docker, who));
  });
}

void measure_containers(const Dockerd& docker, std::size_t runs, Figures& figures) {
  say("F8: " + std::to_string(runs) + " times docker run");
  for (const Contender& who : kContenders) {
    create_network(docker, who);
    run_container(docker, who);  // the first one reads programs from disk
  }
  alternate(runs,
            [&](const Contender& who) { (figures.run_by_docker.*who.side).add(run_container(docker, who)); });
  for (const Contender& who : kContenders) remove_network(docker, who);
}

void measure_commands(const Options& options, Figures& figures) {
  const Sandbox sandbox;
  for (const Contender& who : kContenders) add_trunk(sandbox, who.parent);
  // Before Docker, as on a host that boots.
  const AgentProcess agent(sandbox, {.log_level = "info", .docker_directory = Dockerd::plugin_directory()});
  const Dockerd docker(sandbox);
  docker.import_busybox();
  measure_networks(docker, options.network_runs, figures);
  measure_containers(docker, options.container_runs, figures);
}

}  // namespace

bool docker_is_there() {
  return Dockerd::is_installed();
}

void measure_docker(const Options& options, Figures& figures) {
  for (const std::size_t others : options.docker_networks) measure_endpoints(options, others, figures);
  measure_commands(options, figures);
  if (testing::Test::HasFailure()) throw HarnessError("Docker's processes do not end");
}

}  // namespace lanwright::bench
