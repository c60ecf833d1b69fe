// What Docker asks of the agent through its plugin sockets (api/docker/). All work is done on the loop's
// thread and stored before it is answered.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/docker/inventory.h"
#include "agent/docker/record.h"
#include "agent/docker/sandboxes.h"
#include "agent/reconcile/reconciler.h"
#include "api/docker/docker_api.h"
#include "reconcilers/backends/firewall_backend.h"
#include "state/store.h"

namespace lanwright::docker_agent {

// The plugin sockets by name, with the driver of networks made through each: "lanwright" (chosen by an
// option), "lanwright-DRIVER" for each driver that there is, and `aliases`, each NAME=DRIVER. Pure. Errors
// name the alias.
Result<std::map<std::string, std::string>> docker_sockets(const std::vector<std::string>& aliases);

// The set of what Docker declares through this author, with nothing in it yet.
reconcile::ChangeRequest change_of(const reconcile::Controller& author);

class DockerAgent final : public DockerApi, public reconcile::Controller {
 public:
  // Loads what was given earlier. Before the loop turns. What it is given outlives it.
  static Result<std::unique_ptr<DockerAgent>> open(boost::asio::io_context& io,
                                                   reconcile::Reconciler& reconciler, state::Store& store,
                                                   FirewallBackend& forwards);
  ~DockerAgent() override;
  DockerAgent(const DockerAgent&) = delete;
  DockerAgent& operator=(const DockerAgent&) = delete;

  // From now on, what Docker does not know any more is found out by asking it at this Unix socket ("":
  // never): soon, after it connects, after a call of its for a network failed, and at ask_docker(). What was
  // made less than `young` ago it may not list yet. The loop's thread; returns at once.
  void ask_docker_at(const std::string& socket, std::chrono::seconds young = kGracePeriod);
  static constexpr std::chrono::seconds kGracePeriod{30};
  void ask_docker();
  enum class Question { none, due, open };
  Question question() const;  // the one at hand; the loop's thread

  // Controller: the loop's thread.
  const reconcile::OwnSet& own_set() const override;
  void on_compared(const std::set<ResourceId>& objects) override { sandboxes_.look_at(objects); }
  Result<void> admit_deletion(std::set<ResourceId>& objects) const override {
    return sandboxes_.admit_deletion(objects);
  }
  void on_committed(const std::set<ResourceId>& concerned, const std::set<ResourceId>& deleted) override;

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

 private:
  struct BegunEndpoint {
    DockerEndpointAnswer answer;
    bool is_new = false;
  };
  // What is to be changed: begins it, and answers the objects that are waited for.
  using Begin = std::function<Result<std::set<ResourceId>>()>;
  DockerAgent(boost::asio::io_context& io, reconcile::Reconciler& reconciler, state::Store& store,
              FirewallBackend& forwards);

  Result<void> make_it_so(const char* what, const Begin& begin, Deadline deadline);
  void undo(const Begin& removal);

  // Of the loop's thread.
  Result<AddressPool> do_request_pool(const PoolRequest& request);
  Result<IpPrefix> do_request_address(const std::string& pool, const std::optional<IpAddress>& wanted,
                                      AddressUse use);
  Result<void> do_release_pool(const std::string& pool);
  Result<void> do_release_address(const std::string& pool, const IpAddress& address);

  Result<void> open_bridge(const std::string& network, Deadline deadline);
  Result<std::set<ResourceId>> begin_network(const DockerNetwork& network, bool& is_new);
  Result<std::set<ResourceId>> remove_network(const std::string& network);
  Result<std::set<ResourceId>> begin_endpoint(const DockerEndpoint& endpoint, BegunEndpoint& begun);
  Result<std::set<ResourceId>> remove_endpoint(const std::string& network, const std::string& endpoint);
  Result<std::set<ResourceId>> begin_join(const std::string& network, const std::string& endpoint,
                                          const std::string& sandbox, DockerJoin& answer);
  Result<std::set<ResourceId>> begin_leave(const std::string& network, const std::string& endpoint);
  // What the bridges of Docker's networks forward is let through.
  void sync_forward_rules(const std::set<ObjectUid>& networks = {});
  std::optional<ForwardRule> bridge_of(const DockerRecord& record) const;  // when one carries it
  // Of networks whose object somebody else removed.
  Result<void> prune_records();
  const DockerRecord* record_of(const std::string& network) const;
  Error missing_network(const std::string& id) const;  // when there is no record_of() it
  const desired::DesiredObject* find_endpoint(const std::string& network, const std::string& endpoint) const;
  std::string free_name(Kind kind, const std::string& id) const;
  std::set<ResourceId> stale_beside(const DockerEndpoint& endpoint, const DockerRecord& record) const;
  std::vector<RouteSpec> default_routes_for(const AttachmentSpec& endpoint, const DockerRecord& record) const;

  // What Docker forgot (audit.cpp); of the loop's thread.
  void ask_docker_in(std::chrono::seconds delay);
  void arm_question();
  void put_question();
  AuditQuery question_now();
  void apply_audit(const AuditResult& verdict);
  void docker_forgot(const std::string& network);
  void docker_knows(const std::string& network);
  std::string endpoints_of(const std::string& network, const DockerRecord& record) const;
  void forget_view(const std::string& id, const std::string& message);
  bool remove_forgotten(const std::vector<AskedEndpoint>& endpoints);
  // Of pools and addresses (ipam.cpp).
  void ask_for_pool(const AddressPool& pool, AuditQuery& question) const;
  void add_addresses_in_use(const DockerRecord& record, std::set<IpAddress>& used) const;
  void take_back_unused(const AuditResult& verdict);
  bool is_given_lately(const std::string& key) const;
  bool is_young(const std::string& id) const;
  void start_grace(const std::string& id);

  boost::asio::io_context& io_;
  reconcile::Reconciler& reconciler_;
  FirewallBackend& forwards_;
  state::Store& store_;
  Sandboxes sandboxes_;
  AddressPools pools_;                           // as the store has them
  std::map<std::string, DockerRecord> records_;  // likewise; by Docker's id of the network

  using SteadyTime = std::chrono::steady_clock::time_point;
  boost::asio::steady_timer ask_timer_;
  std::set<SteadyTime> due_;  // when Docker is to be asked
  const SteadyTime opened_ = std::chrono::steady_clock::now();
  std::chrono::seconds grace_period_ = kGracePeriod;  // as long as that what is made is young
  // Networks and endpoints made lately by Docker's id, pools and addresses given lately by their keys.
  std::map<std::string, SteadyTime> young_since_;
  std::set<std::string> orphans_;                            // Docker's ids of networks that it does not know
  std::unique_ptr<DockerInventoryClient> inventory_client_;  // nullptr: it is never asked
};

}  // namespace lanwright::docker_agent
