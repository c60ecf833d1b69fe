// Names of things: kinds, resource ids, unique ids.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace lanwright {

// The kinds of objects that a set declares, in the order in which they are listed to users.
enum class Kind : std::uint8_t { vlan, network, attachment };

const char* name_of(Kind kind);                        // "network"
const char* plural_of(Kind kind);                      // "networks"
std::optional<Kind> kind_from(std::string_view text);  // accepts "network", "networks"

// One object. Names are unique per kind on a host, whatever set declares them.
struct ResourceId {
  Kind kind = Kind::network;
  std::string name;
  auto operator<=>(const ResourceId&) const =
      default;  // NOLINT(modernize-use-nullptr): clang-tidy 14 sees a 0
  bool operator==(const ResourceId&) const = default;
  std::string text() const { return std::string(name_of(kind)) + " " + name; }  // "network lab"
};

// An object's identity in kernel marks: 16 lower-case hex digits, random, given once by the store, so that an
// object that was deleted and declared again under its old name is not taken for the old one.
using ObjectUid = std::string;

}  // namespace lanwright

template <>
struct std::hash<lanwright::ResourceId> {
  std::size_t operator()(const lanwright::ResourceId& id) const noexcept {
    return std::hash<std::string>{}(id.name) * 31 + static_cast<std::size_t>(id.kind);
  }
};
