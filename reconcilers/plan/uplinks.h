// Links of the host that an object uses and does not own.
#pragma once

#include <optional>

#include "reconcilers/plan/draft.h"
#include "reconcilers/plan/prerequisites.h"

namespace lanwright::planning {

// With a master: only its membership, its port attributes and UP are ours to say. Without one somebody
// listens at it, and only UP is.
void compare_uplink(Draft& draft, Prerequisites& prerequisites, const Cursor& at, const LinkSpec& link);

// Whether frames of the network would be lost on this link of the host's.
std::optional<Error> mtu_too_low(const DesiredObject& entry, const LinkSpec& link, const LinkFact& fact);

}  // namespace lanwright::planning
