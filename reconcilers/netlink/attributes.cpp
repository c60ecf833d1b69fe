#include "reconcilers/netlink/attributes.h"

#include <arpa/inet.h>
#include <linux/if_link.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace lanwright::netlink {

namespace {

enum class Form : std::uint8_t { u8, u16, u32, be16 };

struct Row {
  LinkAttr attribute;
  std::string_view kind;
  AttrPlace place;
  int number;
  Form form;
};

// Source: br_policy, br_port_policy, vlan_policy, macvlan_policy, ipvlan_nl_policy of Linux.
constexpr std::array kRows{
    Row{LinkAttr::bridge_stp_state, "bridge", AttrPlace::info, IFLA_BR_STP_STATE, Form::u32},
    Row{LinkAttr::bridge_ageing_time, "bridge", AttrPlace::info, IFLA_BR_AGEING_TIME, Form::u32},
    Row{LinkAttr::bridge_group_fwd_mask, "bridge", AttrPlace::info, IFLA_BR_GROUP_FWD_MASK, Form::u16},
    Row{LinkAttr::bridge_mcast_snooping, "bridge", AttrPlace::info, IFLA_BR_MCAST_SNOOPING, Form::u8},
    Row{LinkAttr::bridge_vlan_filtering, "bridge", AttrPlace::info, IFLA_BR_VLAN_FILTERING, Form::u8},
    Row{LinkAttr::bridge_vlan_default_pvid, "bridge", AttrPlace::info, IFLA_BR_VLAN_DEFAULT_PVID, Form::u16},
    Row{LinkAttr::bridge_forward_delay, "bridge", AttrPlace::info, IFLA_BR_FORWARD_DELAY, Form::u32},
    Row{LinkAttr::bridge_hello_time, "bridge", AttrPlace::info, IFLA_BR_HELLO_TIME, Form::u32},
    Row{LinkAttr::bridge_max_age, "bridge", AttrPlace::info, IFLA_BR_MAX_AGE, Form::u32},
    Row{LinkAttr::bridge_priority, "bridge", AttrPlace::info, IFLA_BR_PRIORITY, Form::u16},
    Row{LinkAttr::port_isolated, "bridge", AttrPlace::port, IFLA_BRPORT_ISOLATED, Form::u8},
    Row{LinkAttr::port_learning, "bridge", AttrPlace::port, IFLA_BRPORT_LEARNING, Form::u8},
    Row{LinkAttr::port_unicast_flood, "bridge", AttrPlace::port, IFLA_BRPORT_UNICAST_FLOOD, Form::u8},
    Row{LinkAttr::port_group_fwd_mask, "bridge", AttrPlace::port, IFLA_BRPORT_GROUP_FWD_MASK, Form::u16},
    Row{LinkAttr::port_guard, "bridge", AttrPlace::port, IFLA_BRPORT_GUARD, Form::u8},
    Row{LinkAttr::vlan_id, "vlan", AttrPlace::info, IFLA_VLAN_ID, Form::u16},
    Row{LinkAttr::vlan_protocol, "vlan", AttrPlace::info, IFLA_VLAN_PROTOCOL, Form::be16},
    Row{LinkAttr::macvlan_mode, "macvlan", AttrPlace::info, IFLA_MACVLAN_MODE, Form::u32},
    Row{LinkAttr::macvlan_flags, "macvlan", AttrPlace::info, IFLA_MACVLAN_FLAGS, Form::u16},
    Row{LinkAttr::ipvlan_mode, "ipvlan", AttrPlace::info, IFLA_IPVLAN_MODE, Form::u16},
    Row{LinkAttr::ipvlan_flags, "ipvlan", AttrPlace::info, IFLA_IPVLAN_FLAGS, Form::u16},
};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<std::size_t>(kRows[i].attribute) != i) return false;
  }
  return true;
}
static_assert(in_order(), "rows stand in the order of LinkAttr, so that an attribute is its row's index");

const Row& row_of(LinkAttr attribute) {
  return kRows[static_cast<std::size_t>(attribute)];
}

void put(Message& message, const Row& row, std::uint64_t value) {
  switch (row.form) {
    case Form::u8:
      return message.put_u8(row.number, static_cast<std::uint8_t>(value));
    case Form::u16:
      return message.put_u16(row.number, static_cast<std::uint16_t>(value));
    case Form::be16:
      return message.put_u16(row.number, htons(static_cast<std::uint16_t>(value)));
    case Form::u32:
      return message.put_u32(row.number, static_cast<std::uint32_t>(value));
  }
}

std::optional<std::uint64_t> read(const Attributes& nest, const Row& row) {
  switch (row.form) {
    case Form::u8:
      return nest.u8(row.number);
    case Form::u16:
      return nest.u16(row.number);
    case Form::be16:
      if (const auto value = nest.u16(row.number)) return ntohs(*value);
      return std::nullopt;
    case Form::u32:
      break;
  }
  return nest.u32(row.number);
}

}  // namespace

void put_attributes(Message& message, const LinkAttrs& attributes, AttrPlace place) {
  for (const auto& [attribute, value] : attributes) {
    if (row_of(attribute).place == place) put(message, row_of(attribute), value);
  }
}

bool any_of(const LinkAttrs& attributes, AttrPlace place) {
  return std::any_of(attributes.begin(), attributes.end(),
                     [place](const auto& each) { return row_of(each.first).place == place; });
}

void read_attributes(const Attributes& nest, const std::string& kind, AttrPlace place,
                     LinkAttrs& attributes) {
  for (const Row& row : kRows) {
    if (row.place != place || row.kind != kind) continue;
    if (const auto value = read(nest, row)) attributes.emplace_back(row.attribute, *value);
  }
  std::sort(attributes.begin(), attributes.end());
}

}  // namespace lanwright::netlink
