// What callers ask of the engine: changes of what is wanted, and looks at it. Each is carried out on the
// loop.
#include <sys/random.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <future>
#include <utility>

#include "agent/reconcile/on_loop.h"
#include "agent/reconcile/reconciler.h"
#include "agent/reconcile/reconciler_verdict.h"
#include "model/format/json.h"
#include "reconcilers/desired/allocations.h"
#include "reconcilers/drivers/registry.h"
#include "reconcilers/plan/planner.h"

namespace lanwright::reconcile {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kReadTimeout = 2s;  // of readers with a loop that is busy
constexpr std::size_t kHistoryShown = 20;

std::map<ResourceId, ObjectSpec> objects_of(const SetSpec& set) {
  std::map<ResourceId, ObjectSpec> objects;
  for (const auto& [name, spec] : set.vlans) objects.emplace(ResourceId{Kind::vlan, name}, spec);
  for (const auto& [name, spec] : set.networks) objects.emplace(ResourceId{Kind::network, name}, spec);
  for (const auto& [name, spec] : set.attachments) objects.emplace(ResourceId{Kind::attachment, name}, spec);
  return objects;
}

Error generation_moved(const std::string& set, std::uint64_t is, std::uint64_t expected) {
  return {ErrorKind::conflict,
          "change",
          "set " + set,
          0,
          "it is at generation " + std::to_string(is) + ", not " + std::to_string(expected),
          "somebody changed it meanwhile: get it again and repeat"};
}

}  // namespace

ObjectUid new_uid() {
  std::uint64_t bits = 0;
  while (getrandom(&bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits)) {
  }
  ObjectUid uid(16, '0');
  for (std::size_t i = uid.size(); i-- > 0; bits >>= 4U) uid[i] = "0123456789abcdef"[bits & 0xfU];
  return uid;
}

Result<ApplyOutcome> Reconciler::apply(const ApplyRequest& request, Deadline deadline) {
  return on_loop<ApplyOutcome>(io_, deadline, "apply", [this, request] { return do_apply(request); });
}

Result<ApplyOutcome> Reconciler::remove(const DeleteRequest& request, Deadline deadline) {
  return on_loop<ApplyOutcome>(io_, deadline, "delete", [this, request] { return do_remove(request); });
}

Result<Plan> Reconciler::difference(const std::optional<std::string>& set, Deadline deadline) {
  return on_loop<Plan>(io_, deadline, "compare", [this, set]() -> Result<Plan> {
    if (!observed_.complete)
      return Error{ErrorKind::busy,        "compare", "the kernel", 0, "it is being read anew",
                   "try again in a moment"};
    std::set<ResourceId> scope;
    bool known = !set;
    for (const state::StoredSet& stored : store_->sets()) known = known || stored.name == *set;
    for (const auto& [id, entry] : desired_.entries()) {
      if (!set || entry->object.set == *set) scope.insert(scope.end(), id);
    }
    if (!known && scope.empty())
      return Error{ErrorKind::not_found,      "compare", "set " + *set, 0, "there is no such set",
                   "see `lanwright get sets`"};
    return planning::plan(desired_, observed_, &scope);
  });
}

Result<Description> Reconciler::describe(const ResourceId& id, Deadline deadline) {
  return on_loop<Description>(io_, deadline, "describe", [this, id] { return do_describe(id); });
}

Result<std::vector<SwitchView>> Reconciler::switches(Deadline deadline) {
  return on_loop<std::vector<SwitchView>>(
      io_, deadline, "read", [this]() -> Result<std::vector<SwitchView>> { return do_switches(); });
}

// Of the moment of the call; when the loop is held up in the kernel (somebody else has the link lock), the
// last one.
Result<std::shared_ptr<const Snapshot>> Reconciler::snapshot(Deadline deadline) {
  using Published = std::shared_ptr<const Snapshot>;
  const Deadline patience = std::min(deadline, Clock::now() + kReadTimeout);
  auto fresh =
      on_loop<Published>(io_, patience, "read", [this]() -> Result<Published> { return do_snapshot(); });
  const std::lock_guard lock(published_mutex_);
  if (fresh) published_ = *fresh;
  if (!fresh && published_) return published_;
  return fresh;
}

