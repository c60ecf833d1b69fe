#include "agent/cli/render.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <ostream>
#include <sstream>
#include <utility>
#include <vector>

#include "agent/cli/table.h"
#include "agent/cli/time.h"

namespace lanwright::cli {
namespace {

using Cell = Table::Cell;

struct ResourceNames {
  Resource resource;
  const char* singular;
  const char* plural;
  std::array<std::string_view, 2> short_forms;
};

constexpr std::array<ResourceNames, 5> kResources{{
    {Resource::vlan, "vlan", "vlans", {"vl", "vl"}},
    {Resource::network, "network", "networks", {"net", "nets"}},
    {Resource::attachment, "attachment", "attachments", {"att", "atts"}},
    {Resource::switch_process, "switch", "switches", {"sw", "sw"}},
    {Resource::set, "set", "sets", {"set", "sets"}},
}};

const ResourceNames& names_of(Resource resource) {
  return *std::find_if(kResources.begin(), kResources.end(),
                       [&](const ResourceNames& each) { return each.resource == resource; });
}

const Json& at(const Json& object, std::initializer_list<const char*> path) {
  static const Json kNothing;
  const Json* here = &object;
  for (const char* key : path) {
    if (!here->is_object()) return kNothing;
    const auto found = here->find(key);
    if (found == here->end()) return kNothing;
    here = &*found;
  }
  return *here;
}

std::string scalar_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_null() || value.is_structured() ? std::string() : value.dump();
}

// "a, b, c" of what `text` makes of each element.
template <class Text>
std::string joined(const Json& array, Text&& text, std::string_view separator = ",") {
  std::string out;
  if (!array.is_array()) return out;
  for (const Json& each : array) {
    const std::string part = text(each);
    if (part.empty()) continue;
    if (!out.empty()) out += separator;
    out += part;
  }
  return out;
}

std::string since_text(const std::string& time, WallTime now) {
  const auto parsed = parse_rfc3339(time);
  return parsed ? age_text(now - *parsed) : time;
}

// A link's place is a name, or a name in a namespace.
std::string link_text(const Json& link) {
  if (!link.is_object()) return scalar_text(link);
  const std::string name = text_at(link, {"name"});
  const std::string netns = text_at(link, {"netns"});
  return netns.empty() ? name : name + " in " + netns;
}

std::string error_text(const Json& error) {
  if (error.is_string()) return error.get<std::string>();
  return text_at(error, {"text"});
}

// Of a network that Docker forgot, what can be done about it comes first.
std::string with_orphan_advice(const Json& object, std::string text) {
  if (text_at(object, {"status", "orphaned"}) != "true" || text_at(object, {"deleting"}) == "true")
    return text;
  return "Docker does not know it any more; to remove it: lanwright delete network " +
         text_at(object, {"name"}) + (text.empty() ? "" : "; " + text);
}

// What the columns of a list may look at.
struct Context {
  const PortCounts& ports;
  const Style& style;
};

struct Column {
  const char* title;
  Cell (*cell)(const Json& object, const Context& context);
  bool wide = false;  // only with -o wide
};

Cell name(const Json& o, const Context&) {
  return {text_at(o, {"name"})};
}
Cell set(const Json& o, const Context&) {
  return {text_at(o, {"set"})};
}
Cell driver(const Json& o, const Context&) {
  const std::string own = text_at(o, {"driver"});
  return {own.empty() ? text_at(o, {"spec", "driver"}) : own};
}
Cell network(const Json& o, const Context&) {
  const std::string own = text_at(o, {"network"});
  return {own.empty() ? text_at(o, {"spec", "network"}) : own};
}
Cell phase(const Json& o, const Context&) {
  const std::string text = text_at(o, {"status", "phase"});
  return {text, colour_of_phase(text)};
}
Cell age(const Json& o, const Context& c) {
  return {since_text(text_at(o, {"created"}), c.style.now)};
}
Cell message(const Json& o, const Context&) {
  return {why_of(o)};
}
Cell repairs(const Json& o, const Context&) {
  return {text_at(o, {"status", "repairs"})};
}
Cell generation(const Json& o, const Context&) {
  return {text_at(o, {"generation"})};
}
Cell uid(const Json& o, const Context&) {
  return {text_at(o, {"uid"})};
}
Cell links(const Json& o, const Context&) {
  return {joined(at(o, {"links"}), link_text)};
}
Cell parent(const Json& o, const Context&) {
  return {text_at(o, {"spec", "parent"})};
}
Cell vlan_id(const Json& o, const Context&) {
  return {text_at(o, {"spec", "id"})};
}
Cell protocol(const Json& o, const Context&) {
  const std::string text = text_at(o, {"spec", "protocol"});
  return {text.empty() ? "802.1Q" : text};
}
Cell mtu(const Json& o, const Context&) {
  return {text_at(o, {"spec", "mtu"})};
}
Cell ports(const Json& o, const Context& c) {
  const auto found = c.ports.find(text_at(o, {"name"}));
  const std::size_t attached = found == c.ports.end() ? 0 : found->second;
  return {std::to_string(attached + at(o, {"spec", "uplinks"}).size())};
}
Cell subnets(const Json& o, const Context&) {
  return {joined(at(o, {"spec", "subnets"}), [](const Json& subnet) { return text_at(subnet, {"cidr"}); })};
}
Cell addresses(const Json& o, const Context&) {
  return {joined(addresses_of(o), scalar_text)};
}
Cell interface(const Json& o, const Context&) {
  return {text_of(place_of(o))};
}
Cell docker_network(const Json& o, const Context&) {
  return {text_at(o, {"spec", "docker", "network"})};
}
Cell docker_endpoint(const Json& o, const Context&) {
  return {text_at(o, {"spec", "docker", "endpoint"})};
}
Cell mac(const Json& o, const Context&) {
  return {text_at(o, {"spec", "mac"})};
}
Cell pid(const Json& o, const Context&) {
  return {text_at(o, {"pid"})};
}
Cell plug_pid(const Json& o, const Context&) {
  return {text_at(o, {"plugPid"})};
}
Cell forwarding(const Json& o, const Context&) {
  return {text_at(o, {"hub"}) == "true" ? "hub" : "learning"};
}
Cell switch_ports(const Json& o, const Context&) {
  return {std::to_string(at(o, {"ports"}).size())};
}
// Frames that somebody did not get.
Cell lost_frames(const Json& o, const Context&) {
  const auto lost_by = [](const Json& part) {
    return part.value("dropped", std::uint64_t{0}) + part.value("tooLong", std::uint64_t{0});
  };
  std::uint64_t lost = lost_by(o);
  for (const Json& port : at(o, {"ports"})) lost += lost_by(port);
  return {std::to_string(lost), lost > 0 ? Colour::yellow : Colour::none};
}
Cell switch_state(const Json& o, const Context&) {
  const bool runs = text_at(o, {"pid"}) != "0" && text_at(o, {"plugPid"}) != "0";
  if (runs && text_at(o, {"answers"}) == "false") return {"silent", Colour::yellow};
  return {runs ? "running" : "down", runs ? Colour::green : Colour::red};
}
Cell socket(const Json& o, const Context&) {
  return {text_at(o, {"socket"})};
}
Cell engine(const Json& o, const Context&) {
  return {text_at(o, {"engine"})};
}
Cell applied(const Json& o, const Context& c) {
  return {since_text(text_at(o, {"applied"}), c.style.now)};
}

Cell objects(const Json& o, const Context&) {
  return {text_at(o, {"objects"})};
}
Cell converged(const Json& o, const Context&) {
  if (text_at(o, {"deleting"}) == "true") return {"deleting", Colour::yellow};
  const bool yes = text_at(o, {"converged"}) == "true";
  return {yes ? "yes" : "no", yes ? Colour::green : Colour::yellow};
}
Cell ready(const Json& o, const Context&) {
  const std::string count = text_at(o, {"phases", "Ready"});
  return {count.empty() ? "0" : count};
}

const std::vector<Column>& columns_of(Resource resource) {
  static const std::vector<Column> kVlans{{"NAME", name},
                                          {"SET", set},
                                          {"PARENT", parent},
                                          {"ID", vlan_id},
                                          {"PROTOCOL", protocol},
                                          {"PHASE", phase},
                                          {"AGE", age},
                                          {"MTU", mtu, true},
                                          {"UID", uid, true},
                                          {"GENERATION", generation, true},
                                          {"REPAIRS", repairs, true},
                                          {"MESSAGE", message}};
  static const std::vector<Column> kNetworks{{"NAME", name},
                                             {"SET", set},
                                             {"DRIVER", driver},
                                             {"PHASE", phase},
                                             {"PORTS", ports},
                                             {"SUBNETS", subnets},
                                             {"AGE", age},
                                             {"MTU", mtu, true},
                                             {"LINKS", links, true},
                                             {"UID", uid, true},
                                             {"GENERATION", generation, true},
                                             {"REPAIRS", repairs, true},
                                             {"MESSAGE", message}};
  static const std::vector<Column> kAttachments{{"NAME", name},
                                                {"SET", set},
                                                {"NETWORK", network},
                                                {"DRIVER", driver},
                                                {"INTERFACE", interface},
                                                {"PHASE", phase},
                                                {"ADDRESSES", addresses},
                                                {"AGE", age},
                                                {"MAC", mac, true},
                                                {"LINKS", links, true},
                                                {"UID", uid, true},
                                                {"GENERATION", generation, true},
                                                {"REPAIRS", repairs, true},
                                                {"DOCKER NETWORK", docker_network, true},
                                                {"DOCKER ENDPOINT", docker_endpoint, true},
                                                {"MESSAGE", message}};
  static const std::vector<Column> kSwitches{
      {"NAME", name},          {"DRIVER", driver},    {"MODE", forwarding},
      {"STATE", switch_state}, {"PID", pid},          {"PLUG", plug_pid},
      {"PORTS", switch_ports}, {"LOST", lost_frames}, {"ENGINE", engine, true},
      {"SET", set, true},      {"SOCKET", socket}};
  static const std::vector<Column> kSets{{"NAME", name},   {"GENERATION", generation}, {"OBJECTS", objects},
                                         {"READY", ready}, {"CONVERGED", converged},   {"APPLIED", applied}};
  switch (resource) {
    case Resource::vlan:
      return kVlans;
    case Resource::network:
      return kNetworks;
    case Resource::attachment:
      return kAttachments;
    case Resource::switch_process:
      return kSwitches;
    case Resource::set:
      break;
  }
  return kSets;
}

Colour colour_of_disruption(std::string_view disruption) {
  if (disruption == "recreate") return Colour::red;
  return disruption == "flap" ? Colour::yellow : Colour::none;
}

void print_indented(std::ostream& out, const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) out << "  " << line << '\n';
}

