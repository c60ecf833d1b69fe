// What else of the host drops what is forwarded, and which command lets a network's packets through: an
// `accept` of our table ends our chain, not theirs. Told, never changed.
#pragma once

#include <string>
#include <vector>

#include "reconcilers/nftables/messages.h"
#include "reconcilers/nftables/ruleset.h"

namespace lanwright::nftables {

struct OtherFirewall {
  std::string name;  // "firewalld", "ufw", or the chain: "chain FORWARD of table ip filter"
  std::string hint;  // the command, for this bridge
  bool operator==(const OtherFirewall&) const = default;
};

// By the chains of all tables (decode_chain()). Docker's is none of them where its chain DOCKER-USER is,
// which is for rules like ours (docker_user.h). Pure.
std::vector<OtherFirewall> other_firewalls_in(const std::vector<ChainSeen>& chains,
                                              const std::string& bridge);

// The same of this ruleset, as it is now.
Result<std::vector<OtherFirewall>> other_firewalls(Ruleset& ruleset, const std::string& bridge);

}  // namespace lanwright::nftables
