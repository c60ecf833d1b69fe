#include "reconcilers/netfilter/rule_events.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string_view>

namespace lanwright::netfilter {
namespace {

bool names(nlmsghdr* message, int attribute, std::string_view name) {
  nlattr* found = nlmsg_find_attr(message, sizeof(nfgenmsg), attribute);
  return found != nullptr && nla_len(found) > 0 && name == nla_get_string(found);
}

// The chain itself (its policy), a rule of it that goes, or the table that it is in.
bool concerns_forward(nlmsghdr* message) {
  constexpr int kOfTables = NFNL_SUBSYS_NFTABLES << 8;
  switch (message->nlmsg_type) {
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
  const auto failed = [](const char* tried) {
    return error_from_errno(errno, tried, "the kernel's news of firewall rules");
  };
  os::Descriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
  if (!socket) return failed("open");
  // Only who is bound is told.
  sockaddr_nl self{};
  self.nl_family = AF_NETLINK;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&self), sizeof self) != 0)
    return failed("bind to");
  constexpr int kGroup = NFNLGRP_NFTABLES;
  if (::setsockopt(socket.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &kGroup, sizeof kGroup) != 0)
    return failed("listen to");
  return RuleEvents(std::move(socket));
}

bool RuleEvents::is_to_be_read() const {
  bool concerned = false;
  alignas(nlmsghdr) std::array<char, 65536> bytes{};
  for (;;) {
    const ssize_t size = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == ENOBUFS) {
      concerned = true;
      continue;
    }
    if (size <= 0) return concerned;
    int rest = static_cast<int>(size);
    for (auto* message = reinterpret_cast<nlmsghdr*>(bytes.data()); nlmsg_ok(message, rest) != 0;
         message = nlmsg_next(message, &rest))
      concerned = concerns_forward(message) || concerned;
  }
}

}  // namespace lanwright::netfilter
