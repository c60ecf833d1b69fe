// Kind `vrf`: a routing table of its own for the links that are its ports, which receive as ever.
#pragma once

#include "reconcilers/kinds/kind.h"

namespace lanwright::kinds {

inline constexpr LinkKind kVrf{.name = "vrf", .module = "vrf", .ports_are_parents = true};

}  // namespace lanwright::kinds
