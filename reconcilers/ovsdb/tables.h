// The agent's copy of Open vSwitch's database, kept by a monitor (RFC 7047, 4.1.5 and 4.1.6).
// One thread.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "model/base/result.h"
#include "reconcilers/ovsdb/rows.h"

namespace lanwright::ovsdb {

// By what people call it: controllers by their target, the root by its table.
inline const std::string& name_of(const ControllerRow& row) {
  return row.target;
}
inline std::string name_of(const RootRow& /*row*/) {
  return RootRow::kTable;
}
template <class Row>
const std::string& name_of(const Row& row) {
  return row.name;
}

// Which rows came, changed or went: by the name of the table, under each name that they had.
struct RowChanges {
  std::map<std::string, std::set<std::string>> names;

  bool empty() const { return names.empty(); }
  template <class Row>
  bool has(const std::string& name) const {
    const auto table = names.find(Row::kTable);
    return table != names.end() && table->second.contains(name);
  }
  void add(const RowChanges& others) {
    for (const auto& [table, rows] : others.names) names[table].insert(rows.begin(), rows.end());
  }
};

template <class Row>
class Table {
 public:
  using Staged = std::map<Uuid, std::optional<Row>>;  // absent: it goes

  const std::map<Uuid, Row>& rows() const { return rows_; }
  const Row* find(const Uuid& uuid) const {
    const auto found = rows_.find(uuid);
    return found == rows_.end() ? nullptr : &found->second;
  }
  // By name; of controllers any one with this target.
  const Uuid* uuid_of(const std::string& name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : &found->second;
  }
  const Row* find(const std::string& name) const {
    const Uuid* uuid = uuid_of(name);
    return uuid == nullptr ? nullptr : find(*uuid);
  }

  void apply(Staged staged, RowChanges& changes) {
    // Old names first: a name may pass from one row to another.
    for (const auto& [uuid, row] : staged) {
      const auto known = rows_.find(uuid);
      if (known == rows_.end() || (row && *row == known->second)) continue;
      changes.names[Row::kTable].insert(name_of(known->second));
      by_name_.erase(name_of(known->second));
      rows_.erase(known);
    }
    for (auto& [uuid, row] : staged) {
      if (!row || rows_.contains(uuid)) continue;
      changes.names[Row::kTable].insert(name_of(*row));
      by_name_[name_of(*row)] = uuid;
      rows_.emplace(uuid, std::move(*row));
    }
  }

 private:
  std::map<Uuid, Row> rows_;
  std::map<std::string, Uuid> by_name_;
};

class Tables {
 public:
  // The first answer of a monitor: all rows that there are. Answers what differs from what was known.
  Result<RowChanges> replace(const Json& table_updates);
  // A notification: rows that came, changed or went. On an error (`invalid`) nothing of it was taken in.
  Result<RowChanges> update(const Json& table_updates);

  template <class Row>
  const Table<Row>& of() const {
    return std::get<Table<Row>>(tables_);
  }
  // The only row of its kind; absent as long as the database was not initialised.
  const Uuid* root_uuid() const { return of<RootRow>().uuid_of(RootRow::kTable); }
  const RootRow* root() const { return of<RootRow>().find(RootRow::kTable); }

 private:
  Result<RowChanges> take(const Json& table_updates, bool whole);

  std::tuple<Table<RootRow>, Table<BridgeRow>, Table<PortRow>, Table<InterfaceRow>, Table<ControllerRow>,
             Table<MirrorRow>>
      tables_;
};

}  // namespace lanwright::ovsdb
