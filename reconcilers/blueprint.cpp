#include "reconcilers/blueprint.h"

#include <algorithm>
#include <utility>

#include "reconcilers/drivers.h"
#include "reconcilers/links.h"
#include "reconcilers/switch_port.h"

namespace lanwright {
namespace {

using Entry = Blueprint::Entry;

template <class Map, class Key>
void drop(Map& map, const Key& key, const Entry* entry) {
  const auto found = map.find(key);
  if (found == map.end()) return;
  found->second.erase(entry);
  if (found->second.empty()) map.erase(found);
}

template <class Map, class Key>
std::vector<const Entry*> listed(const Map& map, const Key& key) {
  const auto found = map.find(key);
  if (found == map.end()) return {};
  std::vector<const Entry*> entries(found->second.begin(), found->second.end());
  std::sort(entries.begin(), entries.end(),
            [](const Entry* a, const Entry* b) { return a->object.id < b->object.id; });
  return entries;
}

// The links that these stand on or in: others', or of the same object.
std::vector<LinkName> used_by(const Parts& parts) {
  std::vector<LinkName> used;
  for (const ParentUse& use : parts.parents) used.push_back({"", use.name});
  for (const LinkSpec& link : parts.links) {
    if (!link.owned) used.push_back(link.where);
    if (!link.master.empty()) used.push_back({link.where.netns, link.master});
    if (!link.parent.empty()) used.push_back({"", link.parent});
  }
  return used;
}

const std::string* network_of(const WantedObject& object) {
  const auto* spec = std::get_if<AttachmentSpec>(object.spec.get());
  return spec != nullptr ? &spec->network : nullptr;
}

// A network's own bridge may have ports of the network, its own dummy links; a link may not be its own
// parent.
bool stands_on_itself(const Parts& parts, const LinkName& used) {
  return std::any_of(parts.links.begin(), parts.links.end(), [&](const LinkSpec& link) {
    return link.where == used && (!link.owned || link.parent == used.name);
  });
}

Error invalid(std::string object, std::string words, std::string hint) {
  return {ErrorKind::invalid, "declare", std::move(object), 0, std::move(words), std::move(hint)};
}

bool is_passthru(const ParentUse& use) {
  return find(use.attributes, LinkAttr::macvlan_mode) == kMacvlanPassthru;
}

struct Sharer {
  const NetworkSpec& spec;
  const Parts& parts;
};

struct Clash {
  std::string words;
  std::string hint;
};

const ParentUse* use_of(const Parts& parts, const LinkName& link) {
  const auto found = std::find_if(parts.parents.begin(), parts.parents.end(),
                                  [&](const ParentUse& use) { return use.name == link.name; });
  return found == parts.parents.end() ? nullptr : &*found;
}

// Why two networks cannot have this link in common. (Two that want it as their port are told by the reader.)
std::optional<Clash> clash_on(const LinkName& link, const Sharer& a, const Sharer& b) {
  const ParentUse* mine = use_of(a.parts, link);
  const ParentUse* other = use_of(b.parts, link);
  if (mine == nullptr && other == nullptr) return std::nullopt;
  if (mine == nullptr || other == nullptr)
    return Clash{"a link is a port of a bridge or the parent of others, not both",
                 "give one of them another link, a VLAN on it for example"};
  if (mine->kind != other->kind)
    return Clash{"macvlan and ipvlan links cannot stand on one parent", "give one of them another parent"};
  for (const ParentUse* use : {mine, other}) {
    if (is_passthru(*use))
      return Clash{"in mode passthru one link has its parent to itself", "give one of them another parent"};
  }
  if (mine->kind == "ipvlan" && mine->attributes != other->attributes)
    return Clash{"all ipvlan links on one parent have one mode and flag", "make them the same"};
  for (const Subnet& subnet : a.spec.subnets) {
    for (const Subnet& rival : b.spec.subnets) {
      if (subnet.cidr.overlaps(rival.cidr))
        return Clash{"their subnets " + subnet.cidr.text() + " and " + rival.cidr.text() + " overlap",
                     "give each its own part, or declare them as one network"};
    }
  }
  return std::nullopt;
}

// Of links on a parent that is declared with an MTU.
Result<void> fits_mtu(const Entry& entry, const Parts& parts, const Entry& owner, const LinkName& link) {
  const ParentUse* use = use_of(parts, link);
  if (use == nullptr || !use->mtu) return {};
  const Parts below = owner.parts();
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

Parts Blueprint::Entry::parts() const {
  if (!object.spec) return {};
  const std::string& name = object.id.name;
  if (const auto* vlan = std::get_if<VlanSpec>(object.spec.get()))
    return vlan_parts({name, object.uid, *vlan}, object.on_demand());
  if (const auto* spec = std::get_if<NetworkSpec>(object.spec.get())) {
    const Driver* driver = find_driver(spec->driver);
    return driver != nullptr ? driver->network({name, object.uid, *spec}) : Parts{};
  }
  const auto* spec = std::get_if<AttachmentSpec>(object.spec.get());
  const auto* host = network ? std::get_if<NetworkSpec>(network->object.spec.get()) : nullptr;
  const Driver* driver = host != nullptr ? find_driver(host->driver) : nullptr;
  if (spec == nullptr || driver == nullptr) return {};
  const Named<NetworkSpec> plugged_into{network->object.id.name, network->object.uid, *host};
  if (object.leases.empty()) return driver->attachment({name, object.uid, *spec}, plugged_into);
  AttachmentSpec leased = *spec;
  leased.addresses = object.leases;
  return driver->attachment({name, object.uid, leased}, plugged_into);
}

void Blueprint::put(WantedObject object) {
  const ResourceId id = object.id;
  place(std::move(object));
  if (id.kind != Kind::network) return;
  for (const ResourceId& attachment : attachments_of(id.name)) place(entries_.at(attachment)->object);
}

void Blueprint::erase(const ResourceId& id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  unindex(*found->second);
  claims_.erase(found->second->object.uid);
  entries_.erase(found);
}

void Blueprint::set_claims(const Uid& uid, std::set<std::string> links) {
  if (links.empty())
    claims_.erase(uid);
  else
    claims_[uid] = std::move(links);
}

void Blueprint::place(WantedObject object) {
  std::shared_ptr<const Entry> network;
  if (const std::string* name = network_of(object)) {
    const auto found = entries_.find({Kind::network, *name});
    if (found != entries_.end()) network = found->second;
  }
  const ResourceId id = object.id;
  auto& place = entries_[id];
  if (place) unindex(*place);
  place = std::make_shared<const Entry>(Entry{std::move(object), std::move(network)});
  index(*place);
}

void Blueprint::index(const Entry& entry) {
  by_uid_.insert(&entry);
  if (const auto* network = network_of(entry.object)) by_network_[*network].insert(&entry);
  const Parts parts = entry.parts();
  for (const LinkSpec& link : parts.links) {
    if (link.owned) owners_.emplace(link.where, &entry);
    for (const std::string* place : {&link.where.netns, &link.elsewhere}) {
      if (!place->empty()) by_namespace_[*place].insert(&entry);
    }
  }
  for (LinkName& used : used_by(parts)) users_[std::move(used)].insert(&entry);
}

void Blueprint::unindex(const Entry& entry) {
  const auto known = by_uid_.find(&entry);
  if (known != by_uid_.end() && *known == &entry) by_uid_.erase(known);
  if (const auto* network = network_of(entry.object)) drop(by_network_, *network, &entry);
  const Parts parts = entry.parts();
  for (const LinkSpec& link : parts.links) {
    const auto [begin, end] = owners_.equal_range(link.where);
    const auto own = std::find_if(begin, end, [&](const auto& owner) { return owner.second == &entry; });
    if (own != end) owners_.erase(own);
    drop(by_namespace_, link.where.netns, &entry);
    drop(by_namespace_, link.elsewhere, &entry);
  }
  for (const LinkName& used : used_by(parts)) drop(users_, used, &entry);
}

Result<void> Blueprint::check(const std::set<ResourceId>* changed) const {
  Depths depths(*this);
  if (changed == nullptr) {
    for (const auto& [id, entry] : entries_) {
      if (auto checked = check(*entry, depths); !checked) return checked;
    }
    return {};
  }
  for (const ResourceId& id : *changed) {
    const Entry* entry = find(id);
    if (entry == nullptr) continue;
    if (auto checked = check(*entry, depths); !checked) return checked;
  }
  return {};
}

Result<void> Blueprint::check(const Entry& entry, Depths& depths) const {
  if (entry.object.deleting) return {};
  const std::string who = entry.object.id.text();
  if (const auto* network = network_of(entry.object)) {
    const Entry* host = find({Kind::network, *network});
    if (host == nullptr || host->object.deleting)
      return invalid(who, "its network " + *network + " does not exist",
                     "declare the network, or remove both");
  }
  if (depths.of(entry) >= Depths::kDeepest)
    return invalid(who, "it stands on itself through its parents", "break the circle of parents and uplinks");
  const Parts parts = entry.parts();
  if (auto shared = check_sharing(entry, parts); !shared) return shared;
  if (auto fits = check_room(entry, parts); !fits) return fits;
  for (const LinkSpec& link : parts.links) {
    if (!link.owned) continue;
    for (const Entry* rival : owners_of(link.where)) {
      if (rival == &entry || rival->object.deleting) continue;
      return invalid(
          who, "the link " + link.where.text() + " is wanted by " + rival->object.id.text() + " as well",
          "give one of them another name");
    }
  }
  return {};
}

// What networks say of the links that they have in common, before the kernel says it.
Result<void> Blueprint::check_sharing(const Entry& entry, const Parts& parts) const {
  if (entry.object.id.kind == Kind::attachment) return check_passthru(entry);
  const auto* spec = std::get_if<NetworkSpec>(entry.object.spec.get());
  if (spec == nullptr) return {};
  const std::string who = entry.object.id.text();
  std::vector<LinkName> shared;
  for (const ParentUse& use : parts.parents) shared.push_back({"", use.name});
  for (const LinkSpec& link : parts.links) {
    if (!link.owned) shared.push_back(link.where);
  }
  for (const LinkName& link : shared) {
    if (const Entry* owner = owner_of(link); owner != nullptr && owner != &entry) {
      if (auto fits = fits_mtu(entry, parts, *owner, link); !fits) return fits;
    }
    for (const Entry* other : users_of(link)) {
      if (other == &entry || other->object.deleting || other->object.id.kind != Kind::network) continue;
      if (!other->object.spec) continue;
      const auto clash =
          clash_on(link, {*spec, parts}, {std::get<NetworkSpec>(*other->object.spec), other->parts()});
      if (!clash) continue;
      return invalid(
          who, "it cannot share " + link.name + " with " + other->object.id.text() + ": " + clash->words,
          clash->hint);
    }
  }
  return {};
}

// A switch finds room for so many.
Result<void> Blueprint::check_room(const Entry& entry, const Parts& parts) const {
  if (!entry.network || parts.plugs.empty()) return {};
  const auto ports = by_network_.find(entry.network->object.id.name);
  if (ports == by_network_.end() || ports->second.size() <= kMostPlugs) return {};
  return invalid(entry.object.id.text(),
                 entry.network->object.id.text() + " has " + std::to_string(ports->second.size()) +
                     " attachments, and a switch has room for " + std::to_string(kMostPlugs),
                 "divide it into several networks");
}

// One link has the parent to itself.
Result<void> Blueprint::check_passthru(const Entry& entry) const {
  const auto* host = entry.network ? std::get_if<NetworkSpec>(entry.network->object.spec.get()) : nullptr;
  if (host == nullptr || host->driver != "macvlan") return {};
  const Parts parts = entry.parts();
  if (std::none_of(parts.parents.begin(), parts.parents.end(), is_passthru)) return {};
  for (const ResourceId& id : attachments_of(entry.network->object.id.name)) {
    if (id == entry.object.id || find(id)->object.deleting) continue;
    return invalid(entry.object.id.text(),
                   entry.network->object.id.text() + " is in mode passthru, and " + id.text() +
                       " has its parent to itself",
                   "remove that one first, or choose mode bridge");
  }
  return {};
}

std::map<std::string, VlanSpec> Blueprint::demanded_vlans() const {
  std::map<std::string, VlanSpec> demanded;
  for (auto at = entries_.lower_bound({Kind::network, {}}); at != entries_.end(); ++at) {
    const auto& [id, entry] = *at;
    if (id.kind != Kind::network) break;
    const auto* spec = std::get_if<NetworkSpec>(entry->object.spec.get());
    if (entry->object.deleting || spec == nullptr || spec->parent.empty()) continue;
    const auto vlan = vlan_named(spec->parent);
    if (!vlan) continue;
    const Entry* owner = owner_of({"", spec->parent});
    const bool declared = owner != nullptr && !owner->object.deleting && !owner->object.on_demand();
    if (!declared) demanded.emplace(spec->parent, *vlan);
  }
  return demanded;
}

const Blueprint::Entry* Blueprint::find(const ResourceId& id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : found->second.get();
}

const Blueprint::Entry* Blueprint::find_uid(const Uid& uid) const {
  const auto found = by_uid_.find(uid);
  return found == by_uid_.end() ? nullptr : *found;
}

std::vector<const Entry*> Blueprint::owners_of(const LinkName& link) const {
  std::vector<const Entry*> entries;
  const auto [begin, end] = owners_.equal_range(link);
  for (auto owner = begin; owner != end; ++owner) entries.push_back(owner->second);
  return entries;
}

const Blueprint::Entry* Blueprint::owner_of(const LinkName& link) const {
  const Entry* leaving = nullptr;
  const auto [begin, end] = owners_.equal_range(link);
  for (auto owner = begin; owner != end; ++owner) {
    if (!owner->second->object.deleting) return owner->second;
    leaving = owner->second;
  }
  return leaving;
}

std::vector<const Entry*> Blueprint::users_of(const LinkName& link) const {
  return listed(users_, link);
}

std::vector<const Entry*> Blueprint::in_namespace(const std::string& netns) const {
  return listed(by_namespace_, netns);
}

std::set<std::string> Blueprint::namespaces() const {
  std::set<std::string> paths;
  for (const auto& [path, users] : by_namespace_) paths.insert(path);
  for (const auto& [uid, claims] : claims_) {
    for (const std::string& claim : claims) {
      if (claim.starts_with(kPlaceClaim)) paths.insert(claim.substr(kPlaceClaim.size()));
    }
  }
  return paths;
}

std::vector<ResourceId> Blueprint::attachments_of(const std::string& network) const {
  std::vector<ResourceId> ids;
  for (const Entry* entry : listed(by_network_, network)) ids.push_back(entry->object.id);
  return ids;
}

const std::set<std::string>& Blueprint::claims_of(const Uid& uid) const {
  static const std::set<std::string> none;
  const auto found = claims_.find(uid);
  return found == claims_.end() ? none : found->second;
}

int Depths::of(const Entry& entry) {
  const auto [place, is_new] = known_.emplace(&entry, kDeepest);  // stays there while we are below: a circle
  if (!is_new) return place->second;
  int depth = 0;
  const Parts parts = entry.parts();
  for (const LinkName& used : used_by(parts)) {
    const Entry* below = blueprint_.owner_of(used);
    const bool own = below == &entry && !stands_on_itself(parts, used);
    if (below != nullptr && !own) depth = std::max(depth, 1 + of(*below));
  }
  if (entry.network && !parts.plugs.empty()) depth = std::max(depth, 1 + of(*entry.network));
  known_[&entry] = depth;
  return depth;
}

}  // namespace lanwright
