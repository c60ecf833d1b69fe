// Userspace switches as values: what is wanted of one and of what is plugged into it, and what is found.
// A switch is a process that carries one network; its plug is a second one that carries frames between the
// host's interfaces and the switch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/desired.h"
#include "model/link.h"

namespace lanwright {

// Interfaces that can be plugged into one switch at the same time: two descriptors each, of those that a
// process may have.
inline constexpr std::size_t kMostPlugs = 4096;

// What the plug calls itself to the switch.
inline constexpr const char* kPlugName = "lanwright-plug";

struct SwitchSpec {
  std::string network;     // it is named after
  std::string engine;      // a name in the table of engines (reconcilers/vde/program.h)
  bool hub = true;         // every frame to every port; otherwise it learns addresses
  std::string group;       // that may connect to its socket; "" = root only
  std::uint32_t mode = 0;  // of the socket, as for chmod(2)
  std::uint32_t mtu = 0;   // longest payload of a frame, bytes
  bool operator==(const SwitchSpec&) const = default;
  // What the running processes were given: when it differs they are started anew.
  std::string settings() const;
};

// An interface that is plugged into a switch.
struct PlugSpec {
  std::string network;
  LinkName link;
  std::string role;  // tells the plugs of one object apart
  // The program holds the device file of a tap: what it writes there, the interface receives. Otherwise it
  // takes part in what the interface carries, by a packet socket (packet(7)).
  bool tap = true;
  PortVlans vlans;  // of its port; for a switch that is no hub
  // As of its link: see LinkSpec. The program keeps its hold on a tap that is moved.
  bool delegated = false;
  std::string delegate_netns;
  bool operator==(const PlugSpec&) const = default;
};

struct PortCounters {
  std::uint64_t received_frames = 0;  // from the interface
  std::uint64_t received_bytes = 0;
  std::uint64_t sent_frames = 0;  // to the interface
  std::uint64_t sent_bytes = 0;
  std::uint64_t dropped = 0;   // it did not take them
  std::uint64_t too_long = 0;  // received, above what the network carries
  bool operator==(const PortCounters&) const = default;
};

// A port of a switch as it tells of itself.
struct SwitchPortReport {
  std::uint32_t number = 0;
  bool active = false;
  std::string user;  // the program behind it, in its own words
  PortCounters counters;
};

struct PlugFact {
  OwnerTag mark;  // of the object whose plug it is
  bool tap = true;
  int ifindex = 0;
  std::uint64_t netns = 0;  // inode of the namespace in which the interface was when it was plugged in
  std::uint32_t port = 0;   // of the switch, where each plug has one; 0 = they share one
  PortVlans vlans;
  bool connected = false;  // to the switch
  bool operator==(const PlugFact&) const = default;
};

struct SwitchFact {
  ObjectUid uid;         // whose it is; "" = not ours
  std::string settings;  // as it was started
  int pid = 0;           // of the switch; 0 = it does not run
  int plug_pid = 0;
  bool starting = false;   // one of the two was started, and does not answer yet
  bool connected = false;  // the plug to the switch
  std::string foreign;     // not ours: who uses its place
  std::map<OwnerTag, PlugFact> plugs;
  bool operator==(const SwitchFact&) const = default;
};

}  // namespace lanwright
