// The fixed part of the table `inet lanwright`: chains, rules, and the sets and maps in which everything is
// that varies. Pure. Sources: linux/netfilter/nf_tables.h, nft(8).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "reconcilers/nftables/firewall.h"

struct nlattr;

namespace lanwright::nftables {

inline constexpr const char* kTable = "lanwright";
// The table's comment. Who finds a table of that name without it has found somebody else's.
inline constexpr const char* kMark = "kept by lanwrightd";

// An attribute: either bytes, or attributes.
struct Node {
  int type = 0;
  Bytes bytes = {};
  std::vector<Node> nodes = {};
  bool is_nest = false;
};
struct Expression {
  std::string name;
  std::vector<Node> attributes;
};
struct Rule {
  std::string chain;
  std::vector<Expression> expressions;
};

struct Hook {
  std::string type;  // "filter", "nat"
  std::uint32_t number = 0;
  std::int32_t priority = 0;
  bool operator==(const Hook&) const = default;
};
struct Chain {
  std::string name;
  std::optional<Hook> hook;  // of a base chain, whose policy is accept
  bool operator==(const Chain&) const = default;
};

inline constexpr std::uint32_t kTypeIfname = 41;  // nft's number of names of interfaces

struct Set {
  SetId id = SetId::bridges;
  std::string name;
  std::uint32_t flags = 0;     // NFT_SET_*
  std::uint32_t key_type = 0;  // for nft(8), which shows elements by it
  std::uint32_t key_size = 0;  // bytes
  std::uint32_t data_type = 0;
  std::uint32_t data_size = 0;  // 0: no map, or one of verdicts
};

struct Layout {
  std::vector<Chain> chains;
  std::vector<Set> sets;
  std::vector<Rule> rules;  // in order, chain by chain
};
const Layout& layout();
const Set& set_of(SetId id);

// For a chain of iptables-nft(8), which can still show it: accepts, and counts, what comes in by the one
// interface and goes out by the other; an empty name is any.
std::vector<Expression> accept_between(const std::string& in, const std::string& out);

// The chain to which the map `inbound` leads.
const char* chain_of(Mode mode);

}  // namespace lanwright::nftables
