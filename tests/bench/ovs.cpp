// F11: networks of driver ovs beside what ovs-vsctl(8) and `ip -batch` make of the same, on an Open vSwitch
// of the sandbox's own with the datapath in ovs-vswitchd.
#include <string>

#include "reconcilers/os/offload.h"
#include "tests/bench/figures.h"
#include "tests/bench/flow.h"
#include "tests/bench/lan.h"
#include "tests/bench/subject.h"
#include "tests/integration/event_stream.h"
#include "tests/integration/open_vswitch.h"

namespace lanwright::bench {
namespace {

using namespace std::chrono_literals;
using test::AgentProcess;
using test::HarnessError;
using test::OpenVswitch;
using test::Sandbox;

constexpr auto kLimit = 300s;

test::AgentOptions agent_options(const OpenVswitch& ovs) {
  test::AgentOptions options;
  options.log_level = "info";
  options.more = {"--ovs-db", ovs.socket().string()};
  return options;
}

// Waits for ovs-vswitchd.
void vsctl(const OpenVswitch& ovs, std::vector<std::string> words) {
  words.insert(words.begin(), {"ovs-vsctl", "--db=unix:" + ovs.socket().string()});
  test::RunOptions options;
  options.limit = kLimit;
  must(test::run(words, options), "ovs-vsctl");
}

void ip_batch(const std::filesystem::path& file, const std::string& netns = {}) {
  test::RunOptions options;
  options.netns = netns;
  options.limit = kLimit;
  must(test::run({"ip", "-batch", file}, options), "ip -batch");
}

std::string yaml_of(std::size_t ports) {
  std::string yaml =
      "version: 1\nname: bench\nnetworks:\n  lab: {driver: ovs, ovs: {datapath: netdev}}\nattachments:\n";
  for (std::size_t i = 0; i < ports; ++i) {
    const std::string name = "p" + std::to_string(i);
    yaml += "  " + name + ": {network: lab, netns: h0, interface: " + name + "}\n";
  }
  return yaml;
}

std::size_t ports_of(const OpenVswitch& ovs, const std::string& bridge) {
  const std::string names = ovs.vsctl({"list-ports", bridge});
  return names.empty() ? 0 : static_cast<std::size_t>(std::ranges::count(names, '\n')) + 1;
}

void expect_ports(const OpenVswitch& ovs, const std::string& bridge, std::size_t ports) {
  if (ports_of(ovs, bridge) != ports)
    throw HarnessError(bridge + " does not have " + std::to_string(ports) + " ports");
}

void create_by_hand(std::size_t ports, Figures& figures) {
  const Sandbox sandbox;
  add_silent_namespaces(sandbox, 1);
  const OpenVswitch ovs(sandbox);
  vsctl(ovs, {"add-br", "native", "--", "set", "Bridge", "native", "datapath_type=netdev"});
  std::string host;
  std::string inside;
  std::vector<std::string> words;
  for (std::size_t i = 0; i < ports; ++i) {
    const std::string number = std::to_string(i);
    host += "link add q" + number + " up type veth peer name p" + number + " netns h0\n";
    inside += "link set p" + number + " up\n";
    words.insert(words.end(), {"--", "add-port", "native", "q" + number});
  }
  const auto host_file = sandbox.write_file("host", host);
  const auto inside_file = sandbox.write_file("inside", inside);
  figures.ovs_create.floor.add(seconds_of([&] {
    ip_batch(host_file);
    ip_batch(inside_file, "h0");
    vsctl(ovs, {words.begin() + 1, words.end()});
  }));
  expect_ports(ovs, "native", ports);
}

void create_and_restart(std::size_t ports, Figures& figures) {
  const Sandbox sandbox;
  add_silent_namespaces(sandbox, 1);
  const OpenVswitch ovs(sandbox);
  std::optional<AgentProcess> agent(std::in_place, sandbox, agent_options(ovs));
  const auto file = sandbox.write_file("lab.yaml", yaml_of(ports));
  test::RunOptions options;
  options.limit = kLimit;
  figures.ovs_create.ours.add(seconds_of([&] {
    must(agent->cli({"apply", "-f", file, "--wait=5m"}, options), "lanwright apply");
  }));
  expect_ports(ovs, "lw-lab", ports);
  const std::string before = ovs.vsctl({"get", "Open_vSwitch", ".", "next_cfg"});
  agent->kill();
  agent.reset();
  figures.ovs_start.add(seconds_of([&] {
    agent.emplace(sandbox, agent_options(ovs));
    must(agent->cli({"status", "--wait", "converged=1m"}, options), "lanwright status --wait");
  }));
  if (ovs.vsctl({"get", "Open_vSwitch", ".", "next_cfg"}) != before ||
      agent->metric("netlink_writes_total") != 0)
    figures.errors.emplace_back("a start with Open vSwitch as declared wrote to it, or to the kernel");
}

void repair(const Options& options, Figures& figures) {
  const Sandbox sandbox;
  add_silent_namespaces(sandbox, 1);
  const OpenVswitch ovs(sandbox);
  const AgentProcess agent(sandbox, agent_options(ovs));
  agent.apply(yaml_of(options.lan_ports));
  test::EventStream events(agent);
  for (std::size_t i = 0; i < options.lan_repairs; ++i) {
    const std::string name = "p" + std::to_string(i % options.lan_ports);
    events.pass_over();
    ovs.vsctl({"del-port", "lw-" + name});
    figures.ovs_repair.ours.add(seconds_of([&] { events.expect("Repaired", "attachment " + name); }));
  }
  vsctl(ovs, {"add-br", "native", "--", "set", "Bridge", "native", "datapath_type=netdev"});
  sandbox.ip("link add q0 up type veth peer name q0-end");
  for (std::size_t i = 0; i < options.lan_repairs; ++i) {
    figures.ovs_repair.floor.add(seconds_of([&] { vsctl(ovs, {"add-port", "native", "q0"}); }));
    vsctl(ovs, {"del-port", "native", "q0"});
  }
}

void carry(const Options& options, Figures& figures) {
  const Sandbox sandbox;
  add_silent_namespaces(sandbox, 4);
  const OpenVswitch ovs(sandbox);
  const AgentProcess agent(sandbox, agent_options(ovs));
  std::string yaml =
      "version: 1\nname: bench\nnetworks:\n  lab: {driver: ovs, ovs: {datapath: netdev}}\nattachments:\n";
  for (const std::size_t i : {0U, 1U})
    yaml += "  a" + std::to_string(i) + ": {network: lab, netns: h" + std::to_string(i) +
            ", interface: eth0, addresses: [" + address_of_namespace(i) + "/24]}\n";
  agent.apply(yaml);
  vsctl(ovs, {"add-br", "native", "--", "set", "Bridge", "native", "datapath_type=netdev"});
  for (const std::size_t i : {2U, 3U}) {
    const std::string number = std::to_string(i);
    const std::string in = "-n h" + number + " ";
    sandbox.ip("link add q" + number + " up type veth peer name eth0 netns h" + number);
    sandbox.ip(in + "address add " + address_of_namespace(i) + "/24 dev eth0");
    test::in_netns("h" + number, [] {
      if (os::send_whole_checksums("eth0") != 0) throw HarnessError("TX checksums cannot be switched off");
    });
    sandbox.ip(in + "link set eth0 up");
    vsctl(ovs, {"add-port", "native", "q" + number});
  }
  for (const std::size_t first : {0U, 2U}) await_path(ends_of(first));
  const test::Milliseconds during(options.lan_milliseconds);
  for (std::size_t round = 0; round < options.lan_rounds; ++round) {
    figures.ovs_carried.ours.add(tcp_throughput(ends_of(0), during));
    figures.ovs_carried.floor.add(tcp_throughput(ends_of(2), during));
  }
}

}  // namespace

void measure_open_vswitch(const Options& options, Figures& figures) {
  for (std::size_t run = 0; run < options.runs; ++run) {
    say("F11: " + std::to_string(options.size) + " ports, run " + std::to_string(run + 1) + " of " +
        std::to_string(options.runs));
    create_by_hand(options.size, figures);
    create_and_restart(options.size, figures);
  }
  say("F11: repairs and throughput");
  repair(options, figures);
  carry(options, figures);
}

}  // namespace lanwright::bench
