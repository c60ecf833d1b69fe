// What Docker itself knows of the networks that it had the agent make: asked of the Docker Engine API
// (https://docs.docker.com/engine/api/v1.41/#tag/Network), because Docker forgets networks and endpoints
// without telling. Only reads, and what comes of an answer is for others: the Docker that answers may be
// another one.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/base/addresses.h"
#include "model/base/ids.h"
#include "model/base/loop_thread.h"
#include "model/base/result.h"

namespace lanwright::docker_agent {

// A network of the agent's, as it was when Docker was asked. `young`: made so lately that Docker may not list
// it yet.
struct AskedNetwork {
  std::string id;  // Docker's
  bool young = false;
};

// An endpoint whose link is in no sandbox, as it was when Docker was asked.
struct AskedEndpoint {
  std::string network;   // Docker's id
  std::string endpoint;  // Docker's id
  ResourceId attachment;
  std::uint64_t generation = 0;  // of the attachment: moves with whatever Docker does with it
};

// A pool of the agent's IPAM, as it was when Docker was asked.
struct AskedPool {
  std::string id;
  IpPrefix cidr;
  std::vector<std::string> networks;  // Docker's ids of those of the agent's that have it; none: nobody knows
  std::set<IpAddress> doubtful;       // given to nobody that is known
};

// Networks that Docker may have made here, or with addresses from here, and that the agent does not know.
struct Search {
  std::set<std::string> plugins;  // by which names Docker calls the agent
  std::set<std::string> known;    // Docker's ids of those that need not be told
};

struct AuditQuery {
  std::vector<AskedNetwork> networks;
  std::vector<AskedEndpoint> endpoints;
  std::vector<AskedPool> pools;  // of no network, or with addresses that are doubtful
  std::optional<Search> search = {};
  bool too_young = false;  // there are other endpoints, pools and addresses, too young to be asked for
};

// Of a network that was searched for.
struct LostNetwork {
  std::string id;                       // Docker's
  std::string plugin;                   // by which name it was made
  std::string network;                  // what GET /networks/ID tells
  std::vector<std::string> containers;  // what GET /containers/ID/json tells of those that are on it
  bool own_addresses = false;           // from the agent's pools
  bool own_driver = true;               // the plugin is the agent
};

// What Docker has.
struct DockerInventory {
  using Endpoints = std::map<std::string, std::set<IpAddress>>;  // their addresses, by id
  std::map<std::string, std::vector<IpPrefix>> networks;         // all of them with their subnets, by id
  std::map<std::string, Endpoints> endpoints;                    // of the networks in question
  std::vector<LostNetwork> lost = {};                            // what the search found
};

struct AuditResult {
  std::vector<std::string> orphaned;     // ids of networks that Docker does not know
  std::vector<std::string> known;        // of those that it does
  std::vector<AskedEndpoint> forgotten;  // on networks that it knows
  std::vector<std::string> free_pools;   // ids of those that no network of Docker's has
  std::vector<std::pair<std::string, IpAddress>> free_addresses;  // by pool, that no endpoint of Docker's has
  bool undecided = false;                                         // something was too young to tell
};

// What an answer means for what was asked. Pure.
AuditResult compare(const AuditQuery& question, const DockerInventory& answer);

// What the bodies of GET /networks and of GET /networks/ID tell (of endpoints, those without a container
// included). Pure. Errors: what is not as documented; a list without any network, as a Docker that works
// always has some of its own ("none").
Result<std::map<std::string, std::vector<IpPrefix>>> listed_networks(const std::string& body);
Result<DockerInventory::Endpoints> listed_endpoints(const std::string& body);

// Of such a list, those that are searched for, with their ids and plugins only. Pure.
std::vector<LostNetwork> lost_networks(const std::string& body, const Search& search);

// Asks at one Unix socket, each question in a thread of its own which ends with it, and which nobody waits
// for. For the thread that runs `io`, which outlives this.
class DockerInventoryClient {
 public:
  using Done = std::function<void(Result<DockerInventory>)>;
  DockerInventoryClient(boost::asio::io_context& io, std::string socket);
  ~DockerInventoryClient();  // at once: a question that is open is broken off, and its `done` is not called
  DockerInventoryClient(const DockerInventoryClient&) = delete;
  DockerInventoryClient& operator=(const DockerInventoryClient&) = delete;

  bool asking() const LANWRIGHT_ON_LOOP { return asking_ != nullptr; }
  // Not while asking(). Calls `done` on the thread that runs `io`, later. Asked once: any error, such as
  // nobody at the socket or silence for some seconds, means that nothing is known.
  void ask(const AuditQuery& question, const Done& done) LANWRIGHT_ON_LOOP;

 private:
  struct Asking;
  struct Life {};
  boost::asio::io_context& io_;
  std::string socket_;
  std::unique_ptr<Asking> asking_;
  std::shared_ptr<Life> life_ = std::make_shared<Life>();
};

}  // namespace lanwright::docker_agent
