// How links are called and addressed that do not have what is to be theirs yet. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "model/base/addresses.h"
#include "model/base/ids.h"

namespace lanwright {

// What a link is called that cannot have its name when it is made: a tap, and what is made from the managed
// namespace into another while the name is taken in the former. A crash leaves this name behind, so that it
// can be found and removed. 15 characters. An object's name begins with a letter or digit, so that no lw-NAME
// is one of these. Of characters that udev leaves in a name (udev(7), SYMLINK), and begun as what the
// settings for udev and NetworkManager know (systemd/): they hear of a tap before it has its group.
std::string temporary_name(const ObjectUid& uid);

// The same, and what earlier versions called it ("lw!" before the digits), of which something may be left.
std::vector<std::string> temporary_names(const ObjectUid& uid);
bool is_temporary_name(const std::string& name, const ObjectUid& uid);

// The MAC address of a link that hands its own to another one and waits for its next: locally administered.
MacAddress temporary_mac(const ObjectUid& uid);

}  // namespace lanwright
