#include "state/sqlite.h"

#include <cerrno>
#include <cstdlib>
#include <new>

namespace lanwright::sqlite {
namespace {

// How long a statement waits for somebody else's lock (a person's sqlite3 shell, a backup). The loop thread
// waits with it, so it is far below the watchdog's time.
constexpr int kBusyMilliseconds = 1000;

bool is_full(int number) {
  return number == ENOSPC || number == EDQUOT;
}

ErrorKind kind_of_errno(int number) {
  if (is_full(number) || number == ENOMEM || number == EMFILE || number == ENFILE)
    return ErrorKind::exhausted;
  if (number == EACCES || number == EPERM || number == EROFS) return ErrorKind::denied;
  return ErrorKind::internal;
}

ErrorKind kind_of(int code, int number) {
  switch (code & 0xff) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
      return ErrorKind::exhausted;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return ErrorKind::busy;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return ErrorKind::denied;
    case SQLITE_CONSTRAINT:
      return ErrorKind::invalid;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      return kind_of_errno(number);
    default:
      return ErrorKind::internal;
  }
}

std::string hint_for(int code, int number, const std::string& path) {
  const int primary = code & 0xff;
  if (primary == SQLITE_FULL || is_full(number)) return "free space on the file system of " + path;
  switch (kind_of(code, number)) {
    case ErrorKind::busy:
      return "another process has locked it: `fuser " + path + "` names it";
    case ErrorKind::denied:
      return "make " + path + " and its directory writable for this user";
    default:
      break;
  }
  if (primary == SQLITE_IOERR) return "the kernel log (dmesg) may say more about the disk below " + path;
  if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) {
    return "restart lanwrightd: it sets a damaged database aside and begins a new one";
  }
  return {};
}

// sqlite3_system_errno() is errno as it was when SQLite came back, often overwritten by its cleaning up. The
// files remember their own last one.
int errno_of(sqlite3* connection) {
  sqlite3_file* log = nullptr;
  int number = 0;
  sqlite3_file_control(connection, "main", SQLITE_FCNTL_JOURNAL_POINTER, static_cast<void*>(&log));
  if (log != nullptr && log->pMethods != nullptr) {
    log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &number);
  }
  if (number == 0) sqlite3_file_control(connection, "main", SQLITE_FCNTL_LAST_ERRNO, &number);
  return number != 0 ? number : sqlite3_system_errno(connection);
}

std::string path_of(sqlite3* connection) {
  const char* path = sqlite3_db_filename(connection, "main");
  return path == nullptr ? std::string() : path;
}

}  // namespace

Error error_of(sqlite3* connection, std::string tried) {
  const int code = sqlite3_extended_errcode(connection);
  const int primary = code & 0xff;
  Error error;
  if (primary == SQLITE_IOERR) error.number = errno_of(connection);
  if (primary == SQLITE_CANTOPEN) error.number = sqlite3_system_errno(connection);
  // SQLite turns ENOSPC of a write into SQLITE_FULL.
  if (primary == SQLITE_FULL) error.number = ENOSPC;
  error.kind = kind_of(code, error.number);
  error.tried = std::move(tried);
  error.object = path_of(connection);
  error.words = sqlite3_errmsg(connection);
  error.hint = hint_for(code, error.number, error.object);
  return error;
}

std::string Row::text(int column) const {
  const auto* text = sqlite3_column_text(statement_, column);
  if (text == nullptr) {
    if (null(column)) return {};
    throw std::bad_alloc();
  }
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return {reinterpret_cast<const char*>(text), size};
}

int Statement::bind(int at, std::string_view text) {
  // The text outlives the run, so it is not copied. A null pointer would bind NULL.
  const char* data = text.data() == nullptr ? "" : text.data();
  return sqlite3_bind_text64(handle_.get(), at, data, text.size(), SQLITE_STATIC, SQLITE_UTF8);
}

