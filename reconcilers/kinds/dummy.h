// Kind `dummy`: a link that leads nowhere, for others to stand on.
#pragma once

#include "reconcilers/kinds/kind.h"

namespace lanwright::kinds {

inline constexpr LinkKind kDummy{.name = "dummy", .module = "dummy"};

}  // namespace lanwright::kinds
