#include "state/database_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <string_view>
#include <system_error>

#include "state/migrations.h"

namespace lanwright::state {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFileName = "lanwright.db";
constexpr const char* kAsideMark = ".damaged-";
// What belongs to a database at PATH, in the order in which it is moved: the database first, so that a crash
// in between leaves a log without its database, which is recognised as damage again.
constexpr std::array<const char*, 4> kParts{"", "-wal", "-shm", "-journal"};

fs::path with_suffix(const fs::path& path, const std::string& suffix) {
  return path.string() + suffix;
}

Error file_error(int number, const char* tried, const fs::path& path) {
  return error_from_errno(number, tried, path.string());
}

Result<void> sync_directory(const fs::path& directory) {
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return file_error(errno, "open the directory", directory);
  const int failed = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  if (failed != 0) return file_error(failed, "write back the directory", directory);
  return {};
}

Result<void> make_directory(const fs::path& directory) {
  std::error_code failed;
  if (fs::is_directory(directory, failed)) return {};
  const fs::path parent = fs::absolute(directory).parent_path();
  fs::create_directories(parent, failed);
  if (failed) return file_error(failed.value(), "create the directory", parent);
  if (::mkdir(directory.c_str(), 0700) != 0)
    return file_error(errno, "create the state directory", directory);
  return sync_directory(parent);
}

// Nothing is at the path, or its size in bytes.
Result<std::optional<std::uintmax_t>> size_of(const fs::path& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) == 0) return std::optional(static_cast<std::uintmax_t>(found.st_size));
  if (errno == ENOENT) return std::optional<std::uintmax_t>();
  return file_error(errno, "look at the database", path);
}

// The database that shall be kept secret from other users may have been restored from somewhere. Changed by
// path: closing a descriptor of the file would drop this process's locks on it.
Result<void> keep_private(const fs::path& path) {
  if (::chmod(path.c_str(), 0600) != 0) return file_error(errno, "make the database private", path);
  return {};
}

// ---- Damage
// ------------------------------------------------------------------------------------------------

Result<void> check_owner(sqlite::Connection& connection) {
  const auto id = connection.integer("read the database", "PRAGMA application_id");
  if (!id) return id.error();
  if (*id == kApplicationId) return {};
  std::array<char, 64> words{};
  (void)std::snprintf(words.data(), words.size(), "its application id is 0x%08x, not 0x%08x",
                      static_cast<unsigned>(*id), static_cast<unsigned>(kApplicationId));
  return Error{
      ErrorKind::conflict, "open the database",
      connection.path(),   0,
      words.data(),        "it is another program's SQLite file; move it away or choose another --state-dir"};
}

Result<void> check_version(sqlite::Connection& connection) {
  const auto version = connection.integer("read the schema version", "PRAGMA user_version");
  if (!version) return version.error();
  const int known = migrations().back().version;
  if (*version > known) return newer_schema(connection, *version, known);
  return {};
}

// What is wrong with the content; nothing when it is sound. Failures to read it are errors, not damage.
Result<std::optional<std::string>> find_damage(sqlite::Connection& connection) {
  using Damage = std::optional<std::string>;
  const auto judge = [&](const Error& error) -> Result<Damage> {
    if (connection.found_damage()) return Damage(error.words);
    return error;
  };
  // Whose it is comes first: neither a foreign file nor a newer version's is ours to judge.
  if (auto ours = check_owner(connection); !ours) return judge(ours.error());
  if (auto known = check_version(connection); !known) return judge(known.error());
  auto verdict = connection.text("check the database", "PRAGMA integrity_check(1)");
  if (!verdict) return judge(verdict.error());
  if (*verdict == "ok") return Damage();
  return Damage(*verdict);
}

std::string timestamp() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &utc);
  return {text.data(), size};
}

// A name under which no part of a database is there yet.
fs::path free_name(const fs::path& path) {
  const std::string wanted = path.string() + kAsideMark + timestamp();
  const auto taken = [](const std::string& name) {
    std::error_code ignored;  // what cannot be looked at is taken for present; the rename then says why
    for (const char* part : kParts) {
      if (fs::exists(with_suffix(name, part), ignored)) return true;
    }
    return false;
  };
  std::string name = wanted;
  for (int copy = 2; taken(name); ++copy) name = wanted + "." + std::to_string(copy);
  return name;
}

// Returns where the database is now; where its log is when there was nothing but that.
Result<fs::path> set_aside(const fs::path& path) {
  const fs::path aside = free_name(path);
  std::optional<fs::path> first;
  for (const char* part : kParts) {
    const fs::path from = with_suffix(path, part);
    const fs::path to = with_suffix(aside, part);
    if (::rename(from.c_str(), to.c_str()) == 0) {
      if (!first) first = to;
    } else if (errno != ENOENT) {
      return file_error(errno, "set the damaged database aside", from);
    }
  }
  if (auto synced = sync_directory(path.parent_path()); !synced) return synced.error();
  return first.value_or(aside);
}

