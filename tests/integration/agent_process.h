// lanwrightd as a process of its own in a sandbox, and what users and machines say to it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/integration/daemon.h"
#include "tests/integration/sandbox.h"

namespace lanwright::test {

struct AgentOptions {
  std::string name = "agent";          // tells several agents of one sandbox apart
  std::string netns = {};              // managed namespace: a name under /run/netns; "" = the sandbox's own
  std::vector<std::string> more = {};  // further options of lanwrightd
  std::vector<std::string> environment = {};  // NAME=VALUE
  std::vector<std::string> under = {};  // a command that becomes lanwrightd, such as setpriv with its options
  std::string log_level = "debug";
  bool docker = true;                           // with plugin sockets
  std::filesystem::path docker_directory = {};  // of these; "" = one of this agent's own
  bool wait_ready = true;                       // the constructor returns when the agent says READY=1
  Milliseconds ready_within = 20s;
};

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

// One request to a Unix socket, written out here so that the product's own client is not its own witness.
// Throws when there is no answer. Content of unknown length is read until the server closes.
HttpAnswer http(const std::filesystem::path& socket, const std::string& method, const std::string& target,
                const std::string& body = {}, const std::vector<std::string>& headers = {},
                Milliseconds limit = 30s);

// State and run directories are the sandbox's (below directory()/NAME) and stay when the process ends, so
// that an agent of the same name continues where this one stopped. It dies with the thread that started it.
// After a failed expectation the destructor prints the end of the agent's log.
class AgentProcess {
 public:
  explicit AgentProcess(const Sandbox& sandbox, AgentOptions options = {});
  ~AgentProcess();  // SIGKILL if it still runs
  AgentProcess(const AgentProcess&) = delete;
  AgentProcess& operator=(const AgentProcess&) = delete;

  pid_t pid() const { return pid_; }
  bool running() const;
  const std::filesystem::path& socket() const { return socket_; }
  // Where Docker would call the agent by this name.
  std::filesystem::path docker_socket(const std::string& name) const {
    return docker_directory_ / (name + ".sock");
  }
  const std::filesystem::path& state_directory() const { return state_directory_; }
  std::string log() const;  // what it wrote to standard output and error so far

  // Reads sd_notify(3) messages until a line equals `state` ("READY=1", "STOPPING=1", "RELOADING=1"); false
  // when the limit passed or the agent ended without it.
  bool wait_notified(const std::string& state, Milliseconds limit = 20s);

  void signal(int number) const;
  void kill();                         // SIGKILL, and waits
  int stop(Milliseconds limit = 20s);  // SIGTERM; answers the exit status, throws when the limit passed
  std::optional<int> wait(Milliseconds limit);  // until it ends by itself

  // `lanwright ARGUMENTS` with this agent's socket.
  Finished cli(const std::vector<std::string>& arguments, const RunOptions& options = {}) const;
  // The same with "-o json"; throws when it fails.
  Json cli_json(std::vector<std::string> arguments) const;
  // Applies the YAML text and waits until it converged; throws with the client's words otherwise.
  void apply(const std::string& yaml, const std::string& wait_time = "30s") const;

  HttpAnswer get(const std::string& target) const { return http(socket_, "GET", target); }
  // GET, throws unless 200.
  Json get_json(const std::string& target) const;
  // A value of /metrics by its name without "lanwright_" and without labels; throws when there is none.
  std::uint64_t metric(const std::string& name) const;

 private:
  const Sandbox& sandbox_;
  AgentOptions options_;
  std::filesystem::path state_directory_;
  std::filesystem::path socket_;
  std::filesystem::path docker_directory_;
  std::filesystem::path log_;
  std::optional<NotifySocket> notify_;
  pid_t pid_ = -1;
  std::optional<int> status_;
};

}  // namespace lanwright::test
