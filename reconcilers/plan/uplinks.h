// Links of the host that an object uses and does not own.
#pragma once

#include "reconcilers/plan/draft.h"
#include "reconcilers/plan/prerequisites.h"

namespace lanwright::planning {

// With a master: only its membership, its port attributes and UP are ours to say. Without one somebody
// listens at it, and only UP is.
void compare_uplink(Draft& draft, Prerequisites& prerequisites, const Cursor& at, const LinkSpec& link);

// A bridge that ports are plugged into: nothing of it is ours to say.
void compare_host_bridge(Draft& draft, const Cursor& at, const LinkSpec& link);

}  // namespace lanwright::planning
