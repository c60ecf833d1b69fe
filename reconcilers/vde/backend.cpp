#include "reconcilers/vde/backend.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <utility>

#include "reconcilers/os/process.h"
#include "reconcilers/os/timer.h"
#include "reconcilers/vde/instance.h"

namespace lanwright::vde {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kStartGlance = 100ms;  // in which the loop waits for all that it started together
// For processes that do not answer: asked because of an event, to act or read everything, and for counters.
constexpr auto kDrainPatience = 20ms;
constexpr auto kActPatience = 200ms;
constexpr auto kReportPatience = 100ms;
constexpr auto kStartTurn = 5ms;      // between looks at those that took longer
constexpr auto kProbePause = 2s;      // between turns of asking for signs of life
constexpr std::size_t kProbes = 64;   // in one turn
constexpr auto kStrangerPause = 1ms;  // between tries to connect to a socket at which nobody listens
constexpr auto kStrangerTime = 10ms;  // between binding a socket and listening at it, which no event tells

Error named(Error error, const std::string& network) {
  if (error.object.find(network) == std::string::npos) error.object += " of network " + network;
  return error;
}

const SwitchFact* find_fact(const Observed& observed, const std::string& network) {
  const auto known = observed.switches.find(network);
  return known == observed.switches.end() ? nullptr : &known->second;
}

// What other programs name to join is there, and nobody wrote an owner for it.
SwitchFact describe_foreign(const std::string& socket) {
  SwitchFact fact;
  fact.foreign = socket + " is there already and not ours";
  const std::string listener = socket + "/ctl";
  auto connection = os::connect_unix(listener);
  for (const auto end_time = Clock::now() + kStrangerTime;
       !connection && connection.error().kind == ErrorKind::waiting && Clock::now() < end_time;) {
    ::poll(nullptr, 0, static_cast<int>(kStrangerPause.count()));
    connection = os::connect_unix(listener);
  }
  if (!connection) return fact;
  if (const auto process = os::process_behind(*connection))
    fact.foreign += "; process " + std::to_string(process->pid) + " listens there";
  return fact;
}

// The table of instances, and what they have in common: the descriptor that hears of them, timers, and
// directories of others in their place.
class VdeBackend final : public SwitchBackend {
 public:
  VdeBackend(boost::asio::io_context& io, VdeOptions options, os::Descriptor epoll, os::Descriptor changes,
             os::Descriptor wake)
      : run_dir_(std::move(options.run_dir)),
        shared_{std::move(options.plug_program), std::move(epoll), {}, std::move(options.on_process)},
        changes_(std::move(changes)),
        wake_(std::move(wake)),
        probe_timer_(io, [this] { wake_up(); }),
        start_timer_(io, [this] { wake_up(); }) {
    listen(changes_.get());
    listen(wake_.get());
  }

  int event_fd() const override { return shared_.events.get(); }
  ObservedChange drain(Observed& observed) override LANWRIGHT_ON_LOOP;
  Result<ObservedChange> resync(Observed& observed) override LANWRIGHT_ON_LOOP;
  std::vector<Result<void>> execute(std::span<const Action* const> actions, Observed& observed) override
      LANWRIGHT_ON_LOOP;
  std::vector<SwitchReport> report(const Observed& observed) override;

 private:
  void listen(int fd);
  void wake_up();
  SwitchInstance& instance_of(const std::string& network);
  void look(const std::string& network, Observed& observed, ObservedChange& touched);
  void scan_foreign_sockets(Observed& observed, ObservedChange& touched);
  void probe_instances();
  void set_timers() LANWRIGHT_ON_LOOP;
  void run_switches(std::span<const Action* const> actions, std::vector<Result<void>>& results);
  Result<void> perform(const Step& step, const Observed& observed);

