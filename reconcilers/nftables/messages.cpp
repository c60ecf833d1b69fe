#include "reconcilers/nftables/messages.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

namespace lanwright::nftables {
namespace {

using netlink::Attributes;

constexpr std::size_t kElementsPerMessage = 200;  // at most ~250 bytes each: an attribute has 64 KiB
constexpr std::size_t kElementsCapacity = 60 << 10;
constexpr std::size_t kRuleCapacity = 4096;
constexpr std::uint8_t kCommentType = 0;  // NFTNL_UDATA_RULE_COMMENT, and those of tables and elements

void put_be32(Message& message, int type, std::uint32_t value) {
  message.put_u32(type, htonl(value));
}
void put_bytes(Message& message, int type, const Bytes& bytes) {
  message.put_bytes(type, bytes);
}

std::uint32_t be32(const Attributes& attributes, int type) {
  return ntohl(attributes.u32(type).value_or(0));
}

Message of_table(int type, int flags, std::size_t capacity = Message::kUsualSize) {
  return make_message(type, flags, NFPROTO_INET, capacity);
}

Attributes attributes_of(const nlmsghdr& message) {
  return {message, sizeof(nfgenmsg)};
}

Bytes copied(std::span<const std::uint8_t> bytes) {
  return {bytes.begin(), bytes.end()};
}

Message table_message() {
  Message message = of_table(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
  message.put_text(NFTA_TABLE_NAME, kTable);
  put_bytes(message, NFTA_TABLE_USERDATA, user_data(kMark));
  return message;
}

Message chain_message(const Chain& chain) {
  Message message = of_table(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
  message.put_text(NFTA_CHAIN_TABLE, kTable);
  message.put_text(NFTA_CHAIN_NAME, chain.name);
  if (!chain.hook) return message;
  message.put_text(NFTA_CHAIN_TYPE, chain.hook->type);
  put_be32(message, NFTA_CHAIN_POLICY, NF_ACCEPT);
  message.nest(NFTA_CHAIN_HOOK, [&] {
    put_be32(message, NFTA_HOOK_HOOKNUM, chain.hook->number);
    put_be32(message, NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(chain.hook->priority));
  });
  return message;
}

// In which order the bytes of a key are: nft(8) shows and changes elements by it. Source: libnftnl/udata.h
// (NFTNL_UDATA_SET_KEYBYTEORDER), nftables' include/datatype.h (enum byteorder).
Bytes order_data(const Set& set) {
  constexpr std::uint8_t kKeyOrder = 0;
  constexpr std::uint32_t kNone = 0;  // of a concatenation
  constexpr std::uint32_t kHost = 1;
  constexpr std::uint32_t kNetwork = 2;
  const bool is_address = set.key_size == 4 || (set.key_size == 16 && set.key_type != kTypeIfname);
  const std::uint32_t order = is_address ? kNetwork : set.key_type == kTypeIfname ? kHost : kNone;
  Bytes bytes{kKeyOrder, sizeof order};
  bytes.resize(2 + sizeof order);
  std::memcpy(&bytes[2], &order, sizeof order);
  return bytes;
}

Message set_message(const Set& set) {
  Message message = of_table(NFT_MSG_NEWSET, NLM_F_CREATE);
  message.put_text(NFTA_SET_TABLE, kTable);
  message.put_text(NFTA_SET_NAME, set.name);
  put_be32(message, NFTA_SET_ID, static_cast<std::uint32_t>(set.id) + 1);
  put_be32(message, NFTA_SET_FLAGS, set.flags);
  put_be32(message, NFTA_SET_KEY_TYPE, set.key_type);
  put_be32(message, NFTA_SET_KEY_LEN, set.key_size);
  if (set.data_type != 0) put_be32(message, NFTA_SET_DATA_TYPE, set.data_type);
  if (set.data_size != 0) put_be32(message, NFTA_SET_DATA_LEN, set.data_size);
  put_bytes(message, NFTA_SET_USERDATA, order_data(set));
  return message;
}

Message rule_message(const Rule& rule) {
  Message message = of_table(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, kRuleCapacity);
  message.put_text(NFTA_RULE_TABLE, kTable);
  message.put_text(NFTA_RULE_CHAIN, rule.chain);
  put_expressions(message, rule.expressions);
  return message;
}

void put_value(Message& message, int type, const Bytes& value) {
  message.nest(type, [&] { put_bytes(message, NFTA_DATA_VALUE, value); });
}

// Its code, and the chain behind.
void put_verdict(Message& message, const Bytes& data) {
  message.nest(NFTA_SET_ELEM_DATA, [&] {
    message.nest(NFTA_DATA_VERDICT, [&] {
      put_bytes(message, NFTA_VERDICT_CODE, {data.begin(), data.begin() + 4});
      if (data.size() > 4) message.put_text(NFTA_VERDICT_CHAIN, {data.begin() + 4, data.end()});
    });
  });
}

void put_element(Message& message, const ElementId& id, const ElementValue& value) {
  message.nest(NFTA_LIST_ELEM, [&] {
    put_value(message, NFTA_SET_ELEM_KEY, id.key);
    if (!id.is_start) put_be32(message, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
    const bool is_verdict = set_of(id.set).data_type == NFT_DATA_VERDICT;
    if (is_verdict && value.data.size() >= 4) put_verdict(message, value.data);
    if (!is_verdict && !value.data.empty()) put_value(message, NFTA_SET_ELEM_DATA, value.data);
    if (!value.uid.empty()) put_bytes(message, NFTA_SET_ELEM_USERDATA, user_data(value.uid));
  });
}

Bytes data_in(const Attributes& data) {
  if (data.has(NFTA_DATA_VALUE)) return copied(data.bytes(NFTA_DATA_VALUE));
  if (!data.has(NFTA_DATA_VERDICT)) return {};
  const Attributes verdict = data.nest(NFTA_DATA_VERDICT);
  Bytes bytes = copied(verdict.bytes(NFTA_VERDICT_CODE));
  const std::string chain = verdict.text(NFTA_VERDICT_CHAIN);
  bytes.insert(bytes.end(), chain.begin(), chain.end());
  return bytes;
}

std::optional<Elements::value_type> decode_element(const Attributes& element, SetId set) {
  ElementId id{set, data_in(element.nest(NFTA_SET_ELEM_KEY)), true};
  if (id.key.size() != set_of(set).key_size) return std::nullopt;
  id.is_start = (be32(element, NFTA_SET_ELEM_FLAGS) & NFT_SET_ELEM_INTERVAL_END) == 0;
  ElementValue value{data_in(element.nest(NFTA_SET_ELEM_DATA)),
                     comment_in(element.bytes(NFTA_SET_ELEM_USERDATA))};
  return Elements::value_type{std::move(id), std::move(value)};
}

bool is_nothing(std::span<const std::uint8_t> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

using Found = std::map<int, std::span<const std::uint8_t>>;

// Attributes one behind the other, as in a nest.
Found attributes_in(std::span<const std::uint8_t> bytes) {
  Found found;
  int rest = static_cast<int>(bytes.size());
  for (const auto* each = reinterpret_cast<const nlattr*>(bytes.data()); nla_ok(each, rest) != 0;
       each = nla_next(each, &rest))
    found[nla_type(each)] = {static_cast<const std::uint8_t*>(nla_data(each)),
                             static_cast<std::size_t>(nla_len(each))};
  return found;
}

bool agree_nodes(const std::vector<Node>& expected, std::span<const std::uint8_t> bytes) {
  Found found = attributes_in(bytes);
  for (const Node& node : expected) {
    const auto at = found.find(node.type);
    if (at == found.end()) return false;
    const bool same =
        node.is_nest ? agree_nodes(node.nodes, at->second) : std::ranges::equal(node.bytes, at->second);
    if (!same) return false;
    found.erase(at);
  }
  return std::all_of(found.begin(), found.end(), [](const auto& each) { return is_nothing(each.second); });
}

std::optional<std::string> chain_fault(const std::vector<ChainSeen>& seen) {
  for (const Chain& chain : layout().chains) {
    const auto is_it = [&](const ChainSeen& each) {
      return each.chain == chain && (!chain.hook || each.policy == NF_ACCEPT);
    };
    if (std::none_of(seen.begin(), seen.end(), is_it)) return "chain " + chain.name;
  }
  if (seen.size() != layout().chains.size()) return "a further chain";
  return std::nullopt;
}

// The size of a verdict is the kernel's own affair.
bool is_set(const Set& set, const SetSeen& seen) {
  const bool same_data = seen.data_type == set.data_type &&
                         (set.data_type == NFT_DATA_VERDICT || seen.data_size == set.data_size);
  return seen.name == set.name && seen.flags == set.flags && seen.key_type == set.key_type &&
         seen.key_size == set.key_size && same_data;
}

std::optional<std::string> set_fault(const std::vector<SetSeen>& seen) {
  for (const Set& set : layout().sets) {
    if (std::none_of(seen.begin(), seen.end(), [&](const SetSeen& each) { return is_set(set, each); }))
      return "set " + set.name;
  }
  if (seen.size() != layout().sets.size()) return "a further set";
  return std::nullopt;
}

std::optional<std::string> rule_fault(const std::vector<RuleSeen>& seen) {
  std::map<std::string, std::vector<const RuleSeen*>> chains;
  for (const RuleSeen& rule : seen) chains[rule.chain].push_back(&rule);
  std::map<std::string, std::size_t> count;
  for (const Rule& rule : layout().rules) {
    const std::size_t index = count[rule.chain]++;
    const auto& found = chains[rule.chain];
    if (index >= found.size() || !agree(rule.expressions, found[index]->expressions))
      return "rule " + std::to_string(index + 1) + " of chain " + rule.chain;
  }
  if (seen.size() != layout().rules.size()) return "a further rule";
  return std::nullopt;
}

}  // namespace

Message make_message(int type, int flags, std::uint8_t family, std::size_t capacity) {
  nfgenmsg fixed{};
  fixed.nfgen_family = family;
  fixed.version = NFNETLINK_V0;
  return {NFNL_SUBSYS_NFTABLES << 8 | type, NLM_F_REQUEST | flags, fixed, capacity};
}

bool is_message(const nlmsghdr& message, int type) {
  return message.nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | type) &&
         netlink::fixed_part<nfgenmsg>(message) != nullptr;
}

std::uint8_t family_of(const nlmsghdr& message) {
  const auto* fixed = netlink::fixed_part<nfgenmsg>(message);
  return fixed == nullptr ? 0 : fixed->nfgen_family;
}

std::string table_text(std::uint8_t family, const std::string& name) {
  const char* words = family == NFPROTO_INET   ? "inet "
                      : family == NFPROTO_IPV4 ? "ip "
                      : family == NFPROTO_IPV6 ? "ip6 "
                                               : "";
  return std::string("table ") + words + name;
}

// Type, length, text with its end: libnftnl's udata.
Bytes user_data(const std::string& comment) {
  Bytes bytes{kCommentType, static_cast<std::uint8_t>(comment.size() + 1)};
  bytes.insert(bytes.end(), comment.begin(), comment.end());
  bytes.push_back(0);
  return bytes;
}

std::string comment_in(std::span<const std::uint8_t> user_data) {
  while (user_data.size() >= 2) {
    const std::size_t size = user_data[1];
    if (user_data.size() - 2 < size) return {};
    if (user_data[0] == kCommentType) return netlink::text_of(user_data.subspan(2, size));
    user_data = user_data.subspan(2 + size);
  }
  return {};
}

void put_nodes(Message& message, const std::vector<Node>& nodes) {
  for (const Node& node : nodes) {
    if (node.is_nest)
      message.nest(node.type, [&] { put_nodes(message, node.nodes); });
    else
      put_bytes(message, node.type, node.bytes);
  }
}

void put_expressions(Message& message, const std::vector<Expression>& expressions) {
  message.nest(NFTA_RULE_EXPRESSIONS, [&] {
    for (const Expression& expression : expressions) {
      message.nest(NFTA_LIST_ELEM, [&] {
        message.put_text(NFTA_EXPR_NAME, expression.name);
        message.nest(NFTA_EXPR_DATA, [&] { put_nodes(message, expression.attributes); });
      });
    }
  });
}

// Rules name sets and chains, which therefore come first.
std::vector<Message> creation() {
  std::vector<Message> messages;
  messages.push_back(table_message());
  for (const Chain& chain : layout().chains) messages.push_back(chain_message(chain));
  for (const Set& set : layout().sets) messages.push_back(set_message(set));
  for (const Rule& rule : layout().rules) messages.push_back(rule_message(rule));
  return messages;
}

Message removal_of_table() {
  Message message = of_table(NFT_MSG_DELTABLE, 0);
  message.put_text(NFTA_TABLE_NAME, kTable);
  return message;
}

std::vector<Message> element_messages(int type, const std::vector<Elements::value_type>& elements) {
  std::vector<Message> messages;
  const int flags = type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE | NLM_F_EXCL : 0;
  for (auto begin = elements.begin(); begin != elements.end();) {
    const SetId set = begin->first.set;
    const auto most = begin + std::min<std::ptrdiff_t>(kElementsPerMessage, elements.end() - begin);
    const auto end = std::find_if(begin, most, [&](const auto& each) { return each.first.set != set; });
    const bool few = end - begin <= 2;
    Message message = of_table(type, flags, few ? Message::kUsualSize : kElementsCapacity);
    message.put_text(NFTA_SET_ELEM_LIST_TABLE, kTable);
    message.put_text(NFTA_SET_ELEM_LIST_SET, set_of(set).name);
    message.nest(NFTA_SET_ELEM_LIST_ELEMENTS, [&] {
      for (; begin != end; ++begin) put_element(message, begin->first, begin->second);
    });
    messages.push_back(std::move(message));
  }
  return messages;
}

std::optional<std::uint32_t> decode_generation(const nlmsghdr& message) {
  if (!is_message(message, NFT_MSG_NEWGEN)) return std::nullopt;
  const auto generation = attributes_of(message).u32(NFTA_GEN_ID);
  return generation ? std::optional(ntohl(*generation)) : std::nullopt;
}

std::optional<TableSeen> decode_table(const nlmsghdr& message) {
  if (!is_message(message, NFT_MSG_NEWTABLE)) return std::nullopt;
  const Attributes attributes = attributes_of(message);
  return TableSeen{attributes.text(NFTA_TABLE_NAME), comment_in(attributes.bytes(NFTA_TABLE_USERDATA)),
                   be32(attributes, NFTA_TABLE_FLAGS)};
}

std::optional<ChainSeen> decode_chain(const nlmsghdr& message) {
  if (!is_message(message, NFT_MSG_NEWCHAIN)) return std::nullopt;
  const Attributes attributes = attributes_of(message);
  ChainSeen seen{
      family_of(message), attributes.text(NFTA_CHAIN_TABLE), {attributes.text(NFTA_CHAIN_NAME), {}}, 0};
  if (!attributes.has(NFTA_CHAIN_HOOK)) return seen;
  const Attributes hook = attributes.nest(NFTA_CHAIN_HOOK);
  seen.chain.hook = Hook{attributes.text(NFTA_CHAIN_TYPE), be32(hook, NFTA_HOOK_HOOKNUM),
                         static_cast<std::int32_t>(be32(hook, NFTA_HOOK_PRIORITY))};
  seen.policy = be32(attributes, NFTA_CHAIN_POLICY);
  return seen;
}

std::optional<RuleSeen> decode_rule(const nlmsghdr& message) {
  if (!is_message(message, NFT_MSG_NEWRULE)) return std::nullopt;
  const Attributes attributes = attributes_of(message);
  RuleSeen seen{attributes.text(NFTA_RULE_TABLE),
                attributes.text(NFTA_RULE_CHAIN),
                0,
                comment_in(attributes.bytes(NFTA_RULE_USERDATA)),
                {}};
  const auto handle = attributes.bytes(NFTA_RULE_HANDLE);
  if (handle.size() == sizeof seen.handle) std::memcpy(&seen.handle, handle.data(), sizeof seen.handle);
  seen.handle = be64toh(seen.handle);
  netlink::for_each_attribute(
      attributes.find(NFTA_RULE_EXPRESSIONS), [&](int, std::span<const std::uint8_t> bytes) {
        const Found found = attributes_in(bytes);
        const auto name = found.find(NFTA_EXPR_NAME);
        const auto data = found.find(NFTA_EXPR_DATA);
        seen.expressions.push_back({name == found.end() ? "" : netlink::text_of(name->second),
                                    data == found.end() ? Bytes() : copied(data->second)});
      });
  return seen;
}

std::optional<SetSeen> decode_set(const nlmsghdr& message) {
  if (!is_message(message, NFT_MSG_NEWSET)) return std::nullopt;
  const Attributes attributes = attributes_of(message);
  return SetSeen{attributes.text(NFTA_SET_TABLE),    attributes.text(NFTA_SET_NAME),
                 be32(attributes, NFTA_SET_FLAGS),   be32(attributes, NFTA_SET_KEY_TYPE),
                 be32(attributes, NFTA_SET_KEY_LEN), be32(attributes, NFTA_SET_DATA_TYPE),
                 be32(attributes, NFTA_SET_DATA_LEN)};
}

std::vector<Elements::value_type> decode_elements(const nlmsghdr& message, SetId set) {
  std::vector<Elements::value_type> elements;
  if (!is_message(message, NFT_MSG_NEWSETELEM)) return elements;
  const Attributes attributes = attributes_of(message);
  if (attributes.text(NFTA_SET_ELEM_LIST_SET) != set_of(set).name) return elements;
  const nlattr* list = attributes.find(NFTA_SET_ELEM_LIST_ELEMENTS);
  if (list == nullptr) return elements;
  int rest = nla_len(list);
  for (const auto* each = static_cast<const nlattr*>(nla_data(list)); nla_ok(each, rest) != 0;
       each = nla_next(each, &rest)) {
    if (auto element = decode_element(Attributes(each), set)) elements.push_back(*std::move(element));
  }
  return elements;
}

bool agree(const std::vector<Expression>& expected, const std::vector<ExpressionSeen>& seen) {
  return std::ranges::equal(expected, seen, [](const Expression& left, const ExpressionSeen& right) {
    return left.name == right.name && agree_nodes(left.attributes, right.attributes);
  });
}

std::optional<std::uint32_t> number_in(const ExpressionSeen& expression, int type) {
  const Found found = attributes_in(expression.attributes);
  const auto at = found.find(type);
  std::uint32_t number = 0;
  if (at == found.end() || at->second.size() != sizeof number) return std::nullopt;
  std::memcpy(&number, at->second.data(), sizeof number);
  return ntohl(number);
}

Bytes value_in(const ExpressionSeen& expression, int type) {
  const Found found = attributes_in(expression.attributes);
  const auto nest = found.find(type);
  if (nest == found.end()) return {};
  const Found inner = attributes_in(nest->second);
  const auto value = inner.find(NFTA_DATA_VALUE);
  return value == inner.end() ? Bytes() : copied(value->second);
}

std::optional<std::string> first_fault(const FixedSeen& seen) {
  if (auto fault = chain_fault(seen.chains)) return fault;
  if (auto fault = set_fault(seen.sets)) return fault;
  return rule_fault(seen.rules);
}

std::string object_of(const nlmsghdr& message) {
  const Attributes attributes = attributes_of(message);
  std::string table = table_text(family_of(message), attributes.text(NFTA_TABLE_NAME));
  switch (message.nlmsg_type & 0xffU) {
    case NFT_MSG_NEWCHAIN:
      return "chain " + attributes.text(NFTA_CHAIN_NAME) + " of " + table;
    case NFT_MSG_NEWRULE:
    case NFT_MSG_DELRULE:
      return "a rule of chain " + attributes.text(NFTA_RULE_CHAIN) + " of " + table;
    case NFT_MSG_NEWSET:
      return "set " + attributes.text(NFTA_SET_NAME) + " of " + table;
    case NFT_MSG_NEWSETELEM:
    case NFT_MSG_DELSETELEM:
      return "elements of set " + attributes.text(NFTA_SET_ELEM_LIST_SET) + " of " + table;
    default:
      return table;
  }
}

// Every kind of message has its table's name as the first attribute.
About about(const nlmsghdr& message) {
  if (message.nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || is_message(message, NFT_MSG_NEWGEN)) return {};
  static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 &&
                NFTA_SET_TABLE == 1 && NFTA_SET_ELEM_LIST_TABLE == 1 && NFTA_OBJ_TABLE == 1 &&
                NFTA_FLOWTABLE_TABLE == 1);
  return {family_of(message), attributes_of(message).text(NFTA_TABLE_NAME)};
}

std::string chain_in(const nlmsghdr& message) {
  const bool is_chain = is_message(message, NFT_MSG_NEWCHAIN) || is_message(message, NFT_MSG_DELCHAIN);
  return attributes_of(message).text(is_chain ? int{NFTA_CHAIN_NAME} : int{NFTA_RULE_CHAIN});
}

}  // namespace lanwright::nftables
