// What the agent must be allowed to do, found out before it begins rather than by its first failures.
#pragma once

#include "model/base/result.h"

namespace lanwright::host {

// An error that names the capabilities(7) which this thread lacks and the agent cannot do without.
Result<void> check_privileges();

}  // namespace lanwright::host
