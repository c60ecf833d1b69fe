// What Docker asks for when a container is to join a network. Pure; any thread.
#pragma once

#include "model/base/result.h"
#include "model/docker.h"
#include "model/format/json.h"

namespace lanwright::docker {

// From the request of CreateEndpoint. The MAC address is Docker's own when it gave one; otherwise that of an
// option: com.docker.network.endpoint.macaddress, kathara.mac_addr, or one derived of kathara.machine and
// kathara.iface. com.docker.network.endpoint.ifname names the interface in the container, and
// com.docker.network.endpoint.sysctls says what Docker sets of it there (from version 27). Other options of
// com.docker.network.* are Docker's and left alone; what else is unknown is an error. Errors are `invalid`
// and name the field or the option.
Result<DockerEndpoint> docker_endpoint_from(const Json& request);

}  // namespace lanwright::docker