void print_indented(std::ostream& out, const Table& table, const Style& style) {
  std::ostringstream text;
  table.print(text, style.colour);
  print_indented(out, text.str());
}

void print_field(std::ostream& out, std::string_view label, const std::string& value,
                 Colour colour = Colour::none) {
  constexpr std::size_t kWidth = 14;
  if (value.empty()) return;
  out << label << ':' << std::string(kWidth - std::min(kWidth - 1, label.size() + 1), ' ')
      << coloured(one_line(value), colour) << '\n';
}

void print_identity(std::ostream& out, const Json& object, const Style& style) {
  const auto field = [&](std::string_view label, const std::string& value) {
    print_field(out, label, value);
  };
  const auto time = [&](const std::string& text) {
    return text.empty() ? text : text + " (" + since_text(text, style.now) + " ago)";
  };
  const std::string phase_text = text_at(object, {"status", "phase"});
  field("Name", text_at(object, {"name"}));
  field("Kind", text_at(object, {"kind"}));
  field("Set", text_at(object, {"set"}));
  print_field(out, "Phase", phase_text, style.colour ? colour_of_phase(phase_text) : Colour::none);
  field("Since", time(text_at(object, {"status", "since"})));
  field("Message", with_orphan_advice(object, text_at(object, {"status", "message"})));
  field("Last error", error_text(at(object, {"status", "lastError"})));
  field("Next try", text_at(object, {"status", "nextTry"}));
  field("Generation", text_at(object, {"generation"}) + " (observed " +
                          text_at(object, {"status", "observedGeneration"}) + ")");
  field("Repairs", text_at(object, {"status", "repairs"}));
  field("Created", time(text_at(object, {"created"})));
  field("UID", text_at(object, {"uid"}));
}

