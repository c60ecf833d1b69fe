#include "agent/docker/sandboxes.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/host/log.h"
#include "model/docker.h"

namespace lanwright::docker_agent {
namespace {

constexpr std::chrono::seconds kStoreBackoff(1);

}  // namespace

const AttachmentSpec* endpoint_of(const desired::DesiredObject* object) {
  const auto* spec = object != nullptr ? std::get_if<AttachmentSpec>(object->object.spec.get()) : nullptr;
  return spec != nullptr && spec->endpoint && !object->object.deleting ? spec : nullptr;
}

reconcile::ChangeRequest change_of(const reconcile::Controller& author) {
  reconcile::ChangeRequest change;
  change.set = kDockerSet;
  change.author = &author;
  return change;
}

Sandboxes::Sandboxes(boost::asio::io_context& io, reconcile::Reconciler& reconciler,
                     const reconcile::Controller& author)
    : reconciler_(reconciler), author_(author), retry_timer_(io, [this]() LANWRIGHT_ON_LOOP { declare(); }) {}

void Sandboxes::look_at(const std::set<ResourceId>& objects) {
  for (const ResourceId& id : objects) look_at(id);
  if (!retry_timer_.is_set()) declare();
}

Sandboxes::Seen Sandboxes::seen_of(const AttachmentSpec& spec, const LinkFact& fact) {
  Seen seen;
  seen.interface = spec.interface.empty() ? fact.name : spec.interface;
  for (const RouteFact& each : fact.routes) {
    const bool dockers = each.protocol == RTPROT_BOOT || each.protocol == kOwnProtocol;
    if (each.route.to.length != 0 || each.route.metric || !dockers) continue;  // Docker gives no metric
    (each.route.to.address.family == AF_INET6 ? seen.default_route6 : seen.default_route) = true;
  }
  return seen;
}

void Sandboxes::look_at(const ResourceId& id) {
  const desired::DesiredObject* object = reconciler_.desired().find(id);
  const AttachmentSpec* spec = endpoint_of(object);
  if (spec == nullptr || spec->endpoint->sandbox.empty() || spec->endpoint->left) return;
  const NamespaceFacts* sandbox = reconciler_.observed().find(spec->endpoint->sandbox);
  if (sandbox == nullptr) return;
  if (!sandbox->present) {
    if (!spec->interface.empty()) deserted_.insert(id);
    return;
  }
  const drivers::Resources resources = object->compile();
  for (const LinkSpec& link : resources.links) {
    const LinkFact* fact = link.delegated ? sandbox->find(OwnerTag{object->object.uid, link.role}) : nullptr;
    if (fact == nullptr || !fact->up || fact->group == kIncompleteGroup) continue;
    if (spec->interface.empty() && fact->name == link.at.name) continue;  // not renamed yet
    look_at(id, *spec, *fact);
  }
}

void Sandboxes::look_at(const ResourceId& id, const AttachmentSpec& spec, const LinkFact& fact) {
  const DelegatedEnd& known = *spec.endpoint;
  const auto waiting = seen_.find(id);  // to be stored
  const Seen seen = seen_of(spec, fact);
  if (spec.interface.empty() && waiting == seen_.end()) {  // Docker has just set it up
    reconciler_.announce({known.sandbox, fact.name});
    tell_other_name(id, spec, fact.name);
  }
  if (seen != Seen{spec.interface, known.default_route, known.default_route6}) seen_[id] = seen;
}

// Of a plugin, Docker before 29.8 takes the beginning of a name only.
void Sandboxes::tell_other_name(const ResourceId& id, const AttachmentSpec& spec, const std::string& name) {
  const std::string& asked = spec.endpoint->asked_name;
  if (asked.empty() || asked == name) return;
  const std::string words = "the container asks for an interface " + asked + ", and Docker called it " +
                            name + ": before version 29.8 it takes no names from plugins";
  log::warning(words, {{"attachment", id.name}});
  reconciler_.record("Warning", id, words);
}

Result<void> Sandboxes::check_name(const desired::DesiredObject& endpoint, const std::string& sandbox) const {
  const std::string& name = endpoint_of(&endpoint)->endpoint->asked_name;
  if (name.empty()) return {};
  std::string holder;
  for (const auto& [id, other] : reconciler_.desired().entries()) {
    const AttachmentSpec* spec = endpoint_of(other.get());
    if (spec == nullptr || id == endpoint.object.id || spec->endpoint->left) continue;
    if (spec->endpoint->sandbox != sandbox) continue;
    if ((spec->interface.empty() ? spec->endpoint->asked_name : spec->interface) == name) holder = id.text();
  }
  const LinkFact* link = reconciler_.observed().find(LinkName{sandbox, name});
  const auto mark = link != nullptr ? OwnerTag::parse(link->alias) : std::nullopt;
  if (holder.empty() && link != nullptr && (!mark || mark->uid != endpoint.object.uid))
    holder = "an interface with ifindex " + std::to_string(link->ifindex);
  if (holder.empty()) return {};
  return Error{ErrorKind::conflict,
               "join",
               "Docker's endpoint " + endpoint.object.id.name,
               0,
               "the name " + name + " is taken in the sandbox " + sandbox + ", by " + holder,
               "give it another one: --driver-opt com.docker.network.endpoint.ifname=NAME"};
}

void Sandboxes::declare() {
  if (seen_.empty() && deserted_.empty()) return;
  const auto seen = std::exchange(seen_, {});
  const auto gone = std::exchange(deserted_, {});
  declare(seen, gone);
}

// What is refused does not keep the rest from being stored; what the store has no room for is tried again.
void Sandboxes::declare(const std::map<ResourceId, Seen>& seen, const std::set<ResourceId>& gone) {
  const auto stored = submit(seen, gone);
  if (stored) return;
  const bool refused =
      stored.error().kind == ErrorKind::conflict || stored.error().kind == ErrorKind::invalid;
  if (refused && seen.size() + gone.size() > 1) {
    for (const auto& each : seen) declare({each}, {});
    for (const ResourceId& id : gone) declare({}, {id});
    return;
  }
  log::warning("what became of Docker's endpoints is not stored", {{"error", stored.error().text()}});
  if (refused) return;
  seen_.insert(seen.begin(), seen.end());
  deserted_.insert(gone.begin(), gone.end());
  retry_timer_.set_in(kStoreBackoff);
}

// A sandbox never comes back: Docker gives each a path of its own.
Result<void> Sandboxes::submit(const std::map<ResourceId, Seen>& seen, const std::set<ResourceId>& gone) {
  reconcile::ChangeRequest found = change_of(author_);
  found.beside.until_boot = true;
  for (const auto& [id, now] : seen) {
    const AttachmentSpec* spec = endpoint_of(reconciler_.desired().find(id));
    if (spec == nullptr || spec->endpoint->left) continue;
    AttachmentSpec as_seen = *spec;
    as_seen.interface = now.interface;
    as_seen.endpoint->default_route = now.default_route;
    as_seen.endpoint->default_route6 = now.default_route6;
    found.upsert.emplace(id, reconcile::ChangeRequest::Wanted{std::move(as_seen)});
  }
  for (const ResourceId& id : gone) {
    if (endpoint_of(reconciler_.desired().find(id)) == nullptr) continue;
    found.remove.insert(id);
    found.beside.events.push_back({0, reconcile::wall_now(), "Deleted", id, kDockerSet,
                                   "its sandbox is gone, and Docker did not say so", std::nullopt});
  }
  auto committed = reconciler_.submit(std::move(found));
  if (!committed) return committed.error();
  return {};
}

// The path of the sandbox that has the endpoint's link; "" when none has.
std::string Sandboxes::sandbox_in_use(const desired::DesiredObject& endpoint) const {
  const AttachmentSpec* spec = endpoint_of(&endpoint);
  const NamespaceFacts* sandbox =
      spec != nullptr ? reconciler_.observed().find(spec->endpoint->sandbox) : nullptr;
  if (spec == nullptr || spec->endpoint->sandbox.empty() || sandbox == nullptr || !sandbox->present)
    return {};
  const drivers::Resources resources = endpoint.compile();
  const bool there = std::any_of(resources.links.begin(), resources.links.end(), [&](const LinkSpec& link) {
    return link.delegated && sandbox->find(OwnerTag{endpoint.object.uid, link.role}) != nullptr;
  });
  const bool lost = !spec->interface.empty() && !spec->endpoint->left;  // and is about to be made again
  return there || lost ? spec->endpoint->sandbox : std::string();
}

Result<void> Sandboxes::check_unused(const ResourceId& what, const ResourceId& attachment) const {
  const desired::DesiredObject* object = reconciler_.desired().find(attachment);
  const std::string sandbox = object != nullptr ? sandbox_in_use(*object) : std::string();
  if (sandbox.empty()) return {};
  return Error{ErrorKind::conflict,
               "delete",
               what.text(),
               0,
               "it is in use by " + attachment.text() + ": a container has it, in the sandbox " + sandbox,
               "stop the container or disconnect it first; of one that Docker does not know any more, end "
               "the processes and `umount " +
                   sandbox + "`"};
}

Result<void> Sandboxes::admit_deletion(std::set<ResourceId>& objects) const {
  const std::set<ResourceId> asked = objects;
  for (const ResourceId& id : asked) {
    const desired::DesiredObject* object = reconciler_.desired().find(id);
    if (object == nullptr || object->object.set != kDockerSet) continue;
    std::vector<ResourceId> endpoints;
    if (id.kind == Kind::attachment) endpoints.push_back(id);
    if (id.kind == Kind::network) endpoints = reconciler_.desired().attachments_of(id.name);
    for (const ResourceId& endpoint : endpoints) {
      if (endpoint != id && endpoint_of(reconciler_.desired().find(endpoint)) == nullptr) continue;
      if (auto unused = check_unused(id, endpoint); !unused) return unused;
      objects.insert(endpoint);
    }
  }
  return {};
}

}  // namespace lanwright::docker_agent
