// The init of a container in which only the agent runs, as in Docker's managed plugin: it starts the agent
// and starts it again when it ends unasked, so that what the agent started (switches, plugs) outlives it
// there as it does on a host, where the kernel ends all of a process namespace with its init.
//
//   lanwright-init PROGRAM [ARGUMENT]...
//
// SIGTERM and SIGINT are passed on and end it with the program, SIGHUP is passed on. Orphans are buried. Exit
// status: of the program when it was asked to end, or does not understand its options (2); 128 and the
// signal's number when one ended it. Source: pid_namespaces(7).
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iostream>
#include <optional>
#include <string>

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Pause = std::chrono::milliseconds;

constexpr int kUsage = 2;
constexpr int kSignalled = 128;  // and the signal's number, as shells have it
constexpr Pause kFirstPause = 100ms;
constexpr Pause kLongestPause = 10s;
constexpr Pause kWell = 10s;  // what ran so long is started again at once

int status_of(int waited) {
  return WIFSIGNALED(waited) ? kSignalled + WTERMSIG(waited) : WEXITSTATUS(waited);
}

std::string words_of(int waited) {
  if (!WIFSIGNALED(waited)) return "ended with status " + std::to_string(WEXITSTATUS(waited));
  return "was ended by signal " + std::to_string(WTERMSIG(waited));
}

class Init {
 public:
  explicit Init(char** command) : command_(command) {
    sigemptyset(&heard_);
    for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&heard_, number);
    // Blocked, as the kernel keeps from an init what it has no handler for. What comes before it is waited
    // for stays.
    sigprocmask(SIG_BLOCK, &heard_, &inherited_);
  }

  int run() {
    start();
    while (!status_) {
      const int number = next_signal();
      if (number == SIGCHLD)
        bury();
      else if (number > 0)
        pass_on(number);
      if (!status_ && agent_ < 0 && start_at_ && Clock::now() >= *start_at_) start();
    }
    return *status_;
  }

 private:
  void start() {
    start_at_.reset();
    started_ = Clock::now();
    agent_ = fork();
    if (agent_ == 0) {
      sigprocmask(SIG_SETMASK, &inherited_, nullptr);
      execv(command_[0], command_);
      std::cerr << "lanwright-init: start " << command_[0] << ": " << std::strerror(errno) << '\n';
      _exit(errno == ENOENT || errno == EACCES ? kUsage : 1);
    }
    if (agent_ < 0) {
      std::cerr << "lanwright-init: start a process: " << std::strerror(errno) << '\n';
      start_later();
    }
  }

  void start_later() {
    pause_ = Clock::now() - started_ >= kWell ? 0ms : std::clamp(pause_ * 2, kFirstPause, kLongestPause);
    start_at_ = Clock::now() + pause_;
  }

  // 0 when it is time to start the agent.
  int next_signal() const {
    if (!start_at_) return sigwaitinfo(&heard_, nullptr);
    const auto left = std::max(std::chrono::ceil<Pause>(*start_at_ - Clock::now()), 0ms);
    const timespec limit{left.count() / 1000, left.count() % 1000 * 1'000'000};
    return std::max(sigtimedwait(&heard_, nullptr, &limit), 0);
  }

  // One signal may stand for several that died.
  void bury() {
    int waited = 0;
    for (pid_t dead = 0; (dead = waitpid(-1, &waited, WNOHANG)) > 0;) {
      if (dead == agent_) agent_ended(waited);
    }
  }

  void agent_ended(int waited) {
    agent_ = -1;
    if (stopping_ || (WIFEXITED(waited) && WEXITSTATUS(waited) == kUsage)) {
      status_ = status_of(waited);
      return;
    }
    start_later();
    std::cerr << "lanwright-init: " << command_[0] << ' ' << words_of(waited) << ", and is started again";
    if (pause_ > 0ms) std::cerr << " in " << pause_.count() << " ms";
    std::cerr << '\n';
  }

  void pass_on(int number) {
    if (number != SIGHUP) stopping_ = true;
    if (agent_ > 0)
      kill(agent_, number);
    else if (stopping_)
      status_ = 0;
  }

  char** command_;
  sigset_t heard_{};
  sigset_t inherited_{};
  pid_t agent_ = -1;  // -1: it does not run
  Clock::time_point started_;
  Pause pause_ = 0ms;  // before the next start
  std::optional<Clock::time_point> start_at_;
  bool stopping_ = false;
  std::optional<int> status_;  // it is over
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: lanwright-init PROGRAM [ARGUMENT]...\n";
    return kUsage;
  }
  return Init(argv + 1).run();
}
