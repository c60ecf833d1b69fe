// What the rows of Open vSwitch's database mean. Pure, any thread.
#pragma once

#include <set>
#include <string>

#include "reconcilers/ovs/bridges.h"
#include "reconcilers/ovsdb/tables.h"

namespace lanwright::ovs {

// Brings `observed` up to date after these rows changed. Answers which bridges came, changed or went.
std::set<std::string> take_changes(const ovsdb::Tables& tables, const ovsdb::RowChanges& changes,
                                   Observed& observed);

BridgeFact bridge_fact(const ovsdb::Tables& tables, const ovsdb::BridgeRow& row);

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
