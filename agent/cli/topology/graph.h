// The topology as nodes and edges, which is what every picture but the tree is made of. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cli/topology/topology.h"

namespace lanwright::cli {

enum class NodeKind : std::uint8_t { link, vlan, network, attachment, host_interface };
const char* name_of(NodeKind kind);  // "link": an interface of the host that no object stands for

struct Node {
  std::string id;  // "network/lab"; no other node has it
  NodeKind kind;
  std::string name;
  std::vector<std::string> details;  // lines for people
  std::string phase;                 // "" where there is none
  Json data;                         // what a program wants to know besides
};

struct Edge {
  std::string from;  // ids; from what is nearer to the host's hardware
  std::string to;
  std::string kind;   // "parent", "uplink", "attachment", "host_interface"
  std::string label;  // VLANs of the port; may be empty
};

struct Graph {
  std::vector<Node> nodes;  // networks with what is plugged into them, then VLAN links, then host interfaces
  std::vector<Edge> edges;  // both ends exist
};

Graph graph_of(const Topology& topology);

// The lines of a node's box, safe for a terminal: what it is called, then its details and its phase.
std::vector<std::string> lines_of(const Node& node);

// Whether the object works (green), waits (yellow) or fails (red); black without a phase. As "#rrggbb".
const char* paint_of(std::string_view phase);

}  // namespace lanwright::cli
