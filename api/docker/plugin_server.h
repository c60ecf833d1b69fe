// Docker's plugin sockets: one for each name by which Docker may call the agent. Starts threads of its own;
// all calls into the agent go through DockerApi.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "api/docker/docker_api.h"
#include "model/base/result.h"
#include "model/format/grammar.h"

namespace lanwright::docker {

struct PluginServerOptions {
  std::filesystem::path directory;             // made with mode 0755 when it is missing
  std::map<std::string, std::string> sockets;  // NAME of DIRECTORY/NAME.sock (mode 0600): driver of networks
                                               // that are made through it, "" where an option chooses it
  std::size_t body_limit = 1U << 20U;          // bytes
  std::size_t threads = 8;
  std::chrono::milliseconds patience{10'000};    // for a client that is silent in the middle of something
  std::chrono::milliseconds call_limit{60'000};  // of one call into the agent; Docker itself waits for ever
};

class PluginServer {
 public:
  // Errors: `conflict` when somebody listens at one of the sockets, `invalid` for a name or a path that
  // cannot be one, those of the file system. A socket file on which nobody listens is replaced. All or none
  // of the sockets are made. The agent and the grammar outlive this.
  static Result<std::unique_ptr<PluginServer>> start(DockerApi& agent, const Grammar& grammar,
                                                     const PluginServerOptions& options);
  ~PluginServer();  // stop()
  void stop();      // joins the threads and removes the socket files; again is harmless
  PluginServer(const PluginServer&) = delete;
  PluginServer& operator=(const PluginServer&) = delete;

 private:
  struct Impl;
  explicit PluginServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lanwright::docker
