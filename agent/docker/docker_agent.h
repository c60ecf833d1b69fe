// What Docker asks of the agent through its plugin sockets (api/docker/). All work is done on the loop's
// thread and stored before it is answered.
#pragma once

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/docker/audit.h"
#include "agent/docker/ipam.h"
#include "agent/docker/networks.h"
#include "agent/docker/records.h"
#include "agent/docker/restore.h"
#include "agent/docker/sandboxes.h"
#include "agent/docker/switch_links.h"
#include "agent/reconcile/reconciler.h"
#include "api/docker/docker_api.h"
#include "model/base/loop_thread.h"
#include "reconcilers/backends/firewall_backend.h"
#include "state/store.h"

namespace lanwright::docker_agent {

// The plugin sockets by name, with the driver of networks made through each: "lanwright" (chosen by an
// option), "lanwright-DRIVER" for each driver that there is, and `aliases`, each NAME=DRIVER. Pure. Errors
// name the alias.
Result<std::map<std::string, std::string>> docker_sockets(const std::vector<std::string>& aliases);

class DockerAgent final : public DockerApi, public reconcile::Controller {
 public:
  // Loads what was given earlier. Before the loop turns. What it is given outlives it.
  static Result<std::unique_ptr<DockerAgent>> open(boost::asio::io_context& io,
                                                   reconcile::Reconciler& reconciler, state::Store& store,
                                                   FirewallBackend& forwards) LANWRIGHT_ON_LOOP;
  ~DockerAgent() override;
  DockerAgent(const DockerAgent&) = delete;
  DockerAgent& operator=(const DockerAgent&) = delete;

  // From now on there is a way to each of Docker's networks that a switch carries (switch_links.h), to the
  // directory that `switch_of` says of a network. Errors of the file system.
  Result<void> link_switches(const std::filesystem::path& directory,
                             std::function<std::string(const std::string& network)> switch_of)
      LANWRIGHT_ON_LOOP;

  // With a database that is new, Docker is searched for networks that it made by these plugins, by name with
  // the driver of each: they are made again. Before audit().open().
  Result<void> search_for(const std::map<std::string, std::string>& plugins) LANWRIGHT_ON_LOOP;
  // Whether the database is new, and Docker is still to say which networks it should know.
  bool awaits_lost_networks() const LANWRIGHT_ON_LOOP;
  // Finds out what Docker does not know any more. Loop thread.
  Audit& audit() LANWRIGHT_ON_LOOP { return audit_; }

  // Controller: the loop's thread.
  const reconcile::OwnSet& own_set() const override LANWRIGHT_ON_LOOP;
  void on_compared(const std::set<ResourceId>& objects) override LANWRIGHT_ON_LOOP {
    sandboxes_.look_at(objects);
  }
  Result<void> admit_deletion(std::set<ResourceId>& objects) const override LANWRIGHT_ON_LOOP {
    return sandboxes_.admit_deletion(objects);
  }
  void on_committed(const std::set<ResourceId>& concerned, const std::set<ResourceId>& deleted) override
      LANWRIGHT_ON_LOOP;

  // DockerApi: from any thread but the loop's.
  Result<AddressPool> request_pool(const PoolRequest& request, Deadline deadline) override;
  Result<IpPrefix> request_address(const std::string& pool, const std::optional<IpAddress>& wanted,
                                   AddressUse use, Deadline deadline) override;
  Result<void> release_pool(const std::string& pool, Deadline deadline) override;
  Result<void> release_address(const std::string& pool, const IpAddress& address, Deadline deadline) override;
  Result<void> create_network(const DockerNetwork& network, Deadline deadline) override;
  Result<void> delete_network(const std::string& network, Deadline deadline) override;
  Result<DockerEndpointAnswer> create_endpoint(const DockerEndpoint& endpoint, Deadline deadline) override;
  Result<void> delete_endpoint(const std::string& network, const std::string& endpoint,
                               Deadline deadline) override;
  Result<DockerJoin> join(const std::string& network, const std::string& endpoint, const std::string& sandbox,
                          Deadline deadline) override;
  Result<void> leave(const std::string& network, const std::string& endpoint, Deadline deadline) override;
  Result<std::map<std::string, std::string>> endpoint_info(const std::string& network,
                                                           const std::string& endpoint,
                                                           Deadline deadline) override;
  void on_dockerd_connected() override;
  void on_call_failed() override;
  void on_deletion_lost() override;

 private:
  // What is to be changed: begins it, and answers the objects that are waited for.
  using Begin = std::function<Result<std::set<ResourceId>>()>;
  DockerAgent(boost::asio::io_context& io, reconcile::Reconciler& reconciler, state::Store& store,
              FirewallBackend& forwards);

  Result<void> make_it_so(const char* what, const Begin& begin, Deadline deadline);
  void undo(const Begin& removal);
  Result<void> open_bridge(const std::string& network, Deadline deadline);
  // What the bridges of Docker's networks forward is let through, and there are ways to their switches.
  void follow_networks(const std::set<ObjectUid>& networks = {}) LANWRIGHT_ON_LOOP;

  boost::asio::io_context& io_;
  reconcile::Reconciler& reconciler_;
  state::Store& store_;
  FirewallBackend& forwards_;
  Records records_;  // as the store has them
  GracePeriods grace_;
  Ipam ipam_;
  Sandboxes sandboxes_;
  Audit audit_;
  Networks networks_;
  std::optional<Restoration> restoration_;  // with a database that is new
  SwitchLinks switch_links_;
  std::function<std::string(const std::string&)> switch_of_;
};

}  // namespace lanwright::docker_agent
