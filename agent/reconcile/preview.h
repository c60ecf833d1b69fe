// What a change would begin, without beginning it: worked out from a copy on the thread of who asks. The loop
// has repairs to do meanwhile, and gives the copy only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "agent/reconcile/change_request.h"
#include "model/base/abandoned.h"
#include "model/base/loop_thread.h"
#include "model/base/result.h"
#include "model/observed.h"
#include "model/plan.h"
#include "reconcilers/desired/desired_state.h"

namespace lanwright::reconcile {

// What a plan rests on, at one moment.
struct Basis {
  DesiredState::Parts desired;
  std::shared_ptr<const Observed> observed;
};

// A copy to be read by any thread. It shares what it can with the original, and goes back to the loop to be
// destroyed (see NamespaceFacts). `io` outlives it.
std::shared_ptr<const Observed> lend(boost::asio::io_context& io, const Observed& observed) LANWRIGHT_ON_LOOP;

// Asks the loop what there is in these namespaces, too.
using Look = std::function<Result<std::shared_ptr<const Observed>>(std::set<std::string> namespaces)>;

// The plan of the change; `desired` is as before afterwards, unless it was given up. Any thread for which
// `look` is right.
Result<Plan> preview(DesiredState& desired, std::shared_ptr<const Observed> observed, ChangeRequest request,
                     const Look& look, const Abandoned& abandoned = {});

// What is answered to nobody.
Error given_up(const char* what);

}  // namespace lanwright::reconcile
