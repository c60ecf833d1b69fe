// What `docker network create` asks for, as a network of the agent's. Pure; any thread.
#pragma once

#include <string>

#include "model/base/result.h"
#include "model/docker.h"
#include "model/format/grammar.h"
#include "model/format/json.h"

namespace lanwright::docker {

// From the request of CreateNetwork. `driver` is that of the socket by which it came; when it is empty,
// option `driver` says it, and otherwise it is the first that there is. Options are those of the tables in
// network_options.cpp, those that the driver's grammar brings, and its settings, as SETTING or
// DRIVER.SETTING.
//
// Errors are `invalid` and name the field or the option: unknown ones (with the nearest that there is, and
// all of the driver's), wrong values, two options that contradict each other, and whatever the format's
// reader and the driver's own check find wrong. What only the host can tell is not looked at: whether a
// parent exists, whether an uplink is free, whether the network that `network` names is there.
Result<DockerNetwork> docker_network_from(const Json& request, const std::string& driver,
                                          const Grammar& grammar);

}  // namespace lanwright::docker
