// A bridge of the host's that ports are plugged into: nothing of it is ours to say, nor may it change by
// them.
#pragma once

#include <optional>

#include "reconcilers/plan/draft.h"

namespace lanwright::planning {

void compare_host_bridge(Draft& draft, const Cursor& at, const LinkSpec& bridge);

// Why nothing of the network can be plugged into it as it is.
std::optional<Error> unfit_host_bridge(const DesiredObject& network, const LinkSpec& bridge,
                                       const LinkFact& found);

}  // namespace lanwright::planning