void print_link_reports(std::ostream& out, const Json& reports, const Style& style) {
  if (!reports.is_array() || reports.empty()) return;
  Table table({"LINK", "KIND", "STATE", "MTU", "MAC", "MASTER", "PARENT", "INDEX"});
  for (const Json& report : reports) {
    const Json& wanted = at(report, {"wanted"});
    const Json& found = at(report, {"found"});
    const bool there = found.is_object();
    const std::string place = link_text(at(wanted, {"where"}));
    const std::string kind = text_at(there ? found : wanted, {"kind"});
    const bool up = text_at(found, {"up"}) == "true";
    const char* state = up ? "up" : "down";
    table.add({{place.empty() ? link_text(wanted) : place},
               {kind},
               {there ? state : "missing", there ? Colour::none : Colour::red},
               {text_at(found, {"mtu"})},
               {text_at(found, {"mac"})},
               {text_at(report, {"master"})},
               {text_at(report, {"parent"})},
               {text_at(found, {"ifindex"})}});
  }
  out << "Links:\n";
  print_indented(out, table, style);
}

void print_open_vswitch(std::ostream& out, const Json& bridge, const Style& style) {
  if (!bridge.is_object()) return;
  const bool live = text_at(bridge, {"live"}) == "true";
  print_field(out, "Open vSwitch",
              text_at(bridge, {"bridge"}) + ", datapath " + text_at(bridge, {"datapath"}) + " " +
                  text_at(bridge, {"datapathId"}) + ", fail mode " + text_at(bridge, {"failMode"}) +
                  (live ? "" : ", as it was"));
  const Json& controllers = at(bridge, {"controllers"});
  if (controllers.is_array() && !controllers.empty()) {
    Table table({"CONTROLLER", "CONNECTED"});
    for (const Json& each : controllers) {
      const bool connected = text_at(each, {"connected"}) == "true";
      table.add(
          {{text_at(each, {"target"})}, {connected ? "yes" : "no", connected ? Colour::none : Colour::red}});
    }
    out << "Controllers (as of the last 15 s):\n";
    print_indented(out, table, style);
  }
  const Json& ports = at(bridge, {"ports"});
  if (!ports.is_array() || ports.empty()) return;
  Table table({"OFPORT", "LINK", "OBJECT", "ERROR"});
  for (const Json& each : ports)
    table.add({{text_at(each, {"ofport"})},
               {text_at(each, {"link"})},
               {at(each, {"object"}).is_object() ? object_text(each) : "not ours"},
               {text_at(each, {"error"}), Colour::red}});
  out << "OpenFlow ports:\n";
  print_indented(out, table, style);
}