  fs::path run_dir_;
  SwitchInstance::Shared shared_;
  os::Descriptor changes_;   // inotify: directories in RUN/vde came or went
  os::Descriptor wake_;      // eventfd: a timer is due
  os::Timer probe_timer_;    // set while there is a switch
  os::Timer start_timer_;    // set while one is starting
  std::string last_probed_;  // network whose turn was the last
  std::map<std::string, SwitchInstance> instances_;
  ObservedChange touched_;  // by what was done, to be told
};

void VdeBackend::listen(int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  ::epoll_ctl(shared_.events.get(), EPOLL_CTL_ADD, fd, &event);
}

// All is done in drain(): nothing when nobody listens any more.
void VdeBackend::wake_up() {
  ::eventfd_write(wake_.get(), 1);
}

SwitchInstance& VdeBackend::instance_of(const std::string& network) {
  return instances_.try_emplace(network, network, switch_paths(run_dir_, network), shared_).first->second;
}

// ---- observation

// What of this network there is. Level-triggered: whatever happened, the same look.
void VdeBackend::look(const std::string& network, Observed& observed, ObservedChange& touched) {
  const auto read = read_switch_owner(switch_paths(run_dir_, network));
  if (!read) return;  // no descriptor is left, for one: what was known is likelier than that it is nobody's
  const auto& owner = *read;
  const auto known = observed.switches.find(network);
  const bool is_known = known != observed.switches.end();
  if (!owner) {
    instances_.erase(network);
    if (is_known && !known->second.uid.empty()) {
      touched.uids.insert(known->second.uid);
      observed.switches.erase(known);
    }
    return;
  }
  SwitchFact fact = instance_of(network).look(*owner, is_known ? &known->second : nullptr);
  if (is_known && known->second == fact) return;
  touched.uids.insert(fact.uid);
  // Whoever waits for the switch hears of it, however it came to run: by an answer that was late, for one.
  const bool runs = fact.pid != 0 && fact.plug_pid != 0;
  const bool ran = is_known && known->second.pid != 0 && known->second.plug_pid != 0;
  if (runs != ran) touched.switches.insert(network);
  for (const auto& [mark, plug] : fact.plugs) touched.uids.insert(mark.uid);
  if (is_known) {
    for (const auto& [mark, plug] : known->second.plugs) touched.uids.insert(mark.uid);
  }
  observed.switches[network] = std::move(fact);
}

// Directories in RUN/vde that nobody wrote an owner for.
void VdeBackend::scan_foreign_sockets(Observed& observed, ObservedChange& touched) {
  std::set<std::string> foreign;
  std::error_code failed;
  for (const auto& each : fs::directory_iterator(run_dir_ / "vde", failed)) {
    const std::string network = each.path().filename();
    const SwitchPaths paths = switch_paths(run_dir_, network);
    if (const auto owner = read_switch_owner(paths); !owner || *owner) continue;
    foreign.insert(network);
    // Who makes a directory listens in it a little later.
    ::inotify_add_watch(changes_.get(), paths.socket.c_str(), IN_CREATE | IN_DELETE | IN_ATTRIB);
    observed.switches[network] = describe_foreign(paths.socket);
    touched.switches.insert(network);
  }
  for (auto known = observed.switches.begin(); known != observed.switches.end();) {
    const bool gone = !known->second.foreign.empty() && !foreign.contains(known->first);
    if (gone) touched.switches.insert(known->first);
    known = gone ? observed.switches.erase(known) : std::next(known);
  }
}

ObservedChange VdeBackend::drain(Observed& observed) {
  shared_.patience.begin_turn(kDrainPatience);
  ObservedChange touched = std::exchange(touched_, {});
  eventfd_t times = 0;
  ::eventfd_read(wake_.get(), &times);
  if (!probe_timer_.is_set()) probe_instances();
  alignas(inotify_event) std::array<char, 4096> bytes{};
  bool directories = false;
  while (::read(changes_.get(), bytes.data(), bytes.size()) > 0) directories = true;
  if (directories) scan_foreign_sockets(observed, touched);
  std::set<std::string> moved;
  for (auto& [network, instance] : instances_) {
    const bool started = instance.follow_start();
    if (started) touched.switches.insert(network);
    if (instance.has_news() || started) moved.insert(network);
  }
  for (const std::string& network : moved) look(network, observed, touched);
  set_timers();
  return touched;
}

Result<ObservedChange> VdeBackend::resync(Observed& observed) {
  shared_.patience.begin_turn(kActPatience);
  ObservedChange touched;
  std::set<std::string> networks;
  for (const auto& [network, instance] : instances_) networks.insert(network);
  std::error_code failed;
  for (const auto& each : fs::directory_iterator(run_dir_ / "switches", failed))
    networks.insert(each.path().filename());
  if (failed) return error_from_errno(failed.value(), "read", (run_dir_ / "switches").string());
  for (const std::string& network : networks) look(network, observed, touched);
  scan_foreign_sockets(observed, touched);
  set_timers();
  return touched;
}

// Without a switch nobody is woken up.
void VdeBackend::set_timers() {
  if (instances_.empty())
    probe_timer_.cancel();
  else if (!probe_timer_.is_set())
    probe_timer_.set_in(kProbePause);
  const bool starting = std::any_of(instances_.begin(), instances_.end(),
                                    [](const auto& each) { return each.second.is_starting(); });
  if (!starting)
    start_timer_.cancel();
  else if (!start_timer_.is_set())
    start_timer_.set_in(kStartTurn);
}

void VdeBackend::probe_instances() {
  for (auto& [network, instance] : instances_) instance.kill_unresponsive();
  auto next = instances_.upper_bound(last_probed_);
  for (std::size_t i = 0; i < std::min(kProbes, instances_.size()); ++i, ++next) {
    if (next == instances_.end()) next = instances_.begin();
    next->second.probe();
    last_probed_ = next->first;
  }
}

// ---- actions

std::vector<Result<void>> VdeBackend::execute(std::span<const Action* const> actions, Observed& observed) {
  shared_.patience.begin_turn(kActPatience);
  std::vector<Result<void>> results(actions.size());
  run_switches(actions, results);
  std::set<std::string> networks;
  for (std::size_t i = 0; i < actions.size(); ++i) {
    const Step& step = actions[i]->step;
    if (!std::holds_alternative<RunSwitch>(step)) results[i] = perform(step, observed);
    const auto* plug = std::get_if<PlugIn>(&step);
    networks.insert(plug != nullptr ? plug->spec.network : actions[i]->target().name);
  }
  for (const std::string& network : networks) {
    look(network, observed, touched_);
    touched_.switches.insert(network);
  }
  scan_foreign_sockets(observed, touched_);
  set_timers();
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!results[i]) results[i] = named(results[i].error(), actions[i]->target().name);
  }
  return results;
}

