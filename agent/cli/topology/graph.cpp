#include "agent/cli/topology/graph.h"

#include <set>
#include <utility>

#include "agent/cli/table.h"

namespace lanwright::cli {
namespace {

class GraphMaker {
 public:
  explicit GraphMaker(const Topology& topology) {
    for (const Topology::Vlan& vlan : topology.vlans) vlans_.insert(vlan.name);
    for (const Topology::Network& network : topology.networks) add(network);
    for (const Topology::Vlan& vlan : topology.vlans) add(vlan);
    for (const std::string& link : links_)
      graph_.nodes.push_back({"link/" + link, NodeKind::link, link, {}, {}, Json::object()});
  }

  Graph take() { return std::move(graph_); }

 private:
  // What stands for a link of the host: the VLAN object that makes it, or a node of its own.
  std::string host_link(const std::string& name) {
    if (vlans_.contains(name)) return "vlan/" + name;
    links_.insert(name);
    return "link/" + name;
  }

  void add(const Topology::Network& network) {
    const std::string id = "network/" + network.name;
    std::vector<std::string> details{network.driver};
    details.insert(details.end(), network.subnets.begin(), network.subnets.end());
    graph_.nodes.push_back({id,
                            NodeKind::network,
                            network.name,
                            std::move(details),
                            network.phase,
                            {{"driver", network.driver}, {"subnets", network.subnets}}});
    for (const Topology::Uplink& uplink : network.uplinks)
      graph_.edges.push_back({host_link(uplink.interface), id, "uplink", uplink.vlans});
    if (!network.parent.empty()) graph_.edges.push_back({host_link(network.parent), id, "parent", {}});
    if (network.host_interface) add(id, network.name, *network.host_interface);
    for (const Topology::Attachment& attachment : network.attachments) add(id, attachment);
  }

  void add(const std::string& network, const std::string& name, const Topology::HostInterface& host) {
    const std::string id = "host_interface/" + name;
    graph_.nodes.push_back(
        {id, NodeKind::host_interface, host.name, host.addresses, {}, {{"addresses", host.addresses}}});
    graph_.edges.push_back({network, id, "host_interface", {}});
  }

  void add(const std::string& network, const Topology::Attachment& attachment) {
    const std::string id = "attachment/" + attachment.name;
    std::vector<std::string> details{text_of(attachment.place)};
    details.insert(details.end(), attachment.addresses.begin(), attachment.addresses.end());
    const AttachedPlace& place = attachment.place;
    Json data = place.tap.empty() ? Json{{"netns", place.netns}, {"interface", place.interface}}
                                  : Json{{"tap", place.tap}};
    data["addresses"] = attachment.addresses;
    graph_.nodes.push_back(
        {id, NodeKind::attachment, attachment.name, std::move(details), attachment.phase, std::move(data)});
    graph_.edges.push_back({network, id, "attachment", attachment.vlans});
  }

  void add(const Topology::Vlan& vlan) {
    const std::string id = "vlan/" + vlan.name;
    graph_.nodes.push_back({id,
                            NodeKind::vlan,
                            vlan.name,
                            {tag_of(vlan)},
                            vlan.phase,
                            {{"vid", vlan.vid}, {"protocol", vlan.protocol}}});
    if (!vlan.parent.empty()) graph_.edges.push_back({host_link(vlan.parent), id, "parent", {}});
  }

  Graph graph_;
  std::set<std::string> vlans_;
  std::set<std::string> links_;
};

}  // namespace

const char* name_of(NodeKind kind) {
  switch (kind) {
    case NodeKind::link:
      return "link";
    case NodeKind::vlan:
      return "vlan";
    case NodeKind::network:
      return "network";
    case NodeKind::attachment:
      return "attachment";
    case NodeKind::host_interface:
      break;
  }
  return "host_interface";
}

Graph graph_of(const Topology& topology) {
  return GraphMaker(topology).take();
}

std::vector<std::string> lines_of(const Node& node) {
  std::vector<std::string> lines{one_line(node.name)};
  for (const std::string& detail : node.details) {
    if (!detail.empty()) lines.push_back(one_line(detail));
  }
  if (!node.phase.empty()) lines.push_back(one_line(node.phase));
  return lines;
}

const char* paint_of(std::string_view phase) {
  if (phase.empty()) return "#444444";
  switch (colour_of_phase(phase)) {
    case Colour::green:
      return "#1a7f37";
    case Colour::red:
      return "#cf222e";
    case Colour::yellow:
    case Colour::none:
      break;
  }
  return "#9a6700";
}

}  // namespace lanwright::cli
