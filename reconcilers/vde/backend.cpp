#include "reconcilers/vde/backend.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "reconcilers/os/namespace.h"
#include "reconcilers/os/packet_socket.h"
#include "reconcilers/os/process.h"
#include "reconcilers/os/tap.h"
#include "reconcilers/vde/management.h"
#include "reconcilers/vde/plug_client.h"
#include "reconcilers/vde/program.h"

namespace lanwright::vde {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kStartTime = 5s;       // until a process that was started answers
constexpr auto kStartGlance = 100ms;  // of it in which the loop waits, for all that it started together
constexpr auto kStartTurn = 5ms;      // between looks at those that took longer
constexpr auto kProbeTimeout = 3s;    // with one that runs, before it is taken for dead
constexpr auto kGlance = 200ms;       // with one that is asked for its counters, and holds up the loop
constexpr auto kProbePause = 2s;      // between turns of asking for signs of life
constexpr std::size_t kProbes = 64;   // in one turn
constexpr auto kGrace = 500ms;        // from SIGTERM to SIGKILL
constexpr auto kStartPause = 1ms;     // between tries to connect to a starting process, which tells nobody
constexpr auto kStrangerTime = 10ms;  // between binding a socket and listening at it, which no event tells
constexpr std::uint64_t kSpareDescriptors = 512;
constexpr std::uint64_t kDescriptorsPerPort = 3;
constexpr std::size_t kWordsShown = 300;  // of a log

const SwitchProgram& engine_of(const std::string& settings) {
  const SwitchProgram* engine = find_switch_program(settings.substr(0, settings.find(' ')));
  return engine != nullptr ? *engine : default_switch_program();
}

std::string last_words(const std::string& log) {
  std::ifstream file(log);
  std::stringstream text;
  text << file.rdbuf();
  std::string words = text.str();
  if (words.size() > kWordsShown) words.erase(0, words.size() - kWordsShown);
  while (!words.empty() && words.back() == '\n') words.pop_back();
  return words;
}

// "001.12" and the like: sockets that a switch or its clients made and did not take away.
bool is_leftover(const fs::directory_entry& file) {
  std::error_code ignored;
  return file.is_socket(ignored);
}

// By force: it would not hear a request. Fails only when it has ended, or cannot be ended, and then it is
// asked for life again.
void end_now(const os::Process& process) {
  if (auto ended = os::end(process, 0ms); !ended) return;
}

Error named(Error error, const std::string& network) {
  if (error.object.find(network) == std::string::npos) error.object += " of network " + network;
  return error;
}

// Its state is not asked again when it is as needed.
void run_timer(const os::Descriptor& timer, bool& runs, bool needed, std::chrono::milliseconds period) {
  if (needed == runs) return;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(needed ? period : 0ms);
  const std::chrono::nanoseconds rest = needed ? period - seconds : 0ms;
  const timespec each{seconds.count(), rest.count()};
  const itimerspec times{each, each};
  if (::timerfd_settime(timer.get(), 0, &times, nullptr) == 0) runs = needed;
}

// Of a process that was started: whether there is still time for it to answer. It is ended when there is not.
Result<bool> still_starting(os::Process& process, std::optional<Clock::time_point>& due, const char* tried,
                            const std::string& network, const std::string& log) {
  const bool ended = os::has_ended(process);
  if (!ended && Clock::now() < *due) return true;
  due.reset();
  if (!ended) {
    if (auto stopped = os::end(process, 0ms); !stopped) return stopped.error();
  }
  process = {};
  return Error{ended ? ErrorKind::busy : ErrorKind::timeout,
               tried,
               network,
               0,
               std::string(ended ? "it ended at once" : "it does not answer") + ": " + last_words(log),
               "see " + log};
}

class VdeBackend final : public SwitchBackend {
 public:
  VdeBackend(VdeOptions options, os::Descriptor epoll, os::Descriptor changes, os::Descriptor timer,
             os::Descriptor start_timer)
      : options_(std::move(options)),
        epoll_(std::move(epoll)),
        changes_(std::move(changes)),
        timer_(std::move(timer)),
        start_timer_(std::move(start_timer)) {
    listen(changes_.get());
    listen(timer_.get());
    listen(start_timer_.get());
  }

