// What the daemons under test have in common: how they say that they are ready, and what they wrote.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <filesystem>
#include <string>

#include "tests/integration/sandbox.h"

namespace lanwright::test {

// The address of a Unix socket; throws when the path is too long for one.
struct UnixAddress {
  sockaddr_un address{};
  explicit UnixAddress(const std::filesystem::path& path);
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&address); }
  static constexpr socklen_t size = sizeof(sockaddr_un);
};

// Hears what a daemon says by sd_notify(3).
class NotifySocket {
 public:
  explicit NotifySocket(const std::filesystem::path& path);  // replaces what is there

  // Reads messages until a line equals `state` ("READY=1", "STOPPING=1", "RELOADING=1"); false when the limit
  // passed or the process ended without it.
  bool wait(const std::string& state, pid_t process, Milliseconds limit);

 private:
  Fd fd_;
};

// A whole file; "" when there is none.
std::string read_file(const std::filesystem::path& path);

std::string last_lines(const std::string& text, std::size_t count);

}  // namespace lanwright::test
