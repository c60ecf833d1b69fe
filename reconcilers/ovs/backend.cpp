#include "reconcilers/ovs/backend.h"

#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "reconcilers/ovs/facts.h"

namespace lanwright::ovs {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kGlance = 50ms;    // a port takes ovs-vswitchd 10 ms; nobody else is served meanwhile
constexpr auto kLateError = 10s;  // is of no interest any more afterwards

Error takes_longer(const Step& step) {
  return {ErrorKind::waiting,
          "change",
          "bridge " + bridge_of(step) + " of Open vSwitch",
          0,
          "ovs-vswitchd has not taken it up yet",
          {}};
}

// The interface whose number tells what became of the step.
const std::string* judged_by(const Step& step) {
  if (const auto* add = std::get_if<AddOvsPort>(&step)) return &add->spec.link;
  if (const auto* change = std::get_if<ChangeOvsPort>(&step)) return &change->spec.link;
  if (const auto* create = std::get_if<CreateOvsBridge>(&step)) return &create->at.name;
  return nullptr;
}

Result<void> result_of(const Step& step, const Result<ovsdb::Outcome>& done) {
  if (!done) return done.error();
  const std::string* interface = judged_by(step);
  const auto failed = interface != nullptr ? done->failed.find(*interface) : done->failed.end();
  if (failed == done->failed.end()) return {};
  return failed->second;
}

// The link may have been made by an action before.
Step resolved(Step step, const Observed& observed) {
  if (auto* add = std::get_if<AddOvsPort>(&step); add != nullptr && add->ifindex == 0) {
    const LinkFact* link = observed.find(add->at);
    if (link != nullptr) add->ifindex = link->ifindex;
  }
  return step;
}

// The connection was lost, or ovs-vswitchd does not answer: no single step is to blame.
bool concerns_all(const Error& error) {
  return error.kind == ErrorKind::waiting || error.kind == ErrorKind::timeout;
}

}  // namespace

Result<std::unique_ptr<Backend>> Backend::open(boost::asio::io_context& io, ovsdb::SessionOptions options) {
  os::Descriptor events(::epoll_create1(EPOLL_CLOEXEC));
  if (!events) return error_from_errno(errno, "create", "epoll descriptor");
  return std::unique_ptr<Backend>(new Backend(io, std::move(options), std::move(events)));
}

Result<void> Backend::serve(const std::set<std::string>& drivers, Observed& observed) {
  const bool is_wanted = drivers.contains(kOvsDriver);
  if (is_wanted == (session_ != nullptr)) return {};
  if (!is_wanted) {
    session_.reset();
    works_.clear();
    queued_.clear();
    busy_ = false;
    leaving_.clear();
    observed.ovs = {};
    return {};
  }
  auto session = ovsdb::Session::open(io_, options_);
  if (!session) return session.error();
  epoll_event event{};
  event.events = EPOLLIN;
  if (::epoll_ctl(events_.get(), EPOLL_CTL_ADD, (*session)->event_fd(), &event) != 0)
    return error_from_errno(errno, "watch", options_.socket);
  session_ = std::move(*session);
  return {};
}

void Backend::take_in(Observed& observed) {
  if (!session_) return;
  const auto change = session_->drain();
  OvsFacts& facts = observed.ovs;
  const bool was_initialised = facts.initialised;
  take_changes(session_->tables(), change.rows, facts, change_);
  change_.ovs_state = change_.ovs_state || change.state || facts.initialised != was_initialised;
  note_numbers(facts);
  facts.live = session_->is_live();
  facts.trouble = session_->trouble();
  begin_queued();
}

ObservedChange Backend::drain(Observed& observed) {
  take_in(observed);
  observed.ovs.under_way.clear();
  // What ended is to be compared once more: what failed is then planned again, and its error answered.
  for (const auto& work : works_) {
    if (!work->result)
      observed.ovs.under_way.insert(mark_of(work->step));
    else if (!std::exchange(work->announced, true))
      change_.uids.insert(mark_of(work->step).uid);
  }
  forget_done();
  return std::exchange(change_, {});
}

// A success shows in what is observed.
void Backend::forget_done() {
  const auto now = Clock::now();
  std::erase_if(works_, [now](const auto& work) {
    return work->result && (*work->result || now - work->ended > kLateError);
  });
}

// ---- OpenFlow port numbers

void Backend::note_numbers(OvsFacts& facts) const {
  for (const std::string& name : change_.ovs_ports) {
    const std::string* bridge = facts.bridge_of(name);
    if (bridge == nullptr) continue;
    const OvsPortFact& port = facts.bridges.at(*bridge).ports.at(name);
    if (port.mark && port.ofport.value_or(0) > 0 && !leaving_.contains(*port.mark))
      facts.numbers[*port.mark] = *port.ofport;
  }
}

