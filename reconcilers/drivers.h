// The drivers that exist. Adding one is a file in drivers/ and a line in drivers.cpp.
#pragma once

#include "model/grammar.h"

namespace lanwright {

// What the YAML reader needs of all drivers. Immutable, any thread.
const Grammar& driver_grammar();

}  // namespace lanwright
