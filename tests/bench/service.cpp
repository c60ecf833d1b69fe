// F5 to F7: an agent that keeps what is there: repairs, starts, memory, idleness. One sandbox that grows.
#include <algorithm>
#include <memory>
#include <optional>
#include <thread>

#include "tests/bench/figures.h"
#include "tests/bench/plant.h"
#include "tests/bench/process_facts.h"
#include "tests/bench/rtnetlink.h"
#include "tests/bench/subject.h"
#include "tests/integration/traffic.h"

namespace lanwright::bench {
namespace {

using namespace std::chrono_literals;
using test::HarnessError;
using test::Sandbox;

constexpr std::size_t kNamespaces = 20;
// The agent takes more than five repairs of one object within 10 s for a fight, and slows down.
constexpr std::size_t kRepairsOfEach = 5;
// The kernel tells of every new bridge port once more when the bridge's forward delay (15 s) is over.
constexpr auto kSettled = 20s;

class Host {
 public:
  Host() {
    Plant namespaces;
    namespaces.namespaces = kNamespaces;
    add_namespaces(sandbox_, namespaces);
    silence_ipv6(namespaces);
    agent_.emplace(sandbox_);
  }
  const Sandbox& sandbox() const { return sandbox_; }
  Subject& agent() { return *agent_; }

