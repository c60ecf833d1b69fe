#include "reconcilers/vde/instance.h"

#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "reconcilers/os/namespace.h"
#include "reconcilers/os/packet_socket.h"
#include "reconcilers/os/tap.h"
#include "reconcilers/vde/management.h"

namespace lanwright::vde {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = SwitchInstance::Clock;
using State = ManagedProcess::State;

constexpr auto kStartTime = 5s;     // until a process that was started answers
constexpr auto kStartPause = 1ms;   // between tries to connect to a starting process, which tells nobody
constexpr auto kProbeTimeout = 3s;  // with one that runs, before it is taken for dead
constexpr auto kGlance = 200ms;     // with one that is asked for its counters, and holds up the loop
constexpr auto kGrace = 500ms;      // from SIGTERM to SIGKILL
constexpr std::uint64_t kSpareDescriptors = 512;
constexpr std::uint64_t kDescriptorsPerPort = 3;
constexpr std::size_t kWordsShown = 300;  // of a log

const SwitchProgram& program_of(const std::string& settings) {
  const SwitchProgram* program = find_switch_program(settings.substr(0, settings.find(' ')));
  return program != nullptr ? *program : default_switch_program();
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

Result<void> check_length(const std::string& network, const SwitchPaths& paths) {
  constexpr std::size_t kLongestFile = 16;  // that a client makes in the directory: "/ctl", "/.12345-00001"
  // Its console's path is as long as the longest of a client, and must leave room for a zero as well.
  const std::size_t longest = std::max(paths.socket.size() + kLongestFile, paths.management().size() + 1);
  if (longest <= sizeof(sockaddr_un::sun_path)) return {};
  return Error{ErrorKind::invalid,
               "run switch",
               network,
               ENAMETOOLONG,
               "the path of its socket, " + paths.socket +
                   "/ctl, is too long: with what clients add a path has at most " +
                   std::to_string(sizeof(sockaddr_un::sun_path)) + " bytes",
               "give the network a shorter name, or the agent a shorter --run-dir"};
}

Result<void> check_vacancy(const std::string& network, const SwitchPaths& paths) {
  auto stranger = os::connect_unix(paths.socket + "/ctl");
  if (!stranger) return {};
  const auto process = os::process_behind(*stranger);
  return Error{ErrorKind::conflict,
               "run switch",
               network,
               EADDRINUSE,
               "process " + (process ? std::to_string(process->pid) : std::string("of somebody else")) +
                   " listens in its place, " + paths.socket,
               "end it, or choose another name"};
}

Result<os::Process> spawn_switch(const RunSwitch& step, const SwitchPaths& paths) {
  const SwitchProgram* kind = find_switch_program(step.spec.engine);
  if (kind == nullptr)
    return Error{
        ErrorKind::invalid, "run switch", step.where.name, 0, "there is no engine " + step.spec.engine, {}};
  if (auto vacant = check_vacancy(step.where.name, paths); !vacant) return vacant.error();
  const std::string program = os::find_program(kind->program());
  if (program.empty())
    return Error{ErrorKind::unsupported,
                 "run switch",
                 step.where.name,
                 ENOENT,
                 std::string("the program ") + kind->program() + " is not installed",
                 std::string("install it: apt-get install ") + kind->package()};
  os::SpawnSpec spawned;
  spawned.command = kind->arguments(step.spec, paths);
  spawned.command.insert(spawned.command.begin(), program);
  spawned.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANWRIGHT_SWITCH=" + step.uid};
  spawned.log = paths.switch_log();
  spawned.descriptors = kSpareDescriptors + kDescriptorsPerPort * kMostPlugs;
  spawned.capabilities = kind->capabilities();
  return os::spawn(spawned);
}

Result<os::Descriptor> open_interface(const PlugIn& step, const Observed& observed, PlugFact& plug) {
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

}  // namespace

void SwitchInstance::listen(int fd) const {
  epoll_event event{};
  event.events = EPOLLIN;
  ::epoll_ctl(events_.get(), EPOLL_CTL_ADD, fd, &event);
}

// ---- observation

void SwitchInstance::find_switch() {
  if (switch_.is_starting()) return;
  if (switch_.has_ended()) switch_ = {};
  if (switch_.is_up()) return;
  auto connection = os::connect_unix(paths_.management());
  if (!connection) return;
  auto process = os::process_behind(*connection);
  say_goodbye(*connection);
  if (!process) return;
  switch_ = {State::up, std::move(*process), {}};
  failure_.reset();
  watch_due_ = true;
  listen(switch_.process.handle.get());
}

void SwitchInstance::find_plug() {
  if (plug_.is_up() && client_ && !plug_.has_ended()) return;
  client_ = {};
  if (plug_.is_up()) plug_ = {};
  auto client = PlugClient::open(paths_.plug(), kProbeTimeout);
  if (!client) return;
  auto process = os::process_behind(client->connection());
  if (!process) return;
  plug_ = {State::up, std::move(*process), {}};
  client_ = std::move(*client);
  failure_.reset();
  watch_due_ = true;
  listen(plug_.process.handle.get());
  listen(client_.fd());
}

// Whoever started first, and whether or not the loop waited for them: a plug watches a switch that is no hub.
void SwitchInstance::watch_switch(const SwitchFact& fact) {
  if (!watch_due_ || fact.pid == 0) return;
  const bool hub = fact.settings.find(" hub=1 ") != std::string::npos;
  watch_due_ = !hub && !client_.watch();
}

void SwitchInstance::list_plugs(SwitchFact& fact) {
  if (!client_) return;
  const auto ports = client_.list();
  if (!ports) {
    // One that does not answer is of no use, and started anew; one that took another for its agent is asked
    // again at the next look.
    if (ports.error().kind == ErrorKind::timeout) {
      if (auto ended = os::end(plug_.process, kGrace); ended) plug_ = {};
    }
    client_ = {};
    return;
  }
  fact.plug_pid = plug_.process.pid;
  fact.connected = ports->shared.connected;
  for (const plug::PortLine& line : ports->lines) fact.plugs[line.plug.mark] = line.plug;
  watch_switch(fact);
}

void SwitchInstance::read_vlans(SwitchFact& fact, const SwitchFact* known) const {
  const bool has_vlans = std::any_of(fact.plugs.begin(), fact.plugs.end(),
                                     [](const auto& plug) { return plug.second.port != 0; });
  if (fact.pid == 0 || !has_vlans) return;
  if (const auto vlans = program_of(fact.settings).vlans(paths_)) {
    for (auto& [mark, plug] : fact.plugs) {
      const auto of_port = vlans->find(plug.port);
      if (of_port != vlans->end()) plug.vlans = of_port->second;
    }
  } else if (known != nullptr) {  // not told now: as it was
    for (auto& [mark, plug] : fact.plugs) {
      const auto before = known->plugs.find(mark);
      if (before != known->plugs.end() && before->second.port == plug.port) plug.vlans = before->second.vlans;
    }
  }
}

SwitchFact SwitchInstance::look(const SwitchOwner& owner, const SwitchFact* known) {
  find_switch();
  find_plug();
  SwitchFact fact;
  fact.uid = owner.uid;
  fact.settings = owner.settings;
  fact.pid = switch_.is_up() ? switch_.process.pid : 0;
  list_plugs(fact);
  fact.starting = is_starting();
  read_vlans(fact, known);
  return fact;
}

bool SwitchInstance::has_news() {
  PlugClient::News news;
  if (client_) news = client_.news();
  if (!news.alive) client_ = {};
  const bool unheard = plug_.is_up() && !client_;
  return news.any || unheard || switch_.has_ended() || plug_.has_ended();
}

bool SwitchInstance::count(SwitchReport& report) {
  // Who owes an answer for longer than a glance is not waited for again.
  if (probe_ && probe_->look() != PendingProbe::Answer::none) probe_.reset();
  const bool owes = probe_ && Clock::now() - asked_ > kGlance;
  const bool switch_answers = switch_.is_up() && !owes;
  if (switch_answers) {
    auto ports = program_of(report.fact.settings).ports(paths_, kGlance);
    if (!ports) return false;
    report.ports = std::move(*ports);
  }
  if (!client_ || !client_.answers_within(kGlance)) return false;
  const auto ports = client_.list();
  if (!ports) return false;
  for (const plug::PortLine& line : ports->lines) report.plugs[line.plug.mark] = line.counters;
  report.shared = ports->shared.counters;
  return switch_answers;
}

// ---- signs of life

void SwitchInstance::kill_unresponsive() {
  if (client_ && client_.silence() > kProbeTimeout) end_now(plug_.process);
  if (!probe_ || switch_.is_starting()) return;
  if (probe_->look() != PendingProbe::Answer::none) {
    probe_.reset();
  } else if (Clock::now() - asked_ > kProbeTimeout) {
    end_now(switch_.process);
    probe_.reset();
  }
}

void SwitchInstance::probe() {
  if (client_) client_.ping();
  if (probe_ || !switch_.is_up()) return;
  const auto owner = read_switch_owner(paths_);
  if (!owner) return;
  auto probe = program_of(owner->settings).begin_probe(paths_);
  asked_ = Clock::now();
  if (probe) probe_ = std::move(*probe);
  // Its queue is full: it has accepted nobody for a long time.
  if (!probe && probe.error().kind == ErrorKind::timeout) end_now(switch_.process);
}

// ---- starting

Result<void> SwitchInstance::prepare(const RunSwitch& step) {
  if (auto fits = check_length(network_, paths_); !fits) return fits;
  struct stat found {};
  if (!read_switch_owner(paths_) && ::lstat(paths_.socket.c_str(), &found) == 0)
    return Error{ErrorKind::conflict,
                 "run switch",
                 network_,
                 EEXIST,
                 paths_.socket + " is there already and not ours",
                 "remove it, or choose another name"};
  if (step.anew) {
    if (auto ended = end_processes(); !ended) return ended;
  }
  if (::mkdir(paths_.private_dir.c_str(), 0700) != 0 && errno != EEXIST)
    return error_from_errno(errno, "create directory", paths_.private_dir);
  return write_switch_owner(paths_, {step.uid, step.spec.settings()});
}

Result<void> SwitchInstance::start(const RunSwitch& step) {
  if (failure_) return *std::exchange(failure_, std::nullopt);
  find_switch();
  if (switch_.state != State::absent) return {};
  auto process = spawn_switch(step, paths_);
  if (!process) return process.error();
  switch_ = {State::starting, std::move(*process), Clock::now() + kStartTime};
  probe_.reset();
  listen(switch_.process.handle.get());
  return {};
}

Result<void> SwitchInstance::start_plug(const RunSwitch& step) {
  if (plug_program_.empty())
    return Error{
        ErrorKind::unsupported,        "run plug", network_, ENOENT, "lanwright-plug is not installed",
        "it belongs beside lanwrightd"};
  os::SpawnSpec spawned;
  spawned.command = {plug_program_,
                     "--switch",
                     paths_.socket,
                     "--management",
                     paths_.management(),
                     "--control",
                     paths_.plug(),
                     "--mtu",
                     std::to_string(step.spec.mtu)};
  if (step.spec.hub) spawned.command.emplace_back("--hub");
  spawned.environment = {"LANWRIGHT_SWITCH=" + step.uid};
  spawned.log = paths_.plug_log();
  spawned.descriptors = kSpareDescriptors + kDescriptorsPerPort * kMostPlugs;
  auto process = os::spawn(spawned);
  if (!process) return process.error();
  plug_ = {State::starting, std::move(*process), Clock::now() + kStartTime};
  listen(plug_.process.handle.get());
  return {};
}

// No event tells that a process begins to answer. The loop waits for it as long as it commonly takes; what
// takes longer is looked at in turns.
Result<void> SwitchInstance::await_start(Clock::duration& budget) {
  const auto begin = Clock::now();
  while (is_starting()) {
    const auto up = advance();
    if (!up) return up.error();
    if (*up) continue;
    if (Clock::now() - begin >= budget) break;
    os::await_end(switch_.is_starting() ? switch_.process : plug_.process, kStartPause);
  }
  if (!is_starting()) return {};
  budget -= std::min(budget, Clock::now() - begin);
  return Error{ErrorKind::waiting, "start", network_, 0, "it was started and does not answer yet", {}};
}

bool SwitchInstance::follow_start() {
  if (!is_starting()) return false;
  const auto up = advance();
  if (!up) failure_ = up.error();
  return !up || *up;
}

// The next of the two that is starting: whether it is up by now.
Result<bool> SwitchInstance::advance() {
  if (switch_.is_starting()) {
    if (switch_answers()) {
      switch_.state = State::up;
      watch_due_ = true;
      return true;
    }
  } else {
    find_plug();
    if (plug_.is_up()) return true;
  }
  ManagedProcess& starting = switch_.is_starting() ? switch_ : plug_;
  if (!starting.has_ended() && Clock::now() < starting.due) return false;
  return give_up(starting);
}

// Of a process that ended, or has no time left to answer.
Error SwitchInstance::give_up(ManagedProcess& given) {
  const bool is_switch = &given == &switch_;
  const std::string log = is_switch ? paths_.switch_log() : paths_.plug_log();
  const bool ended = given.has_ended();
  if (!ended) {
    given.state = State::up;  // one that cannot be ended is asked for signs of life from now on
    if (auto stopped = os::end(given.process, 0ms); !stopped) return stopped.error();
  }
  given = {};
  return {ended ? ErrorKind::busy : ErrorKind::timeout,
          is_switch ? "run switch" : "run plug",
          network_,
          0,
          std::string(ended ? "it ended at once" : "it does not answer") + ": " + last_words(log),
          "see " + log};
}

bool SwitchInstance::switch_answers() {
  const auto owner = read_switch_owner(paths_);
  const SwitchProgram& program = owner ? program_of(owner->settings) : default_switch_program();
  if (!probe_) {
    if (auto probe = program.begin_probe(paths_)) probe_ = std::move(*probe);
  }
  const auto answer = probe_ ? probe_->look() : PendingProbe::Answer::none;
  if (answer != PendingProbe::Answer::none) probe_.reset();
  if (answer != PendingProbe::Answer::alive) return false;
  const auto answers = program.probe(paths_, kGlance);
  // An earlier one that still holds the place would answer for ours.
  return answers && answers->pid == switch_.process.pid;
}

Result<void> SwitchInstance::run_plug(const RunSwitch& step, Clock::duration& budget) {
  find_plug();
  if (plug_.state == State::absent) {
    if (auto started = start_plug(step); !started) return started;
  }
  if (auto up = await_start(budget); !up) return up;
  if (!step.spec.hub) return client_.watch();
  const auto ports = client_.list();
  if (!ports) return ports.error();
  if (ports->shared.connected) return {};
  // An earlier plug is to be forgotten first: see say_goodbye().
  if (auto answers = find_switch_program(step.spec.engine)->probe(paths_, kProbeTimeout); !answers)
    return answers.error();
  return client_.connect();
}

// ---- other actions

Result<void> SwitchInstance::end_processes() {
  client_ = {};
  probe_.reset();
  failure_.reset();
  for (ManagedProcess* each : {&plug_, &switch_}) {
    if (each->state == State::absent) continue;
    each->state = State::up;  // nobody awaits it any more
    if (auto ended = os::end(each->process, kGrace); !ended) return ended;
    *each = {};
  }
  return {};
}

Result<void> SwitchInstance::stop(const StopSwitch& step) {
  const auto owner = read_switch_owner(paths_);
  if (!owner) return {};
  if (owner->uid != step.uid)
    return Error{ErrorKind::conflict, "stop switch", network_, 0, "it is not ours any more", {}};
  find_switch();
  find_plug();
  if (auto ended = end_processes(); !ended) return ended;
  std::error_code failed;
  // Ours have ended: who still answers there is somebody else.
  if (!os::connect_unix(paths_.socket + "/ctl")) {
    for (const auto& each : fs::directory_iterator(paths_.socket, failed)) {
      if (is_leftover(each)) fs::remove(each.path(), failed);
    }
    fs::remove(paths_.socket, failed);  // what else somebody put there stays, and the directory with it
  }
  fs::remove_all(paths_.private_dir, failed);
  if (failed) return error_from_errno(failed.value(), "remove", paths_.private_dir);
  return {};
}

Result<std::uint32_t> SwitchInstance::make_port(const PlugIn& step, const SwitchOwner& owner) {
  std::vector<std::uint32_t> taken;
  const auto ports = client_.list();
  if (!ports) return ports.error();
  for (const plug::PortLine& line : ports->lines) taken.push_back(line.plug.port);
  return program_of(owner.settings).make_port(paths_, taken, step.spec.vlans);
}

Result<void> SwitchInstance::plug_in(const PlugIn& step, const Observed& observed) {
  if (!client_)
    return Error{ErrorKind::waiting,
                 "plug in",
                 step.where.text(),
                 0,
                 "the plug of network " + network_ + " does not run",
                 {}};
  PlugFact plug;
  plug.mark = step.mark;
  plug.tap = step.spec.tap;
  const auto owner = read_switch_owner(paths_);
  if (step.own_port && owner) {
    const auto number = make_port(step, *owner);
    if (!number) return number.error();
    plug.port = *number;
  }
  // What has its place first lets go of the tap, which only one may hold.
  if (auto removed = client_.remove(step.mark); !removed) return removed;
  const auto descriptor = open_interface(step, observed, plug);
  if (!descriptor) return descriptor.error();
  return client_.add(plug, *descriptor);
}

Result<void> SwitchInstance::unplug(const Unplug& step, const SwitchFact* known) {
  if (!client_) return {};
  if (auto removed = client_.remove(step.mark); !removed) return removed;
  if (known == nullptr) return {};
  const auto plug = known->plugs.find(step.mark);
  if (plug == known->plugs.end() || plug->second.port == 0) return {};
  return program_of(known->settings).remove_port(paths_, plug->second.port);
}

}  // namespace lanwright::vde
