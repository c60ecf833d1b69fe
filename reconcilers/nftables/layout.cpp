#include "reconcilers/nftables/layout.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace lanwright::nftables {
namespace {

using Expressions = std::vector<Expression>;

// nft's numbers of types (include/datatype.h), six bits each in a concatenation.
constexpr std::uint32_t kIpv4 = 7;
constexpr std::uint32_t kIpv6 = 8;
constexpr std::uint32_t kProtocol = 12;
constexpr std::uint32_t kPort = 13;
constexpr std::uint32_t kIfname = kTypeIfname;
template <class... Types>
constexpr std::uint32_t joined(Types... types) {
  std::uint32_t all = 0;
  ((all = all << 6U | types), ...);
  return all;
}

// Registers of 4 bytes, numbered from 0. The kernel tells those that begin 16 bytes by another number.
constexpr std::uint32_t reg(std::uint32_t word) {
  return word % 4 == 0 ? NFT_REG_1 + word / 4 : NFT_REG32_00 + word;
}

Bytes be32(std::uint32_t value) {
  Bytes bytes(sizeof value);
  const std::uint32_t order = htonl(value);
  std::memcpy(bytes.data(), &order, sizeof order);
  return bytes;
}
Bytes host32(std::uint32_t value) {
  Bytes bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}
Bytes text(std::string_view words) {
  Bytes bytes(words.begin(), words.end());
  bytes.push_back(0);
  return bytes;
}

Node number(int type, std::uint32_t value) {
  return {type, be32(value)};
}
Node nest(int type, std::vector<Node> nodes) {
  return {type, {}, std::move(nodes), true};
}
Node value(int type, Bytes bytes) {
  return nest(type, {{NFTA_DATA_VALUE, std::move(bytes)}});
}

Expressions operator+(Expressions left, const Expressions& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

Expressions meta(std::uint32_t key, std::uint32_t word = 0) {
  return {{"meta", {number(NFTA_META_DREG, reg(word)), number(NFTA_META_KEY, key)}}};
}
Expressions payload(std::uint32_t base, std::uint32_t offset, std::uint32_t size, std::uint32_t word = 0) {
  return {{"payload",
           {number(NFTA_PAYLOAD_DREG, reg(word)), number(NFTA_PAYLOAD_BASE, base),
            number(NFTA_PAYLOAD_OFFSET, offset), number(NFTA_PAYLOAD_LEN, size)}}};
}
Expressions compare(Bytes bytes, std::uint32_t operation = NFT_CMP_EQ) {
  return {{"cmp",
           {number(NFTA_CMP_SREG, reg(0)), number(NFTA_CMP_OP, operation),
            value(NFTA_CMP_DATA, std::move(bytes))}}};
}
Expressions in_set(const char* set) {
  return {{"lookup", {{NFTA_LOOKUP_SET, text(set)}, number(NFTA_LOOKUP_SREG, reg(0))}}};
}
Expressions mapped(const char* map, std::uint32_t to) {
  return {{"lookup",
           {{NFTA_LOOKUP_SET, text(map)}, number(NFTA_LOOKUP_SREG, reg(0)), number(NFTA_LOOKUP_DREG, to)}}};
}
Expressions verdict(std::int32_t code, const char* chain = nullptr) {
  std::vector<Node> words{number(NFTA_VERDICT_CODE, static_cast<std::uint32_t>(code))};
  if (chain != nullptr) words.push_back({NFTA_VERDICT_CHAIN, text(chain)});
  return {{"immediate",
           {number(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT),
            nest(NFTA_IMMEDIATE_DATA, {nest(NFTA_DATA_VERDICT, std::move(words))})}}};
}
Expressions accept() {
  return verdict(NF_ACCEPT);
}
Expressions drop() {
  return verdict(NF_DROP);
}

// Any of these bits is set; both are the host's numbers.
Expressions ct_has(std::uint32_t key, std::uint32_t bits) {
  return Expressions{{"ct", {number(NFTA_CT_DREG, reg(0)), number(NFTA_CT_KEY, key)}},
                     {"bitwise",
                      {number(NFTA_BITWISE_SREG, reg(0)), number(NFTA_BITWISE_DREG, reg(0)),
                       number(NFTA_BITWISE_LEN, 4), value(NFTA_BITWISE_MASK, host32(bits)),
                       value(NFTA_BITWISE_XOR, host32(0))}}} +
         compare(host32(0), NFT_CMP_NEQ);
}
Expressions answers() {
  const auto bit = [](unsigned state) { return 1U << (state % IP_CT_IS_REPLY + 1); };  // NF_CT_STATE_BIT
  return ct_has(NFT_CT_STATE, bit(IP_CT_ESTABLISHED) | bit(IP_CT_RELATED));
}
Expressions published() {
  return ct_has(NFT_CT_STATUS, IPS_DST_NAT);
}
Expressions to_this_host() {
  return Expressions{{"fib",
                      {number(NFTA_FIB_DREG, reg(0)), number(NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE),
                       number(NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR)}}} +
         compare(host32(RTN_LOCAL));
}
Expressions masquerade() {
  return {{"masq", {}}};
}

// What the rules have twice, for each family.
struct Family {
  std::uint8_t number = 0;   // NFPROTO_*
  std::uint32_t source = 0;  // offsets in the header
  std::uint32_t destination = 0;
  std::uint32_t size = 0;
  const char* nat = nullptr;
  const char* routed = nullptr;
  const char* dnat = nullptr;
  const char* dnat_at = nullptr;

  std::uint32_t words() const { return size / 4; }
  Expressions only() const { return meta(NFT_META_NFPROTO) + compare({number}); }
  Expressions address(std::uint32_t offset) const {
    return payload(NFT_PAYLOAD_NETWORK_HEADER, offset, size);
  }
  Expressions address_in(std::uint32_t offset, const char* subnets) const {
    return only() + address(offset) + in_set(subnets);
  }
  // To address and port that a map leads to, from protocol and port behind `before` words.
  Expressions dnat_by(const char* map, std::uint32_t before) const {
    const Node flags = Node{NFTA_NAT_FLAGS, be32(NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED)};
    return meta(NFT_META_L4PROTO, before) + payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, before + 1) +
           mapped(map, reg(0)) +
           Expressions{{"nat",
                        {Node{NFTA_NAT_TYPE, be32(NFT_NAT_DNAT)}, Node{NFTA_NAT_FAMILY, be32(number)},
                         Node{NFTA_NAT_REG_ADDR_MIN, be32(reg(0))}, Node{NFTA_NAT_REG_ADDR_MAX, be32(reg(0))},
                         Node{NFTA_NAT_REG_PROTO_MIN, be32(reg(words()))},
                         Node{NFTA_NAT_REG_PROTO_MAX, be32(reg(words()))}, flags}}};
  }
};
constexpr Family kFamily4{NFPROTO_IPV4, 12, 16, 4, "nat4", "routed4", "dnat4", "dnat4_at"};
constexpr Family kFamily6{NFPROTO_IPV6, 8, 24, 16, "nat6", "routed6", "dnat6", "dnat6_at"};

// A bridge's route_localnet, which lets the host reach published ports by 127.0.0.1, would let others reach
// the host by it as well.
void add_guard(std::vector<Rule>& rules) {
  for (const std::uint32_t side : {kFamily4.destination, kFamily4.source})
    rules.push_back({"guard", meta(NFT_META_IIFNAME) + in_set("bridges") + kFamily4.only() +
                                  payload(NFT_PAYLOAD_NETWORK_HEADER, side, 1) + compare({127}) + drop()});
}

// What was sent to ::1 has that source, which no interface takes in again: it is for who listens there.
void add_publishing(std::vector<Rule>& rules) {
  Bytes loopback(16);
  loopback.back() = 1;
  rules.push_back({"output", kFamily6.only() + kFamily6.address(kFamily6.destination) + compare(loopback) +
                                 verdict(NFT_RETURN)});
  for (const char* chain : {"prerouting", "output"})
    rules.push_back({chain, to_this_host() + verdict(NFT_JUMP, "publish")});
  for (const Family& family : {kFamily4, kFamily6}) {
    rules.push_back({"publish", family.only() + family.address(family.destination) +
                                    family.dnat_by(family.dnat_at, family.words())});
    rules.push_back({"publish", family.only() + family.dnat_by(family.dnat, 0)});
  }
}

// By source address, as a bridged frame has no input interface here. What was sent to a published port from
// one of the networks must return by this host, as its target may be in the same one. Subnet and bridge would
// decide that together, but the kernel takes 40 ms to remove one of a thousand such pairs.
void add_masquerading(std::vector<Rule>& rules) {
  const auto to = [](const char* bridges) { return meta(NFT_META_OIFNAME) + in_set(bridges); };
  for (const Family& family : {kFamily4, kFamily6}) {
    for (const char* subnets : {family.nat, family.routed})
      rules.push_back({"postrouting", to("bridges") + published() +
                                          family.address_in(family.source, subnets) + masquerade()});
    rules.push_back(
        {"postrouting", to("routed") + family.address_in(family.source, family.nat) + masquerade()});
  }
  rules.push_back({"postrouting", to("bridges") + kFamily4.only() +
                                      payload(NFT_PAYLOAD_NETWORK_HEADER, kFamily4.source, 1) +
                                      compare({127}) + masquerade()});  // with a bridge's route_localnet
  rules.push_back({"postrouting", to("bridges") + verdict(NFT_RETURN)});
  for (const Family& family : {kFamily4, kFamily6})
    rules.push_back({"postrouting", family.address_in(family.source, family.nat) + masquerade()});
}

void add_forwarding(std::vector<Rule>& rules) {
  rules.push_back(
      {"forward", meta(NFT_META_IIFNAME) + meta(NFT_META_OIFNAME, 4) + in_set("within") + accept()});
  rules.push_back({"forward", meta(NFT_META_IIFNAME) + in_set("internal") + drop()});
  rules.push_back({"forward", meta(NFT_META_OIFNAME) + mapped("inbound", NFT_REG_VERDICT)});
  for (const char* chain : {"to_nat", "to_routed"}) {
    rules.push_back({chain, answers() + accept()});
    rules.push_back({chain, published() + accept()});
  }
  for (const Family& family : {kFamily4, kFamily6})
    rules.push_back({"to_routed", family.address_in(family.destination, family.routed) + accept()});
  for (const char* chain : {"to_nat", "to_routed", "to_internal"}) rules.push_back({chain, drop()});
}

std::vector<Chain> make_chains() {
  constexpr std::int32_t kRaw = -300;     // NF_IP_PRI_RAW: before connections are known
  constexpr std::int32_t kDstnat = -105;  // before others that translate (NF_IP_PRI_NAT_DST, -100)
  constexpr std::int32_t kSrcnat = 95;    // NF_IP_PRI_NAT_SRC, 100
  constexpr std::int32_t kFilter = -5;    // NF_IP_PRI_FILTER, 0
  return {
      {"guard", Hook{"filter", NF_INET_PRE_ROUTING, kRaw}},
      {"prerouting", Hook{"nat", NF_INET_PRE_ROUTING, kDstnat}},
      {"output", Hook{"nat", NF_INET_LOCAL_OUT, kDstnat}},
      {"publish", {}},
      {"postrouting", Hook{"nat", NF_INET_POST_ROUTING, kSrcnat}},
      {"forward", Hook{"filter", NF_INET_FORWARD, kFilter}},
      {"to_nat", {}},
      {"to_routed", {}},
      {"to_internal", {}},
  };
}

std::vector<Set> make_sets() {
  constexpr std::uint32_t kRanges = NFT_SET_INTERVAL;
  return {
      {SetId::bridges, "bridges", 0, kIfname, IFNAMSIZ},
      {SetId::within, "within", 0, joined(kIfname, kIfname), 2 * IFNAMSIZ},
      {SetId::internal, "internal", 0, kIfname, IFNAMSIZ},
      {SetId::routed, "routed", 0, kIfname, IFNAMSIZ},
      {SetId::inbound, "inbound", NFT_SET_MAP, kIfname, IFNAMSIZ, NFT_DATA_VERDICT},
      {SetId::nat4, "nat4", kRanges, kIpv4, 4},
      {SetId::nat6, "nat6", kRanges, kIpv6, 16},
      {SetId::routed4, "routed4", kRanges, kIpv4, 4},
      {SetId::routed6, "routed6", kRanges, kIpv6, 16},
      {SetId::dnat4, "dnat4", NFT_SET_MAP, joined(kProtocol, kPort), 8, joined(kIpv4, kPort), 8},
      {SetId::dnat6, "dnat6", NFT_SET_MAP, joined(kProtocol, kPort), 8, joined(kIpv6, kPort), 20},
      {SetId::dnat4_at, "dnat4_at", NFT_SET_MAP, joined(kIpv4, kProtocol, kPort), 12, joined(kIpv4, kPort),
       8},
      {SetId::dnat6_at, "dnat6_at", NFT_SET_MAP, joined(kIpv6, kProtocol, kPort), 24, joined(kIpv6, kPort),
       20},
  };
}

Layout make_layout() {
  Layout made{make_chains(), make_sets(), {}};
  add_guard(made.rules);
  add_publishing(made.rules);
  add_masquerading(made.rules);
  add_forwarding(made.rules);
  // The kernel tells them chain by chain.
  const auto place = [&](const Rule& rule) {
    return std::find_if(made.chains.begin(), made.chains.end(),
                        [&](const Chain& chain) { return chain.name == rule.chain; });
  };
  std::stable_sort(made.rules.begin(), made.rules.end(),
                   [&](const Rule& left, const Rule& right) { return place(left) < place(right); });
  return made;
}

}  // namespace

const Layout& layout() {
  static const Layout made = make_layout();
  return made;
}

const Set& set_of(SetId id) {
  return layout().sets.at(static_cast<std::size_t>(id));
}

std::vector<Expression> accept_between(const std::string& in, const std::string& out) {
  const auto is = [](std::uint32_t side, const std::string& name) {
    Bytes bytes(name.begin(), name.end());
    bytes.resize(IFNAMSIZ);
    return name.empty() ? Expressions() : meta(side) + compare(std::move(bytes));
  };
  return is(NFT_META_IIFNAME, in) + is(NFT_META_OIFNAME, out) + Expressions{{"counter", {}}} + accept();
}

const char* chain_of(Mode mode) {
  switch (mode) {
    case Mode::nat:
      return "to_nat";
    case Mode::routed:
      return "to_routed";
    case Mode::internal:
      break;
  }
  return "to_internal";
}

}  // namespace lanwright::nftables
