// A FirewallBackend that remembers what is wanted. Held against the real one by
// tests/integration/forward_test.cpp.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "reconcilers/backends/firewall_backend.h"

namespace lanwright::test {

class MemoryFirewall final : public FirewallBackend {
 public:
  void fail(std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(error);
  }
  std::set<ForwardRule> rules() const {
    const std::lock_guard lock(mutex_);
    return rules_;
  }
  // Those for a host that drops what it forwards, by network.
  std::map<ObjectUid, ForwardRule> where_dropped() const {
    const std::lock_guard lock(mutex_);
    return where_dropped_;
  }
  // Networks that were said to be ours.
  std::set<ObjectUid> networks() const {
    const std::lock_guard lock(mutex_);
    return networks_;
  }

  void want(std::set<ForwardRule> rules, const std::set<ObjectUid>& networks) override {
    const std::lock_guard lock(mutex_);
    rules_ = std::move(rules);
    networks_.insert(networks.begin(), networks.end());
  }
  void want_where_dropped(const ObjectUid& network, std::optional<ForwardRule> rule) override {
    const std::lock_guard lock(mutex_);
    where_dropped_.erase(network);
    if (rule) where_dropped_.emplace(network, *std::move(rule));
  }
  void begin() override {}
  void sweep() override {}
  void look_again() override {}
  Result<void> wait(const ForwardRule& rule, std::chrono::steady_clock::time_point /*deadline*/) override {
    const std::lock_guard lock(mutex_);
    return failure_ || !rules_.contains(rule)
               ? Result<void>(failure_.value_or(
                     Error{ErrorKind::internal, "wait", rule.bridge, 0, "nobody wants it", {}}))
               : Result<void>();
  }

 private:
  mutable std::mutex mutex_;
  std::set<ForwardRule> rules_;
  std::map<ObjectUid, ForwardRule> where_dropped_;
  std::set<ObjectUid> networks_;
  std::optional<Error> failure_;
};

}  // namespace lanwright::test
