#include "agent/reconcile/preview.h"

#include <boost/asio/post.hpp>
#include <utility>

#include "reconcilers/plan/planner.h"

namespace lanwright::reconcile {

std::shared_ptr<const Observed> lend(boost::asio::io_context& io, const Observed& observed) {
  return {new Observed(observed), [&io](const Observed* lent) {
            boost::asio::post(io, [back = std::unique_ptr<const Observed>(lent)] {});
          }};
}

namespace {

// The copy is of no use to anybody: putting it back would take as long as making it.
Error abandon(Changeset& changes) {
  changes.keep();
  return given_up("plan");
}

}  // namespace

Result<Plan> preview(DesiredState& desired, std::shared_ptr<const Observed> observed, ChangeRequest request,
                     const Look& look, const Abandoned& abandoned) {
  Changeset changes(desired, new_uid, abandoned);
  if (auto declared = declare(request, desired, observed->find(std::string{}), changes); !declared)
    return declared.error();
  if (changes.is_given_up()) return abandon(changes);
  // What is declared already, and not so for some reason, is what applying would be about, too.
  for (const ResourceId& id : request.unchanged) changes.include(id);
  // Namespaces that are named for the first time are looked at: they may be others' too.
  if (changes.moves_namespaces()) {
    auto seen = look(desired.namespaces());
    if (!seen) return seen.error();
    observed = std::move(*seen);
  }
  if (changes.is_given_up()) return abandon(changes);
  changes.include_neighbours(*observed);
  Plan plan = planning::plan(desired, *observed, &changes.scope(), abandoned);
  if (changes.is_given_up()) return abandon(changes);
  return plan;
}

Error given_up(const char* what) {
  return {ErrorKind::timeout, what, "the agent", 0, "who asked for it has gone", "ask again, and wait"};
}

}  // namespace lanwright::reconcile
