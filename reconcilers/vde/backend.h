// Switch and plug processes in a run directory: the SwitchBackend of the running agent.
//
// RUN/vde/NETWORK is the directory that other programs name to join; RUN/switches/NETWORK is root's alone and
// holds the management and plug sockets, logs, and whose switch it is: written before anything is started, so
// that nothing that is there without it is ever taken for ours.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "model/base/result.h"
#include "reconcilers/backends/switch_backend.h"

namespace lanwright::vde {

struct VdeOptions {
  std::filesystem::path run_dir;
  std::string plug_program;  // absolute path of lanwright-plug
  // Told of each process that outlives the agent, when it was started or found again.
  std::function<void(pid_t)> on_process = [](pid_t) {};
};

// Nothing is looked at yet: the first call is resync(). The backend must be used from the network namespace
// that the calling thread is in. `io` is the loop, for timers; it outlives the backend.
Result<std::unique_ptr<SwitchBackend>> open_vde_backend(boost::asio::io_context& io,
                                                        const VdeOptions& options);

// lanwright-plug beside the running program, or where it is installed; empty when it is in neither place.
std::string find_plug_program();

}  // namespace lanwright::vde