bool Reconciler::wait_converged(const std::optional<std::string>& set, std::uint64_t generation,
                                Deadline deadline) {
  auto waiter = std::make_shared<Waiter>();
  waiter->set = set;
  waiter->generation = generation;
  auto answer = waiter->answer.get_future();
  boost::asio::post(io_, [this, waiter] {
    if (stopping_) return waiter->answer.set_value(false);
    waiters_.push_back(waiter);
    wake_waiters();
  });
  if (answer.wait_until(deadline) == std::future_status::ready) return answer.get();
  boost::asio::post(io_, [this, waiter] { std::erase(waiters_, waiter); });
  return false;
}

std::vector<Event> Reconciler::events_after(std::uint64_t after, std::size_t limit, Deadline deadline) {
  return log_.after(after, limit, deadline);
}

std::vector<Event> Reconciler::recent_events(std::size_t limit) {
  return log_.recent(limit);
}

Result<ApplyOutcome> Reconciler::do_apply(const ApplyRequest& request) {
  const std::string& name = request.set.name;
  if (name == kDockerSet)
    return Error{ErrorKind::conflict,
                 "apply",
                 "set " + name,
                 0,
                 "it is Docker's: what is in it is made with `docker network create`",
                 "give the set another name"};
  std::uint64_t current = 0;
  for (const state::StoredSet& set : store_->sets()) {
    if (set.name == name) current = set.generation;
  }
  if (request.if_generation && *request.if_generation != current)
    return generation_moved(name, current, *request.if_generation);

  Verdict verdict;
  verdict.candidate = desired_;
  verdict.set = name;
  std::map<ResourceId, ObjectSpec> declared = objects_of(request.set);
  for (auto& [id, spec] : declared) {
    const auto* entry = desired_.find(id);
    const bool implicit = entry != nullptr && entry->object.implicit();
    if (entry != nullptr && !implicit && entry->object.set != name)
      return Error{ErrorKind::conflict,
                   "apply",
                   id.text(),
                   0,
                   "it belongs to set " + entry->object.set,
                   "give it another name, or remove it there first"};
    const bool same = entry != nullptr && !entry->object.deleting && !implicit && entry->object.spec &&
                      *entry->object.spec == spec;
    const bool adopt = request.adopt && !(same && tracked_[id].status.phase == Phase::ready);
    verdict.outcomes.push_back({id, same ? "unchanged" : entry != nullptr ? "changed" : "created"});
    if (same && !adopt) continue;
    desired::Declaration object;
    object.id = id;
    object.set = name;
    object.uid = entry != nullptr ? entry->object.uid : new_uid();
    object.generation = entry != nullptr ? entry->object.generation : 0;
    if (entry != nullptr) object.allocations = entry->object.allocations;
    object.adopt = adopt;
    object.spec = std::make_shared<const ObjectSpec>(std::move(spec));
    verdict.put.push_back(std::move(object));
  }
  for (const auto& [id, entry] : desired_.entries()) {
    if (!request.prune || entry->object.set != name || entry->object.deleting || declared.contains(id))
      continue;
    verdict.removed.push_back(id);
    verdict.outcomes.push_back({id, "removed"});
  }
  if (current == 0 || !verdict.put.empty() || !verdict.removed.empty()) {
    verdict.change.put_sets.push_back(name);
    verdict.change.events.push_back({0, wall_now(), "Applied", std::nullopt, name,
                                     std::to_string(verdict.put.size()) + " objects declared, " +
                                         std::to_string(verdict.removed.size()) + " removed",
                                     request.peer});
  }
  return carry_out(std::move(verdict), request.dry_run);
}

// Somebody who stands on the links of this object and is not among those that leave. What was made on demand
// leaves with those that demanded it.
const desired::DesiredObject* Reconciler::user_that_stays(const desired::DesiredObject& entry,
                                                          const std::set<ResourceId>& leaving) const {
  const drivers::Resources resources = entry.compile();
  for (const LinkSpec& link : resources.links) {
    if (!link.owned) continue;
    for (const auto* user : desired_.users_of(link.where)) {
      if (leaving.contains(user->object.id) || user->object.deleting) continue;
      if (!user->object.implicit()) return user;
      if (const auto* further = user_that_stays(*user, leaving)) return further;
    }
  }
  return nullptr;
}

