#include "agent/reconcile/waiters.h"

#include <utility>
#include <vector>

namespace lanwright::reconcile {

Waiters::Ticket Waiters::wait_for(Condition condition, Done done) {
  const Ticket ticket = ++last_;
  if (dismissed_)
    done(*dismissed_);
  else if (auto outcome = condition())
    done(std::move(*outcome));
  else
    waiting_.emplace(ticket, Waiter{std::move(condition), std::move(done)});
  return ticket;
}

void Waiters::cancel(Ticket ticket) {
  waiting_.erase(ticket);
}

void Waiters::check() {
  std::vector<std::pair<Done, Result<void>>> decided;
  std::erase_if(waiting_, [&](auto& each) {
    auto outcome = each.second.condition();
    if (outcome) decided.emplace_back(std::move(each.second.done), std::move(*outcome));
    return outcome.has_value();
  });
  for (auto& [done, outcome] : decided) done(std::move(outcome));
}

void Waiters::dismiss(const Error& why) {
  dismissed_ = why;
  for (auto& [ticket, waiter] : std::exchange(waiting_, {})) waiter.done(why);
}

}  // namespace lanwright::reconcile
