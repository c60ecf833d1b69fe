#include "agent/docker/restore.h"

#include <algorithm>
#include <utility>

#include "agent/host/log.h"
#include "reconcilers/drivers/registry.h"

namespace lanwright::docker_agent {
namespace {

// Several links of an ipvlan network have one MAC address.
bool has_any_address(const LinkFact& link, const std::vector<IpPrefix>& addresses) {
  return std::ranges::any_of(link.addresses, [&](const AddressFact& fact) {
    return std::ranges::find(addresses, fact.prefix.address,
                             [](const IpPrefix& each) { return each.address; }) != addresses.end();
  });
}

// A mark of nobody that is known.
std::optional<OwnerTag> lost_mark(const LinkFact& link, const desired::DesiredState& desired) {
  auto mark = OwnerTag::parse(link.alias);
  return mark && desired.find_uid(mark->uid) == nullptr ? mark : std::nullopt;
}

const LinkFact* find_lost_link(const NamespaceFacts& sandbox, const DockerEndpoint& endpoint,
                               const desired::DesiredState& desired) {
  for (const auto& [ifindex, link] : sandbox.links()) {
    if (!lost_mark(link, desired)) continue;
    const bool by_mac = endpoint.mac && link.mac == endpoint.mac;
    if (endpoint.addresses.empty() ? by_mac : has_any_address(link, endpoint.addresses)) return &link;
  }
  return nullptr;
}

}  // namespace

Restoration::Restoration(reconcile::Reconciler& reconciler, const reconcile::Controller& author,
                         const Records& records, Ipam& ipam, Networks& networks,
                         std::map<std::string, std::string> plugins)
    : reconciler_(reconciler),
      author_(author),
      records_(records),
      ipam_(ipam),
      networks_(networks),
      plugins_(std::move(plugins)) {}

bool Restoration::restore(const std::vector<LostNetwork>& lost) {
  bool all = true;
  for (const LostNetwork& network : lost) {
    const auto restored = restore(network);
    if (restored) continue;
    all = false;
    log::warning("a network of Docker's that this database does not know cannot be made again",
                 {{"docker network", network.id}, {"error", restored.error().text()}});
  }
  return all;
}

Result<void> Restoration::restore(const LostNetwork& lost) {
  if (auto pools = restore_pools(lost); !pools) return pools;
  const auto plugin = plugins_.find(lost.plugin);
  if (plugin == plugins_.end()) return {};  // another driver's, with addresses from here
  const auto network = network_from(lost, plugin->second, drivers::driver_grammar());
  if (!network) return network.error();
  const auto endpoints = endpoints_from(lost);
  if (!endpoints) return endpoints.error();
  bool is_new = false;
  const auto begun = networks_.create(*network, is_new, trace_of(*network));
  if (!begun) return begun.error();
  if (auto promised = networks_.promise(lost.id); !promised) return promised;
  const ResourceId id = network_id(records_.find(lost.id)->network);
  log::info("a network of Docker's is made again", {{"network", id.name}, {"docker network", lost.id}});
  reconciler_.record("Found", id, "Docker has it, and this database did not know it: it is made again");
  for (const LostEndpoint& endpoint : *endpoints) {
    const auto restored = restore(endpoint);
    if (restored) continue;
    log::warning("a container's endpoint is not made again", {{"error", restored.error().text()}});
    reconciler_.record("Warning", id, restored.error().text());
  }
  return {};
}

Result<void> Restoration::restore_pools(const LostNetwork& lost) {
  const auto pools = own_pools_from(lost);
  if (!pools) return pools.error();
  for (const LostPool& pool : *pools)
    if (auto restored = ipam_.restore(pool); !restored) return restored;
  return {};
}

// "" when nothing of it is there.
ObjectUid Restoration::trace_of(const DockerNetwork& network) const {
  if (!network.view_of.empty()) return {};
  const std::string name = networks_.free_name(Kind::network, network.id);
  const auto& observed = reconciler_.observed();
  if (const auto carrier = observed.switches.find(name);
      carrier != observed.switches.end() && reconciler_.desired().find_uid(carrier->second.uid) == nullptr)
    return carrier->second.uid;
  const drivers::Resources resources =
      drivers::find_driver(network.spec.driver)->network({name, {}, network.spec});
  for (const LinkSpec& link : resources.links) {
    const LinkFact* fact = !link.borrowed ? observed.find(link.at) : nullptr;
    const auto mark = fact != nullptr ? lost_mark(*fact, reconciler_.desired()) : std::nullopt;
    if (mark) return mark->uid;
  }
  return {};
}

Result<void> Restoration::restore(const LostEndpoint& lost) {
  const DockerEndpoint& endpoint = lost.endpoint;
  const DockerRecord* record = records_.find_declared(endpoint.network);
  if (record == nullptr) return records_.missing(endpoint.network);
  if (records_.find_endpoint(endpoint.network, endpoint.id) != nullptr) return {};
  reconciler_.look_into({lost.sandbox});
  const NamespaceFacts* sandbox = reconciler_.observed().find(lost.sandbox);
  const LinkFact* link = sandbox != nullptr && sandbox->present
                             ? find_lost_link(*sandbox, endpoint, reconciler_.desired())
                             : nullptr;
  if (link == nullptr)
    return Error{ErrorKind::not_found,
                 "find",
                 "the interface of Docker's endpoint " + endpoint.id.substr(0, kShortId),
                 0,
                 "there is none with its mark and its address in the sandbox " + lost.sandbox,
                 "restart the container"};
  AttachmentSpec spec;
  spec.network = record->network;
  spec.interface = link->name;
  spec.addresses = endpoint.addresses;
  spec.no_addresses = endpoint.addresses.empty();
  spec.mac = endpoint.mac;
  spec.endpoint = DelegatedEnd{endpoint.network, endpoint.id, lost.sandbox};
  spec.endpoint->asked_name = endpoint.interface;
  spec.endpoint->sysctls = endpoint.sysctls;
  spec.routes = networks_.default_routes_for(spec, *record);
  for (RouteSpec& route : spec.routes) route.automatic = false;
  reconcile::ChangeRequest change = change_of(author_);
  change.beside.until_boot = true;
  change.upsert.emplace(
      ResourceId{Kind::attachment, networks_.free_name(Kind::attachment, endpoint.id)},
      reconcile::ChangeRequest::Wanted{std::move(spec), false, OwnerTag::parse(link->alias)->uid});
  if (auto changed = reconciler_.submit(std::move(change)); !changed) return changed.error();
  return {};
}

}  // namespace lanwright::docker_agent
