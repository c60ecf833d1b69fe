#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "agent/cli/command_line.h"

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);  // large tables in few writes
  // A reader that went away is an error to report, not a silent end.
  if (std::signal(SIGPIPE, SIG_IGN) == SIG_ERR) return lanwright::cli::kFailed;
  const char* no_colour = std::getenv("NO_COLOR");  // NOLINT(concurrency-mt-unsafe): before any thread
  lanwright::cli::CliIo io{
      .in = std::cin,
      .out = std::cout,
      .err = std::cerr,
      .err_is_terminal = ::isatty(STDERR_FILENO) != 0,
      .colour = ::isatty(STDOUT_FILENO) != 0 && (no_colour == nullptr || *no_colour == '\0'),
      .now = {},
      .out_descriptor = STDOUT_FILENO,
      .out_is_terminal = ::isatty(STDOUT_FILENO) != 0};
  return lanwright::cli::run_cli({argv + 1, argv + argc}, io);
}