  int event_fd() const override { return epoll_.get(); }
  ObservedChange drain(Observed& observed) override;
  Result<ObservedChange> resync(Observed& observed) override;
  std::vector<Result<void>> execute(std::span<const Action* const> actions, Observed& observed) override;
  std::vector<SwitchReport> report(const Observed& observed) override;

 private:
  struct Running {
    os::Process process;
    os::Process plug;
    PlugClient client;
    std::unique_ptr<PendingProbe> probe;  // of the switch
    Clock::time_point asked;              // since then
    // What was started and does not answer yet has until then.
    std::optional<Clock::time_point> switch_due;
    std::optional<Clock::time_point> plug_due;
    os::Process new_plug;          // until it is `plug`
    std::optional<Error> failure;  // of a start that nobody waited for, to be told
    bool watch_due = false;        // one of the two is new: the plug may not watch the switch (no hub) yet
    bool starting() const { return switch_due || plug_due; }
  };

  SwitchPaths places_of(const std::string& network) const { return switch_paths(options_.run_dir, network); }
  void listen(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  }

  // Observation.
  void look(const std::string& network, Observed& observed, ObservedChange& touched);
  void find_switch(const SwitchPaths& paths, Running& running);
  void find_plug(const SwitchPaths& paths, Running& running);
  static void see_to_the_watch(Running& running, const SwitchFact& fact);
  void scan_foreign_sockets(Observed& observed, ObservedChange& touched);
  bool count_ports(const std::string& network, SwitchReport& report);
  void keep_time();
  void follow_starts(std::vector<std::string>& moved);
  void probe_instances();
  void probe_instances(const std::string& network, Running& running);
  static void kill_unresponsive(Running& running);

  // Actions.
  Result<void> prepare(const RunSwitch& step, Observed& observed);
  Result<void> start_switch(const RunSwitch& step);
  Result<void> await_switch(const RunSwitch& step);
  Result<void> run_plug(const RunSwitch& step);
  Result<void> start_plug(const RunSwitch& step, Running& running);
  using IsUp = Result<bool> (VdeBackend::*)(const std::string&, Running&);
  Result<void> await(IsUp is_up, const std::string& network);
  Result<bool> switch_is_up(const std::string& network, Running& running);
  Result<bool> plug_is_up(const std::string& network, Running& running);
  Result<void> stop(const StopSwitch& step);
  Result<void> plug_in(const PlugIn& step, const Observed& observed);
  Result<void> unplug(const Unplug& step, const Observed& observed);
  Result<void> end_processes(const std::string& network);
  Result<os::Descriptor> open_interface(const PlugIn& step, const Observed& observed, PlugFact& plug);

