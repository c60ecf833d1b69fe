#include "reconcilers/netlink/attributes.h"

#include <arpa/inet.h>

#include <algorithm>

#include "reconcilers/kinds/table.h"

namespace lanwright::netlink {

namespace {

using Form = LinkAttribute::Form;

void put(Message& message, const LinkAttribute& attribute, std::uint64_t value) {
  switch (attribute.form) {
    case Form::u8:
      return message.put_u8(attribute.number, static_cast<std::uint8_t>(value));
    case Form::u16:
      return message.put_u16(attribute.number, static_cast<std::uint16_t>(value));
    case Form::be16:
      return message.put_u16(attribute.number, htons(static_cast<std::uint16_t>(value)));
    case Form::u32:
      return message.put_u32(attribute.number, static_cast<std::uint32_t>(value));
  }
}

std::optional<std::uint64_t> read(const Attributes& nest, const LinkAttribute& attribute) {
  switch (attribute.form) {
    case Form::u8:
      return nest.u8(attribute.number);
    case Form::u16:
      return nest.u16(attribute.number);
    case Form::be16:
      if (const auto value = nest.u16(attribute.number)) return ntohs(*value);
      return std::nullopt;
    case Form::u32:
      break;
  }
  return nest.u32(attribute.number);
}

}  // namespace

void put_attributes(Message& message, const LinkAttributes& attributes, LinkAttribute::Place place) {
  for (const auto& [attribute, value] : attributes) {
    if (attribute->place == place) put(message, *attribute, value);
  }
}

bool any_of(const LinkAttributes& attributes, LinkAttribute::Place place) {
  return std::any_of(attributes.begin(), attributes.end(),
                     [place](const auto& each) { return each.attribute->place == place; });
}

void read_attributes(const Attributes& nest, std::string_view kind, LinkAttribute::Place place,
                     LinkAttributes& attributes) {
  for (const LinkAttribute* attribute : kinds::kind_of(kind).attributes) {
    if (attribute->place != place) continue;
    if (const auto value = read(nest, *attribute)) attributes.emplace_back(*attribute, *value);
  }
}

}  // namespace lanwright::netlink
