#include "agent/reconcile/plan_runner.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace lanwright::reconcile {
namespace {

constexpr std::size_t kActionsPerBatch = 512;  // between looks at requests

// Only part of the removals was done, so that the loop can turn (see Source::execute).
bool is_left_undone(const Action& action, const Result<void>& result) {
  return std::holds_alternative<RemoveLink>(action.step) && !result &&
         result.error().kind == ErrorKind::busy && result.error().number == 0;
}

// A switch that could not be started holds up what is plugged into it, and ovs-vswitchd may take its time:
// the next plan says so.
bool is_awaited(const Action& action, const Error& error) {
  return carrier_of(action.step) != Carrier::links && error.kind == ErrorKind::waiting;
}

}  // namespace

const Plan& PlanRunner::begin(Plan plan) {
  plan_ = std::move(plan);
  next_ = 0;
  withheld_.clear();
  return plan_;
}

PlanRunner::Batch PlanRunner::run_batch() {
  auto& actions = plan_.actions;
  const int stage = actions[next_].stage;
  std::size_t end = next_;
  std::vector<const Action*> batch;
  // Removals know themselves when to stop, and are the cheaper the more of them go together.
  const bool removals = std::holds_alternative<RemoveLink>(actions[next_].step);
  const std::size_t most = removals ? actions.size() : kActionsPerBatch;
  for (; end < actions.size() && actions[end].stage == stage && batch.size() < most; ++end) {
    if (!withheld_.contains(actions[end].object)) batch.push_back(&actions[end]);
  }
  const auto results = sources_.execute(batch);

  Batch outcome;
  outcome.actions = batch.size();
  std::vector<Action> rest;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i]) continue;
    const Action& action = *batch[i];
    if (is_left_undone(action, results[i]))
      rest.push_back(action);
    else if (withheld_.insert(action.object).second && !is_awaited(action, results[i].error()))
      outcome.failures.push_back({action.object, results[i].error()});
  }
  next_ = end - rest.size();
  std::move(rest.begin(), rest.end(), actions.begin() + static_cast<std::ptrdiff_t>(next_));
  return outcome;
}

std::set<ResourceId> PlanRunner::abandon() {
  std::set<ResourceId> untried;
  for (std::size_t i = next_; i < plan_.actions.size(); ++i) {
    if (!withheld_.contains(plan_.actions[i].object)) untried.insert(plan_.actions[i].object);
  }
  plan_ = {};
  next_ = 0;
  return untried;
}

}  // namespace lanwright::reconcile
