#include "reconcilers/ovsdb/transaction.h"

#include "reconcilers/ovsdb/message.h"

namespace lanwright::ovsdb {
namespace {

Json where(const Uuid& row) {
  return Json::array({Json::array({"_uuid", "==", to_json(Atom(row))})});
}

Json row_json(const Columns& columns) {
  Json row = Json::object();
  for (const auto& [name, value] : columns) row[name] = to_json(value);
  return row;
}

Json names_of(const Columns& columns) {
  Json names = Json::array();
  for (const auto& [name, value] : columns) names.push_back(name);
  return names;
}

std::string words(const char* verb, const char* table, const std::string& name) {
  return std::string(verb) + " " + table + " " + name;
}

// Of a row that is inserted: what people call it.
std::string name_in(const Columns& columns) {
  for (const char* column : {"name", "target"}) {
    std::string name;
    const auto found = columns.find(column);
    if (found != columns.end() && read(found->second, name)) return name;
  }
  return "row";
}

bool is_failed(const Json& result) {
  return result.is_object() && result.contains("error") && !result["error"].is_null();
}

}  // namespace

void Transaction::add(std::string text, Json operation) {
  operations_.push_back({std::move(operation), std::move(text)});
}

// With a timeout of 0 a `wait` does not wait: it is a precondition.
void Transaction::expect_no_row(const char* table, const std::string& name) {
  add(words("expect no", table, name), {{"op", "wait"},
                                        {"timeout", 0},
                                        {"table", table},
                                        {"where", Json::array({Json::array({"name", "==", name})})},
                                        {"columns", Json::array({"name"})},
                                        {"until", "=="},
                                        {"rows", Json::array()}});
}

// Without columns, one row without columns is what is found as long as it is there.
void Transaction::expect(const char* table, const Uuid& row, const Columns& columns) {
  add(words("expect", table, row.text), {{"op", "wait"},
                                         {"timeout", 0},
                                         {"table", table},
                                         {"where", where(row)},
                                         {"columns", names_of(columns)},
                                         {"until", "=="},
                                         {"rows", Json::array({row_json(columns)})}});
}

NamedUuid Transaction::insert(const char* table, const Columns& columns) {
  NamedUuid name{"row" + std::to_string(++inserted_)};
  add(words("insert", table, name_in(columns)),
      {{"op", "insert"}, {"table", table}, {"uuid-name", name.name}, {"row", row_json(columns)}});
  return name;
}

void Transaction::update(const char* table, const Uuid& row, const Columns& columns) {
  expect(table, row, {});
  add(words("update", table, row.text),
      {{"op", "update"}, {"table", table}, {"where", where(row)}, {"row", row_json(columns)}});
}

void Transaction::mutate(const char* table, const Uuid& row, const std::vector<Mutation>& mutations) {
  expect(table, row, {});
  Json all = Json::array();
  for (const Mutation& each : mutations)
    all.push_back(Json::array({each.column, each.mutator, to_json(each.members)}));
  add(words("change", table, row.text),
      {{"op", "mutate"}, {"table", table}, {"where", where(row)}, {"mutations", std::move(all)}});
}

void Transaction::add_to(const char* table, const Uuid& row, const char* column, const Value& members) {
  mutate(table, row, {{column, "insert", members}});
}

void Transaction::remove_from(const char* table, const Uuid& row, const char* column, const Value& members) {
  mutate(table, row, {{column, "delete", members}});
}

// To insert a key that is there changes nothing: it is taken out before.
void Transaction::set_keys(const char* table, const Uuid& row, const char* column, const StringMap& pairs) {
  Set keys;
  for (const auto& [key, text] : pairs) keys.insert(key);
  mutate(table, row, {{column, "delete", keys}, {column, "insert", value_of(pairs)}});
}

// The number is read behind everything else, where read_result() finds it.
std::vector<Transaction::Operation> Transaction::operations(const Uuid& root) const {
  Transaction all = *this;
  all.mutate(RootRow::kTable, root, {{"next_cfg", "+=", value_of(Atom(std::int64_t{1}))}});
  all.add("read the number of the configuration", {{"op", "select"},
                                                   {"table", RootRow::kTable},
                                                   {"where", where(root)},
                                                   {"columns", Json::array({"next_cfg"})}});
  return std::move(all.operations_);
}

Json Transaction::params(const Uuid& root) const {
  Json params = Json::array({kDatabase});
  for (Operation& operation : operations(root)) params.push_back(std::move(operation.json));
  params.push_back({{"op", "comment"}, {"comment", "lanwright: " + tried_ + " " + object_}});
  return params;
}

// One element an operation, null behind the first one that failed, and one more when what they made together
// is not allowed.
Result<std::int64_t> Transaction::read_result(const Json& result) const {
  const std::vector<Operation> asked = operations({});
  const std::size_t comment = asked.size();
  const std::size_t number = asked.size() - 1;
  if (!result.is_array()) return error(ErrorKind::invalid, "the server answered: " + shown(result));
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (!is_failed(result[i])) continue;
    Error failed = error_from(result[i], tried_, object_);
    if (i < asked.size()) failed.words = asked[i].text + ": " + failed.words;
    if (i < asked.size() && asked[i].json["op"] == "wait") {
      failed.kind = ErrorKind::conflict;
      failed.hint = "the database was changed meanwhile; it is looked at anew";
    }
    return failed;
  }
  if (result.size() <= comment || !result[number].is_object())
    return error(ErrorKind::invalid, "the server left answers out: " + shown(result));
  const Json rows = result[number].value("rows", Json());
  if (!rows.is_array() || rows.size() != 1 || !rows[0].is_object() || !rows[0].contains("next_cfg") ||
      !rows[0]["next_cfg"].is_number_integer())
    return error(ErrorKind::invalid, "next_cfg is missing: " + shown(result[number]));
  return rows[0]["next_cfg"].get<std::int64_t>();
}

}  // namespace lanwright::ovsdb
