#include "reconcilers/netfilter/forward_keeper.h"

#include <net/if.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "reconcilers/netfilter/forward_rules.h"
#include "reconcilers/netfilter/rule_events.h"
#include "reconcilers/processes/command.h"
#include "reconcilers/processes/process.h"

namespace lanwright {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kFirstRetry = 1s;
constexpr std::chrono::milliseconds kLongestRetry = 1min;

// -w: others may be changing rules at the same time.
Result<std::string> run_tables(const std::string& program, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {program, "-w", "5"});
  auto result = run_command(arguments);
  if (!result) return result.error();
  if (result->status == 0) return result->words;
  return Error{ErrorKind::busy,
               "let through what bridges forward",
               {},
               0,
               program + ": " + result->words,
               "see " + program + " -S FORWARD"};
}

bool bridge_exists(const std::string& name) {
  return ::if_nametoindex(name.c_str()) != 0;
}

// Of one family of addresses, which has a program of its own.
Result<void> keep(const std::string& program, const std::set<ForwardRule>& wanted,
                  const std::set<Uid>& ours) {
  auto listing = run_tables(program, {"-S", "FORWARD"});
  if (!listing) return listing.error();
  for (const ForwardChange& change :
       forward_changes(wanted, ours, forward_rules_in(*listing), bridge_exists)) {
    std::vector<std::string> arguments = arguments_of(change.rule);
    arguments.insert(arguments.begin(), change.insert ? "-I" : "-D");
    if (auto changed = run_tables(program, std::move(arguments)); !changed) return changed.error();
  }
  return {};
}

bool kernel_has_ipv6() {
  return ::access("/proc/net/if_inet6", F_OK) == 0;
}

Result<void> keep_all(const std::set<ForwardRule>& wanted, const std::set<Uid>& ours) {
  for (const char* name : {"iptables", "ip6tables"}) {
    const std::string program = find_program(name);
    if (program.empty() || (name == std::string_view("ip6tables") && !kernel_has_ipv6())) continue;
    if (auto kept = keep(program, wanted, ours); !kept) return kept;
  }
  return {};
}

class ForwardKeeper final : public ForwardPort {
 public:
  ForwardKeeper(Descriptor wake, std::optional<RuleEvents> events, std::function<void(const Error&)> tell)
      : wake_(std::move(wake)),
        events_(std::move(events)),
        tell_(std::move(tell)),
        thread_([this] { run(); }) {}
  ~ForwardKeeper() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake();
    thread_.join();
  }

  void want(std::set<ForwardRule> rules, const std::set<Uid>& networks) override {
    const std::lock_guard lock(mutex_);
    for (const ForwardRule& rule : rules) ours_.insert(rule.uid);
    ours_.insert(networks.begin(), networks.end());
    if (asked_ != 0 && rules == wanted_) return;
    wanted_ = std::move(rules);
    ++asked_;
    wake();
  }
  void look_again() override {
    const std::lock_guard lock(mutex_);
    ++asked_;
    wake();
  }
  Result<void> wait(std::chrono::steady_clock::time_point deadline) override {
    std::unique_lock lock(mutex_);
    const std::uint64_t asked = asked_;
    if (news_.wait_until(lock, deadline, [&] { return done_ >= asked; })) return result_;
    return Error{ErrorKind::timeout,
                 "let through what bridges forward",
                 {},
                 0,
                 "iptables does not come to an end",
                 "see who else changes rules"};
  }

 private:
  void wake() const { ::eventfd_write(wake_.get(), 1); }

  void run() {
    while (await_work()) continue;
  }
  bool await_work();

  Descriptor wake_;
  std::optional<RuleEvents> events_;
  std::function<void(const Error&)> tell_;
  std::mutex mutex_;
  std::condition_variable news_;
  std::set<ForwardRule> wanted_;
  std::set<Uid> ours_;  // networks of ours that have, or had, rules
  std::uint64_t asked_ = 0;
  std::uint64_t done_ = 0;
  Result<void> result_;
  std::optional<Error> told_;           // of the thread
  std::chrono::milliseconds retry_{0};  // likewise
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

// Waits for something to do, and does it; false when it is over.
bool ForwardKeeper::await_work() {
  std::array<pollfd, 2> sources{pollfd{wake_.get(), POLLIN, 0},
                                pollfd{events_ ? events_->fd() : -1, POLLIN, 0}};
  const int timeout = retry_ == 0ms ? -1 : static_cast<int>(retry_.count());
  const int ready = ::poll(sources.data(), sources.size(), timeout);
  eventfd_t times = 0;
  ::eventfd_read(wake_.get(), &times);
  const bool lost = events_ && events_->rules_were_lost();
  std::unique_lock lock(mutex_);
  if (stopping_) return false;
  const bool asked_again = asked_ != done_ || (lost && !wanted_.empty());
  const bool retry_is_due = ready == 0;
  if (!asked_again && !retry_is_due) return true;
  const std::uint64_t asked = asked_;
  const auto wanted = wanted_;
  const auto ours = ours_;
  lock.unlock();
  Result<void> kept = keep_all(wanted, ours);
  const auto failure = kept ? std::nullopt : std::optional(kept.error());
  if (failure && failure != told_) tell_(*failure);
  told_ = failure;
  lock.lock();
  retry_ = kept ? 0ms : std::clamp(retry_ * 2, kFirstRetry, kLongestRetry);
  result_ = std::move(kept);
  done_ = asked;
  news_.notify_all();
  return true;
}

}  // namespace

Result<std::unique_ptr<ForwardPort>> open_forward_keeper(std::function<void(const Error&)> tell) {
  Descriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return error_from_errno(errno, "open", "an event descriptor");
  auto events = RuleEvents::open();
  std::optional<RuleEvents> told;
  if (events) told = std::move(*events);
  return std::unique_ptr<ForwardPort>(
      std::make_unique<ForwardKeeper>(std::move(wake), std::move(told), std::move(tell)));
}

}  // namespace lanwright
