#include "state/migrations.h"

#include <array>
#include <string>

namespace lanwright::state {
namespace {

// Times are milliseconds since 1970, UTC. Kinds are words, so that a person can read the file and no order of
// an enumeration is frozen in it.
constexpr std::array kMigrations{
    Migration{1, "tables of desired state, claims and history", R"sql(
CREATE TABLE meta (
  only_row   INTEGER PRIMARY KEY CHECK (only_row = 1),
  generation INTEGER NOT NULL
) STRICT;
INSERT INTO meta VALUES (1, 0);

CREATE TABLE sets (
  name       TEXT PRIMARY KEY CHECK (name <> ''),
  generation INTEGER NOT NULL,
  applied    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- An object that is wanted belongs to a set that exists; one that is being deleted may outlive its set. Hence
-- the reference hangs on a column that is NULL for the latter.
CREATE TABLE objects (
  kind       TEXT NOT NULL CHECK (kind IN ('vlan', 'network', 'attachment')),
  name       TEXT NOT NULL CHECK (name <> ''),
  set_name   TEXT NOT NULL,
  uid        TEXT NOT NULL UNIQUE CHECK (length(uid) = 16 AND uid NOT GLOB '*[^0-9a-f]*'),
  generation INTEGER NOT NULL,
  deleting   INTEGER NOT NULL CHECK (deleting IN (0, 1)),
  adopt      INTEGER NOT NULL CHECK (adopt IN (0, 1)),
  created    INTEGER NOT NULL,
  spec       TEXT NOT NULL,
  wanted_by  TEXT AS (iif(deleting, NULL, set_name)) VIRTUAL
             REFERENCES sets (name) DEFERRABLE INITIALLY DEFERRED,
  PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX objects_by_set ON objects (wanted_by);

-- A claim outlives its network's declaration: no reference to objects.
CREATE TABLE claims (
  uid  TEXT NOT NULL CHECK (length(uid) = 16 AND uid NOT GLOB '*[^0-9a-f]*'),
  link TEXT NOT NULL CHECK (link <> ''),
  PRIMARY KEY (uid, link)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  id       INTEGER PRIMARY KEY,
  time     INTEGER NOT NULL,
  type     TEXT NOT NULL,
  kind     TEXT CHECK (kind IN ('vlan', 'network', 'attachment')),
  name     TEXT,
  set_name TEXT NOT NULL,
  message  TEXT NOT NULL,
  pid      INTEGER,
  uid      INTEGER,
  gid      INTEGER,
  CHECK ((kind IS NULL) = (name IS NULL)),
  CHECK ((pid IS NULL) = (uid IS NULL) AND (pid IS NULL) = (gid IS NULL))
) STRICT;
)sql"},
    Migration{2, "the history of one object without reading all of it", R"sql(
CREATE INDEX events_by_object ON events (kind, name) WHERE name IS NOT NULL;
)sql"},
    Migration{3, "leased addresses; objects that nobody declared", R"sql(
CREATE TABLE objects_3 (
  kind       TEXT NOT NULL CHECK (kind IN ('vlan', 'network', 'attachment')),
  name       TEXT NOT NULL CHECK (name <> ''),
  set_name   TEXT NOT NULL,
  uid        TEXT NOT NULL UNIQUE CHECK (length(uid) = 16 AND uid NOT GLOB '*[^0-9a-f]*'),
  generation INTEGER NOT NULL,
  deleting   INTEGER NOT NULL CHECK (deleting IN (0, 1)),
  adopt      INTEGER NOT NULL CHECK (adopt IN (0, 1)),
  created    INTEGER NOT NULL,
  spec       TEXT NOT NULL,
  leases     TEXT NOT NULL,
  wanted_by  TEXT AS (iif(deleting OR set_name = '', NULL, set_name)) VIRTUAL
             REFERENCES sets (name) DEFERRABLE INITIALLY DEFERRED,
  PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
INSERT INTO objects_3 (kind, name, set_name, uid, generation, deleting, adopt, created, spec, leases)
  SELECT kind, name, set_name, uid, generation, deleting, adopt, created, spec, '' FROM objects;
DROP TABLE objects;
ALTER TABLE objects_3 RENAME TO objects;
CREATE INDEX objects_by_set ON objects (wanted_by);
)sql"},
    Migration{4, "address pools", R"sql(
CREATE TABLE address_pools (
  id    TEXT PRIMARY KEY CHECK (id <> ''),
  space TEXT NOT NULL,
  cidr  TEXT NOT NULL,
  range TEXT NOT NULL,
  last  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Several pools may share a subnet: the key keeps an address from being given twice, whatever the program does.
CREATE TABLE pool_addresses (
  space   TEXT NOT NULL,
  cidr    TEXT NOT NULL,
  address TEXT NOT NULL,
  pool    TEXT NOT NULL REFERENCES address_pools (id) ON DELETE CASCADE,
  PRIMARY KEY (space, cidr, address)
) STRICT, WITHOUT ROWID;
CREATE INDEX pool_addresses_by_pool ON pool_addresses (pool);
)sql"},
    Migration{5, "networks of Docker", R"sql(
CREATE TABLE docker_networks (
  id   TEXT PRIMARY KEY CHECK (id <> ''),
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
)sql"},
    Migration{6, "records of controllers", R"sql(
CREATE TABLE annexes (
  controller TEXT NOT NULL CHECK (controller <> ''),
  id         TEXT NOT NULL CHECK (id <> ''),
  body       TEXT NOT NULL,
  PRIMARY KEY (controller, id)
) STRICT, WITHOUT ROWID;
INSERT INTO annexes (controller, id, body) SELECT 'docker', id, body FROM docker_networks;
DROP TABLE docker_networks;
)sql"},
};

Result<void> run(sqlite::Connection& connection, const Migration& migration) {
  const std::string tried =
      "migrate to schema version " + std::to_string(migration.version) + " (" + migration.what + ")";
  return connection.execute(tried, migration.sql);
}

Result<void> stamp(sqlite::Connection& connection, int version) {
  const std::string sql = "PRAGMA user_version = " + std::to_string(version) +
                          "; PRAGMA application_id = " + std::to_string(kApplicationId);
  return connection.execute("write the schema version", sql.c_str());
}

Result<void> check_references(sqlite::Connection& connection) {
  auto statement = connection.prepare("check references after the migration", "PRAGMA foreign_key_check");
  if (!statement) return statement.error();
  std::string broken;
  auto done = statement->each([&](const sqlite::Row& row) {
    if (broken.empty()) broken = "a row of " + row.text(0) + " refers to a missing row of " + row.text(2);
  });
  if (!done || broken.empty()) return done;
  return Error{ErrorKind::internal,
               "migrate the database",
               connection.path(),
               0,
               broken,
               "report this; the database was left as it was"};
}

}  // namespace

std::span<const Migration> migrations() {
  return kMigrations;
}

Error newer_schema(const sqlite::Connection& connection, std::int64_t version, std::int64_t known) {
  return {ErrorKind::invalid,
          "open the database",
          connection.path(),
          0,
          "its schema version is " + std::to_string(version) + ", this program knows versions up to " +
              std::to_string(known),
          "install the newer lanwright that wrote it, or move the file away to begin with an empty one"};
}

Result<void> migrate(sqlite::Connection& connection, std::span<const Migration> table) {
  return connection.transaction(
      sqlite::Connection::Lock::exclusive, "migrate the database", [&]() -> Result<void> {
        const auto version = connection.integer("read the schema version", "PRAGMA user_version");
        if (!version) return version.error();
        const int last = table.back().version;
        if (*version > last) return newer_schema(connection, *version, last);
        if (*version == last) return {};
        for (const Migration& migration : table) {
          if (migration.version <= *version) continue;
          if (auto done = run(connection, migration); !done) return done;
        }
        if (auto done = stamp(connection, last); !done) return done;
        return check_references(connection);
      });
}

}  // namespace lanwright::state
