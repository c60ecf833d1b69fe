// What Docker's plugin sockets need of the agent. The agent implements it (agent/docker/docker_agent.h); a
// test may too. Every method may be called from any thread. What it answers as done is kept durably;
// endpoints, which do not outlive the machine's boot, over the agent's end but not over the machine's. After
// the deadline it answers ErrorKind::timeout, and what was asked was not done and will not be.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "api/rest/agent_api.h"
#include "model/address_pools.h"
#include "model/base/result.h"
#include "model/docker.h"

namespace lanwright {

class DockerApi {
 public:
  virtual ~DockerApi() = default;

  // Addresses: see model/address_pools.h for what is given and for the errors.
  virtual Result<AddressPool> request_pool(const PoolRequest& request, Deadline deadline) = 0;
  virtual Result<IpPrefix> request_address(const std::string& pool, const std::optional<IpAddress>& wanted,
                                           AddressUse use, Deadline deadline) = 0;
  // What is not there is released already: no error.
  virtual Result<void> release_pool(const std::string& pool, Deadline deadline) = 0;
  virtual Result<void> release_address(const std::string& pool, const IpAddress& address,
                                       Deadline deadline) = 0;

  // Networks and endpoints, by Docker's ids. Docker repeats what it thinks lost, and forgets things without
  // telling: making what is there as it is asked for is no error, and neither is removing or leaving what is
  // not there. Common errors: `not_found` for a network or an endpoint that must be there, `conflict` for
  // what cannot be beside something else.

  // The network is in the kernel when this is answered. Errors: also `invalid` (what only the host can tell:
  // a parent that does not exist), `unsupported`.
  virtual Result<void> create_network(const DockerNetwork& network, Deadline deadline) = 0;
  virtual Result<void> delete_network(const std::string& network, Deadline deadline) = 0;

  // What is answered is kept for the endpoint. Nothing is in the kernel yet.
  virtual Result<DockerEndpointAnswer> create_endpoint(const DockerEndpoint& endpoint, Deadline deadline) = 0;
  // Docker leaves the link behind: it is removed here, wherever it is.
  virtual Result<void> delete_endpoint(const std::string& network, const std::string& endpoint,
                                       Deadline deadline) = 0;

  // The link is in dockerd's namespace when this is answered. `sandbox` is the path of the container's
  // namespace, which may not exist yet.
  virtual Result<DockerJoin> join(const std::string& network, const std::string& endpoint,
                                  const std::string& sandbox, Deadline deadline) = 0;
  // Docker is about to move the link back out of the container.
  virtual Result<void> leave(const std::string& network, const std::string& endpoint, Deadline deadline) = 0;

  // For people to read: Docker only shows it.
  virtual Result<std::map<std::string, std::string>> endpoint_info(const std::string& network,
                                                                   const std::string& endpoint,
                                                                   Deadline deadline) = 0;

  // What is noticed of Docker, told without waiting for anything.

  // A dockerd begins to call: it says so once in its life to each socket, when it first needs it.
  virtual void on_dockerd_connected() = 0;
  // Making or removing a network ended with an error: Docker has forgotten the network, whatever became of it
  // here.
  virtual void on_call_failed() = 0;
  // So did the removal of one, and nobody heard of which.
  virtual void on_deletion_lost() = 0;
};

}  // namespace lanwright
