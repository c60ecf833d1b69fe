// Docker's IPAM: pools and addresses, given and taken back as it asks; and what it gave up while nobody
// listened here, found when it is asked what it has.
#include <algorithm>

#include "agent/docker/docker_agent.h"
#include "agent/host/log.h"
#include "agent/reconcile/on_loop.h"

namespace lanwright::docker_agent {
namespace {

// Beside Docker's ids of networks and endpoints.
std::string age_key(const std::string& pool, const IpAddress& address) {
  return pool + " " + address.text();
}

bool has_pool(const DockerRecord& record, const AddressPool& pool) {
  return std::any_of(record.pools.begin(), record.pools.end(), [&](const DockerPool& each) {
    return each.space == pool.space && each.cidr == pool.cidr;
  });
}

}  // namespace

Result<AddressPool> DockerAgent::request_pool(const PoolRequest& request, Deadline deadline) {
  return reconcile::on_loop<AddressPool>(
      io_, deadline, "make address pool", [this, request] { return do_request_pool(request); },
      reconcile::OnTimeout::never_runs);
}

Result<IpPrefix> DockerAgent::request_address(const std::string& pool, const std::optional<IpAddress>& wanted,
                                              AddressUse use, Deadline deadline) {
  return reconcile::on_loop<IpPrefix>(
      io_, deadline, "give an address",
      [this, pool, wanted, use] { return do_request_address(pool, wanted, use); },
      reconcile::OnTimeout::never_runs);
}

Result<void> DockerAgent::release_pool(const std::string& pool, Deadline deadline) {
  return reconcile::on_loop<void>(
      io_, deadline, "release address pool", [this, pool] { return do_release_pool(pool); },
      reconcile::OnTimeout::never_runs);
}

Result<void> DockerAgent::release_address(const std::string& pool, const IpAddress& address,
                                          Deadline deadline) {
  return reconcile::on_loop<void>(
      io_, deadline, "release address", [this, pool, address] { return do_release_address(pool, address); },
      reconcile::OnTimeout::never_runs);
}

Result<AddressPool> DockerAgent::do_request_pool(const PoolRequest& request) {
  auto pool = pools_.choose_pool(request);
  if (!pool) return pool;
  if (auto stored = store_.add_address_pool(*pool); !stored) return stored.error();
  pools_.put(*pool);
  start_grace(pool->id);
  log::info("address pool given to Docker", {{"pool", pool->id}});
  return pool;
}

Result<IpPrefix> DockerAgent::do_request_address(const std::string& pool,
                                                 const std::optional<IpAddress>& wanted, AddressUse use) {
  auto grant = pools_.choose_address(pool, wanted, use);
  if (!grant) return grant.error();
  if (auto stored = store_.give_address(pool, *grant); !stored) return stored.error();
  pools_.give(pool, *grant);
  start_grace(age_key(pool, grant->address.address));
  log::debug("address given to Docker", {{"pool", pool}, {"address", grant->address.text()}});
  return grant->address;
}

Result<void> DockerAgent::do_release_pool(const std::string& pool) {
  if (pools_.find(pool) == nullptr) return {};
  if (auto stored = store_.drop_address_pool(pool); !stored) return stored;
  pools_.drop(pool);
  log::info("address pool released by Docker", {{"pool", pool}});
  return {};
}

Result<void> DockerAgent::do_release_address(const std::string& pool, const IpAddress& address) {
  const AddressPool* found = pools_.find(pool);
  if (found == nullptr || !found->given.contains(address)) return {};
  if (auto stored = store_.take_address_back(pool, address); !stored) return stored;
  pools_.take_back(pool, address);
  log::debug("address released by Docker", {{"pool", pool}, {"address", address.text()}});
  return {};
}

// ---- what Docker gave up unheard

// Addresses of the pools of this network that somebody has, as far as the agent knows.
void DockerAgent::add_addresses_in_use(const DockerRecord& record, std::set<IpAddress>& used) const {
  for (const DockerPool& pool : record.pools) {
    if (pool.gateway) used.insert(pool.gateway->address);
    for (const auto& [name, address] : pool.auxiliary) used.insert(address.address);
  }
  for (const ResourceId& id : reconciler_.desired().attachments_of(record.network)) {
    const auto* entry = reconciler_.desired().find(id);
    const auto* spec = std::get_if<AttachmentSpec>(entry->object.spec.get());
    if (spec == nullptr || entry->object.deleting) continue;
    for (const IpPrefix& address : spec->addresses) used.insert(address.address);
  }
}

// Of a network that nobody here knows, which may be another driver's, addresses are Docker's business.
void DockerAgent::ask_for_pool(const AddressPool& pool, AuditQuery& question) const {
  AskedPool asked{pool.id, pool.cidr, {}, {}};
  std::set<IpAddress> used;
  for (const auto& [id, record] : records_) {
    if (!has_pool(record, pool)) continue;
    asked.networks.push_back(id);
    add_addresses_in_use(record, used);
  }
  if (asked.networks.empty()) {
    if (is_given_lately(pool.id))
      question.too_young = true;
    else
      question.pools.push_back(std::move(asked));
    return;
  }
  for (const IpAddress& address : pool.given) {
    if (used.contains(address)) continue;
    if (is_given_lately(age_key(pool.id, address)))
      question.too_young = true;
    else
      asked.doubtful.insert(address);
  }
  if (!asked.doubtful.empty()) question.pools.push_back(std::move(asked));
}

// What was asked for and given anew since Docker was asked is in doubt no more.
void DockerAgent::take_back_unused(const AuditResult& verdict) {
  AuditQuery now;
  for (const auto& [id, pool] : pools_.pools()) ask_for_pool(pool, now);
  const auto still = [&](const std::string& pool) {
    return std::find_if(now.pools.begin(), now.pools.end(),
                        [&](const AskedPool& asked) { return asked.id == pool; });
  };
  std::vector<Result<void>> results;
  for (const std::string& id : verdict.free_pools) {
    const auto asked = still(id);
    if (asked == now.pools.end() || !asked->networks.empty()) continue;
    log::info("no network of Docker's has the address pool", {{"pool", id}});
    results.push_back(do_release_pool(id));
  }
  for (const auto& [id, address] : verdict.free_addresses) {
    const auto asked = still(id);
    if (asked == now.pools.end() || !asked->doubtful.contains(address)) continue;
    log::info("no endpoint of Docker's has the address", {{"pool", id}, {"address", address.text()}});
    results.push_back(do_release_address(id, address));
  }
  for (const auto& result : results)
    if (!result)
      log::warning("what Docker does not use is not taken back yet", {{"error", result.error().text()}});
}

// What was given before this agent began may have been given a moment before.
bool DockerAgent::is_given_lately(const std::string& key) const {
  return is_young(key) || std::chrono::steady_clock::now() - opened_ < grace_period_;
}

}  // namespace lanwright::docker_agent
