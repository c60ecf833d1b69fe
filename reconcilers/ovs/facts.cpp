#include "reconcilers/ovs/facts.h"

#include <algorithm>
#include <utility>

namespace lanwright::ovs {
namespace {

using ovsdb::BridgeRow;
using ovsdb::ControllerRow;
using ovsdb::InterfaceRow;
using ovsdb::PortRow;
using ovsdb::StringMap;
using ovsdb::Tables;

std::string text_at(const StringMap& pairs, const char* key) {
  const auto found = pairs.find(key);
  return found == pairs.end() ? std::string() : found->second;
}

std::optional<OwnerTag> mark_in(const StringMap& external_ids) {
  return OwnerTag::parse(text_at(external_ids, kOwnerKey));
}

PortFact port_fact(const Tables& tables, const PortRow& row) {
  PortFact fact;
  fact.mark = mark_in(row.external_ids);
  fact.vlans = vlans_of({row.vlan_mode, row.tag, row.trunks});
  // A bond has several, and no number of its own.
  if (row.interfaces.size() != 1) return fact;
  const auto* interface = tables.of<InterfaceRow>().find(*row.interfaces.begin());
  if (interface == nullptr) return fact;
  fact.ofport = interface->ofport;
  fact.ofport_request = interface->ofport_request;
  fact.error = interface->error;
  return fact;
}

bool is_touched(const Tables& tables, const BridgeRow& bridge, const ovsdb::RowChanges& changes) {
  if (changes.has<BridgeRow>(bridge.name)) return true;
  for (const ovsdb::Uuid& uuid : bridge.controllers) {
    const auto* row = tables.of<ControllerRow>().find(uuid);
    if (row != nullptr && changes.has<ControllerRow>(row->target)) return true;
  }
  for (const ovsdb::Uuid& uuid : bridge.ports) {
    const auto* port = tables.of<PortRow>().find(uuid);
    if (port == nullptr) continue;
    if (changes.has<PortRow>(port->name)) return true;
    for (const ovsdb::Uuid& each : port->interfaces) {
      const auto* interface = tables.of<InterfaceRow>().find(each);
      if (interface != nullptr && changes.has<InterfaceRow>(interface->name)) return true;
    }
  }
  return false;
}

bool has_port_without_number(const BridgeFact& fact) {
  return std::any_of(fact.ports.begin(), fact.ports.end(),
                     [](const auto& each) { return !each.second.ofport; });
}

}  // namespace

const std::string* bridge_of(const Observed& observed, const std::string& port) {
  for (const auto& [name, bridge] : observed.bridges) {
    if (bridge.ports.contains(port)) return &name;
  }
  return nullptr;
}

VlanColumns columns_of(const PortVlans& vlans) {
  VlanColumns columns;
  if (vlans.empty()) return columns;
  columns.mode = vlans.tagged.empty() ? "access" : vlans.pvid ? "native-untagged" : "trunk";
  if (vlans.pvid) columns.tag = *vlans.pvid;
  columns.trunks.insert(vlans.tagged.begin(), vlans.tagged.end());
  return columns;
}

// Without a mode it is an access port when it has a tag, and a trunk otherwise.
std::optional<PortVlans> vlans_of(const VlanColumns& columns) {
  PortVlans vlans;
  const std::string mode = columns.mode.value_or(columns.tag ? "access" : "trunk");
  const bool has_tag = columns.tag.has_value();
  if (has_tag && mode != "trunk") vlans.pvid = static_cast<std::uint16_t>(*columns.tag);
  if (mode != "access") {
    for (const std::int64_t vid : columns.trunks) vlans.tagged.push_back(static_cast<std::uint16_t>(vid));
  }
  const bool is_known = (mode == "access" && has_tag) || mode == "trunk" ||
                        (mode == "native-untagged" && has_tag && !columns.trunks.empty());
  return is_known ? std::optional(std::move(vlans)) : std::nullopt;
}

BridgeFact bridge_fact(const Tables& tables, const BridgeRow& row) {
  BridgeFact fact;
  fact.mark = mark_in(row.external_ids);
  fact.datapath_type = row.datapath_type.empty() ? "system" : row.datapath_type;
  fact.datapath_id = text_at(row.other_config, "datapath-id");
  fact.running_id = row.datapath_id.value_or("");
  fact.fail_mode = row.fail_mode.value_or("standalone");
  fact.protocols = row.protocols;
  fact.in_band = text_at(row.other_config, "disable-in-band") != "true";
  for (const ovsdb::Uuid& uuid : row.ports) {
    const auto* port = tables.of<PortRow>().find(uuid);
    if (port == nullptr) continue;
    if (port->name == row.name)
      fact.has_local = true;
    else
      fact.ports.emplace(port->name, port_fact(tables, *port));
  }
  for (const ovsdb::Uuid& uuid : row.controllers) {
    if (const auto* each = tables.of<ControllerRow>().find(uuid))
      fact.controllers.push_back({each->target, each->max_backoff, each->is_connected});
  }
  std::sort(fact.controllers.begin(), fact.controllers.end(),
            [](const auto& a, const auto& b) { return a.target < b.target; });
  return fact;
}

std::set<std::string> take_changes(const Tables& tables, const ovsdb::RowChanges& changes,
                                   Observed& observed) {
  std::set<std::string> moved;
  if (changes.empty()) return moved;
  const ovsdb::RootRow* root = tables.root();
  const bool was_taken_up = observed.taken_up;
  observed.initialised = root != nullptr;
  observed.taken_up = root != nullptr && root->cur_cfg >= root->next_cfg;
  const bool may_be_judged = observed.taken_up && !was_taken_up;
  const auto& bridges = tables.of<BridgeRow>();
  for (auto known = observed.bridges.begin(); known != observed.bridges.end();) {
    const bool gone = bridges.find(known->first) == nullptr;
    if (gone) moved.insert(known->first);
    known = gone ? observed.bridges.erase(known) : std::next(known);
  }
  for (const auto& [uuid, row] : bridges.rows()) {
    const auto known = observed.bridges.find(row.name);
    // What a port is without is a failure from now on.
    if (may_be_judged && known != observed.bridges.end() && has_port_without_number(known->second))
      moved.insert(row.name);
    if (!is_touched(tables, row, changes)) continue;
    BridgeFact fact = bridge_fact(tables, row);
    if (known != observed.bridges.end() && known->second == fact) continue;
    moved.insert(row.name);
    observed.bridges[row.name] = std::move(fact);
  }
  return moved;
}

}  // namespace lanwright::ovs
