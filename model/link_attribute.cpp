#include "model/link_attribute.h"

#include <algorithm>

namespace lanwright {

bool needs_recreation(const LinkAttribute& attribute, std::uint64_t wanted,
                      std::optional<std::uint64_t> found) {
  return attribute.recreates != nullptr && attribute.recreates(wanted, found);
}

bool holds_by_default(const LinkAttribute& attribute, std::uint64_t wanted) {
  return !attribute.build_option.empty() && wanted == 0;
}

std::optional<std::uint64_t> find(const LinkAttributes& attributes, const LinkAttribute& attribute) {
  const auto found = std::ranges::find(attributes, &attribute, &LinkAttributeValue::attribute);
  if (found == attributes.end()) return std::nullopt;
  return found->value;
}

}  // namespace lanwright
