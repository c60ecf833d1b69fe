#include "reconcilers/ovsdb/tables.h"

namespace lanwright::ovsdb {
namespace {

template <class... Rows>
struct Stage {
  std::tuple<typename Table<Rows>::Staged...> rows;
  explicit Stage(const std::tuple<Table<Rows>...>& /*for_the_types*/) {}
};

Error refuse(const std::string& words, const Json& json) {
  return {ErrorKind::invalid,         "read", "an update of Open vSwitch's database", 0,
          words + ": " + shown(json), {}};
}

Result<Uuid> key_of(const std::string& text) {
  const auto value = value_from(Json::array({"uuid", text}));
  if (!value) return value.error();
  return Uuid{text};
}

// {UUID: {"old": ..., "new": ...}}; one without "new" goes.
template <class Row>
Result<void> stage(const Json& updates, typename Table<Row>::Staged& staged) {
  if (!updates.is_object()) return refuse(std::string("table ") + Row::kTable + " is no object", updates);
  for (const auto& [text, change] : updates.items()) {
    const auto uuid = key_of(text);
    if (!uuid) return uuid.error();
    if (!change.is_object() || (!change.contains("new") && !change.contains("old")))
      return refuse("neither an old row nor a new one", change);
    if (!change.contains("new")) {
      staged[*uuid] = std::nullopt;
      continue;
    }
    auto row = row_from<Row>(change["new"]);
    if (!row) return row.error();
    staged[*uuid] = std::move(*row);
  }
  return {};
}

}  // namespace

Result<RowChanges> Tables::replace(const Json& table_updates) {
  return take(table_updates, true);
}

Result<RowChanges> Tables::update(const Json& table_updates) {
  return take(table_updates, false);
}

Result<RowChanges> Tables::take(const Json& table_updates, bool whole) {
  if (!table_updates.is_object()) return refuse("no object of tables", table_updates);
  Result<void> read;
  std::size_t known = 0;
  Stage staged(tables_);
  const auto each_table = [&](const auto& act) {
    std::apply([&](auto&... table) { (act(table), ...); }, tables_);
  };
  each_table([&]<class Row>(Table<Row>& table) {
    auto& rows = std::get<typename Table<Row>::Staged>(staged.rows);
    if (whole) {
      for (const auto& [uuid, row] : table.rows()) rows[uuid] = std::nullopt;
    }
    const auto updates = table_updates.find(Row::kTable);
    if (updates == table_updates.end() || !read) return;
    ++known;
    read = stage<Row>(*updates, rows);
  });
  if (!read) return read.error();
  if (known != table_updates.size()) return refuse("a table that was not asked for", table_updates);
  RowChanges changes;
  each_table([&]<class Row>(Table<Row>& table) {
    table.apply(std::move(std::get<typename Table<Row>::Staged>(staged.rows)), changes);
  });
  return changes;
}

}  // namespace lanwright::ovsdb
