// Schema versions: from the first one to the current one, and what happens when a step fails.
#include "state/migrations.h"

#include <gtest/gtest.h>

#include <fstream>
#include <vector>

#include "tests/unit/state/fixture.h"

namespace lanwright {
namespace {

class StateMigrations : public ::testing::Test {
 protected:
  // An empty file, opened past the store.
  sqlite::Connection connect() {
    std::ofstream(directory.database(), std::ios::app).flush();
    return must(sqlite::Connection::open(directory.database()));
  }
  static std::int64_t version_of(sqlite::Connection& connection) {
    return must(connection.integer("test", "PRAGMA user_version"));
  }

  Directory directory;
};

TEST_F(StateMigrations, AreNumberedWithoutAGap) {
  int expected = 0;
  for (const auto& migration : state::migrations())
    EXPECT_EQ(migration.version, ++expected) << migration.what;
  EXPECT_GE(expected, 2);
}

TEST_F(StateMigrations, BringVersion1ToTheCurrentOneWithItsContent) {
  {
    auto connection = connect();
    must(state::migrate(connection, state::migrations().first(1)));
    ASSERT_EQ(version_of(connection), 1);
    must(connection.execute("test", R"sql(
      UPDATE meta SET generation = 7;
      INSERT INTO sets VALUES ('campus', 7, 1000);
      INSERT INTO objects (kind, name, set_name, uid, generation, deleting, adopt, created, spec)
        VALUES ('network', 'lab', 'campus', '0123456789abcdef', 6, 0, 1, 2000, '{"driver":"bridge"}');
      INSERT INTO claims VALUES ('0123456789abcdef', 'eth0');
      INSERT INTO events VALUES (41, 3000, 'Applied', 'network', 'lab', 'campus', 'created', 1, 2, 3);
    )sql"));
  }
  auto opened = must_open(directory.path());
  EXPECT_FALSE(opened.set_aside);
  state::Store& store = *opened.store;
  EXPECT_EQ(store.generation(), 7U);
  ASSERT_EQ(store.sets().size(), 1U);
  const auto objects = must(store.objects());
  ASSERT_EQ(objects.size(), 1U);
  EXPECT_EQ(objects[0].uid, "0123456789abcdef");
  EXPECT_TRUE(objects[0].adopt);
  EXPECT_EQ(must(store.finalizers()),
            (std::vector{state::HeldFinalizer{"0123456789abcdef", Finalizer::port("eth0")}}));
  EXPECT_EQ(store.last_event_id(), 41U);
  EXPECT_EQ(must(store.history(objects[0].id, 5)).size(), 1U);
  Shell shell(directory.database());
  EXPECT_EQ(shell.run("PRAGMA user_version"), std::to_string(state::migrations().back().version));
  EXPECT_EQ(shell.run("PRAGMA application_id"), std::to_string(state::kApplicationId));
}

TEST_F(StateMigrations, BringVersion3ToPoolsWithItsContent) {
  {
    auto connection = connect();
    must(state::migrate(connection, state::migrations().first(3)));
    must(connection.execute("test", R"sql(
      UPDATE meta SET generation = 7;
      INSERT INTO sets VALUES ('campus', 7, 1000);
      INSERT INTO objects (kind, name, set_name, uid, generation, deleting, adopt, created, spec, leases)
        VALUES ('attachment', 'r1', 'campus', '0123456789abcdef', 6, 0, 0, 2000, '{}', '10.0.0.2/24');
    )sql"));
  }
  const auto opened = must_open(directory.path());
  state::Store& store = *opened.store;
  EXPECT_EQ(store.generation(), 7U);
  EXPECT_EQ(must(store.objects()).at(0).allocations, "10.0.0.2/24");
  EXPECT_TRUE(must(store.address_pools()).empty());
}

TEST_F(StateMigrations, BringVersion5sNetworksToTheRecordsOfTheirController) {
  {
    auto connection = connect();
    must(state::migrate(connection, state::migrations().first(5)));
    must(connection.execute("test", "INSERT INTO docker_networks VALUES ('0a1b', '{\"network\": \"lab\"}')"));
  }
  const auto opened = must_open(directory.path());
  EXPECT_EQ(must(opened.store->annexes("docker")),
            (std::vector<state::Annex>{{"docker", "0a1b", "{\"network\": \"lab\"}"}}));
  EXPECT_TRUE(must(opened.store->annexes("another")).empty());
}

TEST_F(StateMigrations, MigratedAndNewDatabasesHaveTheSameSchema) {
  Directory fresh;
  must_open(fresh.path());
  {
    auto connection = connect();
    must(state::migrate(connection, state::migrations().first(1)));
  }
  must_open(directory.path());
  const char* schema = "SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_schema ORDER BY name)";
  EXPECT_EQ(Shell(directory.database()).run(schema), Shell(fresh.database()).run(schema));
}

TEST_F(StateMigrations, AFailingOneLeavesTheOldVersionUntouched) {
  auto connection = connect();
  must(state::migrate(connection, state::migrations().first(1)));
  const std::vector<state::Migration> table{
      state::migrations()[0],
      {2, "a step that works",
       "CREATE TABLE extra (x INTEGER) STRICT; INSERT INTO sets VALUES ('new', 1, 1);"},
      {3, "a step that does not", "DROP TABLE claims; INSERT INTO nowhere VALUES (1);"},
  };
  const auto failed = state::migrate(connection, table);
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().tried.find("version 3 (a step that does not)"), std::string::npos)
      << failed.error().text();
  EXPECT_NE(failed.error().words.find("nowhere"), std::string::npos) << failed.error().text();
  EXPECT_EQ(version_of(connection), 1);
  EXPECT_EQ(must(connection.integer("test", "SELECT count(*) FROM sqlite_schema WHERE name = 'extra'")), 0);
  EXPECT_EQ(must(connection.integer("test", "SELECT count(*) FROM sqlite_schema WHERE name = 'claims'")), 1);
  EXPECT_EQ(must(connection.integer("test", "SELECT count(*) FROM sets")), 0);
  must(state::migrate(connection, state::migrations()));
  EXPECT_EQ(version_of(connection), state::migrations().back().version);
}

TEST_F(StateMigrations, OneThatBreaksReferencesIsUndone) {
  auto connection = connect();
  must(state::migrate(connection, state::migrations()));
  const int next = state::migrations().back().version + 1;
  std::vector<state::Migration> table(state::migrations().begin(), state::migrations().end());
  table.push_back(
      {next, "a careless step",
       "INSERT INTO objects (kind, name, set_name, uid, generation, deleting, adopt, created, spec) "
       "VALUES ('vlan', 'x', 'nowhere', '0123456789abcdef', 1, 0, 0, 0, '{}');"});
  const auto failed = state::migrate(connection, table);
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().words.find("objects"), std::string::npos) << failed.error().text();
  EXPECT_EQ(version_of(connection), next - 1);
  EXPECT_EQ(must(connection.integer("test", "SELECT count(*) FROM objects")), 0);
}

TEST_F(StateMigrations, ANewerVersionIsAnErrorThatSaysWhatToDo) {
  must_open(directory.path());
  Shell(directory.database()).run("PRAGMA user_version = 99; CREATE TABLE future (x)");
  const auto refused = state::Store::open(directory.path());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::invalid);
  EXPECT_NE(refused.error().words.find("99"), std::string::npos) << refused.error().text();
  EXPECT_NE(refused.error().hint.find("newer lanwright"), std::string::npos) << refused.error().text();
  EXPECT_EQ(refused.error().object, directory.database());
  EXPECT_EQ(Shell(directory.database()).run("SELECT count(*) FROM sqlite_schema WHERE name = 'future'"), "1");
  EXPECT_TRUE(directory.files("lanwright.db.damaged").empty());
}

TEST_F(StateMigrations, AnOldDatabaseWaitsForNobodysTransaction) {
  {
    auto connection = connect();
    must(state::migrate(connection, state::migrations().first(1)));
  }
  Shell shell(directory.database());
  shell.run("BEGIN IMMEDIATE");
  const auto refused = state::Store::open(directory.path());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::busy);
  shell.run("ROLLBACK");
  EXPECT_TRUE(state::Store::open(directory.path()));
}

}  // namespace
}  // namespace lanwright
