// Owners for SQLite's handles: a connection, a kept prepared statement, a transaction. Nothing here knows
// what is stored. One thread at a time may use a connection and its statements (it is opened without SQLite's
// mutexes). Failures are Errors that carry SQLite's own words, the path of the database and what to do.
// Source: https://www.sqlite.org/c3ref/intro.html
#pragma once

#include <sqlite3.h>

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "model/base/result.h"

namespace lanwright::sqlite {

// The failure of the last call on this connection, which must have failed.
Error error_of(sqlite3* connection, std::string tried);

// The row that a statement stands on. Valid only while the callback that got it runs.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  bool null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  std::string text(int column) const;  // "" for NULL

 private:
  sqlite3_stmt* statement_;
};

// A prepared statement, kept for as long as its connection. Every use binds all of its parameters anew.
class Statement {
 public:
  Statement() = default;
  Statement(sqlite3_stmt* statement, std::string tried) : handle_(statement), tried_(std::move(tried)) {}

  // Runs it to its end; `take` is called with each row and must not use this statement itself.
  template <class Take, class... Values>
  Result<void> each(Take&& take, const Values&... values) {
    const Reset reset{handle_.get()};
    int at = 0;
    const bool bound = ((bind(++at, values) == SQLITE_OK) && ...);
    if (!bound) return error();
    int code = SQLITE_OK;
    while ((code = sqlite3_step(handle_.get())) == SQLITE_ROW) take(Row(handle_.get()));
    if (code != SQLITE_DONE) return error();
    return {};
  }

  template <class... Values>
  Result<void> run(const Values&... values) {
    return each([](const Row&) {}, values...);
  }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  struct Reset {  // a statement that is not reset holds its read transaction open
    sqlite3_stmt* statement;
    ~Reset() { sqlite3_reset(statement); }
  };

  int bind(int at, std::nullptr_t) { return sqlite3_bind_null(handle_.get(), at); }
  int bind(int at, std::integral auto value) {
    return sqlite3_bind_int64(handle_.get(), at, static_cast<sqlite3_int64>(value));
  }
  int bind(int at, std::string_view text);
  template <class Value>
  int bind(int at, const std::optional<Value>& value) {
    return value ? bind(at, *value) : bind(at, nullptr);
  }
  Error error() const { return error_of(sqlite3_db_handle(handle_.get()), tried_); }

  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
  std::string tried_;
};

// A connection to one database file. Extended result codes are on; string literals in double quotes are off.
class Connection {
 public:
  // The file must exist. Opening does not read it: damage shows at the first statement.
  static Result<Connection> open(const std::filesystem::path& path);

  Result<Statement> prepare(std::string tried, std::string_view sql);
  Result<void> execute(const std::string& tried, const char* sql);  // one or more statements without results
  // The first column of the first row; a statement without a row is an error.
  Result<std::int64_t> integer(const std::string& tried, const char* sql);
  Result<std::string> text(const std::string& tried, const char* sql);

  std::string path() const;  // absolute

  // Whether the last failure says that the file's content is not a sound database.
  bool found_damage() const;
  // Whether closing writes the log back into the file and removes it.
  Result<void> checkpoint_on_close(bool enabled);

  enum class Lock : std::uint8_t { immediate, exclusive };
  // Runs `body` in a transaction: committed when it succeeds, rolled back when it fails or throws.
  Result<void> transaction(Lock lock, const std::string& tried, const std::function<Result<void>()>& body);

 private:
  struct Close {
    void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
  };
  explicit Connection(sqlite3* handle) : handle_(handle) {}
  Result<void> configure();
  Result<void> in_place(const std::string& tried) const;
  Error error(std::string tried) const { return error_of(handle_.get(), std::move(tried)); }

  std::unique_ptr<sqlite3, Close> handle_;
};

}  // namespace lanwright::sqlite
