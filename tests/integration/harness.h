// What tests need to try the product on a real kernel: everything in one include.
#pragma once

#include "tests/integration/agent_process.h"  // IWYU pragma: export
#include "tests/integration/link_watcher.h"   // IWYU pragma: export
#include "tests/integration/sandbox.h"        // IWYU pragma: export
#include "tests/integration/traffic.h"        // IWYU pragma: export