// The newest database that was set aside earlier. It is told again when its successor is begun only now,
// after a crash in between.
std::optional<fs::path> aside_before(const fs::path& path) {
  const std::string prefix = path.filename().string() + kAsideMark;
  std::string newest;
  std::error_code failed;
  for (fs::directory_iterator at(path.parent_path(), failed), end; !failed && at != end;
       at.increment(failed)) {
    std::string name = at->path().filename().string();
    if (name.rfind(prefix, 0) != 0) continue;
    name.resize(std::min(name.size(), name.find('-', prefix.size())));  // of the database, not of its log
    newest = std::max(newest, name);
  }
  if (newest.empty()) return std::nullopt;
  return path.parent_path() / newest;
}

// ---- Opening
// -----------------------------------------------------------------------------------------------

// Made under another name and moved when it is complete: a file called lanwright.db is never an empty one, so
// that an empty one is known to be damaged.
Result<void> begin_new(const fs::path& path) {
  const fs::path fresh = with_suffix(path, ".new");
  for (const char* part : kParts) {
    const fs::path left_over = with_suffix(fresh, part);
    if (::unlink(left_over.c_str()) != 0 && errno != ENOENT) {
      return file_error(errno, "remove the left-over", left_over);
    }
  }
  const int descriptor = ::open(fresh.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) return file_error(errno, "create the database", fresh);
  ::close(descriptor);
  {
    auto connection = sqlite::Connection::open(fresh);
    if (!connection) return connection.error();
    if (auto migrated = migrate(*connection, migrations()); !migrated) return migrated;
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return file_error(errno, "create the database", path);
  return sync_directory(path.parent_path());
}

struct Examined {
  std::optional<sqlite::Connection> connection;  // none when there is no file, or a damaged one
  std::optional<std::string> damage;
};

Result<Examined> examine(const fs::path& path) {
  const auto size = size_of(path);
  if (!size) return size.error();
  const auto log = size_of(with_suffix(path, "-wal"));
  if (!log) return log.error();
  if (!*size && *log) return Examined{std::nullopt, "the database is missing, its log is there"};
  if (!*size) return Examined{};
  // SQLite would take it for a new database, one byte included (os_unix.c, unixFileSize), and drop the log.
  if (**size <= 1) return Examined{std::nullopt, "the file is empty"};
  auto connection = sqlite::Connection::open(path);
  if (!connection) return connection.error();
  // What turns out to be damaged is set aside as it was found, log and all.
  if (auto kept = connection->checkpoint_on_close(false); !kept) return kept.error();
  auto damage = find_damage(*connection);
  if (!damage) return damage.error();
  // Pages are multiples of 512 bytes. With a log, the last one may be half written: the log has it whole.
  if (!*damage && log->value_or(0) == 0 && **size % 512 != 0) *damage = "the file ends within a page";
  if (*damage) return Examined{std::nullopt, std::move(*damage)};
  return Examined{std::move(*connection), std::nullopt};
}

Result<void> use_log(sqlite::Connection& connection) {
  auto mode = connection.text("switch to write-ahead logging", "PRAGMA journal_mode = WAL");
  if (!mode) return mode.error();
  if (*mode == "wal") return {};
  return Error{ErrorKind::unsupported,
               "switch to write-ahead logging",
               connection.path(),
               0,
               "journal mode stays `" + *mode + "`",
               "the state directory must be on a local file system with shared memory"};
}

Result<void> make_ready(sqlite::Connection& connection) {
  if (auto migrated = migrate(connection, migrations()); !migrated) return migrated;
  if (auto logging = use_log(connection); !logging) return logging;
  if (auto done = connection.execute("turn foreign keys on", "PRAGMA foreign_keys = ON"); !done) return done;
  return connection.checkpoint_on_close(true);
}

}  // namespace

Result<DatabaseFile> open_database(const fs::path& directory) {
  if (auto made = make_directory(directory); !made) return made.error();
  const fs::path path = fs::absolute(directory) / kFileName;
  auto examined = examine(path);
  if (!examined) return examined.error();

  std::optional<fs::path> aside;
  if (examined->damage) {
    auto moved = set_aside(path);
    if (!moved) return moved.error();
    aside = *moved;
  }
  if (!examined->connection) {
    if (!aside) aside = aside_before(path);
    if (auto begun = begin_new(path); !begun) return begun.error();
    auto connection = sqlite::Connection::open(path);
    if (!connection) return connection.error();
    examined->connection = std::move(*connection);
  }
  if (auto done = keep_private(path); !done) return done.error();
  if (auto ready = make_ready(*examined->connection); !ready) return ready.error();
  return DatabaseFile{std::move(*examined->connection), aside, examined->damage.value_or("")};
}

}  // namespace lanwright::state
