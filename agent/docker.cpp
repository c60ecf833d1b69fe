#include "agent/docker.h"

#include <systemd/sd-id128.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "agent/log.h"
#include "agent/on_loop.h"
#include "model/names.h"
#include "reconcilers/drivers.h"

namespace lanwright {
namespace {

constexpr const char* kName = "lanwright";

Error bad_alias(const std::string& alias, std::string words, std::string hint = {}) {
  return {ErrorKind::invalid, "use --docker-alias", alias, 0, std::move(words), std::move(hint)};
}

std::string driver_names() {
  std::string names;
  for (const auto& driver : driver_grammar()) names += (names.empty() ? "" : ", ") + driver.name;
  return names;
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

Result<std::map<std::string, std::string>> docker_sockets(const std::vector<std::string>& aliases) {
  std::map<std::string, std::string> sockets{{kName, ""}};
  for (const auto& driver : driver_grammar())
    sockets.emplace(std::string(kName) + "-" + driver.name, driver.name);
  for (const std::string& alias : aliases) {
    const std::size_t equals = alias.find('=');
    if (equals == std::string::npos) return bad_alias(alias, "it is not NAME=DRIVER");
    const std::string name = alias.substr(0, equals);
    const std::string driver = alias.substr(equals + 1);
    if (!is_object_name(name))
      return bad_alias(alias, "`" + name + "` is no name for a plugin",
                       "use 1 to 63 of A-Z, a-z, 0-9, `.`, `_` and `-`");
    if (find_driver(driver) == nullptr)
      return bad_alias(alias, "there is no driver `" + driver + "`", "drivers are: " + driver_names());
    if (!sockets.emplace(name, driver).second) return bad_alias(alias, "`" + name + "` is there already");
  }
  return sockets;
}

DockerAgent::DockerAgent(boost::asio::io_context& io, Engine& engine, ForwardPort& forwards)
    : io_(io),
      engine_(engine),
      forwards_(forwards),
      store_(engine.store()),
      pools_(default_pools(site_id())),
      ask_timer_(io) {}

DockerAgent::~DockerAgent() {
  engine_.on_networks_changed = nullptr;
  engine_.on_docker_removed = nullptr;
}

Result<std::unique_ptr<DockerAgent>> DockerAgent::open(boost::asio::io_context& io, Engine& engine,
                                                       ForwardPort& forwards) {
  auto pools = engine.store().address_pools();
  if (!pools) return pools.error();
  auto networks = engine.store().docker_networks();
  if (!networks) return networks.error();
  std::unique_ptr<DockerAgent> agent(new DockerAgent(io, engine, forwards));
  for (AddressPool& pool : *pools) agent->pools_.put(std::move(pool));
  for (const StoredDockerNetwork& network : *networks) {
    auto record = docker_record_from(network.body);
    if (!record) return record.error();
    agent->records_.emplace(network.id, *std::move(record));
  }
  if (auto dropped = agent->drop_idle_records(); !dropped)  // harmless: nobody asks for them
    log::warning("what is kept of Docker's networks is not dropped yet", {{"error", dropped.error().text()}});
  std::set<Uid> ours;
  for (const auto& [id, entry] : engine.desired().entries()) {
    if (id.kind == Kind::network) ours.insert(entry->object.uid);
  }
  agent->let_bridges_forward(ours);
  engine.on_networks_changed = [docker = agent.get()] { docker->let_bridges_forward(); };
  engine.on_docker_removed = [&agent = *agent] {
    if (auto dropped = agent.drop_idle_records(); !dropped)
      log::warning("what is kept of Docker's networks is dropped with the next start",
                   {{"error", dropped.error().text()}});
  };
  return agent;
}

Result<AddressPool> DockerAgent::request_pool(const PoolRequest& request, Deadline deadline) {
  return on_loop<AddressPool>(
      io_, deadline, "make address pool", [this, request] { return do_request_pool(request); },
      Overtaken::never_happens);
}

Result<IpPrefix> DockerAgent::request_address(const std::string& pool, const std::optional<IpAddress>& wanted,
                                              AddressUse use, Deadline deadline) {
  return on_loop<IpPrefix>(
      io_, deadline, "give an address",
      [this, pool, wanted, use] { return do_request_address(pool, wanted, use); }, Overtaken::never_happens);
}

Result<void> DockerAgent::release_pool(const std::string& pool, Deadline deadline) {
  return on_loop<void>(
      io_, deadline, "release address pool", [this, pool] { return do_release_pool(pool); },
      Overtaken::never_happens);
}

Result<void> DockerAgent::release_address(const std::string& pool, const IpAddress& address,
                                          Deadline deadline) {
  return on_loop<void>(
      io_, deadline, "release address", [this, pool, address] { return do_release_address(pool, address); },
      Overtaken::never_happens);
}

Result<AddressPool> DockerAgent::do_request_pool(const PoolRequest& request) {
  auto pool = pools_.choose_pool(request);
  if (!pool) return pool;
  if (auto stored = store_.add_address_pool(*pool); !stored) return stored.error();
  pools_.put(*pool);
  log::info("address pool given to Docker", {{"pool", pool->id}});
  return pool;
}

Result<IpPrefix> DockerAgent::do_request_address(const std::string& pool,
                                                 const std::optional<IpAddress>& wanted, AddressUse use) {
  auto grant = pools_.choose_address(pool, wanted, use);
  if (!grant) return grant.error();
  if (auto stored = store_.give_address(pool, *grant); !stored) return stored.error();
  pools_.give(pool, *grant);
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

}  // namespace lanwright
