// What Docker forgot without saying so: networks that it does not list are shown as orphaned, endpoints that
// were never joined and that it does not list are removed, and so are pools and addresses that nobody has.
// And what the agent forgot: once for each database, Docker is asked for networks that it made here and that
// are not known. Docker is asked when there is a reason to, never regularly, and nobody waits for its answer.
// Loop thread only.
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
#include "model/base/loop_thread.h"
#include "reconcilers/os/timer.h"

namespace lanwright::docker_agent {

class Audit {
 public:
  // Declares as `author`. `on_view_forgotten` is called after a view was forgotten. What it is given outlives
  // it.
  Audit(boost::asio::io_context& io, reconcile::Reconciler& reconciler, const reconcile::Controller& author,
        Records& records, Ipam& ipam, GracePeriods& grace, std::function<void()> on_view_forgotten);

  // Makes what the search found; whether all of it is made.
  using Restore = std::function<bool(const std::vector<LostNetwork>&)>;
  // Until a search has succeeded, Docker is asked for networks that it made by one of these plugins. Before
  // open().
  void search_for(std::set<std::string> plugins, Restore restore) LANWRIGHT_ON_LOOP;

  // From now on Docker is asked at this Unix socket ("": never): soon, and when one of the following says so.
  // What was made less than `grace` ago it may not list yet.
  void open(const std::string& socket, std::chrono::seconds grace = GracePeriods::kDefault) LANWRIGHT_ON_LOOP;
  bool can_ask() const LANWRIGHT_ON_LOOP { return client_ != nullptr; }
  void ask_now() LANWRIGHT_ON_LOOP;
  void on_dockerd_connected() LANWRIGHT_ON_LOOP;  // a dockerd calls for the first time
  void on_call_failed() LANWRIGHT_ON_LOOP;        // a call of Docker's for a network failed
  // Docker removed a network, and the agent that heard which one ended: with so many, what is in no
  // container and not known to Docker, is removed. Where Docker is never asked, an event of each that it may
  // have been tells people how to remove it.
  void on_deletion_lost() LANWRIGHT_ON_LOOP;

  enum class Question { none, due, open };
  Question question() const LANWRIGHT_ON_LOOP;  // the one at hand

  // Docker has this network, which it may not have listed.
  void network_is_known(const std::string& network) LANWRIGHT_ON_LOOP;
  // Docker removes it, or somebody else has.
  void network_is_gone(const std::string& network) LANWRIGHT_ON_LOOP;

 private:
  void ask_in(std::chrono::seconds delay) LANWRIGHT_ON_LOOP;
  void arm() LANWRIGHT_ON_LOOP;
  void on_due() LANWRIGHT_ON_LOOP;
  void ask() LANWRIGHT_ON_LOOP;
  AuditQuery query() const LANWRIGHT_ON_LOOP;
  void take_in(std::vector<LostNetwork> lost) LANWRIGHT_ON_LOOP;
  void apply(const AuditResult& result) LANWRIGHT_ON_LOOP;
  void network_is_forgotten(const std::string& network) LANWRIGHT_ON_LOOP;
  bool is_in_use(const std::string& network) const LANWRIGHT_ON_LOOP;
  void tell_of_lost_deletion() LANWRIGHT_ON_LOOP;
  bool remove_deleted(const std::vector<std::string>& orphaned) LANWRIGHT_ON_LOOP;
  void forget_view(const std::string& network, const std::string& message) LANWRIGHT_ON_LOOP;
  bool remove_forgotten(const std::vector<AskedEndpoint>& endpoints) LANWRIGHT_ON_LOOP;
  std::string names_of_endpoints(const std::string& network) const LANWRIGHT_ON_LOOP;

  boost::asio::io_context& io_;
  reconcile::Reconciler& reconciler_;
  const reconcile::Controller& author_;
  Records& records_;
  Ipam& ipam_;
  GracePeriods& grace_;
  std::function<void()> on_view_forgotten_;
  os::Timer timer_;
  std::set<os::SteadyTime> due_;  // when Docker is to be asked
  struct {
    std::set<std::string> plugins;  // empty: nothing is searched for
    Restore restore;
  } search_;
  std::size_t lost_deletions_ = 0;
  std::size_t asked_of_ = 0;                       // of these, before Docker was asked
  std::set<std::string> gone_;                     // ids of networks that went while Docker was asked
  std::set<std::string> orphans_;                  // Docker's ids of networks that it does not know
  std::unique_ptr<DockerInventoryClient> client_;  // nullptr: it is never asked
};

}  // namespace lanwright::docker_agent
