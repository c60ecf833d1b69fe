// The file below the store: found, created, checked, set aside when it is damaged.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "model/base/result.h"
#include "state/sqlite.h"

namespace lanwright::state {

struct DatabaseFile {
  sqlite::Connection connection;  // of the current schema; WAL, foreign keys on
  std::optional<std::filesystem::path> set_aside;
  std::string damage;  // why, in SQLite's words
};

// Does what Store::open() promises of the file, up to and including migrations.
Result<DatabaseFile> open_database(const std::filesystem::path& directory);

}  // namespace lanwright::state