Result<ApplyOutcome> Reconciler::do_remove(const DeleteRequest& request) {
  Verdict verdict;
  verdict.candidate = desired_;
  const std::string what = request.object ? request.object->text() : "set " + request.set.value_or("");
  std::set<ResourceId> leaving;
  std::optional<std::uint64_t> current;
  if (request.object) {
    const auto* entry = desired_.find(*request.object);
    if (entry == nullptr)
      return Error{ErrorKind::not_found,
                   "delete",
                   what,
                   0,
                   "there is no such object",
                   std::string("see `lanwright get ") + plural_of(request.object->kind) + "`"};
    verdict.set = entry->object.set;
    leaving.insert(*request.object);
    if (auto free = take_endpoints_along(*request.object, leaving); !free) return free.error();
  } else {
    verdict.set = *request.set;
    for (const auto& [id, entry] : desired_.entries()) {
      if (entry->object.set != *request.set) continue;
      leaving.insert(id);
      if (auto free = take_endpoints_along(id, leaving); !free) return free.error();
    }
    verdict.change.drop_sets.push_back(*request.set);
  }
  for (const state::StoredSet& set : store_->sets()) {
    if (set.name == verdict.set) current = set.generation;
  }
  if (!request.object && !current && leaving.empty())
    return Error{ErrorKind::not_found, "delete", what, 0, "there is no such set", "see `lanwright get sets`"};
  if (request.if_generation && current.value_or(0) != *request.if_generation)
    return generation_moved(verdict.set, current.value_or(0), *request.if_generation);

  for (const ResourceId& id : leaving) {
    const auto* entry = desired_.find(id);
    if (const auto* user = user_that_stays(*entry, leaving))
      return Error{ErrorKind::conflict,
                   "delete",
                   id.text(),
                   0,
                   "it is in use by " + user->object.id.text(),
                   user->object.set == kDockerSet
                       ? "that is a container's: stop the container, or disconnect it first"
                       : "remove that first, or both together with their set"};
    verdict.outcomes.push_back({id, "removed"});
    if (!entry->object.deleting) verdict.removed.push_back(id);
  }
  if (request.object && !verdict.removed.empty()) verdict.change.put_sets.push_back(verdict.set);
  verdict.change.events.push_back(
      {0, wall_now(), "Deleted", request.object, verdict.set, what + " is to be removed", request.peer});
  const bool dockers = verdict.set == kDockerSet;
  auto removed = carry_out(std::move(verdict), false);
  if (removed && dockers && on_docker_removed) on_docker_removed();
  return removed;
}

void Reconciler::want(Verdict& verdict, desired::Declaration object) {
  const ResourceId id = object.id;
  verdict.candidate.put(object);
  verdict.scope.insert(id);
  if (id.kind == Kind::network) {
    for (const ResourceId& attachment : verdict.candidate.attachments_of(id.name))
      verdict.scope.insert(attachment);
  }
  const auto known = std::find_if(verdict.put.begin(), verdict.put.end(),
                                  [&](const desired::Declaration& other) { return other.id == id; });
  if (known == verdict.put.end())
    verdict.put.push_back(std::move(object));
  else
    *known = std::move(object);
}

void Reconciler::let_go(Verdict& verdict, const ResourceId& id) {
  desired::Declaration object = verdict.candidate.find(id)->object;
  object.deleting = true;
  verdict.candidate.put(std::move(object));
  verdict.scope.insert(id);
  if (id.kind != Kind::network) return;
  for (const ResourceId& attachment : verdict.candidate.attachments_of(id.name))
    verdict.scope.insert(attachment);
}

// VLAN links that networks name as their parent are made on demand, shared, and go with the last of them.
void Reconciler::sync_implicit_vlans(Verdict& verdict) {
  const auto demanded = verdict.candidate.implicit_vlans();
  for (const auto& [name, spec] : demanded) {
    const ResourceId id{Kind::vlan, name};
    const auto* entry = verdict.candidate.find(id);
    if (entry != nullptr && entry->object.implicit() && !entry->object.deleting) continue;
    desired::Declaration object;
    object.id = id;
    object.uid = entry != nullptr ? entry->object.uid : new_uid();
    object.generation = entry != nullptr ? entry->object.generation : 0;
    object.spec = std::make_shared<const ObjectSpec>(spec);
    std::erase(verdict.removed, id);
    want(verdict, std::move(object));
  }
  std::vector<ResourceId> idle;
  for (const auto& [id, entry] : verdict.candidate.entries()) {
    if (id.kind != Kind::vlan) break;
    if (entry->object.implicit() && !entry->object.deleting && !demanded.contains(id.name))
      idle.push_back(id);
  }
  for (const ResourceId& id : idle) {
    verdict.removed.push_back(id);
    let_go(verdict, id);
  }
}

