#include "reconcilers/blueprint.h"

#include <algorithm>
#include <utility>

#include "reconcilers/drivers.h"
#include "reconcilers/links.h"

namespace lanwright {
namespace {

constexpr int kDeepest = 64;  // links stacked on links; the kernel itself allows 8 (MAX_NEST_DEV)

template <class Map, class Key>
void drop(Map& map, const Key& key, const ResourceId& id) {
  const auto found = map.find(key);
  if (found == map.end()) return;
  found->second.erase(id);
  if (found->second.empty()) map.erase(found);
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

void Blueprint::put(WantedObject object) {
  const ResourceId id = object.id;
  compile(std::move(object));
  if (id.kind != Kind::network) return;
  for (const ResourceId& attachment : attachments_of(id.name)) compile(entries_.at(attachment)->object);
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

void Blueprint::compile(WantedObject object) {
  Entry entry{std::move(object), {}};
  const WantedObject& wanted = entry.object;
  if (wanted.spec) {
    if (const auto* vlan = std::get_if<VlanSpec>(wanted.spec.get())) {
      entry.parts = vlan_parts({wanted.id.name, wanted.uid, *vlan});
    } else if (const auto* network = std::get_if<NetworkSpec>(wanted.spec.get())) {
      if (const Driver* driver = find_driver(network->driver))
        entry.parts = driver->network({wanted.id.name, wanted.uid, *network});
    } else if (const auto* attachment = std::get_if<AttachmentSpec>(wanted.spec.get())) {
      const Entry* host = find({Kind::network, attachment->network});
      const auto* spec = host != nullptr ? std::get_if<NetworkSpec>(host->object.spec.get()) : nullptr;
      const Driver* driver = spec != nullptr ? find_driver(spec->driver) : nullptr;
      if (driver != nullptr)
        entry.parts = driver->attachment({wanted.id.name, wanted.uid, *attachment},
                                         {host->object.id.name, host->object.uid, *spec});
    }
  }
  auto& place = entries_[wanted.id];
  if (place) unindex(*place);
  place = std::make_shared<const Entry>(std::move(entry));
  index(*place);
}

void Blueprint::index(const Entry& entry) {
  const ResourceId& id = entry.object.id;
  by_uid_.insert_or_assign(entry.object.uid, id);
  if (const auto* network = network_of(entry.object)) by_network_[*network].insert(id.name);
  for (const LinkSpec& link : entry.parts.links) {
    if (link.owned) owners_[link.where].insert(id);
    for (LinkName& used : used_by(link)) users_[std::move(used)].insert(id);
    if (!link.where.netns.empty()) by_namespace_[link.where.netns].insert(id);
  }
}

void Blueprint::unindex(const Entry& entry) {
  const ResourceId& id = entry.object.id;
  by_uid_.erase(entry.object.uid);
  if (const auto* network = network_of(entry.object)) {
    const auto found = by_network_.find(*network);
    if (found != by_network_.end() && found->second.erase(id.name) > 0 && found->second.empty())
      by_network_.erase(found);
  }
  for (const LinkSpec& link : entry.parts.links) {
    drop(owners_, link.where, id);
    for (const LinkName& used : used_by(link)) drop(users_, used, id);
    drop(by_namespace_, link.where.netns, id);
  }
}

Result<void> Blueprint::check() const {
  for (const auto& [link, owners] : owners_) {
    if (owners.size() < 2) continue;
    std::vector<const ResourceId*> rivals;
    for (const ResourceId& id : owners) {
      if (!find(id)->object.deleting) rivals.push_back(&id);
    }
    if (rivals.size() < 2) continue;
    return invalid(rivals[0]->text(),
                   "the link " + link.text() + " is wanted by " + rivals[1]->text() + " as well",
                   "give one of them another name");
  }
  for (const auto& [id, entry] : entries_) {
    if (entry->object.deleting) continue;
    if (const auto* network = network_of(entry->object)) {
      const Entry* host = find({Kind::network, *network});
      if (host == nullptr || host->object.deleting)
        return invalid(id.text(), "its network " + *network + " does not exist",
                       "declare the network, or remove both");
    }
    if (depth_of(id) >= kDeepest)
      return invalid(id.text(), "it stands on itself through its parents",
                     "break the circle of parents and uplinks");
  }
  return {};
}

const Blueprint::Entry* Blueprint::find(const ResourceId& id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : found->second.get();
}

const Blueprint::Entry* Blueprint::find_uid(const Uid& uid) const {
  const auto found = by_uid_.find(uid);
  return found == by_uid_.end() ? nullptr : find(found->second);
}

const Blueprint::Entry* Blueprint::owner_of(const LinkName& link) const {
  const auto found = owners_.find(link);
  if (found == owners_.end()) return nullptr;
  const Entry* leaving = nullptr;
  for (const ResourceId& id : found->second) {
    const Entry* entry = find(id);
    if (!entry->object.deleting) return entry;
    leaving = entry;
  }
  return leaving;
}

const std::set<ResourceId>* Blueprint::users_of(const LinkName& link) const {
  const auto found = users_.find(link);
  return found == users_.end() ? nullptr : &found->second;
}

const std::set<ResourceId>* Blueprint::in_namespace(const std::string& netns) const {
  const auto found = by_namespace_.find(netns);
  return found == by_namespace_.end() ? nullptr : &found->second;
}

std::set<std::string> Blueprint::namespaces() const {
  std::set<std::string> paths;
  for (const auto& [path, users] : by_namespace_) paths.insert(path);
  return paths;
}

std::vector<ResourceId> Blueprint::attachments_of(const std::string& network) const {
  std::vector<ResourceId> ids;
  const auto found = by_network_.find(network);
  if (found == by_network_.end()) return ids;
  for (const std::string& name : found->second) ids.push_back({Kind::attachment, name});
  return ids;
}

const std::set<std::string>& Blueprint::claims_of(const Uid& uid) const {
  static const std::set<std::string> none;
  const auto found = claims_.find(uid);
  return found == claims_.end() ? none : found->second;
}

int Blueprint::depth_of(const ResourceId& id) const {
  const Entry* entry = find(id);
  std::map<const Entry*, int> known;
  return entry == nullptr ? 0 : depth_of(*entry, known);
}

int Blueprint::depth_of(const Entry& entry, std::map<const Entry*, int>& known) const {
  const auto [place, is_new] = known.emplace(&entry, kDeepest);  // stays there while we are below: a circle
  if (!is_new) return place->second;
  int depth = 0;
  for (const LinkSpec& link : entry.parts.links) {
    for (const LinkName& used : used_by(link)) {
      const Entry* below = owner_of(used);
      const bool own_port = below == &entry && used.name == link.master;
      if (below != nullptr && !own_port) depth = std::max(depth, 1 + depth_of(*below, known));
    }
  }
  known[&entry] = depth;
  return depth;
}

}  // namespace lanwright
