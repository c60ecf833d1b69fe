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
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "reconcilers/netfilter/forward_rules.h"
#include "reconcilers/netfilter/rule_events.h"
#include "reconcilers/netfilter/rule_record.h"
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

// One family of addresses, which has a program of its own.
struct Family {
  const char* program;
  const char* filters_bridged;  // says 1 where bridged frames pass the chain (br_netfilter; ip-sysctl.rst)
};
constexpr std::array kFamilies = {
    Family{"iptables", "/proc/sys/net/bridge/bridge-nf-call-iptables"},
    Family{"ip6tables", "/proc/sys/net/bridge/bridge-nf-call-ip6tables"},
};

struct Wanted {
  std::set<ForwardRule> always;
  std::map<ObjectUid, ForwardRule> where_dropped;  // by network
  std::set<ObjectUid> ours;                        // networks that have, or had, rules
};

bool filters_bridged(const Family& family) {
  char answer = '0';
  std::ifstream(family.filters_bridged) >> answer;  // not there: the module is not loaded
  return answer != '0';
}

// Of one family; whether any rule is to stay. What fails does not keep the rest from being done.
bool keep(const std::string& program, bool filters, const Wanted& wanted, RuleRecord& record,
          Failures& failures) {
  std::set<ForwardRule> rules = wanted.always;
  auto listing = run_tables(program, {"-S", "FORWARD"});
  const bool listed = listing && listing->status == 0;
  if (filters && (!listed || drops_by_default(listing->words))) {
    for (const auto& [network, rule] : wanted.where_dropped) rules.insert(rule);
  }
  if (!listed) {
    const Error error = listing ? failed(program, listing->words) : listing.error();
    for (const ForwardRule& rule : rules) failures.emplace(rule, error);
    if (rules.empty()) failures.emplace(ForwardRule{}, error);  // of those that are to go
    return true;
  }
  for (const ForwardChange& change :
       forward_changes(rules, wanted.ours, forward_rules_in(listing->words), bridge_exists)) {
    auto done = change.insert ? record.add(change.rule.uid) : Result<void>();
    if (done) done = carry_out(program, change);
    if (!done) failures.emplace(change.rule, done.error());
  }
  return !rules.empty();
}

bool kernel_has_ipv6() {
  return ::access("/proc/net/if_inet6", F_OK) == 0;
}

// Nobody made rules with a program that the host lacks, but somebody may have by another way, as from outside
// of the container that this is.
void do_without(const Family& family, const std::set<ForwardRule>& rules, Failures& failures) {
  for (const ForwardRule& rule : rules)
    failures.emplace(
        rule,
        Error{ErrorKind::unsupported, "let through what it forwards", "bridge " + rule.bridge, 0,
              std::string("there is no program ") + family.program + ", and net.bridge.bridge-nf-call-" +
                  family.program + " has the host's firewall look at bridged frames: it may drop them",
              "install iptables"});
}

