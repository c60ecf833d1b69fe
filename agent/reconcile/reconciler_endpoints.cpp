// Objects that somebody changes on behalf of others, and what the agent itself finds out about Docker's
// endpoints: how Docker named them, and that their sandbox is gone.
#include <algorithm>
#include <utility>

#include "agent/host/log.h"
#include "agent/reconcile/reconciler_verdict.h"

namespace lanwright::reconcile {
namespace {

constexpr std::chrono::seconds kStoreRest(1);  // after it refused
constexpr std::uint32_t kPatientFailures = 3;  // the first ones mostly mean that the kernel is still at it

const AttachmentSpec* endpoint_of(const desired::DesiredObject* entry) {
  const auto* spec = entry != nullptr ? std::get_if<AttachmentSpec>(entry->object.spec.get()) : nullptr;
  return spec != nullptr && spec->endpoint && !entry->object.deleting ? spec : nullptr;
}

Error being_stopped() {
  return {ErrorKind::busy, {}, "the agent", 0, "it is being stopped", "try again"};
}

Error not_as_wanted(const ResourceId& id, ErrorKind kind, const ObjectStatus& status) {
  if (status.last_error && status.last_error->text() == status.message) return *status.last_error;
  return {kind, {}, id.text(), 0, status.message, {}};
}

}  // namespace

Result<void> Reconciler::change(ObjectChange change) {
  if (stopping_) return being_stopped();
  Verdict verdict;
  verdict.candidate = desired_;
  verdict.set = change.set;
  verdict.change = std::move(change.beside);
  const bool beside = !verdict.change.put_docker_networks.empty() ||
                      !verdict.change.drop_docker_networks.empty() || !verdict.change.events.empty();
  for (auto& [id, spec] : change.put) {
    const auto* entry = desired_.find(id);
    if (entry != nullptr && !entry->object.implicit() && entry->object.set != change.set)
      return Error{ErrorKind::conflict, "make", id.text(), 0, "it belongs to set " + entry->object.set, {}};
    const bool wanted = entry != nullptr && !entry->object.deleting && entry->object.spec;
    if (wanted && *entry->object.spec == spec) continue;
    desired::Declaration object;
    object.id = id;
    object.set = change.set;
    object.uid = entry != nullptr ? entry->object.uid : new_uid();
    object.generation = entry != nullptr ? entry->object.generation : 0;
    object.spec = std::make_shared<const ObjectSpec>(std::move(spec));
    verdict.put.push_back(std::move(object));
  }
  for (const ResourceId& id : change.remove) {
    const auto* entry = desired_.find(id);
    if (entry != nullptr && !entry->object.deleting) verdict.removed.push_back(id);
  }
  if (verdict.put.empty() && verdict.removed.empty() && !beside) return {};
  if (!verdict.put.empty() || !verdict.removed.empty()) verdict.change.put_sets.push_back(change.set);
  auto done = carry_out(std::move(verdict), false);
  if (!done) return done.error();
  return {};
}

// What an object waits for may be ours to make, and have failed.
std::optional<Error> Reconciler::failure_below(const desired::DesiredObject& entry) const {
  const drivers::Resources resources = entry.compile();
  for (const ParentUse& use : resources.parents) {
    const auto* owner = desired_.owner_of({"", use.name});
    const auto known = owner != nullptr ? tracked_.find(owner->object.id) : tracked_.end();
    if (known == tracked_.end() || known->second.failures == 0) continue;
    const ObjectStatus& status = known->second.status;
    if (status.last_error) return *status.last_error;
  }
  return std::nullopt;
}

// Whether, and with what result; absent while it is open.
std::optional<Result<void>> Reconciler::settled(const std::set<ResourceId>& objects) const {
  if (!observed_.complete) return std::nullopt;
  for (const ResourceId& id : objects) {
    const auto* entry = desired_.find(id);
    const auto known = tracked_.find(id);
    if (entry == nullptr || known == tracked_.end()) continue;
    const Tracked& tracked = known->second;
    const ObjectStatus& status = tracked.status;
    if (tracked.failures >= kPatientFailures) return not_as_wanted(id, ErrorKind::busy, status);
    if (entry->object.deleting || status.observed_generation != entry->object.generation) return std::nullopt;
    switch (status.phase) {
      case Phase::ready:
        continue;
      case Phase::pending:
        if (status.message.empty()) return std::nullopt;
        if (auto failed = failure_below(*entry)) return std::move(*failed);
        return not_as_wanted(id, ErrorKind::waiting, status);
      case Phase::conflict:
      case Phase::contested:
        return not_as_wanted(id, ErrorKind::conflict, status);
      case Phase::applying:
      case Phase::retrying:
      case Phase::deleting:
        return std::nullopt;
    }
  }
  return Result<void>();
}

Reconciler::Ticket Reconciler::when_settled(std::set<ResourceId> objects,
                                            std::function<void(Result<void>)> done) {
  const Ticket ticket = ++last_ticket_;
  if (stopping_)
    done(being_stopped());
  else if (auto now = settled(objects))
    done(std::move(*now));
  else
    settlers_.push_back({ticket, std::move(objects), std::move(done)});
  return ticket;
}

void Reconciler::forget_ticket(Ticket ticket) {
  std::erase_if(settlers_, [&](const Settler& settler) { return settler.ticket == ticket; });
}

void Reconciler::wake_settlers() {
  std::vector<std::pair<Settler, Result<void>>> woken;
  std::erase_if(settlers_, [&](Settler& settler) {
    auto now = settled(settler.objects);
    if (now) woken.emplace_back(std::move(settler), std::move(*now));
    return now.has_value();
  });
  for (auto& [settler, result] : woken) settler.done(std::move(result));  // who may ask the next question
}

void Reconciler::dismiss_settlers() {
  for (Settler& settler : std::exchange(settlers_, {})) settler.done(being_stopped());
}

Reconciler::SeenEndpoint Reconciler::seen_in_sandbox(const AttachmentSpec& spec, const LinkFact& fact) {
  SeenEndpoint seen;
  seen.interface = spec.interface.empty() ? fact.name : spec.interface;
  for (const RouteFact& each : fact.routes) {
    if (each.route.to.length != 0 || each.route.metric) continue;  // Docker gives none
    (each.route.to.address.family == AF_INET6 ? seen.default_route6 : seen.default_route) = true;
  }
  return seen;
}

// Docker moves the link, renames it, sets it up and lets it lead out or not, in this order, and tells nobody.
// The last thing it may change at any time, when other networks are connected.
void Reconciler::look_at_endpoint(const ResourceId& id) {
  const auto* entry = desired_.find(id);
  const AttachmentSpec* spec = endpoint_of(entry);
  if (spec == nullptr || spec->endpoint->sandbox.empty() || spec->endpoint->left) return;
  const NamespaceFacts* sandbox = observed_.find(spec->endpoint->sandbox);
  if (sandbox == nullptr) return;
  if (!sandbox->present) {
    if (!spec->interface.empty()) deserted_.insert(id);
    return;
  }
  const drivers::Resources resources = entry->compile();
  for (const LinkSpec& link : resources.links) {
    const LinkFact* fact = link.delegated ? sandbox->find(OwnerTag{entry->object.uid, link.role}) : nullptr;
    if (fact == nullptr || !fact->up || fact->group == kIncompleteGroup) continue;
    if (spec->interface.empty() && fact->name == link.where.name) continue;  // not renamed yet
    const SeenEndpoint seen = seen_in_sandbox(*spec, *fact);
    const DelegatedEnd& known = *spec->endpoint;
    if (seen != SeenEndpoint{spec->interface, known.default_route, known.default_route6}) seen_[id] = seen;
  }
}

void Reconciler::keep_up_with_endpoints() {
  if ((seen_.empty() && deserted_.empty()) || store_rests_) return;
  const auto seen = std::exchange(seen_, {});
  const auto gone = std::exchange(deserted_, {});
  keep_up_with(seen, gone);
}

// What is refused does not keep the rest from being stored; what the store has no room for is tried again.
void Reconciler::keep_up_with(const std::map<ResourceId, SeenEndpoint>& seen,
                              const std::set<ResourceId>& gone) {
  const auto stored = store_endpoints(seen, gone);
  if (stored) return;
  const bool refused =
      stored.error().kind == ErrorKind::conflict || stored.error().kind == ErrorKind::invalid;
  if (refused && seen.size() + gone.size() > 1) {
    for (const auto& each : seen) keep_up_with({each}, {});
    for (const ResourceId& id : gone) keep_up_with({}, {id});
    return;
  }
  log::warning("what became of Docker's endpoints is not stored", {{"error", stored.error().text()}});
  if (refused) return;
  seen_.insert(seen.begin(), seen.end());
  deserted_.insert(gone.begin(), gone.end());
  store_rests_ = true;
  endpoints_timer_.expires_after(kStoreRest);
  endpoints_timer_.async_wait([this](const boost::system::error_code& error) {
    store_rests_ = false;
    if (!error && !stopping_) run();
  });
}

// What was seen is kept, so that a link that is lost is made again as it was. A sandbox never comes back:
// Docker gives each a path of its own.
Result<void> Reconciler::store_endpoints(const std::map<ResourceId, SeenEndpoint>& seen,
                                         const std::set<ResourceId>& gone) {
  ObjectChange found;
  found.set = kDockerSet;
  found.beside.until_boot = true;
  for (const auto& [id, now] : seen) {
    const AttachmentSpec* spec = endpoint_of(desired_.find(id));
    if (spec == nullptr || spec->endpoint->left) continue;
    AttachmentSpec as_seen = *spec;
    as_seen.interface = now.interface;
    as_seen.endpoint->default_route = now.default_route;
    as_seen.endpoint->default_route6 = now.default_route6;
    found.put.emplace(id, std::move(as_seen));
  }
  for (const ResourceId& id : gone) {
    if (endpoint_of(desired_.find(id)) == nullptr) continue;
    found.remove.insert(id);
    found.beside.events.push_back({0, wall_now(), "Deleted", id, kDockerSet,
                                   "its sandbox is gone, and Docker did not say so", std::nullopt});
  }
  return change(std::move(found));
}

// ---- networks that Docker does not know

void Reconciler::set_orphaned(const ResourceId& network, bool orphaned, const std::string& message) {
  const auto known = tracked_.find(network);
  if (known == tracked_.end() || known->second.status.orphaned == orphaned) return;
  known->second.status.orphaned = orphaned;
  known->second.view.reset();
  tell(orphaned ? "Orphaned" : "Found", network, message);
}

void Reconciler::tell(const std::string& type, const ResourceId& id, const std::string& message) {
  emit(type, id, message);
}

// The path of the sandbox that has the endpoint's link; "" when none has.
std::string Reconciler::sandbox_in_use(const desired::DesiredObject& endpoint) const {
  const AttachmentSpec* spec = endpoint_of(&endpoint);
  const NamespaceFacts* sandbox = spec != nullptr ? observed_.find(spec->endpoint->sandbox) : nullptr;
  if (spec == nullptr || spec->endpoint->sandbox.empty() || sandbox == nullptr || !sandbox->present)
    return {};
  const drivers::Resources resources = endpoint.compile();
  const bool there = std::any_of(resources.links.begin(), resources.links.end(), [&](const LinkSpec& link) {
    return link.delegated && sandbox->find(OwnerTag{endpoint.object.uid, link.role}) != nullptr;
  });
  const bool lost = !spec->interface.empty() && !spec->endpoint->left;  // and is about to be made again
  return there || lost ? spec->endpoint->sandbox : std::string();
}

Result<void> Reconciler::free_of_containers(const ResourceId& what, const ResourceId& attachment) const {
  const auto* entry = desired_.find(attachment);
  const std::string sandbox = entry != nullptr ? sandbox_in_use(*entry) : std::string();
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

// With Docker's network go its endpoints: who made them may not be there any more to take them away. Not from
// under a container.
Result<void> Reconciler::take_endpoints_along(const ResourceId& id, std::set<ResourceId>& leaving) const {
  if (desired_.find(id)->object.set != kDockerSet) return {};
  if (id.kind == Kind::attachment) return free_of_containers(id, id);
  if (id.kind != Kind::network) return {};
  for (const ResourceId& attachment : desired_.attachments_of(id.name)) {
    if (endpoint_of(desired_.find(attachment)) == nullptr) continue;
    if (auto free = free_of_containers(id, attachment); !free) return free;
    leaving.insert(attachment);
  }
  return {};
}

}  // namespace lanwright::reconcile
