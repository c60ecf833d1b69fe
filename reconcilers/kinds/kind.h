// What is particular about a kind of link (IFLA_INFO_KIND): all of it stands in the kind's own file, as
// constants, and the planner, the executor and the codec ask here. Adding a kind is a file in this folder and
// a line in table.cpp.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "model/link_attribute.h"

namespace lanwright::kinds {

// Of an attribute that the kernel takes with a link's creation only.
inline bool always(std::uint64_t /*wanted*/, std::optional<std::uint64_t> /*found*/) {
  return true;
}

// How links share the parent that they stand on. A link hands what it receives to links of one kind only (its
// rx_handler), so that links of two kinds that share parents never share one.
struct ParentSharing {
  // A mode in which a link has its parent to itself.
  struct Sole {
    std::string_view mode;     // "mode passthru"
    std::string_view instead;  // "mode bridge": one in which it shares
  };
  // The mode of a link with these attributes, if it is such a one. Absent: the kind has none.
  const Sole* (*sole)(const LinkAttributes& attributes) = nullptr;
  // Why all links on one parent have the same attributes. Empty: each has its own.
  std::string_view uniform{};
};

struct LinkKind {
  // How many links are removed with one message at first, before it is known how long the kernel takes.
  static constexpr std::size_t kUsualRemoval = 500;

  std::string_view name{};    // IFLA_INFO_KIND
  std::string_view module{};  // of Linux, that brings it
  // Of its links and of their ports, in the order in which people are shown them.
  std::span<const LinkAttribute* const> attributes{};
  // Absent: it does not take what its parent receives.
  const ParentSharing* sharing = nullptr;
  bool up_with_parent = false;     // up only while its parent is: the kernel takes both down and up together
  bool mac_of_parent = false;      // a link has its parent's MAC address as long as it is not told otherwise
  bool paired = false;             // a link comes and goes with another one, at its other end
  bool born_unmarked = false;      // its group is set after its creation only
  bool ports_are_parents = false;  // what is a port of such a link may be a parent as well
  std::size_t first_removal = kUsualRemoval;
};

}  // namespace lanwright::kinds