  VdeOptions options_;
  os::Descriptor epoll_;
  os::Descriptor changes_;  // inotify: directories in RUN/vde came or went
  os::Descriptor timer_;    // runs while there is a switch
  bool timed_ = false;
  os::Descriptor start_timer_;  // runs while one is starting
  bool start_timed_ = false;
  Clock::duration start_budget_{};  // left of kStartGlance
  std::string last_asked_;          // network whose turn was the last
  std::map<std::string, Running> running_;
  ObservedChange touched_;  // by what was done, to be told
};

// ---- observation

void VdeBackend::find_switch(const SwitchPaths& paths, Running& running) {
  if (running.switch_due) return;
  if (running.process && os::has_ended(running.process)) running.process = {};
  if (running.process) return;
  auto connection = os::connect_unix(paths.management());
  if (!connection) return;
  auto process = os::process_behind(*connection);
  say_goodbye(*connection);
  if (!process) return;
  running.process = std::move(*process);
  running.failure.reset();
  running.watch_due = true;
  listen(running.process.handle.get());
}

void VdeBackend::find_plug(const SwitchPaths& paths, Running& running) {
  if (running.plug && os::has_ended(running.plug)) running.plug = {};
  if (running.plug && running.client) return;
  running.client = {};
  running.plug = {};
  auto client = PlugClient::open(paths.plug(), kProbeTimeout);
  if (!client) return;
  auto process = os::process_behind(client->connection());
  if (!process) return;
  running.plug = std::move(*process);
  running.client = std::move(*client);
  running.new_plug = {};
  running.plug_due.reset();
  running.failure.reset();
  running.watch_due = true;
  listen(running.plug.handle.get());
  listen(running.client.fd());
}

// Whoever started first, and whether or not the loop waited for them: a plug watches a switch that is no hub.
void VdeBackend::see_to_the_watch(Running& running, const SwitchFact& fact) {
  if (!running.watch_due || fact.pid == 0) return;
  const bool hub = fact.settings.find(" hub=1 ") != std::string::npos;
  running.watch_due = !hub && !running.client.watch();
}

// What of this network there is. Level-triggered: whatever happened, the same look.
void VdeBackend::look(const std::string& network, Observed& observed, ObservedChange& touched) {
  const SwitchPaths paths = places_of(network);
  const auto owner = read_switch_owner(paths);
  const auto known = observed.switches.find(network);
  if (!owner) {
    running_.erase(network);
    if (known != observed.switches.end() && !known->second.uid.empty()) {
      touched.uids.insert(known->second.uid);
      observed.switches.erase(known);
    }
    return;
  }
  Running& running = running_[network];
  find_switch(paths, running);
  find_plug(paths, running);
  SwitchFact fact;
  fact.uid = owner->uid;
  fact.settings = owner->settings;
  fact.pid = running.switch_due ? 0 : running.process.pid;
  if (running.client) {
    auto ports = running.client.list();
    if (!ports) {
      // One that does not answer is of no use, and started anew; one that took another for its agent is asked
      // again at the next look.
      if (ports.error().kind == ErrorKind::timeout) {
        if (auto ended = os::end(running.plug, kGrace); ended) running.plug = {};
      }
      running.client = {};
    } else {
      fact.plug_pid = running.plug.pid;
      fact.connected = ports->shared.connected;
      for (const plug::PortLine& line : ports->lines) fact.plugs[line.plug.mark] = line.plug;
      see_to_the_watch(running, fact);
    }
  }
  fact.starting = running.starting();
  const bool has_vlans = std::any_of(fact.plugs.begin(), fact.plugs.end(),
                                     [](const auto& plug) { return plug.second.port != 0; });
  if (fact.pid != 0 && has_vlans) {
    if (const auto vlans = engine_of(fact.settings).vlans(paths)) {
      for (auto& [mark, plug] : fact.plugs) {
        const auto of_port = vlans->find(plug.port);
        if (of_port != vlans->end()) plug.vlans = of_port->second;
      }
    } else if (known != observed.switches.end()) {  // not told now: as it was
      for (auto& [mark, plug] : fact.plugs) {
        const auto before = known->second.plugs.find(mark);
        if (before != known->second.plugs.end() && before->second.port == plug.port)
          plug.vlans = before->second.vlans;
      }
    }
  }
  if (known != observed.switches.end() && known->second == fact) return;
  touched.uids.insert(fact.uid);
  for (const auto& [mark, plug] : fact.plugs) touched.uids.insert(mark.uid);
  if (known != observed.switches.end()) {
    for (const auto& [mark, plug] : known->second.plugs) touched.uids.insert(mark.uid);
  }
  observed.switches[network] = std::move(fact);
}

// Directories in RUN/vde that nobody wrote an owner for.
void VdeBackend::scan_foreign_sockets(Observed& observed, ObservedChange& touched) {
  std::set<std::string> strangers;
  std::error_code failed;
  for (const auto& each : fs::directory_iterator(options_.run_dir / "vde", failed)) {
    const std::string network = each.path().filename();
    const SwitchPaths paths = places_of(network);
    if (read_switch_owner(paths)) continue;
    strangers.insert(network);
    SwitchFact fact;
    fact.foreign = paths.socket + " is there already and not ours";
    // Who makes a directory listens in it a little later.
    ::inotify_add_watch(changes_.get(), paths.socket.c_str(), IN_CREATE | IN_DELETE | IN_ATTRIB);
    const std::string listener = paths.socket + "/ctl";
    auto connection = os::connect_unix(listener);
    for (const auto end_time = Clock::now() + kStrangerTime;
         !connection && connection.error().kind == ErrorKind::waiting && Clock::now() < end_time;) {
      ::poll(nullptr, 0, static_cast<int>(kStartPause.count()));
      connection = os::connect_unix(listener);
    }
    if (connection) {
      if (const auto process = os::process_behind(*connection))
        fact.foreign += "; process " + std::to_string(process->pid) + " listens there";
    }
    observed.switches[network] = std::move(fact);
    touched.switches.insert(network);
  }
  for (auto known = observed.switches.begin(); known != observed.switches.end();) {
    const bool gone = !known->second.foreign.empty() && !strangers.contains(known->first);
    if (gone) touched.switches.insert(known->first);
    known = gone ? observed.switches.erase(known) : std::next(known);
  }
}

ObservedChange VdeBackend::drain(Observed& observed) {
  ObservedChange touched = std::exchange(touched_, {});
  alignas(inotify_event) std::array<char, 4096> bytes{};
  bool directories = false;
  std::uint64_t times = 0;
  if (::read(timer_.get(), &times, sizeof times) > 0) probe_instances();
  while (::read(changes_.get(), bytes.data(), bytes.size()) > 0) directories = true;
  if (directories) scan_foreign_sockets(observed, touched);
  std::vector<std::string> moved;
  while (::read(start_timer_.get(), &times, sizeof times) > 0) continue;
  follow_starts(moved);
  for (const std::string& network : moved) touched.switches.insert(network);
  for (auto& [network, running] : running_) {
    PlugClient::News news;
    if (running.client) news = running.client.news();
    if (!news.alive) running.client = {};
    const bool ended =
        (running.process && os::has_ended(running.process)) || (running.plug && os::has_ended(running.plug));
    const bool unheard = running.plug && !running.client;
    if (news.any || unheard || ended) moved.push_back(network);
  }
  for (const std::string& network : moved) look(network, observed, touched);
  keep_time();
  return touched;
}

// Without a switch nobody is woken up.
void VdeBackend::keep_time() {
  run_timer(timer_, timed_, !running_.empty(), kProbePause);
  const bool starting =
      std::any_of(running_.begin(), running_.end(), [](const auto& each) { return each.second.starting(); });
  run_timer(start_timer_, start_timed_, starting, kStartTurn);
}

// Those that take longer to start than the loop waits for them.
void VdeBackend::follow_starts(std::vector<std::string>& moved) {
  for (auto& [network, running] : running_) {
    if (!running.starting()) continue;
    auto up = running.switch_due ? switch_is_up(network, running) : plug_is_up(network, running);
    if (!up) running.failure = up.error();
    if (!up || *up) moved.push_back(network);
  }
}

// A process that hangs without having ended carries nothing: it is ended, which its handle tells, and is
// started anew. Nobody waits for an answer: it is looked for at the next turn.
void VdeBackend::probe_instances() {
  for (auto& [network, running] : running_) kill_unresponsive(running);
  auto next = running_.upper_bound(last_asked_);
  for (std::size_t i = 0; i < std::min(kProbes, running_.size()); ++i, ++next) {
    if (next == running_.end()) next = running_.begin();
    probe_instances(next->first, next->second);
    last_asked_ = next->first;
  }
}

void VdeBackend::probe_instances(const std::string& network, Running& running) {
  if (running.client) running.client.ping();
  if (running.probe || !running.process || running.switch_due) return;
  const SwitchPaths paths = places_of(network);
  const auto owner = read_switch_owner(paths);
  if (!owner) return;
  auto probe = engine_of(owner->settings).begin_probe(paths);
  running.asked = Clock::now();
  if (probe) running.probe = std::move(*probe);
  // Its queue is full: it has accepted nobody for a long time.
  if (!probe && probe.error().kind == ErrorKind::timeout) end_now(running.process);
}

void VdeBackend::kill_unresponsive(Running& running) {
  if (running.client && running.client.silence() > kProbeTimeout) end_now(running.plug);
  if (!running.probe || running.switch_due) return;
  if (running.probe->look() != PendingProbe::Answer::none) {
    running.probe.reset();
  } else if (Clock::now() - running.asked > kProbeTimeout) {
    end_now(running.process);
    running.probe.reset();
  }
}

Result<ObservedChange> VdeBackend::resync(Observed& observed) {
  ObservedChange touched;
  std::set<std::string> networks;
  for (const auto& [network, running] : running_) networks.insert(network);
  std::error_code failed;
  for (const auto& each : fs::directory_iterator(options_.run_dir / "switches", failed))
    networks.insert(each.path().filename());
  if (failed) return error_from_errno(failed.value(), "read", (options_.run_dir / "switches").string());
  for (const std::string& network : networks) {
    look(network, observed, touched);
  }
  scan_foreign_sockets(observed, touched);
  keep_time();
  return touched;
}

// ---- actions

std::vector<Result<void>> VdeBackend::execute(std::span<const Action* const> actions, Observed& observed) {
  std::vector<Result<void>> results(actions.size());
  // Switches start side by side: all are begun before the first one is waited for.
  using Begin = Result<void> (VdeBackend::*)(const RunSwitch&);
  std::vector<std::size_t> runs;
  for (std::size_t i = 0; i < actions.size(); ++i) {
    const auto* step = std::get_if<RunSwitch>(&actions[i]->step);
    if (step == nullptr) continue;
    runs.push_back(i);
    results[i] = prepare(*step, observed);
  }
  start_budget_ = kStartGlance;
  for (const Begin phase : {&VdeBackend::start_switch, &VdeBackend::await_switch, &VdeBackend::run_plug}) {
    for (const std::size_t i : runs) {
      if (results[i]) results[i] = (this->*phase)(std::get<RunSwitch>(actions[i]->step));
    }
  }
  std::set<std::string> networks;
  for (std::size_t i = 0; i < actions.size(); ++i) {
    const Step& step = actions[i]->step;
    if (const auto* remove = std::get_if<StopSwitch>(&step)) results[i] = stop(*remove);
    if (const auto* plug = std::get_if<PlugIn>(&step)) results[i] = plug_in(*plug, observed);
    if (const auto* plug = std::get_if<Unplug>(&step)) results[i] = unplug(*plug, observed);
    const auto* plug = std::get_if<PlugIn>(&step);
    networks.insert(plug != nullptr ? plug->spec.network : actions[i]->target().name);
  }
  for (const std::string& network : networks) {
    look(network, observed, touched_);
    touched_.switches.insert(network);
  }
  scan_foreign_sockets(observed, touched_);
  keep_time();
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!results[i]) results[i] = named(results[i].error(), actions[i]->target().name);
  }
  return results;
}

