#include "reconcilers/plan/kind_rules.h"

namespace lanwright::planning {

bool fixed_at_creation(LinkAttr attribute) {
  return attribute == LinkAttr::vlan_id || attribute == LinkAttr::vlan_protocol;
}

// Mode passthru is neither entered nor left.
bool fixed_at_creation(LinkAttr attribute, std::uint64_t wanted, std::optional<std::uint64_t> found) {
  if (attribute == LinkAttr::macvlan_mode) return (wanted == kMacvlanPassthru) != (found == kMacvlanPassthru);
  return fixed_at_creation(attribute);
}

// A kernel without VLAN filtering does not know the attribute, and one that does begins with it off.
bool holds_by_default(LinkAttr attribute, std::uint64_t wanted, std::optional<std::uint64_t> found) {
  return attribute == LinkAttr::bridge_vlan_filtering && wanted == 0 && !found;
}

bool is_port_attribute(LinkAttr attribute) {
  return attribute >= LinkAttr::port_isolated && attribute <= LinkAttr::port_guard;
}

bool is_pair(const LinkFact& fact) {
  return fact.kind == "veth";
}

bool is_born_unmarked(const LinkFact& fact) {
  return fact.kind == "tun";
}

bool follows_mac_of_parent(const LinkSpec& link) {
  return link.kind == "vlan";
}

bool claims_parent(const LinkFact& fact) {
  return fact.kind == "macvlan" || fact.kind == "macvtap" || fact.kind == "ipvlan" || fact.kind == "ipvtap";
}

bool port_may_be_parent(const std::string& port_kind) {
  return port_kind == "vrf";
}

std::optional<Clash> clash_on_parent(const ParentUse& use, const LinkFact& foreign) {
  const auto is_passthru = [](const LinkAttrs& attributes) {
    return find(attributes, LinkAttr::macvlan_mode) == kMacvlanPassthru;
  };
  const std::string there =
      "the " + foreign.kind + " link " + foreign.name + " stands on it, which is not ours; ";
  const std::string hint = "remove that link, or name another parent";
  if (foreign.kind != use.kind)
    return Clash{there + use.kind + " and " + foreign.kind + " links cannot share a parent", hint};
  if (is_passthru(use.attributes) || is_passthru(foreign.attributes))
    return Clash{there + "in mode passthru one link has its parent to itself", hint};
  return std::nullopt;
}

}  // namespace lanwright::planning
