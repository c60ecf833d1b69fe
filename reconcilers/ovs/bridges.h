// Bridges of Open vSwitch as values: what is wanted of one, and what its database says of one. The words are
// those of ovs-vswitchd.conf.db(5). Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model/desired.h"
#include "model/link.h"

namespace lanwright::ovs {

// The key of external_ids that holds an owner's mark, in the form that links have in their alias.
inline constexpr const char* kOwnerKey = "lanwright";
// Ports of one transaction: a hundred take ovs-vswitchd 0.1 s, in which datapath `netdev` carries nothing.
inline constexpr std::size_t kMostPortsAtOnce = 100;

struct PortSpec {
  OwnerTag mark;
  std::optional<std::int64_t> ofport;  // absent: whichever is free
  PortVlans vlans;                     // none: it is a trunk of all
  bool operator==(const PortSpec&) const = default;
};

struct ControllerSpec {
  std::string target;                       // "tcp:127.0.0.1:6653"
  std::optional<std::int64_t> max_backoff;  // milliseconds between tries; absent: not looked at
  bool operator==(const ControllerSpec&) const = default;
};

struct BridgeSpec {
  ObjectUid uid;
  std::string datapath_type = "system";    // or "netdev"
  std::optional<std::string> datapath_id;  // 16 hex digits; absent: as it comes
  std::string fail_mode = "secure";        // or "standalone"
  std::set<std::string> protocols;         // of OpenFlow; none: not looked at
  std::map<std::string, PortSpec> ports;   // by the link's name
  // Absent: not looked at. Written after all else, when the local port may have been set up: a
  // controller that sees that port while it is down may never hear that it is up.
  std::optional<std::vector<ControllerSpec>> controllers;
  bool operator==(const BridgeSpec&) const = default;
};

struct PortFact {
  std::optional<OwnerTag> mark;  // absent: not the agent's
  std::optional<std::int64_t> ofport;
  std::optional<std::int64_t> ofport_request;
  std::optional<std::string> error;  // of ovs-vswitchd, in its own words
  std::optional<PortVlans> vlans;    // absent: in a way that PortVlans does not have
  bool operator==(const PortFact&) const = default;
};

struct ControllerFact {
  std::string target;
  std::optional<std::int64_t> max_backoff;
  bool connected = false;  // as of the last few seconds
  bool operator==(const ControllerFact&) const = default;
};

struct BridgeFact {
  std::optional<OwnerTag> mark;  // absent: not the agent's
  std::string datapath_type;     // never ""
  std::string datapath_id;       // as requested; "" = it was not
  std::string running_id;        // as ovs-vswitchd has it; "" = it did not look at it yet
  std::string fail_mode;         // never "": standalone is what there is without one
  std::set<std::string> protocols;
  bool in_band = true;                    // it may answer for controllers by hidden flows
  std::map<std::string, PortFact> ports;  // without the local one
  bool has_local = false;
  std::vector<ControllerFact> controllers;  // by target
  bool operator==(const BridgeFact&) const = default;
};

// All that the database says.
struct Observed {
  bool live = false;         // it follows the database; otherwise it is what it was
  bool initialised = false;  // the database has its root row
  bool taken_up = false;     // ovs-vswitchd has seen the last of all changes
  std::map<std::string, BridgeFact> bridges;
  bool operator==(const Observed&) const = default;
};

// The bridge that has this port; nullptr when none has.
const std::string* bridge_of(const Observed& observed, const std::string& port);

}  // namespace lanwright::ovs
