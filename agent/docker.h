// What Docker asks of the agent through its plugin sockets (api/docker/). All work is done on the loop's
// thread and stored before it is answered.
#pragma once

#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/docker/docker_port.h"
#include "state/store.h"

namespace lanwright {

// The plugin sockets by name, with the driver of networks made through each: "lanwright" (chosen by an
// option), "lanwright-DRIVER" for each driver that there is, and `aliases`, each NAME=DRIVER. Pure. Errors
// name the alias.
Result<std::map<std::string, std::string>> docker_sockets(const std::vector<std::string>& aliases);

class DockerAgent final : public DockerPort {
 public:
  // Loads what was given earlier. Before the loop turns. The store is used on the loop's thread only; both
  // outlive this.
  static Result<std::unique_ptr<DockerAgent>> open(boost::asio::io_context& io, Store& store);

  // DockerPort: from any thread but the loop's.
  Result<AddressPool> request_pool(const PoolRequest& request, Deadline deadline) override;
  Result<IpPrefix> request_address(const std::string& pool, const std::optional<IpAddress>& wanted,
                                   AddressUse use, Deadline deadline) override;
  Result<void> release_pool(const std::string& pool, Deadline deadline) override;
  Result<void> release_address(const std::string& pool, const IpAddress& address, Deadline deadline) override;

 private:
  DockerAgent(boost::asio::io_context& io, Store& store);

  // Of the loop's thread.
  Result<AddressPool> do_request_pool(const PoolRequest& request);
  Result<IpPrefix> do_request_address(const std::string& pool, const std::optional<IpAddress>& wanted,
                                      AddressUse use);
  Result<void> do_release_pool(const std::string& pool);
  Result<void> do_release_address(const std::string& pool, const IpAddress& address);

  boost::asio::io_context& io_;
  Store& store_;
  AddressPools pools_;  // as the store has them
};

}  // namespace lanwright