// Attachments that name no address get one, and keep it.
Result<void> Reconciler::assign_addresses(Verdict& verdict) {
  std::set<std::string> networks;
  for (const ResourceId& id : verdict.scope) {
    const auto* entry = verdict.candidate.find(id);
    if (id.kind == Kind::network) networks.insert(id.name);
    if (id.kind == Kind::attachment && entry != nullptr && entry->network)
      networks.insert(entry->network->object.id.name);
  }
  for (const std::string& network : networks) {
    auto allocations = desired::allocate_addresses(verdict.candidate, network);
    if (!allocations) return allocations.error();
    for (auto& [id, addresses] : *allocations) {
      desired::Declaration object = verdict.candidate.find(id)->object;
      object.allocations = std::move(addresses);
      want(verdict, std::move(object));
    }
  }
  return {};
}

// Attachments in one namespace share its default route.
void Reconciler::look_around(Verdict& verdict) {
  std::set<std::string> namespaces;
  for (const ResourceId& id : verdict.scope) {
    const auto* entry = verdict.candidate.find(id);
    const auto* spec = entry != nullptr ? std::get_if<AttachmentSpec>(entry->object.spec.get()) : nullptr;
    if (spec != nullptr && !spec->netns.empty()) namespaces.insert(netns_path(spec->netns));
  }
  for (const std::string& netns : namespaces) {
    for (const auto* entry : verdict.candidate.in_namespace(netns)) verdict.scope.insert(entry->object.id);
  }
}

// Where an object had links and will have none: looked at until nothing of it is left there, namespaces that
// nobody names any more included.
void Reconciler::remember_places(Verdict& verdict) {
  const auto places_of = [](const desired::DesiredObject& entry) {
    std::set<std::string> places;
    const drivers::Resources resources = entry.compile();
    for (const LinkSpec& link : resources.links) {
      for (const std::string* place : {&link.where.netns, &link.delegate_netns}) {
        if (link.owned && !place->empty()) places.insert(*place);
      }
    }
    return places;
  };
  for (const desired::Declaration& object : verdict.put) {
    const auto* before = desired_.find(object.id);
    if (before == nullptr) continue;
    const auto now = places_of(*verdict.candidate.find(object.id));
    for (const std::string& place : places_of(*before)) {
      if (!now.contains(place))
        verdict.change.add_claims.push_back({object.uid, std::string(desired::kPlaceClaim) + place});
    }
  }
}

// What differs from now on because another object was changed (an attachment's network) is no drift.
void Reconciler::expect_change(const ResourceId& id, const desired::DesiredState& candidate) {
  const auto* before = desired_.find(id);
  const auto* now = candidate.find(id);
  Tracked& tracked = tracked_[id];
  if (before == nullptr || now == nullptr || tracked.status.phase != Phase::ready) return;
  if (before->compile() != now->compile()) set_phase(tracked, Phase::applying, {});
}

