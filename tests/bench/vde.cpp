// F9: LANs of driver vde beside vde_switch alone and a Linux bridge, all there at once and measured in turn;
// and how soon one carries again whose switch or plug was killed.
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "reconcilers/vde/plug/endpoint.h"
#include "tests/bench/figures.h"
#include "tests/bench/flow.h"
#include "tests/bench/lan.h"

namespace lanwright::bench {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using test::HarnessError;
using test::Sandbox;

// ---- what a LAN carries

struct Place {
  const char* lan;
  std::size_t first;  // namespace
};

// In the order in which they are measured: each beside what it is compared with.
constexpr std::array kPlaces = {
    Place{kHub, 0},      Place{kNativeHub, 2},     Place{kJoinedHub, 4}, Place{kManyPorts, 6},
    Place{kLearning, 8}, Place{kNativeSwitch, 10}, Place{kBridge, 12},
};
constexpr std::size_t kNamespaces = 2 * kPlaces.size();

std::size_t first_of(const std::string& lan) {
  return std::ranges::find_if(kPlaces, [&](const Place& each) { return lan == each.lan; })->first;
}

std::string attachments_of(const std::string& network, std::size_t first) {
  std::string yaml;
  for (const std::size_t i : {first, first + 1}) {
    const std::string number = std::to_string(i);
    yaml += "  a" + number + ": {network: " + network + ", netns: h" + number +
            ", interface: eth0, addresses: [" + address_of_namespace(i) + "/24]}\n";
  }
  return yaml;
}

void measure_round(const Options& options, Figures& figures) {
  const test::Milliseconds during(options.lan_milliseconds);
  for (const Place& place : kPlaces) {
    const Ends ends = ends_of(place.first);
    Carried& carried = figures.lans[place.lan];
    carried.tcp.add(tcp_throughput(ends, during));
    const Flood flooded = flood(ends, during / 3);
    carried.frames.add(flooded.received);
    carried.lost.add(flooded.lost);
    carried.round_trip.add(round_trip(ends, during / 3));
  }
}

void measure_lans(const Options& options, Figures& figures) {
  const Sandbox sandbox;
  add_silent_namespaces(sandbox, kNamespaces);
  const VdeHost host(sandbox);
  host.declare(
      "  hub: {driver: vde}\n  joined: {driver: vde}\n  learning: {driver: vde, vde: {hub: false}}\n",
      attachments_of("hub", first_of(kHub)) + attachments_of("joined", first_of(kJoinedHub)) +
          attachments_of("learning", first_of(kLearning)));
  const Companion joined({"vde_plug", "vde://" + host.processes_of("joined").socket});
  host.await_stranger("joined");
  const Companion native = native_switch(sandbox, {"-x"}, first_of(kNativeHub));
  const Companion many = native_switch(sandbox, {"-x", "-n", "65535"}, first_of(kManyPorts));
  const Companion learning = native_switch(sandbox, {}, first_of(kNativeSwitch));
  kernel_bridge(sandbox, first_of(kBridge));
  for (const Place& place : kPlaces) await_path(ends_of(place.first));
  for (std::size_t round = 0; round < options.lan_rounds; ++round) {
    say("F9: round " + std::to_string(round + 1) + " of " + std::to_string(options.lan_rounds));
    measure_round(options, figures);
  }
}

// ---- repair

// The agent takes more than five repairs of one object within 10 s for a fight, and slows down: several
// networks share the kills.
constexpr std::size_t kKillsOfEach = 5;

struct Victim {
  std::string network;
  FrameSender sender;
  FrameReceiver receiver;
};

// Network r<i> has its ports r<i>p0 in h0, r<i>p1 in h1, and the others in h2.
std::vector<Victim> declare_victims(const VdeHost& host, bool hub, std::size_t networks, std::size_t ports) {
  std::string declared;
  std::string attachments;
  for (std::size_t i = 0; i < networks; ++i) {
    const std::string network = "r" + std::to_string(i);
    declared += "  " + network + ": {driver: vde, vde: {hub: " + (hub ? "true" : "false") + "}}\n";
    for (std::size_t port = 0; port < ports; ++port) {
      const std::string name = network + "p" + std::to_string(port);
      attachments += "  " + name + ": {network: " + network + ", netns: h" +
                     std::to_string(std::min<std::size_t>(port, 2)) + ", interface: " + name + "}\n";
    }
  }
  host.declare(declared, attachments);
  std::vector<Victim> victims;
  for (std::size_t i = 0; i < networks; ++i) {
    const std::string network = "r" + std::to_string(i);
    victims.push_back({network, {"h0", network + "p0"}, {"h1", network + "p1"}});
  }
  return victims;
}

double since(Clock::time_point start) {
  const auto now = Clock::now();
  if (now > start + 30s) throw HarnessError("a LAN does not carry again after 30 s");
  return std::chrono::duration<double>(now - start).count();
}

Clock::time_point kill_and_wait(pid_t pid) {
  if (pid <= 0) throw HarnessError("there is no process to kill");
  const test::Fd process = test::open_pidfd(pid);
  const auto start = Clock::now();
  ::kill(pid, SIGKILL);
  pollfd ended{process.get(), POLLIN, 0};
  poll(&ended, 1, 10'000);
  return start;
}

// Seconds from the kill until a frame arrives that was sent after the process had ended.
double time_ports(Victim& victim, pid_t pid) {
  const auto start = kill_and_wait(pid);
  const std::uint64_t first = victim.sender.send();
  while (victim.receiver.receive() < first) {
    since(start);
    victim.sender.send();
  }
  return since(start);
}

// The same until a program that joins the switch anew hears a frame.
double time_joining(Victim& victim, pid_t pid, const std::string& socket) {
  const auto start = kill_and_wait(pid);
  const auto buffer = std::make_unique<plug::FrameBuffer>();
  std::unique_ptr<plug::SwitchEndpoint> joined;
  for (;; since(start)) {
    victim.sender.send();
    victim.receiver.receive();  // a moment
    if (!joined) {
      std::string words;
      joined = plug::SwitchEndpoint::open(socket, 0, "bench", words);
    }
    if (!joined) continue;
    plug::Frame frame;
    while (joined->receive(*buffer, frame) == plug::Received::frame) {
      if (number_of(frame.bytes.data(), frame.bytes.size()) != 0) return since(start);
    }
    pollfd lost{joined->control_fd(), POLLIN, 0};
    if (poll(&lost, 1, 0) > 0) joined.reset();
  }
}

enum class Killed { plug, of_switch, of_switch_joined };

void measure_repairs(const Options& options, bool hub, Killed what, Series& series) {
  const Sandbox sandbox;
  add_silent_namespaces(sandbox, 3);
  const VdeHost host(sandbox);
  const std::size_t networks = (options.lan_repairs + kKillsOfEach - 1) / kKillsOfEach;
  auto victims = declare_victims(host, hub, networks, options.lan_ports);
  for (std::size_t i = 0; i < options.lan_repairs; ++i) {
    Victim& victim = victims[i % networks];
    const auto processes = host.processes_of(victim.network);
    if (what == Killed::plug) series.add(time_ports(victim, processes.of_plug));
    if (what == Killed::of_switch) series.add(time_ports(victim, processes.of_switch));
    if (what == Killed::of_switch_joined)
      series.add(time_joining(victim, processes.of_switch, processes.socket));
    host.wait_converged();
  }
}

}  // namespace

void measure_vde(const Options& options, Figures& figures) {
  measure_lans(options, figures);
  say("F9: " + std::to_string(options.lan_repairs) + " repairs each of LANs with " +
      std::to_string(options.lan_ports) + " ports");
  measure_repairs(options, true, Killed::plug, figures.lan_repairs["hub, plug killed"]);
  measure_repairs(options, true, Killed::of_switch, figures.lan_repairs["hub, switch killed"]);
  measure_repairs(options, true, Killed::of_switch_joined,
                  figures.lan_repairs["hub, switch killed, until one that joins anew hears a frame"]);
  measure_repairs(options, false, Killed::plug, figures.lan_repairs["hub: false, plug killed"]);
  measure_repairs(options, false, Killed::of_switch, figures.lan_repairs["hub: false, switch killed"]);
}

}  // namespace lanwright::bench
