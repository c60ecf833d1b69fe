// One network's switch and its plug: two processes that outlive the agent, and are found again at their
// sockets. Loop thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "model/base/result.h"
#include "model/observed.h"
#include "model/plan.h"
#include "reconcilers/backends/switch_backend.h"
#include "reconcilers/os/descriptor.h"
#include "reconcilers/os/process.h"
#include "reconcilers/vde/paths.h"
#include "reconcilers/vde/patience.h"
#include "reconcilers/vde/plug_client.h"
#include "reconcilers/vde/program.h"

namespace lanwright::vde {

// A process that listens at a socket, from its start to its end.
struct ManagedProcess {
  enum class State : std::uint8_t {
    absent,    // never started, not found, or ended
    starting,  // started here; has until `due` to answer
    up,        // answered, or was found at its socket
    silent,    // up, but owes an answer: asked nothing more, and waited for by nobody, until it is there
  };
  State state = State::absent;
  os::Process process;
  std::chrono::steady_clock::time_point due;

  bool is_starting() const { return state == State::starting; }
  bool is_up() const { return state == State::up || state == State::silent; }
  bool is_silent() const { return state == State::silent; }
  bool has_ended() const { return state != State::absent && os::has_ended(process); }
};

// A private method for each state of the two processes and each step between them: what one sees, the other
// needs.
class SwitchInstance {
 public:
  using Clock = std::chrono::steady_clock;

  // What all instances share; it outlives them.
  struct Shared {
    std::string plug_program;               // path of lanwright-plug; empty when it is not installed
    os::Descriptor events;                  // epoll; readable when has_news() may have something to say
    Patience patience;                      // for answers, in whichever call below
    std::function<void(pid_t)> on_process;  // told of each that was started or found again
  };
  SwitchInstance(std::string network, SwitchPaths paths, Shared& shared)
      : network_(std::move(network)), paths_(std::move(paths)), shared_(shared) {}

  // Observation.

  // What there is, whatever happened since. `known` is what the last look found, or nullptr: what is not told
  // now stays as it was. When it can be told, there is news.
  SwitchFact look(const SwitchOwner& owner, const SwitchFact* known);
  // Whether something happened that calls for a look.
  bool has_news();
  bool is_starting() const { return switch_.is_starting() || plug_.is_starting(); }
  // Of one that takes longer to start than the loop waited: whether it answers by now, or failed, which
  // start() tells. Does not wait.
  bool follow_start();
  // Counters, and whether both processes answered.
  bool count(SwitchReport& report);

  // Signs of life. A process that hangs without having ended carries nothing: it is ended, which has_news()
  // tells. Neither call waits for an answer: the first one takes in what the second one asked for.
  void kill_unresponsive();
  void probe();

  // Actions, the first four of them in this order to run a switch. Waiting for what starts is taken from
  // `budget`, the time that the loop spends on all that it starts together; ErrorKind::waiting when it is up.

  Result<void> prepare(const RunSwitch& step);
  Result<void> start(const RunSwitch& step);
  Result<void> await_start(Clock::duration& budget);
  Result<void> run_plug(const RunSwitch& step, Clock::duration& budget);
  // Ends both processes and removes their files.
  Result<void> stop(const StopSwitch& step);
  Result<void> plug_in(const PlugIn& step, const Observed& observed);
  // `known` is what the last look found, or nullptr.
  Result<void> unplug(const Unplug& step, const SwitchFact* known);

 private:
  void find_switch();
  void find_plug();
  void list_plugs(SwitchFact& fact, const SwitchFact* known);

  void read_vlans(SwitchFact& fact, const SwitchFact* known);
  template <class Question>
  auto ask_switch(const Question& question);
  template <class Question>
  auto ask_plug(const Question& question);
  bool begin_probe();
  void take_probe();
  Result<void> start_plug(const RunSwitch& step);
  Result<bool> advance();
  bool switch_answers();
  Error give_up(ManagedProcess& given);
  Result<std::uint32_t> make_port(const PlugIn& step, const SwitchOwner& owner);
  Result<void> end_processes();
  void listen(int fd) const;
  void attend(const os::Process& process) const;

  std::string network_;
  SwitchPaths paths_;
  Shared& shared_;
  ManagedProcess switch_;
  std::unique_ptr<PendingProbe> probe_;  // of the switch
  Clock::time_point asked_;              // since then
  bool answered_ = false;                // it was silent, and is not any more
  ManagedProcess plug_;
  PlugClient client_;       // of the plug that is up; empty until the next look when the connection broke
  bool watch_due_ = false;  // one of the two is new: the plug may not watch the switch (no hub) yet
  std::optional<Error> failure_;  // of a start that nobody waited for, to be told
};

}  // namespace lanwright::vde