// What others want and what its thread has done meet under one mutex: its members are of three groups (before
// the mutex, behind it, of the thread), and none of the groups is of use without the others.
class IptablesBackend final : public FirewallBackend {
 public:
  IptablesBackend(os::Descriptor wake, std::optional<RuleEvents> events, RuleRecord record,
                  std::function<void(const Error&)> tell)
      : wake_(std::move(wake)),
        events_(std::move(events)),
        tell_(std::move(tell)),
        left_(record.networks()),
        record_(std::move(record)),
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
    for (const ForwardRule& rule : rules) wanted_.ours.insert(rule.uid);
    wanted_.ours.insert(networks.begin(), networks.end());
    if (rules == wanted_.always && failures_.empty()) return;
    wanted_.always = std::move(rules);
    ++asked_;
    wake();
  }
  void want_where_dropped(const ObjectUid& network, std::optional<ForwardRule> rule) override {
    const std::lock_guard lock(mutex_);
    const auto known = wanted_.where_dropped.find(network);
    const bool is_known = known != wanted_.where_dropped.end();
    if (rule ? is_known && known->second == *rule : !is_known) return;
    if (rule) {
      wanted_.where_dropped.insert_or_assign(network, *std::move(rule));
      wanted_.ours.insert(network);
    } else {
      wanted_.where_dropped.erase(known);
    }
    ++asked_;
    wake();
  }
  void begin() override {
    const std::lock_guard lock(mutex_);
    begun_ = true;
    wake();
  }
  void sweep() override {
    const std::lock_guard lock(mutex_);
    wanted_.ours.insert(left_.begin(), left_.end());
    if (!left_.empty()) ++asked_;
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
  Failures keep_all(const Wanted& wanted);
  void forget_networks(const Wanted& wanted);
  void plan_retry(const Failures& failures);

  os::Descriptor wake_;
  std::optional<RuleEvents> events_;
  std::function<void(const Error&)> tell_;
  const std::set<ObjectUid> left_;  // networks of which an earlier agent may have left rules
  std::mutex mutex_;
  std::condition_variable news_;
  Wanted wanted_;
  bool begun_ = false;
  std::uint64_t asked_ = 0;
  std::uint64_t done_ = 0;
  Failures failures_;  // of the last try
  // Of the thread.
  RuleRecord record_;
  std::optional<Error> told_;
  std::chrono::milliseconds pause_ = kFirstRetry;  // before the next retry
  std::optional<Clock::time_point> retry_at_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

// The programs are not run for what a host that filters nothing does not need.
Failures IptablesBackend::keep_all(const Wanted& wanted) {
  Failures failures;
  bool any_stay = false;
  for (const Family& family : kFamilies) {
    const std::string program = os::find_program(family.program);
    if (family.program == std::string_view("ip6tables") && !kernel_has_ipv6()) continue;
    const bool filters = filters_bridged(family);
    if (program.empty()) {
      if (filters) do_without(family, wanted.always, failures);
      continue;
    }
    const bool needed = !wanted.always.empty() || (filters && !wanted.where_dropped.empty());
    if (!needed && record_.networks().empty()) continue;
    any_stay |= keep(program, filters, wanted, record_, failures);
  }
  if (!any_stay && failures.empty()) forget_networks(wanted);
  return failures;
}

// There is no rule of theirs. Those that an earlier agent left are looked for once all is known that is
// wanted.
void IptablesBackend::forget_networks(const Wanted& wanted) {
  for (const ObjectUid& network : left_) {
    if (!wanted.ours.contains(network)) return;
  }
  if (auto cleared = record_.clear(); !cleared) tell_(cleared.error());
}

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
  const bool told = events_ && events_->is_to_be_read();
  const bool retry = retry_at_ && Clock::now() >= *retry_at_;
  std::unique_lock lock(mutex_);
  if (stopping_) return false;
  if (!begun_) return true;
  const bool concerned = told && !(wanted_.always.empty() && wanted_.where_dropped.empty());
  if (asked_ == done_ && !retry && !concerned) return true;
  const std::uint64_t asked = asked_;
  const Wanted wanted = wanted_;
  lock.unlock();
  Failures failures = keep_all(wanted);
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

Result<std::unique_ptr<FirewallBackend>> open_iptables_backend(const std::filesystem::path& record,
                                                               std::function<void(const Error&)> tell) {
  auto known = RuleRecord::open(record);
  if (!known) return known.error();
  os::Descriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return error_from_errno(errno, "open", "an event descriptor");
  auto events = RuleEvents::open();
  std::optional<RuleEvents> told;
  if (events)
    told = std::move(*events);
  else
    tell(events.error());
  return std::unique_ptr<FirewallBackend>(std::make_unique<IptablesBackend>(
      std::move(wake), std::move(told), std::move(*known), std::move(tell)));
}

}  // namespace lanwright::netfilter
