// The drivers that exist. Adding one is a file in drivers/ and a line in registry.cpp.
#pragma once

#include <string>

#include "model/format/grammar.h"
#include "reconcilers/drivers/driver.h"

namespace lanwright::drivers {

// nullptr when there is none of that name.
const Driver* find_driver(const std::string& name);

// What the YAML reader needs of all drivers. Immutable, any thread.
const Grammar& driver_grammar();

}  // namespace lanwright::drivers
