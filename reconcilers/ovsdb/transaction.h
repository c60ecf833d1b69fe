// A change of Open vSwitch's database in one piece: its operations, what must be so for it to happen, and
// what ovs-vswitchd is to have made of it. Source: RFC 7047, 4.1.3 and 5.2. A value, any thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/base/result.h"
#include "reconcilers/ovsdb/rows.h"

namespace lanwright::ovsdb {

using Columns = std::map<std::string, Value>;

class Transaction {
 public:
  // What is done to what, for errors ("create bridge", "br0 of network lab") and for the database's log.
  Transaction(std::string tried, std::string object) : tried_(std::move(tried)), object_(std::move(object)) {}

  // Preconditions: the whole transaction fails with `conflict` when one is not so.
  void expect_no_row(const char* table, const std::string& name);
  // The row is there, with these values.
  void expect(const char* table, const Uuid& row, const Columns& columns);

  // What nothing refers to in the end vanishes, as does what is not referred to any more.
  NamedUuid insert(const char* table, const Columns& columns);
  // The row must be there: otherwise `conflict`, and nothing is done.
  void update(const char* table, const Uuid& row, const Columns& columns);
  void add_to(const char* table, const Uuid& row, const char* column, const Value& members);
  void remove_from(const char* table, const Uuid& row, const char* column, const Value& members);
  // Of a map: these have these values, and all others stay as they are.
  void set_keys(const char* table, const Uuid& row, const char* column, const StringMap& pairs);

  // ovs-vswitchd is to have taken up this interface, by name.
  void await_port(std::string interface) { awaited_.insert(std::move(interface)); }
  const std::set<std::string>& awaited() const { return awaited_; }

  // The parameters of `transact`, to be done at this root row.
  Json params(const Uuid& root) const;
  // What the server answered to it: the configuration's number, which cur_cfg reaches when ovs-vswitchd has
  // taken it up. Otherwise the error of the operation that failed, in the server's words.
  Result<std::int64_t> read_result(const Json& result) const;

  const std::string& tried() const { return tried_; }
  const std::string& object() const { return object_; }
  Error error(ErrorKind kind, std::string words, std::string hint = {}) const {
    return {kind, tried_, object_, 0, std::move(words), std::move(hint)};
  }

 private:
  struct Operation {
    Json json;
    std::string text;  // "insert Interface veth1"
  };
  void add(std::string text, Json operation);
  struct Mutation {
    const char* column;
    const char* mutator;
    Value members;
  };
  void mutate(const char* table, const Uuid& row, const std::vector<Mutation>& mutations);
  std::vector<Operation> operations(const Uuid& root) const;

  std::string tried_;
  std::string object_;
  std::vector<Operation> operations_;
  std::set<std::string> awaited_;
  int inserted_ = 0;
};

}  // namespace lanwright::ovsdb
