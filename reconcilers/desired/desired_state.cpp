#include "reconcilers/desired/desired_state.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "reconcilers/drivers/registry.h"
#include "reconcilers/drivers/vlan.h"
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

// The links that these stand on or in: others', or of the same object.
std::vector<LinkName> used_by(const drivers::Resources& resources) {
  std::vector<LinkName> used;
  for (const ParentUse& use : resources.parents) used.push_back({"", use.name});
  for (const LinkSpec& link : resources.links) {
    if (!link.owned) used.push_back(link.where);
    if (!link.master.empty()) used.push_back({link.where.netns, link.master});
    if (!link.parent.empty()) used.push_back({"", link.parent});
  }
  return used;
}

const std::string* network_of(const Declaration& object) {
  const auto* spec = std::get_if<AttachmentSpec>(object.spec.get());
  return spec != nullptr ? &spec->network : nullptr;
}

// The parent of a network that is the name of a VLAN link.
const std::string* vlan_parent_of(const Declaration& object) {
  const auto* spec = std::get_if<NetworkSpec>(object.spec.get());
  return spec != nullptr && vlan_named(spec->parent) ? &spec->parent : nullptr;
}

// A network's own bridge may have ports of the network, its own dummy links; a link may not be its own
// parent.
bool stands_on_itself(const drivers::Resources& resources, const LinkName& used) {
  return std::any_of(resources.links.begin(), resources.links.end(), [&](const LinkSpec& link) {
    return link.where == used && (!link.owned || link.parent == used.name);
  });
}

Error invalid(std::string object, std::string words, std::string hint) {
  return {ErrorKind::invalid, "declare", std::move(object), 0, std::move(words), std::move(hint)};
}

struct Sharer {
  const NetworkSpec& spec;
  const drivers::Resources& resources;
};

const ParentUse* use_of(const drivers::Resources& resources, const LinkName& link) {
  const auto found = std::find_if(resources.parents.begin(), resources.parents.end(),
                                  [&](const ParentUse& use) { return use.name == link.name; });
  return found == resources.parents.end() ? nullptr : &*found;
}

// Why two networks cannot have this link in common. (Two that want it as their port are told by the reader.)
std::optional<kinds::Clash> clash_on(const LinkName& link, const Sharer& a, const Sharer& b) {
  const ParentUse* mine = use_of(a.resources, link);
  const ParentUse* other = use_of(b.resources, link);
  if (mine == nullptr && other == nullptr) return std::nullopt;
  if (mine == nullptr || other == nullptr)
    return kinds::Clash{"a link is a port of a bridge or the parent of others, not both",
                        "give one of them another link, a VLAN on it for example"};
  if (auto clash = kinds::clash(*mine, *other)) return clash;
  for (const Subnet& subnet : a.spec.subnets) {
    for (const Subnet& rival : b.spec.subnets) {
      if (subnet.cidr.overlaps(rival.cidr))
        return kinds::Clash{"their subnets " + subnet.cidr.text() + " and " + rival.cidr.text() + " overlap",
                            "give each its own part, or declare them as one network"};
    }
  }
  return std::nullopt;
}

std::vector<RouteSpec> declared_routes(const std::vector<LinkSpec>& links, const std::string& netns) {
  std::vector<RouteSpec> routes;
  for (const LinkSpec& link : links) {
    if (link.where.netns != netns || link.delegated) continue;
    std::copy_if(link.routes.begin(), link.routes.end(), std::back_inserter(routes),
                 [](const RouteSpec& route) { return !route.automatic; });
  }
  return routes;
}

// The first of these routes whose place in the table one of the others has.
std::optional<RouteSpec> find_same_place(const std::vector<RouteSpec>& routes,
                                         const std::vector<RouteSpec>& others) {
  for (const RouteSpec& route : routes) {
    const bool taken = std::any_of(others.begin(), others.end(),
                                   [&](const RouteSpec& other) { return has_same_place(other, route); });
    if (taken) return route;
  }
  return std::nullopt;
}

