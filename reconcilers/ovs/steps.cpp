#include "reconcilers/ovs/steps.h"

#include <utility>
#include <variant>
#include <vector>

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

void add_switching(const OvsSwitching& switching, Columns& bridge) {
  bridge["stp_enable"] = value_of(Atom(switching.stp));
  bridge["rstp_enable"] = value_of(Atom(switching.rstp));
  bridge["mcast_snooping_enable"] = value_of(Atom(switching.mcast_snooping));
}

NamedUuid insert_port(Transaction& transaction, const std::string& name, Columns port, Columns interface) {
  port["name"] = interface["name"] = text(name);
  port["interfaces"] = value_of(Atom(transaction.insert(InterfaceRow::kTable, interface)));
  transaction.await_port(name);
  return transaction.insert(PortRow::kTable, port);
}

NamedUuid insert_port(Transaction& transaction, const AddOvsPort& step) {
  const OvsPortSpec& spec = step.spec;
  const StringMap ids{{kOwnerKey, step.mark.text()}, {kIfindexKey, std::to_string(step.ifindex)}};
  Columns port{{"external_ids", value_of(ids)}};
  add_vlans(spec.vlans, port);
  return insert_port(transaction, spec.link, std::move(port), {{"ofport_request", value_of(spec.ofport)}});
}

