// Numeric attributes of links as values: what each is called, and how rtnetlink(7) has it. The attributes
// that exist are constants in reconcilers/kinds/; nothing here knows one.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace lanwright {

// One constant for each attribute: its address is its identity.
struct LinkAttribute {
  enum class Place : std::uint8_t {
    link,  // IFLA_INFO_DATA of a link of the kind
    port,  // IFLA_INFO_SLAVE_DATA of a port of such a link
  };
  enum class Form : std::uint8_t { u8, u16, u32, be16 };
  using Recreates = bool (*)(std::uint64_t wanted, std::optional<std::uint64_t> found);

  std::string_view name;  // "bridge.ageing_time", as people are shown it
  int number;             // IFLA_BR_AGEING_TIME, of <linux/if_link.h>
  Form form;
  Place place = Place::link;
  Recreates recreates = nullptr;  // see needs_recreation(); absent: the kernel changes it in place
  // The option that the kernel must be built with ("CONFIG_..."). Without it the attribute is not there,
  // which is the same as 0.
  std::string_view build_option{};
};

// Whether a link with the value `found` must be made anew to have the value `wanted`, which is another.
bool needs_recreation(const LinkAttribute& attribute, std::uint64_t wanted,
                      std::optional<std::uint64_t> found);
// Whether a link that says nothing of the attribute has the value that is wanted.
bool holds_by_default(const LinkAttribute& attribute, std::uint64_t wanted);

struct LinkAttributeValue {
  LinkAttributeValue(const LinkAttribute& of, std::uint64_t is) : attribute(&of), value(is) {}
  LinkAttributeValue(const LinkAttribute&& of, std::uint64_t is) = delete;  // a copy has no identity

  const LinkAttribute* attribute;
  std::uint64_t value;
  bool operator==(const LinkAttributeValue&) const = default;
};

// A handful. In the order of the kind's table; those of a port before those of the link itself.
using LinkAttributes = std::vector<LinkAttributeValue>;
std::optional<std::uint64_t> find(const LinkAttributes& attributes, const LinkAttribute& attribute);

}  // namespace lanwright
