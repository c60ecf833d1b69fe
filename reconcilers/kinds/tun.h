// Kind `tun`: taps. rtnetlink(7) does not make them: the device file /dev/net/tun does (os/tap.h), so
// that there is a moment in which one has neither group nor mark.
#pragma once

#include <linux/if_link.h>

#include <array>

#include "reconcilers/kinds/kind.h"

namespace lanwright::kinds {

namespace tun {

// Said with its creation (IFF_MULTI_QUEUE), and read only by netlink.
inline constexpr LinkAttribute kMultiQueue{.name = "tun.multi_queue",
                                           .number = IFLA_TUN_MULTI_QUEUE,
                                           .form = LinkAttribute::Form::u8,
                                           .recreates = always};

inline constexpr std::array kAttributes{&kMultiQueue};

}  // namespace tun

inline constexpr LinkKind kTun{
    .name = "tun", .module = "tun", .attributes = tun::kAttributes, .born_unmarked = true};

}  // namespace lanwright::kinds
