#include "model/link.h"

#include <algorithm>
#include <string_view>

namespace lanwright {

namespace {

constexpr std::string_view kMarkPrefix = "lanwright:";
constexpr std::size_t kUidDigits = 16;

bool is_uid(std::string_view text) {
  return text.size() == kUidDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

std::string LinkName::text() const {
  return netns.empty() ? name : name + " in " + netns;
}

const char* name_of(LinkAttr attribute) {
  switch (attribute) {
    case LinkAttr::bridge_stp_state:
      return "bridge.stp_state";
    case LinkAttr::bridge_ageing_time:
      return "bridge.ageing_time";
    case LinkAttr::bridge_group_fwd_mask:
      return "bridge.group_fwd_mask";
    case LinkAttr::bridge_mcast_snooping:
      return "bridge.mcast_snooping";
    case LinkAttr::bridge_vlan_filtering:
      return "bridge.vlan_filtering";
    case LinkAttr::bridge_vlan_default_pvid:
      return "bridge.vlan_default_pvid";
    case LinkAttr::bridge_forward_delay:
      return "bridge.forward_delay";
    case LinkAttr::bridge_hello_time:
      return "bridge.hello_time";
    case LinkAttr::bridge_max_age:
      return "bridge.max_age";
    case LinkAttr::bridge_priority:
      return "bridge.priority";
    case LinkAttr::port_isolated:
      return "port.isolated";
    case LinkAttr::port_learning:
      return "port.learning";
    case LinkAttr::port_unicast_flood:
      return "port.unicast_flood";
    case LinkAttr::port_group_fwd_mask:
      return "port.group_fwd_mask";
    case LinkAttr::port_guard:
      return "port.guard";
    case LinkAttr::vlan_id:
      return "vlan.id";
    case LinkAttr::vlan_protocol:
      return "vlan.protocol";
    case LinkAttr::macvlan_mode:
      return "macvlan.mode";
    case LinkAttr::macvlan_flags:
      return "macvlan.flags";
    case LinkAttr::ipvlan_mode:
      return "ipvlan.mode";
    case LinkAttr::ipvlan_flags:
      break;
  }
  return "ipvlan.flags";
}

std::optional<std::uint64_t> find(const LinkAttrs& attrs, LinkAttr attribute) {
  const auto found =
      std::lower_bound(attrs.begin(), attrs.end(), attribute,
                       [](const auto& entry, LinkAttr wanted) { return entry.first < wanted; });
  if (found == attrs.end() || found->first != attribute) return std::nullopt;
  return found->second;
}

std::string OwnerTag::text() const {
  std::string text(kMarkPrefix);
  text += uid;
  if (!role.empty()) text += "/" + role;
  return text;
}

std::optional<OwnerTag> OwnerTag::parse(const std::string& alias) {
  std::string_view rest = alias;
  if (rest.substr(0, kMarkPrefix.size()) != kMarkPrefix) return std::nullopt;
  rest.remove_prefix(kMarkPrefix.size());
  const std::size_t slash = rest.find('/');
  const std::string_view uid = rest.substr(0, slash);
  if (!is_uid(uid)) return std::nullopt;
  OwnerTag mark{std::string(uid), {}};
  if (slash == std::string_view::npos) return mark;
  mark.role = rest.substr(slash + 1);
  // "UID/" is not what text() writes for any mark.
  return mark.role.empty() ? std::nullopt : std::optional(mark);
}

}  // namespace lanwright