Table action_table(const Json& actions) {
  Table table({"ACTION", "OBJECT", "REASON", "DISRUPTION"});
  for (const Json& action : actions) {
    const std::string disruption = text_at(action, {"disruption"});
    table.add({{text_at(action, {"text"})},
               {object_text(action)},
               {text_at(action, {"reason"})},
               {disruption, colour_of_disruption(disruption)}});
  }
  return table;
}

Table event_table(const Json& events) {
  Table table({"TIME", "TYPE", "OBJECT", "SET", "MESSAGE"});
  table.keep_width({24, 9, 24, 8});  // so that the lines of a followed stream stand below each other
  for (const Json& event : events) {
    const std::string type = text_at(event, {"type"});
    const bool bad = type == "Failed" || type == "Conflict" || type == "Contested";
    table.add({{text_at(event, {"time"})},
               {type, bad ? Colour::red : Colour::none},
               {object_text(event)},
               {text_at(event, {"set"})},
               {text_at(event, {"message"})}});
  }
  return table;
}

// "3 Ready, 1 Pending"
std::string phases_text(const Json& phases) {
  std::string text;
  for (const auto& [phase, count] : phases.items()) {
    if (!text.empty()) text += ", ";
    text += scalar_text(count);
    text += ' ';
    text += phase;
  }
  return text.empty() ? "none" : text;
}

}  // namespace

const char* name_of(Resource resource) {
  return names_of(resource).singular;
}
const char* plural_of(Resource resource) {
  return names_of(resource).plural;
}

std::optional<Resource> resource_from(std::string_view text) {
  for (const ResourceNames& each : kResources) {
    if (text == each.singular || text == each.plural || text == each.short_forms[0] ||
        text == each.short_forms[1]) {
      return each.resource;
    }
  }
  return std::nullopt;
}

std::optional<OutputFormat> format_from(std::string_view text) {
  if (text == "table") return OutputFormat::table;
  if (text == "wide") return OutputFormat::wide;
  if (text == "json") return OutputFormat::json;
  if (text == "yaml") return OutputFormat::yaml;
  return std::nullopt;
}

void print_data(std::ostream& out, const Json& value, OutputFormat format) {
  if (format == OutputFormat::yaml) {
    out << yaml_text(value);
  } else {
    out << value.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
  }
}

