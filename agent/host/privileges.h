// What the agent must be allowed to do, found out before it begins rather than by its first failures.
#pragma once

#include "model/base/result.h"

namespace lanwright::host {

// An error that names the capabilities(7) which this thread lacks and the agent cannot do without.
Result<void> check_privileges();

// Switches, namespaces and clients each take one: as many as the limit may be raised to (getrlimit(2)).
void allow_many_descriptors();

}  // namespace lanwright::host
