// What bridges forward between their own ports, let through the host's firewall: beside links and switches a
// third thing of the host that is kept as it is wanted. Where Docker runs, bridged frames pass the chain
// FORWARD (br_netfilter), which drops what has no rule there. One is implemented over iptables
// (reconcilers/netfilter/); tests may use others. Any thread may call.
#pragma once

#include <chrono>
#include <compare>
#include <optional>
#include <set>
#include <string>

#include "model/base/ids.h"
#include "model/base/result.h"

namespace lanwright {

// Lets pass what comes from one port of the bridge and goes to another, and nothing else.
struct ForwardRule {
  std::string bridge;  // name of the link
  ObjectUid uid;       // of the network that it belongs to: the rule's mark
  auto operator<=>(const ForwardRule&) const = default;
};

class FirewallBackend {
 public:
  virtual ~FirewallBackend() = default;

  // These rules, and no others of these networks and of those that had one before, from now on: what somebody
  // else throws away comes back. Returns at once. Before the first rule nobody looks at the host's.
  virtual void want(std::set<ForwardRule> rules, const std::set<ObjectUid>& networks = {}) = 0;
  // The same for this one, as long as the host filters bridged frames and drops what it forwards by default,
  // as it does once dockerd has started; a host that does not is left alone. The rule takes the place of the
  // last one for this network; without one the network needs none any more.
  virtual void want_where_dropped(const ObjectUid& network, std::optional<ForwardRule> rule) = 0;
  // All that is wanted at the start has been said: from now on it is kept, and before this nothing is done,
  // as what is not wanted yet would be taken away for a moment.
  virtual void begin() = 0;
  // All networks that there are have been named: what an earlier agent left of others goes, be it that it was
  // killed before it could take it away.
  virtual void sweep() = 0;
  // Whether or not anything told of a change.
  virtual void look_again() = 0;
  // Until this rule is there, where it is wanted. Otherwise the error of the last try, which is repeated
  // later, or `timeout`; `unsupported` where nobody can tell whether it is needed.
  virtual Result<void> wait(const ForwardRule& rule, std::chrono::steady_clock::time_point deadline) = 0;
};

}  // namespace lanwright
