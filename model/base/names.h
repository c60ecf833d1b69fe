// Which names are valid. Pure; any thread.
#pragma once

#include <string_view>

namespace lanwright {

// Why `text` is no name for a network interface, to be put behind the name in a message ("is longer than 15
// bytes"); nullptr when it is one. Source: dev_valid_name() in net/core/dev.c, and what creation takes for a
// pattern (dev_alloc_name()).
const char* interface_name_fault(std::string_view text);

// The same of a link that somebody else made, and that may be meant by one of its alternative names
// (ip-link(8), altname), which have room for more.
const char* interface_reference_fault(std::string_view text);

// Names of sets, networks and attachments: 1 to 63 of [A-Za-z0-9._-], beginning with a letter or digit.
bool is_object_name(std::string_view text);

}  // namespace lanwright
