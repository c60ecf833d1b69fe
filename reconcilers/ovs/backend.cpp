#include "reconcilers/ovs/backend.h"

#include <poll.h>

#include <algorithm>
#include <chrono>

#include "reconcilers/ovs/facts.h"

namespace lanwright::ovs {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kGlance = 250ms;   // a hundred ports take ovs-vswitchd 0.1 s
constexpr auto kLateError = 10s;  // is of no interest any more afterwards

Result<void> result_of(const Result<ovsdb::Outcome>& done) {
  if (!done) return done.error();
  if (done->failed.empty()) return {};
  Error error = done->failed.begin()->second;
  if (const std::size_t others = done->failed.size() - 1; others != 0)
    error.words += ", and " + std::to_string(others) + " other ports failed";
  return error;
}

Error takes_longer(const Step& step) {
  return {ErrorKind::waiting,
          "change",
          "bridge " + bridge_of(step) + " of Open vSwitch",
          0,
          "ovs-vswitchd has not taken it up yet",
          {}};
}

}  // namespace

Result<std::unique_ptr<Backend>> Backend::open(boost::asio::io_context& io, ovsdb::SessionOptions options) {
  auto session = ovsdb::Session::open(io, std::move(options));
  if (!session) return session.error();
  return std::unique_ptr<Backend>(new Backend(std::move(*session)));
}

void Backend::take_in(Observed& observed) {
  const auto change = session_->drain();
  const bool was_initialised = observed.initialised;
  change_.bridges.merge(take_changes(session_->tables(), change.rows, observed));
  change_.state = change_.state || change.state || observed.initialised != was_initialised;
  observed.live = session_->is_live();
}

Backend::Change Backend::drain(Observed& observed) {
  take_in(observed);
  forget_done();
  // What failed late is to be planned, and asked for, once more: then its error is answered.
  for (const auto& work : works_) {
    if (work->result && !std::exchange(work->announced, true)) change_.bridges.insert(bridge_of(work->step));
  }
  return std::exchange(change_, {});
}

// A success shows in what is observed.
void Backend::forget_done() {
  const auto now = Clock::now();
  std::erase_if(works_, [now](const auto& work) {
    return work->result && (*work->result || now - work->ended > kLateError);
  });
}

// The one under way, or that failed late; otherwise anew.
std::shared_ptr<Backend::Work> Backend::begin(const Step& step) {
  const auto known =
      std::find_if(works_.begin(), works_.end(), [&](const auto& work) { return work->step == step; });
  if (known != works_.end()) return *known;
  auto work = works_.emplace_back(std::make_shared<Work>(Work{step, {}}));
  auto transaction = transaction_of(step, session_->tables());
  if (!transaction) {
    work->result = transaction.error();
    return work;
  }
  const auto sent = session_->commit(std::move(*transaction), [work](const Result<ovsdb::Outcome>& done) {
    work->result = result_of(done);
    work->ended = Clock::now();
  });
  if (!sent) work->result = sent.error();
  return work;
}

std::vector<Result<void>> Backend::execute(std::span<const Action* const> actions, Observed& observed) {
  forget_done();
  std::vector<std::shared_ptr<Work>> begun;
  for (const Action* action : actions) begun.push_back(begin(action->step));
  const auto is_done = [](const auto& work) { return work->result.has_value(); };
  for (const auto deadline = Clock::now() + kGlance; !std::all_of(begun.begin(), begun.end(), is_done);) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (left <= 0ms) break;
    pollfd state{session_->event_fd(), POLLIN, 0};
    ::poll(&state, 1, static_cast<int>(left.count()));
    take_in(observed);
  }
  std::vector<Result<void>> results;
  std::set<std::string> bridges;
  for (const auto& work : begun) {
    results.push_back(work->result ? *work->result : Result<void>(takes_longer(work->step)));
    bridges.insert(bridge_of(work->step));
  }
  // Answered by now, or of something that is not to be done any more.
  std::erase_if(works_,
                [&](const auto& work) { return is_done(work) && bridges.contains(bridge_of(work->step)); });
  return results;
}

}  // namespace lanwright::ovs
