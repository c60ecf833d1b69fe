#include "reconcilers/netfilter/iptables_backend.h"

#include <net/if.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "reconcilers/netfilter/forward_rules.h"
#include "reconcilers/netfilter/rule_events.h"
#include "reconcilers/os/command.h"
#include "reconcilers/os/process.h"

namespace lanwright::netfilter {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kFirstRetry = 1s;
constexpr std::chrono::milliseconds kLongestRetry = 1min;

using Failures = std::map<ForwardRule, Error>;

Error failed(const std::string& program, const std::string& words) {
  return {ErrorKind::busy,        "let through what bridges forward", {}, 0,
          program + ": " + words, "see " + program + " -S FORWARD"};
}

// -w: others may be changing rules at the same time.
Result<os::CommandResult> run_tables(const std::string& program, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {program, "-w", "5"});
  return os::run_command(arguments);
}

bool bridge_exists(const std::string& name) {
  return ::if_nametoindex(name.c_str()) != 0;
}

Result<void> carry_out(const std::string& program, const ForwardChange& change) {
  constexpr int kNoSuchRule = 1;  // of -D: somebody else was faster
  if (change.insert && !can_be_ruled(change.rule.bridge))
    return Error{ErrorKind::invalid,
                 "let through what it forwards",
                 "bridge " + change.rule.bridge,
                 0,
                 "iptables takes its name for something else",
                 "use letters, digits, `.`, `_` and `-`"};
  std::vector<std::string> arguments = arguments_of(change.rule);
  arguments.insert(arguments.begin(), change.insert ? "-I" : "-D");
  auto result = run_tables(program, std::move(arguments));
  if (!result) return result.error();
  if (result->status == 0 || (!change.insert && result->status == kNoSuchRule)) return {};
  return failed(program, result->words);
}

// Of one family of addresses, which has a program of its own. What fails does not keep the rest from being
// done.
void keep(const std::string& program, const std::set<ForwardRule>& wanted, const std::set<ObjectUid>& ours,
          Failures& failures) {
  auto listing = run_tables(program, {"-S", "FORWARD"});
  if (!listing || listing->status != 0) {
    const Error error = listing ? failed(program, listing->words) : listing.error();
    for (const ForwardRule& rule : wanted) failures.emplace(rule, error);
    return;
  }
  for (const ForwardChange& change :
       forward_changes(wanted, ours, forward_rules_in(listing->words), bridge_exists)) {
    if (auto done = carry_out(program, change); !done) failures.emplace(change.rule, done.error());
  }
}

bool kernel_has_ipv6() {
  return ::access("/proc/net/if_inet6", F_OK) == 0;
}

std::string call_switch(const std::string& program) {
  return "net.bridge.bridge-nf-call-" + program;
}

// Whether what bridges forward passes the chains of this program: br_netfilter, in this network namespace.
bool is_called_by_bridges(const std::string& program) {
  std::ifstream file("/proc/sys/net/bridge/bridge-nf-call-" + program);
  char value = '0';
  return file >> value && value != '0';
}

// Nobody made rules with a program that the host lacks, but somebody may have by another way, as from outside
// of the container that this is.
void do_without(const std::string& program, const std::set<ForwardRule>& wanted, Failures& failures) {
  if (!is_called_by_bridges(program)) return;
  for (const ForwardRule& rule : wanted)
    failures.emplace(rule,
                     Error{ErrorKind::unsupported, "let through what it forwards", "bridge " + rule.bridge, 0,
                           "there is no program " + program + ", and " + call_switch(program) +
                               " has the host's firewall look at bridged frames: it may drop them",
                           "install iptables"});
}

Failures keep_all(const std::set<ForwardRule>& wanted, const std::set<ObjectUid>& ours) {
  Failures failures;
  for (const std::string name : {"iptables", "ip6tables"}) {
    if (name == "ip6tables" && !kernel_has_ipv6()) continue;
    if (const std::string program = os::find_program(name); !program.empty())
      keep(program, wanted, ours, failures);
    else
      do_without(name, wanted, failures);
  }
  return failures;
}

