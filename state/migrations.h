// The schema's history. A database of any earlier version is brought to the current one when it is opened.
#pragma once

#include <cstdint>
#include <span>

#include "model/base/result.h"
#include "state/sqlite.h"

namespace lanwright::state {

// "lwrt": PRAGMA application_id of our files, which tells them from other programs' databases.
inline constexpr std::int64_t kApplicationId = 0x6c777274;

struct Migration {
  int version;       // that the database has afterwards: 1, 2, 3, ... without a gap
  const char* what;  // for people, in errors
  const char* sql;   // one or more statements; no transaction control
};

// All migrations there ever were, in order. A released one is never changed: a new one is added behind it.
std::span<const Migration> migrations();

// Refuses a database of a later version than `known`, and says what to do.
Error newer_schema(const sqlite::Connection& connection, std::int64_t version, std::int64_t known);

// Brings the database to the last version of `table`, in one transaction with user_version and
// application_id: an error leaves it as it was. A database newer than the table, and one locked by somebody
// else, are errors. Foreign keys must be off on this connection, so that a migration may rebuild tables; they
// are checked before the commit.
Result<void> migrate(sqlite::Connection& connection, std::span<const Migration> table);

}  // namespace lanwright::state
