// What the rows of Open vSwitch's database mean. Pure, any thread.
#pragma once

#include <set>
#include <string>

#include "model/observed.h"
#include "model/ovs.h"
#include "reconcilers/ovsdb/tables.h"

namespace lanwright::ovs {

// The key of external_ids that holds an owner's mark, in the form that links have in their alias.
inline constexpr const char* kOwnerKey = "lanwright";
// And the one of a port that holds the ifindex of the link that was plugged in.
inline constexpr const char* kIfindexKey = "lanwright-ifindex";

// Brings `facts` up to date after these rows changed, and adds to `moved` what is another now.
void take_changes(const ovsdb::Tables& tables, const ovsdb::RowChanges& changes, OvsFacts& facts,
                  ObservedChange& moved);

OvsBridgeFact bridge_fact(const ovsdb::Tables& tables, const ovsdb::BridgeRow& row);

// How a port's VLANs stand in its columns `vlan_mode`, `tag` and `trunks`, and back.
struct VlanColumns {
  std::optional<std::string> mode;
  std::optional<std::int64_t> tag;
  std::set<std::int64_t> trunks;
  bool operator==(const VlanColumns&) const = default;
};
VlanColumns columns_of(const PortVlans& vlans);
// Absent for what PortVlans does not have: QinQ, a PVID that is tagged too.
std::optional<PortVlans> vlans_of(const VlanColumns& columns);

}  // namespace lanwright::ovs
