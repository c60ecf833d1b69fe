#include "tests/scenarios/stage.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <functional>
#include <map>
#include <stdexcept>

#include "model/format/set_reader.h"
#include "reconcilers/desired/allocations.h"
#include "reconcilers/drivers/registry.h"
#include "reconcilers/kinds/table.h"

namespace lanwright::test {
namespace {

using desired::DesiredState;

constexpr int kMostRounds = 5;

std::string path_of(const std::string& netns) {
  return netns_path(netns);
}

// "eth0@r1"
LinkName link_named(const std::string& text) {
  const std::size_t at = text.find('@');
  if (at == std::string::npos) return {"", text};
  return {path_of(text.substr(at + 1)), text.substr(0, at)};
}

std::pair<std::string, std::string> setting(const std::string& word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string::npos) return {word, {}};
  return {word.substr(0, equals), word.substr(equals + 1)};
}

std::uint32_t number(const std::string& text) {
  return static_cast<std::uint32_t>(std::stoul(text, nullptr, 0));
}

const LinkAttribute& attribute_named(const std::string& name) {
  for (const kinds::LinkKind* kind : kinds::all()) {
    for (const LinkAttribute* attribute : kind->attributes) {
      if (name == attribute->name) return *attribute;
    }
  }
  throw std::invalid_argument("no setting of a link: " + name);
}

void set_attribute(LinkFact& fact, const std::string& name, const std::string& value) {
  const LinkAttribute& attribute = attribute_named(name);
  const auto known = std::find_if(fact.attributes.begin(), fact.attributes.end(),
                                  [&](const auto& one) { return one.attribute == &attribute; });
  if (known != fact.attributes.end())
    known->value = number(value);
  else
    fact.attributes.emplace_back(attribute, number(value));
}

int index_of(const World& world, const std::string& link) {
  const LinkFact* found = world.find(link_named(link));
  return found != nullptr ? found->ifindex : 0;
}

void add_address(LinkFact& fact, std::string text) {
  const bool own = text.ends_with('!');
  if (own) text.pop_back();
  fact.addresses.push_back({prefix(text), own ? kOwnProtocol : std::uint8_t{0}});
}

void add_default_route(LinkFact& fact, std::string via) {
  const bool by_dhcp = via.ends_with('!');
  if (by_dhcp) via.pop_back();
  RouteSpec route;
  route.via = IpAddress::parse(via);
  route.to = prefix(route.via->size() == 16 ? "::/0" : "0.0.0.0/0");
  if (by_dhcp) route.metric = 100;
  fact.routes.push_back({route, static_cast<std::uint8_t>(by_dhcp ? RTPROT_DHCP : RTPROT_BOOT)});
}

using Setter = std::function<void(const World&, LinkFact&, const std::string&)>;

const std::map<std::string, Setter>& setters() {
  static const std::map<std::string, Setter> table = {
      {"kind", [](const World&, LinkFact& fact, const std::string& value) { fact.kind = value; }},
      {"name", [](const World&, LinkFact& fact, const std::string& value) { fact.name = value; }},
      {"mtu", [](const World&, LinkFact& fact, const std::string& value) { fact.mtu = number(value); }},
      {"mac",
       [](const World&, LinkFact& fact, const std::string& value) { fact.mac = MacAddress::parse(value); }},
      {"alias", [](const World&, LinkFact& fact, const std::string& value) { fact.alias = value; }},
      {"group", [](const World&, LinkFact& fact, const std::string& value) { fact.group = number(value); }},
      {"port", [](const World&, LinkFact& fact, const std::string& value) { fact.port_kind = value; }},
      {"altname",
       [](const World&, LinkFact& fact, const std::string& value) {
         fact.altnames.clear();
         if (value != "none") fact.altnames.push_back(value);
       }},
      {"raw", [](const World&, LinkFact& fact, const std::string&) { fact.ethernet = false; }},
      {"up", [](const World&, LinkFact& fact, const std::string&) { fact.up = fact.lower_up = true; }},
      {"down",
       [](const World&, LinkFact& fact, const std::string&) {
         fact.up = fact.lower_up = false;
         fact.routes.clear();
       }},
      {"master",
       [](const World& world, LinkFact& fact, const std::string& value) {
         fact.master = index_of(world, value);
         fact.port_kind = fact.master != 0 ? "bridge" : "";
       }},
      {"parent", [](const World& world, LinkFact& fact,
                    const std::string& value) { fact.parent = index_of(world, value); }},
      {"address", [](const World&, LinkFact& fact, const std::string& value) { add_address(fact, value); }},
      {"default-route",
       [](const World&, LinkFact& fact, const std::string& value) { add_default_route(fact, value); }},
      {"routes", [](const World&, LinkFact& fact, const std::string&) { fact.routes.clear(); }},
      {"addresses",
       [](const World&, LinkFact& fact, const std::string&) {
         fact.addresses.clear();
         fact.routes.clear();
       }},
  };
  return table;
}

void set_all(const World& world, LinkFact& fact, const std::vector<std::string>& words, std::size_t first) {
  for (std::size_t i = first; i < words.size(); ++i) {
    const auto [name, value] = setting(words[i]);
    const auto setter = setters().find(name);
    if (setter != setters().end())
      setter->second(world, fact, value);
    else
      set_attribute(fact, name, value);
  }
}

// ---- what the agent does around the planner

// Where an object had links and may have none from now on.
void record_namespaces(const DesiredState& before, DesiredState& now) {
  for (const auto& [id, entry] : before.entries()) {
    std::set<Finalizer> finalizers = now.finalizers_of(entry->object.uid);
    const auto resources = entry->compile();
    for (const LinkSpec& link : resources.links) {
      for (const std::string* place : {&link.at.netns, &link.delegate_netns}) {
        if (!link.borrowed && !place->empty()) finalizers.insert(Finalizer::netns(*place));
      }
    }
    now.set_finalizers(entry->object.uid, std::move(finalizers));
  }
}

// Uplinks that a plan takes, and bridges of Open vSwitch that it makes, before it does.
void record_traces(const Plan& plan, DesiredState& desired) {
  for (const Action& action : plan.actions) {
    const auto* change = std::get_if<ChangeLink>(&action.step);
    const auto* entry = desired.find(action.object);
    if (const auto* bridge = std::get_if<CreateOvsBridge>(&action.step)) {
      std::set<Finalizer> finalizers = desired.finalizers_of(entry->object.uid);
      finalizers.insert(Finalizer::ovs(bridge->at.name));
      desired.set_finalizers(entry->object.uid, std::move(finalizers));
    }
    if (change == nullptr || change->master.value_or("").empty() || entry == nullptr) continue;
    const auto resources = entry->compile();
    const bool is_uplink =
        std::any_of(resources.links.begin(), resources.links.end(),
                    [&](const LinkSpec& link) { return link.borrowed && link.at == change->at; });
    if (!is_uplink) continue;
    std::set<Finalizer> finalizers = desired.finalizers_of(entry->object.uid);
    finalizers.insert(Finalizer::port(change->at.name));
    desired.set_finalizers(entry->object.uid, std::move(finalizers));
  }
}

void follow_demand(DesiredState& desired) {
  const auto demanded = desired.implicit_vlans();
  const auto entries = desired.entries();
  for (const auto& [id, entry] : entries) {
    if (!entry->object.implicit() || demanded.contains(id.name)) continue;
    desired::Declaration object = entry->object;
    object.deleting = true;
    desired.put(std::move(object));
  }
  for (const auto& [name, spec] : demanded) desired.put(declaration({Kind::vlan, name}, spec, ""));
}

void allocate(DesiredState& desired) {
  const auto entries = desired.entries();
  for (const auto& [id, entry] : entries) {
    if (id.kind != Kind::network || entry->object.deleting) continue;
    const auto changed = desired::allocate_addresses(desired, id.name);
    if (!changed) throw std::invalid_argument(changed.error().text());
    for (const auto& [attachment, addresses] : changed.value()) {
      desired::Declaration object = desired.find(attachment)->object;
      object.allocations = addresses;
      desired.put(std::move(object));
    }
  }
}

std::map<ResourceId, ObjectSpec> objects_of(const SetSpec& set) {
  std::map<ResourceId, ObjectSpec> objects;
  for (const auto& [name, spec] : set.vlans) objects.emplace(ResourceId{Kind::vlan, name}, spec);
  for (const auto& [name, spec] : set.networks) objects.emplace(ResourceId{Kind::network, name}, spec);
  for (const auto& [name, spec] : set.attachments) objects.emplace(ResourceId{Kind::attachment, name}, spec);
  return objects;
}

// ---- plans as text

std::string text_of(const Plan& plan) {
  std::string text;
  for (const Action& action : plan.actions) {
    const std::string stage = std::to_string(action.stage);
    text += stage + std::string(stage.size() < 3 ? 3 - stage.size() : 1, ' ') + action.text();
    if (action.disruption != Disruption::none) text += std::string(" [") + name_of(action.disruption) + "]";
    text += "\n   | " + action.object.text() + ": " + action.reason + "\n";
  }
  for (const Blocked& blocked : plan.blocked) {
    text += std::string(name_of(blocked.why.kind)) + ": " + blocked.object.text() + "\n";
    text += "   | " + blocked.why.text() + "\n";
  }
  for (const auto& [id, note] : plan.notes) text += "note: " + id.text() + "\n   | " + note + "\n";
  for (const ResourceId& id : plan.open) text += "open: " + id.text() + "\n";
  return text.empty() ? "nothing\n" : text;
}

}  // namespace

