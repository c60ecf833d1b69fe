// What Docker tells of networks that it has and the agent lost, with its database, as what Docker asked for
// when it made them (Docker Engine API, https://docs.docker.com/engine/api/v1.41/). Pure.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/docker/inventory.h"
#include "model/address_pools.h"
#include "model/base/result.h"
#include "model/docker.h"
#include "model/format/grammar.h"

namespace lanwright::docker_agent {

// `driver` as for docker::docker_network_from(), and the same errors; also what is not as documented. Docker
// before version 28 does not tell a gateway that it chose itself: it is the first address of the range, or of
// the subnet.
Result<DockerNetwork> network_from(const LostNetwork& lost, const std::string& driver,
                                   const Grammar& grammar);

// An endpoint that a container has.
struct LostEndpoint {
  DockerEndpoint endpoint;
  std::string sandbox;  // path of the container's namespace
};
// Of containers that do not run there are none.
Result<std::vector<LostEndpoint>> endpoints_from(const LostNetwork& lost);

// The address pools of the agent's own that a network of any driver has, as they were asked for; and what is
// given of them. The same errors.
struct LostPool {
  PoolRequest request;
  std::set<IpAddress> given;
  std::optional<IpAddress> chosen;  // of these, the gateway, as nobody named one
};
Result<std::vector<LostPool>> own_pools_from(const LostNetwork& lost);

}  // namespace lanwright::docker_agent
