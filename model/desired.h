// What a user declares: sets of VLAN links, networks and attachments. Plain values, compared with ==.
// Source of the format: YAML version 1 (model/format/set_reader.h).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/base/addresses.h"
#include "model/base/ids.h"

namespace lanwright {

enum class VlanProtocol : std::uint8_t { dot1q, dot1ad };  // "802.1Q" (TPID 0x8100), "802.1ad" (TPID 0x88a8)

struct VlanSpec {
  std::string parent;    // a link of the managed namespace, by name
  std::uint16_t id = 0;  // VID, 1 to 4094
  VlanProtocol protocol = VlanProtocol::dot1q;
  std::optional<std::uint32_t> mtu;  // bytes
  std::optional<MacAddress> mac;
  bool operator==(const VlanSpec&) const = default;
};

inline constexpr std::uint16_t kFirstVid = 1;
inline constexpr std::uint16_t kLastVid = 4094;
// What the digits say; nothing for what is no VID, and for leading zeros.
std::optional<std::uint16_t> vid_of(std::string_view digits);

struct VlanRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  std::string text() const;  // "10", "20-29"
};
// Ascending VIDs, neighbours as one range.
std::vector<VlanRange> ranges_of(const std::vector<std::uint16_t>& vids);

// A bridge port's VLANs: `pvid` is untagged both ways; `tagged` pass with their tag.
struct PortVlans {
  std::optional<std::uint16_t> pvid;
  std::vector<std::uint16_t> tagged;  // ascending, no duplicates
  bool empty() const { return !pvid && tagged.empty(); }
  bool operator==(const PortVlans&) const = default;
};

struct Uplink {
  std::string interface;
  std::optional<std::uint32_t> ofport;  // Open vSwitch only
  PortVlans vlans;                      // YAML: `vlan: 100`, `trunk: [10, 20]`
  bool operator==(const Uplink&) const = default;
};

struct Subnet {
  IpPrefix cidr;
  std::optional<IpAddress> gateway;
  std::optional<IpPrefix> range;
  std::map<std::string, IpAddress> reserved;
  bool operator==(const Subnet&) const = default;
};

struct RouteSpec {
  IpPrefix to;  // `default` is 0.0.0.0/0 or ::/0 by the family of `via`; without `via`, IPv4
  std::optional<IpAddress> via;
  std::optional<std::uint32_t> metric;
  bool automatic = false;  // not declared: the network's gateway
  bool onlink = false;     // `via` is a neighbour, whatever the addresses say (RTNH_F_ONLINK)
  bool operator==(const RouteSpec&) const = default;
};
// The metric that the kernel gives such a route: 0 when none is said, for IPv6 1024 (IP6_RT_PRIO_USER).
std::uint32_t effective_metric(const RouteSpec& route);
// A table has room for one of the two.
bool has_same_place(const RouteSpec& a, const RouteSpec& b);

struct HostInterface {
  std::string name;
  std::vector<IpPrefix> addresses;
  std::vector<RouteSpec> routes;
  bool operator==(const HostInterface&) const = default;
};

enum class NetworkMode : std::uint8_t { flat, nat, routed };

// A driver's own settings, checked against the driver's grammar (model/format/grammar.h). Only what the user
// wrote is here: defaults are the driver's, so that an export changes nothing.
using SettingValue = std::variant<bool, std::int64_t, std::string, std::vector<std::string>>;
using Settings = std::map<std::string, SettingValue>;

struct NetworkSpec {
  std::string driver;
  Settings settings;
  std::optional<std::uint32_t> mtu;
  NetworkMode mode = NetworkMode::flat;
  std::vector<Subnet> subnets;
  std::vector<Uplink> uplinks;
  std::string parent;  // macvlan, ipvlan
  bool internal = false;
  std::optional<HostInterface> host_interface;
  bool operator==(const NetworkSpec&) const = default;
};

