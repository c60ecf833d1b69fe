// The VLANs of a bridge itself. One that filters VLANs hands a VLAN link on it no frame of a VLAN that it is
// no member of.
#pragma once

#include "reconcilers/plan/draft.h"

namespace lanwright::planning {

// The bridge that this VLAN link stands on, if it is one that filters, becomes a member of its VLAN.
void join_vlan_below(Draft& draft, const Cursor& at, const LinkSpec& vlan);
// The bridge becomes a member of the VLANs of those links on it that are not ours.
void join_vlans_above(Draft& draft, const Cursor& at, const LinkSpec& bridge, const LinkFact& found);
// The VLAN link goes: the bridge that it stands on leaves its VLAN, unless the link is made anew there.
void leave_vlan_below(Draft& draft, const Cursor& at, const LinkFact& vlan,
                      const LinkSpec* made_anew = nullptr);

}  // namespace lanwright::planning
