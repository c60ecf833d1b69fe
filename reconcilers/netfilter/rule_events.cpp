#include "reconcilers/netfilter/rule_events.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <string_view>
#include <utility>

#include "reconcilers/netlink/message.h"

namespace lanwright::netfilter {
namespace {

bool names(const nlmsghdr& message, int attribute, std::string_view name) {
  return netlink::Attributes(message, sizeof(nfgenmsg)).text(attribute) == name;
}

// The chain itself (its policy), a rule of it that goes, or the table that it is in.
bool concerns_forward(const nlmsghdr& message) {
  constexpr int kOfTables = NFNL_SUBSYS_NFTABLES << 8;
  switch (message.nlmsg_type) {
    case kOfTables | NFT_MSG_DELRULE:
      return names(message, NFTA_RULE_CHAIN, "FORWARD");
    case kOfTables | NFT_MSG_NEWCHAIN:
    case kOfTables | NFT_MSG_DELCHAIN:
      return names(message, NFTA_CHAIN_NAME, "FORWARD");
    case kOfTables | NFT_MSG_DELTABLE:
      return names(message, NFTA_TABLE_NAME, "filter");
    default:
      return false;
  }
}

}  // namespace

Result<RuleEvents> RuleEvents::open() {
  auto events = nftables::Events::open();
  if (!events) return events.error();
  return RuleEvents(std::move(*events));
}

bool RuleEvents::is_to_be_read() {
  bool concerned = false;
  const bool whole =
      events_.drain([&](const nlmsghdr& message) { concerned = concerned || concerns_forward(message); });
  return concerned || !whole;
}

}  // namespace lanwright::netfilter
