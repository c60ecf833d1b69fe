// What the host does with the packets of networks for which it is the router (`nat`, `routed`), as a value,
// and what that comes to as elements of the sets and maps of one nftables table (layout.h). Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model/base/addresses.h"
#include "model/base/ids.h"
#include "model/base/result.h"

namespace lanwright::nftables {

// Of what may come in from elsewhere, beside answers and published ports:
enum class Mode : std::uint8_t {
  nat,       // nothing; what goes out has the address of the interface that it leaves by
  routed,    // what is addressed to the subnets; nothing is translated
  internal,  // nothing at all, and nothing goes out either; the host itself and the network talk
};

enum class Protocol : std::uint8_t { tcp = 6, udp = 17, sctp = 132 };  // IANA protocol numbers
const char* name_of(Protocol protocol);

struct PublishedPort {
  Protocol protocol = Protocol::tcp;
  std::optional<IpAddress> host = {};  // this address of the host only; otherwise all of the target's family
  std::uint16_t host_port = 0;
  IpAddress target;
  std::uint16_t target_port = 0;
  auto operator<=>(const PublishedPort&) const = default;
  std::string text() const;  // "192.0.2.1:8080/tcp"
};

struct Network {
  std::string bridge;  // name of the link that is the router's
  Mode mode = Mode::nat;
  std::set<IpPrefix> subnets = {};  // without host bits; those of an internal network make no elements
  std::set<PublishedPort> ports = {};
  bool operator==(const Network&) const = default;
};

struct Firewall {
  std::map<ObjectUid, Network> networks;
  bool operator==(const Firewall&) const = default;
};

using Bytes = std::vector<std::uint8_t>;

// The sets and maps of the table, by what they hold.
enum class SetId : std::uint8_t {
  bridges,   // ifname
  within,    // ifname . ifname: what stays in one network
  internal,  // ifname
  routed,    // ifname
  inbound,   // ifname : verdict, by mode
  nat4,      // subnets
  nat6,
  routed4,
  routed6,
  dnat4,  // protocol . port : address . port
  dnat6,
  dnat4_at,  // address . protocol . port : address . port
  dnat6_at,
};

struct ElementId {
  SetId set = SetId::bridges;
  Bytes key;  // as in the kernel's registers: fields padded to 4 bytes
  // Of a set of ranges: otherwise the first key behind a range (NFT_SET_ELEM_INTERVAL_END). That comes before
  // the range that begins there, as the kernel wants it.
  bool is_start = true;
  auto operator<=>(const ElementId&) const = default;
};
struct ElementValue {
  Bytes data = {};     // of a map; of a verdict the code (4 bytes, network order) and the chain's name
  ObjectUid uid = {};  // of the network, in the element's comment
  bool operator==(const ElementValue&) const = default;
};
using Elements = std::map<ElementId, ElementValue>;

// What of a firewall cannot be had, because it contradicts itself or what comes before it in the order of
// uids. The rest is not affected.
struct Refusal {
  ObjectUid uid;
  Error error;
};
struct Compiled {
  Elements elements;
  std::vector<Refusal> refused;
};
Compiled compile(const Firewall& firewall);

// The other way round: what elements make. Those that no network's comment is on, or that are no part of
// what compile() makes, are left out.
Firewall firewall_of(const Elements& elements);

// What makes the one of the other: removals come before additions, as a changed element is in both.
struct ElementChanges {
  std::vector<Elements::value_type> removed;
  std::vector<Elements::value_type> added;
  bool empty() const { return removed.empty() && added.empty(); }
};
ElementChanges difference(const Elements& have, const Elements& want);

}  // namespace lanwright::nftables