NamedUuid insert_controller(Transaction& transaction, const OvsController& spec) {
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

Result<Transaction> build(const CreateOvsBridge& step, const Tables& tables) {
  Transaction transaction("create", "bridge " + step.at.name + " of Open vSwitch");
  if (tables.root_uuid() == nullptr)
    return transaction.error(ErrorKind::waiting, "its database is not initialised",
                             "start Open vSwitch, or: ovs-vsctl --no-wait init");
  transaction.expect_no_row(BridgeRow::kTable, step.at.name);
  const OvsBridgeSpec& spec = step.spec;
  Columns local;
  add_vlans(spec.local_vlans, local);
  Set ports{insert_port(transaction, step.at.name, std::move(local), {{"type", text("internal")}})};
  StringMap other{{"disable-in-band", "true"}};
  if (spec.datapath_id) other["datapath-id"] = *spec.datapath_id;
  if (spec.local_mac) other["hwaddr"] = spec.local_mac->text();
  Columns columns{{"name", text(step.at.name)},
                  {"datapath_type", text(spec.datapath_type)},
                  {"fail_mode", text(spec.fail_mode)},
                  {"protocols", value_of(spec.protocols)},
                  {"ports", ports},
                  {"other_config", value_of(other)},
                  {"external_ids", owner({step.uid, {}})}};
  add_switching(spec.switching, columns);
  const NamedUuid bridge = transaction.insert(BridgeRow::kTable, columns);
  transaction.add_to(ovsdb::RootRow::kTable, *tables.root_uuid(), "bridges", value_of(Atom(bridge)));
  return transaction;
}

Result<Transaction> build(const ChangeOvsBridge& step, const Tables& tables) {
  Transaction transaction("change", "bridge " + step.at.name + " of Open vSwitch");
  const auto bridge = owned(transaction, tables, step.at.name, step.uid);
  if (!bridge) return bridge.error();
  Columns columns;
  if (step.datapath_type) columns["datapath_type"] = text(*step.datapath_type);
  if (step.fail_mode) columns["fail_mode"] = text(*step.fail_mode);
  if (step.protocols) columns["protocols"] = value_of(*step.protocols);
  if (step.switching) add_switching(*step.switching, columns);
  if (!columns.empty()) transaction.update(BridgeRow::kTable, *bridge->uuid, columns);
  StringMap other;
  if (step.datapath_id) other["datapath-id"] = *step.datapath_id;
  if (step.local_mac) other["hwaddr"] = step.local_mac->text();
  if (step.out_of_band) other["disable-in-band"] = "true";
  if (!other.empty()) transaction.set_keys(BridgeRow::kTable, *bridge->uuid, "other_config", other);
  if (step.local_vlans) {
    const Uuid* local = tables.of<PortRow>().uuid_of(step.at.name);
    if (local == nullptr) return transaction.error(ErrorKind::waiting, "it has no local port yet");
    Columns vlans;
    add_vlans(*step.local_vlans, vlans);
    transaction.update(PortRow::kTable, *local, vlans);
  }
  transaction.await_port(step.at.name);
  return transaction;
}

Result<Transaction> build(const SetOvsControllers& step, const Tables& tables) {
  Transaction transaction("set", "controllers of bridge " + step.at.name + " of Open vSwitch");
  const auto bridge = owned(transaction, tables, step.at.name, step.uid);
  if (!bridge) return bridge.error();
  Set rows;
  for (const OvsController& spec : step.controllers) {
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

Result<Transaction> build(const RemoveOvsBridge& step, const Tables& tables) {
  Transaction transaction("remove", "bridge " + step.at.name + " of Open vSwitch");
  const auto bridge = owned(transaction, tables, step.at.name, step.uid);
  if (!bridge) return bridge.error();
  if (tables.root_uuid() == nullptr) return transaction.error(ErrorKind::conflict, "its database is gone");
  transaction.remove_from(ovsdb::RootRow::kTable, *tables.root_uuid(), "bridges",
                          value_of(Atom(*bridge->uuid)));
  return transaction;
}

// All of them into one bridge.
Result<Transaction> build(std::span<const AddOvsPort* const> steps, const Tables& tables) {
  const AddOvsPort& first = *steps.front();
  Transaction transaction("plug in", (steps.size() == 1 ? "port " + first.at.name : std::string("ports")) +
                                         " of bridge " + first.spec.bridge + " of Open vSwitch");
  if (tables.of<BridgeRow>().find(first.spec.bridge) == nullptr)
    return transaction.error(ErrorKind::waiting, "the bridge is not there yet",
                             "it is plugged in as soon as the bridge is made");
  const auto bridge = owned(transaction, tables, first.spec.bridge, first.bridge_uid);
  if (!bridge) return bridge.error();
  for (const AddOvsPort* step : steps) {
    if (step->ifindex == 0) return transaction.error(ErrorKind::waiting, "there is no link " + step->at.name);
  }
  Set rows;
  for (const AddOvsPort* step : steps) rows.insert(insert_port(transaction, *step));
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

Result<Transaction> build(const ChangeOvsPort& step, const Tables& tables) {
  const OvsPortSpec& spec = step.spec;
  Transaction transaction("change", "port " + spec.link + " of bridge " + spec.bridge + " of Open vSwitch");
  const auto bridge = owned(transaction, tables, spec.bridge, step.bridge_uid);
  if (!bridge) return bridge.error();
  const auto port = owned_port(transaction, tables, spec.link, step.mark);
  if (!port) return port.error();
  const PortRow* row = tables.of<PortRow>().find(*port);
  if (row->interfaces.size() != 1)
    return transaction.error(ErrorKind::conflict, "it has become a bond of several interfaces");
  Columns columns;
  add_vlans(spec.vlans, columns);
  transaction.update(PortRow::kTable, *port, columns);
  if (spec.ofport)
    transaction.update(InterfaceRow::kTable, *row->interfaces.begin(),
                       {{"ofport_request", value_of(spec.ofport)}});
  transaction.await_port(spec.link);
  return transaction;
}

// All of them off one bridge.
Result<Transaction> build(std::span<const RemoveOvsPort* const> steps, const Tables& tables) {
  const std::string& name = steps.front()->bridge;
  Transaction transaction("unplug",
                          (steps.size() == 1 ? "port " + steps.front()->at.name : std::string("ports")) +
                              " of bridge " + name + " of Open vSwitch");
  const Uuid* bridge = tables.of<BridgeRow>().uuid_of(name);
  if (bridge == nullptr) return transaction.error(ErrorKind::conflict, "the bridge is gone");
  Set rows;
  for (const RemoveOvsPort* step : steps) {
    const auto port = owned_port(transaction, tables, step->at.name, step->mark);
    if (!port) return port.error();
    rows.insert(*port);
  }
  transaction.remove_from(BridgeRow::kTable, *bridge, "ports", rows);
  return transaction;
}

template <class Kind>
Result<Transaction> build_together(std::span<const Step* const> steps, const Tables& tables) {
  std::vector<const Kind*> all;
  for (const Step* step : steps) all.push_back(&std::get<Kind>(*step));
  return build(std::span<const Kind* const>(all), tables);
}

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

}  // namespace

const std::string& bridge_of(const Step& step) {
  return std::visit(Overloaded{[](const AddOvsPort& s) -> const std::string& { return s.spec.bridge; },
                               [](const ChangeOvsPort& s) -> const std::string& { return s.spec.bridge; },
                               [](const RemoveOvsPort& s) -> const std::string& { return s.bridge; },
                               [](const CreateLink& s) -> const std::string& { return s.link.at.name; },
                               [](const auto& s) -> const std::string& { return s.at.name; }},
                    step);
}

OwnerTag mark_of(const Step& step) {
  return std::visit(
      Overloaded{[](const AddOvsPort& s) { return s.mark; }, [](const ChangeOvsPort& s) { return s.mark; },
                 [](const RemoveOvsPort& s) { return s.mark; },
                 [](const CreateOvsBridge& s) {
                   return OwnerTag{s.uid, {}};
                 },
                 [](const ChangeOvsBridge& s) {
                   return OwnerTag{s.uid, {}};
                 },
                 [](const SetOvsControllers& s) {
                   return OwnerTag{s.uid, {}};
                 },
                 [](const RemoveOvsBridge& s) {
                   return OwnerTag{s.uid, {}};
                 },
                 [](const auto&) { return OwnerTag{}; }},
      step);
}

bool go_together(const Step& one, const Step& other) {
  const auto* add = std::get_if<AddOvsPort>(&one);
  const auto* add_too = std::get_if<AddOvsPort>(&other);
  if (add != nullptr && add_too != nullptr)
    return add->spec.bridge == add_too->spec.bridge && add->bridge_uid == add_too->bridge_uid;
  const auto* remove = std::get_if<RemoveOvsPort>(&one);
  const auto* remove_too = std::get_if<RemoveOvsPort>(&other);
  return remove != nullptr && remove_too != nullptr && remove->bridge == remove_too->bridge;
}

Result<Transaction> transaction_of(std::span<const Step* const> steps, const Tables& tables) {
  const Step& first = *steps.front();
  return std::visit(
      Overloaded{[&](const CreateOvsBridge& s) { return build(s, tables); },
                 [&](const ChangeOvsBridge& s) { return build(s, tables); },
                 [&](const SetOvsControllers& s) { return build(s, tables); },
                 [&](const RemoveOvsBridge& s) { return build(s, tables); },
                 [&](const AddOvsPort&) { return build_together<AddOvsPort>(steps, tables); },
                 [&](const ChangeOvsPort& s) { return build(s, tables); },
                 [&](const RemoveOvsPort&) { return build_together<RemoveOvsPort>(steps, tables); },
                 [](const auto&) {
                   return Result<Transaction>(Error{
                       ErrorKind::internal, "act", "a link", 0, "this is no work for Open vSwitch", {}});
                 }},
      first);
}

}  // namespace lanwright::ovs