Colour colour_of_phase(std::string_view phase) {
  if (phase == "Ready") return Colour::green;
  if (phase == "Retrying" || phase == "Conflict" || phase == "Contested") return Colour::red;
  return Colour::yellow;
}

std::string text_at(const Json& object, std::initializer_list<const char*> path) {
  return scalar_text(at(object, path));
}

std::uint64_t number_at(const Json& object, std::initializer_list<const char*> path) {
  const Json& found = at(object, path);
  return found.is_number_unsigned() ? found.get<std::uint64_t>() : 0;
}

const Json& list_at(const Json& object, std::initializer_list<const char*> path) {
  static const Json kEmpty = Json::array();
  const Json& found = at(object, path);
  return found.is_array() ? found : kEmpty;
}

const Json& addresses_of(const Json& attachment) {
  const Json& declared = list_at(attachment, {"spec", "addresses"});
  return declared.empty() ? list_at(attachment, {"leases"}) : declared;
}

AttachedPlace place_of(const Json& attachment) {
  const bool docker = !at(attachment, {"spec", "docker"}).is_null();
  AttachedPlace place{.netns = docker ? text_at(attachment, {"spec", "docker", "sandbox"})
                                      : text_at(attachment, {"spec", "netns"}),
                      .interface = text_at(attachment, {"spec", "interface"}),
                      .tap = text_at(attachment, {"spec", "tap", "name"}),
                      .docker = docker};
  if (at(attachment, {"spec", "docker", "left"}) == true)
    place = {.netns = {}, .interface = {}, .tap = {}, .docker = true, .left = true};
  if (!docker && place.netns.empty() && place.tap.empty())
    place.tap = joined(at(attachment, {"links"}), link_text);
  return place;
}

std::string text_of(const AttachedPlace& place) {
  if (!place.tap.empty()) return "tap " + place.tap;
  if (place.left) return "taken out of its container";
  if (place.interface.empty()) return place.docker ? "on its way to a container" : "";
  return place.interface + " in " + place.netns;
}

std::string object_text(const Json& value) {
  const Json& object = at(value, {"object"});
  if (object.is_string()) return object.get<std::string>();
  const Json& named = object.is_object() ? object : value;
  const std::string kind = text_at(named, {"kind"});
  return kind.empty() ? text_at(named, {"name"}) : kind + ' ' + text_at(named, {"name"});
}

std::string why_of(const Json& object) {
  std::string text = text_at(object, {"status", "message"});
  if (text.empty() && text_at(object, {"status", "phase"}) != "Ready")
    text = error_text(at(object, {"status", "lastError"}));
  return with_orphan_advice(object, std::move(text));
}

PortCounts count_ports(const Json& attachments) {
  PortCounts counts;
  for (const Json& each : attachments) ++counts[text_at(each, {"spec", "network"})];
  return counts;
}

void print_list(std::ostream& out, Resource resource, const Json& list, const PortCounts& port_counts,
                const Style& style) {
  std::vector<const Column*> shown;
  std::vector<std::string> header;
  for (const Column& column : columns_of(resource)) {
    if (column.wide && !style.wide) continue;
    shown.push_back(&column);
    header.emplace_back(column.title);
  }
  Table table(header);
  const Context context{port_counts, style};
  for (const Json& object : list) {
    Table::Row row;
    for (const Column* column : shown) row.push_back(column->cell(object, context));
    table.add(std::move(row));
  }
  table.print(out, style.colour);
}

void print_plan(std::ostream& out, const Json& plan, const Style& style) {
  const Json& actions = at(plan, {"actions"});
  const Json& blocked = at(plan, {"blocked"});
  if (!actions.empty()) action_table(actions).print(out, style.colour);
  if (actions.empty()) out << (blocked.empty() ? "nothing to do\n" : "nothing can be done now\n");
  const auto print_messages = [&](const char* title, const char* column, const Json& messages) {
    if (messages.empty()) return;
    out << title;
    Table table({"OBJECT", column});
    for (const Json& each : messages)
      table.add({{object_text(each)}, {text_at(each, {"message"}), Colour::yellow}});
    print_indented(out, table, style);
  };
  print_messages(actions.empty() ? "\nWhat is not as declared:\n" : "\nCannot be done now:\n", "WHY",
                 blocked);
  print_messages("\nLeft as it is:\n", "WHAT", at(plan, {"notes"}));
}

