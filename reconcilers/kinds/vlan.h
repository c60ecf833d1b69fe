// Kind `vlan`: 802.1Q and 802.1ad. Source: vlan_policy of Linux (net/8021q/vlan_netlink.c), which changes
// neither attribute of a link that is there.
#pragma once

#include <linux/if_link.h>

#include <array>

#include "reconcilers/kinds/kind.h"

namespace lanwright::kinds {

namespace vlan {

using enum LinkAttribute::Form;

inline constexpr LinkAttribute kId{
    .name = "vlan.id", .number = IFLA_VLAN_ID, .form = u16, .recreates = always};
// TPID in host order: 0x8100, 0x88a8.
inline constexpr LinkAttribute kProtocol{
    .name = "vlan.protocol", .number = IFLA_VLAN_PROTOCOL, .form = be16, .recreates = always};

inline constexpr std::array kAttributes{&kId, &kProtocol};

}  // namespace vlan

inline constexpr LinkKind kVlan{.name = "vlan",
                                .module = "8021q",
                                .attributes = vlan::kAttributes,
                                .up_with_parent = true,  // vlan_dev_open(), vlan_device_event()
                                .mac_of_parent = true};

}  // namespace lanwright::kinds
