// The calls that Docker makes, as tables: one for each subsystem that a plugin can implement. Inside of
// api/docker/ only.
#pragma once

#include <span>
#include <string>

#include "api/docker/docker_api.h"
#include "model/base/result.h"
#include "model/format/grammar.h"
#include "model/format/json.h"

namespace lanwright::docker {

struct Call {
  const Json& request;        // an object
  const std::string& socket;  // the name by which Docker called: "lanwright-vde"
  const std::string& driver;  // of networks that are made through it; empty where an option chooses it
  const Grammar& grammar;     // of the drivers that there are
  DockerApi& port;
  Deadline deadline;
};

// What it answers is sent as it is; {} when there is nothing to say. Called on any thread, in parallel.
using Handler = Result<Json> (*)(const Call& call);

struct CallRow {
  const char* name;  // behind the subsystem's: "RequestPool"
  Handler handler;
  bool takes_body = true;
  bool of_network = false;  // after an error, Docker and the agent may not know the same networks
  // Takes back what was done, when dockerd ended before it heard of it: it does not remember having asked.
  Handler undo = nullptr;
  // Told when Docker repeats the call after its connection broke: it does not say again what of.
  void (DockerApi::*on_lost)() = nullptr;
};

struct Subsystem {
  const char* name;       // as Plugin.Activate tells it, and as the calls begin: "IpamDriver"
  const char* error_key;  // that Docker reads in an answer of status 200
  std::span<const CallRow> calls;
};

const Subsystem& ipam_driver();
const Subsystem& network_driver();

}  // namespace lanwright::docker
