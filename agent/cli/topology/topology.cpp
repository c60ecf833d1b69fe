#include "agent/cli/topology/topology.h"

#include <algorithm>
#include <map>
#include <ostream>
#include <set>
#include <utility>

#include "agent/cli/table.h"
#include "agent/cli/topology/graph.h"

namespace lanwright::cli {
namespace {

std::vector<std::string> texts_of(const Json& list) {
  std::vector<std::string> texts;
  for (const Json& each : list) {
    if (each.is_string()) texts.push_back(each.get<std::string>());
  }
  return texts;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ",") + text;
  return out;
}

// "vlan 10, trunk 20,30" of whatever has a port.
std::string port_vlans(const Json& port) {
  std::string out;
  if (const std::string pvid = text_at(port, {"vlan"}); !pvid.empty()) out = "vlan " + pvid;
  std::vector<std::string> tagged;
  for (const Json& id : list_at(port, {"trunk"}))
    tagged.push_back(id.is_string() ? id.get<std::string>() : id.dump());
  if (!tagged.empty()) out += (out.empty() ? "trunk " : ", trunk ") + joined(tagged);
  return out;
}

Topology::Uplink uplink_of(const Json& uplink) {
  if (uplink.is_string()) return {uplink.get<std::string>(), {}};
  return {text_at(uplink, {"interface"}), port_vlans(uplink)};
}

Topology::Network network_of(const Json& object) {
  Topology::Network network;
  network.name = text_at(object, {"name"});
  network.driver = text_at(object, {"spec", "driver"});
  for (const Json& subnet : list_at(object, {"spec", "subnets"}))
    network.subnets.push_back(text_at(subnet, {"cidr"}));
  for (const Json& uplink : list_at(object, {"spec", "uplinks"}))
    network.uplinks.push_back(uplink_of(uplink));
  network.parent = text_at(object, {"spec", "parent"});
  if (const std::string host = text_at(object, {"spec", "host_interface", "name"}); !host.empty())
    network.host_interface = {host, texts_of(list_at(object, {"spec", "host_interface", "addresses"}))};
  network.phase = text_at(object, {"status", "phase"});
  network.message = why_of(object);
  return network;
}

Topology::Vlan vlan_of(const Json& object) {
  const std::string protocol = text_at(object, {"spec", "protocol"});
  return {.name = text_at(object, {"name"}),
          .parent = text_at(object, {"spec", "parent"}),
          .vid = number_at(object, {"spec", "id"}),
          .protocol = protocol.empty() ? "802.1Q" : protocol,
          .phase = text_at(object, {"status", "phase"}),
          .message = why_of(object)};
}

Topology::Attachment attachment_of(const Json& object) {
  return {.name = text_at(object, {"name"}),
          .place = place_of(object),
          .addresses = texts_of(addresses_of(object)),
          .vlans = port_vlans(object.value("spec", Json::object())),
          .phase = text_at(object, {"status", "phase"}),
          .message = why_of(object)};
}

constexpr auto kByName = [](const auto& a, const auto& b) { return a.name < b.name; };

// The rows of the tree: what hangs below something is drawn with a branch before it.
class Tree {
 public:
  Tree(const Topology& topology, const Style& style) : style_(style) {
    for (const Topology::Vlan& vlan : topology.vlans) vlans_.emplace(vlan.name, &vlan);
    for (const Topology::Network& network : topology.networks) add(network);
    for (const Topology::Vlan& vlan : topology.vlans) {
      if (!drawn_.contains(vlan.name)) add_vlan({}, "vlan " + vlan.name, vlan);
    }
  }

  void print(std::ostream& out) const { table_.print(out, style_.colour); }
  bool empty() const { return table_.empty(); }

 private:
  // What stands before a row, and before the rows below it.
  struct Branch {
    std::string here;
    std::string below;
  };
  static Branch branch(const Branch& above, bool last) {
    return {above.below + (last ? "└─ " : "├─ "), above.below + (last ? "   " : "│  ")};
  }

  void row(const Branch& at, const std::string& object, const std::string& what, const std::string& addresses,
           const std::string& phase, const std::string& message) {
    const Colour colour = phase.empty() ? Colour::none : colour_of_phase(phase);
    table_.add({{at.here + object}, {what}, {addresses}, {phase, colour}, {message}});
  }

  void add(const Topology::Network& network) {
    row({}, "network " + network.name, network.driver, joined(network.subnets), network.phase,
        network.message);
    std::size_t left = network.uplinks.size() + network.attachments.size();
    left += network.parent.empty() ? 0 : 1;
    left += network.host_interface ? 1 : 0;
    for (const Topology::Uplink& uplink : network.uplinks)
      add_host_link(branch({}, --left == 0), "uplink ", uplink.interface, uplink.vlans);
    if (!network.parent.empty()) add_host_link(branch({}, --left == 0), "parent ", network.parent, {});
    if (const auto& host = network.host_interface)
      row(branch({}, --left == 0), "host interface " + host->name, {}, joined(host->addresses), {}, {});
    for (const Topology::Attachment& each : network.attachments)
      row(branch({}, --left == 0), "attachment " + each.name, with_vlans(text_of(each.place), each.vlans),
          joined(each.addresses), each.phase, each.message);
  }

  static std::string with_vlans(const std::string& what, const std::string& vlans) {
    return what.empty() || vlans.empty() ? what + vlans : what + ", " + vlans;
  }