std::string Stage::play(const Command& command) {
  const auto& words = command.words;
  const std::string& verb = words.front();
  if (verb == "namespace") {
    world_.kernel.add_namespace(path_of(words.at(1)));
  } else if (verb == "drop") {
    words.at(1) == "path" ? world_.kernel.drop_path(words.at(2))
                          : world_.kernel.drop_namespace(path_of(words.at(2)));
  } else if (verb == "path") {
    world_.kernel.add_path(words.at(1), words.size() > 2 ? path_of(words[2]) : std::string());
  } else if (verb == "link") {
    const LinkName where = link_named(words.at(1));
    LinkFact fact = foreign_link(where.name);
    set_all(world_, fact, words, 2);
    world_.kernel.add_link(where.netns, fact);
  } else if (verb == "set") {
    if (world_.find(link_named(words.at(1))) == nullptr) throw std::invalid_argument("no link " + words[1]);
    world_.kernel.change(link_named(words[1]), [&](LinkFact& fact) { set_all(world_, fact, words, 2); });
  } else if (verb == "delete") {
    world_.kernel.delete_link(link_named(words.at(1)));
  } else if (verb == "move") {
    world_.kernel.move_link(link_named(words.at(1)), link_named(words.at(3)), true);
  } else if (verb == "kill") {
    words.at(1) == "plug" ? world_.switches.kill_plug(words.at(2)) : world_.switches.kill(words.at(2));
  } else if (verb == "give") {
    world_.switches.give_to(words.at(1), words.at(2));
  } else if (verb == "occupy") {
    world_.switches.occupy(words.at(1), command.body.substr(0, command.body.find('\n')));
  } else if (verb == "ovs") {
    change_ovs(words);
  } else if (verb == "apply") {
    refusal_ = apply(command);
  } else if (verb == "endpoint") {
    declare_endpoint(command);
  } else if (verb == "plan") {
    return act();
  } else if (verb == "preview") {
    return preview();
  } else {
    throw std::invalid_argument("no command: " + verb);
  }
  return command.body;
}

