#include "agent/docker/ipam.h"

#include <systemd/sd-id128.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "agent/host/log.h"

namespace lanwright::docker_agent {
namespace {

// Beside Docker's ids of networks and endpoints.
std::string age_key(const std::string& pool, const IpAddress& address) {
  return pool + " " + address.text();
}

bool is_of(const DockerPool& part, const AddressPool& pool) {
  return part.space == pool.space && part.cidr == pool.cidr;
}

bool has_pool(const DockerRecord& record, const AddressPool& pool) {
  return std::any_of(record.pools.begin(), record.pools.end(),
                     [&](const DockerPool& each) { return is_of(each, pool); });
}

// The same for every start on this machine, and not the machine's own id, which is to stay confidential
// (machine-id(5)).
std::array<std::uint8_t, 5> site_id() {
  // Drawn once for this purpose.
  constexpr sd_id128_t kPurpose =
      SD_ID128_MAKE(3b, 8e, 51, c7, 0d, a2, 4f, 69, 9c, 14, e6, 72, 5a, 83, b0, 1f);
  std::array<std::uint8_t, 5> site{};
  sd_id128_t id{};
  const int failed = sd_id128_get_machine_app_specific(kPurpose, &id);
  if (failed < 0) {
    log::warning("the machine has no id: its default IPv6 pools may be those of another",
                 {{"error", strerrordesc_np(-failed)}});
    id = kPurpose;
  }
  std::copy_n(std::begin(id.bytes), site.size(), site.begin());
  return site;
}

}  // namespace

Ipam::Ipam(state::Store& store, const reconcile::Reconciler& reconciler, const Records& records,
           GracePeriods& grace)
    : store_(store),
      reconciler_(reconciler),
      records_(records),
      grace_(grace),
      pools_(default_pools(site_id())) {}

Result<AddressPool> Ipam::request_pool(const PoolRequest& request) {
  auto pool = pools_.choose_pool(request);
  if (!pool) return pool;
  if (auto stored = store_.add_address_pool(*pool); !stored) return stored.error();
  pools_.put(*pool);
  grace_.start(pool->id);
  log::info("address pool given to Docker", {{"pool", pool->id}});
  return pool;
}

Result<IpPrefix> Ipam::request_address(const std::string& pool, const std::optional<IpAddress>& wanted,
                                       AddressUse use) {
  auto grant = pools_.choose_address(pool, wanted, use);
  if (!grant) return grant.error();
  if (auto stored = store_.give_address(pool, *grant); !stored) return stored.error();
  pools_.give(pool, *grant);
  grace_.start(age_key(pool, grant->address.address));
  if (use == AddressUse::gateway && !wanted) chosen_gateways_.emplace(pool, grant->address.address);
  log::debug("address given to Docker", {{"pool", pool}, {"address", grant->address.text()}});
  return grant->address;
}

Result<void> Ipam::release_pool(const std::string& pool) {
  if (pools_.find(pool) == nullptr) return {};
  if (auto stored = store_.drop_address_pool(pool); !stored) return stored;
  pools_.drop(pool);
  std::erase_if(chosen_gateways_, [&](const auto& each) { return each.first == pool; });
  log::info("address pool released by Docker", {{"pool", pool}});
  return {};
}

Result<void> Ipam::release_address(const std::string& pool, const IpAddress& address) {
  const AddressPool* found = pools_.find(pool);
  if (found == nullptr || !found->given.contains(address)) return {};
  if (auto stored = store_.take_address_back(pool, address); !stored) return stored;
  pools_.take_back(pool, address);
  chosen_gateways_.erase({pool, address});
  log::debug("address released by Docker", {{"pool", pool}, {"address", address.text()}});
  return {};
}

Result<void> Ipam::restore(const LostPool& lost) {
  const PoolRequest& request = lost.request;
  const auto cidr = IpPrefix::parse(request.cidr);
  const auto range = IpPrefix::parse(request.range);
  std::string id;
  for (const auto& [known, pool] : pools_.pools())
    if (pool.space == request.space && cidr && pool.cidr == cidr->network() &&
        pool.range == (range ? std::optional(range->network()) : std::nullopt))
      id = known;
  if (id.empty()) {
    const auto pool = request_pool(request);
    if (!pool) return pool.error();
    id = pool->id;
  }
  if (lost.chosen) chosen_gateways_.emplace(id, *lost.chosen);
  for (const IpAddress& address : lost.given) {
    const AddressPool* pool = pools_.find(id);
    if (!pool->cidr.contains(address) || pool->given.contains(address)) continue;
    if (auto again = request_address(id, address, AddressUse::interface); !again) return again.error();
  }
  return {};
}

bool Ipam::chose_gateway(const DockerPool& pool) const {
  return pool.gateway && std::ranges::any_of(pools_.pools(), [&](const auto& each) {
           return is_of(pool, each.second) && chosen_gateways_.contains({each.first, pool.gateway->address});
         });
}

// ---- what Docker gave up unheard

// Addresses of the pools of this network that somebody has, as far as the agent knows.
void Ipam::add_addresses_in_use(const DockerRecord& record, std::set<IpAddress>& used) const {
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
void Ipam::ask_for_pool(const AddressPool& pool, AuditQuery& question) const {
  AskedPool asked{pool.id, pool.cidr, {}, {}};
  std::set<IpAddress> used;
  for (const auto& [id, record] : records_.all()) {
    if (!has_pool(record, pool)) continue;
    asked.networks.push_back(id);
    add_addresses_in_use(record, used);
  }
  if (asked.networks.empty()) {
    if (grace_.may_be_in(pool.id))
      question.too_young = true;
    else
      question.pools.push_back(std::move(asked));
    return;
  }
  for (const IpAddress& address : pool.given) {
    if (used.contains(address)) continue;
    if (grace_.may_be_in(age_key(pool.id, address)))
      question.too_young = true;
    else
      asked.doubtful.insert(address);
  }
  if (!asked.doubtful.empty()) question.pools.push_back(std::move(asked));
}

// What was asked for and given anew since Docker was asked is in doubt no more.
void Ipam::take_back_unused(const AuditResult& verdict) {
  AuditQuery now;
  ask_for_unused(now);
  const auto still = [&](const std::string& pool) {
    return std::find_if(now.pools.begin(), now.pools.end(),
                        [&](const AskedPool& asked) { return asked.id == pool; });
  };
  std::vector<Result<void>> results;
  for (const std::string& id : verdict.free_pools) {
    const auto asked = still(id);
    if (asked == now.pools.end() || !asked->networks.empty()) continue;
    log::info("no network of Docker's has the address pool", {{"pool", id}});
    results.push_back(release_pool(id));
  }
  for (const auto& [id, address] : verdict.free_addresses) {
    const auto asked = still(id);
    if (asked == now.pools.end() || !asked->doubtful.contains(address)) continue;
    log::info("no endpoint of Docker's has the address", {{"pool", id}, {"address", address.text()}});
    results.push_back(release_address(id, address));
  }
  for (const auto& result : results)
    if (!result)
      log::warning("what Docker does not use is not taken back yet", {{"error", result.error().text()}});
}

void Ipam::ask_for_unused(AuditQuery& query) const {
  for (const auto& [id, pool] : pools_.pools()) ask_for_pool(pool, query);
}

}  // namespace lanwright::docker_agent
