// The rows that the agent keeps of Open vSwitch's database, with the columns that it needs: nothing that
// counts or ticks, so that a database at rest sends nothing. Source: ovs-vswitchd.conf.db(5), schema 8.3.
// Values, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "model/base/result.h"
#include "reconcilers/ovsdb/values.h"

namespace lanwright::ovsdb {

inline constexpr const char* kDatabase = "Open_vSwitch";

// The only row of its table; made by `ovs-vsctl init`.
struct RootRow {
  static constexpr const char* kTable = "Open_vSwitch";
  std::set<Uuid> bridges;
  std::int64_t next_cfg = 0;  // raised with each change
  std::int64_t cur_cfg = 0;   // as far as ovs-vswitchd has come
  std::optional<std::string> ovs_version;
  StringMap other_config;
  bool operator==(const RootRow&) const = default;
};

struct BridgeRow {
  static constexpr const char* kTable = "Bridge";
  std::string name;
  std::string datapath_type;  // "" is `system`
  // As it is; wanted is other_config:datapath-id. A server that starts has it again when ovs-vswitchd has
  // written it.
  std::optional<std::string> datapath_id;
  std::optional<std::string> fail_mode;
  std::set<std::string> protocols;
  bool stp = false;
  bool rstp = false;
  bool mcast_snooping = false;
  std::set<Uuid> ports;
  std::set<Uuid> controllers;
  std::set<Uuid> mirrors;
  StringMap other_config;
  StringMap external_ids;
  bool operator==(const BridgeRow&) const = default;
};

struct PortRow {
  static constexpr const char* kTable = "Port";
  std::string name;
  std::set<Uuid> interfaces;
  std::optional<std::int64_t> tag;
  std::set<std::int64_t> trunks;
  std::optional<std::string> vlan_mode;
  StringMap external_ids;
  bool operator==(const PortRow&) const = default;
};

struct InterfaceRow {
  static constexpr const char* kTable = "Interface";
  std::string name;
  std::string type;  // "" is a link of the host
  std::optional<std::int64_t> ofport_request;
  std::optional<std::int64_t> ofport;  // absent: not looked at, or the datapath failed; -1: it failed
  std::optional<std::string> error;    // of ovs-vswitchd, in its own words
  std::optional<std::int64_t> mtu_request;
  StringMap external_ids;
  bool operator==(const InterfaceRow&) const = default;
};

struct ControllerRow {
  static constexpr const char* kTable = "Controller";
  std::string target;
  bool is_connected = false;  // as of the last few seconds
  std::optional<std::int64_t> max_backoff;
  std::optional<std::int64_t> inactivity_probe;
  std::optional<std::string> connection_mode;
  StringMap external_ids;
  bool operator==(const ControllerRow&) const = default;
};

struct MirrorRow {
  static constexpr const char* kTable = "Mirror";
  std::string name;
  bool select_all = false;
  std::set<Uuid> select_src_port;
  std::set<Uuid> select_dst_port;
  std::optional<Uuid> output_port;
  std::optional<std::int64_t> output_vlan;
  StringMap external_ids;
  bool operator==(const MirrorRow&) const = default;
};

template <class Row>
struct Column {
  std::string_view name;
  bool (*read)(const Value&, Row&);  // false: of another type
};
template <class Row>
std::span<const Column<Row>> columns_of();

// A row with all of its columns. `invalid` when one is missing, or is no such value.
template <class Row>
Result<Row> row_from(const Json& json);

// {"Bridge": {"columns": [...]}, ...}: the <monitor-requests> for all of the above (RFC 7047, 4.1.5).
Json monitor_requests();

}  // namespace lanwright::ovsdb
