#include "reconcilers/desired/desired_state.h"

#include <sys/socket.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "reconcilers/desired/shared_links.h"
#include "reconcilers/drivers/registry.h"
#include "reconcilers/drivers/vlan.h"
#include "reconcilers/kinds/macvlan.h"
#include "reconcilers/kinds/sharing.h"

namespace lanwright::desired {
namespace {

template <class Map, class Key>
void drop(Map& map, const Key& key, const DesiredObject* entry) {
  const auto found = map.find(key);
  if (found == map.end()) return;
  found->second.erase(entry);
  if (found->second.empty()) map.erase(found);
}

template <class Map, class Key>
std::vector<const DesiredObject*> listed(const Map& map, const Key& key) {
  const auto found = map.find(key);
  if (found == map.end()) return {};
  std::vector<const DesiredObject*> entries(found->second.begin(), found->second.end());
  std::sort(entries.begin(), entries.end(),
            [](const DesiredObject* a, const DesiredObject* b) { return a->object.id < b->object.id; });
  return entries;
}

// What a link that the object makes is called by.
std::vector<LinkName> names_of(const LinkSpec& link) {
  if (link.borrowed) return {};
  std::vector<LinkName> names = {link.at};
  if (!link.altname.empty()) names.push_back({link.at.netns, link.altname});
  return names;
}

// What all that the object makes is called by. The local port of a bridge of Open vSwitch is a link that the
// agent does not make itself.
std::vector<LinkName> names_of(const drivers::Resources& resources) {
  std::vector<LinkName> names;
  for (const LinkSpec& link : resources.links) {
    for (LinkName& name : names_of(link)) names.push_back(std::move(name));
  }
  if (resources.ovs_bridge) names.push_back({"", resources.ovs_bridge->name});
  return names;
}

const std::string kDatapathId = "datapath id ";

// What controllers tell bridges and their ports apart by, where it was chosen.
std::vector<std::string> openflow_identifiers(const drivers::Resources& resources) {
  std::vector<std::string> all;
  if (resources.ovs_bridge && resources.ovs_bridge->datapath_id)
    all.push_back(kDatapathId + *resources.ovs_bridge->datapath_id);
  for (const OvsPortSpec& port : resources.ovs_ports) {
    if (port.ofport)
      all.push_back("OpenFlow port " + std::to_string(*port.ofport) + " of bridge " + port.bridge);
  }
  return all;
}

const std::string* driver_of(const Declaration& object) {
  const auto* spec = std::get_if<NetworkSpec>(object.spec.get());
  return spec != nullptr ? &spec->driver : nullptr;
}

// The links that these stand on or in: others', or of the same object.
std::vector<LinkName> used_by(const drivers::Resources& resources) {
  std::vector<LinkName> used;
  for (const ParentUse& use : resources.parents) used.push_back({"", use.name});
  for (const LinkSpec& link : resources.links) {
    if (link.borrowed) used.push_back(link.at);
    if (!link.master.empty()) used.push_back({link.at.netns, link.master});
    if (!link.parent.empty()) used.push_back({"", link.parent});
  }
  return used;
}

const std::string* network_of(const Declaration& object) {
  const auto* spec = std::get_if<AttachmentSpec>(object.spec.get());
  return spec != nullptr ? &spec->network : nullptr;
}

// Of the parent and the uplinks of a network, those that are the name of a VLAN link.
std::vector<std::string> vlans_below(const Declaration& object) {
  std::vector<std::string> names;
  const auto* spec = std::get_if<NetworkSpec>(object.spec.get());
  if (spec == nullptr) return names;
  if (vlan_named(spec->parent)) names.push_back(spec->parent);
  for (const Uplink& uplink : spec->uplinks)
    if (vlan_named(uplink.interface)) names.push_back(uplink.interface);
  return names;
}

// A network's own bridge may have ports of the network, its own dummy links; a link may not be its own
// parent.
bool stands_on_itself(const drivers::Resources& resources, const LinkName& used) {
  return std::any_of(resources.links.begin(), resources.links.end(), [&](const LinkSpec& link) {
    return link.at == used && (link.borrowed || link.parent == used.name);
  });
}

Error invalid(std::string object, std::string words, std::string hint) {
  return {ErrorKind::invalid, "declare", std::move(object), 0, std::move(words), std::move(hint)};
}

// The metric of the routes that the kernel makes itself to where an interface has addresses: 0 for IPv4,
// IP6_RT_PRIO_ADDRCONF for IPv6.
constexpr std::uint32_t kConnectedMetric6 = 256;

// A place in the routing table of a namespace, for one route.
std::optional<RoutePlace> place_of(const LinkSpec& link, const RouteSpec& route) {
  // The network's gateway is not declared (see planning::Addresses), and of default routes in what is
  // somebody else's he has his choice.
  if (route.automatic || (link.delegated && route.to.length == 0)) return std::nullopt;
  return RoutePlace{link.at.netns, route.to.network(), effective_metric(route)};
}

// Of the route that the kernel makes when the link is given this address.
std::optional<RoutePlace> place_of(const LinkSpec& link, const IpPrefix& address) {
  const bool v6 = address.address.family == AF_INET6;
  if (link.delegated || (!v6 && address.length == 32)) return std::nullopt;
  return RoutePlace{link.at.netns, address.network(), v6 ? kConnectedMetric6 : 0};
}

template <class Call>
void each_route_place(const drivers::Resources& resources, Call call) {
  for (const LinkSpec& link : resources.links) {
    for (const RouteSpec& route : link.routes) {
      if (const auto place = place_of(link, route)) call(*place, false);
    }
    for (const IpPrefix& address : link.addresses) {
      if (const auto place = place_of(link, address)) call(*place, true);
    }
  }
}

// Why the kernel would find no neighbour at this address; "" when it would, or when addresses that are not
// declared decide it. (On IPv6's link-local ones every link is.)
std::string why_unreachable(const LinkSpec& link, const RouteSpec& route) {
  static const IpPrefix kLinkLocal = IpPrefix::parse("fe80::/10").value();
  if (!route.via || route.onlink || route.automatic || link.delegated || kLinkLocal.contains(*route.via))
    return {};
  const std::string router = "its route to " + route.to.text() + " is via " + route.via->text();
  bool any = false;
  for (const IpPrefix& address : link.addresses) {
    if (address.address == *route.via) return router + ", which is its own address";
    if (address.contains(*route.via)) return {};
    any = any || address.address.family == route.via->family;
  }
  const bool by_route = std::any_of(link.routes.begin(), link.routes.end(), [&](const RouteSpec& other) {
    return !other.via && other.to.contains(*route.via);
  });
  return any && !by_route ? router + ", which none of its addresses covers" : "";
}

// Of a link on one that is declared with an MTU.
Result<void> fits_mtu(const DesiredObject& entry, const std::string& on, std::uint32_t mtu,
                      const DesiredObject& owner) {
  const drivers::Resources below = owner.compile();
  for (const LinkSpec& parent : below.links) {
    if (parent.at != LinkName{"", on} || !parent.mtu || *parent.mtu >= mtu) continue;
    return invalid(entry.object.id.text(),
                   "its mtu " + std::to_string(mtu) + " is above the " + std::to_string(*parent.mtu) +
                       " of its parent, " + owner.object.id.text(),
                   "lower it, or raise the parent's");
  }
  return {};
}

bool is_ipv6(const IpPrefix& prefix) {
  return prefix.address.family == AF_INET6;
}

// Its network has subnets of it, and it declares no addresses.
bool is_given_ipv6(const DesiredObject& entry) {
  const auto* spec = std::get_if<AttachmentSpec>(entry.object.spec.get());
  const auto* network = entry.network ? std::get_if<NetworkSpec>(entry.network->object.spec.get()) : nullptr;
  if (spec == nullptr || network == nullptr || spec->netns.empty()) return false;
  return spec->addresses.empty() && !spec->no_addresses &&
         std::any_of(network->subnets.begin(), network->subnets.end(),
                     [](const Subnet& subnet) { return is_ipv6(subnet.cidr); });
}

// What others give addresses to says them in its declaration only.
bool speaks_ipv6(const DesiredObject& entry, const LinkSpec& link) {
  const auto* spec = std::get_if<AttachmentSpec>(entry.object.spec.get());
  const auto& addresses = link.delegated && spec != nullptr ? spec->addresses : link.addresses;
  return is_given_ipv6(entry) || std::any_of(addresses.begin(), addresses.end(), is_ipv6) ||
         std::any_of(link.routes.begin(), link.routes.end(),
                     [](const RouteSpec& route) { return is_ipv6(route.to); });
}

Result<void> fits_ipv6(const DesiredObject& entry, const drivers::Resources& resources) {
  for (const LinkSpec& link : resources.links) {
    if (!link.mtu || *link.mtu >= kLeastIpv6Mtu || !speaks_ipv6(entry, link)) continue;
    return invalid(entry.object.id.text(),
                   "its mtu " + std::to_string(*link.mtu) + " is too small for IPv6, which needs " +
                       std::to_string(kLeastIpv6Mtu),
                   "raise it, or leave IPv6 addresses and routes out");
  }
  return {};
}

const MacAddress* mac_of(const DesiredObject& entry) {
  const auto* spec = std::get_if<AttachmentSpec>(entry.object.spec.get());
  return spec != nullptr && spec->mac ? &*spec->mac : nullptr;
}

bool is_endpoint(const DesiredObject& entry) {
  const auto* spec = std::get_if<AttachmentSpec>(entry.object.spec.get());
  return spec != nullptr && spec->endpoint.has_value();
}

// The parent that links of this kind of both stand on; "" when there is none.
std::string shared_parent(const drivers::Resources& a, const drivers::Resources& b, std::string_view kind,
                          const HostNames& host) {
  for (const ParentUse& mine : a.parents) {
    if (mine.kind != kind) continue;
    const auto names = host.of(mine.name);
    for (const ParentUse& other : b.parents) {
      if (other.kind == kind && std::find(names.begin(), names.end(), other.name) != names.end())
        return mine.name;
    }
  }
  return {};
}

}  // namespace

drivers::Resources DesiredObject::compile() const {
  if (!object.spec) return {};
  const std::string& name = object.id.name;
  if (const auto* vlan = std::get_if<VlanSpec>(object.spec.get()))
    return drivers::vlan_resources({name, object.uid, *vlan}, object.implicit());
  if (const auto* spec = std::get_if<NetworkSpec>(object.spec.get())) {
    const drivers::Driver* driver = drivers::find_driver(spec->driver);
    return driver != nullptr ? driver->network({name, object.uid, *spec}) : drivers::Resources{};
  }
  const auto* spec = std::get_if<AttachmentSpec>(object.spec.get());
  const auto* host = network ? std::get_if<NetworkSpec>(network->object.spec.get()) : nullptr;
  const drivers::Driver* driver = host != nullptr ? drivers::find_driver(host->driver) : nullptr;
  if (spec == nullptr || driver == nullptr) return {};
  const drivers::Named<NetworkSpec> plugged_into{network->object.id.name, network->object.uid, *host};
  if (object.allocations.empty()) return driver->attachment({name, object.uid, *spec}, plugged_into);
  AttachmentSpec leased = *spec;
  leased.addresses = object.allocations;
  return driver->attachment({name, object.uid, leased}, plugged_into);
}

DesiredState::DesiredState(Parts parts) {
  for (auto& [uid, finalizers] : parts.finalizers) set_finalizers(uid, std::move(finalizers));
  for (auto& object : parts.objects) {
    index(*object);
    const ResourceId& id = object->object.id;
    entries_.emplace_hint(entries_.end(), id, std::move(object));
  }
}

DesiredState::Parts DesiredState::parts() const {
  Parts parts{{}, finalizers_};
  parts.objects.reserve(entries_.size());
  for (const auto& [id, entry] : entries_) parts.objects.push_back(entry);
  return parts;
}

void DesiredState::put(Declaration object) {
  const ResourceId id = object.id;
  place(std::move(object));
  if (id.kind != Kind::network) return;
  for (const ResourceId& attachment : attachments_of(id.name)) place(entries_.at(attachment)->object);
}

void DesiredState::erase(const ResourceId& id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  unindex(*found->second);
  set_finalizers(found->second->object.uid, {});
  entries_.erase(found);
}

void DesiredState::set_finalizers(const ObjectUid& uid, std::set<Finalizer> finalizers) {
  const bool has_bridge =
      std::ranges::any_of(finalizers, [](const Finalizer& one) { return one.kind == Finalizer::Kind::ovs; });
  if (has_bridge)
    has_left_bridges_.insert(uid);
  else
    has_left_bridges_.erase(uid);
  if (finalizers.empty())
    finalizers_.erase(uid);
  else
    finalizers_[uid] = std::move(finalizers);
}

void DesiredState::place(Declaration object) {
  std::shared_ptr<const DesiredObject> network;
  if (const std::string* name = network_of(object)) {
    const auto found = entries_.find({Kind::network, *name});
    if (found != entries_.end()) network = found->second;
  }
  const ResourceId id = object.id;
  auto& place = entries_[id];
  if (place) unindex(*place);
  place = std::make_shared<const DesiredObject>(DesiredObject{std::move(object), std::move(network)});
  index(*place);
}

void DesiredState::index(const DesiredObject& entry) {
  by_uid_.insert(&entry);
  for (const std::string& vlan : vlans_below(entry.object)) by_vlan_[vlan].insert(&entry);
  if (const auto* network = network_of(entry.object)) by_network_[*network].insert(&entry);
  if (const auto* mac = mac_of(entry)) by_mac_[*mac].insert(&entry);
  if (const auto* driver = driver_of(entry.object)) by_driver_[*driver].insert(&entry);
  const drivers::Resources resources = entry.compile();
  for (const std::string& identifier : openflow_identifiers(resources))
    by_openflow_[identifier].insert(&entry);
  for (LinkName& name : names_of(resources)) owners_.emplace(std::move(name), &entry);
  for (const LinkSpec& link : resources.links) {
    for (const std::string* place : {&link.at.netns, &link.delegate_netns}) {
      if (!place->empty()) by_namespace_[*place].insert(&entry);
    }
  }
  for (LinkName& used : used_by(resources)) users_[std::move(used)].insert(&entry);
  each_route_place(resources, [&](const RoutePlace& place, bool is_connected) {
    (is_connected ? connected_ : routes_)[place].insert(&entry);
  });
}

void DesiredState::unindex(const DesiredObject& entry) {
  const auto known = by_uid_.find(&entry);
  if (known != by_uid_.end() && *known == &entry) by_uid_.erase(known);
  for (const std::string& vlan : vlans_below(entry.object)) drop(by_vlan_, vlan, &entry);
  if (const auto* network = network_of(entry.object)) drop(by_network_, *network, &entry);
  if (const auto* mac = mac_of(entry)) drop(by_mac_, *mac, &entry);
  if (const auto* driver = driver_of(entry.object)) drop(by_driver_, *driver, &entry);
  const drivers::Resources resources = entry.compile();
  for (const std::string& identifier : openflow_identifiers(resources))
    drop(by_openflow_, identifier, &entry);
  for (const LinkName& name : names_of(resources)) {
    const auto [begin, end] = owners_.equal_range(name);
    const auto own = std::find_if(begin, end, [&](const auto& owner) { return owner.second == &entry; });
    if (own != end) owners_.erase(own);
  }
  for (const LinkSpec& link : resources.links) {
    drop(by_namespace_, link.at.netns, &entry);
    drop(by_namespace_, link.delegate_netns, &entry);
  }
  for (const LinkName& used : used_by(resources)) drop(users_, used, &entry);
  each_route_place(resources, [&](const RoutePlace& place, bool is_connected) {
    drop(is_connected ? connected_ : routes_, place, &entry);
  });
}

Result<void> DesiredState::check(const std::set<ResourceId>* changed, const NamespaceFacts* host,
                                 const Abandoned& abandoned) const {
  Depths depths(*this);
  const HostNames names(host);
  if (changed == nullptr) {
    for (const auto& [id, entry] : entries_) {
      if (auto checked = check(*entry, depths, names); !checked) return checked;
    }
    return {};
  }
  for (const ResourceId& id : *changed) {
    if (nobody_waits(abandoned)) return {};
    const DesiredObject* entry = find(id);
    if (entry == nullptr) continue;
    if (auto checked = check(*entry, depths, names); !checked) return checked;
  }
  return {};
}

Result<void> DesiredState::check(const DesiredObject& entry, Depths& depths, const HostNames& names) const {
  if (entry.object.deleting) return {};
  const std::string who = entry.object.id.text();
  if (const auto* network = network_of(entry.object)) {
    const DesiredObject* host = find({Kind::network, *network});
    if (host == nullptr || host->object.deleting)
      return invalid(who, "its network " + *network + " does not exist",
                     "declare the network, or remove both");
  }
  if (depths.of(entry) >= Depths::kDeepest)
    return invalid(who, "it stands on itself through its parents", "break the circle of parents and uplinks");
  if (auto subnets = check_subnets(entry); !subnets) return subnets;
  const drivers::Resources resources = entry.compile();
  if (const auto clash = find_clash(*this, entry, resources, names))
    return invalid(who, clash->words, clash->hint);
  if (auto sole = check_sole_use(entry, resources); !sole) return sole;
  if (auto fits = check_mtu(entry, resources); !fits) return fits;
  if (auto alone = check_vlan(entry, names); !alone) return alone;
  if (auto alone = check_mac(entry, resources, names); !alone) return alone;
  if (auto fits = check_room(entry, resources); !fits) return fits;
  if (auto routes = check_routes(entry, resources); !routes) return routes;
  if (auto alone = check_openflow(entry, resources); !alone) return alone;
  for (const LinkName& name : names_of(resources)) {
    for (const DesiredObject* rival : owners_of(name)) {
      if (rival == &entry || rival->object.deleting) continue;
      return invalid(who, "the link " + name.text() + " is wanted by " + rival->object.id.text() + " as well",
                     "give one of them another name");
    }
  }
  return {};
}

// By its datapath id a controller knows a bridge, and a port of it by its number.
Result<void> DesiredState::check_openflow(const DesiredObject& entry,
                                          const drivers::Resources& resources) const {
  for (const std::string& identifier : openflow_identifiers(resources)) {
    for (const DesiredObject* rival : listed(by_openflow_, identifier)) {
      if (rival == &entry || rival->object.deleting) continue;
      return invalid(entry.object.id.text(),
                     "its " + identifier + " is that of " + rival->object.id.text() + " as well",
                     "give one of them another one");
    }
  }
  return {};
}

// Declared ones are told with their place by the reader; Docker's come from elsewhere.
Result<void> DesiredState::check_subnets(const DesiredObject& entry) const {
  const auto* spec = std::get_if<NetworkSpec>(entry.object.spec.get());
  if (spec == nullptr) return {};
  for (const Subnet& subnet : spec->subnets) {
    if (const char* kind = unusable_kind(subnet.cidr))
      return invalid(
          entry.object.id.text(),
          "its subnet " + subnet.cidr.text() + " has " + kind + " addresses, which no interface can have",
          "choose another subnet");
  }
  return {};
}

// A parent has one link for each VLAN ID, whatever that is called.
Result<void> DesiredState::check_vlan(const DesiredObject& entry, const HostNames& names) const {
  const auto* vlan = std::get_if<VlanSpec>(entry.object.spec.get());
  if (vlan == nullptr) return {};
  for (const std::string& parent : names.of(vlan->parent)) {
    for (const DesiredObject* rival : users_of({"", parent})) {
      const auto* other = std::get_if<VlanSpec>(rival->object.spec.get());
      if (other == nullptr || rival == &entry || rival->object.deleting) continue;
      if (other->parent != parent || other->id != vlan->id || other->protocol != vlan->protocol) continue;
      return invalid(entry.object.id.text(),
                     "VLAN " + std::to_string(vlan->id) + " of " + vlan->parent + " is " +
                         rival->object.id.text() + " already",
                     "use it by that name (`parent: " + rival->object.id.name + "`)");
    }
  }
  return {};
}

// A parent hands frames to one link for each MAC address; on other networks two with one are a mistake of who
// declares them (of two containers it is Docker's).
Result<void> DesiredState::check_mac(const DesiredObject& entry, const drivers::Resources& resources,
                                     const HostNames& names) const {
  const MacAddress* mac = mac_of(entry);
  if (mac == nullptr) return {};
  for (const DesiredObject* rival : listed(by_mac_, *mac)) {
    if (rival == &entry || rival->object.deleting) continue;
    const std::string parent = shared_parent(resources, rival->compile(), kinds::kMacvlan.name, names);
    const bool together = entry.network != nullptr && rival->network == entry.network &&
                          !(is_endpoint(entry) && is_endpoint(*rival));
    if (parent.empty() && !together) continue;
    return invalid(entry.object.id.text(),
                   "its mac " + mac->text() + " is that of " + rival->object.id.text() + " as well, on " +
                       (parent.empty() ? entry.network->object.id.text() : "one parent, " + parent),
                   "give one of them another one");
  }
  return {};
}

Result<void> DesiredState::check_mtu(const DesiredObject& entry, const drivers::Resources& resources) const {
  if (auto fits = fits_ipv6(entry, resources); !fits) return fits;
  std::map<std::string, std::uint32_t> wanted;  // by parent; of an object's links all are the same
  for (const LinkSpec& link : resources.links) {
    if (!link.parent.empty() && link.mtu) wanted.emplace(link.parent, *link.mtu);
  }
  for (const ParentUse& use : resources.parents) {
    if (use.mtu) wanted.emplace(use.name, *use.mtu);
  }
  for (const auto& [parent, mtu] : wanted) {
    const DesiredObject* owner = owner_of({"", parent});
    if (owner == nullptr || owner == &entry || owner->object.deleting) continue;
    if (auto fits = fits_mtu(entry, parent, mtu, *owner); !fits) return fits;
  }
  return {};
}

// A switch finds room for so many.
Result<void> DesiredState::check_room(const DesiredObject& entry, const drivers::Resources& resources) const {
  if (!entry.network || resources.plugs.empty()) return {};
  const auto ports = by_network_.find(entry.network->object.id.name);
  if (ports == by_network_.end() || ports->second.size() <= kMostPlugs) return {};
  return invalid(entry.object.id.text(),
                 entry.network->object.id.text() + " has " + std::to_string(ports->second.size()) +
                     " attachments, and a switch has room for " + std::to_string(kMostPlugs),
                 "divide it into several networks");
}

// A namespace has room for one route to a destination by one metric: two that declare it would take it from
// each other for ever.
Result<void> DesiredState::check_routes(const DesiredObject& entry,
                                        const drivers::Resources& resources) const {
  for (const LinkSpec& link : resources.links) {
    for (const RouteSpec& route : link.routes) {
      const std::string why = why_unreachable(link, route);
      if (!why.empty())
        return invalid(
            entry.object.id.text(), why,
            "name a router in its subnet, or say `onlink: true` if it is a neighbour all the same");
    }
  }
  Result<void> checked;
  const auto refuse = [&](const RoutePlace& place, const std::string& why, const char* hint) {
    const std::string where = place.netns.empty() ? "on the host" : "in " + place.netns;
    checked = invalid(entry.object.id.text(), "the route to " + place.to.text() + " " + where + why, hint);
  };
  each_route_place(resources, [&](const RoutePlace& place, bool is_connected) {
    if (!checked) return;
    for (const DesiredObject* rival : listed(routes_, place)) {
      if (rival == &entry || rival->object.deleting) continue;
      return refuse(place,
                    is_connected ? ", where it has an address, is declared by " + rival->object.id.text()
                                 : " is declared by " + rival->object.id.text() + " as well",
                    "give one of them another metric");
    }
    if (is_connected) return;
    for (const DesiredObject* neighbour : listed(connected_, place)) {
      if (neighbour->object.deleting) continue;
      return refuse(place,
                    " is the kernel's own: it comes with an address of " +
                        (neighbour == &entry ? std::string("this interface") : neighbour->object.id.text()),
                    "leave it out, or give it a metric");
    }
  });
  return checked;
}

// In a mode in which a link has its parent to itself, a network has one attachment.
Result<void> DesiredState::check_sole_use(const DesiredObject& entry,
                                          const drivers::Resources& resources) const {
  const kinds::ParentSharing::Sole* sole = nullptr;
  for (const ParentUse& use : resources.parents) {
    if (sole == nullptr) sole = kinds::sole_mode(use.kind, use.attributes);
  }
  if (sole == nullptr || !entry.network) return {};
  for (const ResourceId& id : attachments_of(entry.network->object.id.name)) {
    if (id == entry.object.id || find(id)->object.deleting) continue;
    return invalid(entry.object.id.text(),
                   entry.network->object.id.text() + " is in " + std::string(sole->mode) + ", and " +
                       id.text() + " has its parent to itself",
                   "remove that one first, or choose " + std::string(sole->instead));
  }
  return {};
}

std::map<std::string, VlanSpec> DesiredState::implicit_vlans() const {
  std::map<std::string, VlanSpec> wanted;
  const auto is_declared = [&](const std::string& name) {
    const DesiredObject* owner = owner_of({"", name});
    return owner != nullptr && !owner->object.deleting && !owner->object.implicit();
  };
  for (const auto& [name, networks] : by_vlan_) {
    if (std::ranges::all_of(networks, [](const DesiredObject* network) { return network->object.deleting; }))
      continue;
    for (std::string link = name; !is_declared(link);) {  // down to the first that is no VLAN, or declared
      const auto vlan = vlan_named(link);
      if (!vlan) break;
      wanted.emplace(link, *vlan);
      link = vlan->parent;
    }
  }
  return wanted;
}

std::shared_ptr<const DesiredObject> DesiredState::share(const ResourceId& id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : found->second;
}

std::set<ResourceId> DesiredState::concerned_by(const ObservedChange& change) const {
  std::set<ResourceId> ids;
  if (change.full_resync) {
    for (const auto& [id, entry] : entries_) ids.insert(ids.end(), id);
    return ids;
  }
  for (const LinkName& link : change.links) {
    if (const auto* owner = owner_of(link)) ids.insert(owner->object.id);
    for (const auto* user : users_of(link)) ids.insert(user->object.id);
  }
  for (const ObjectUid& uid : change.uids) {
    if (const auto* entry = find_uid(uid)) ids.insert(entry->object.id);
  }
  for (const std::string& netns : change.namespaces) {
    for (const auto* entry : in_namespace(netns)) ids.insert(entry->object.id);
  }
  for (const std::string& network : change.switches) {
    if (find({Kind::network, network}) != nullptr) ids.insert({Kind::network, network});
    for (const ResourceId& attachment : attachments_of(network)) ids.insert(attachment);
  }
  for (const std::string& port : change.ovs_ports) {
    if (const auto* owner = owner_of({"", port})) ids.insert(owner->object.id);
    for (const auto* user : users_of({"", port})) ids.insert(user->object.id);
  }
  // Whatever bridge had it, a datapath id may have become free, or taken.
  if (!change.ovs_bridges.empty()) add_choosers_of_datapath_ids(ids);
  for (const std::string& bridge : change.ovs_bridges) {
    const auto* owner = owner_of({"", bridge});
    if (owner == nullptr) continue;
    ids.insert(owner->object.id);
    for (const ResourceId& attachment : attachments_of(owner->object.id.name)) ids.insert(attachment);
  }
  if (change.ovs_state) add_users_of_ovs(ids);
  return ids;
}

void DesiredState::add_choosers_of_datapath_ids(std::set<ResourceId>& ids) const {
  for (auto each = by_openflow_.lower_bound(kDatapathId);
       each != by_openflow_.end() && each->first.starts_with(kDatapathId); ++each) {
    for (const DesiredObject* network : each->second) ids.insert(network->object.id);
  }
}

void DesiredState::add_users_of_ovs(std::set<ResourceId>& ids) const {
  for (const DesiredObject* network : listed(by_driver_, std::string(kOvsDriver))) {
    ids.insert(network->object.id);
    for (const ResourceId& attachment : attachments_of(network->object.id.name)) ids.insert(attachment);
  }
  for (const ObjectUid& uid : has_left_bridges_) {
    if (const DesiredObject* entry = find_uid(uid)) ids.insert(entry->object.id);
  }
}

const DesiredObject* DesiredState::user_outside(const DesiredObject& object,
                                                const std::set<ResourceId>& leaving) const {
  const drivers::Resources resources = object.compile();
  for (const LinkSpec& link : resources.links) {
    for (const LinkName& name : names_of(link)) {
      for (const DesiredObject* user : users_of(name)) {
        if (leaving.contains(user->object.id) || user->object.deleting) continue;
        if (!user->object.implicit()) return user;
        if (const DesiredObject* further = user_outside(*user, leaving)) return further;
      }
    }
  }
  return nullptr;
}

const DesiredObject* DesiredState::find(const ResourceId& id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : found->second.get();
}

const DesiredObject* DesiredState::find_uid(const ObjectUid& uid) const {
  const auto found = by_uid_.find(uid);
  return found == by_uid_.end() ? nullptr : *found;
}

std::vector<const DesiredObject*> DesiredState::owners_of(const LinkName& link) const {
  std::vector<const DesiredObject*> entries;
  const auto [begin, end] = owners_.equal_range(link);
  for (auto owner = begin; owner != end; ++owner) entries.push_back(owner->second);
  return entries;
}

const DesiredObject* DesiredState::owner_of(const LinkName& link) const {
  const DesiredObject* leaving = nullptr;
  const auto [begin, end] = owners_.equal_range(link);
  for (auto owner = begin; owner != end; ++owner) {
    if (!owner->second->object.deleting) return owner->second;
    leaving = owner->second;
  }
  return leaving;
}

std::vector<const DesiredObject*> DesiredState::users_of(const LinkName& link) const {
  return listed(users_, link);
}

std::vector<const DesiredObject*> DesiredState::in_namespace(const std::string& netns) const {
  return listed(by_namespace_, netns);
}

std::set<std::string> DesiredState::namespaces() const {
  std::set<std::string> paths;
  for (const auto& [path, users] : by_namespace_) paths.insert(path);
  for (const auto& [uid, finalizers] : finalizers_) {
    for (const Finalizer& finalizer : finalizers) {
      if (finalizer.kind == Finalizer::Kind::netns) paths.insert(finalizer.name);
    }
  }
  return paths;
}

std::set<std::string> DesiredState::drivers() const {
  std::set<std::string> drivers;
  for (const auto& [driver, networks] : by_driver_) drivers.insert(driver);
  if (!has_left_bridges_.empty()) drivers.insert(kOvsDriver);
  return drivers;
}

std::vector<ResourceId> DesiredState::attachments_of(const std::string& network) const {
  std::vector<ResourceId> ids;
  for (const DesiredObject* entry : listed(by_network_, network)) ids.push_back(entry->object.id);
  return ids;
}

const std::set<Finalizer>& DesiredState::finalizers_of(const ObjectUid& uid) const {
  static const std::set<Finalizer> none;
  const auto found = finalizers_.find(uid);
  return found == finalizers_.end() ? none : found->second;
}

int Depths::of(const DesiredObject& entry) {
  const auto [place, is_new] = known_.emplace(&entry, kDeepest);  // stays there while we are below: a circle
  if (!is_new) return place->second;
  int depth = 0;
  const drivers::Resources resources = entry.compile();
  for (const LinkName& used : used_by(resources)) {
    const DesiredObject* below = desired_.owner_of(used);
    const bool own = below == &entry && !stands_on_itself(resources, used);
    if (below != nullptr && !own) depth = std::max(depth, 1 + of(*below));
  }
  if (entry.network && (!resources.plugs.empty() || !resources.ovs_ports.empty()))
    depth = std::max(depth, 1 + of(*entry.network));
  known_[&entry] = depth;
  return depth;
}

}  // namespace lanwright::desired