// Of links on a parent that is declared with an MTU.
Result<void> fits_mtu(const DesiredObject& entry, const drivers::Resources& resources,
                      const DesiredObject& owner, const LinkName& link) {
  const ParentUse* use = use_of(resources, link);
  if (use == nullptr || !use->mtu) return {};
  const drivers::Resources below = owner.compile();
  for (const LinkSpec& parent : below.links) {
    if (parent.where != link || !parent.mtu || *parent.mtu >= *use->mtu) continue;
    return invalid(entry.object.id.text(),
                   "its mtu " + std::to_string(*use->mtu) + " is above the " + std::to_string(*parent.mtu) +
                       " of its parent, " + owner.object.id.text(),
                   "lower it, or raise the parent's");
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
  claims_.erase(found->second->object.uid);
  entries_.erase(found);
}

void DesiredState::set_claims(const ObjectUid& uid, std::set<std::string> links) {
  if (links.empty())
    claims_.erase(uid);
  else
    claims_[uid] = std::move(links);
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
  if (const auto* parent = vlan_parent_of(entry.object)) by_parent_[*parent].insert(&entry);
  if (const auto* network = network_of(entry.object)) by_network_[*network].insert(&entry);
  const drivers::Resources resources = entry.compile();
  for (const LinkSpec& link : resources.links) {
    if (link.owned) owners_.emplace(link.where, &entry);
    for (const std::string* place : {&link.where.netns, &link.delegate_netns}) {
      if (!place->empty()) by_namespace_[*place].insert(&entry);
    }
  }
  for (LinkName& used : used_by(resources)) users_[std::move(used)].insert(&entry);
}

void DesiredState::unindex(const DesiredObject& entry) {
  const auto known = by_uid_.find(&entry);
  if (known != by_uid_.end() && *known == &entry) by_uid_.erase(known);
  if (const auto* parent = vlan_parent_of(entry.object)) drop(by_parent_, *parent, &entry);
  if (const auto* network = network_of(entry.object)) drop(by_network_, *network, &entry);
  const drivers::Resources resources = entry.compile();
  for (const LinkSpec& link : resources.links) {
    const auto [begin, end] = owners_.equal_range(link.where);
    const auto own = std::find_if(begin, end, [&](const auto& owner) { return owner.second == &entry; });
    if (own != end) owners_.erase(own);
    drop(by_namespace_, link.where.netns, &entry);
    drop(by_namespace_, link.delegate_netns, &entry);
  }
  for (const LinkName& used : used_by(resources)) drop(users_, used, &entry);
}

Result<void> DesiredState::check(const std::set<ResourceId>* changed) const {
  Depths depths(*this);
  if (changed == nullptr) {
    for (const auto& [id, entry] : entries_) {
      if (auto checked = check(*entry, depths); !checked) return checked;
    }
    return {};
  }
  for (const ResourceId& id : *changed) {
    const DesiredObject* entry = find(id);
    if (entry == nullptr) continue;
    if (auto checked = check(*entry, depths); !checked) return checked;
  }
  return {};
}

Result<void> DesiredState::check(const DesiredObject& entry, Depths& depths) const {
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
  const drivers::Resources resources = entry.compile();
  if (auto shared = check_sharing(entry, resources); !shared) return shared;
  if (auto fits = check_room(entry, resources); !fits) return fits;
  if (auto routes = check_routes(entry, resources); !routes) return routes;
  for (const LinkSpec& link : resources.links) {
    if (!link.owned) continue;
    for (const DesiredObject* rival : owners_of(link.where)) {
      if (rival == &entry || rival->object.deleting) continue;
      return invalid(
          who, "the link " + link.where.text() + " is wanted by " + rival->object.id.text() + " as well",
          "give one of them another name");
    }
  }
  return {};
}

// What networks say of the links that they have in common, before the kernel says it.
Result<void> DesiredState::check_sharing(const DesiredObject& entry,
                                         const drivers::Resources& resources) const {
  if (entry.object.id.kind == Kind::attachment) return check_sole_use(entry, resources);
  const auto* spec = std::get_if<NetworkSpec>(entry.object.spec.get());
  if (spec == nullptr) return {};
  const std::string who = entry.object.id.text();
  std::vector<LinkName> shared;
  for (const ParentUse& use : resources.parents) shared.push_back({"", use.name});
  for (const LinkSpec& link : resources.links) {
    if (!link.owned) shared.push_back(link.where);
  }
  for (const LinkName& link : shared) {
    if (const DesiredObject* owner = owner_of(link); owner != nullptr && owner != &entry) {
      if (auto fits = fits_mtu(entry, resources, *owner, link); !fits) return fits;
    }
    for (const DesiredObject* other : users_of(link)) {
      if (other == &entry || other->object.deleting || other->object.id.kind != Kind::network) continue;
      if (!other->object.spec) continue;
      const auto clash =
          clash_on(link, {*spec, resources}, {std::get<NetworkSpec>(*other->object.spec), other->compile()});
      if (!clash) continue;
      return invalid(
          who, "it cannot share " + link.name + " with " + other->object.id.text() + ": " + clash->words,
          clash->hint);
    }
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
// each other for ever. (The network's gateway is not declared: see planning::Addresses.)
Result<void> DesiredState::check_routes(const DesiredObject& entry,
                                        const drivers::Resources& resources) const {
  for (const LinkSpec& link : resources.links) {
    const std::string& netns = link.where.netns;
    const std::vector<RouteSpec> routes = declared_routes({link}, netns);
    if (routes.empty()) continue;
    for (const DesiredObject* rival : in_namespace(netns)) {
      if (rival == &entry || rival->object.deleting) continue;
      const auto same = find_same_place(routes, declared_routes(rival->compile().links, netns));
      if (!same) continue;
      return invalid(entry.object.id.text(),
                     "the route to " + same->to.network().text() + " in " + netns + " is declared by " +
                         rival->object.id.text() + " as well",
                     "give one of them another metric");
    }
  }
  return {};
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
  for (const auto& [parent, networks] : by_parent_) {
    const bool used = std::any_of(networks.begin(), networks.end(),
                                  [](const DesiredObject* network) { return !network->object.deleting; });
    const DesiredObject* owner = owner_of({"", parent});
    const bool declared = owner != nullptr && !owner->object.deleting && !owner->object.implicit();
    if (used && !declared) wanted.emplace(parent, *vlan_named(parent));
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
  return ids;
}

const DesiredObject* DesiredState::user_outside(const DesiredObject& object,
                                                const std::set<ResourceId>& leaving) const {
  const drivers::Resources resources = object.compile();
  for (const LinkSpec& link : resources.links) {
    if (!link.owned) continue;
    for (const DesiredObject* user : users_of(link.where)) {
      if (leaving.contains(user->object.id) || user->object.deleting) continue;
      if (!user->object.implicit()) return user;
      if (const DesiredObject* further = user_outside(*user, leaving)) return further;
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
  for (const auto& [uid, claims] : claims_) {
    for (const std::string& claim : claims) {
      if (claim.starts_with(kPlaceClaim)) paths.insert(claim.substr(kPlaceClaim.size()));
    }
  }
  return paths;
}

std::vector<ResourceId> DesiredState::attachments_of(const std::string& network) const {
  std::vector<ResourceId> ids;
  for (const DesiredObject* entry : listed(by_network_, network)) ids.push_back(entry->object.id);
  return ids;
}

const std::set<std::string>& DesiredState::claims_of(const ObjectUid& uid) const {
  static const std::set<std::string> none;
  const auto found = claims_.find(uid);
  return found == claims_.end() ? none : found->second;
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
  if (entry.network && !resources.plugs.empty()) depth = std::max(depth, 1 + of(*entry.network));
  known_[&entry] = depth;
  return depth;
}

}  // namespace lanwright::desired
