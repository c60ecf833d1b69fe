#include "agent/service/queries.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "reconcilers/plan/planner.h"

namespace lanwright::service {
namespace {

constexpr std::size_t kHistoryShown = 20;

Error unknown(const char* tried, std::string what, std::string words, std::string hint) {
  return {ErrorKind::not_found, tried, std::move(what), 0, std::move(words), std::move(hint)};
}

std::string name_of_link(const Observed& observed, const std::string& netns, int ifindex) {
  const NamespaceFacts* facts = observed.find(netns);
  const LinkFact* fact = facts != nullptr ? facts->find(ifindex) : nullptr;
  return fact != nullptr ? fact->name : std::string{};
}

// The link as it is: by its tag, also where it was handed to, then by its name.
const LinkFact* find_link(const Observed& observed, const LinkSpec& link, const OwnerTag& tag) {
  const NamespaceFacts* facts = observed.find(link.at.netns);
  const LinkFact* found = facts != nullptr && !link.borrowed ? facts->find(tag) : nullptr;
  const NamespaceFacts* delegate = observed.find(link.delegate_netns);
  if (found == nullptr && link.delegated && delegate != nullptr) found = delegate->find(tag);
  return found != nullptr ? found : observed.find(link.at);
}

LinkReport report_of(const Observed& observed, const LinkSpec& link, const OwnerTag& tag) {
  LinkReport report{link, std::nullopt, {}, {}};
  const LinkFact* found = find_link(observed, link, tag);
  if (found == nullptr) return report;
  report.found = *found;
  report.master = name_of_link(observed, link.at.netns, found->master);
  if (found->parent_nsid < 0) report.parent = name_of_link(observed, link.at.netns, found->parent);
  if (found->parent_nsid >= 0 && !link.parent.empty())
    report.parent = name_of_link(observed, {}, found->parent);
  return report;
}

// Names of what is plugged into a network's own links, and into the switch that carries it.
LANWRIGHT_ON_LOOP std::vector<std::string> ports_of(const DesiredObject& object, const Resources& resources,
                                                    const std::vector<LinkReport>& links,
                                                    const reconcile::Reconciler& reconciler) {
  std::vector<std::string> ports;
  const Observed& observed = reconciler.observed();
  for (const LinkReport& link : links) {
    const bool has_ports =
        object.object.id.kind == Kind::network && (!link.wanted.borrowed || link.wanted.is_host_bridge());
    const NamespaceFacts* facts = observed.find(link.wanted.at.netns);
    if (!has_ports || !link.found || facts == nullptr) continue;
    for (const int port : facts->ports_of(link.found->ifindex))
      ports.push_back(name_of_link(observed, link.wanted.at.netns, port));
  }
  if (!resources.vswitch) return ports;
  const auto vswitch = observed.switches.find(resources.vswitch->network);
  if (vswitch == observed.switches.end()) return ports;
  for (const auto& [tag, plug] : vswitch->second.plugs) {
    const DesiredObject* plugged = reconciler.desired().find_uid(tag.uid);
    if (plugged == nullptr) continue;
    const Resources its = plugged->compile();
    for (const PlugSpec& spec : its.plugs) {
      if (spec.role == tag.role) ports.push_back(spec.link.text());
    }
  }
  return ports;
}

LANWRIGHT_ON_LOOP std::optional<OvsView> open_vswitch_of(const Resources& resources,
                                                         const reconcile::Reconciler& reconciler) {
  const OvsFacts& facts = reconciler.observed().ovs;
  const auto known =
      resources.ovs_bridge ? facts.bridges.find(resources.ovs_bridge->name) : facts.bridges.end();
  if (known == facts.bridges.end()) return std::nullopt;
  const OvsBridgeFact& bridge = known->second;
  OvsView view;
  view.bridge = known->first;
  view.datapath = bridge.datapath_type;
  view.datapath_id = bridge.running_id;
  view.fail_mode = bridge.fail_mode;
  view.live = facts.live;
  view.controllers = bridge.controllers;
  for (const auto& [link, fact] : bridge.ports) {
    const DesiredObject* owner = fact.mark ? reconciler.desired().find_uid(fact.mark->uid) : nullptr;
    OvsPortView port{link, std::nullopt, fact.ofport, fact.error.value_or("")};
    if (owner != nullptr) port.object = owner->object.id;
    view.ports.push_back(std::move(port));
  }
  std::sort(view.ports.begin(), view.ports.end(), [](const OvsPortView& a, const OvsPortView& b) {
    return std::tie(a.ofport, a.link) < std::tie(b.ofport, b.link);
  });
  return view;
}

SwitchPortView port_of(const DesiredObject& object, const OwnerTag& tag, const PortCounters& counters) {
  SwitchPortView port;
  port.object = object.object.id;
  const Resources resources = object.compile();
  for (const PlugSpec& plug : resources.plugs) {
    if (plug.role == tag.role) port.link = plug.link;
  }
  port.counters = counters;
  return port;
}

SwitchView view_of(const DesiredObject& owner, SwitchReport report, const DesiredState& desired) {
  const Resources resources = owner.compile();
  SwitchView view;
  view.network = report.network;
  view.set = owner.object.set;
  if (const auto* spec = std::get_if<NetworkSpec>(owner.object.spec.get())) view.driver = spec->driver;
  if (resources.vswitch) view.engine = resources.vswitch->engine;
  view.socket = report.socket;
  view.pid = report.fact.pid;
  view.plug_pid = report.fact.plug_pid;
  view.hub = resources.vswitch && resources.vswitch->hub;
  view.connected = report.fact.connected;
  view.answers = report.answered;
  view.dropped = report.shared.dropped;
  view.too_long = report.shared.too_long;
  for (const auto& [tag, counters] : report.plugs) {
    if (const auto* object = desired.find_uid(tag.uid)) view.ports.push_back(port_of(*object, tag, counters));
  }
  std::sort(view.ports.begin(), view.ports.end(), [](const SwitchPortView& a, const SwitchPortView& b) {
    return std::tie(a.object, a.link) < std::tie(b.object, b.link);
  });
  for (SwitchPortReport& each : report.ports) {
    if (!each.active || each.user.starts_with(kPlugName)) continue;  // ours are reported above
    SwitchPortView port;
    port.program = std::move(each.user);
    port.counters = each.counters;
    view.ports.push_back(std::move(port));
  }
  return view;
}

}  // namespace

Result<std::set<ResourceId>> scope_of(const reconcile::Reconciler& reconciler, const Store& store,
                                      const std::optional<std::string>& set) {
  if (!reconciler.observed().complete)
    return Error{ErrorKind::busy,        "compare", "the kernel", 0, "it is being read anew",
                 "try again in a moment"};
  std::set<ResourceId> scope;
  bool known = !set;
  for (const StoredSet& stored : store.sets()) known = known || stored.name == *set;
  for (const auto& [id, object] : reconciler.desired().entries()) {
    if (!set || object->object.set == *set) scope.insert(scope.end(), id);
  }
  if (!known && scope.empty())
    return unknown("compare", "set " + *set, "there is no such set", "see `lanwright get sets`");
  return scope;
}

Result<Description> describe(reconcile::Reconciler& reconciler, const View& view, const ResourceId& id) {
  const DesiredObject* object = reconciler.desired().find(id);
  if (object == nullptr)
    return unknown("describe", id.text(), "there is no such object",
                   std::string("see `lanwright get ") + plural_of(id.kind) + "`");
  Description description;
  description.object = reconciler.objects().view_of(*object);
  const Resources resources = object->compile();
  for (const LinkSpec& link : resources.links)
    description.links.push_back(
        report_of(reconciler.observed(), link, OwnerTag{object->object.uid, link.role}));
  description.ports = ports_of(*object, resources, description.links, reconciler);
  description.open_vswitch = open_vswitch_of(resources, reconciler);
  if (description.open_vswitch) {
    for (const OvsPortView& port : description.open_vswitch->ports) description.ports.push_back(port.link);
  }
  const std::set<ResourceId> scope = {id};
  description.differences = planning::plan(reconciler.desired(), reconciler.observed(), &scope).actions;
  view.journal.save();
  auto history = view.store.history(id, kHistoryShown);
  if (!history) return history.error();
  description.history = std::move(*history);
  return description;
}

std::vector<SwitchView> switches(const reconcile::Reconciler& reconciler, const View& view) {
  std::vector<SwitchView> views;
  for (SwitchReport& report : view.switches.report(reconciler.observed())) {
    const DesiredObject* owner = reconciler.desired().find_uid(report.fact.uid);
    if (owner == nullptr) continue;  // an orphan: counted as such
    views.push_back(view_of(*owner, std::move(report), reconciler.desired()));
  }
  return views;
}

Snapshot snapshot(reconcile::Reconciler& reconciler, const View& view) {
  Snapshot snapshot;
  snapshot.generation = view.store.generation();
  snapshot.objects.reserve(reconciler.desired().entries().size());
  for (const auto& [id, object] : reconciler.desired().entries())
    snapshot.objects.push_back(reconciler.objects().view_of(*object));
  for (const StoredSet& set : view.store.sets())
    snapshot.sets.push_back({set.name, set.generation, set.applied});
  std::sort(snapshot.sets.begin(), snapshot.sets.end(),
            [](const SetView& a, const SetView& b) { return a.name < b.name; });
  snapshot.counters = view.journal.counters();
  snapshot.counters["netlink_writes_total"] = view.sources.writes();
  snapshot.orphans = planning::count_orphans(reconciler.desired(), reconciler.observed());
  snapshot.ready = reconciler.observed().complete;
  snapshot.converged = reconciler.is_converged(std::nullopt, 0);
  return snapshot;
}

}  // namespace lanwright::service
