#include "agent/docker/docker_agent.h"

#include <systemd/sd-id128.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "agent/host/log.h"
#include "agent/reconcile/on_loop.h"
#include "model/base/names.h"
#include "reconcilers/drivers/registry.h"

namespace lanwright::docker_agent {
namespace {

constexpr const char* kName = "lanwright";

Error bad_alias(const std::string& alias, std::string words, std::string hint = {}) {
  return {ErrorKind::invalid, "use --docker-alias", alias, 0, std::move(words), std::move(hint)};
}

std::string driver_names() {
  std::string names;
  for (const auto& driver : drivers::driver_grammar()) names += (names.empty() ? "" : ", ") + driver.name;
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
  for (const auto& driver : drivers::driver_grammar())
    sockets.emplace(std::string(kName) + "-" + driver.name, driver.name);
  for (const std::string& alias : aliases) {
    const std::size_t equals = alias.find('=');
    if (equals == std::string::npos) return bad_alias(alias, "it is not NAME=DRIVER");
    const std::string name = alias.substr(0, equals);
    const std::string driver = alias.substr(equals + 1);
    if (!is_object_name(name))
      return bad_alias(alias, "`" + name + "` is no name for a plugin",
                       "use 1 to 63 of A-Z, a-z, 0-9, `.`, `_` and `-`");
    if (drivers::find_driver(driver) == nullptr)
      return bad_alias(alias, "there is no driver `" + driver + "`", "drivers are: " + driver_names());
    if (!sockets.emplace(name, driver).second) return bad_alias(alias, "`" + name + "` is there already");
  }
  return sockets;
}

reconcile::ChangeRequest change_of(const reconcile::Controller& author) {
  reconcile::ChangeRequest change;
  change.set = kDockerSet;
  change.author = &author;
  return change;
}

DockerAgent::DockerAgent(boost::asio::io_context& io, reconcile::Reconciler& reconciler, state::Store& store,
                         FirewallBackend& forwards)
    : io_(io),
      reconciler_(reconciler),
      forwards_(forwards),
      store_(store),
      sandboxes_(io, reconciler, *this),
      pools_(default_pools(site_id())),
      ask_timer_(io) {
  reconciler_.add(*this);
}

DockerAgent::~DockerAgent() {
  reconciler_.remove(*this);
}

Result<std::unique_ptr<DockerAgent>> DockerAgent::open(boost::asio::io_context& io,
                                                       reconcile::Reconciler& reconciler, state::Store& store,
                                                       FirewallBackend& forwards) {
  auto pools = store.address_pools();
  if (!pools) return pools.error();
  auto networks = store.docker_networks();
  if (!networks) return networks.error();
  std::unique_ptr<DockerAgent> agent(new DockerAgent(io, reconciler, store, forwards));
  for (AddressPool& pool : *pools) agent->pools_.put(std::move(pool));
  for (const state::StoredDockerNetwork& network : *networks) {
    auto record = docker_record_from(network.body);
    if (!record) return record.error();
    agent->records_.emplace(network.id, *std::move(record));
  }
  if (auto dropped = agent->prune_records(); !dropped)  // harmless: nobody asks for them
    log::warning("what is kept of Docker's networks is not dropped yet", {{"error", dropped.error().text()}});
  std::set<ObjectUid> ours;
  for (const auto& [id, entry] : reconciler.desired().entries()) {
    if (id.kind == Kind::network) ours.insert(entry->object.uid);
  }
  agent->sync_forward_rules(ours);
  return agent;
}

const reconcile::OwnSet& DockerAgent::own_set() const {
  static const reconcile::OwnSet set{kDockerSet,
                                     "it is Docker's: what is in it is made with `docker network create`",
                                     "that is a container's: stop the container, or disconnect it first"};
  return set;
}

void DockerAgent::on_committed(const std::set<ResourceId>& concerned, const std::set<ResourceId>& deleted) {
  const auto is_network = [](const ResourceId& id) { return id.kind == Kind::network; };
  if (std::any_of(concerned.begin(), concerned.end(), is_network)) sync_forward_rules();
  const bool ours = std::any_of(deleted.begin(), deleted.end(), [this](const ResourceId& id) {
    const desired::DesiredObject* object = reconciler_.desired().find(id);
    return object != nullptr && object->object.set == kDockerSet;
  });
  if (!ours) return;
  if (auto dropped = prune_records(); !dropped)
    log::warning("what is kept of Docker's networks is dropped with the next start",
                 {{"error", dropped.error().text()}});
  ask_docker();  // for the pools of these networks
}

}  // namespace lanwright::docker_agent
