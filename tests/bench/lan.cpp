#include "tests/bench/lan.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <utility>

#include "tests/bench/plant.h"
#include "tests/bench/subject.h"

namespace lanwright::bench {
namespace {

using namespace std::chrono_literals;
using test::Fd;
using test::HarnessError;
using test::Sandbox;

constexpr std::size_t kHostsOfLan = 2;

std::string host(std::size_t index) {
  return "h" + std::to_string(index);
}

test::AgentOptions agent_options() {
  test::AgentOptions options;
  options.log_level = "info";
  return options;
}

void give_address(const Sandbox& sandbox, const std::string& interface, std::size_t index) {
  const std::string in = "-n " + host(index) + " ";
  sandbox.ip(in + "address add " + address_of_namespace(index) + "/24 dev " + interface);
  sandbox.ip(in + "link set " + interface + " up");
}

}  // namespace

Companion::Companion(const std::vector<std::string>& arguments) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) test::fail_errno("pipe");
  const Fd theirs(ends[0]);
  input_ = Fd(ends[1]);
  test::Spawn what;
  what.arguments = arguments;
  what.in = theirs.get();
  pid_ = test::spawn(what);
}

Companion::~Companion() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  test::wait_exit(pid_, 10s);
}

VdeHost::VdeHost(const Sandbox& sandbox) : agent_(sandbox, agent_options()) {}

VdeHost::~VdeHost() {
  try {
    if (agent_.running()) remove();
  } catch (const std::exception& error) {
    std::cerr << "error: switches may be left: " << error.what() << std::endl;
  }
}

void VdeHost::declare(const std::string& networks, const std::string& attachments) const {
  agent_.apply("version: 1\nname: bench\nnetworks:\n" + networks + "attachments:\n" + attachments, "2m");
}

void VdeHost::remove() const {
  test::RunOptions options;
  options.limit = 130s;
  must(agent_.cli({"delete", "set", "bench", "--wait=2m"}, options), "lanwright delete set");
}

void VdeHost::wait_converged() const {
  must(agent_.cli({"status", "--wait", "converged=25s"}), "lanwright status --wait converged");
}

VdeHost::Processes VdeHost::processes_of(const std::string& network) const {
  const test::Json view = agent_.get_json("/v1/switches/" + network);
  return {view.at("pid").get<pid_t>(), view.at("plugPid").get<pid_t>(), view.at("socket").get<std::string>()};
}

void VdeHost::await_stranger(const std::string& network) const {
  const bool joined = test::wait_until([&] {
    const test::Json ports = agent_.get_json("/v1/switches/" + network).at("ports");
    return std::ranges::any_of(ports, [](const test::Json& port) { return port.contains("program"); });
  });
  if (!joined) throw HarnessError("no other program is plugged into " + network);
}

void add_silent_namespaces(const Sandbox& sandbox, std::size_t count) {
  Plant namespaces;
  namespaces.namespaces = count;
  add_namespaces(sandbox, namespaces);
  silence_ipv6(namespaces);
}

Companion native_switch(const Sandbox& sandbox, const std::vector<std::string>& options, std::size_t first) {
  const std::string name = "native" + std::to_string(first);
  std::vector<std::string> command = {"vde_switch", "-s", sandbox.directory() / name, "-f", "/dev/null"};
  command.insert(command.end(), options.begin(), options.end());
  for (std::size_t i = first; i < first + kHostsOfLan; ++i) {
    command.emplace_back("-t");
    command.push_back("tap" + std::to_string(i));
  }
  Companion process(command);
  for (std::size_t i = first; i < first + kHostsOfLan; ++i) {
    const std::string tap = "tap" + std::to_string(i);
    if (!test::wait_until([&] { return sandbox.link(tap).has_value(); }))
      throw HarnessError("vde_switch made no " + tap);
    sandbox.ip("link set " + tap + " netns " + host(i));
    give_address(sandbox, tap, i);
  }
  return process;
}

void kernel_bridge(const Sandbox& sandbox, std::size_t first) {
  sandbox.ip("link add upper type bridge");
  sandbox.ip("link set upper up");
  for (std::size_t i = first; i < first + kHostsOfLan; ++i) {
    const std::string port = "port" + std::to_string(i);
    sandbox.ip("link add " + port + " type veth peer name eth0 netns " + host(i));
    sandbox.ip("link set " + port + " master upper up");
    give_address(sandbox, "eth0", i);
  }
}

Ends ends_of(std::size_t first) {
  return {host(first), host(first + 1), address_of_namespace(first + 1)};
}

std::string address_of_namespace(std::size_t index) {
  return "10.78." + std::to_string(index / kHostsOfLan) + "." + std::to_string(index % kHostsOfLan + 1);
}

}  // namespace lanwright::bench