void print_description(std::ostream& out, const Json& description, const Style& style) {
  const Json& inner = at(description, {"object"});
  const Json& object = inner.is_object() ? inner : description;
  print_identity(out, object, style);
  if (const Json& spec = at(object, {"spec"}); !spec.empty()) {
    out << "Desired:\n";
    print_indented(out, yaml_text(spec));
  }
  if (inner.is_object()) print_link_reports(out, at(description, {"links"}), style);
  print_field(out, "Ports", joined(at(description, {"ports"}), link_text, ", "));
  print_open_vswitch(out, at(description, {"openVswitch"}), style);
  if (const Json& differences = at(description, {"differences"}); !differences.empty()) {
    out << "Differences:\n";
    print_indented(out, action_table(differences), style);
  }
  if (const Json& history = at(description, {"history"}); !history.empty()) {
    out << "History:\n";
    print_indented(out, event_table(history), style);
  }
}

void print_switch(std::ostream& out, const Json& found, const Style& style) {
  for (const auto& [label, key] :
       std::initializer_list<std::pair<const char*, const char*>>{{"Name", "name"},
                                                                  {"Set", "set"},
                                                                  {"Driver", "driver"},
                                                                  {"Engine", "engine"},
                                                                  {"Hub", "hub"},
                                                                  {"PID", "pid"},
                                                                  {"Plug PID", "plugPid"},
                                                                  {"Connected", "connected"},
                                                                  {"Answers", "answers"},
                                                                  {"Dropped", "dropped"},
                                                                  {"Too long", "tooLong"},
                                                                  {"Socket", "socket"}})
    print_field(out, label, text_at(found, {key}));
  Table table({"PORT", "LINK", "FRAMES IN", "BYTES IN", "FRAMES OUT", "BYTES OUT", "DROPPED", "TOO LONG"});
  for (const Json& port : at(found, {"ports"})) {
    const bool ours = port.contains("object");
    std::vector<Cell> row{{ours ? object_text(port) : "program " + text_at(port, {"program"})},
                          {ours ? link_text(at(port, {"link"})) : std::string()}};
    for (const char* key : {"receivedFrames", "receivedBytes", "sentFrames", "sentBytes"})
      row.push_back({text_at(port, {key})});
    for (const char* key : {"dropped", "tooLong"}) {
      const std::string count = text_at(port, {key});
      row.push_back({count, count != "0" ? Colour::yellow : Colour::none});
    }
    table.add(std::move(row));
  }
  out << "Ports:\n";
  print_indented(out, table, style);
}

void print_events(std::ostream& out, const Json& events, bool header, const Style& style) {
  std::ostringstream text;
  event_table(events).print(text, style.colour);
  std::string lines = text.str();
  if (!header) lines.erase(0, lines.find('\n') + 1);
  out << lines;
}

void print_status(std::ostream& out, const Json& status, const Style& style) {
  const auto yes_or_no = [&](std::string_view label, const char* key) {
    const std::string value = text_at(status, {key});
    const bool yes = value == "true";
    const Colour colour = yes ? Colour::green : Colour::red;
    if (!value.empty()) print_field(out, label, yes ? "yes" : "no", style.colour ? colour : Colour::none);
  };
  const std::string started = text_at(status, {"started"});
  print_field(out, "Version", text_at(status, {"version"}));
  if (!started.empty())
    print_field(out, "Started", started + " (" + since_text(started, style.now) + " ago)");
  yes_or_no("Live", "live");
  yes_or_no("Ready", "ready");
  yes_or_no("Converged", "converged");
  print_field(out, "Generation", text_at(status, {"generation"}));
  print_field(out, "Sets", text_at(status, {"sets"}));
  for (const auto& [kind, phases] : at(status, {"objects"}).items()) {
    std::string label = kind;
    if (!label.empty())
      label.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(label.front())));
    print_field(out, label, phases_text(phases));
  }
  print_field(out, "Orphans", text_at(status, {"orphans"}));
  print_field(out, "Notice", text_at(status, {"storeNotice"}), style.colour ? Colour::yellow : Colour::none);
  if (const Json& counters = at(status, {"counters"}); counters.is_object() && !counters.empty()) {
    Table table({"COUNTER", "VALUE"});
    for (const auto& [name, value] : counters.items()) table.add({{name}, {scalar_text(value)}});
    out << "Counters:\n";
    print_indented(out, table, style);
  }
}

}  // namespace lanwright::cli
