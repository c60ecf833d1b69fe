#include "reconcilers/desired/changeset.h"

#include <utility>

#include "reconcilers/desired/allocations.h"

namespace lanwright::desired {
namespace {

// Where an object has links, or hands them to.
std::set<std::string> namespaces_of(const DesiredObject& object) {
  std::set<std::string> paths;
  const drivers::Resources resources = object.compile();
  for (const LinkSpec& link : resources.links) {
    for (const std::string* path : {&link.at.netns, &link.delegate_netns}) {
      if (!link.borrowed && !path->empty()) paths.insert(*path);
    }
  }
  return paths;
}

const AttachmentSpec* attachment_of(const DesiredObject* object) {
  return object != nullptr ? std::get_if<AttachmentSpec>(object->object.spec.get()) : nullptr;
}

}  // namespace

Changeset::Changeset(DesiredState& desired, std::function<ObjectUid()> new_uid, Abandoned abandoned)
    : desired_(desired), new_uid_(std::move(new_uid)), abandoned_(std::move(abandoned)) {}

// By kind: networks are back before their attachments are.
Changeset::~Changeset() {
  if (kept_) return;
  for (const auto& [id, object] : before_) {
    if (object)
      desired_.put(object->object);
    else
      desired_.erase(id);
  }
}

void Changeset::remember(const ResourceId& id) {
  if (!before_.contains(id)) before_.emplace(id, desired_.share(id));
}

void Changeset::include_with_dependents(const ResourceId& id) {
  remember(id);
  scope_.insert(id);
  if (id.kind != Kind::network) return;
  for (const ResourceId& attachment : desired_.attachments_of(id.name)) {
    remember(attachment);
    scope_.insert(attachment);
  }
}

void Changeset::upsert(Declaration object) {
  const ResourceId id = object.id;
  include_with_dependents(id);
  upserted_.insert(id);
  deleted_.erase(id);
  desired_.put(std::move(object));
}

void Changeset::include(const ResourceId& id) {
  if (desired_.find(id) != nullptr) scope_.insert(id);
}

void Changeset::mark_deleting(const ResourceId& id) {
  include_with_dependents(id);
  deleted_.insert(id);
  upserted_.erase(id);
  Declaration object = desired_.find(id)->object;
  object.deleting = true;
  desired_.put(std::move(object));
}

Result<void> Changeset::complete(const NamespaceFacts* host) {
  sync_implicit_vlans();
  if (auto allocated = allocate(); !allocated) return allocated;
  return desired_.check(&scope_, host, abandoned_);
}

// VLAN links that networks name as their parent, or as an uplink, are made for them, shared, and go with the
// last of them.
void Changeset::sync_implicit_vlans() {
  const auto wanted = desired_.implicit_vlans();
  for (const auto& [name, spec] : wanted) {
    const ResourceId id{Kind::vlan, name};
    const DesiredObject* known = desired_.find(id);
    if (known != nullptr && known->object.implicit() && !known->object.deleting) continue;
    Declaration object;
    object.id = id;
    object.uid = known != nullptr ? known->object.uid : new_uid_();
    object.generation = known != nullptr ? known->object.generation : 0;
    object.spec = std::make_shared<const ObjectSpec>(spec);
    upsert(std::move(object));
  }
  std::vector<ResourceId> idle;
  for (const auto& [id, known] : desired_.entries()) {
    if (id.kind != Kind::vlan) break;
    if (known->object.implicit() && !known->object.deleting && !wanted.contains(id.name)) idle.push_back(id);
  }
  for (const ResourceId& id : idle) mark_deleting(id);
}

// Attachments that name no address get one, and keep it.
Result<void> Changeset::allocate() {
  std::set<std::string> networks;
  for (const ResourceId& id : scope_) {
    const DesiredObject* object = desired_.find(id);
    if (id.kind == Kind::network) networks.insert(id.name);
    if (id.kind == Kind::attachment && object != nullptr && object->network)
      networks.insert(object->network->object.id.name);
  }
  for (const std::string& network : networks) {
    if (is_given_up()) return {};
    if (auto allocated = allocate_on(network); !allocated) return allocated;
  }
  return {};
}

Result<void> Changeset::allocate_on(const std::string& network) {
  auto allocations = allocate_addresses(desired_, network);
  if (!allocations) return allocations.error();
  for (auto& [id, addresses] : *allocations) {
    Declaration object = desired_.find(id)->object;
    object.allocations = std::move(addresses);
    upsert(std::move(object));
  }
  return {};
}

// Attachments in one namespace share its names and its default route.
void Changeset::include_neighbours(const Observed& observed) {
  std::set<NamespaceId> shared;
  const auto add = [&](const DesiredObject* object) {
    const AttachmentSpec* spec = attachment_of(object);
    if (spec != nullptr && !spec->netns.empty()) shared.insert(observed.id_of(netns_path(spec->netns)));
  };
  for (const ResourceId& id : scope_) {
    add(desired_.find(id));
    const auto before = before_.find(id);
    if (before != before_.end()) add(before->second.get());
  }
  if (shared.empty()) return;
  for (const std::string& path : desired_.namespaces()) {
    if (!shared.contains(observed.id_of(path))) continue;
    for (const DesiredObject* object : desired_.in_namespace(path)) scope_.insert(object->object.id);
  }
}

bool Changeset::alters(const ResourceId& id) const {
  const auto known = before_.find(id);
  const DesiredObject* now = desired_.find(id);
  if (known == before_.end() || !known->second || now == nullptr) return false;
  return known->second->compile() != now->compile();
}

std::vector<Changeset::LeftNamespace> Changeset::left_namespaces() const {
  std::vector<LeftNamespace> left;
  for (const ResourceId& id : upserted_) {
    const auto& before = before_.at(id);
    if (!before) continue;
    const DesiredObject& now = *desired_.find(id);
    const auto paths = namespaces_of(now);
    for (const std::string& path : namespaces_of(*before)) {
      if (!paths.contains(path)) left.push_back({now.object.uid, path});
    }
  }
  return left;
}

bool Changeset::moves_namespaces() const {
  for (const ResourceId& id : scope_) {
    const DesiredObject* now = desired_.find(id);
    const auto before = before_.find(id);
    const auto paths = now != nullptr ? namespaces_of(*now) : std::set<std::string>{};
    const bool was_there = before != before_.end() && before->second;
    if (before == before_.end()) continue;
    if (paths != (was_there ? namespaces_of(*before->second) : std::set<std::string>{})) return true;
  }
  return false;
}

}  // namespace lanwright::desired
