#include "reconcilers/vde/instance.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "reconcilers/os/namespace.h"
#include "reconcilers/os/packet_socket.h"
#include "reconcilers/os/tap.h"

namespace lanwright::vde {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = SwitchInstance::Clock;
using State = ManagedProcess::State;
using std::chrono::milliseconds;

constexpr auto kStartTime = 5s;     // until a process that was started answers
constexpr auto kStartPause = 1ms;   // between tries to connect to a starting process, which tells nobody
constexpr auto kProbeTimeout = 3s;  // with one that runs, before it is taken for dead
constexpr auto kGlance = 200ms;     // with a probe, before the loop does not wait for this process at all
constexpr auto kGrace = 500ms;      // from SIGTERM to SIGKILL, at most
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
        ErrorKind::invalid, "run switch", step.at.name, 0, "there is no engine " + step.spec.engine, {}};
  if (auto vacant = check_vacancy(step.at.name, paths); !vacant) return vacant.error();
  const std::string program = os::find_program(kind->program());
  if (program.empty())
    return Error{ErrorKind::unsupported,
                 "run switch",
                 step.at.name,
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
  const LinkFact* link = observed.find(step.at);
  if (link == nullptr)
    return Error{ErrorKind::waiting, "plug in", step.at.text(), ENODEV, "the link is not there any more", {}};
  auto netns = os::open_namespace(step.at.netns);
  if (!netns) return netns.error();
  plug.ifindex = link->ifindex;
  plug.netns = netns->inode;
  if (!step.spec.tap) return os::open_packet_socket(link->ifindex, step.at.text());
  os::Descriptor tap;
  if (const int error = os::open_tap_for_frames(netns->descriptor, step.at.name, tap)) {
    Error failed = error_from_errno(error, "open tap", step.at.text());
    if (error == EBUSY) failed.hint = "another program has it open";
    return failed;
  }
  return tap;
}

const SwitchProgram& program_at(const SwitchPaths& paths) {
  const auto owner = read_switch_owner(paths);
  return owner && *owner ? program_of((*owner)->settings) : default_switch_program();
}

// Until there may be something new of a process that is starting.
void pause(const os::Process& starting, const PendingProbe* probe) {
  std::array<pollfd, 2> events{pollfd{starting.handle.get(), POLLIN, 0},
                               pollfd{probe != nullptr ? probe->connection().get() : -1, POLLIN, 0}};
  ::poll(events.data(), events.size(), static_cast<int>(kStartPause.count()));
}

bool is_timeout(const Error& error) {
  return error.kind == ErrorKind::timeout;
}

}  // namespace

// Of a question that the switch does not answer in time a probe remains: it tells when the switch answers
// again, or that it has to be ended.
template <class Question>
auto SwitchInstance::ask_switch(const Question& question) {
  using Answer = decltype(question(1ms));
  if (switch_.is_silent())
    return Answer(Error{ErrorKind::timeout, "ask", paths_.management(), 0, "the switch does not answer", {}});
  Answer answer = shared_.patience.spend(question);
  if (!answer && is_timeout(answer.error()) && switch_.is_up()) {
    if (!probe_) begin_probe();
    if (probe_) listen(probe_->connection().get());
    switch_.state = State::silent;
  }
  return answer;
}

template <class Question>
auto SwitchInstance::ask_plug(const Question& question) {
  auto answer = shared_.patience.spend(question);
  if (!answer && is_timeout(answer.error())) plug_.state = State::silent;
  return answer;
}

void SwitchInstance::listen(int fd) const {
  epoll_event event{};
  event.events = EPOLLIN;
  ::epoll_ctl(shared_.events.get(), EPOLL_CTL_ADD, fd, &event);
}

void SwitchInstance::attend(const os::Process& process) const {
  listen(process.handle.get());
  shared_.on_process(process.pid);
}

// ---- observation

void SwitchInstance::find_switch() {
  if (switch_.is_starting()) return;
  if (switch_.is_up() && !switch_.has_ended()) return;
  switch_ = {};
  probe_.reset();
  begin_probe();
  if (!probe_) return;
  auto process = os::process_behind(probe_->connection());
  if (!process) return probe_.reset();
  listen(probe_->connection().get());
  switch_ = {State::up, std::move(*process), {}};
  failure_.reset();
  watch_due_ = true;
  attend(switch_.process);
}

void SwitchInstance::find_plug() {
  if (plug_.is_up() && client_ && !plug_.has_ended()) return;
  client_ = {};
  if (plug_.is_up()) plug_ = {};
  auto client = PlugClient::open(paths_.plug());
  if (!client) return;
  auto process = os::process_behind(client->connection());
  if (!process) return;
  plug_ = {State::up, std::move(*process), {}};
  client_ = std::move(*client);
  failure_.reset();
  watch_due_ = true;
  attend(plug_.process);
  listen(client_.fd());
}

