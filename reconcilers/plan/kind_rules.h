// What the planner has to know of single kinds of links: all of it stands here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "model/link.h"

namespace lanwright::planning {

// IFLA_INFO_SLAVE_KIND of the ports of networks that have ports in the kernel.
inline constexpr const char* kPortKind = "bridge";

// The kernel takes the attribute at creation only.
bool fixed_at_creation(LinkAttr attribute);
// Likewise for this change of it.
bool fixed_at_creation(LinkAttr attribute, std::uint64_t wanted, std::optional<std::uint64_t> found);
// What is wanted is so without being said.
bool holds_by_default(LinkAttr attribute, std::uint64_t wanted, std::optional<std::uint64_t> found);
// Of a link as a port, not of its own kind.
bool is_port_attribute(LinkAttr attribute);

// It comes and goes with another one, at the other end.
bool is_pair(const LinkFact& fact);
// It is marked after its creation only, and carries nothing of ours when a crash comes between.
bool is_born_unmarked(const LinkFact& fact);
// It has its parent's MAC address as long as it is not told otherwise.
bool follows_mac_of_parent(const LinkSpec& link);
// It takes its parent for itself, as far as others of `ParentUse` are concerned.
bool claims_parent(const LinkFact& fact);
// A link that is a port of this kind may be a parent as well.
bool port_may_be_parent(const std::string& port_kind);
// Why `use` is impossible on a parent that this link of somebody else's claims.
struct Clash {
  std::string words;
  std::string hint;
};
std::optional<Clash> clash_on_parent(const ParentUse& use, const LinkFact& foreign);

}  // namespace lanwright::planning
