// What became of objects that somebody waits for. Pure.
#pragma once

#include <optional>
#include <set>

#include "agent/reconcile/object_table.h"
#include "model/base/result.h"
#include "reconcilers/desired/desired_state.h"

namespace lanwright::reconcile {

// Success once each of these is as declared, or gone; the reason as soon as one of them waits for something,
// belongs to somebody else, or has failed several times; absent while it is open.
std::optional<Result<void>> outcome_of(const std::set<ResourceId>& objects, const DesiredState& desired,
                                       const ObjectTable& table);

}  // namespace lanwright::reconcile