// What the agent itself takes off is not to come back.
void Backend::forget_numbers(Work& work, OvsFacts& facts) {
  if (const auto* port = std::get_if<RemoveOvsPort>(&work.step)) {
    work.leaving.push_back(port->mark);
  } else if (const auto* bridge = std::get_if<RemoveOvsBridge>(&work.step)) {
    const auto known = facts.bridges.find(bridge->at.name);
    if (known == facts.bridges.end()) return;
    for (const auto& [name, its] : known->second.ports) {
      if (its.mark) work.leaving.push_back(*its.mark);
    }
  }
  for (const OwnerTag& mark : work.leaving) {
    facts.numbers.erase(mark);
    leaving_.insert(mark);
  }
}

// ---- transactions

// The one under way, or that failed late; otherwise anew.
std::shared_ptr<Backend::Work> Backend::find_or_add(const Step& step, const Observed& observed,
                                                    std::vector<std::shared_ptr<Work>>& fresh) {
  const auto known =
      std::find_if(works_.begin(), works_.end(), [&](const auto& work) { return work->asked == step; });
  if (known != works_.end()) return *known;
  return fresh.emplace_back(
      works_.emplace_back(std::make_shared<Work>(Work{step, resolved(step, observed)})));
}

void Backend::queue(std::vector<std::shared_ptr<Work>> fresh) {
  const std::size_t first = queued_.size();
  for (auto& work : fresh) {
    const auto group = std::find_if(
        queued_.begin() + static_cast<std::ptrdiff_t>(first), queued_.end(), [&](const Group& each) {
          return each.size() < kMostOvsPortsAtOnce && go_together(each.front()->step, work->step);
        });
    if (group != queued_.end())
      group->push_back(std::move(work));
    else
      queued_.push_back({std::move(work)});
  }
}

void Backend::begin_queued() {
  while (!busy_ && !queued_.empty()) {
    const Group group = std::move(queued_.front());
    queued_.pop_front();
    begin(group);
  }
}

void Backend::begin(const Group& group) {
  std::vector<const Step*> steps;
  for (const auto& work : group) steps.push_back(&work->step);
  auto transaction = transaction_of(steps, session_->tables());
  if (!transaction) return end(group, transaction.error());
  const auto sent = session_->commit(std::move(*transaction), [this, group](const auto& done) {
    if (group.size() > 1) busy_ = false;
    end(group, done);
  });
  if (!sent) return end(group, sent.error());
  busy_ = busy_ || group.size() > 1;
}

void Backend::end(const Group& group, const Result<ovsdb::Outcome>& done) {
  if (!done && group.size() > 1 && !concerns_all(done.error())) return split(group);
  for (const auto& work : group) {
    work->result = result_of(work->step, done);
    work->ended = Clock::now();
    for (const OwnerTag& mark : work->leaving) leaving_.erase(mark);
  }
}

// None of them was done. By halves it is found out because of which.
void Backend::split(const Group& group) {
  const auto middle = group.begin() + static_cast<std::ptrdiff_t>(group.size() / 2);
  queued_.emplace_front(middle, group.end());
  queued_.emplace_front(group.begin(), middle);
}

std::vector<Result<void>> Backend::execute(std::span<const Action* const> actions, Observed& observed) {
  if (!session_) {
    const Error away{ErrorKind::waiting, "use", "Open vSwitch", 0, "its database is not read yet", {}};
    return std::vector<Result<void>>(actions.size(), away);
  }
  forget_done();
  std::vector<std::shared_ptr<Work>> all;
  std::vector<std::shared_ptr<Work>> fresh;
  for (const Action* action : actions) all.push_back(find_or_add(action->step, observed, fresh));
  for (const auto& work : fresh) forget_numbers(*work, observed.ovs);
  const auto is_done = [](const auto& work) { return work->result.has_value(); };
  // What did not come within a glance before is not waited for a second time, nor is what queues behind it.
  const bool is_slow = std::count_if(works_.begin(), works_.end(), [&](const auto& work) {
                         return !is_done(work);
                       }) > static_cast<std::ptrdiff_t>(fresh.size());
  queue(std::move(fresh));
  begin_queued();
  for (const auto deadline = Clock::now() + (is_slow ? 0ms : kGlance);
       !std::all_of(all.begin(), all.end(), is_done);) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (left <= 0ms) break;
    pollfd state{session_->event_fd(), POLLIN, 0};
    ::poll(&state, 1, static_cast<int>(left.count()));
    take_in(observed);
  }
  std::vector<Result<void>> results;
  for (const auto& work : all)
    results.push_back(work->result ? *work->result : Result<void>(takes_longer(work->step)));
  // Answered by now.
  std::erase_if(works_, [&](const auto& work) {
    return is_done(work) && std::find(all.begin(), all.end(), work) != all.end();
  });
  return results;
}

}  // namespace lanwright::ovs
