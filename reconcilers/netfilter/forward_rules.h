// Rules of the chain FORWARD as iptables(8) tells them, and what is to be done about them. Pure.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "reconcilers/backends/firewall_backend.h"

namespace lanwright::netfilter {

// The rules with a mark of ours in what `iptables -S FORWARD` prints. Others, and what somebody made of ours
// that now does something else, are not among them.
std::vector<ForwardRule> forward_rules_in(const std::string& listing);

// Whether the same text says that what no rule lets through is dropped.
bool drops_by_default(const std::string& listing);

// Whether a rule can name the bridge: iptables reads some characters in its own way (`+`: all names that
// begin so).
bool can_be_ruled(const std::string& bridge);

// As arguments behind `-I`, `-D` or `-A`: the chain and the rule.
std::vector<std::string> arguments_of(const ForwardRule& rule);

struct ForwardChange {
  bool insert = false;  // otherwise it is deleted, once
  ForwardRule rule;
  bool operator==(const ForwardChange&) const = default;
};

// What makes of `found` what is wanted. Removed are those whose mark is one of `ours` (another agent's are
// none of them) or whose bridge is gone, and what is there twice.
std::vector<ForwardChange> forward_changes(const std::set<ForwardRule>& wanted,
                                           const std::set<ObjectUid>& ours,
                                           const std::vector<ForwardRule>& found,
                                           const std::function<bool(const std::string&)>& bridge_exists);

}  // namespace lanwright::netfilter
