// Rules in Docker's chain DOCKER-USER, by which what is routed for a network passes the chain FORWARD, whose
// policy Docker makes DROP: an `accept` of a table of our own ends that table's chain only. The one place
// where a chain of others is written to, and only where there is such a chain of nf_tables. One thread.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/base/ids.h"
#include "model/base/result.h"
#include "reconcilers/nftables/messages.h"
#include "reconcilers/nftables/ruleset.h"

namespace lanwright::nftables {

// What goes to the bridge, and what comes from it and leaves by one of these interfaces, or by any when none
// are named: then Docker's own networks are among them, with ports that nobody published.
struct DockerPass {
  std::string bridge;
  ObjectUid uid;  // of the network: the rules' mark
  std::set<std::string> uplinks = {};
  auto operator<=>(const DockerPass&) const = default;
};

struct PassRule {
  ObjectUid uid;
  std::string in;  // names of interfaces; empty is any
  std::string out;
  auto operator<=>(const PassRule&) const = default;
};
// Pure.
std::set<PassRule> rules_of(const std::set<DockerPass>& passes);
// A rule that has a mark of ours and does what such rules do.
std::optional<PassRule> pass_rule_in(const RuleSeen& rule);

class DockerUser {
 public:
  // Of this network namespace; with none, of the calling thread's.
  static Result<DockerUser> open(const os::Descriptor& netns = {});

  int event_fd() const { return ruleset_.event_fd(); }
  // Takes in the kernel's news: whether the chain may have come, gone or changed by somebody else's doing.
  bool drain() { return !ruleset_.drain(); }

  // Whether there is such a chain, of either family.
  Result<bool> is_there();
  // These rules, in each chain that there is, and no others of `ours`; those of networks of another agent
  // stay, unless their bridge is gone. One transaction; answers how many rules were inserted or removed.
  Result<std::size_t> apply(const std::set<DockerPass>& want, const std::set<ObjectUid>& ours,
                            const std::function<bool(const std::string&)>& interface_exists);

 private:
  struct Found {
    PassRule rule;
    std::uint64_t handle = 0;
  };
  explicit DockerUser(Ruleset ruleset) : ruleset_(std::move(ruleset)) {}

  Result<void> know();
  Result<bool> look_once();
  std::vector<Message> changes(const std::set<PassRule>& wanted,
                               const std::function<bool(const PassRule&)>& is_idle) const;

  Ruleset ruleset_;
  std::map<std::uint8_t, std::vector<Found>> chains_;  // by family, of those that are there
};

}  // namespace lanwright::nftables
