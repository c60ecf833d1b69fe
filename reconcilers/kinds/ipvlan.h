// Kind `ipvlan`, and `ipvtap`, which is the same for a program that reads a device file. Source:
// ipvlan_nl_policy of Linux (drivers/net/ipvlan/ipvlan_main.c).
#pragma once

#include <linux/if_link.h>

#include <array>

#include "reconcilers/kinds/kind.h"

namespace lanwright::kinds {

namespace ipvlan {

using enum LinkAttribute::Form;

// Both are the parent's in truth: a change on one link changes all.
inline constexpr LinkAttribute kMode{"ipvlan.mode", IFLA_IPVLAN_MODE, u16};
inline constexpr LinkAttribute kFlags{"ipvlan.flags", IFLA_IPVLAN_FLAGS, u16};

inline constexpr std::array kAttributes{&kMode, &kFlags};

inline constexpr ParentSharing kSharing{.uniform = "all ipvlan links on one parent have one mode and flag"};

}  // namespace ipvlan

inline constexpr LinkKind kIpvlan{
    .name = "ipvlan", .module = "ipvlan", .attributes = ipvlan::kAttributes, .sharing = &ipvlan::kSharing};
inline constexpr LinkKind kIpvtap{.name = "ipvtap", .module = "ipvtap", .sharing = &ipvlan::kSharing};

}  // namespace lanwright::kinds
