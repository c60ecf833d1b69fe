#include "agent/docker/networks.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "agent/host/log.h"
#include "model/base/names.h"
#include "reconcilers/drivers/registry.h"

namespace lanwright::docker_agent {
namespace {

constexpr std::size_t kLongestObjectName = 63;  // see model/base/names.h

Error unknown_endpoint(const std::string& id) {
  return {ErrorKind::not_found,
          "find",
          "Docker's endpoint " + id.substr(0, kShortId),
          0,
          "the agent does not know it",
          "start the container again"};
}

// As Docker's own bridge has it: the same address has the same MAC, also after a restart. Without an address
// it stays the same as long as the endpoint.
MacAddress mac_for(const DockerEndpoint& endpoint) {
  for (const IpPrefix& address : endpoint.addresses) {
    if (address.address.family != AF_INET) continue;
    MacAddress mac;
    mac.bytes = {0x02, 0x42, 0, 0, 0, 0};
    std::copy_n(address.address.bytes.begin(), 4, mac.bytes.begin() + 2);
    return mac;
  }
  return drivers::stable_mac(endpoint.id, drivers::kInnerRole);
}

const LinkSpec* delegated_link(const drivers::Resources& resources) {
  const auto found = std::find_if(resources.links.begin(), resources.links.end(),
                                  [](const LinkSpec& link) { return link.delegated; });
  return found == resources.links.end() ? nullptr : &*found;
}

Result<void> check_endpoint(const std::string& name, const AttachmentSpec& spec, const NetworkSpec& network) {
  Result<void> result;
  const auto complain = [&](const std::string& path, const std::string& message) {
    if (result) result = Error{ErrorKind::invalid, "make endpoint", name, 0, path + ": " + message, {}};
  };
  for (const DriverSchema& grammar : drivers::driver_grammar()) {
    if (grammar.name == network.driver && grammar.check_attachment)
      grammar.check_attachment(name, spec, network, complain);
  }
  return result;
}

// Sandboxes, and with them endpoints, end with the machine.
reconcile::ChangeRequest change_of_endpoints(const reconcile::Controller& author) {
  reconcile::ChangeRequest change = change_of(author);
  change.beside.until_boot = true;
  return change;
}

// Its members are on a LAN of the host's own, not beside the host on a parent.
bool is_of_ports(const std::string& driver) {
  const auto& grammar = drivers::driver_grammar();
  const auto found = std::ranges::find(grammar, driver, &DriverSchema::name);
  return found != grammar.end() && found->wiring == Wiring::ports;
}

bool share_an_address(const std::vector<IpPrefix>& a, const std::vector<IpPrefix>& b) {
  return std::any_of(a.begin(), a.end(), [&](const IpPrefix& one) {
    return std::any_of(b.begin(), b.end(),
                       [&](const IpPrefix& other) { return one.address == other.address; });
  });
}

}  // namespace

Networks::Networks(reconcile::Reconciler& reconciler, const reconcile::Controller& author, Records& records,
                   Ipam& ipam, GracePeriods& grace, const Sandboxes& sandboxes, Audit& audit,
                   std::function<void()> on_removed)
    : reconciler_(reconciler),
      author_(author),
      records_(records),
      ipam_(ipam),
      grace_(grace),
      sandboxes_(sandboxes),
      audit_(audit),
      on_removed_(std::move(on_removed)) {}

// Short as Docker shows it, longer where somebody else has that name.
std::string Networks::free_name(Kind kind, const std::string& id) const {
  std::size_t length = kShortId;
  while (length < id.size() && reconciler_.desired().find({kind, id.substr(0, length)}) != nullptr) ++length;
  return id.substr(0, std::min(length, kLongestObjectName));
}

// On a LAN whose gateway would be the host, there is one only where somebody is said to be it.
void Networks::drop_chosen_gateways(DockerNetwork& network) const {
  if (!network.view_of.empty() || !is_of_ports(network.spec.driver)) return;
  const DockerRecord* known = records_.find(network.id);
  for (std::size_t i = 0; i < network.pools.size(); ++i) {
    DockerPool& pool = network.pools[i];
    pool.chosen =
        known != nullptr ? i < known->pools.size() && known->pools[i].chosen : ipam_.chose_gateway(pool);
    if (pool.chosen) network.spec.subnets.at(i).gateway.reset();
  }
}

// Docker's IPAM before version 28 does not tell a gateway that it chose from one that was named.
void Networks::tell_of_gateways(const DockerNetwork& network, const ResourceId& id) {
  if (network.gateways_named || network.internal || !network.view_of.empty()) return;
  if (!is_of_ports(network.spec.driver)) return;
  for (const DockerPool& pool : network.pools) {
    if (!pool.gateway || pool.chosen || pool.gateway->address != pool.cidr.network().address.next()) continue;
    reconciler_.record("Warning", id,
                       "containers get a default route via " + pool.gateway->address.text() +
                           ", and the host does not have this address: unless somebody on the LAN does, say "
                           "--internal when you create the network (Docker before version 28 chooses a "
                           "gateway where none is named)");
  }
}

Result<std::set<ResourceId>> Networks::create(DockerNetwork network, bool& is_new, const ObjectUid& uid) {
  drop_chosen_gateways(network);
  DockerRecord record;
  record.view = !network.view_of.empty();
  record.internal = network.internal;
  record.interface_prefix = network.interface_prefix;
  record.pools = network.pools;
  record.network = network.view_of;
  if (record.view) {
    const auto* declared = reconciler_.desired().find(network_id(network.view_of));
    if (declared == nullptr || declared->object.deleting || declared->object.set == kDockerSet)
      return Error{ErrorKind::not_found,
                   "make a view of",
                   "network " + network.view_of,
                   0,
                   "there is no declared network of this name",
                   "declare it first: lanwright apply -f FILE"};
    const auto* spec = std::get_if<NetworkSpec>(declared->object.spec.get());
    const std::string driver = spec != nullptr ? spec->driver : std::string();
    if (!network.spec.driver.empty() && network.spec.driver != driver)
      return Error{ErrorKind::conflict,
                   "make a view of",
                   "network " + network.view_of,
                   0,
                   "it is declared with driver " + driver +
                       ", and the plugin that was called makes networks of driver " + network.spec.driver +
                       " only",
                   "use the plugin lanwright or lanwright-" + driver};
  }
  const DockerRecord* known = records_.find(network.id);
  record.answered = known != nullptr && known->answered;
  if (!record.view) record.network = known != nullptr ? known->network : free_name(Kind::network, network.id);
  const auto* object = record.view ? nullptr : reconciler_.desired().find(network_id(record.network));
  NetworkSpec wanted = network.spec;
  // People may have changed its uplinks since (`lanwright uplink`), which Docker does not know.
  if (known != nullptr && object != nullptr)
    wanted.uplinks = std::get<NetworkSpec>(*object->object.spec).uplinks;
  const bool is_another = object != nullptr && !object->object.deleting && object->object.spec &&
                          *object->object.spec != ObjectSpec(wanted);
  if (known != nullptr && (*known != record || is_another))
    return Error{ErrorKind::conflict,
                 "make",
                 "Docker's network " + network.id.substr(0, kShortId),
                 0,
                 "it is there already, and is another one",
                 "remove it first"};
  reconcile::ChangeRequest change = change_of(author_);
  change.beside.put_annexes.push_back({kController, network.id, text_of(record)});
  if (!record.view)
    change.upsert.emplace(network_id(record.network), reconcile::ChangeRequest::Wanted{wanted, false, uid});
  const std::set<ResourceId> waited{network_id(record.network)};
  const bool known_and_there = records_.find_declared(network.id) != nullptr;
  if (auto changed = reconciler_.submit(std::move(change)); !changed) return changed.error();
  is_new = !known_and_there;
  records_.put(network.id, record);
  if (is_new) grace_.start(network.id);
  if (is_new) tell_of_gateways(network, *waited.begin());
  audit_.network_is_known(network.id);
  // A declared network need not be whole: containers wait for it as others do.
  return record.view ? std::set<ResourceId>{} : waited;
}

Result<std::set<ResourceId>> Networks::remove(const std::string& network) {
  audit_.network_is_gone(network);
  const DockerRecord* record = records_.find(network);
  if (record == nullptr) return std::set<ResourceId>{};
  reconcile::ChangeRequest change = change_of(author_);
  change.beside.drop_annexes.push_back({kController, network, {}});
  if (!record->view) change.remove.insert(network_id(record->network));
  for (const ResourceId& id : records_.endpoints_of(network)) change.remove.insert(id);
  std::set<ResourceId> waited = change.remove;
  if (auto changed = reconciler_.submit(std::move(change)); !changed) return changed.error();
  records_.erase(network);
  on_removed_();
  return waited;
}

Result<void> Networks::promise(const std::string& network) {
  const DockerRecord* known = records_.find(network);
  if (known == nullptr || known->answered) return {};
  DockerRecord record = *known;
  record.answered = true;
  reconcile::ChangeRequest change = change_of(author_);
  change.beside.put_annexes.push_back({kController, network, text_of(record)});
  if (auto stored = reconciler_.submit(std::move(change)); !stored) return stored.error();
  records_.put(network, std::move(record));
  return {};
}

// What came of such a call Docker took for a failure, and it repeats none.
void Networks::remove_unanswered() {
  std::vector<std::string> unanswered;
  for (const auto& [id, record] : records_.all()) {
    if (!record.answered && records_.endpoints_of(id).empty()) unanswered.push_back(id);
  }
  for (const std::string& id : unanswered) {
    const std::string network = records_.find(id)->network;
    if (auto removed = remove(id); !removed) {
      log::warning("a network that Docker does not know is not removed yet",
                   {{"docker network", id}, {"error", removed.error().text()}});
      continue;
    }
    log::info("Docker was not told that the network is there, and does not know it: it is removed",
              {{"network", network}, {"docker network", id}});
  }
}

// Docker gives an address once: another endpoint that has it is one that Docker forgot when it was killed.
std::set<ResourceId> Networks::stale_beside(const DockerEndpoint& endpoint,
                                            const DockerRecord& record) const {
  std::set<ResourceId> stale;
  for (const ResourceId& id : reconciler_.desired().attachments_of(record.network)) {
    const AttachmentSpec* spec = endpoint_of(reconciler_.desired().find(id));
    if (spec == nullptr || spec->endpoint->endpoint == endpoint.id) continue;
    if (spec->endpoint->network == endpoint.network && share_an_address(spec->addresses, endpoint.addresses))
      stale.insert(id);
  }
  return stale;
}

Result<std::set<ResourceId>> Networks::create_endpoint(const DockerEndpoint& endpoint, BegunEndpoint& begun) {
  const DockerRecord* record = records_.find_declared(endpoint.network);
  if (record == nullptr) return records_.missing(endpoint.network);
  audit_.network_is_known(endpoint.network);
  const auto* network = reconciler_.desired().find(network_id(record->network));
  const auto& carrier = std::get<NetworkSpec>(*network->object.spec);
  if (const auto* known = records_.find_endpoint(endpoint.network, endpoint.id)) {
    const AttachmentSpec* spec = endpoint_of(known);
    if (spec->addresses != endpoint.addresses || (endpoint.mac && spec->mac != endpoint.mac) ||
        spec->endpoint->asked_name != endpoint.interface || spec->endpoint->sysctls != endpoint.sysctls)
      return Error{ErrorKind::conflict,
                   "make",
                   "Docker's endpoint " + endpoint.id.substr(0, kShortId),
                   0,
                   "it is there already, with other addresses or options",
                   "remove it first"};
    if (!endpoint.mac_given) begun.answer.mac = spec->mac;
    return std::set<ResourceId>{known->object.id};
  }
  AttachmentSpec spec;
  spec.network = record->network;
  spec.endpoint = DelegatedEnd{endpoint.network, endpoint.id};
  spec.endpoint->asked_name = endpoint.interface;
  spec.endpoint->sysctls = endpoint.sysctls;
  spec.addresses = endpoint.addresses;
  spec.no_addresses = endpoint.addresses.empty();
  spec.mac = endpoint.mac;
  const std::string name = free_name(Kind::attachment, endpoint.id);
  if (auto checked = check_endpoint(name, spec, carrier); !checked) return checked.error();
  // Links that share their parent's MAC have none of their own.
  const drivers::Driver* driver = drivers::find_driver(carrier.driver);
  const drivers::Resources resources =
      driver->attachment({name, endpoint.id, spec}, {record->network, network->object.uid, carrier});
  const LinkSpec* link = delegated_link(resources);
  if (link != nullptr && link->mac && !spec.mac) spec.mac = mac_for(endpoint);
  if (!endpoint.mac_given) begun.answer.mac = spec.mac;
  reconcile::ChangeRequest change = change_of_endpoints(author_);
  change.remove = stale_beside(endpoint, *record);
  std::set<ResourceId> waited{{Kind::attachment, name}};
  change.upsert.emplace(*waited.begin(), reconcile::ChangeRequest::Wanted{std::move(spec)});
  if (auto changed = reconciler_.submit(std::move(change)); !changed) return changed.error();
  begun.is_new = true;
  grace_.hold(endpoint.id);  // until it is answered
  return waited;
}

Result<std::set<ResourceId>> Networks::remove_endpoint(const std::string& network,
                                                       const std::string& endpoint) {
  const auto* known = records_.find_endpoint(network, endpoint);
  if (known == nullptr) return std::set<ResourceId>{};
  reconcile::ChangeRequest change = change_of_endpoints(author_);
  change.remove.insert(known->object.id);
  std::set<ResourceId> waited = change.remove;
  if (auto changed = reconciler_.submit(std::move(change)); !changed) return changed.error();
  return waited;
}

// What would lead out of a namespace that is attached: the network's driver says so, of the subnets that
// Docker knows.
std::vector<RouteSpec> Networks::default_routes_for(const AttachmentSpec& endpoint,
                                                    const DockerRecord& record) const {
  const auto* network = reconciler_.desired().find(network_id(record.network));
  NetworkSpec carrier = std::get<NetworkSpec>(*network->object.spec);
  carrier.subnets.clear();
  carrier.internal = record.internal;
  for (const DockerPool& pool : record.pools) {
    Subnet subnet;
    subnet.cidr = pool.cidr;
    if (pool.gateway && !pool.chosen) subnet.gateway = pool.gateway->address;
    carrier.subnets.push_back(std::move(subnet));
  }
  AttachmentSpec inside;
  inside.netns = "sandbox";
  inside.interface = "eth0";
  inside.addresses = endpoint.addresses;
  const drivers::Driver* driver = drivers::find_driver(carrier.driver);
  const drivers::Resources resources = driver->attachment({inside.interface, network->object.uid, inside},
                                                          {record.network, network->object.uid, carrier});
  for (const LinkSpec& link : resources.links) {
    if (!link.at.netns.empty()) return link.routes;
  }
  return {};
}

Result<std::set<ResourceId>> Networks::join(const std::string& network, const std::string& endpoint,
                                            const std::string& sandbox, DockerJoin& answer) {
  const DockerRecord* record = records_.find_declared(network);
  if (record == nullptr) return records_.missing(network);
  const auto* known = records_.find_endpoint(network, endpoint);
  if (known == nullptr) return unknown_endpoint(endpoint);
  if (auto free = sandboxes_.check_name(*known, sandbox); !free) return free.error();
  AttachmentSpec spec = *endpoint_of(known);
  DelegatedEnd end{network, endpoint, sandbox};
  end.asked_name = spec.endpoint->asked_name;
  end.sysctls = spec.endpoint->sysctls;
  spec.endpoint = std::move(end);
  spec.interface.clear();
  spec.routes = default_routes_for(spec, *record);
  answer.prefix = record->interface_prefix;
  answer.name = spec.endpoint->asked_name;
  answer.disable_gateway_service = true;
  for (RouteSpec& route : spec.routes) {
    route.automatic = false;
    const bool v6 = route.to.address.family == AF_INET6;
    if (route.via) {
      (v6 ? answer.gateway6 : answer.gateway) = route.via;
      answer.disable_gateway_service = false;
    } else {
      answer.routes.push_back({route.to, std::nullopt});
    }
  }
  const ResourceId id = known->object.id;
  reconcile::ChangeRequest change = change_of_endpoints(author_);
  change.upsert.emplace(id, reconcile::ChangeRequest::Wanted{std::move(spec)});
  if (auto changed = reconciler_.submit(std::move(change)); !changed) return changed.error();
  const drivers::Resources resources = reconciler_.desired().find(id)->compile();
  if (const LinkSpec* handed = delegated_link(resources)) answer.interface = handed->at.name;
  grace_.start(endpoint);
  return std::set<ResourceId>{id};
}

Result<std::set<ResourceId>> Networks::leave(const std::string& network, const std::string& endpoint) {
  const auto* known = records_.find_endpoint(network, endpoint);
  if (known == nullptr) return std::set<ResourceId>{};
  AttachmentSpec spec = *endpoint_of(known);
  spec.endpoint->left = true;
  reconcile::ChangeRequest change = change_of_endpoints(author_);
  change.upsert.emplace(known->object.id, reconcile::ChangeRequest::Wanted{std::move(spec)});
  if (auto changed = reconciler_.submit(std::move(change)); !changed) return changed.error();
  return std::set<ResourceId>{};
}

Result<void> Networks::drop_idle_records() {
  reconcile::ChangeRequest change = change_of(author_);
  std::vector<std::string> idle;
  for (const auto& [id, record] : records_.all()) {
    if (!record.view && records_.find_declared(id) == nullptr) idle.push_back(id);
  }
  if (idle.empty()) return {};
  for (const std::string& id : idle) change.beside.drop_annexes.push_back({kController, id, {}});
  if (auto dropped = reconciler_.submit(std::move(change)); !dropped) return dropped.error();
  for (const std::string& id : idle) {
    records_.erase(id);
    audit_.network_is_gone(id);
  }
  return {};
}

Result<std::map<std::string, std::string>> Networks::endpoint_info(const std::string& network,
                                                                   const std::string& endpoint) const {
  const auto* known = records_.find_endpoint(network, endpoint);
  if (known == nullptr) return unknown_endpoint(endpoint);
  const AttachmentSpec* spec = endpoint_of(known);
  std::map<std::string, std::string> info{{"lanwright.attachment", known->object.id.name},
                                          {"lanwright.network", spec->network}};
  if (!spec->interface.empty()) info["lanwright.interface"] = spec->interface;
  return info;
}

}  // namespace lanwright::docker_agent
