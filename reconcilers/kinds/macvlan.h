// Kind `macvlan`, and `macvtap`, which is the same for a program that reads a device file. Source:
// macvlan_policy of Linux (drivers/net/macvlan.c).
#pragma once

#include <linux/if_link.h>

#include <array>

#include "reconcilers/kinds/kind.h"

namespace lanwright::kinds {

namespace macvlan {

using enum LinkAttribute::Form;

// Mode passthru is neither entered nor left (macvlan_changelink()).
inline bool enters_or_leaves_passthru(std::uint64_t wanted, std::optional<std::uint64_t> found) {
  return (wanted == MACVLAN_MODE_PASSTHRU) != (found == std::uint64_t{MACVLAN_MODE_PASSTHRU});
}

inline constexpr LinkAttribute kMode{
    .name = "macvlan.mode", .number = IFLA_MACVLAN_MODE, .form = u32, .recreates = enters_or_leaves_passthru};

inline constexpr std::array kAttributes{&kMode};

inline constexpr ParentSharing::Sole kPassthru{.mode = "mode passthru", .instead = "mode bridge"};
inline const ParentSharing::Sole* sole(const LinkAttributes& attributes) {
  return find(attributes, kMode) == std::uint64_t{MACVLAN_MODE_PASSTHRU} ? &kPassthru : nullptr;
}
inline constexpr ParentSharing kSharing{.sole = sole};

}  // namespace macvlan

inline constexpr LinkKind kMacvlan{.name = "macvlan",
                                   .module = "macvlan",
                                   .attributes = macvlan::kAttributes,
                                   .sharing = &macvlan::kSharing};
inline constexpr LinkKind kMacvtap{.name = "macvtap", .module = "macvtap", .sharing = &macvlan::kSharing};

}  // namespace lanwright::kinds
