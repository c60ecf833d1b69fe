#include "agent/capture/filter.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>
#include <string_view>

namespace lanwright::capture {
namespace {

constexpr std::size_t kLongestFilter = 1024;

Error refusal(const std::string& place, std::string words, std::string hint) {
  return {ErrorKind::invalid, "capture the packets of", place, 0, std::move(words), std::move(hint)};
}

// --- names that would have to be looked up ---

// All words that mean something by themselves (scanner.l of libpcap 1.10). Whatever else begins like one is a
// name to it, misspelled ones included.
const std::set<std::string_view> kWords{
    // clang-format off
    "src", "dst", "and", "or", "not", "host", "net", "mask", "gateway", "port", "portrange", "proto", "protochain",
    "less", "greater", "byte", "broadcast", "multicast", "inbound", "outbound", "ifindex", "len", "length",
    "ether", "arp", "rarp", "ip", "sctp", "tcp", "udp", "icmp", "igmp", "igrp", "pim", "vrrp", "carp",
    "ip6", "icmp6", "ah", "esp", "atalk", "aarp", "decnet", "lat", "sca", "moprc", "mopdl",
    "iso", "esis", "es-is", "isis", "is-is", "l1", "l2", "iih", "lsp", "snp", "csnp", "psnp", "clnp", "stp", "ipx",
    "netbeui", "vlan", "mpls", "pppoed", "pppoes", "geneve", "llc", "link", "ppp", "slip", "fddi", "tr", "wlan", "radio",
    "type", "subtype", "dir", "direction", "ra", "ta", "address1", "address2", "address3", "address4",
    "addr1", "addr2", "addr3", "addr4", "on", "ifname", "rset", "ruleset", "rnr", "rulenum", "srnr", "subrulenum",
    "reason", "action", "vpi", "vci", "lane", "metac", "bcc", "oam", "oamf4", "oamf4ec", "oamf4sc", "sc", "ilmic",
    "connectmsg", "metaconnect", "fisu", "fsu", "lssu", "lsu", "msu", "hfisu", "hlssu", "hmsu", "sio", "opc", "dpc", "sls",
    "hsio", "hopc", "hdpc", "hsls",
    "icmptype", "icmpcode", "icmp-echoreply", "icmp-unreach", "icmp-sourcequench", "icmp-redirect", "icmp-echo",
    "icmp-routeradvert", "icmp-routersolicit", "icmp-timxceed", "icmp-paramprob", "icmp-tstamp", "icmp-tstampreply",
    "icmp-ireq", "icmp-ireqreply", "icmp-maskreq", "icmp-maskreply",
    "icmp6type", "icmp6code", "icmp6-echo", "icmp6-echoreply", "icmp6-multicastlistenerquery",
    "icmp6-multicastlistenerreportv1", "icmp6-multicastlistenerdone", "icmp6-routersolicit", "icmp6-routeradvert",
    "icmp6-neighborsolicit", "icmp6-neighboradvert", "icmp6-redirect", "icmp6-routerrenum", "icmp6-nodeinformationquery",
    "icmp6-nodeinformationresponse", "icmp6-ineighbordiscoverysolicit", "icmp6-ineighbordiscoveryadvert",
    "icmp6-multicastlistenerreportv2", "icmp6-homeagentdiscoveryrequest", "icmp6-homeagentdiscoveryreply",
    "icmp6-mobileprefixsolicit", "icmp6-mobileprefixadvert", "icmp6-certpathsolicit", "icmp6-certpathadvert",
    "icmp6-multicastrouteradvert", "icmp6-multicastroutersolicit", "icmp6-multicastrouterterm", "icmp6-destinationunreach",
    "icmp6-packettoobig", "icmp6-timeexceeded", "icmp6-parameterproblem",
    "tcpflags", "tcp-fin", "tcp-syn", "tcp-rst", "tcp-push", "tcp-ack", "tcp-urg", "tcp-ece", "tcp-cwr",
    // clang-format on
};
// Behind these, names are of services and protocols, also of further ones behind `or`, `and` and `not`.
const std::set<std::string_view> kNamesFollow{"port", "portrange", "proto", "protochain"};
const std::set<std::string_view> kJoining{"and", "or", "not"};

bool has_only(std::string_view text, std::string_view characters) {
  return !text.empty() && text.find_first_not_of(characters) == std::string_view::npos;
}

constexpr std::string_view kDecimal = "0123456789";
constexpr std::string_view kHexadecimal = "0123456789abcdefABCDEF";

// A number, or an IPv4 address or its beginning.
bool is_number(std::string_view word) {
  if (word.starts_with("0x") || word.starts_with("0X")) return has_only(word.substr(2), kHexadecimal);
  return has_only(word, "0123456789.") && kDecimal.find(word.front()) != std::string_view::npos;
}

bool is_in_groups(std::string_view word, char separator, std::size_t groups, std::size_t longest) {
  for (std::size_t left = groups; left > 0; --left) {
    const auto end = left > 1 ? word.find(separator) : word.size();
    if (end == std::string_view::npos || end > longest || !has_only(word.substr(0, end), kHexadecimal))
      return false;
    word.remove_prefix(std::min(end + 1, word.size()));
  }
  return true;
}

bool is_mac(std::string_view word) {
  return is_in_groups(word, ':', 6, 2) || is_in_groups(word, '-', 6, 2) || is_in_groups(word, '.', 6, 2) ||
         is_in_groups(word, '.', 3, 4) || (word.size() == 12 && has_only(word, kHexadecimal));
}

bool is_ipv6(std::string_view word) {
  in6_addr address{};
  return inet_pton(AF_INET6, std::string(word).c_str(), &address) == 1;
}

bool is_of_a_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '-';
}

// The filter, word by word.
class Words {
 public:
  explicit Words(std::string_view filter) : rest_(filter) {}

