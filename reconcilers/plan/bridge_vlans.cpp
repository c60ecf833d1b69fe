#include "reconcilers/plan/bridge_vlans.h"

#include <linux/if_ether.h>

#include <algorithm>

#include "reconcilers/kinds/bridge.h"
#include "reconcilers/kinds/vlan.h"

namespace lanwright::planning {
namespace {

// Of a VLAN link with the tags that bridges filter by; others pass them untouched. 0: it is none.
std::uint16_t vid_of(const std::string& kind, const LinkAttributes& attributes) {
  if (kind != kinds::kVlan.name || find(attributes, kinds::vlan::kProtocol) != ETH_P_8021Q) return 0;
  return static_cast<std::uint16_t>(find(attributes, kinds::vlan::kId).value_or(0));
}

bool filters(const std::string& kind, const LinkAttributes& attributes) {
  return kind == kinds::kBridge.name && find(attributes, kinds::bridge::kVlanFiltering) == 1U;
}

bool is_member(const LinkFact& bridge, std::uint16_t vid) {
  const auto has = [&](const auto& vids) { return std::find(vids.begin(), vids.end(), vid) != vids.end(); };
  return bridge.vlans.pvid == vid || has(bridge.vlans.tagged) || has(bridge.vlans.odd);
}

PortVlans tagged(std::uint16_t vid) {
  return {std::nullopt, {vid}};
}

// As it is, or as the plan makes it.
bool will_filter(const Draft& draft, const LinkName& bridge, const LinkFact* found) {
  if (found != nullptr) return filters(found->kind, found->attributes);
  const DesiredObject* owner = draft.desired().owner_of(bridge);
  if (owner == nullptr) return false;
  const auto& links = draft.resources_of(*owner).links;
  return std::any_of(links.begin(), links.end(), [&](const LinkSpec& link) {
    return link.at == bridge && filters(link.kind, link.attributes);
  });
}

}  // namespace

void join_vlan_below(Draft& draft, const Cursor& at, const LinkSpec& vlan) {
  const std::uint16_t vid = vid_of(vlan.kind, vlan.attributes);
  const LinkName below{"", vlan.parent};
  const LinkFact* found = draft.creates(below) ? nullptr : draft.observed().find(below);
  if (vid == 0 || !will_filter(draft, below, found) || (found != nullptr && is_member(*found, vid))) return;
  ChangeLink change = found != nullptr ? change_of(below, *found) : ChangeLink{};
  change.at = below;
  change.kind = kinds::kBridge.name;
  change.add_vlans = tagged(vid);
  draft.act(at, at.stage + kLinks, std::move(change), "it hands no frame of that VLAN to " + vlan.at.name,
            {"vlans"});
}

void join_vlans_above(Draft& draft, const Cursor& at, const LinkSpec& bridge, const LinkFact& found) {
  if (!filters(found.kind, found.attributes)) return;
  for (const auto& [ifindex, above] : draft.host().links()) {
    if (above.parent != found.ifindex || above.parent_nsid >= 0) continue;
    const std::uint16_t vid = vid_of(above.kind, above.attributes);
    const auto mark = OwnerTag::parse(above.alias);
    const bool ours = mark && draft.desired().find_uid(mark->uid) != nullptr;
    if (vid == 0 || ours || is_member(found, vid)) continue;
    ChangeLink change = change_of({"", found.name}, found);
    change.add_vlans = tagged(vid);
    draft.act(at, at.stage + kLinks, std::move(change),
              bridge.at.name + " hands no frame of that VLAN to " + above.name, {"vlans"});
  }
}

void leave_vlan_below(Draft& draft, const Cursor& at, const LinkFact& vlan, const LinkSpec* made_anew) {
  const std::uint16_t vid = vid_of(vlan.kind, vlan.attributes);
  const LinkFact* bridge = vid != 0 && vlan.parent_nsid < 0 ? draft.host().find(vlan.parent) : nullptr;
  if (bridge == nullptr || !filters(bridge->kind, bridge->attributes) || !is_member(*bridge, vid)) return;
  if (made_anew != nullptr && made_anew->parent == bridge->name &&
      vid_of(made_anew->kind, made_anew->attributes) == vid)
    return;
  const auto mark = OwnerTag::parse(bridge->alias);
  const DesiredObject* owner = mark ? draft.desired().find_uid(mark->uid) : nullptr;
  if (owner == nullptr || owner->object.deleting) return;
  ChangeLink change = change_of({"", bridge->name}, *bridge);
  change.remove_vlans = tagged(vid);
  draft.act(at, kRemovals, std::move(change), vlan.name + " goes", {"vlans"});
}

}  // namespace lanwright::planning