void Stage::change_ovs(const std::vector<std::string>& words) {
  const std::string& what = words.at(1);
  const std::string name = words.size() > 2 ? words[2] : std::string();
  if (what == "del-br") return world_.ovs.delete_bridge(name);
  world_.ovs.change([&](OvsFacts& facts) {
    if (what == "stop") {
      facts.live = false;
      facts.trouble =
          Error{ErrorKind::not_found, "connect to", "db.sock", 0, "No such file or directory", {}};
    } else if (what == "start") {
      facts.live = true;
    } else if (what == "empty") {
      facts.bridges.clear();
    } else if (what == "tso") {
      facts.userspace_tso = true;
    } else if (what == "add-br") {
      facts.bridges[name] = {};
      facts.bridges[name].running_id = words.size() > 3 ? words[3] : "00000000000000ff";
    } else if (what == "add-port") {
      facts.bridges.at(name).ports[words.at(3)] = {};
    } else if (what == "del-port") {
      facts.bridges.at(name).ports.erase(words.at(3));
    } else if (what == "set-port") {
      OvsPortFact& port = facts.bridges.at(name).ports.at(words.at(3));
      for (std::size_t i = 4; i < words.size(); ++i) {
        const auto [key, value] = setting(words[i]);
        if (key == "ofport") port.ofport = std::stoll(value);
        if (key == "no-ofport") port.ofport.reset();
        if (key == "tag") port.vlans = PortVlans{static_cast<std::uint16_t>(number(value)), {}};
      }
    } else if (what == "set-br") {
      OvsBridgeFact& bridge = facts.bridges.at(name);
      for (std::size_t i = 3; i < words.size(); ++i) {
        const auto [key, value] = setting(words[i]);
        if (key == "fail_mode") bridge.fail_mode = value;
        if (key == "controller") bridge.controllers = {{value, std::nullopt, false}};
        if (key == "no-ofport") bridge.local->ofport.reset();
        if (key == "in-band") bridge.in_band = true;
      }
    } else {
      throw std::invalid_argument("no command of ovs: " + what);
    }
  });
}

