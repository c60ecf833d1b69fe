// Docker's IPAM: pools and addresses, given and taken back as it asks, stored before it is answered; and what
// it gave up while nobody listened here, found when it is asked what it has. Loop thread only.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>

#include "agent/docker/grace.h"
#include "agent/docker/inventory.h"
#include "agent/docker/lost.h"
#include "agent/docker/records.h"
#include "api/docker/docker_api.h"
#include "model/address_pools.h"
#include "model/base/loop_thread.h"
#include "state/store.h"

namespace lanwright::docker_agent {

class Ipam {
 public:
  // What it is given outlives it.
  Ipam(state::Store& store, const reconcile::Reconciler& reconciler, const Records& records,
       GracePeriods& grace);

  void load(AddressPool pool) LANWRIGHT_ON_LOOP { pools_.put(std::move(pool)); }
  bool is_empty() const LANWRIGHT_ON_LOOP { return pools_.pools().empty(); }

  // See DockerApi.
  Result<AddressPool> request_pool(const PoolRequest& request) LANWRIGHT_ON_LOOP;
  Result<IpPrefix> request_address(const std::string& pool, const std::optional<IpAddress>& wanted,
                                   AddressUse use) LANWRIGHT_ON_LOOP;
  Result<void> release_pool(const std::string& pool) LANWRIGHT_ON_LOOP;
  Result<void> release_address(const std::string& pool, const IpAddress& address) LANWRIGHT_ON_LOOP;

  // Whether the gateway of this pool of a network was chosen here, since this agent began, as none was named.
  bool chose_gateway(const DockerPool& pool) const LANWRIGHT_ON_LOOP;

  // Of a network that was made before this database was: the pool, if it is not there, and what is given of
  // it.
  Result<void> restore(const LostPool& lost) LANWRIGHT_ON_LOOP;

  // Adds the pools and addresses that nobody here is known to have.
  void ask_for_unused(AuditQuery& query) const LANWRIGHT_ON_LOOP;
  void take_back_unused(const AuditResult& result) LANWRIGHT_ON_LOOP;

 private:
  void ask_for_pool(const AddressPool& pool, AuditQuery& query) const LANWRIGHT_ON_LOOP;
  void add_addresses_in_use(const DockerRecord& record, std::set<IpAddress>& used) const LANWRIGHT_ON_LOOP;

  state::Store& store_;
  const reconcile::Reconciler& reconciler_;
  const Records& records_;
  GracePeriods& grace_;
  AddressPools pools_;                                           // as the store has them
  std::set<std::pair<std::string, IpAddress>> chosen_gateways_;  // by pool
};

}  // namespace lanwright::docker_agent