Result<void> VdeBackend::end_processes(const std::string& network) {
  const auto known = running_.find(network);
  if (known == running_.end()) return {};
  Running& running = known->second;
  running.client = {};
  running.probe.reset();
  running.switch_due.reset();
  running.plug_due.reset();
  running.failure.reset();
  for (os::Process* process : {&running.plug, &running.new_plug, &running.process}) {
    if (!*process) continue;
    if (auto ended = os::end(*process, kGrace); !ended) return ended;
    *process = {};
  }
  return {};
}

Result<void> VdeBackend::prepare(const RunSwitch& step, Observed& observed) {
  const std::string& network = step.where.name;
  const SwitchPaths paths = places_of(network);
  constexpr std::size_t kLongestFile = 16;  // that a client makes in the directory: "/ctl", "/.12345-00001"
  // Its console's path is as long as the longest of a client, and must leave room for a zero as well.
  const std::size_t longest = std::max(paths.socket.size() + kLongestFile, paths.management().size() + 1);
  if (longest > sizeof(sockaddr_un::sun_path))
    return Error{ErrorKind::invalid,
                 "run switch",
                 network,
                 ENAMETOOLONG,
                 "the path of its socket, " + paths.socket +
                     "/ctl, is too long: with what clients add a path has at most " +
                     std::to_string(sizeof(sockaddr_un::sun_path)) + " bytes",
                 "give the network a shorter name, or the agent a shorter --run-dir"};
  if (!read_switch_owner(paths)) {
    struct stat found {};
    if (::lstat(paths.socket.c_str(), &found) == 0) {
      scan_foreign_sockets(observed, touched_);
      return Error{ErrorKind::conflict,
                   "run switch",
                   network,
                   EEXIST,
                   paths.socket + " is there already and not ours",
                   "remove it, or choose another name"};
    }
  }
  if (step.anew) {
    if (auto ended = end_processes(network); !ended) return ended;
  }
  if (::mkdir(paths.private_dir.c_str(), 0700) != 0 && errno != EEXIST)
    return error_from_errno(errno, "create directory", paths.private_dir);
  return write_switch_owner(paths, {step.uid, step.spec.settings()});
}

