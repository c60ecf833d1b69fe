// Where each LinkAttr stands in netlink: its kind, number, width and byte order. The one place that knows.
#pragma once

#include <cstdint>
#include <string>

#include "model/link.h"
#include "reconcilers/netlink/message.h"

namespace lanwright::netlink {

enum class AttrPlace : std::uint8_t {
  info,  // IFLA_INFO_DATA of a link of that kind
  port,  // IFLA_INFO_SLAVE_DATA of a port of that kind of master
};

// Puts those of `attributes` that belong to `place`, into an open nest.
void put_attributes(Message& message, const LinkAttrs& attributes, AttrPlace place);
bool any_of(const LinkAttrs& attributes, AttrPlace place);

// Adds to `attributes`, ascending, what `nest` (the data of a link or port of `kind`) says.
void read_attributes(const Attributes& nest, const std::string& kind, AttrPlace place, LinkAttrs& attributes);

}  // namespace lanwright::netlink