// Empty, or why not.
std::string Stage::apply(const Command& command) {
  const bool adopt = command.words.back() == "adopt";
  const std::string name = command.words.size() > (adopt ? 2U : 1U) ? command.words[1] : "default";
  const auto read = read_set("version: 1\n" + command.body, name, drivers::driver_grammar());
  std::string mistakes;
  for (const Diagnostic& diagnostic : read.diagnostics) mistakes += "refused: " + diagnostic.message + "\n";
  if (!mistakes.empty()) return mistakes;

  DesiredState candidate = world_.desired;
  const auto objects = objects_of(read.set);
  for (const auto& [id, entry] : world_.desired.entries()) {
    if (entry->object.set != name || objects.contains(id)) continue;
    desired::Declaration object = entry->object;
    object.deleting = true;
    candidate.put(std::move(object));
  }
  for (const auto& [id, spec] : objects) {
    desired::Declaration object = declaration(id, spec, name);
    object.adopt = adopt;
    if (const auto* known = candidate.find(id)) object.allocations = known->object.allocations;
    candidate.put(std::move(object));
  }
  follow_demand(candidate);
  const NamespaceFacts* host = world_.look().find(std::string{});
  if (const auto checked = candidate.check(nullptr, host); !checked)
    return "refused: " + checked.error().text() + "\n";
  commit(std::move(candidate));
  return {};
}

void Stage::declare_endpoint(const Command& command) {
  AttachmentSpec spec;
  spec.endpoint.emplace();
  for (std::size_t i = 2; i < command.words.size(); ++i) {
    const auto [name, value] = setting(command.words[i]);
    if (name == "network") spec.network = value;
    if (name == "address") spec.addresses.push_back(prefix(value));
    if (name == "interface") spec.interface = value;
    if (name == "sandbox") spec.endpoint->sandbox = path_of(value);
    if (name == "left") spec.endpoint->left = true;
    if (name == "sysctl") spec.endpoint->sysctls.push_back(interface_sysctl(value).value());
    if (name == "default-route") {
      spec.endpoint->default_route = true;
      spec.routes.push_back({prefix("0.0.0.0/0"), IpAddress::parse(value), std::nullopt});
    }
  }
  DesiredState candidate = world_.desired;
  candidate.put(declaration({Kind::attachment, command.words.at(1)}, spec, kDockerSet));
  commit(std::move(candidate));
}

void Stage::commit(DesiredState candidate) {
  allocate(candidate);
  record_namespaces(world_.desired, candidate);
  world_.desired = std::move(candidate);
}

std::string Stage::act() {
  std::string text = std::exchange(refusal_, {});
  std::vector<Blocked> told;
  for (int round = 0; round < kMostRounds; ++round) {
    const Plan plan = world_.plan();
    if (round > 0 && plan.empty() && plan.blocked == told) break;
    text += (round > 0 ? "then\n" : "") + text_of(plan) + carry_out(plan);
    told = plan.blocked;
    if (plan.empty()) break;
    if (round + 1 == kMostRounds) text += "and so on\n";
  }
  forget_what_is_done();
  return text;
}

std::string Stage::preview() {
  return std::exchange(refusal_, {}) + text_of(world_.plan());
}

// Says what failed; what is left of the same object is left undone then, as in the agent.
std::string Stage::carry_out(const Plan& plan) {
  record_traces(plan, world_.desired);
  std::string failures;
  std::set<ResourceId> failed;
  for (const Action& action : plan.actions) {
    if (failed.contains(action.object)) continue;
    const auto done = world_.run(action);
    if (done) continue;
    failed.insert(action.object);
    failures += "failed: " + action.text() + "\n   | " + done.error().text() + "\n";
  }
  return failures;
}

void Stage::forget_what_is_done() {
  const Plan left = world_.plan();
  const auto entries = world_.desired.entries();
  for (const auto& [id, entry] : entries) {
    const auto is_of_it = [&id = id](const auto& one) { return one.object == id; };
    if (std::any_of(left.actions.begin(), left.actions.end(), is_of_it) ||
        std::any_of(left.blocked.begin(), left.blocked.end(), is_of_it))
      continue;
    std::set<Finalizer> finalizers = world_.desired.finalizers_of(entry->object.uid);
    for (const Finalizer& settled : planning::settled_finalizers(*entry, world_.desired, world_.observed))
      finalizers.erase(settled);
    world_.desired.set_finalizers(entry->object.uid, std::move(finalizers));
    if (entry->object.deleting) world_.desired.erase(id);
  }
}

}  // namespace lanwright::test