Result<void> VdeBackend::start_switch(const RunSwitch& step) {
  const SwitchPaths paths = places_of(step.where.name);
  Running& running = running_[step.where.name];
  if (running.failure) return *std::exchange(running.failure, std::nullopt);
  find_switch(paths, running);
  if (running.process) return {};
  const SwitchProgram* engine = find_switch_program(step.spec.engine);
  if (engine == nullptr)
    return Error{
        ErrorKind::invalid, "run switch", step.where.name, 0, "there is no engine " + step.spec.engine, {}};
  if (auto stranger = os::connect_unix(paths.socket + "/ctl")) {
    const auto process = os::process_behind(*stranger);
    return Error{ErrorKind::conflict,
                 "run switch",
                 step.where.name,
                 EADDRINUSE,
                 "process " + (process ? std::to_string(process->pid) : std::string("of somebody else")) +
                     " listens in its place, " + paths.socket,
                 "end it, or choose another name"};
  }
  os::SpawnSpec spawned;
  const std::string program = os::find_program(engine->program());
  if (program.empty())
    return Error{ErrorKind::unsupported,
                 "run switch",
                 step.where.name,
                 ENOENT,
                 std::string("the program ") + engine->program() + " is not installed",
                 std::string("install it: apt-get install ") + engine->package()};
  spawned.command = engine->arguments(step.spec, paths);
  spawned.command.insert(spawned.command.begin(), program);
  spawned.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANWRIGHT_SWITCH=" + step.uid};
  spawned.log = paths.switch_log();
  spawned.descriptors = kSpareDescriptors + kDescriptorsPerPort * kMostPlugs;
  spawned.capabilities = engine->capabilities();
  auto process = os::spawn(spawned);
  if (!process) return process.error();
  running.process = std::move(*process);
  running.probe.reset();
  running.switch_due = Clock::now() + kStartTime;
  listen(running.process.handle.get());
  return {};
}

