// Kind `tun`: taps. rtnetlink(7) does not make them: the device file /dev/net/tun does (netlink/tap.h), so
// that there is a moment in which one has neither group nor mark.
#pragma once

#include "reconcilers/kinds/kind.h"

namespace lanwright::kinds {

inline constexpr LinkKind kTun{.name = "tun", .module = "tun", .born_unmarked = true};

}  // namespace lanwright::kinds
