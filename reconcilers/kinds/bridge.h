// Kind `bridge`, and what is said of its ports. Source: br_policy and br_port_policy of Linux
// (net/bridge/br_netlink.c).
#pragma once

#include <linux/if_link.h>

#include <array>

#include "reconcilers/kinds/kind.h"

namespace lanwright::kinds {

namespace bridge {

using enum LinkAttribute::Form;
using enum LinkAttribute::Place;

inline constexpr LinkAttribute kStpState{"bridge.stp_state", IFLA_BR_STP_STATE, u32};
inline constexpr LinkAttribute kAgeingTime{"bridge.ageing_time", IFLA_BR_AGEING_TIME, u32};  // 1/100 s
inline constexpr LinkAttribute kGroupFwdMask{"bridge.group_fwd_mask", IFLA_BR_GROUP_FWD_MASK, u16};
inline constexpr LinkAttribute kMcastSnooping{"bridge.mcast_snooping", IFLA_BR_MCAST_SNOOPING, u8};
inline constexpr LinkAttribute kVlanFiltering{
    .name = "bridge.vlan_filtering",
    .number = IFLA_BR_VLAN_FILTERING,
    .form = u8,
    .build_option = "CONFIG_BRIDGE_VLAN_FILTERING",
};
inline constexpr LinkAttribute kVlanDefaultPvid{"bridge.vlan_default_pvid", IFLA_BR_VLAN_DEFAULT_PVID, u16};
inline constexpr LinkAttribute kForwardDelay{"bridge.forward_delay", IFLA_BR_FORWARD_DELAY, u32};  // 1/100 s
inline constexpr LinkAttribute kHelloTime{"bridge.hello_time", IFLA_BR_HELLO_TIME, u32};           // 1/100 s
inline constexpr LinkAttribute kMaxAge{"bridge.max_age", IFLA_BR_MAX_AGE, u32};                    // 1/100 s
inline constexpr LinkAttribute kPriority{"bridge.priority", IFLA_BR_PRIORITY, u16};

inline constexpr LinkAttribute kPortIsolated{"port.isolated", IFLA_BRPORT_ISOLATED, u8, port};
inline constexpr LinkAttribute kPortLearning{"port.learning", IFLA_BRPORT_LEARNING, u8, port};
inline constexpr LinkAttribute kPortUnicastFlood{"port.unicast_flood", IFLA_BRPORT_UNICAST_FLOOD, u8, port};
inline constexpr LinkAttribute kPortGroupFwdMask{"port.group_fwd_mask", IFLA_BRPORT_GROUP_FWD_MASK, u16,
                                                 port};

inline constexpr std::array kAttributes{
    &kStpState,        &kAgeingTime,   &kGroupFwdMask,     &kMcastSnooping,    &kVlanFiltering,
    &kVlanDefaultPvid, &kForwardDelay, &kHelloTime,        &kMaxAge,           &kPriority,
    &kPortIsolated,    &kPortLearning, &kPortUnicastFlood, &kPortGroupFwdMask,
};

}  // namespace bridge

inline constexpr LinkKind kBridge{
    .name = "bridge",
    .module = "bridge",
    .attributes = bridge::kAttributes,
    // Each costs a grace period of its own even in a group: br_multicast_dev_del() waits for all callbacks.
    .first_removal = 8,
};

}  // namespace lanwright::kinds
