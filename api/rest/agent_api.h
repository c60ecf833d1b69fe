// What the REST server needs of the agent. The agent implements it (agent/); a test may too.
// Every method may be called from any thread; those that change something or wait take a deadline, after
// which they answer ErrorKind::timeout (what was asked may still happen).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/base/abandoned.h"
#include "model/base/result.h"
#include "model/desired.h"
#include "model/link.h"
#include "model/plan.h"
#include "model/status.h"
#include "model/switches.h"

namespace lanwright {

using Deadline = std::chrono::steady_clock::time_point;

// One object as it was at one moment. Immutable once published.
struct ObjectView {
  ResourceId id;
  std::string set;
  ObjectUid uid;
  std::uint64_t generation = 0;
  WallTime created{};
  bool deleting = false;
  std::shared_ptr<const ObjectSpec> spec;
  ObjectStatus status;
  std::vector<LinkName> links;        // owned links that it wants
  std::vector<IpPrefix> allocations;  // of an attachment: addresses assigned from its network's subnets
};

struct SetView {
  std::string name;
  std::uint64_t generation = 0;
  WallTime applied{};
};

struct Snapshot {
  std::uint64_t generation = 0;                            // of the store
  std::vector<std::shared_ptr<const ObjectView>> objects;  // by kind, then name
  std::vector<SetView> sets;                               // by name
  std::map<std::string, std::uint64_t> counters;           // Prometheus names without the lanwright_ prefix
  std::size_t orphans = 0;   // kernel links with a mark of ours that the store does not know
  bool live = true;          // the loop makes progress
  bool ready = false;        // first complete look at the kernel done, store open
  bool converged = false;    // every object Ready or waiting for something outside
  std::string store_notice;  // told until the next start when a damaged database was set aside
  WallTime started{};
};

struct ApplyRequest {
  SetSpec set;
  bool dry_run = false;
  bool prune = true;
  bool adopt = false;
  std::optional<std::uint64_t> if_generation;  // of the set; 0 = must not exist yet
  Peer peer;
};

struct ObjectOutcome {
  ResourceId id;
  std::string result;  // created, changed, unchanged, removed
};

struct ApplyOutcome {
  std::uint64_t generation = 0;  // of the set, after
  std::vector<ObjectOutcome> objects;
  Plan plan;  // at the moment of the request
};

struct DeleteRequest {
  std::optional<ResourceId> object;  // one of both is given
  std::optional<std::string> set;
  std::optional<std::uint64_t> if_generation;
  Peer peer;
};

// Plugs a host interface into a network, or unplugs it; of whichever set the network is, Docker's included.
struct UplinkRequest {
  std::string network;
  Uplink uplink;
  bool remove = false;  // by the interface alone
  bool dry_run = false;
  std::optional<std::uint64_t> if_generation;  // of the network's set
  Peer peer;
};

// One link of an object, for describe.
struct LinkReport {
  LinkSpec wanted;
  std::optional<LinkFact> found;
  std::string master;  // names behind the indexes in `found`
  std::string parent;
};

// A bridge of Open vSwitch as its database has it.
struct OvsPortView {
  std::string link;
  std::optional<ResourceId> object;  // whose it is; absent: not the agent's
  std::optional<std::int64_t> ofport;
  std::string error;  // of ovs-vswitchd; "" = none
};
struct OvsView {
  std::string bridge;
  std::string datapath;
  std::string datapath_id;  // "" = ovs-vswitchd did not look at it yet
  std::string fail_mode;
  bool live = false;  // otherwise it is what it was when the database was lost
  std::vector<OvsControllerFact> controllers;
  std::vector<OvsPortView> ports;  // by OpenFlow port, then by name
};

struct Description {
  std::shared_ptr<const ObjectView> object;
  std::vector<LinkReport> links;
  std::vector<std::string> ports;  // of a network: names of the links plugged into it, foreign ones included
  std::optional<OvsView> open_vswitch;  // of a network that is such a bridge, once it is there
  std::vector<Action> differences;
  std::vector<Event> history;  // newest first, at most 20
};

// One port of a switch: something of ours that is plugged in, or another program.
struct SwitchPortView {
  std::optional<ResourceId> object;  // whose it is
  LinkName link;                     // that is plugged in
  std::string program;               // what it calls itself, where it is none of ours
  PortCounters counters;             // received: from it, into the switch
};

struct SwitchView {
  std::string network;
  std::string set;
  std::string driver;
  std::string engine;
  std::string socket;  // directory that other programs name to join
  int pid = 0;         // 0: it does not run
  int plug_pid = 0;
  bool hub = false;
  bool connected = false;  // its plug to it
  bool answers = true;     // both told what they count; otherwise some of the ports are missing
  std::vector<SwitchPortView> ports;
  // Where interfaces share one port of the switch: frames to and from other programs that were lost there.
  std::uint64_t dropped = 0;   // the switch did not take them
  std::uint64_t too_long = 0;  // from a program, above what the network carries
};

class AgentApi {
 public:
  virtual ~AgentApi() = default;

  // A dry run is worked out on the thread that asks, one after the other, unless it is abandoned; a change,
  // once asked for, is made.
  virtual Result<ApplyOutcome> apply(const ApplyRequest& request, Deadline deadline,
                                     const Abandoned& abandoned = {}) = 0;
  virtual Result<ApplyOutcome> remove(const DeleteRequest& request, Deadline deadline) = 0;
  // Idempotent: what is so already is `unchanged`, and nothing is stored.
  virtual Result<ApplyOutcome> change_uplink(const UplinkRequest& request, Deadline deadline) = 0;
  // What differs now between desired and observed, of one set or of everything. Worked out as a dry run is.
  virtual Result<Plan> difference(const std::optional<std::string>& set, Deadline deadline,
                                  const Abandoned& abandoned = {}) = 0;
  virtual Result<Description> describe(const ResourceId& id, Deadline deadline) = 0;

  // The switch processes, with what their ports counted so far; by network.
  virtual Result<std::vector<SwitchView>> switches(Deadline deadline) = 0;

  // Of the moment of the call, or the last one when the agent is held up for longer than a reader should
  // wait.
  virtual Result<std::shared_ptr<const Snapshot>> snapshot(Deadline deadline) = 0;

  // Waits until every object of the set (of all sets when absent) has been compared with the kernel at
  // `generation` or later and is Ready (or gone, when it was deleted), or the deadline passes; says which it
  // was.
  virtual bool wait_converged(const std::optional<std::string>& set, std::uint64_t generation,
                              Deadline deadline) = 0;

  // Events with an id above `after`, oldest first, at most `limit`. Waits for one until the deadline when
  // there is none; then answers an empty list.
  virtual std::vector<Event> events_after(std::uint64_t after, std::size_t limit, Deadline deadline) = 0;
  // The newest `limit` events, oldest first.
  virtual std::vector<Event> recent_events(std::size_t limit) = 0;
};

}  // namespace lanwright
