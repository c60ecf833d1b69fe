#include "api/rest/views.h"

#include "model/base/utf8.h"

#include <algorithm>

#include "api/rest/parameters.h"

namespace lanwright::rest {
namespace {

std::string text_of(const LinkName& name) {
  return name.text();
}

template <class T>
Json texts(const std::vector<T>& values) {
  Json list = Json::array();
  for (const T& value : values) list.push_back(value.text());
  return list;
}

Json attributes_json(const LinkAttributes& attributes) {
  Json json = Json::object();
  for (const auto& [attribute, value] : attributes) json[std::string(attribute->name)] = value;
  return json;
}

Json vlans_json(const PortVlans& vlans) {
  Json json = Json::object();
  if (vlans.pvid) json["vlan"] = *vlans.pvid;
  json["trunk"] = vlan_ids_json(vlans.tagged);
  return json;
}

Json route_json(const RouteSpec& route) {
  Json json = {{"to", route.to.text()}};
  if (route.via) json["via"] = route.via->text();
  if (route.metric) json["metric"] = *route.metric;
  if (route.onlink) json["onlink"] = true;
  return json;
}

const char* text_of(Ipv6Addresses addresses) {
  return addresses == Ipv6Addresses::none ? "none" : "automatic";
}

Json wanted_json(const LinkSpec& link) {
  Json json = {{"netns", link.at.netns},    {"name", link.at.name},    {"role", link.role},
               {"kind", link.kind},         {"owned", !link.borrowed}, {"up", link.up},
               {"ipv6", text_of(link.ipv6)}};
  if (!link.altname.empty()) json["altname"] = link.altname;
  if (!link.master.empty()) json["master"] = link.master;
  if (!link.parent.empty()) json["parent"] = link.parent;
  if (link.peer) json["peer"] = link.peer->text();
  if (link.mtu) json["mtu"] = *link.mtu;
  if (link.mac) json["mac"] = link.mac->text();
  if (link.tap_owner) json["tapOwner"] = *link.tap_owner;
  if (link.tap_group) json["tapGroup"] = *link.tap_group;
  if (link.vlans) json["vlans"] = vlans_json(*link.vlans);
  json["attributes"] = attributes_json(link.attributes);
  json["addresses"] = texts(link.addresses);
  Json& routes = json["routes"] = Json::array();
  for (const RouteSpec& route : link.routes) routes.push_back(route_json(route));
  return json;
}

Json found_json(const LinkFact& link) {
  Json json = {{"ifindex", link.ifindex},   {"name", link.name},   {"altnames", link.altnames},
               {"kind", link.kind},         {"up", link.up},       {"lowerUp", link.lower_up},
               {"mtu", link.mtu},           {"group", link.group}, {"alias", link.alias},
               {"ipv6", text_of(link.ipv6)}};
  if (link.mac) json["mac"] = link.mac->text();
  if (link.tap_owner) json["tapOwner"] = *link.tap_owner;
  if (link.tap_group) json["tapGroup"] = *link.tap_group;
  if (!link.vlans.empty()) json["vlans"] = vlans_json(link.vlans);
  json["attributes"] = attributes_json(link.attributes);
  Json& addresses = json["addresses"] = Json::array();
  for (const AddressFact& address : link.addresses) addresses.push_back(address.prefix.text());
  Json& routes = json["routes"] = Json::array();
  for (const RouteFact& route : link.routes) routes.push_back(route_json(route.route));
  return json;
}

Json report_json(const LinkReport& report) {
  Json json = {{"wanted", wanted_json(report.wanted)}};
  if (report.found) json["found"] = found_json(*report.found);
  if (!report.master.empty()) json["master"] = report.master;
  if (!report.parent.empty()) json["parent"] = report.parent;
  return json;
}

bool is_settled(const ObjectView& object) {
  return !object.deleting && object.status.phase == Phase::ready &&
         object.status.observed_generation >= object.generation;
}

Json phases_json(const std::map<Phase, std::size_t>& phases) {
  Json json = Json::object();
  for (const auto& [phase, count] : phases) json[name_of(phase)] = count;
  return json;
}

Json ovs_json(const OvsView& view) {
  Json json = {{"bridge", valid_utf8(view.bridge)}, {"datapath", valid_utf8(view.datapath)}};
  if (!view.datapath_id.empty()) json["datapathId"] = valid_utf8(view.datapath_id);
  json["failMode"] = valid_utf8(view.fail_mode);
  json["live"] = view.live;
  Json& controllers = json["controllers"] = Json::array();
  for (const OvsControllerFact& each : view.controllers)
    controllers.push_back({{"target", valid_utf8(each.target)}, {"connected", each.connected}});
  Json& ports = json["ports"] = Json::array();
  for (const OvsPortView& each : view.ports) {
    Json port = {{"link", valid_utf8(each.link)}};
    if (each.object)
      port["object"] = {{"kind", name_of(each.object->kind)}, {"name", valid_utf8(each.object->name)}};
    if (each.ofport) port["ofport"] = *each.ofport;
    if (!each.error.empty()) port["error"] = valid_utf8(each.error);
    ports.push_back(std::move(port));
  }
  return json;
}

}  // namespace

const ObjectView* find(const Snapshot& snapshot, const ResourceId& id) {
  const auto found =
      std::lower_bound(snapshot.objects.begin(), snapshot.objects.end(), id,
                       [](const auto& object, const ResourceId& wanted) { return object->id < wanted; });
  return found != snapshot.objects.end() && (*found)->id == id ? found->get() : nullptr;
}

std::vector<SetState> sets_of(const Snapshot& snapshot) {
  std::map<std::string, SetState> sets;
  for (const SetView& view : snapshot.sets) sets[view.name].view = view;
  for (const auto& object : snapshot.objects) {
    if (object->set.empty()) continue;  // made on demand: of no set
    const auto [entry, orphaned] = sets.try_emplace(object->set);
    SetState& set = entry->second;
    if (orphaned) {
      set.view.name = object->set;
      set.deleting = true;
    }
    if (set.deleting) {  // nothing but its objects tells when
      set.view.generation = std::max(set.view.generation, object->generation);
      set.view.applied = std::max(set.view.applied, object->created);
    }
    ++set.phases[object->status.phase];
    set.converged = set.converged && is_settled(*object);
  }
  std::vector<SetState> list;
  list.reserve(sets.size());
  for (auto& [name, set] : sets) list.push_back(std::move(set));
  return list;
}

Json object_json(const ObjectView& object, const Snapshot& snapshot) {
  Json json = {{"kind", name_of(object.id.kind)},
               {"name", object.id.name},
               {"set", object.set},
               {"uid", object.uid},
               {"generation", object.generation},
               {"created", rfc3339(object.created)},
               {"deleting", object.deleting}};
  if (const auto* network = std::get_if<NetworkSpec>(object.spec.get())) json["driver"] = network->driver;
  if (const auto* attachment = std::get_if<AttachmentSpec>(object.spec.get())) {
    json["network"] = attachment->network;
    const ObjectView* other = find(snapshot, {Kind::network, attachment->network});
    const auto* network = other == nullptr ? nullptr : std::get_if<NetworkSpec>(other->spec.get());
    if (network != nullptr) json["driver"] = network->driver;
  }
  json["spec"] = object.spec ? to_json(*object.spec) : Json::object();
  json["status"] = to_json(object.status);
  if (object.id.kind == Kind::attachment) json["leases"] = texts(object.allocations);
  Json& links = json["links"] = Json::array();
  for (const LinkName& link : object.links) links.push_back(text_of(link));
  return json;
}

Json set_json(const SetState& set) {
  std::size_t objects = 0;
  for (const auto& [phase, count] : set.phases) objects += count;
  return {{"name", set.view.name},
          {"generation", set.view.generation},
          {"applied", rfc3339(set.view.applied)},
          {"deleting", set.deleting},
          {"objects", objects},
          {"phases", phases_json(set.phases)},
          {"converged", set.converged}};
}

Json description_json(const Description& description, const Snapshot& snapshot) {
  Json json = {{"object", object_json(*description.object, snapshot)}};
  Json& links = json["links"] = Json::array();
  for (const LinkReport& report : description.links) links.push_back(report_json(report));
  json["ports"] = description.ports;
  if (description.open_vswitch) json["openVswitch"] = ovs_json(*description.open_vswitch);
  Plan plan;
  plan.actions = description.differences;
  json["differences"] = to_json(plan)["actions"];
  Json& history = json["history"] = Json::array();
  for (const Event& event : description.history) history.push_back(to_json(event));
  return json;
}

Json switch_json(const SwitchView& view) {
  Json ports = Json::array();
  for (const SwitchPortView& port : view.ports) {
    const PortCounters& counted = port.counters;
    Json json = {{"receivedFrames", counted.received_frames},
                 {"receivedBytes", counted.received_bytes},
                 {"sentFrames", counted.sent_frames},
                 {"sentBytes", counted.sent_bytes},
                 {"dropped", counted.dropped},
                 {"tooLong", counted.too_long}};
    if (port.object) {
      json["object"] = {{"kind", name_of(port.object->kind)}, {"name", valid_utf8(port.object->name)}};
      json["link"] = {{"netns", valid_utf8(port.link.netns)}, {"name", valid_utf8(port.link.name)}};
    } else {
      json["program"] = valid_utf8(port.program);
    }
    ports.push_back(std::move(json));
  }
  return {{"name", valid_utf8(view.network)},
          {"network", valid_utf8(view.network)},
          {"set", valid_utf8(view.set)},
          {"driver", view.driver},
          {"engine", view.engine},
          {"pid", view.pid},
          {"plugPid", view.plug_pid},
          {"hub", view.hub},
          {"connected", view.connected},
          {"answers", view.answers},
          {"dropped", view.dropped},
          {"tooLong", view.too_long},
          {"socket", valid_utf8(view.socket)},
          {"ports", std::move(ports)}};
}

Json status_json(const Snapshot& snapshot) {
  std::map<Kind, std::map<Phase, std::size_t>> objects;
  for (const Kind kind : {Kind::vlan, Kind::network, Kind::attachment}) objects[kind];
  for (const auto& object : snapshot.objects) ++objects[object->id.kind][object->status.phase];
  Json json = {{"version", LANWRIGHT_VERSION},    {"started", rfc3339(snapshot.started)},
               {"live", snapshot.live},           {"ready", snapshot.ready},
               {"converged", snapshot.converged}, {"generation", snapshot.generation},
               {"sets", snapshot.sets.size()}};
  for (const auto& [kind, phases] : objects) json["objects"][plural_of(kind)] = phases_json(phases);
  json["orphans"] = snapshot.orphans;
  if (!snapshot.store_notice.empty()) json["storeNotice"] = snapshot.store_notice;
  Json& counters = json["counters"] = Json::object();
  for (const auto& [name, value] : snapshot.counters) counters[name] = value;
  return json;
}

Json outcome_json(const std::string& set, const ApplyOutcome& outcome, bool dry_run, const Snapshot* after) {
  Json json = {{"set", set}, {"generation", outcome.generation}, {"dryRun", dry_run}};
  Json& objects = json["objects"] = Json::array();
  for (const ObjectOutcome& each : outcome.objects) {
    Json entry = {{"kind", name_of(each.id.kind)}, {"name", each.id.name}, {"result", each.result}};
    const ObjectView* now = after == nullptr ? nullptr : find(*after, each.id);
    if (now != nullptr) {
      entry["phase"] = name_of(now->status.phase);
      entry["message"] = now->status.message;
    }
    objects.push_back(std::move(entry));
  }
  json["plan"] = to_json(outcome.plan);
  return json;
}

}  // namespace lanwright::rest
