#include "reconcilers/ovs/facts.h"

#include <algorithm>
#include <charconv>
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

std::optional<int> number_in(const std::string& text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool good = error == std::errc{} && end == text.data() + text.size() && number > 0;
  return good ? std::optional(number) : std::nullopt;
}

OvsPortFact port_fact(const Tables& tables, const PortRow& row) {
  OvsPortFact fact;
  fact.mark = mark_in(row.external_ids);
  fact.ifindex = number_in(text_at(row.external_ids, kIfindexKey));
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

// Ports of either that differ, by name; the bridge's own name stands for its local port and all else of it.
void add_differences(const std::string& name, const OvsBridgeFact& was, const OvsBridgeFact& is,
                     ObservedChange& moved) {
  const auto add = [&](const std::string& port, const OvsPortFact& fact) {
    moved.ovs_ports.insert(port);
    if (fact.mark) moved.uids.insert(fact.mark->uid);
  };
  const auto add_missing = [&](const OvsBridgeFact& from, const OvsBridgeFact& other) {
    for (const auto& [port, fact] : from.ports) {
      const auto known = other.ports.find(port);
      if (known == other.ports.end() || known->second != fact) add(port, fact);
    }
  };
  add_missing(was, is);
  add_missing(is, was);
  moved.ovs_ports.insert(name);
  const bool has_another_id = was.datapath_id != is.datapath_id || was.running_id != is.running_id;
  if (was.mark != is.mark || has_another_id) moved.ovs_bridges.insert(name);
  for (const auto& mark : {was.mark, is.mark}) {
    if (mark) moved.uids.insert(mark->uid);
  }
}

// What a port is without is a failure from now on.
void add_ports_without_number(const std::string& name, const OvsBridgeFact& fact, ObservedChange& moved) {
  if (fact.local && !fact.local->ofport) moved.ovs_ports.insert(name);
  for (const auto& [port, its] : fact.ports) {
    if (!its.ofport) moved.ovs_ports.insert(port);
  }
}

}  // namespace

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

OvsBridgeFact bridge_fact(const Tables& tables, const BridgeRow& row) {
  OvsBridgeFact fact;
  fact.mark = mark_in(row.external_ids);
  fact.datapath_type = row.datapath_type.empty() ? "system" : row.datapath_type;
  fact.datapath_id = text_at(row.other_config, "datapath-id");
  fact.running_id = row.datapath_id.value_or("");
  fact.fail_mode = row.fail_mode.value_or("standalone");
  fact.protocols = row.protocols;
  fact.local_mac = text_at(row.other_config, "hwaddr");
  fact.switching = {row.stp, row.rstp, row.mcast_snooping};
  fact.in_band = text_at(row.other_config, "disable-in-band") != "true";
  for (const ovsdb::Uuid& uuid : row.ports) {
    const auto* port = tables.of<PortRow>().find(uuid);
    if (port == nullptr) continue;
    if (port->name == row.name)
      fact.local = port_fact(tables, *port);
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

void take_changes(const Tables& tables, const ovsdb::RowChanges& changes, OvsFacts& facts,
                  ObservedChange& moved) {
  if (changes.empty()) return;
  const ovsdb::RootRow* root = tables.root();
  const bool was_taken_up = facts.taken_up;
  facts.initialised = root != nullptr;
  facts.taken_up = root != nullptr && root->cur_cfg >= root->next_cfg;
  facts.userspace_tso = root != nullptr && text_at(root->other_config, "userspace-tso-enable") == "true";
  const bool may_be_judged = facts.taken_up && !was_taken_up;
  const auto& bridges = tables.of<BridgeRow>();
  const OvsBridgeFact nothing;
  for (auto known = facts.bridges.begin(); known != facts.bridges.end();) {
    const bool gone = bridges.find(known->first) == nullptr;
    if (gone) {
      moved.ovs_bridges.insert(known->first);
      add_differences(known->first, known->second, nothing, moved);
    }
    known = gone ? facts.bridges.erase(known) : std::next(known);
  }
  for (const auto& [uuid, row] : bridges.rows()) {
    const auto known = facts.bridges.find(row.name);
    if (may_be_judged && known != facts.bridges.end())
      add_ports_without_number(row.name, known->second, moved);
    if (!is_touched(tables, row, changes)) continue;
    OvsBridgeFact fact = bridge_fact(tables, row);
    const bool is_new = known == facts.bridges.end();
    if (!is_new && known->second == fact) continue;
    if (is_new) moved.ovs_bridges.insert(row.name);
    add_differences(row.name, is_new ? nothing : known->second, fact, moved);
    facts.bridges[row.name] = std::move(fact);
  }
}

}  // namespace lanwright::ovs