 private:
  Sandbox sandbox_;
  std::optional<Subject> agent_;
};

Plant plant_of(std::size_t networks, std::size_t attachments) {
  Plant plant;
  plant.networks = networks;
  plant.attachments = attachments;
  plant.namespaces = kNamespaces;
  return plant;
}

// ---- F5
// ----------------------------------------------------------------------------------------------------

struct Target {
  std::string bridge;
  std::vector<int> ports;
};

std::vector<Target> targets_of(std::size_t count) {
  std::vector<Target> targets;
  for (std::size_t i = 0; i < count; ++i) {
    Target target{bridge_of_target(i), {}};
    for (const std::string& port : ports_of_target(i)) target.ports.push_back(ifindex_of(port));
    targets.push_back(std::move(target));
  }
  return targets;
}

// Deletes the bridge as somebody else would; seconds from the kernel's event of that until the event of the
// last port that is back in a bridge of that name.
double time_repair(RouteSocket& events, const Target& target) {
  while (!events.take().empty()) {
  }
  test::Spawn deletion;
  deletion.arguments = {"ip", "link", "delete", target.bridge};
  const pid_t deleter = test::spawn(deletion);
  const auto deadline = Clock::now() + 30s;
  std::optional<Clock::time_point> gone;
  int bridge = 0;
  std::map<int, int> masters;
  while (true) {
    if (!events.wait(deadline))
      throw HarnessError("bridge " + target.bridge + " did not come back with its ports");
    for (const LinkEvent& event : events.take()) {
      if (event.name == target.bridge) {
        if (event.removed && !gone) gone = Clock::now();
        bridge = event.removed ? 0 : event.ifindex;
      }
      if (std::ranges::find(target.ports, event.ifindex) != target.ports.end())
        masters[event.ifindex] = event.master;
    }
    const bool back = gone && bridge != 0 && std::ranges::all_of(target.ports, [&](int port) {
                        return masters.contains(port) && masters[port] == bridge;
                      });
    if (back) break;
  }
  const double time = std::chrono::duration<double>(Clock::now() - *gone).count();
  if (test::wait_exit(deleter, 30s) != 0) throw HarnessError("ip link delete " + target.bridge + " failed");
  return time;
}

// Both sides with the very same bridges: the floor while no agent runs, the agent after it has started again
// and found everything as declared (so that what the bare program made must carry the agent's marks: it does
// not, and the agent repairs that first).
void measure_repairs(Host& host, const Plant& plant, std::size_t repairs, Pair& pair) {
  RouteSocket events(RouteSocket::Hear::links);
  const auto repeat = [&](Series& series, const std::function<void()>& after_each) {
    const auto targets = targets_of(plant.targets);
    wait_for_quiet_kernel();
    for (std::size_t i = 0; i < repairs; ++i) {
      series.add(time_repair(events, targets[i % targets.size()]));
      after_each();
    }
  };
  repeat(pair.ours, [&] { host.agent().wait_converged(); });
  host.agent().kill();
  {
    BareRepairer::Bridges bridges;
    for (const Target& target : targets_of(plant.targets)) bridges[target.bridge] = target.ports;
    const BareRepairer repairer(std::move(bridges));
    repeat(pair.floor, [] {});
  }
  // What the bare program made carries no mark of the agent: to the agent they are foreign, and must go.
  for (std::size_t i = 0; i < plant.targets; ++i) host.sandbox().ip("link delete " + bridge_of_target(i));
  host.agent().start();
  host.agent().wait_converged();
  check_kernel(host.sandbox(), plant);
}

// ---- F6 and F7
// ---------------------------------------------------------------------------------------------

struct Started {
  double time;
  double writes;
  double lost;
};

// kill -9 and start, with traffic through a network all the while.
Started restart_once(Host& host, std::uint64_t& drops) {
  wait_for_quiet_kernel();
  test::Stream stream("h0", "h1", kSecondAddress);
  drops = receive_queue_drops();
  host.agent().kill();
  Started started{};
  started.time = host.agent().start();
  host.agent().wait_converged();
  const test::StreamCount count = stream.stop();
  drops = receive_queue_drops() - drops;
  started.lost = static_cast<double>(count.lost() + count.refused);
  started.writes = static_cast<double>(host.agent().writes());
  return started;
}

// Again when packets were lost while the kernel's receive queue overflowed: nobody knows whose they were.
Started restart(Host& host, Figures& figures) {
  constexpr int kAttempts = 5;
  Started started{};
  std::uint64_t drops = 0;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    started = restart_once(host, drops);
    if (started.lost == 0 || drops == 0) break;
    say("the kernel dropped " + std::to_string(drops) + " packets of its receive queue meanwhile: once more");
  }
  if (started.lost > 0)
    figures.errors.push_back("kill -9 and start: " + text_of(started.lost, Unit::count) +
                             " packets were lost; " + std::to_string(drops) +
                             " overflowed the kernel's receive queue");
  if (started.writes > 0)
    figures.errors.push_back("a start with nothing to do wrote " + text_of(started.writes, Unit::count) +
                             " netlink messages");
  return started;
}

void measure_idleness(Host& host, std::size_t seconds, Figures& figures) {
  std::this_thread::sleep_for(kSettled);
  const pid_t pid = host.agent().pid();
  const Activity before = activity_of(pid);
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  const Activity after = activity_of(pid);
  figures.idle_switches.add(static_cast<double>(after.switches - before.switches));
  figures.idle_processor.add(after.processor - before.processor);
}

void measure_size(Host& host, std::size_t size, const Options& options, Figures& figures) {
  Plant plant = plant_of(size, size);
  host.agent().apply(plant);
  if (options.wants_any({"F6", "F7", "F10"})) {
    for (std::size_t run = 0; run < options.runs; ++run) {
      say("F6: " + plant.text() + ", start " + std::to_string(run + 1));
      const Started started = restart(host, figures);
      figures.start[size].ours.add(started.time);
      figures.start_writes[size].add(started.writes);
      figures.lost[size].add(started.lost);
    }
    if (size == options.size) figures.memory.add(memory_of(host.agent().pid()).pss);
  }
  if (options.wants_any({"F5", "F10"})) {
    plant.targets = (options.repairs + kRepairsOfEach - 1) / kRepairsOfEach;
    say("F5: " + plant.text() + ", " + std::to_string(options.repairs) + " repairs each");
    host.agent().apply(plant);
    measure_repairs(host, plant, options.repairs, figures.repair[size]);
  }
}

void measure_big(Host& host, const Options& options, Figures& figures) {
  const Plant plant = plant_of(options.size, options.size * options.plugs);
  figures.big = plant.text() + " (veth, in " + std::to_string(kNamespaces) + " namespaces)";
  say("F6, F7: " + figures.big + ": apply");
  figures.big_create.add(host.agent().apply(plant));
  figures.big_memory_after_apply.add(memory_of(host.agent().pid()).pss);
  for (std::size_t run = 0; run < options.runs; ++run) {
    say("F6, F7: " + figures.big + ", start " + std::to_string(run + 1));
    const Started started = restart(host, figures);
    figures.big_start.ours.add(started.time);
    figures.big_writes.add(started.writes);
    figures.big_lost.add(started.lost);
    figures.big_memory.add(memory_of(host.agent().pid()).pss);
  }
  if (!options.wants("F7")) return;
  say("F7: idle for " + std::to_string(options.idle_seconds) + " s");
  measure_idleness(host, options.idle_seconds, figures);
}

}  // namespace

void measure_service(const Options& options, Figures& figures) {
  Host host;
  for (const std::size_t size : options.sizes()) measure_size(host, size, options, figures);
  if (options.wants_any({"F6", "F7"})) measure_big(host, options, figures);
}

}  // namespace lanwright::bench
