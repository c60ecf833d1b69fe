// What Docker forgot without saying so: networks that it does not list are shown as orphaned, endpoints that
// were never joined and that it does not list are removed, and so are pools and addresses that nobody has.
// Docker is asked when there is a reason to, never regularly, and nobody waits for its answer. Loop thread
// only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/docker/grace.h"
#include "agent/docker/inventory.h"
#include "agent/docker/ipam.h"
#include "agent/docker/records.h"
#include "agent/reconcile/reconciler.h"
#include "reconcilers/os/timer.h"

namespace lanwright::docker_agent {

class Audit {
 public:
  // Declares as `author`. `on_view_forgotten` is called after a view was forgotten. What it is given outlives
  // it.
  Audit(boost::asio::io_context& io, reconcile::Reconciler& reconciler, const reconcile::Controller& author,
        Records& records, Ipam& ipam, GracePeriods& grace, std::function<void()> on_view_forgotten);

  // From now on Docker is asked at this Unix socket ("": never): soon, and when one of the following says so.
  // What was made less than `grace` ago it may not list yet.
  void open(const std::string& socket, std::chrono::seconds grace = GracePeriods::kDefault);
  void ask_now();
  void on_dockerd_connected();  // a dockerd calls for the first time
  void on_call_failed();        // a call of Docker's for a network failed

  enum class Question { none, due, open };
  Question question() const;  // the one at hand

  // Docker has this network, which it may not have listed.
  void network_is_known(const std::string& network);
  void network_is_gone(const std::string& network) { orphans_.erase(network); }

 private:
  void ask_in(std::chrono::seconds delay);
  void arm();
  void on_due();
  void ask();
  AuditQuery query() const;
  void apply(const AuditResult& result);
  void network_is_forgotten(const std::string& network);
  void forget_view(const std::string& network, const std::string& message);
  bool remove_forgotten(const std::vector<AskedEndpoint>& endpoints);
  std::string names_of_endpoints(const std::string& network) const;

  boost::asio::io_context& io_;
  reconcile::Reconciler& reconciler_;
  const reconcile::Controller& author_;
  Records& records_;
  Ipam& ipam_;
  GracePeriods& grace_;
  std::function<void()> on_view_forgotten_;
  os::Timer timer_;
  std::set<os::SteadyTime> due_;                   // when Docker is to be asked
  std::set<std::string> orphans_;                  // Docker's ids of networks that it does not know
  std::unique_ptr<DockerInventoryClient> client_;  // nullptr: it is never asked
};

}  // namespace lanwright::docker_agent
