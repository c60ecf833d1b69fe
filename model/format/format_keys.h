// The keys of the YAML format, mapping by mapping; the settings of the drivers are the grammar's. Inside of
// model/ only, and for the test that holds the JSON Schema against them.
#pragma once

#include <array>
#include <string_view>

namespace lanwright::keys {

inline constexpr std::array<std::string_view, 5> kSet = {"version", "name", "vlans", "networks",
                                                         "attachments"};
inline constexpr std::array<std::string_view, 5> kVlan = {"parent", "id", "protocol", "mtu", "mac"};
inline constexpr std::array<std::string_view, 8> kNetwork = {
    "driver", "parent", "mtu", "mode", "internal", "subnets", "uplinks", "host_interface"};
inline constexpr std::array<std::string_view, 4> kSubnet = {"cidr", "gateway", "range", "reserved"};
inline constexpr std::array<std::string_view, 4> kUplink = {"interface", "ofport", "vlan", "trunk"};
inline constexpr std::array<std::string_view, 3> kHostInterface = {"name", "addresses", "routes"};
inline constexpr std::array<std::string_view, 4> kRoute = {"to", "via", "metric", "onlink"};
inline constexpr std::array<std::string_view, 12> kAttachment = {"network", "netns", "interface", "tap",
                                                                 "mac",     "mtu",   "isolated",  "ofport",
                                                                 "vlan",    "trunk", "addresses", "routes"};
// Stored with an endpoint, and not to be declared.
inline constexpr std::string_view kEndpointKey = "docker";
inline constexpr std::array<std::string_view, 8> kEndpoint = {"network", "endpoint", "sandbox",   "left",
                                                              "wayOut",  "wayOut6",  "askedName", "sysctls"};
inline constexpr std::array<std::string_view, 4> kTap = {"name", "owner", "group", "multi_queue"};

}  // namespace lanwright::keys
