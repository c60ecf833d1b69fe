// How links are called and addressed that do not have what is to be theirs yet. Pure; any thread.
#pragma once

#include <string>

#include "model/base/addresses.h"
#include "model/base/ids.h"

namespace lanwright {

// What a link is called that cannot have its name when it is made: a tap, and what is made from the managed
// namespace into another while the name is taken in the former. A crash leaves this name behind, so that it
// can be found and removed. 15 characters, of which "lw!" is nobody else's prefix.
std::string temporary_name(const ObjectUid& uid);

// The MAC address of a link that hands its own to another one and waits for its next: locally administered.
MacAddress temporary_mac(const ObjectUid& uid);

}  // namespace lanwright