// The one way in which what is wanted changes: tried on a copy, committed, and only then taken over.
Result<ApplyOutcome> Reconciler::carry_out(Verdict verdict, bool dry_run) {
  for (const desired::Declaration& object : std::exchange(verdict.put, {})) want(verdict, object);
  for (const ResourceId& id : verdict.removed) let_go(verdict, id);
  sync_implicit_vlans(verdict);
  if (auto assigned = assign_addresses(verdict); !assigned) return assigned.error();
  remember_places(verdict);
  look_around(verdict);
  const std::set<ResourceId>& scope = verdict.scope;
  if (auto checked = verdict.candidate.check(&scope); !checked) return checked.error();

  // The plan needs to see the namespaces that are named for the first time.
  std::set<std::string> namespaces = desired_.namespaces();
  namespaces.merge(verdict.candidate.namespaces());
  note(links_->watch(namespaces, observed_));
  ApplyOutcome outcome;
  outcome.objects = std::move(verdict.outcomes);
  outcome.plan = planning::plan(verdict.candidate, observed_, &scope);
  if (dry_run) {
    watch_namespaces();
    return outcome;
  }

  std::map<ResourceId, const desired::Declaration*> put;
  for (const desired::Declaration& object : verdict.put) {
    put.emplace(object.id, &object);
    state::StoredObject stored;
    stored.id = object.id;
    stored.set = object.set;
    stored.uid = object.uid;
    stored.spec = to_json(*object.spec).dump();
    stored.allocations = desired::text_of_allocations(object.allocations);
    verdict.change.put_objects.push_back(std::move(stored));
  }
  verdict.change.mark_deleting = verdict.removed;
  const bool nothing = verdict.change.put_sets.empty() && verdict.change.drop_sets.empty() && put.empty() &&
                       verdict.removed.empty() && verdict.change.put_docker_networks.empty() &&
                       verdict.change.drop_docker_networks.empty();
  if (!nothing) {
    save_events();  // in the order in which things happened
    const std::vector<Event> events = verdict.change.events;
    const std::vector<state::Claim> claims = verdict.change.add_claims;
    auto committed = store_->commit(std::move(verdict.change));
    if (!committed) return committed.error();
    for (const Event& event : events) log_.append(event);
    for (const state::StoredObject& stored : *committed) {
      desired::Declaration object = *put.at(stored.id);
      object.generation = stored.generation;
      verdict.candidate.put(std::move(object));
      auto& tracked = tracked_[stored.id];
      tracked.view.reset();
      if (tracked.created == WallTime{}) tracked.status.since = stored.created;
      tracked.created = stored.created;
      tracked.rounds = 0;
      tracked.failures = 0;
      tracked.not_before.reset();
    }
    for (const ResourceId& id : verdict.removed) {
      Tracked& tracked = tracked_[id];
      set_phase(tracked, Phase::deleting, {});
      tracked.failures = 0;  // of what it was to be
      tracked.rounds = 0;
      tracked.not_before.reset();
    }
    for (const ResourceId& id : scope) expect_change(id, verdict.candidate);
    desired_ = std::move(verdict.candidate);
    remember(claims);
    dirty_.insert(scope.begin(), scope.end());
    for (const ResourceId& id : scope) count(id, tracked_[id]);
    drop_plan();  // it was made for what was wanted before
    watch_namespaces();
    schedule();
    const auto is_network = [](const ResourceId& id) { return id.kind == Kind::network; };
    if (on_networks_changed && std::any_of(scope.begin(), scope.end(), is_network)) on_networks_changed();
  }
  for (const state::StoredSet& set : store_->sets()) {
    if (set.name == verdict.set) outcome.generation = set.generation;
  }
  return outcome;
}

Result<Description> Reconciler::do_describe(const ResourceId& id) {
  const auto* entry = desired_.find(id);
  if (entry == nullptr)
    return Error{ErrorKind::not_found,
                 "describe",
                 id.text(),
                 0,
                 "there is no such object",
                 std::string("see `lanwright get ") + plural_of(id.kind) + "`"};
  Description description;
  description.object = view_of(*entry, tracked_[id]);
  const auto name_of = [&](const std::string& netns, int ifindex) -> std::string {
    const NamespaceFacts* facts = observed_.find(netns);
    const LinkFact* fact = facts != nullptr ? facts->find(ifindex) : nullptr;
    return fact != nullptr ? fact->name : std::string{};
  };
  const drivers::Resources resources = entry->compile();
  for (const LinkSpec& link : resources.links) {
    LinkReport report{link, std::nullopt, {}, {}};
    const OwnerTag mark{entry->object.uid, link.role};
    const NamespaceFacts* facts = observed_.find(link.where.netns);
    const LinkFact* found = facts != nullptr && link.owned ? facts->find(mark) : nullptr;
    const NamespaceFacts* other = observed_.find(link.delegate_netns);
    if (found == nullptr && link.delegated && other != nullptr) found = other->find(mark);
    if (found == nullptr) found = observed_.find(link.where);
    if (found != nullptr) {
      report.found = *found;
      report.master = name_of(link.where.netns, found->master);
      if (found->parent_nsid < 0) report.parent = name_of(link.where.netns, found->parent);
      if (found->parent_nsid >= 0 && !link.parent.empty()) report.parent = name_of({}, found->parent);
      if (id.kind == Kind::network && link.owned) {
        for (const int port : facts->ports_of(found->ifindex))
          description.ports.push_back(name_of(link.where.netns, port));
      }
    }
    description.links.push_back(std::move(report));
  }
  const auto vswitch =
      resources.vswitch ? observed_.switches.find(resources.vswitch->network) : observed_.switches.end();
  if (vswitch != observed_.switches.end()) {
    for (const auto& [mark, plug] : vswitch->second.plugs) {
      const auto* plugged = desired_.find_uid(mark.uid);
      if (plugged == nullptr) continue;
      for (const PlugSpec& spec : plugged->compile().plugs) {
        if (spec.role == mark.role) description.ports.push_back(spec.link.text());
      }
    }
  }
  const std::set<ResourceId> scope = {id};
  description.differences = planning::plan(desired_, observed_, &scope).actions;
  save_events();
  auto history = store_->history(id, kHistoryShown);
  if (!history) return history.error();
  description.history = std::move(*history);
  return description;
}

