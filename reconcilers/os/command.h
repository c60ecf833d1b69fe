// Short-lived programs of the host that do a thing and end.
#pragma once

#include <string>
#include <vector>

#include "model/base/result.h"

namespace lanwright::os {

struct CommandResult {
  int status = 0;     // of its exit; 128 and a signal's number when that ended it
  std::string words;  // what it said, on either output
};

// Runs a program with an absolute path and waits for its end: for threads that may block. Fails when it
// cannot be started. It gets no input, and LC_ALL=C.
Result<CommandResult> run_command(const std::vector<std::string>& command);

}  // namespace lanwright::os