// No event tells that a process begins to answer. The loop waits for it as long as it commonly takes; what
// takes longer is looked at in turns.
Result<void> VdeBackend::await(IsUp is_up, const std::string& network) {
  Running& running = running_[network];
  const auto begin = Clock::now();
  for (;;) {
    auto up = (this->*is_up)(network, running);
    if (!up) return up.error();
    if (*up) return {};
    if (Clock::now() - begin >= start_budget_) break;
    os::await_end(running.switch_due ? running.process : running.new_plug, kStartPause);
  }
  start_budget_ -= std::min(start_budget_, Clock::now() - begin);
  return Error{ErrorKind::waiting, "start", network, 0, "it was started and does not answer yet", {}};
}

Result<void> VdeBackend::await_switch(const RunSwitch& step) {
  return await(&VdeBackend::switch_is_up, step.where.name);
}

Result<bool> VdeBackend::switch_is_up(const std::string& network, Running& running) {
  if (!running.switch_due) return true;
  const SwitchPaths paths = places_of(network);
  const auto owner = read_switch_owner(paths);
  const SwitchProgram& engine = owner ? engine_of(owner->settings) : default_switch_program();
  if (!running.probe) {
    if (auto probe = engine.begin_probe(paths)) running.probe = std::move(*probe);
  }
  const auto answer = running.probe ? running.probe->look() : PendingProbe::Answer::none;
  if (answer != PendingProbe::Answer::none) running.probe.reset();
  if (answer == PendingProbe::Answer::alive) {
    const auto answers = engine.probe(paths, kGlance);
    // An earlier one that still holds the place would answer for ours.
    if (answers && answers->pid == running.process.pid) {
      running.switch_due.reset();
      running.watch_due = true;
      return true;
    }
  }
  auto starting =
      still_starting(running.process, running.switch_due, "run switch", network, paths.switch_log());
  if (!starting) return starting.error();
  return false;
}

Result<bool> VdeBackend::plug_is_up(const std::string& network, Running& running) {
  const SwitchPaths paths = places_of(network);
  find_plug(paths, running);
  if (running.plug) return true;
  auto starting = still_starting(running.new_plug, running.plug_due, "run plug", network, paths.plug_log());
  if (!starting) return starting.error();
  return false;
}