void SwitchInstance::list_plugs(SwitchFact& fact, const SwitchFact* known) {
  if (!client_) return;
  const auto ports = ask_plug([this](auto patience) { return client_.list(patience); });
  if (!ports && is_timeout(ports.error())) {
    if (known == nullptr || known->plug_pid != plug_.process.pid) return;
    fact.plug_pid = known->plug_pid;
    fact.connected = known->connected;
    fact.plugs = known->plugs;
    return;
  }
  if (!ports) {  // it took another for its agent: asked again at the next look
    client_ = {};
    return;
  }
  fact.plug_pid = plug_.process.pid;
  fact.connected = ports->shared.connected;
  for (const plug::PortLine& line : ports->lines) fact.plugs[line.plug.mark] = line.plug;
  // Whoever started first, and whether or not the loop waited for them: a plug watches a switch that is no
  // hub.
  if (!watch_due_ || fact.pid == 0) return;
  const bool hub = fact.settings.find(" hub=1 ") != std::string::npos;
  watch_due_ = !hub && !ask_plug([this](auto patience) { return client_.watch(patience); });
}

void SwitchInstance::read_vlans(SwitchFact& fact, const SwitchFact* known) {
  const bool has_vlans = std::any_of(fact.plugs.begin(), fact.plugs.end(),
                                     [](const auto& plug) { return plug.second.port != 0; });
  if (fact.pid == 0 || !has_vlans) return;
  const auto vlans =
      ask_switch([&](auto patience) { return program_of(fact.settings).vlans(paths_, patience); });
  if (vlans) {
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
  list_plugs(fact, known);
  fact.starting = is_starting();
  read_vlans(fact, known);
  return fact;
}

bool SwitchInstance::has_news() {
  PlugClient::News news;
  if (client_) news = client_.news();
  if (!news.alive) client_ = {};
  if (plug_.is_silent() && client_ && !client_.owes()) plug_.state = State::up;
  take_probe();
  const bool answered = std::exchange(answered_, false);
  const bool unheard = plug_.is_up() && !client_;
  return news.any || unheard || answered || switch_.has_ended() || plug_.has_ended();
}

bool SwitchInstance::count(SwitchReport& report) {
  if (!switch_.is_silent()) take_probe();
  const bool owes = switch_.is_silent() || (probe_ && Clock::now() - asked_ > kGlance);
  const bool is_asked = switch_.is_up() && !owes;
  if (is_asked) {
    auto ports =
        ask_switch([&](auto patience) { return program_of(report.fact.settings).ports(paths_, patience); });
    if (!ports) return false;
    report.ports = std::move(*ports);
  }
  if (!client_ || client_.silence() > kGlance) return false;
  const auto ports = ask_plug([this](auto patience) { return client_.list(patience); });
  if (!ports) return false;
  for (const plug::PortLine& line : ports->lines) report.plugs[line.plug.mark] = line.counters;
  report.shared = ports->shared.counters;
  return is_asked;
}

// ---- signs of life

void SwitchInstance::kill_unresponsive() {
  if (client_ && client_.silence() > kProbeTimeout) {
    end_now(plug_.process);
  } else if (client_ && client_.debt() > kProbeTimeout) {
    client_ = {};  // it lives, but this answer will not come: asked again by a new connection
  }
  take_probe();
  if (!probe_ || switch_.is_starting() || Clock::now() - asked_ <= kProbeTimeout) return;
  end_now(switch_.process);
  probe_.reset();
}

void SwitchInstance::take_probe() {
  if (!probe_ || switch_.is_starting() || probe_->look() == PendingProbe::Answer::none) return;
  probe_.reset();
  if (!switch_.is_silent()) return;
  switch_.state = State::up;
  answered_ = true;
}

// False when its queue is full: it has accepted nobody for a long time.
bool SwitchInstance::begin_probe() {
  asked_ = Clock::now();
  auto probe = program_at(paths_).begin_probe(paths_);
  if (probe) probe_ = std::move(*probe);
  return probe || !is_timeout(probe.error());
}

void SwitchInstance::probe() {
  if (client_) client_.ping();
  if (!probe_ && switch_.is_up() && !begin_probe()) end_now(switch_.process);
}

// ---- starting

Result<void> SwitchInstance::prepare(const RunSwitch& step) {
  if (auto fits = check_length(network_, paths_); !fits) return fits;
  const auto owner = read_switch_owner(paths_);
  if (!owner) return owner.error();
  struct stat found {};
  if (!*owner && ::lstat(paths_.socket.c_str(), &found) == 0)
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
  attend(switch_.process);
  return {};
}

Result<void> SwitchInstance::start_plug(const RunSwitch& step) {
  if (shared_.plug_program.empty())
    return Error{
        ErrorKind::unsupported,        "run plug", network_, ENOENT, "lanwright-plug is not installed",
        "it belongs beside lanwrightd"};
  os::SpawnSpec spawned;
  spawned.command = {shared_.plug_program,         "--switch",  paths_.socket, "--management",
                     paths_.management(),          "--control", paths_.plug(), "--mtu",
                     std::to_string(step.spec.mtu)};
  if (step.spec.hub) spawned.command.emplace_back("--hub");
  spawned.environment = {"LANWRIGHT_SWITCH=" + step.uid};
  spawned.log = paths_.plug_log();
  spawned.descriptors = kSpareDescriptors + kDescriptorsPerPort * kMostPlugs;
  auto process = os::spawn(spawned);
  if (!process) return process.error();
  plug_ = {State::starting, std::move(*process), Clock::now() + kStartTime};
  attend(plug_.process);
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
    if (switch_.is_starting())
      pause(switch_.process, probe_.get());
    else
      pause(plug_.process, nullptr);
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
  if (!probe_) {
    begin_probe();
    if (!probe_) return false;
    // An earlier one that still holds the place would answer for ours.
    const auto process = os::process_behind(probe_->connection());
    if (!process || process->pid != switch_.process.pid) probe_.reset();
  }
  const auto answer = probe_ ? probe_->look() : PendingProbe::Answer::none;
  if (answer != PendingProbe::Answer::none) probe_.reset();
  return answer == PendingProbe::Answer::alive;
}

Result<void> SwitchInstance::run_plug(const RunSwitch& step, Clock::duration& budget) {
  find_plug();
  if (plug_.state == State::absent) {
    if (auto started = start_plug(step); !started) return started;
  }
  if (auto up = await_start(budget); !up) return up;
  if (!step.spec.hub) return ask_plug([this](auto patience) { return client_.watch(patience); });
  const auto ports = ask_plug([this](auto patience) { return client_.list(patience); });
  if (!ports) return ports.error();
  if (ports->shared.connected) return {};
  // An earlier plug is to be forgotten first: see say_goodbye().
  const auto answers =
      ask_switch([this](auto patience) { return program_at(paths_).probe(paths_, patience); });
  if (!answers) return answers.error();
  return ask_plug([this](auto patience) { return client_.connect(patience); });
}

// ---- other actions

Result<void> SwitchInstance::end_processes() {
  client_ = {};
  probe_.reset();
  failure_.reset();
  for (ManagedProcess* each : {&plug_, &switch_}) {
    if (each->state == State::absent) continue;
    // One that is known to hang would not hear a request.
    const auto grace = each->is_silent() ? 0ms : std::min<milliseconds>(kGrace, shared_.patience.for_one());
    each->state = State::up;  // nobody awaits it any more
    const auto begin = Clock::now();
    if (auto ended = os::end(each->process, grace); !ended) return ended;
    if (Clock::now() - begin > grace) shared_.patience.waited_in_vain(grace);
    *each = {};
  }
  return {};
}

Result<void> SwitchInstance::stop(const StopSwitch& step) {
  const auto owner = read_switch_owner(paths_);
  if (!owner) return owner.error();
  if (!*owner) return {};
  if ((*owner)->uid != step.uid)
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
  const auto ports = ask_plug([this](auto patience) { return client_.list(patience); });
  if (!ports) return ports.error();
  for (const plug::PortLine& line : ports->lines) taken.push_back(line.plug.port);
  return ask_switch([&](auto patience) {
    return program_of(owner.settings).make_port(paths_, taken, step.spec.vlans, patience);
  });
}

Result<void> SwitchInstance::plug_in(const PlugIn& step, const Observed& observed) {
  if (!client_)
    return Error{ErrorKind::waiting,
                 "plug in",
                 step.at.text(),
                 0,
                 "the plug of network " + network_ + " does not run",
                 {}};
  PlugFact plug;
  plug.mark = step.mark;
  plug.tap = step.spec.tap;
  const auto owner = read_switch_owner(paths_);
  if (!owner) return owner.error();
  if (step.own_port && *owner) {
    const auto number = make_port(step, **owner);
    if (!number) return number.error();
    plug.port = *number;
  }
  // What has its place first lets go of the tap, which only one may hold.
  auto removed = ask_plug([&](auto patience) { return client_.remove(step.mark, patience); });
  if (!removed) return removed;
  const auto descriptor = open_interface(step, observed, plug);
  if (!descriptor) return descriptor.error();
  return ask_plug([&](auto patience) { return client_.add(plug, *descriptor, patience); });
}

Result<void> SwitchInstance::unplug(const Unplug& step, const SwitchFact* known) {
  if (!client_) return {};
  auto removed = ask_plug([&](auto patience) { return client_.remove(step.mark, patience); });
  if (!removed || known == nullptr) return removed;
  const auto plug = known->plugs.find(step.mark);
  if (plug == known->plugs.end() || plug->second.port == 0) return {};
  return ask_switch([&](auto patience) {
    return program_of(known->settings).remove_port(paths_, plug->second.port, patience);
  });
}

}  // namespace lanwright::vde
