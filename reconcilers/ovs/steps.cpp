#include "reconcilers/ovs/steps.h"

#include <utility>

#include "reconcilers/ovs/facts.h"

namespace lanwright::ovs {
namespace {

using ovsdb::Atom;
using ovsdb::BridgeRow;
using ovsdb::Columns;
using ovsdb::ControllerRow;
using ovsdb::InterfaceRow;
using ovsdb::NamedUuid;
using ovsdb::PortRow;
using ovsdb::Set;
using ovsdb::StringMap;
using ovsdb::Tables;
using ovsdb::Transaction;
using ovsdb::Uuid;
using ovsdb::Value;
using ovsdb::value_of;

Value text(const std::string& value) {
  return value_of(Atom(value));
}

Value owner(const OwnerTag& mark) {
  return value_of(StringMap{{kOwnerKey, mark.text()}});
}

void add_vlans(const PortVlans& vlans, Columns& port) {
  const VlanColumns columns = columns_of(vlans);
  port["vlan_mode"] = value_of(columns.mode);
  port["tag"] = value_of(columns.tag);
  port["trunks"] = value_of(columns.trunks);
}

NamedUuid insert_port(Transaction& transaction, const std::string& name, Columns port, Columns interface) {
  port["name"] = interface["name"] = text(name);
  port["interfaces"] = value_of(Atom(transaction.insert(InterfaceRow::kTable, interface)));
  transaction.await_port(name);
  return transaction.insert(PortRow::kTable, port);
}

NamedUuid insert_port(Transaction& transaction, const std::string& name, const PortSpec& spec) {
  Columns port{{"external_ids", owner(spec.mark)}};
  add_vlans(spec.vlans, port);
  return insert_port(transaction, name, std::move(port), {{"ofport_request", value_of(spec.ofport)}});
}

NamedUuid insert_controller(Transaction& transaction, const ControllerSpec& spec) {
  return transaction.insert(ControllerRow::kTable,
                            {{"target", text(spec.target)}, {"max_backoff", value_of(spec.max_backoff)}});
}

// The row of a bridge that is still this owner's, and stays so until the transaction is done.
struct Owned {
  const Uuid* uuid;
  const BridgeRow* row;
};
Result<Owned> owned(Transaction& transaction, const Tables& tables, const std::string& bridge,
                    const ObjectUid& uid) {
  const auto& bridges = tables.of<BridgeRow>();
  const BridgeRow* row = bridges.find(bridge);
  if (row == nullptr) return transaction.error(ErrorKind::conflict, "the bridge is gone");
  const auto mark = bridge_fact(tables, *row).mark;
  if (!mark || mark->uid != uid)
    return transaction.error(ErrorKind::conflict, "the bridge does not carry the mark of its owner any more");
  transaction.expect(BridgeRow::kTable, *bridges.uuid_of(bridge),
                     {{"external_ids", value_of(row->external_ids)}});
  return Owned{bridges.uuid_of(bridge), row};
}

Result<Transaction> build(const CreateBridge& step, const Tables& tables) {
  Transaction transaction("create", "bridge " + step.bridge + " of Open vSwitch");
  if (tables.root_uuid() == nullptr)
    return transaction.error(ErrorKind::waiting, "its database is not initialised",
                             "start Open vSwitch, or: ovs-vsctl --no-wait init");
  transaction.expect_no_row(BridgeRow::kTable, step.bridge);
  const BridgeSpec& spec = step.spec;
  Set ports{insert_port(transaction, step.bridge, Columns{}, {{"type", text("internal")}})};
  for (const auto& [name, port] : spec.ports) ports.insert(insert_port(transaction, name, port));
  StringMap other{{"disable-in-band", "true"}};
  if (spec.datapath_id) other["datapath-id"] = *spec.datapath_id;
  const NamedUuid bridge = transaction.insert(BridgeRow::kTable, {{"name", text(step.bridge)},
                                                                  {"datapath_type", text(spec.datapath_type)},
                                                                  {"fail_mode", text(spec.fail_mode)},
                                                                  {"protocols", value_of(spec.protocols)},
                                                                  {"ports", ports},
                                                                  {"other_config", value_of(other)},
                                                                  {"external_ids", owner({spec.uid, {}})}});
  transaction.add_to(ovsdb::RootRow::kTable, *tables.root_uuid(), "bridges", value_of(Atom(bridge)));
  return transaction;
}

Result<Transaction> build(const ChangeBridge& step, const Tables& tables) {
  Transaction transaction("change", "bridge " + step.bridge + " of Open vSwitch");
  const auto bridge = owned(transaction, tables, step.bridge, step.uid);
  if (!bridge) return bridge.error();
  Columns columns;
  if (step.datapath_type) columns["datapath_type"] = text(*step.datapath_type);
  if (step.fail_mode) columns["fail_mode"] = text(*step.fail_mode);
  if (step.protocols) columns["protocols"] = value_of(*step.protocols);
  if (!columns.empty()) transaction.update(BridgeRow::kTable, *bridge->uuid, columns);
  StringMap other;
  if (step.datapath_id) other["datapath-id"] = *step.datapath_id;
  if (step.out_of_band) other["disable-in-band"] = "true";
  if (!other.empty()) transaction.set_keys(BridgeRow::kTable, *bridge->uuid, "other_config", other);
  transaction.await_port(step.bridge);
  return transaction;
}

Result<Transaction> build(const SetControllers& step, const Tables& tables) {
  Transaction transaction("set", "controllers of bridge " + step.bridge + " of Open vSwitch");
  const auto bridge = owned(transaction, tables, step.bridge, step.uid);
  if (!bridge) return bridge.error();
  Set rows;
  for (const ControllerSpec& spec : step.controllers) {
    const Uuid* known = nullptr;
    for (const Uuid& uuid : bridge->row->controllers) {
      const auto* row = tables.of<ControllerRow>().find(uuid);
      if (row != nullptr && row->target == spec.target) known = &uuid;
    }
    if (known == nullptr)
      rows.insert(insert_controller(transaction, spec));
    else
      rows.insert(*known);
    if (known != nullptr && spec.max_backoff)
      transaction.update(ControllerRow::kTable, *known, {{"max_backoff", value_of(spec.max_backoff)}});
  }
  transaction.update(BridgeRow::kTable, *bridge->uuid, {{"controller", rows}});
  return transaction;
}

Result<Transaction> build(const RemoveBridge& step, const Tables& tables) {
  Transaction transaction("remove", "bridge " + step.bridge + " of Open vSwitch");
  const auto bridge = owned(transaction, tables, step.bridge, step.uid);
  if (!bridge) return bridge.error();
  if (tables.root_uuid() == nullptr) return transaction.error(ErrorKind::conflict, "its database is gone");
  transaction.remove_from(ovsdb::RootRow::kTable, *tables.root_uuid(), "bridges",
                          value_of(Atom(*bridge->uuid)));
  return transaction;
}

Result<Transaction> build(const AddPorts& step, const Tables& tables) {
  Transaction transaction("plug in", "ports of bridge " + step.bridge + " of Open vSwitch");
  const auto bridge = owned(transaction, tables, step.bridge, step.uid);
  if (!bridge) return bridge.error();
  Set rows;
  for (const auto& [name, port] : step.ports) rows.insert(insert_port(transaction, name, port));
  transaction.add_to(BridgeRow::kTable, *bridge->uuid, "ports", rows);
  return transaction;
}

// Of those that carry this mark still, and do so until the transaction is done.
Result<Uuid> owned_port(Transaction& transaction, const Tables& tables, const std::string& name,
                        const OwnerTag& mark) {
  const auto& ports = tables.of<PortRow>();
  const PortRow* row = ports.find(name);
  const auto owner_key = row == nullptr ? StringMap::const_iterator() : row->external_ids.find(kOwnerKey);
  if (row == nullptr || owner_key == row->external_ids.end() || owner_key->second != mark.text())
    return transaction.error(ErrorKind::conflict, "port " + name + " is gone, or another's by now");
  transaction.expect(PortRow::kTable, *ports.uuid_of(name), {{"external_ids", value_of(row->external_ids)}});
  return *ports.uuid_of(name);
}

Result<Transaction> build(const ChangePort& step, const Tables& tables) {
  Transaction transaction("change", "port " + step.port + " of bridge " + step.bridge + " of Open vSwitch");
  const auto bridge = owned(transaction, tables, step.bridge, step.uid);
  if (!bridge) return bridge.error();
  const auto port = owned_port(transaction, tables, step.port, step.spec.mark);
  if (!port) return port.error();
  const PortRow* row = tables.of<PortRow>().find(*port);
  if (row->interfaces.size() != 1)
    return transaction.error(ErrorKind::conflict, "it has become a bond of several interfaces");
  Columns columns;
  add_vlans(step.spec.vlans, columns);
  transaction.update(PortRow::kTable, *port, columns);
  if (step.spec.ofport)
    transaction.update(InterfaceRow::kTable, *row->interfaces.begin(),
                       {{"ofport_request", value_of(step.spec.ofport)}});
  transaction.await_port(step.port);
  return transaction;
}

Result<Transaction> build(const RemovePorts& step, const Tables& tables) {
  Transaction transaction("remove", "ports of bridge " + step.bridge + " of Open vSwitch");
  const auto bridge = owned(transaction, tables, step.bridge, step.uid);
  if (!bridge) return bridge.error();
  Set rows;
  for (const auto& [name, mark] : step.ports) {
    const auto port = owned_port(transaction, tables, name, mark);
    if (!port) return port.error();
    rows.insert(*port);
  }
  transaction.remove_from(BridgeRow::kTable, *bridge->uuid, "ports", rows);
  return transaction;
}

}  // namespace

const std::string& bridge_of(const Step& step) {
  return std::visit([](const auto& each) -> const std::string& { return each.bridge; }, step);
}

Result<Transaction> transaction_of(const Step& step, const Tables& tables) {
  return std::visit([&](const auto& each) { return build(each, tables); }, step);
}

}  // namespace lanwright::ovs
