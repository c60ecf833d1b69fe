// Bridges of Open vSwitch as values: what is wanted of one and of what is plugged into it, and what its
// database says of them. The words are those of ovs-vswitchd.conf.db(5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model/base/ids.h"
#include "model/base/result.h"
#include "model/desired.h"
#include "model/link.h"

namespace lanwright {

// The driver whose networks are such bridges.
inline constexpr const char* kOvsDriver = "ovs";

// Ports of one transaction: a hundred take ovs-vswitchd 0.1 s, in which datapath `netdev` carries nothing.
inline constexpr std::size_t kMostOvsPortsAtOnce = 100;

struct OvsController {
  std::string target;                       // "tcp:127.0.0.1:6653"
  std::optional<std::int64_t> max_backoff;  // milliseconds between tries; absent: not looked at
  bool operator==(const OvsController&) const = default;
};

struct OvsSwitching {
  bool stp = false;
  bool rstp = false;
  bool mcast_snooping = false;
  bool operator==(const OvsSwitching&) const = default;
};

struct OvsBridgeSpec {
  std::string name;
  std::string datapath_type = "system";    // or "netdev"
  std::optional<std::string> datapath_id;  // 16 hex digits; absent: as it comes
  std::string fail_mode = "secure";        // or "standalone"
  // Of the local port, and of what the datapath id is made when none is requested. Absent: not looked at.
  std::optional<MacAddress> local_mac;
  PortVlans local_vlans;            // of the local port
  OvsSwitching switching;           // what it speaks with other switches and with hosts
  std::set<std::string> protocols;  // of OpenFlow; none: not looked at
  // Absent: not looked at. Set after all else, when the local port is up: a controller that sees that port
  // while it is down may never hear that it is up.
  std::optional<std::vector<OvsController>> controllers;
  bool operator==(const OvsBridgeSpec&) const = default;
};

// A link of the managed namespace that is a port of a bridge.
struct OvsPortSpec {
  std::string bridge;
  std::string link;
  std::string role;                    // tells the ports of one object apart
  std::optional<std::int64_t> ofport;  // absent: whichever is free
  PortVlans vlans;                     // none: it is a trunk of all
  bool operator==(const OvsPortSpec&) const = default;
};

struct OvsPortFact {
  std::optional<OwnerTag> mark;  // absent: not the agent's
  // Of the link that was plugged in. ovs-vswitchd opens a device by its name, and datapath `netdev` stays
  // with the one that it opened when another takes its name quickly.
  std::optional<int> ifindex;
  std::optional<std::int64_t> ofport;
  std::optional<std::int64_t> ofport_request;
  std::optional<std::string> error;  // of ovs-vswitchd, in its own words
  std::optional<PortVlans> vlans;    // absent: in a way that PortVlans does not have
  bool operator==(const OvsPortFact&) const = default;
};

struct OvsControllerFact {
  std::string target;
  std::optional<std::int64_t> max_backoff;
  bool connected = false;  // as of the last few seconds
  bool operator==(const OvsControllerFact&) const = default;
};

struct OvsBridgeFact {
  std::optional<OwnerTag> mark;  // absent: not the agent's
  std::string datapath_type;     // never ""
  std::string datapath_id;       // as requested; "" = it was not
  std::string running_id;        // as ovs-vswitchd has it; "" = it did not look at it yet
  std::string fail_mode;         // never "": standalone is what there is without one
  std::set<std::string> protocols;
  std::string local_mac;  // as requested; "" = it was not
  OvsSwitching switching;
  bool in_band = true;                         // it may answer for controllers by hidden flows
  std::optional<OvsPortFact> local;            // the port that has the bridge's name
  std::map<std::string, OvsPortFact> ports;    // all others
  std::vector<OvsControllerFact> controllers;  // by target
  bool operator==(const OvsBridgeFact&) const = default;
};

// All that the database says.
struct OvsFacts {
  bool live = false;  // it follows the database; otherwise it is what it was
  // Why it is not, or was not the last time; absent before the first try.
  std::optional<Error> trouble = {};
  bool initialised = false;    // the database has its root row
  bool taken_up = false;       // ovs-vswitchd has seen the last of all changes
  bool userspace_tso = false;  // datapath `netdev` completes checksums and cuts segments itself
  std::map<std::string, OvsBridgeFact> bridges = {};
  // The OpenFlow port that each port of ours had last, until the agent itself takes it off: one that somebody
  // removed is to have it again.
  std::map<OwnerTag, std::int64_t> numbers = {};
  // Of which something is being done that was begun before.
  std::set<OwnerTag> under_way = {};
  bool operator==(const OvsFacts&) const = default;

  // The bridge that has this port; nullptr when none has.
  const std::string* bridge_of(const std::string& port) const;
};

}  // namespace lanwright
