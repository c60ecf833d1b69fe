#include "reconcilers/plan/host_bridge.h"

#include <string>
#include <utility>

#include "reconcilers/kinds/bridge.h"
#include "reconcilers/plan/comparers.h"
#include "reconcilers/plan/uplinks.h"

namespace lanwright::planning {

void compare_host_bridge(Draft& draft, const Cursor& at, const LinkSpec& bridge) {
  if (draft.creates(bridge.at)) return;  // one of our own
  const LinkFact* found = draft.observed().find(bridge.at);
  if (found == nullptr)
    return draft.block(
        at, waiting(at.entry, bridge.at, "there is no such bridge", "it is used as soon as it appears"));
  if (auto why = unfit_host_bridge(at.entry, bridge, *found)) return draft.block(at, std::move(*why));
  if (!found->up)
    draft.block(at,
                waiting(at.entry, bridge.at, "the bridge is down", "ip link set " + bridge.at.name + " up"));
}

std::optional<Error> unfit_host_bridge(const DesiredObject& network, const LinkSpec& bridge,
                                       const LinkFact& found) {
  if (found.name != bridge.at.name)  // rules of the firewall know it by no other
    return conflict(network, bridge.at, "that is an alternative name of " + found.name,
                    "say `existing: " + found.name + "`");
  if (found.kind != kinds::kBridge.name)
    return conflict(network, bridge.at, "it is no bridge (" + kind_or_physical(found) + ")",
                    "name a bridge, or have one made and plug this link in with `uplinks`");
  if (auto why = mtu_too_low(network, bridge, found)) return why;
  if (!bridge.mtu || found.mtu <= *bridge.mtu) return std::nullopt;
  // br_mtu_auto_adjust() in net/bridge/br_if.c
  const std::string mtu = std::to_string(found.mtu);
  return conflict(
      network, bridge.at,
      "its mtu is " + mtu + ", which ports of the network's " + std::to_string(*bridge.mtu) + " would lower",
      "say `mtu: " + mtu + "` of the network");
}

}  // namespace lanwright::planning
