// Attributes of links in netlink messages, by the rows of reconcilers/kinds/.
#pragma once

#include <string_view>

#include "model/link_attribute.h"
#include "reconcilers/netlink/message.h"

namespace lanwright::netlink {

// Puts those of `attributes` that belong to `place`, into an open nest.
void put_attributes(Message& message, const LinkAttributes& attributes, LinkAttribute::Place place);
bool any_of(const LinkAttributes& attributes, LinkAttribute::Place place);

// Adds to `attributes` what `nest` (the data of a link or port of `kind`) says, in the order of the kind's
// table.
void read_attributes(const Attributes& nest, std::string_view kind, LinkAttribute::Place place,
                     LinkAttributes& attributes);

}  // namespace lanwright::netlink