class IptablesBackend final : public FirewallBackend {
 public:
  IptablesBackend(os::Descriptor wake, std::optional<RuleEvents> events,
                  std::function<void(const Error&)> tell)
      : wake_(std::move(wake)),
        events_(std::move(events)),
        tell_(std::move(tell)),
        thread_([this] { run(); }) {}
  ~IptablesBackend() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake();
    thread_.join();
  }

  void want(std::set<ForwardRule> rules, const std::set<ObjectUid>& networks) override {
    const std::lock_guard lock(mutex_);
    for (const ForwardRule& rule : rules) ours_.insert(rule.uid);
    ours_.insert(networks.begin(), networks.end());
    if (rules == wanted_ && failures_.empty()) return;
    wanted_ = std::move(rules);
    ++asked_;
    wake();
  }
  void look_again() override {
    const std::lock_guard lock(mutex_);
    if (asked_ == 0) return;
    ++asked_;
    wake();
  }
  Result<void> wait(const ForwardRule& rule, Clock::time_point deadline) override {
    std::unique_lock lock(mutex_);
    const std::uint64_t asked = asked_;
    if (!news_.wait_until(lock, deadline, [&] { return done_ >= asked; }))
      return Error{ErrorKind::timeout,
                   "let through what it forwards",
                   "bridge " + rule.bridge,
                   0,
                   "iptables does not come to an end",
                   "see who else changes rules"};
    const auto failure = failures_.find(rule);
    return failure == failures_.end() ? Result<void>() : Result<void>(failure->second);
  }

 private:
  void wake() const { ::eventfd_write(wake_.get(), 1); }

  void run() {
    while (await_work()) continue;
  }
  bool await_work();
  void await_news();
  void plan_retry(const Failures& failures);

  os::Descriptor wake_;
  std::optional<RuleEvents> events_;
  std::function<void(const Error&)> tell_;
  std::mutex mutex_;
  std::condition_variable news_;
  std::set<ForwardRule> wanted_;
  std::set<ObjectUid> ours_;  // networks of ours that have, or had, rules
  std::uint64_t asked_ = 0;
  std::uint64_t done_ = 0;
  Failures failures_;  // of the last try
  // Of the thread.
  std::optional<Error> told_;
  std::chrono::milliseconds pause_ = kFirstRetry;  // before the next retry
  std::optional<Clock::time_point> retry_at_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

// Until somebody asks, the kernel tells, or it is time to try again.
void IptablesBackend::await_news() {
  std::array<pollfd, 2> sources{pollfd{wake_.get(), POLLIN, 0},
                                pollfd{events_ ? events_->fd() : -1, POLLIN, 0}};
  int timeout = -1;
  if (retry_at_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*retry_at_ - Clock::now());
    timeout = static_cast<int>(std::max(left, 0ms).count());
  }
  ::poll(sources.data(), sources.size(), timeout);
  eventfd_t times = 0;
  ::eventfd_read(wake_.get(), &times);
}

// One turn; false when it is over.
bool IptablesBackend::await_work() {
  await_news();
  const bool lost = events_ && events_->rules_were_lost();
  const bool retry = retry_at_ && Clock::now() >= *retry_at_;
  std::unique_lock lock(mutex_);
  if (stopping_) return false;
  if (asked_ == done_ && !retry && !(lost && !wanted_.empty())) return true;
  const std::uint64_t asked = asked_;
  const auto wanted = wanted_;
  const auto ours = ours_;
  lock.unlock();
  Failures failures = keep_all(wanted, ours);
  plan_retry(failures);
  lock.lock();
  failures_ = std::move(failures);
  done_ = asked;
  news_.notify_all();
  return true;
}

void IptablesBackend::plan_retry(const Failures& failures) {
  const auto first = failures.empty() ? std::nullopt : std::optional(failures.begin()->second);
  if (first && first != told_) tell_(*first);
  told_ = first;
  retry_at_.reset();
  if (first) retry_at_ = Clock::now() + pause_;
  pause_ = first ? std::min(pause_ * 2, kLongestRetry) : kFirstRetry;
}

}  // namespace

Result<std::unique_ptr<FirewallBackend>> open_iptables_backend(std::function<void(const Error&)> tell) {
  os::Descriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return error_from_errno(errno, "open", "an event descriptor");
  auto events = RuleEvents::open();
  std::optional<RuleEvents> told;
  if (events)
    told = std::move(*events);
  else
    tell(events.error());
  return std::unique_ptr<FirewallBackend>(
      std::make_unique<IptablesBackend>(std::move(wake), std::move(told), std::move(tell)));
}

}  // namespace lanwright::netfilter