Result<void> VdeBackend::start_plug(const RunSwitch& step, Running& running) {
  const SwitchPaths paths = places_of(step.where.name);
  if (options_.plug_program.empty())
    return Error{
        ErrorKind::unsupported,        "run plug", step.where.name, ENOENT, "lanwright-plug is not installed",
        "it belongs beside lanwrightd"};
  os::SpawnSpec spawned;
  spawned.command = {options_.plug_program,        "--switch",  paths.socket, "--management",
                     paths.management(),           "--control", paths.plug(), "--mtu",
                     std::to_string(step.spec.mtu)};
  if (step.spec.hub) spawned.command.emplace_back("--hub");
  spawned.environment = {"LANWRIGHT_SWITCH=" + step.uid};
  spawned.log = paths.plug_log();
  spawned.descriptors = kSpareDescriptors + kDescriptorsPerPort * kMostPlugs;
  auto process = os::spawn(spawned);
  if (!process) return process.error();
  running.new_plug = std::move(*process);
  running.plug_due = Clock::now() + kStartTime;
  listen(running.new_plug.handle.get());
  return {};
}

Result<void> VdeBackend::run_plug(const RunSwitch& step) {
  const SwitchPaths paths = places_of(step.where.name);
  Running& running = running_[step.where.name];
  find_plug(paths, running);
  if (!running.plug && !running.plug_due) {
    if (auto started = start_plug(step, running); !started) return started;
  }
  if (!running.plug) {
    if (auto up = await(&VdeBackend::plug_is_up, step.where.name); !up) return up;
  }
  if (!step.spec.hub) return running.client.watch();
  auto ports = running.client.list();
  if (!ports) return ports.error();
  if (ports->shared.connected) return {};
  // An earlier plug is to be forgotten first: see say_goodbye().
  if (auto answers = find_switch_program(step.spec.engine)->probe(paths, kProbeTimeout); !answers)
    return answers.error();
  return running.client.connect();
}

Result<void> VdeBackend::stop(const StopSwitch& step) {
  const std::string& network = step.where.name;
  const SwitchPaths paths = places_of(network);
  const auto owner = read_switch_owner(paths);
  if (!owner) return {};
  if (owner->uid != step.uid)
    return Error{ErrorKind::conflict, "stop switch", network, 0, "it is not ours any more", {}};
  Running& running = running_[network];
  find_switch(paths, running);
  find_plug(paths, running);
  if (auto ended = end_processes(network); !ended) return ended;
  running_.erase(network);
  std::error_code failed;
  // Ours have ended: who still answers there is somebody else.
  if (!os::connect_unix(paths.socket + "/ctl")) {
    for (const auto& each : fs::directory_iterator(paths.socket, failed)) {
      if (is_leftover(each)) fs::remove(each.path(), failed);
    }
    fs::remove(paths.socket, failed);  // what else somebody put there stays, and the directory with it
  }
  fs::remove_all(paths.private_dir, failed);
  if (failed) return error_from_errno(failed.value(), "remove", paths.private_dir);
  return {};
}

Result<os::Descriptor> VdeBackend::open_interface(const PlugIn& step, const Observed& observed,
                                                  PlugFact& plug) {
  const LinkFact* link = observed.find(step.where);
  if (link == nullptr)
    return Error{
        ErrorKind::waiting, "plug in", step.where.text(), ENODEV, "the link is not there any more", {}};
  auto netns = os::open_namespace(step.where.netns);
  if (!netns) return netns.error();
  plug.ifindex = link->ifindex;
  plug.netns = netns->inode;
  if (!step.spec.tap) return os::open_packet_socket(link->ifindex, step.where.text());
  os::Descriptor tap;
  if (const int error = os::open_tap_for_frames(netns->descriptor, step.where.name, tap)) {
    Error failed = error_from_errno(error, "open tap", step.where.text());
    if (error == EBUSY) failed.hint = "another program has it open";
    return failed;
  }
  return tap;
}

Result<void> VdeBackend::plug_in(const PlugIn& step, const Observed& observed) {
  const auto known = running_.find(step.spec.network);
  if (known == running_.end() || !known->second.client)
    return Error{ErrorKind::waiting,
                 "plug in",
                 step.where.text(),
                 0,
                 "the plug of network " + step.spec.network + " does not run",
                 {}};
  Running& running = known->second;
  const SwitchPaths paths = places_of(step.spec.network);
  PlugFact plug;
  plug.mark = step.mark;
  plug.tap = step.spec.tap;
  const auto owner = read_switch_owner(paths);
  if (step.own_port && owner) {
    std::vector<std::uint32_t> taken;
    auto ports = running.client.list();
    if (!ports) return ports.error();
    for (const plug::PortLine& line : ports->lines) taken.push_back(line.plug.port);
    auto number = engine_of(owner->settings).make_port(paths, taken, step.spec.vlans);
    if (!number) return number.error();
    plug.port = *number;
  }
  // What has its place first lets go of the tap, which only one may hold.
  if (auto removed = running.client.remove(step.mark); !removed) return removed;
  auto descriptor = open_interface(step, observed, plug);
  if (!descriptor) return descriptor.error();
  return running.client.add(plug, *descriptor);
}