Result<Connection> Connection::open(const std::filesystem::path& path) {
  sqlite3* handle = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  if (handle == nullptr) throw std::bad_alloc();
  Connection connection(handle);  // SQLite wants also a failed connection to be closed
  if (code != SQLITE_OK) {
    Error error = connection.error("open the database");
    error.object = path.string();
    error.hint = hint_for(code, error.number, error.object);
    return error;
  }
  if (auto configured = connection.configure(); !configured) return configured.error();
  return connection;
}

Result<void> Connection::configure() {
  sqlite3* handle = handle_.get();
  const bool set = sqlite3_busy_timeout(handle, kBusyMilliseconds) == SQLITE_OK &&
                   sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DML, 0, nullptr) == SQLITE_OK &&
                   sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr) == SQLITE_OK &&
                   sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr) == SQLITE_OK &&
                   sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr) == SQLITE_OK;
  if (!set) return error("configure the connection");
  // Temporary files would need space in a second place.
  return execute("configure the connection", "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;");
}

Result<Statement> Connection::prepare(std::string tried, std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return error(std::move(tried));
  return Statement(statement, std::move(tried));
}

Result<void> Connection::execute(const std::string& tried, const char* sql) {
  if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error(tried);
  return {};
}

Result<std::string> Connection::text(const std::string& tried, const char* sql) {
  auto statement = prepare(tried, sql);
  if (!statement) return statement.error();
  std::optional<std::string> first;
  auto done = statement->each([&](const Row& row) {
    if (!first) first = row.text(0);
  });
  if (!done) return done.error();
  if (!first) {
    return Error{ErrorKind::internal, tried, path(), 0, "no row", "restore it from a backup"};
  }
  return std::move(*first);
}

Result<std::int64_t> Connection::integer(const std::string& tried, const char* sql) {
  auto digits = text(tried, sql);
  if (!digits) return digits.error();
  return static_cast<std::int64_t>(std::strtoll(digits->c_str(), nullptr, 10));
}

std::string Connection::path() const {
  return path_of(handle_.get());
}

bool Connection::found_damage() const {
  const int primary = sqlite3_errcode(handle_.get()) & 0xff;
  return primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB;
}

Result<void> Connection::checkpoint_on_close(bool enabled) {
  const int off = enabled ? 0 : 1;
  if (sqlite3_db_config(handle_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, off, nullptr) != SQLITE_OK) {
    return error("configure the connection");
  }
  return {};
}

// SQLite goes on with a file that has no name any more: what is written is lost with the process.
Result<void> Connection::in_place(const std::string& tried) const {
  int moved = 0;
  if (sqlite3_file_control(handle_.get(), "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK)
    return error(tried);
  if (moved == 0) return {};
  return Error{ErrorKind::internal,
               tried,
               path(),
               0,
               "somebody deleted or moved the file while it was in use",
               "move it back, or restart the agent and apply your files again with --adopt"};
}

Result<void> Connection::transaction(Lock lock, const std::string& tried,
                                     const std::function<Result<void>()>& body) {
  const char* begin = lock == Lock::exclusive ? "BEGIN EXCLUSIVE" : "BEGIN IMMEDIATE";
  if (auto begun = execute(tried, begin); !begun) return begun;
  // A failed COMMIT may leave the transaction open (SQLITE_BUSY) or have ended it (I/O errors). A ROLLBACK
  // can only fail when there is nothing left to roll back.
  struct RollBack {
    sqlite3* connection;
    ~RollBack() {
      if (sqlite3_get_autocommit(connection) == 0) {
        sqlite3_exec(connection, "ROLLBACK", nullptr, nullptr, nullptr);
      }
    }
  } const roll_back{handle_.get()};
  if (auto done = body(); !done) return done;
  if (auto there = in_place(tried); !there) return there;
  return execute(tried, "COMMIT");
}

}  // namespace lanwright::sqlite
