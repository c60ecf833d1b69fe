// What Docker's plugin sockets need of the agent. The agent implements it (agent/docker.h); a test may too.
// Every method may be called from any thread. What it answers as done is kept durably. After the deadline it
// answers ErrorKind::timeout, and what was asked was not done and will not be.
#pragma once

#include <optional>
#include <string>

#include "api/agent_port.h"
#include "model/address_pools.h"
#include "model/result.h"

namespace lanwright {

class DockerPort {
 public:
  virtual ~DockerPort() = default;

  // Addresses: see model/address_pools.h for what is given and for the errors.
  virtual Result<AddressPool> request_pool(const PoolRequest& request, Deadline deadline) = 0;
  virtual Result<IpPrefix> request_address(const std::string& pool, const std::optional<IpAddress>& wanted,
                                           AddressUse use, Deadline deadline) = 0;
  // What is not there is released already: no error.
  virtual Result<void> release_pool(const std::string& pool, Deadline deadline) = 0;
  virtual Result<void> release_address(const std::string& pool, const IpAddress& address,
                                       Deadline deadline) = 0;
};

}  // namespace lanwright
