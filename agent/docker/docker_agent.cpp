#include "agent/docker/docker_agent.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "agent/host/log.h"
#include "agent/reconcile/on_loop.h"
#include "model/base/names.h"
#include "reconcilers/drivers/registry.h"
#include "reconcilers/os/on_loop.h"

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

DockerAgent::DockerAgent(boost::asio::io_context& io, reconcile::Reconciler& reconciler, state::Store& store,
                         FirewallBackend& forwards)
    : io_(io),
      reconciler_(reconciler),
      store_(store),
      forwards_(forwards),
      records_(reconciler),
      ipam_(store, reconciler, records_, grace_),
      sandboxes_(io, reconciler, *this),
      audit_(io, reconciler, *this, records_, ipam_, grace_,
             [this]() LANWRIGHT_ON_LOOP { follow_networks(); }),
      networks_(reconciler, *this, records_, ipam_, grace_, sandboxes_, audit_,
                [this]() LANWRIGHT_ON_LOOP { follow_networks(); }) {
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
  auto annexes = store.annexes(kController);
  if (!annexes) return annexes.error();
  std::unique_ptr<DockerAgent> agent(new DockerAgent(io, reconciler, store, forwards));
  for (AddressPool& pool : *pools) agent->ipam_.load(std::move(pool));
  for (const state::Annex& annex : *annexes) {
    auto record = docker_record_from(annex.body);
    if (!record) return record.error();
    agent->records_.put(annex.id, *std::move(record));
  }
  if (auto dropped = agent->networks_.drop_idle_records(); !dropped)  // harmless: nobody asks for them
    log::warning("what is kept of Docker's networks is not dropped yet", {{"error", dropped.error().text()}});
  agent->networks_.remove_unanswered();
  std::set<ObjectUid> ours;
  std::set<ResourceId> all;
  for (const auto& [id, entry] : reconciler.desired().entries()) {
    if (id.kind == Kind::network) ours.insert(entry->object.uid);
    all.insert(id);
  }
  agent->follow_networks(ours);
  // What the reconciler compared when it began was told to nobody.
  agent->sandboxes_.look_at(all);
  return agent;
}

Result<void> DockerAgent::search_for(const std::map<std::string, std::string>& plugins) {
  const auto searched = store_.annexes(kSearched);
  if (!searched) return searched.error();
  if (!searched->empty()) return {};
  std::set<std::string> names;
  for (const auto& [name, driver] : plugins) names.insert(name);
  restoration_.emplace(reconciler_, *this, records_, ipam_, networks_, plugins);
  audit_.search_for(std::move(names), [this](const std::vector<LostNetwork>& lost) LANWRIGHT_ON_LOOP {
    const bool all = restoration_->restore(lost);
    follow_networks();
    if (all) forwards_.sweep();
    return all;
  });
  return {};
}

bool DockerAgent::awaits_lost_networks() const {
  return restoration_ && audit_.can_ask() && store_.generation() == 0;
}

const reconcile::OwnSet& DockerAgent::own_set() const {
  static const reconcile::OwnSet set{kDockerSet,
                                     "it is Docker's: what is in it is made with `docker network create`",
                                     "that is a container's: stop the container, or disconnect it first"};
  return set;
}

void DockerAgent::follow_networks(const std::set<ObjectUid>& networks) {
  forwards_.want(records_.forward_rules(), networks);
  if (!switch_of_) return;
  std::map<std::string, std::string> switches = records_.switched();
  for (auto& [id, where] : switches) where = switch_of_(where);
  if (auto linked = switch_links_.want(switches); !linked)
    log::warning("there is no way to a switch by Docker's id", {{"error", linked.error().text()}});
}

Result<void> DockerAgent::link_switches(const std::filesystem::path& directory,
                                        std::function<std::string(const std::string&)> switch_of) {
  if (auto opened = switch_links_.open(directory); !opened) return opened;
  switch_of_ = std::move(switch_of);
  follow_networks();
  return {};
}

void DockerAgent::on_committed(const std::set<ResourceId>& concerned, const std::set<ResourceId>& deleted) {
  const auto is_network = [](const ResourceId& id) { return id.kind == Kind::network; };
  if (std::any_of(concerned.begin(), concerned.end(), is_network)) follow_networks();
  const bool ours =
      std::any_of(deleted.begin(), deleted.end(), [this](const ResourceId& id) LANWRIGHT_ON_LOOP {
        const desired::DesiredObject* object = reconciler_.desired().find(id);
        return object != nullptr && object->object.set == kDockerSet;
      });
  if (!ours) return;
  if (auto dropped = networks_.drop_idle_records(); !dropped)
    log::warning("what is kept of Docker's networks is dropped with the next start",
                 {{"error", dropped.error().text()}});
  audit_.ask_now();  // for the pools of these networks
}

// ---- DockerApi: IPAM, and what Docker lets know

Result<AddressPool> DockerAgent::request_pool(const PoolRequest& request, Deadline deadline) {
  return reconcile::on_loop<AddressPool>(
      io_, deadline, "make address pool",
      [this, request]() LANWRIGHT_ON_LOOP { return ipam_.request_pool(request); },
      reconcile::OnTimeout::never_runs);
}

Result<IpPrefix> DockerAgent::request_address(const std::string& pool, const std::optional<IpAddress>& wanted,
                                              AddressUse use, Deadline deadline) {
  return reconcile::on_loop<IpPrefix>(
      io_, deadline, "give an address",
      [this, pool, wanted, use]() LANWRIGHT_ON_LOOP { return ipam_.request_address(pool, wanted, use); },
      reconcile::OnTimeout::never_runs);
}

Result<void> DockerAgent::release_pool(const std::string& pool, Deadline deadline) {
  return reconcile::on_loop<void>(
      io_, deadline, "release address pool",
      [this, pool]() LANWRIGHT_ON_LOOP { return ipam_.release_pool(pool); },
      reconcile::OnTimeout::never_runs);
}

Result<void> DockerAgent::release_address(const std::string& pool, const IpAddress& address,
                                          Deadline deadline) {
  return reconcile::on_loop<void>(
      io_, deadline, "release address",
      [this, pool, address]() LANWRIGHT_ON_LOOP { return ipam_.release_address(pool, address); },
      reconcile::OnTimeout::never_runs);
}

void DockerAgent::on_dockerd_connected() {
  boost::asio::post(io_, [this] {
    os::assert_on_loop(io_);
    audit_.on_dockerd_connected();
  });
}

void DockerAgent::on_call_failed() {
  boost::asio::post(io_, [this] {
    os::assert_on_loop(io_);
    audit_.on_call_failed();
  });
}

void DockerAgent::on_deletion_lost() {
  boost::asio::post(io_, [this] {
    os::assert_on_loop(io_);
    audit_.on_deletion_lost();
  });
}

}  // namespace lanwright::docker_agent
