#include "reconcilers/blueprint.h"

#include <algorithm>
#include <utility>

#include "reconcilers/drivers.h"
#include "reconcilers/links.h"

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

// The links of others that this link stands on or in.
std::vector<LinkName> used_by(const LinkSpec& link) {
  std::vector<LinkName> used;
  if (!link.owned) used.push_back(link.where);
  if (!link.master.empty()) used.push_back({link.where.netns, link.master});
  if (!link.parent.empty()) used.push_back({"", link.parent});
  return used;
}

const std::string* network_of(const WantedObject& object) {
  const auto* spec = std::get_if<AttachmentSpec>(object.spec.get());
  return spec != nullptr ? &spec->network : nullptr;
}

Error invalid(std::string object, std::string words, std::string hint) {
  return {ErrorKind::invalid, "declare", std::move(object), 0, std::move(words), std::move(hint)};
}

}  // namespace

Parts Blueprint::Entry::parts() const {
  if (!object.spec) return {};
  const std::string& name = object.id.name;
  if (const auto* vlan = std::get_if<VlanSpec>(object.spec.get()))
    return vlan_parts({name, object.uid, *vlan});
  if (const auto* spec = std::get_if<NetworkSpec>(object.spec.get())) {
    const Driver* driver = find_driver(spec->driver);
    return driver != nullptr ? driver->network({name, object.uid, *spec}) : Parts{};
  }
  const auto* spec = std::get_if<AttachmentSpec>(object.spec.get());
  const auto* host = network ? std::get_if<NetworkSpec>(network->object.spec.get()) : nullptr;
  const Driver* driver = host != nullptr ? find_driver(host->driver) : nullptr;
  if (spec == nullptr || driver == nullptr) return {};
  return driver->attachment({name, object.uid, *spec}, {network->object.id.name, network->object.uid, *host});
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
    for (LinkName& used : used_by(link)) users_[std::move(used)].insert(&entry);
    if (!link.where.netns.empty()) by_namespace_[link.where.netns].insert(&entry);
  }
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
    for (const LinkName& used : used_by(link)) drop(users_, used, &entry);
    drop(by_namespace_, link.where.netns, &entry);
  }
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
  for (const LinkSpec& link : parts.links) {
    for (const LinkName& used : used_by(link)) {
      const Entry* below = blueprint_.owner_of(used);
      const bool own_port = below == &entry && used.name == link.master;
      if (below != nullptr && !own_port) depth = std::max(depth, 1 + of(*below));
    }
  }
  known_[&entry] = depth;
  return depth;
}

}  // namespace lanwright
