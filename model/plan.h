// The ordered list of actions that turns observed into desired, each with its reason and its disruption.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "model/base/ids.h"
#include "model/base/result.h"
#include "model/link.h"
#include "model/ovs.h"
#include "model/switches.h"

namespace lanwright {

// What traffic through the object feels.
enum class Disruption : std::uint8_t {
  none,      // nothing
  flap,      // the link goes down and up
  recreate,  // the link is removed and made again
};
const char* name_of(Disruption disruption);

// Makes a link, with its mark. For a veth both ends are made; `peer` then says what the other end is.
struct CreateLink {
  LinkSpec link;
  OwnerTag mark;
  std::optional<LinkSpec> peer;
  std::optional<OwnerTag> peer_mark;
  bool operator==(const CreateLink&) const = default;
};

// Sets what differs on a link that is there. Only what is present is set.
struct ChangeLink {
  LinkName at;            // as it is named now
  std::string kind;       // of the link; needed where kind-specific attributes are set
  std::string port_kind;  // of the master, where port attributes are set
  int ifindex = 0;        // 0: the link is made by this plan, and found by its name
  std::optional<std::string> rename;
  std::optional<std::string> master;  // a name; "" takes it off its master
  std::optional<bool> up;
  std::optional<bool> arp;
  std::optional<std::uint32_t> mtu;
  std::optional<MacAddress> mac;
  std::optional<std::string> alias;
  std::optional<std::uint32_t> group;
  std::optional<Ipv6Addresses> ipv6;
  std::optional<std::string> add_altname;
  std::optional<std::string> remove_altname;  // before all others: it may be the name that it gets
  LinkAttributes attributes;
  std::optional<PortVlans> add_vlans;
  std::optional<PortVlans> remove_vlans;
  std::optional<std::uint32_t> tap_owner;
  std::optional<std::uint32_t> tap_group;
  bool whole_checksums = false;  // as of LinkSpec; before it goes up
  std::vector<Sysctl> sysctls;   // before all others, in this order
  bool operator==(const ChangeLink&) const = default;
};

// Removes an owned link. The executor looks at it again right before, and leaves it if it is not `mark`'s.
struct RemoveLink {
  LinkName at;
  int ifindex = 0;
  std::string kind;
  OwnerTag mark;
  bool operator==(const RemoveLink&) const = default;
};

struct AddAddress {
  LinkName at;
  IpPrefix address;
  // It is there, and another host has it: the kernel is made to look for it anew. Always fails, as that takes
  // its time.
  bool again = false;
  bool operator==(const AddAddress&) const = default;
};
struct RemoveAddress {
  LinkName at;
  IpPrefix address;
  bool operator==(const RemoveAddress&) const = default;
};
struct AddRoute {
  LinkName at;
  RouteSpec route;
  // To one with this destination and metric, wherever it leads: to anybody's, but an automatic route to no
  // other of the agent's.
  bool yields = false;
  bool operator==(const AddRoute&) const = default;
};
struct RemoveRoute {
  LinkName at;
  RouteSpec route;
  bool operator==(const RemoveRoute&) const = default;
};

// Makes a switch and its plug run and be connected, whichever of these is missing. Both keep running when the
// agent ends.
struct RunSwitch {
  LinkName at;  // its network
  SwitchSpec spec;
  ObjectUid uid;
  bool anew = false;  // with other settings: what runs is ended first
  bool operator==(const RunSwitch&) const = default;
};
// Ends a switch and its plug, and removes what they left.
struct StopSwitch {
  LinkName at;
  ObjectUid uid;
  bool operator==(const StopSwitch&) const = default;
};
// Plugs an interface into a running switch, in place of what has the same mark there.
struct PlugIn {
  LinkName at;  // the interface, as it is called now
  PlugSpec spec;
  OwnerTag mark;
  bool own_port = false;  // of the switch; otherwise it shares one
  bool operator==(const PlugIn&) const = default;
};
struct Unplug {
  LinkName at;  // the network
  OwnerTag mark;
  bool operator==(const Unplug&) const = default;
};

// Makes a bridge of Open vSwitch with its local port, and without controllers. It must not be there.
struct CreateOvsBridge {
  LinkName at;
  OvsBridgeSpec spec;
  ObjectUid uid;
  bool operator==(const CreateOvsBridge&) const = default;
};
// Sets what is present. The bridge must be this owner's, as it is for all that follow.
struct ChangeOvsBridge {
  LinkName at;
  ObjectUid uid;
  std::optional<std::string> datapath_type;
  std::optional<std::string> datapath_id;
  std::optional<std::string> fail_mode;
  std::optional<std::set<std::string>> protocols;
  std::optional<MacAddress> local_mac;
  std::optional<PortVlans> local_vlans;
  std::optional<OvsSwitching> switching;
  bool out_of_band = false;
  bool operator==(const ChangeOvsBridge&) const = default;
};
// In one piece: what stays connected is left alone, and there is no moment without any.
struct SetOvsControllers {
  LinkName at;
  ObjectUid uid;
  std::vector<OvsController> controllers;
  bool operator==(const SetOvsControllers&) const = default;
};
struct RemoveOvsBridge {
  LinkName at;
  ObjectUid uid;
  bool operator==(const RemoveOvsBridge&) const = default;
};
// Makes a link a port of its bridge.
struct AddOvsPort {
  LinkName at;
  OvsPortSpec spec;
  OwnerTag mark;
  ObjectUid bridge_uid;  // whose the bridge is
  int ifindex = 0;       // of the link; 0: as it is when this is done
  bool operator==(const AddOvsPort&) const = default;
};
// Gives a port with this mark the number and the VLANs that it is to have.
struct ChangeOvsPort {
  LinkName at;
  OvsPortSpec spec;
  OwnerTag mark;
  ObjectUid bridge_uid;
  bool operator==(const ChangeOvsPort&) const = default;
};
// Takes a port with this mark off whichever owner's bridge.
struct RemoveOvsPort {
  LinkName at;
  std::string bridge;
  OwnerTag mark;
  bool operator==(const RemoveOvsPort&) const = default;
};

using Step =
    std::variant<CreateLink, ChangeLink, RemoveLink, AddAddress, RemoveAddress, AddRoute, RemoveRoute,
                 RunSwitch, StopSwitch, PlugIn, Unplug, CreateOvsBridge, ChangeOvsBridge, SetOvsControllers,
                 RemoveOvsBridge, AddOvsPort, ChangeOvsPort, RemoveOvsPort>;

// Who carries a step out: each is of exactly one source.
enum class Carrier : std::uint8_t { links, switches, ovs };
Carrier carrier_of(const Step& step);

struct Action {
  ResourceId object;
  int stage = 0;  // actions of one stage do not depend on each other; stages run in ascending order
  Step step;
  std::string reason;                    // "missing", "mtu is 1400, wanted 1500"
  std::vector<std::string> differences;  // names of the attributes that drifted: "mtu", "mac", "addresses"
  Disruption disruption = Disruption::none;
  bool operator==(const Action&) const = default;

  const char* verb() const;        // "create", "change", "remove", "add address", ...
  const LinkName& target() const;  // the link that it is about
  std::string text() const;        // "create bridge br0", for people
};

// An object that cannot be made to match now, and why: it waits (kind `waiting`), or somebody else owns a
// link that it wants (kind `conflict`).
struct Blocked {
  ResourceId object;
  Error why;
  bool complete =
      false;  // all that is declared is there; it only carries nothing until what it waits for comes
  bool operator==(const Blocked&) const = default;
};

struct Plan {
  std::vector<Action> actions;
  std::vector<Blocked> blocked;
  // What people are told of objects that are as declared all the same.
  std::map<ResourceId, std::string> notes;
  // Objects that need nothing themselves and stand on what this makes: whether it could be made shows later.
  std::set<ResourceId> open;
  bool empty() const { return actions.empty(); }
  bool operator==(const Plan&) const = default;
};

}  // namespace lanwright