std::vector<SwitchView> Reconciler::do_switches() {
  std::vector<SwitchView> views;
  for (SwitchReport& report : switches_->report(observed_)) {
    const auto* owner = desired_.find_uid(report.fact.uid);
    if (owner == nullptr) continue;  // an orphan: counted as such
    const drivers::Resources resources = owner->compile();
    SwitchView view;
    view.network = report.network;
    view.set = owner->object.set;
    if (const auto* spec = std::get_if<NetworkSpec>(owner->object.spec.get())) view.driver = spec->driver;
    if (resources.vswitch) view.engine = resources.vswitch->engine;
    view.socket = report.socket;
    view.pid = report.fact.pid;
    view.plug_pid = report.fact.plug_pid;
    view.hub = resources.vswitch && resources.vswitch->hub;
    view.connected = report.fact.connected;
    view.answers = report.answered;
    view.dropped = report.shared.dropped;
    view.too_long = report.shared.too_long;
    for (const auto& [mark, counters] : report.plugs) {
      const auto* entry = desired_.find_uid(mark.uid);
      if (entry == nullptr) continue;
      SwitchPortView port;
      port.object = entry->object.id;
      for (const PlugSpec& plug : entry->compile().plugs) {
        if (plug.role == mark.role) port.link = plug.link;
      }
      port.counters = counters;
      view.ports.push_back(std::move(port));
    }
    std::sort(view.ports.begin(), view.ports.end(), [](const SwitchPortView& a, const SwitchPortView& b) {
      return std::tie(a.object, a.link) < std::tie(b.object, b.link);
    });
    for (SwitchPortReport& each : report.ports) {
      if (!each.active || each.user.starts_with(kPlugName)) continue;  // ours are told above
      SwitchPortView port;
      port.program = std::move(each.user);
      port.counters = each.counters;
      view.ports.push_back(std::move(port));
    }
    views.push_back(std::move(view));
  }
  return views;
}

std::shared_ptr<const ObjectView> Reconciler::view_of(const desired::DesiredObject& entry,
                                                      Tracked& tracked) const {
  if (tracked.view) return tracked.view;
  auto view = std::make_shared<ObjectView>();
  view->id = entry.object.id;
  view->set = entry.object.set;
  view->uid = entry.object.uid;
  view->generation = entry.object.generation;
  view->created = tracked.created;
  view->deleting = entry.object.deleting;
  view->spec = entry.object.spec;
  view->status = tracked.status;
  view->allocations = entry.object.allocations;
  const drivers::Resources resources = entry.compile();
  for (const LinkSpec& link : resources.links) {
    if (link.owned) view->links.push_back(link.where);
  }
  tracked.view = std::move(view);
  return tracked.view;
}

std::shared_ptr<const Snapshot> Reconciler::do_snapshot() {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->generation = store_->generation();
  snapshot->objects.reserve(desired_.entries().size());
  for (const auto& [id, entry] : desired_.entries())
    snapshot->objects.push_back(view_of(*entry, tracked_[id]));
  for (const state::StoredSet& set : store_->sets())
    snapshot->sets.push_back({set.name, set.generation, set.applied});
  std::sort(snapshot->sets.begin(), snapshot->sets.end(),
            [](const SetView& a, const SetView& b) { return a.name < b.name; });
  snapshot->counters = counters_;
  snapshot->counters["netlink_writes_total"] = links_->writes();
  snapshot->orphans = planning::count_orphans(desired_, observed_);
  snapshot->ready = started_ && observed_.complete;
  snapshot->converged = is_converged(std::nullopt, 0);
  snapshot->store_notice = store_notice_;
  snapshot->started = start_time_;
  return snapshot;
}

}  // namespace lanwright::reconcile
