#include "reconcilers/ovsdb/rows.h"

#include <array>

namespace lanwright::ovsdb {
namespace {

template <class Row, auto Member>
bool read_member(const Value& value, Row& row) {
  return read(value, row.*Member);
}
template <class Row, auto Member>
constexpr Column<Row> column(std::string_view name) {
  return {name, read_member<Row, Member>};
}

template <class Row>
void add_request(Json& requests) {
  Json names = Json::array();
  for (const Column<Row>& each : columns_of<Row>()) names.push_back(each.name);
  requests[Row::kTable] = {{"columns", std::move(names)}};
}

}  // namespace

template <>
std::span<const Column<RootRow>> columns_of() {
  static constexpr std::array kColumns{
      column<RootRow, &RootRow::bridges>("bridges"),
      column<RootRow, &RootRow::next_cfg>("next_cfg"),
      column<RootRow, &RootRow::cur_cfg>("cur_cfg"),
      column<RootRow, &RootRow::ovs_version>("ovs_version"),
      column<RootRow, &RootRow::other_config>("other_config"),
  };
  return kColumns;
}

template <>
std::span<const Column<BridgeRow>> columns_of() {
  static constexpr std::array kColumns{
      column<BridgeRow, &BridgeRow::name>("name"),
      column<BridgeRow, &BridgeRow::datapath_type>("datapath_type"),
      column<BridgeRow, &BridgeRow::datapath_id>("datapath_id"),
      column<BridgeRow, &BridgeRow::fail_mode>("fail_mode"),
      column<BridgeRow, &BridgeRow::protocols>("protocols"),
      column<BridgeRow, &BridgeRow::stp>("stp_enable"),
      column<BridgeRow, &BridgeRow::rstp>("rstp_enable"),
      column<BridgeRow, &BridgeRow::mcast_snooping>("mcast_snooping_enable"),
      column<BridgeRow, &BridgeRow::ports>("ports"),
      column<BridgeRow, &BridgeRow::controllers>("controller"),
      column<BridgeRow, &BridgeRow::mirrors>("mirrors"),
      column<BridgeRow, &BridgeRow::other_config>("other_config"),
      column<BridgeRow, &BridgeRow::external_ids>("external_ids"),
  };
  return kColumns;
}

template <>
std::span<const Column<PortRow>> columns_of() {
  static constexpr std::array kColumns{
      column<PortRow, &PortRow::name>("name"),
      column<PortRow, &PortRow::interfaces>("interfaces"),
      column<PortRow, &PortRow::tag>("tag"),
      column<PortRow, &PortRow::trunks>("trunks"),
      column<PortRow, &PortRow::vlan_mode>("vlan_mode"),
      column<PortRow, &PortRow::external_ids>("external_ids"),
  };
  return kColumns;
}

template <>
std::span<const Column<InterfaceRow>> columns_of() {
  static constexpr std::array kColumns{
      column<InterfaceRow, &InterfaceRow::name>("name"),
      column<InterfaceRow, &InterfaceRow::type>("type"),
      column<InterfaceRow, &InterfaceRow::ofport_request>("ofport_request"),
      column<InterfaceRow, &InterfaceRow::ofport>("ofport"),
      column<InterfaceRow, &InterfaceRow::error>("error"),
      column<InterfaceRow, &InterfaceRow::mtu_request>("mtu_request"),
      column<InterfaceRow, &InterfaceRow::external_ids>("external_ids"),
  };
  return kColumns;
}

template <>
std::span<const Column<ControllerRow>> columns_of() {
  static constexpr std::array kColumns{
      column<ControllerRow, &ControllerRow::target>("target"),
      column<ControllerRow, &ControllerRow::is_connected>("is_connected"),
      column<ControllerRow, &ControllerRow::max_backoff>("max_backoff"),
      column<ControllerRow, &ControllerRow::inactivity_probe>("inactivity_probe"),
      column<ControllerRow, &ControllerRow::connection_mode>("connection_mode"),
      column<ControllerRow, &ControllerRow::external_ids>("external_ids"),
  };
  return kColumns;
}

template <>
std::span<const Column<MirrorRow>> columns_of() {
  static constexpr std::array kColumns{
      column<MirrorRow, &MirrorRow::name>("name"),
      column<MirrorRow, &MirrorRow::select_all>("select_all"),
      column<MirrorRow, &MirrorRow::select_src_port>("select_src_port"),
      column<MirrorRow, &MirrorRow::select_dst_port>("select_dst_port"),
      column<MirrorRow, &MirrorRow::output_port>("output_port"),
      column<MirrorRow, &MirrorRow::output_vlan>("output_vlan"),
      column<MirrorRow, &MirrorRow::external_ids>("external_ids"),
  };
  return kColumns;
}

template <class Row>
Result<Row> row_from(const Json& json) {
  const auto refuse = [](std::string_view column, const std::string& words) {
    return Error{ErrorKind::invalid,
                 "read",
                 std::string("column ") + std::string(column) + " of table " + Row::kTable,
                 0,
                 words,
                 "see whether this release of Open vSwitch has schema 8.3: ovsdb-client get-schema-version"};
  };
  Row row;
  if (!json.is_object()) return refuse("_uuid", "no row: " + shown(json));
  for (const Column<Row>& each : columns_of<Row>()) {
    const auto found = json.find(each.name);
    if (found == json.end()) return refuse(each.name, "it is missing");
    auto value = value_from(*found);
    if (!value) return refuse(each.name, value.error().words);
    if (!each.read(*value, row)) return refuse(each.name, "it has another type: " + shown(*found));
  }
  return row;
}
template Result<RootRow> row_from(const Json&);
template Result<BridgeRow> row_from(const Json&);
template Result<PortRow> row_from(const Json&);
template Result<InterfaceRow> row_from(const Json&);
template Result<ControllerRow> row_from(const Json&);
template Result<MirrorRow> row_from(const Json&);

Json monitor_requests() {
  Json requests = Json::object();
  add_request<RootRow>(requests);
  add_request<BridgeRow>(requests);
  add_request<PortRow>(requests);
  add_request<InterfaceRow>(requests);
  add_request<ControllerRow>(requests);
  add_request<MirrorRow>(requests);
  return requests;
}

}  // namespace lanwright::ovsdb