  struct Word {
    std::string_view text;
    bool escaped;  // taken for a name although it means something
  };
  std::optional<Word> next() {
    const auto starts = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
    const auto begin =
        std::find_if(rest_.begin(), rest_.end(), [&](char c) { return starts(c) || c == ':'; });
    const bool escaped = begin != rest_.begin() && *std::prev(begin) == '\\';
    rest_.remove_prefix(static_cast<std::size_t>(begin - rest_.begin()));
    if (rest_.empty()) return std::nullopt;
    // Colons are in addresses, and between numbers of a range of bytes.
    const std::string_view with_colons = upto([](char c) { return is_of_a_word(c) || c == ':'; });
    if (is_ipv6(with_colons) || is_mac(with_colons)) return take(with_colons, escaped);
    if (rest_.front() != ':') return take(upto(is_of_a_word), escaped);
    rest_.remove_prefix(1);
    return next();
  }

 private:
  template <typename Predicate>
  std::string_view upto(Predicate belongs) const {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), belongs);
    return rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
  }
  Word take(std::string_view word, bool escaped) {
    rest_.remove_prefix(word.size());
    return {word, escaped};
  }

  std::string_view rest_;
};

std::optional<std::string> first_name_in(const std::string& filter) {
  bool names_follow = false;
  Words words(filter);
  while (const auto word = words.next()) {
    const auto& [text, escaped] = *word;
    if (!escaped && (is_number(text) || is_mac(text) || is_ipv6(text))) continue;
    if (!escaped && kWords.contains(text)) {
      if (!kJoining.contains(text)) names_follow = kNamesFollow.contains(text);
      continue;
    }
    if (!names_follow) return std::string(text);
  }
  return std::nullopt;
}

}  // namespace

Result<std::unique_ptr<FilterProgram>> compile_filter(pcap_t* handle, const std::string& place,
                                                      const std::string& filter) {
  if (filter.size() > kLongestFilter)
    return refusal(
        place,
        "the filter has " + std::to_string(filter.size()) + " bytes, more than " +
            std::to_string(kLongestFilter),
        "capture more, and filter what comes: lanwright capture NETWORK -w - | tcpdump -r - FILTER");
  if (const auto name = first_name_in(filter))
    return refusal(
        place, "the filter has the name `" + *name + "`, and the agent looks up no names",
        "write an address; services and protocols may be named behind `port` and `proto`: man pcap-filter");
  auto program = std::make_unique<FilterProgram>();
  if (pcap_compile(handle, &program->code, filter.c_str(), 1, PCAP_NETMASK_UNKNOWN) != 0)
    return refusal(place, pcap_geterr(handle), "the filter is written as in: man pcap-filter");
  return program;
}

}  // namespace lanwright::capture
