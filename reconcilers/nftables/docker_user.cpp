#include "reconcilers/nftables/docker_user.h"

#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <string_view>

#include "reconcilers/nftables/layout.h"

namespace lanwright::nftables {
namespace {

constexpr const char* kFilter = "filter";
constexpr const char* kChain = "DOCKER-USER";
constexpr std::string_view kComment = "lanwright:";  // as the alias of a link

std::string object_of(std::uint8_t family) {
  return std::string("chain ") + kChain + " of " + table_text(family, kFilter);
}

// What passed since changes them, and iptables may show none.
bool is_counter(const std::string& name) {
  return name == "counter";
}

bool does(const PassRule& rule, std::vector<ExpressionSeen> seen) {
  std::vector<Expression> expected = accept_between(rule.in, rule.out);
  std::erase_if(expected, [](const Expression& each) { return is_counter(each.name); });
  std::erase_if(seen, [](const ExpressionSeen& each) { return is_counter(each.name); });
  return agree(expected, seen);
}

// The name that the comparison behind `meta iifname` or `oifname` is with.
std::string interface_in(const RuleSeen& rule, std::uint32_t side) {
  for (std::size_t i = 0; i + 1 < rule.expressions.size(); ++i) {
    const auto meta = number_in(rule.expressions[i], NFTA_META_KEY);
    if (rule.expressions[i].name != "meta" || meta != side || rule.expressions[i + 1].name != "cmp") continue;
    return netlink::text_of(value_in(rule.expressions[i + 1], NFTA_CMP_DATA));
  }
  return {};
}

Message insertion(std::uint8_t family, const PassRule& rule) {
  Message message = make_message(NFT_MSG_NEWRULE, NLM_F_CREATE, family);  // not appended: at the top
  message.put_text(NFTA_RULE_TABLE, kFilter);
  message.put_text(NFTA_RULE_CHAIN, kChain);
  put_expressions(message, accept_between(rule.in, rule.out));
  message.put_bytes(NFTA_RULE_USERDATA, user_data(std::string(kComment) + rule.uid));
  return message;
}

Message removal(std::uint8_t family, std::uint64_t handle) {
  Message message = make_message(NFT_MSG_DELRULE, 0, family);
  message.put_text(NFTA_RULE_TABLE, kFilter);
  message.put_text(NFTA_RULE_CHAIN, kChain);
  message.put_struct(NFTA_RULE_HANDLE, htobe64(handle));
  return message;
}

bool concerns(const nlmsghdr& message) {
  const About which = about(message);
  if (which.table != kFilter || (which.family != NFPROTO_IPV4 && which.family != NFPROTO_IPV6)) return false;
  const bool is_chain = is_message(message, NFT_MSG_NEWCHAIN) || is_message(message, NFT_MSG_DELCHAIN);
  const bool is_rule = is_message(message, NFT_MSG_NEWRULE) || is_message(message, NFT_MSG_DELRULE);
  if (is_chain || is_rule) return chain_in(message) == kChain;
  return is_message(message, NFT_MSG_DELTABLE);
}

}  // namespace

std::set<PassRule> rules_of(const std::set<DockerPass>& passes) {
  std::set<PassRule> rules;
  for (const DockerPass& pass : passes) {
    rules.insert({pass.uid, {}, pass.bridge});
    if (pass.uplinks.empty()) rules.insert({pass.uid, pass.bridge, {}});
    for (const std::string& uplink : pass.uplinks) rules.insert({pass.uid, pass.bridge, uplink});
  }
  return rules;
}

std::optional<PassRule> pass_rule_in(const RuleSeen& rule) {
  if (!rule.comment.starts_with(kComment)) return std::nullopt;
  PassRule found{rule.comment.substr(kComment.size()), interface_in(rule, NFT_META_IIFNAME),
                 interface_in(rule, NFT_META_OIFNAME)};
  if (!does(found, rule.expressions)) return std::nullopt;
  return found;
}

Result<DockerUser> DockerUser::open(const os::Descriptor& netns) {
  auto ruleset = Ruleset::open(netns, concerns);
  if (!ruleset) return ruleset.error();
  return DockerUser(std::move(*ruleset));
}

Result<void> DockerUser::know() {
  return ruleset_.drain() ? Result<void>() : ruleset_.look([this] { return look_once(); });
}

Result<bool> DockerUser::is_there() {
  if (auto known = know(); !known) return known.error();
  return !chains_.empty();
}

Result<bool> DockerUser::look_once() {
  chains_.clear();
  for (const std::uint8_t family : {NFPROTO_IPV4, NFPROTO_IPV6}) {
    Message chain = make_message(NFT_MSG_GETCHAIN, 0, family);
    chain.put_text(NFTA_CHAIN_TABLE, kFilter);
    chain.put_text(NFTA_CHAIN_NAME, kChain);
    const auto there = ruleset_.get(std::move(chain), object_of(family), {});
    if (!there) return there.error();
    if (!*there) continue;
    Message rules = make_message(NFT_MSG_GETRULE, 0, family);
    rules.put_text(NFTA_RULE_TABLE, kFilter);
    rules.put_text(NFTA_RULE_CHAIN, kChain);
    std::vector<Found>& found = chains_[family];
    auto listed = ruleset_.list(std::move(rules), object_of(family), [&](const nlmsghdr& message) {
      const auto seen = decode_rule(message);
      auto rule = seen ? pass_rule_in(*seen) : std::nullopt;
      if (rule) found.push_back({*std::move(rule), seen->handle});
    });
    if (!listed || !*listed) return listed;
  }
  return true;
}

std::vector<Message> DockerUser::changes(const std::set<PassRule>& wanted,
                                         const std::function<bool(const PassRule&)>& is_idle) const {
  std::vector<Message> messages;
  for (const auto& [family, rules] : chains_) {
    std::set<PassRule> kept;
    for (const Found& each : rules) {
      const bool is_good = wanted.contains(each.rule) && kept.insert(each.rule).second;
      if (!is_good && is_idle(each.rule)) messages.push_back(removal(family, each.handle));
    }
    for (const PassRule& rule : wanted) {
      if (!kept.contains(rule)) messages.push_back(insertion(family, rule));
    }
  }
  return messages;
}

Result<std::size_t> DockerUser::apply(const std::set<DockerPass>& want, const std::set<ObjectUid>& ours,
                                      const std::function<bool(const std::string&)>& interface_exists) {
  std::set<ObjectUid> known = ours;
  for (const DockerPass& pass : want) known.insert(pass.uid);
  const auto is_idle = [&](const PassRule& rule) {
    return known.contains(rule.uid) || !interface_exists(rule.in.empty() ? rule.out : rule.in);
  };
  const std::set<PassRule> wanted = rules_of(want);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (auto looked = know(); !looked) return looked.error();
    std::vector<Message> messages = changes(wanted, is_idle);
    if (messages.empty()) return std::size_t{0};
    const std::size_t count = messages.size();
    const auto changed = ruleset_.change(std::move(messages), object_of(NFPROTO_IPV4));
    ruleset_.forget();  // the kernel has numbered the new ones
    if (!changed) return changed.error();
    if (*changed) return count;
  }
  return busy("change", object_of(NFPROTO_IPV4));
}

}  // namespace lanwright::nftables