Result<void> VdeBackend::unplug(const Unplug& step, const Observed& observed) {
  const auto known = running_.find(step.where.name);
  if (known == running_.end() || !known->second.client) return {};
  if (auto removed = known->second.client.remove(step.mark); !removed) return removed;
  const auto fact = observed.switches.find(step.where.name);
  if (fact == observed.switches.end()) return {};
  const auto plug = fact->second.plugs.find(step.mark);
  if (plug == fact->second.plugs.end() || plug->second.port == 0) return {};
  return engine_of(fact->second.settings).remove_port(places_of(step.where.name), plug->second.port);
}

bool VdeBackend::count_ports(const std::string& network, SwitchReport& report) {
  const auto known = running_.find(network);
  if (known == running_.end()) return false;
  Running& running = known->second;
  // Who owes an answer for longer than a glance is not waited for again.
  if (running.probe && running.probe->look() != PendingProbe::Answer::none) running.probe.reset();
  const bool owes = running.probe && Clock::now() - running.asked > kGlance;
  const bool switch_answers = running.process && !running.switch_due && !owes;
  if (switch_answers) {
    if (auto ports = engine_of(report.fact.settings).ports(places_of(network), kGlance))
      report.ports = std::move(*ports);
    else
      return false;
  }
  if (!running.client || !running.client.answers_within(kGlance)) return false;
  auto ports = running.client.list();
  if (!ports) return false;
  for (const plug::PortLine& line : ports->lines) report.plugs[line.plug.mark] = line.counters;
  report.shared = ports->shared.counters;
  return switch_answers;
}

std::vector<SwitchReport> VdeBackend::report(const Observed& observed) {
  std::vector<SwitchReport> reports;
  for (const auto& [network, fact] : observed.switches) {
    if (fact.uid.empty()) continue;
    SwitchReport report;
    report.network = network;
    report.socket = places_of(network).socket;
    report.fact = fact;
    report.answered = count_ports(network, report);
    reports.push_back(std::move(report));
  }
  return reports;
}

Result<void> make_directory(const fs::path& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
    return error_from_errno(errno, "create directory", path);
  // Whatever the umask: who may use a switch is said by its own directory.
  if (::chmod(path.c_str(), mode) != 0) return error_from_errno(errno, "set the mode of", path);
  return {};
}

}  // namespace

Result<std::unique_ptr<SwitchBackend>> open_vde_backend(const VdeOptions& given) {
  VdeOptions options = given;
  options.run_dir = fs::absolute(options.run_dir);  // what is started stands elsewhere
  if (auto made = make_directory(options.run_dir / "vde", 0755); !made) return made.error();
  if (auto made = make_directory(options.run_dir / "switches", 0700); !made) return made.error();
  os::Descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return error_from_errno(errno, "create", "epoll descriptor");
  os::Descriptor changes(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  os::Descriptor timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  os::Descriptor start_timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer || !start_timer) return error_from_errno(errno, "create", "timer descriptor");
  const std::string watched = (options.run_dir / "vde").string();
  if (!changes || ::inotify_add_watch(changes.get(), watched.c_str(), IN_CREATE | IN_DELETE | IN_MOVE) < 0)
    return error_from_errno(errno, "watch", watched);
  return std::unique_ptr<SwitchBackend>(std::make_unique<VdeBackend>(
      std::move(options), std::move(epoll), std::move(changes), std::move(timer), std::move(start_timer)));
}

std::string find_plug_program() {
  std::error_code failed;
  const fs::path self = fs::read_symlink("/proc/self/exe", failed);
  for (const fs::path& place : {self.parent_path(), self.parent_path().parent_path() / "lib" / "lanwright"}) {
    const fs::path candidate = place / "lanwright-plug";
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

}  // namespace lanwright::vde
