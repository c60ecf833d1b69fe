// Kind `veth`: two links, each the parent of the other, that are made and go together.
#pragma once

#include "reconcilers/kinds/kind.h"

namespace lanwright::kinds {

inline constexpr LinkKind kVeth{.name = "veth", .module = "veth", .paired = true};

}  // namespace lanwright::kinds
