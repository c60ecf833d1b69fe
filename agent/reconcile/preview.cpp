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

Result<Plan> preview(DesiredState& desired, std::shared_ptr<const Observed> observed, ChangeRequest request,
                     const Look& look) {
  Changeset changes(desired, new_uid);
  if (auto declared = declare(request, desired, observed->find(std::string{}), changes); !declared)
    return declared.error();
  // What is declared already, and not so for some reason, is what applying would be about, too.
  for (const ResourceId& id : request.unchanged) changes.include(id);
  // Namespaces that are named for the first time are looked at: they may be others' too.
  if (changes.moves_namespaces()) {
    auto seen = look(desired.namespaces());
    if (!seen) return seen.error();
    observed = std::move(*seen);
  }
  changes.include_neighbours(*observed);
  return planning::plan(desired, *observed, &changes.scope());
}

}  // namespace lanwright::reconcile