// Switches start side by side: all are begun before the first one is waited for.
void VdeBackend::run_switches(std::span<const Action* const> actions, std::vector<Result<void>>& results) {
  const auto each = [&](const auto& phase) {
    for (std::size_t i = 0; i < actions.size(); ++i) {
      const auto* step = std::get_if<RunSwitch>(&actions[i]->step);
      if (step != nullptr && results[i]) results[i] = phase(instance_of(step->at.name), *step);
    }
  };
  Clock::duration budget = kStartGlance;
  each([](SwitchInstance& instance, const RunSwitch& step) { return instance.prepare(step); });
  each([](SwitchInstance& instance, const RunSwitch& step) { return instance.start(step); });
  each([&](SwitchInstance& instance, const RunSwitch& /*step*/) { return instance.await_start(budget); });
  each([&](SwitchInstance& instance, const RunSwitch& step) { return instance.run_plug(step, budget); });
}

Result<void> VdeBackend::perform(const Step& step, const Observed& observed) {
  if (const auto* stop = std::get_if<StopSwitch>(&step)) return instance_of(stop->at.name).stop(*stop);
  if (const auto* plug = std::get_if<PlugIn>(&step))
    return instance_of(plug->spec.network).plug_in(*plug, observed);
  if (const auto* plug = std::get_if<Unplug>(&step))
    return instance_of(plug->at.name).unplug(*plug, find_fact(observed, plug->at.name));
  return {};
}

std::vector<SwitchReport> VdeBackend::report(const Observed& observed) {
  shared_.patience.begin_turn(kReportPatience);
  std::vector<SwitchReport> reports;
  for (const auto& [network, fact] : observed.switches) {
    if (fact.uid.empty()) continue;
    SwitchReport report;
    report.network = network;
    report.socket = switch_paths(run_dir_, network).socket;
    report.fact = fact;
    const auto known = instances_.find(network);
    report.answered = known != instances_.end() && known->second.count(report);
    reports.push_back(std::move(report));
  }
  wake_up();  // for what plugs told between their answers
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

Result<std::unique_ptr<SwitchBackend>> open_vde_backend(boost::asio::io_context& io,
                                                        const VdeOptions& given) {
  VdeOptions options = given;
  options.run_dir = fs::absolute(options.run_dir);  // what is started stands elsewhere
  if (auto made = make_directory(options.run_dir / "vde", 0755); !made) return made.error();
  if (auto made = make_directory(options.run_dir / "switches", 0700); !made) return made.error();
  os::Descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return error_from_errno(errno, "create", "epoll descriptor");
  os::Descriptor changes(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  os::Descriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return error_from_errno(errno, "create", "eventfd");
  const std::string watched = (options.run_dir / "vde").string();
  if (!changes || ::inotify_add_watch(changes.get(), watched.c_str(), IN_CREATE | IN_DELETE | IN_MOVE) < 0)
    return error_from_errno(errno, "watch", watched);
  return std::unique_ptr<SwitchBackend>(std::make_unique<VdeBackend>(io, std::move(options), std::move(epoll),
                                                                     std::move(changes), std::move(wake)));
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
