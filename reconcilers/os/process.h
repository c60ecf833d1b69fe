// Processes that outlive the agent: started apart from it, known by a descriptor that never means another
// process (pidfd_open(2)), found again through the socket at which they listen. Never by a bare pid, which is
// given away again.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "model/base/result.h"
#include "reconcilers/os/descriptor.h"

namespace lanwright::os {

struct Process {
  pid_t pid = 0;
  Descriptor handle;  // readable once it has ended
  explicit operator bool() const { return static_cast<bool>(handle); }
};

struct SpawnSpec {
  std::vector<std::string> command;      // an absolute path, and arguments
  std::vector<std::string> environment;  // all of it
  std::filesystem::path log;             // what it says; begun anew
  std::uint64_t descriptors = 1024;      // RLIMIT_NOFILE
  std::uint64_t capabilities = 0;        // bits of capabilities(7) that it may have at most
};

// Starts a program in a session of its own, with nothing open but its log and an input that never ends.
// Answers when it was really executed. Blocks for about a millisecond.
Result<Process> spawn(const SpawnSpec& spec);

// The process that listens at the other end of a connected Unix socket. `waiting` when it has ended.
Result<Process> process_behind(const Descriptor& connection);

bool has_ended(const Process& process);
// Waits for its end; false when the time is over. Takes away what is left of it if it was our child.
bool await_end(const Process& process, std::chrono::milliseconds time);
// SIGTERM; after `grace` SIGKILL. It has ended when this returns without an error.
Result<void> end(const Process& process, std::chrono::milliseconds grace);

// Absolute path of a program that is looked for as a shell does; empty when there is none.
std::string find_program(const std::string& name);

// A stream connection to a Unix socket. `not_found` when there is no file, `waiting` when nobody listens,
// `timeout` when who listens does not accept anybody. Never blocks.
Result<Descriptor> connect_unix(const std::string& path);

// Appends what comes next to `text`, at least a byte. `timeout` when nothing does before `end`, `waiting`
// when the other side closed the connection; both say so of `who` at `path`, who was asked for `tried`.
struct Asked {
  std::string tried;
  std::string path;
  std::string who;
};
Result<void> receive_more(const Descriptor& connection, std::string& text,
                          std::chrono::steady_clock::time_point end, const Asked& asked);

}  // namespace lanwright::os