struct TapEnd {
  std::string name;                    // empty: lw-ATTACHMENT
  std::optional<std::uint32_t> owner;  // uid that may open it
  std::optional<std::uint32_t> group;  // gid that may open it
  // Whether programs open it several times, once a queue (IFF_MULTI_QUEUE); absent: they do not, and one that
  // is taken over may be either.
  std::optional<bool> multi_queue;
  bool operator==(const TapEnd&) const = default;
};

// A setting of one interface that the kernel has below /proc/sys/net: {"net.ipv4.conf.IFNAME.log_martians",
// "1"}, where IFNAME stands for whatever the interface is called.
struct Sysctl {
  std::string name;
  std::string value;
  std::string text() const { return name + "=" + value; }
  bool operator==(const Sysctl&) const = default;
};
// From NAME=VALUE, where NAME is net.{ipv4,ipv6,mpls}.{conf,neigh}.IFNAME.SETTING. Docker's client may have
// made it `ifname`. Absent for everything else. Source: docker-container-run(1), "driver-opt".
std::optional<Sysctl> interface_sysctl(std::string_view text);
Sysctl without_ipv6();  // the interface is

// The set of what Docker asks for. Nobody else declares into it.
inline constexpr const char* kDockerSet = "docker";

// An endpoint of Docker's: its link is made in the managed namespace, and Docker moves it into a sandbox,
// names it there, gives it addresses and sets it up. Nobody declares one: Docker's calls do.
struct DelegatedEnd {
  std::string network;       // Docker's ids
  std::string endpoint;      //
  std::string sandbox = {};  // path of the namespace that Docker moves it to; empty until it has said so
  bool left = false;         // Docker takes it out of the sandbox again
  // Whether the sandbox's default route leads through it: of several, Docker chooses one, and tells nobody.
  bool default_route = false;        // of IPv4
  bool default_route6 = false;       // of IPv6
  std::string asked_name = {};       // of the interface in the sandbox; empty: as Docker numbers it
  std::vector<Sysctl> sysctls = {};  // which Docker sets there, in this order
  bool operator==(const DelegatedEnd&) const = default;
};

// Exactly one of `netns`, `tap` and `endpoint` is given.
struct AttachmentSpec {
  std::string network;
  std::string netns;      // a name under /run/netns, or an absolute path; empty for a tap
  std::string interface;  // name inside the namespace; required with netns; of an endpoint as soon as Docker
                          // has named it
  std::optional<TapEnd> tap;
  std::optional<DelegatedEnd> endpoint;
  std::optional<MacAddress> mac;
  std::optional<std::uint32_t> mtu;     // the network's when absent
  bool isolated = false;                // bridge port isolation
  std::optional<std::uint32_t> ofport;  // Open vSwitch only; absent: the lowest that is free, which it keeps
  PortVlans vlans;                      // bridge with vlan_filtering, Open vSwitch
  std::vector<IpPrefix> addresses;      // none: they are assigned from the network's subnets, unless
  bool no_addresses = false;            // it was said that there are none
  std::vector<RouteSpec> routes;
  bool operator==(const AttachmentSpec&) const = default;
};

// What one YAML file declares.
struct SetSpec {
  std::string name = "default";
  std::map<std::string, VlanSpec> vlans;
  std::map<std::string, NetworkSpec> networks;
  std::map<std::string, AttachmentSpec> attachments;
  bool operator==(const SetSpec&) const = default;
};

using ObjectSpec = std::variant<VlanSpec, NetworkSpec, AttachmentSpec>;  // in the order of Kind

// The VLAN link that a name like "eth0.50" stands for: VID 50 (802.1Q) on eth0; for "eth0.20.200" it is VID
// 200 on the VLAN link eth0.20. Absent for every other name.
std::optional<VlanSpec> vlan_named(const std::string& name);

// The path of a netns as YAML gives it: a bare name is under /run/netns; "" stays "" (the managed namespace).
std::string netns_path(const std::string& netns);

}  // namespace lanwright
