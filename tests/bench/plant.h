// The networks and attachments that are measured: as YAML for the agent, and as `ip -batch` files that make
// the same kernel links with the same attributes by the fewest lines.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tests/integration/sandbox.h"

namespace lanwright::bench {

enum class Plug { veth, tap };

struct Plant {
  std::size_t networks = 0;
  std::size_t attachments = 0;  // spread evenly over the networks; the first two are both in the first one
  std::size_t namespaces = 1;   // h0, h1, ... that hold the inner ends of veths, in turn
  std::size_t taps = 0;         // spread evenly as well
  std::size_t macvlans = 0;     // in h0, all on one parent
  // Networks t0, t1, ... with three attachments each (namespaces h0 to h2), whose bridges are going to be
  // deleted.
  std::size_t targets = 0;

  std::string text() const;  // "1000 networks + 1000 attachments"
};

inline constexpr std::size_t kPortsOfTarget = 3;
// Addresses of the first two attachments, in h0 and h1.
inline constexpr const char* kFirstAddress = "10.77.0.1";
inline constexpr const char* kSecondAddress = "10.77.0.2";

std::string bridge_of_target(std::size_t target);  // as the agent names it
std::vector<std::string> ports_of_target(std::size_t target);

std::string yaml_of(const Plant& plant);

// Link groups of the floor, so that it can delete by group.
inline constexpr int kBridgeGroup = 100;
inline constexpr int kVethGroup = 101;
inline constexpr int kTapGroup = 102;
inline constexpr int kMacvlanGroup = 103;

// Lines for `ip -batch` in the managed namespace, and those for inner ends in the namespace h0 (the floor's
// only one).
std::string batch_of_networks(const Plant& plant);
std::string batch_of_attachments(const Plant& plant);
std::string batch_of_inner_ends(const Plant& plant);
std::string batch_of_taps(const Plant& plant);
std::string batch_of_macvlans(const Plant& plant);
std::string batch_of_inner_macvlans(const Plant& plant);

void add_namespaces(const test::Sandbox& sandbox, const Plant& plant);
// What the macvlans stand on; with it they have nothing to say (see silence_ipv6).
void add_parent(const test::Sandbox& sandbox, const Plant& plant);
// Interfaces that appear in the plant's namespaces from now on do not speak IPv6: thousands of them that
// solicit routers and report multicast groups at once overflow the kernel's receive queue, which drops
// anybody's packets.
void silence_ipv6(const Plant& plant);
// Throws when the kernel does not have exactly the bridges and the plugged ports of the plant.
void check_kernel(const test::Sandbox& sandbox, const Plant& plant);

}  // namespace lanwright::bench
