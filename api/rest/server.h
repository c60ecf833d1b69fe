// The REST server on a Unix socket. Starts threads of its own; all calls into the agent go through AgentApi.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "api/rest/agent_api.h"
#include "api/rest/capture.h"
#include "model/base/result.h"
#include "model/format/grammar.h"
#include "model/format/set_reader.h"

namespace lanwright::rest {

struct ServerOptions {
  std::filesystem::path socket;     // made with `mode` and `group`; replaced when no one listens on it
  std::string group = "lanwright";  // used when it exists, otherwise root's, and a notice is logged
  unsigned mode = 0660;
  std::size_t body_limit = ReadLimits().bytes;
  std::size_t threads = 8;
  std::size_t event_streams = 4;                // more answer 503
  std::size_t captures = 4;                     // more answer 503
  std::chrono::milliseconds patience{10'000};   // for a client that is silent in the middle of something
  std::chrono::milliseconds heartbeat{15'000};  // between comments on an idle event stream
};

class Server {
 public:
  static Result<std::unique_ptr<Server>> start(AgentApi& agent, CaptureSource& packets,
                                               const Grammar& grammar, const ServerOptions& options);
  ~Server();    // stop()
  void stop();  // closes the socket, ends open event streams, joins the threads, removes the socket file
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  const std::string& notice() const;  // e.g. that the group does not exist; empty when all is well

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lanwright::rest
