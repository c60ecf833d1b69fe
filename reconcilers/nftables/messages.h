// Messages of nf_tables: what is said to the kernel of our table, and what it answers. Pure. Source:
// linux/netfilter/nf_tables.h.
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "reconcilers/netlink/message.h"
#include "reconcilers/nftables/layout.h"

namespace lanwright::nftables {

using netlink::Message;

// A message of the subsystem, NFT_MSG_*; `family` is one of NFPROTO_*.
Message make_message(int type, int flags, std::uint8_t family, std::size_t capacity = Message::kUsualSize);
bool is_message(const nlmsghdr& message, int type);
std::uint8_t family_of(const nlmsghdr& message);

std::string table_text(std::uint8_t family, const std::string& name);  // "table inet lanwright"

// A comment as nft(8) writes and shows it, and the comment in user data; empty when there is none.
Bytes user_data(const std::string& comment);
std::string comment_in(std::span<const std::uint8_t> user_data);

// Into an open message.
void put_nodes(Message& message, const std::vector<Node>& nodes);
void put_expressions(Message& message, const std::vector<Expression>& expressions);

// What makes the table with its fixed part, in order. Set ids are those of one transaction.
std::vector<Message> creation();
Message removal_of_table();
// NEWSETELEM or DELSETELEM, as many to a message as an attribute holds.
std::vector<Message> element_messages(int type, const std::vector<Elements::value_type>& elements);

// What the kernel shows of a table, by its own numbers; nothing of it is taken for granted.
struct TableSeen {
  std::string name;
  std::string comment;
  std::uint32_t flags = 0;  // NFT_TABLE_F_*
};
struct ChainSeen {
  std::uint8_t family = 0;  // NFPROTO_*
  std::string table;
  Chain chain;
  std::uint32_t policy = 0;
};
struct ExpressionSeen {
  std::string name;
  Bytes attributes;  // the content of NFTA_EXPR_DATA
};
struct RuleSeen {
  std::string table;
  std::string chain;
  std::uint64_t handle = 0;
  std::string comment;
  std::vector<ExpressionSeen> expressions;
};
struct SetSeen {
  std::string table;
  std::string name;
  std::uint32_t flags = 0;
  std::uint32_t key_type = 0;
  std::uint32_t key_size = 0;
  std::uint32_t data_type = 0;
  std::uint32_t data_size = 0;
};
// Nothing when the message is another one, or makes no sense.
std::optional<std::uint32_t> decode_generation(const nlmsghdr& message);
std::optional<TableSeen> decode_table(const nlmsghdr& message);
std::optional<ChainSeen> decode_chain(const nlmsghdr& message);
std::optional<RuleSeen> decode_rule(const nlmsghdr& message);
std::optional<SetSeen> decode_set(const nlmsghdr& message);
// The elements of a set of ours that one message tells.
std::vector<Elements::value_type> decode_elements(const nlmsghdr& message, SetId set);

// Whether the kernel's expressions do what these say: all that these say is there, and what is there beside
// it says nothing (zeros).
bool agree(const std::vector<Expression>& expected, const std::vector<ExpressionSeen>& seen);

// One of its attributes: a number, and the value (NFTA_DATA_VALUE) of one that has such. Nothing when absent.
std::optional<std::uint32_t> number_in(const ExpressionSeen& expression, int type);
Bytes value_in(const ExpressionSeen& expression, int type);

struct FixedSeen {
  std::vector<ChainSeen> chains;
  std::vector<RuleSeen> rules;
  std::vector<SetSeen> sets;
};
// What of the table's fixed part is not as in layout(), or nothing: "rule 2 of chain forward".
std::optional<std::string> first_fault(const FixedSeen& seen);

// What a message to the kernel is about, for people: "chain forward of table inet lanwright".
std::string object_of(const nlmsghdr& message);

// Which table a message of the kernel's news is about; empty for a generation and the like.
struct About {
  std::uint8_t family = 0;
  std::string table;
};
About about(const nlmsghdr& message);
// The chain that a message is about, or whose rule; of those about chains and rules.
std::string chain_in(const nlmsghdr& message);

}  // namespace lanwright::nftables
