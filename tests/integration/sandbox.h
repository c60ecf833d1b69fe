// A network and mount namespace of the test's own, and commands run in it. Nothing that a test does in it can
// be seen by the machine, and nothing of it is left when the test program is gone, however it ended.
//
// Everything here reports what it cannot do by throwing HarnessError, which GoogleTest shows as a failed
// test.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace lanwright::test {

using Json = nlohmann::ordered_json;
using Milliseconds = std::chrono::milliseconds;
using namespace std::chrono_literals;

struct HarnessError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws HarnessError "WHAT: the words of errno".
[[noreturn]] void fail_errno(const std::string& what);

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  // Takes what a system call answered; -1 throws "WHAT: the words of errno".
  Fd(int fd, const std::string& what);
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Readable when the process has ended.
Fd open_pidfd(pid_t pid);

// How a process ended: its exit status, or 128 + signal.
int exit_status(int wait_status);

// A command that has ended.
struct Finished {
  int status = 0;
  std::string out;
  std::string err;
  bool timed_out = false;  // it was killed for that (status 137)
  bool ok() const { return status == 0; }
  std::string text() const;  // everything, for messages of failed expectations
};

struct RunOptions {
  std::string netns = {};                     // a name under /run/netns; "" = the sandbox's own
  Milliseconds limit = 30s;                   // then SIGKILL
  std::string input = {};                     // standard input; nothing when empty
  std::vector<std::string> environment = {};  // NAME=VALUE, beside the caller's own
};

// Starts a child that dies with the calling thread. Standard input is /dev/null unless given.
struct Spawn {
  std::vector<std::string> arguments;
  std::string netns;
  std::vector<std::string> environment;
  int in = -1;
  int out = -1;
  int err = -1;
};
pid_t spawn(const Spawn& what);

// Waits until the process ends; nullopt when the limit passed first. Reaps it, answers exit_status().
std::optional<int> wait_exit(pid_t pid, Milliseconds limit);

Finished run(const std::vector<std::string>& arguments, const RunOptions& options = {});

// Does `action` on a thread that has entered the network namespace; sockets made there stay there.
// "" is the caller's own. Exceptions come through.
void in_netns(const std::string& netns, const std::function<void()>& action);

// A socket that lives in the namespace.
Fd socket_in(const std::string& netns, int family, int type, int protocol = 0);

// Looks every 5 ms until it is so; false when the limit passed first. For what no event tells.
bool wait_until(const std::function<bool()>& condition, Milliseconds limit = 10s);

// Moves the calling thread (and the threads and processes that it starts) into fresh namespaces with `lo` up,
// a tmpfs on /run and an empty /run/netns; back again at the end. What still runs in them then is killed. One
// at a time; from the main thread.
class Sandbox {
 public:
  Sandbox();
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  // For files of the test; in memory, gone with the sandbox.
  const std::filesystem::path& directory() const { return directory_; }
  std::filesystem::path write_file(const std::string& name, const std::string& text) const;

  void add_netns(const std::string& name) const;  // with `lo` up
  void delete_netns(const std::string& name) const;

  // `ip ARGUMENTS`, words separated by blanks; throws with ip's words when it fails.
  void ip(const std::string& arguments) const;
  bool try_ip(const std::string& arguments) const;
  // `ip -json -details ARGUMENTS`: an array.
  Json ip_json(const std::string& arguments) const;
  // One link as ip tells it, with "addr_info"; nullopt when there is none of this name (alternative names
  // count).
  std::optional<Json> link(const std::string& name, const std::string& netns = "") const;
  // Names of all links but `lo`, sorted.
  std::vector<std::string> links(const std::string& netns = "") const;

 private:
  Fd old_net_;
  Fd old_mount_;
  Fd alive_;  // closed when the test is over, however it ended
  pid_t undertaker_ = -1;
  std::filesystem::path old_directory_;
  std::filesystem::path directory_;
};

}  // namespace lanwright::test
