#include "reconcilers/nftables/other_firewalls.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>

#include "reconcilers/nftables/layout.h"

namespace lanwright::nftables {
namespace {

bool is_in(const ChainSeen& chain, const char* table, const char* name) {
  return chain.table == table && chain.chain.name == name;
}

// Both families of addresses have a table `filter` of iptables-nft.
template <class Is>
bool any(const std::vector<ChainSeen>& chains, Is&& is) {
  return std::any_of(chains.begin(), chains.end(), is);
}

std::string firewalld_hint(const std::string& bridge) {
  return "let firewalld forward for it: firewall-cmd --permanent --zone=trusted --add-interface=" + bridge +
         " && firewall-cmd --permanent --new-policy=lanwright && firewall-cmd --permanent --policy=lanwright "
         "--add-ingress-zone=ANY --add-egress-zone=trusted --set-target=ACCEPT && firewall-cmd --reload";
}

std::string ufw_hint(const std::string& bridge) {
  return "let ufw forward for it: ufw route allow in on " + bridge + " && ufw route allow out on " + bridge;
}

bool drops_forwarded(const ChainSeen& chain) {
  const auto& hook = chain.chain.hook;
  const bool is_of_ip =
      chain.family == NFPROTO_INET || chain.family == NFPROTO_IPV4 || chain.family == NFPROTO_IPV6;
  return is_of_ip && hook && hook->number == NF_INET_FORWARD && chain.policy == NF_DROP;
}

std::string command_for(const ChainSeen& chain, const std::string& bridge) {
  const std::string family = chain.family == NFPROTO_INET   ? "inet"
                             : chain.family == NFPROTO_IPV6 ? "ip6"
                                                            : "ip";
  const std::string rule = "nft insert rule " + family + " " + chain.table + " " + chain.chain.name;
  return rule + " iifname " + bridge + " accept && " + rule + " oifname " + bridge + " accept";
}

}  // namespace

std::vector<OtherFirewall> other_firewalls_in(const std::vector<ChainSeen>& chains,
                                              const std::string& bridge) {
  std::vector<OtherFirewall> found;
  if (any(chains, [](const ChainSeen& each) { return each.table == "firewalld"; }))
    found.push_back({"firewalld", firewalld_hint(bridge)});
  const bool ufw =
      any(chains, [](const ChainSeen& each) { return is_in(each, "filter", "ufw-before-forward"); });
  if (ufw) found.push_back({"ufw", ufw_hint(bridge)});
  for (const ChainSeen& chain : chains) {
    const bool is_iptables = is_in(chain, "filter", "FORWARD");
    const bool is_dockers = is_iptables && any(chains, [&](const ChainSeen& each) {
                              return each.family == chain.family && is_in(each, "filter", "DOCKER-USER");
                            });
    if (!drops_forwarded(chain) || chain.table == "firewalld" || is_dockers || (is_iptables && ufw)) continue;
    found.push_back({"chain " + chain.chain.name + " of " + table_text(chain.family, chain.table),
                     command_for(chain, bridge)});
  }
  return found;
}

Result<std::vector<OtherFirewall>> other_firewalls(Ruleset& ruleset, const std::string& bridge) {
  std::vector<ChainSeen> chains;
  const auto looked = ruleset.look([&]() -> Result<bool> {
    chains.clear();
    return ruleset.list(make_message(NFT_MSG_GETCHAIN, 0, NFPROTO_UNSPEC), "chains of the host's firewall",
                        [&](const nlmsghdr& message) {
                          if (auto chain = decode_chain(message)) chains.push_back(*std::move(chain));
                        });
  });
  if (!looked) return looked.error();
  return other_firewalls_in(chains, bridge);
}

}  // namespace lanwright::nftables
