// The command line: one client of the REST API, with kubectl's manners.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "model/status.h"

namespace lanwright::cli {

// What the client talks to besides the agent. Tests give their own.
struct CliIo {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool err_is_terminal = false;  // progress is one line that changes, otherwise a line now and then
  bool colour = false;           // `out` is a terminal and NO_COLOR is not set
  std::optional<WallTime> now;   // for ages; the clock's when absent
  int out_descriptor = 1;        // what `out` writes to, for what is no text
  bool out_is_terminal = false;
};

enum ExitStatus : int {
  kDone = 0,
  kFailed = 1,    // refused, or failed
  kUsage = 2,     // the command line is wrong
  kDiffers = 3,   // `diff`: something is not as declared
  kTimedOut = 4,  // waited in vain
};

// Runs one command; `arguments` without the program's name. Reads LANWRIGHT_SOCKET. Answers the exit status,
// which is kFailed too when `out` did not take everything.
int run_cli(const std::vector<std::string>& arguments, CliIo& io);

}  // namespace lanwright::cli