  void add_host_link(const Branch& at, const std::string& role, const std::string& name,
                     const std::string& vlans) {
    const auto vlan = vlans_.find(name);
    if (vlan == vlans_.end()) return row(at, role + name, vlans, {}, {}, {});
    add_vlan(at, role + name, *vlan->second, vlans);
  }

  // With the VLAN links that it stands on; a circle of names is cut where it closes.
  void add_vlan(const Branch& at, const std::string& object, const Topology::Vlan& vlan,
                const std::string& vlans = {}) {
    drawn_.insert(vlan.name);
    row(at, object, with_vlans(tag_of(vlan) + " on " + vlan.parent, vlans), {}, vlan.phase, vlan.message);
    const auto below = vlans_.find(vlan.parent);
    if (below == vlans_.end() || !above_.insert(vlan.name).second) return;
    add_vlan(branch(at, true), "vlan " + vlan.parent, *below->second);
    above_.erase(vlan.name);
  }

  const Style& style_;
  Table table_{{"OBJECT", "WHAT", "ADDRESSES", "PHASE", "MESSAGE"}};
  std::map<std::string, const Topology::Vlan*> vlans_;
  std::set<std::string> drawn_;  // VLAN links that something stands on
  std::set<std::string> above_;  // those of the row at hand
};

// A quoted string of the language, in which a quote and a backslash are escaped. Labels know entities and
// escapes of their own: an ampersand is written as one, and \n ends a line.
std::string dot_label(const std::vector<std::string>& lines) {
  std::string out = "\"";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i != 0) out += "\\n";
    for (const char c : lines[i]) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
      if (c == '&') out += "amp;";
    }
  }
  return out + '"';
}

const char* dot_shape(NodeKind kind) {
  switch (kind) {
    case NodeKind::network:
      return "box3d";
    case NodeKind::link:
      return "house";
    case NodeKind::vlan:
      return "hexagon";
    case NodeKind::attachment:
    case NodeKind::host_interface:
      break;
  }
  return "box";
}

}  // namespace

std::optional<PictureFormat> picture_format_from(std::string_view text) {
  if (text == "text") return PictureFormat::text;
  if (text == "dot") return PictureFormat::dot;
  if (text == "svg") return PictureFormat::svg;
  if (text == "json") return PictureFormat::json;
  return std::nullopt;
}

std::string tag_of(const Topology::Vlan& vlan) {
  return (vlan.protocol == "802.1Q" ? "VLAN " : vlan.protocol + " VLAN ") + std::to_string(vlan.vid);
}

Topology topology_of(const Json& networks, const Json& vlans, const Json& attachments) {
  std::map<std::string, Topology::Network> by_name;
  for (const Json& object : networks) {
    Topology::Network network = network_of(object);
    by_name.insert_or_assign(network.name, std::move(network));
  }
  for (const Json& object : attachments) {
    const std::string name = text_at(object, {"spec", "network"});
    Topology::Network& network = by_name[name];
    network.name = name;
    network.attachments.push_back(attachment_of(object));
  }
  Topology topology;
  for (auto& [name, network] : by_name) {
    std::ranges::sort(network.attachments, kByName);
    topology.networks.push_back(std::move(network));
  }
  for (const Json& object : vlans) topology.vlans.push_back(vlan_of(object));
  std::ranges::sort(topology.vlans, kByName);
  return topology;
}

void print_topology(std::ostream& out, const Topology& topology, const Style& style) {
  const Tree tree(topology, style);
  if (!tree.empty()) tree.print(out);
}

std::string topology_dot(const Topology& topology) {
  const Graph graph = graph_of(topology);
  std::string out =
      "graph lanwright {\n"
      "  rankdir=LR;\n"
      "  node [fontname=\"sans-serif\", fontsize=11];\n"
      "  edge [fontname=\"sans-serif\", fontsize=9];\n";
  std::map<std::string, std::string> numbers;  // names of nodes that nothing in a name can spoil
  for (const Node& node : graph.nodes) {
    const std::string number = "n" + std::to_string(numbers.size());
    numbers.emplace(node.id, number);
    out += "  " + number + " [label=" + dot_label(lines_of(node)) + ", shape=" + dot_shape(node.kind) +
           ", color=\"" + paint_of(node.phase) + "\"];\n";
  }
  for (const Edge& edge : graph.edges) {
    out += "  " + numbers.at(edge.from) + " -- " + numbers.at(edge.to);
    if (!edge.label.empty()) out += " [label=" + dot_label({one_line(edge.label)}) + "]";
    out += ";\n";
  }
  return out + "}\n";
}

Json topology_json(const Topology& topology) {
  const Graph graph = graph_of(topology);
  Json json{{"nodes", Json::array()}, {"edges", Json::array()}};
  for (const Node& node : graph.nodes) {
    Json each{{"id", node.id}, {"kind", name_of(node.kind)}, {"name", node.name}};
    if (!node.phase.empty()) each["phase"] = node.phase;
    each.update(node.data);
    json["nodes"].push_back(std::move(each));
  }
  for (const Edge& edge : graph.edges) {
    Json each{{"from", edge.from}, {"to", edge.to}, {"kind", edge.kind}};
    if (!edge.label.empty()) each["vlans"] = edge.label;
    json["edges"].push_back(std::move(each));
  }
  return json;
}

}  // namespace lanwright::cli
