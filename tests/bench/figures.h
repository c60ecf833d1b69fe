// What is measured, and how: one function a group of figures. Each works in a sandbox of its own, throws
// HarnessError when something is functionally wrong, and says what it does on standard error.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/report.h"
#include "tests/integration/sandbox.h"

namespace lanwright::bench {

struct Options {
  std::size_t size = 1000;  // networks, and attachments of F1 to F3
  std::size_t plugs = 10;   // attachments per network of F6 and F7
  std::size_t runs = 3;
  std::size_t repairs = 100;                                // of F5
  std::size_t idle_seconds = 20;                            // of F7
  std::vector<std::size_t> change_sizes{100, 1000, 10000};  // attachments; of F10
  // Of F8.
  std::vector<std::size_t> docker_networks{100, 1000};  // others that are there
  std::size_t endpoints = 60;
  std::size_t container_runs = 20;
  std::size_t network_runs = 15;
  std::size_t lan_rounds = 5;  // of F9
  std::size_t lan_milliseconds = 3000;
  std::size_t lan_repairs = 20;
  std::size_t lan_ports = 50;
  std::set<std::string> only;  // figures; all when empty

  bool wants(const std::string& figure) const { return only.empty() || only.contains(figure); }
  bool wants_any(const std::set<std::string>& figures) const;
  std::vector<std::size_t> sizes() const;  // ascending; only `size` unless F10 is wanted
};

// One figure against the floor at one size.
struct Pair {
  Series floor;
  Series ours;
};
using BySize = std::map<std::size_t, Pair>;

// LANs of F9.
inline constexpr const char* kHub = "vde, hub";
inline constexpr const char* kJoinedHub = "vde, hub, another program in the switch";
inline constexpr const char* kLearning = "vde, hub: false";
inline constexpr const char* kNativeHub = "vde_switch -x";
inline constexpr const char* kManyPorts = "vde_switch -x -n 65535";
inline constexpr const char* kNativeSwitch = "vde_switch";
inline constexpr const char* kBridge = "Linux bridge";

struct Carried {
  Series tcp;         // bits per second
  Series frames;      // of 60 bytes, received per second
  Series lost;        // share of those
  Series round_trip;  // median of a round
};

// Everything that was measured. Times in seconds.
struct Figures {
  std::map<std::size_t, Series> change;  // F10: one attachment more, by the number of those that are there
  BySize create;                         // F1, the client included
  BySize create_by_post;                 // F1, from sending the request until the agent says converged
  BySize create_taps;
  BySize create_macvlans;                      // F1 with macvlan links instead of veths
  BySize remove_macvlans;                      // F3
  BySize again;                                // F2
  BySize remove_links;                         // F3
  BySize remove_bridges;                       // F4
  BySize longest_wait;                         // F4: of the bystander
  BySize repair;                               // F5
  BySize start;                                // F6: no floor
  std::map<std::size_t, Series> start_writes;  // F6: messages after a start with nothing to do
  std::map<std::size_t, Series> lost;          // F6: packets
  // F6 and F7 with many attachments.
  std::string big;  // what there was
  Pair big_start;
  Series big_writes;
  Series big_lost;
  Series big_create;
  Series memory;  // F7 at size + size: Pss, bytes
  Series big_memory_after_apply;
  Series big_memory;  // after a start
  Series idle_switches;
  Series idle_processor;  // seconds
  // F8: create + join, by the number of other networks and the driver.
  std::map<std::pair<std::size_t, std::string>, Series> endpoints;
  Pair run_by_docker;  // F8; the floor is Docker's own driver
  Pair create_by_docker;
  Pair remove_by_docker;
  std::map<std::string, Carried> lans;        // F9
  std::map<std::string, Series> lan_repairs;  // F9
  Pair ovs_create;                            // F11: the floor is ip and ovs-vsctl
  Series ovs_start;                           // until converged
  Pair ovs_repair;                            // of a port; the floor is ovs-vsctl add-port
  Pair ovs_carried;                           // bits per second; the floor is a bridge made by hand
  std::vector<std::string> errors;            // what is functionally wrong, though it could be measured
};

void measure_lifecycle(const Options& options, Figures& figures);     // F1 to F4
void measure_macvlans(const Options& options, Figures& figures);      // F1 and F3 with macvlan links
void measure_service(const Options& options, Figures& figures);       // F5 to F7
void measure_vde(const Options& options, Figures& figures);           // F9
void measure_open_vswitch(const Options& options, Figures& figures);  // F11

// F8: in the work of test::in_pid_namespace(), and where docker_is_there().
void measure_docker(const Options& options, Figures& figures);
bool docker_is_there();

void say(const std::string& what);  // progress

// The time on the loop for one attachment more, on a host with so many.
Series measure_change(std::size_t attachments);

}  // namespace lanwright::bench
