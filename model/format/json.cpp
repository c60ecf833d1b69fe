#include "model/format/json.h"

#include <utility>

#include "model/base/utf8.h"
#include "model/format/decoder.h"
#include "model/format/diagnostics.h"
#include "model/format/format_keys.h"
#include "model/format/tree.h"

namespace lanwright {

namespace {

// Names from the kernel may be any bytes; JSON must not fail on them.
Json text_json(std::string_view text) {
  return valid_utf8(text);
}

template <class T>
void put(Json& json, const char* key, const std::optional<T>& value) {
  if (value) json[key] = *value;
}

template <class T>
void put_text(Json& json, const char* key, const std::optional<T>& value) {
  if (value) json[key] = value->text();
}

void put_vlans(Json& json, const PortVlans& vlans) {
  put(json, "vlan", vlans.pvid);
  if (!vlans.tagged.empty()) json["trunk"] = vlan_ids_json(vlans.tagged);
}

void put_addresses(Json& json, const std::vector<IpPrefix>& addresses) {
  if (addresses.empty()) return;
  Json& list = json["addresses"] = Json::array();
  for (const IpPrefix& address : addresses) list.push_back(address.text());
}

// `default` means IPv6 only beside an IPv6 router.
std::string target_text(const RouteSpec& route) {
  const bool v6 = route.to.address.size() == 16;
  return route.to.length == 0 && (!v6 || route.via) ? "default" : route.to.text();
}

void put_routes(Json& json, const std::vector<RouteSpec>& routes) {
  if (routes.empty()) return;
  Json& list = json["routes"] = Json::array();
  for (const RouteSpec& route : routes) {
    Json& entry = list.emplace_back(Json::object());
    entry["to"] = target_text(route);
    put_text(entry, "via", route.via);
    put(entry, "metric", route.metric);
    if (route.onlink) entry["onlink"] = true;
  }
}

Json setting_json(const SettingValue& value) {
  return std::visit([](const auto& content) { return Json(content); }, value);
}

Json subnet_json(const Subnet& subnet) {
  Json json = Json::object();
  json["cidr"] = subnet.cidr.text();
  put_text(json, "gateway", subnet.gateway);
  put_text(json, "range", subnet.range);
  for (const auto& [name, address] : subnet.reserved) json["reserved"][name] = address.text();
  return json;
}

// An uplink without anything but its name is just the name.
Json uplink_json(const Uplink& uplink) {
  if (!uplink.ofport && uplink.vlans.empty()) return uplink.interface;
  Json json = Json::object();
  json["interface"] = uplink.interface;
  put(json, "ofport", uplink.ofport);
  put_vlans(json, uplink.vlans);
  return json;
}

Json host_interface_json(const HostInterface& host) {
  Json json = Json::object();
  json["name"] = host.name;
  put_addresses(json, host.addresses);
  put_routes(json, host.routes);
  return json;
}

Json tap_json(const TapEnd& tap) {
  Json json = Json::object();
  if (!tap.name.empty()) json["name"] = tap.name;
  put(json, "owner", tap.owner);
  put(json, "group", tap.group);
  put(json, "multi_queue", tap.multi_queue);
  return json;
}

Json endpoint_json(const DelegatedEnd& end) {
  Json json = {{"network", text_json(end.network)}, {"endpoint", text_json(end.endpoint)}};
  if (!end.sandbox.empty()) json["sandbox"] = text_json(end.sandbox);
  if (end.left) json["left"] = true;
  if (end.default_route) json["wayOut"] = true;
  if (end.default_route6) json["wayOut6"] = true;
  if (!end.asked_name.empty()) json["askedName"] = text_json(end.asked_name);
  for (const Sysctl& each : end.sysctls) json["sysctls"].push_back(text_json(each.text()));
  return json;
}

const char* mode_text(NetworkMode mode) {
  switch (mode) {
    case NetworkMode::nat:
      return "nat";
    case NetworkMode::routed:
      return "routed";
    case NetworkMode::flat:
      break;
  }
  return "flat";
}

Json object_json(const ResourceId& id) {
  return {{"kind", name_of(id.kind)}, {"name", text_json(id.name)}};
}

Json action_json(const Action& action) {
  const LinkName& target = action.target();
  Json differences = Json::array();
  for (const std::string& difference : action.differences) differences.push_back(text_json(difference));
  return {{"object", object_json(action.object)},
          {"verb", action.verb()},
          {"target", {{"netns", text_json(target.netns)}, {"name", text_json(target.name)}}},
          {"stage", action.stage},
          {"reason", text_json(action.reason)},
          {"disruption", name_of(action.disruption)},
          {"differences", std::move(differences)},
          {"text", text_json(action.text())}};
}

// Names are unique already; ordered_json would look for each among all before it.
template <class Spec>
Json section_json(const std::map<std::string, Spec>& objects) {
  Json json = Json::object();
  auto& entries = json.get_ref<Json::object_t&>();
  entries.reserve(objects.size());
  for (const auto& [name, spec] : objects) entries.emplace_back(name, to_json(spec));
  return json;
}

Error unreadable(Kind kind, const std::string& name, std::string words) {
  Error error;
  error.kind = ErrorKind::invalid;
  error.tried = "decode the stored spec of";
  error.object = ResourceId{kind, name}.text();
  error.words = std::move(words);
  return error;
}

ObjectSpec decode(Kind kind, Decoder& decoder, const TreeNode& root) {
  switch (kind) {
    case Kind::vlan:
      return decoder.vlan(root);
    case Kind::network:
      return decoder.network(root);
    case Kind::attachment:
      break;
  }
  return decoder.stored_attachment(root);
}

}  // namespace

Json vlan_ids_json(const std::vector<std::uint16_t>& ids) {
  Json list = Json::array();
  for (const VlanRange& range : ranges_of(ids)) {
    if (range.last - range.first > 1) {
      list.push_back(range.text());
    } else {
      for (unsigned id = range.first; id <= range.last; ++id) list.push_back(id);
    }
  }
  return list;
}

Json to_json(const VlanSpec& spec) {
  Json json = Json::object();
  json["parent"] = spec.parent;
  json["id"] = spec.id;
  if (spec.protocol == VlanProtocol::dot1ad) json["protocol"] = "802.1ad";
  put(json, "mtu", spec.mtu);
  put_text(json, "mac", spec.mac);
  return json;
}

Json to_json(const NetworkSpec& spec) {
  Json json = Json::object();
  json["driver"] = spec.driver;
  if (!spec.parent.empty()) json["parent"] = spec.parent;
  put(json, "mtu", spec.mtu);
  for (const auto& [name, value] : spec.settings) json[spec.driver][name] = setting_json(value);
  if (spec.mode != NetworkMode::flat) json["mode"] = mode_text(spec.mode);
  if (spec.internal) json["internal"] = true;
  for (const Subnet& subnet : spec.subnets) json["subnets"].push_back(subnet_json(subnet));
  for (const Uplink& uplink : spec.uplinks) json["uplinks"].push_back(uplink_json(uplink));
  if (spec.host_interface) json["host_interface"] = host_interface_json(*spec.host_interface);
  return json;
}

Json to_json(const AttachmentSpec& spec) {
  Json json = Json::object();
  json["network"] = spec.network;
  if (!spec.netns.empty()) json["netns"] = spec.netns;
  if (!spec.interface.empty()) json["interface"] = spec.interface;
  if (spec.tap) json["tap"] = tap_json(*spec.tap);
  if (spec.endpoint) json[keys::kEndpointKey] = endpoint_json(*spec.endpoint);
  put_text(json, "mac", spec.mac);
  put(json, "mtu", spec.mtu);
  if (spec.isolated) json["isolated"] = true;
  put(json, "ofport", spec.ofport);
  put_vlans(json, spec.vlans);
  put_addresses(json, spec.addresses);
  if (spec.no_addresses && !spec.endpoint) json["addresses"] = Json::array();
  put_routes(json, spec.routes);
  return json;
}

Json to_json(const ObjectSpec& spec) {
  return std::visit([](const auto& content) { return to_json(content); }, spec);
}

Json to_json(const SetSpec& set) {
  Json json = Json::object();
  json["version"] = 1;
  json["name"] = set.name;
  if (!set.vlans.empty()) json["vlans"] = section_json(set.vlans);
  if (!set.networks.empty()) json["networks"] = section_json(set.networks);
  if (!set.attachments.empty()) json["attachments"] = section_json(set.attachments);
  return json;
}

Json to_json(const Plan& plan) {
  Json json = {{"actions", Json::array()}, {"blocked", Json::array()}};
  for (const Action& action : plan.actions) json["actions"].push_back(action_json(action));
  for (const Blocked& blocked : plan.blocked) {
    json["blocked"].push_back({{"object", object_json(blocked.object)},
                               {"kind", name_of(blocked.why.kind)},
                               {"message", text_json(blocked.why.text())}});
  }
  for (const auto& [object, note] : plan.notes)
    json["notes"].push_back({{"object", object_json(object)}, {"message", text_json(note)}});
  return json;
}

Json to_json(const ObjectStatus& status) {
  Json json = Json::object();
  json["phase"] = name_of(status.phase);
  json["message"] = text_json(status.message);
  json["observedGeneration"] = status.observed_generation;
  if (status.last_error) json["lastError"] = to_json(*status.last_error);
  if (status.next_try) json["nextTry"] = rfc3339(*status.next_try);
  json["since"] = rfc3339(status.since);
  json["repairs"] = status.repairs;
  if (status.orphaned) json["orphaned"] = true;
  return json;
}

Json to_json(const Event& event) {
  Json json = Json::object();
  json["id"] = event.id;
  json["time"] = rfc3339(event.time);
  json["type"] = text_json(event.type);
  if (event.object) json["object"] = object_json(*event.object);
  json["set"] = text_json(event.set);
  json["message"] = text_json(event.message);
  if (event.peer)
    json["peer"] = {{"pid", event.peer->pid}, {"uid", event.peer->uid}, {"gid", event.peer->gid}};
  return json;
}

Json to_json(const Diagnostic& diagnostic) {
  return {{"file", text_json(diagnostic.file)},
          {"line", diagnostic.line},
          {"column", diagnostic.column},
          {"path", text_json(diagnostic.path)},
          {"message", text_json(diagnostic.message)},
          {"suggestion", text_json(diagnostic.suggestion)},
          {"source", text_json(diagnostic.source_line)},
          {"caret", diagnostic.caret},
          {"text", text_json(diagnostic.text())}};
}

Json to_json(const Error& error) {
  return {{"kind", name_of(error.kind)},       {"tried", text_json(error.tried)},
          {"object", text_json(error.object)}, {"errno", error.number},
          {"words", text_json(error.words)},   {"hint", text_json(error.hint)},
          {"text", text_json(error.text())}};
}

Result<ObjectSpec> spec_from_json(Kind kind, const std::string& name, std::string_view json,
                                  const Grammar& grammar) {
  if (!is_utf8(json)) return unreadable(kind, name, "not UTF-8 text");
  Tree tree;
  Diagnostics diagnostics(json, 1);
  if (read_json(json, ReadLimits(), tree, diagnostics)) {
    Decoder decoder(grammar, diagnostics);
    ObjectSpec spec = decode(kind, decoder, *tree.root());
    if (diagnostics.count() == 0) return spec;
  }
  ReadOutcome outcome;
  diagnostics.report({}, outcome);
  const Diagnostic& first = outcome.diagnostics.front();
  return unreadable(kind, name, first.path.empty() ? first.message : first.path + ": " + first.message);
}

}  // namespace lanwright
