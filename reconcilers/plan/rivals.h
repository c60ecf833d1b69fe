// Attachments that reach one namespace by different paths and want the same there. By one path the check of
// what is declared (DesiredState::check) refuses that; by several, only what is observed shows it.
#pragma once

#include <optional>

#include "reconcilers/plan/draft.h"

namespace lanwright::planning {

// Why the object cannot have what it wants: another one has it, or, when none has it yet, comes first by
// name. Of two exactly one is told so: they never take it from each other.
std::optional<Error> refused_by_rival(const Draft& draft, const DesiredObject& entry);

}  // namespace lanwright::planning
