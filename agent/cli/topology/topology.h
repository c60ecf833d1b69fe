// A picture of the host's LANs, made of what REST tells of them. Pure functions; any thread. What is drawn is
// in a stable order: equal answers give equal pictures. Whatever names hold cannot break the form that they
// stand in.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cli/render.h"
#include "model/format/json.h"

namespace lanwright::cli {

enum class PictureFormat : std::uint8_t { text, dot, svg, json };
std::optional<PictureFormat> picture_format_from(std::string_view text);

struct Topology {
  // A host interface that a network is plugged into.
  struct Uplink {
    std::string interface;
    std::string vlans;  // of the port: "vlan 10, trunk 20,30"; may be empty
  };
  struct Vlan {
    std::string name;
    std::string parent;
    std::uint64_t vid = 0;
    std::string protocol;  // "802.1Q" or "802.1ad"
    std::string phase;
    std::string message;
  };
  struct Attachment {
    std::string name;
    AttachedPlace place;
    std::vector<std::string> addresses;
    std::string vlans;
    std::string phase;
    std::string message;
  };
  struct HostInterface {
    std::string name;
    std::vector<std::string> addresses;
  };
  struct Network {
    std::string name;
    std::string driver;
    std::vector<std::string> subnets;
    std::vector<Uplink> uplinks;
    std::string parent;  // "" when it stands on none
    std::optional<HostInterface> host_interface;
    std::vector<Attachment> attachments;  // by name
    std::string phase;
    std::string message;
  };
  std::vector<Network> networks;  // by name
  std::vector<Vlan> vlans;        // by name
};

std::string tag_of(const Topology::Vlan& vlan);  // "VLAN 50", "802.1ad VLAN 50"

// Of the lists that REST answers. A network that only its attachments know of (the lists are not of one
// moment) is there without a driver and a phase.
Topology topology_of(const Json& networks, const Json& vlans, const Json& attachments);

// A tree for a terminal.
void print_topology(std::ostream& out, const Topology& topology, const Style& style);
// The language of Graphviz (graphviz.org/doc/info/lang.html).
std::string topology_dot(const Topology& topology);
// SVG 1.1 that stands alone.
std::string topology_svg(const Topology& topology);
// {"nodes": [{"id", "kind", "name", ...}], "edges": [{"from", "to", "kind"}]}
Json topology_json(const Topology& topology);

}  // namespace lanwright::cli
