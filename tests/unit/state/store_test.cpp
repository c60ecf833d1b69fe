// What the store promises of its content: uids, generations, sets, deletion, finalizers, history.
#include "state/store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "tests/unit/state/fixture.h"

namespace lanwright {
namespace {

class StateStore : public ::testing::Test {
 protected:
  StateStore() : store(must_open(directory.path()).store) {}

  void reopen() {
    store.reset();
    store = must_open(directory.path()).store;
  }
  state::StoredObject put_one(state::StoredObject object) {
    return must(store->commit(put({std::move(object)}))).at(0);
  }
  std::optional<state::StoredObject> find(const std::string& name) {
    for (auto& object : must(store->objects())) {
      if (object.id.name == name) return object;
    }
    return std::nullopt;
  }
  std::optional<state::StoredSet> find_set(const std::string& name) {
    for (auto& set : store->sets()) {
      if (set.name == name) return set;
    }
    return std::nullopt;
  }
  void mark(const std::string& name) {
    state::StoreChange change;
    change.mark_deleting = {{Kind::network, name}};
    must(store->commit(std::move(change)));
  }

  Directory directory;
  std::unique_ptr<state::Store> store;
};

TEST_F(StateStore, BeginsEmpty) {
  EXPECT_EQ(store->generation(), 0U);
  EXPECT_EQ(store->last_event_id(), 0U);
  EXPECT_TRUE(store->sets().empty());
  EXPECT_TRUE(must(store->objects()).empty());
  EXPECT_TRUE(must(store->finalizers()).empty());
  EXPECT_TRUE(must(store->history(std::nullopt, 10)).empty());
}

TEST_F(StateStore, KeepsEverythingOverAReopen) {
  state::StoredObject wanted = network("lab", R"({"driver":"bridge","mtu":9000})", "campus");
  wanted.adopt = true;
  const state::StoredObject stored = put_one(wanted);
  const std::vector<state::StoredSet> sets = store->sets();
  reopen();
  EXPECT_EQ(store->generation(), 1U);
  const auto found = find("lab");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, (ResourceId{Kind::network, "lab"}));
  EXPECT_EQ(found->set, "campus");
  EXPECT_EQ(found->uid, stored.uid);
  EXPECT_EQ(found->generation, 1U);
  EXPECT_FALSE(found->deleting);
  EXPECT_TRUE(found->adopt);
  EXPECT_EQ(found->created, stored.created);
  EXPECT_EQ(found->spec, wanted.spec);
  ASSERT_EQ(store->sets().size(), 1U);
  EXPECT_EQ(store->sets()[0].name, "campus");
  EXPECT_EQ(store->sets()[0].generation, 1U);
  EXPECT_EQ(store->sets()[0].applied, sets[0].applied);
  EXPECT_NE(store->sets()[0].applied, WallTime{});
}

TEST_F(StateStore, GivesDistinctUidsOf16HexDigits) {
  std::vector<state::StoredObject> objects;
  objects.reserve(500);
  for (int i = 0; i < 500; ++i) objects.push_back(network("n" + std::to_string(i)));
  std::set<ObjectUid> uids;
  for (const auto& object : must(store->commit(put(objects)))) {
    EXPECT_EQ(object.uid.size(), 16U);
    EXPECT_EQ(object.uid.find_first_not_of("0123456789abcdef"), ObjectUid::npos) << object.uid;
    uids.insert(object.uid);
  }
  EXPECT_EQ(uids.size(), 500U);
}

TEST_F(StateStore, TakesAGivenUidForANewObjectOnly) {
  state::StoredObject given = network("lab");
  given.uid = "0123456789abcdef";
  EXPECT_EQ(put_one(given).uid, "0123456789abcdef");
  given.uid = "fedcba9876543210";
  given.spec = "{}";
  EXPECT_EQ(put_one(given).uid, "0123456789abcdef");
  given.id.name = "other";
  given.uid = "0123456789ABCDEF";
  const auto refused = store->commit(put({given}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::invalid);
  EXPECT_EQ(refused.error().object, "network other");
}

TEST_F(StateStore, ListsObjectsAscendingById) {
  state::StoredObject attachment = network("a");
  attachment.id.kind = Kind::attachment;
  state::StoredObject vlan = network("z.5");
  vlan.id.kind = Kind::vlan;
  must(store->commit(put({attachment, network("b"), network("B"), vlan, network("a")})));
  std::vector<ResourceId> ids;
  for (const auto& object : must(store->objects())) ids.push_back(object.id);
  EXPECT_EQ(ids.size(), 5U);
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
}

TEST_F(StateStore, StampsOnlyWhatChanged) {
  const auto first = must(store->commit(put({network("a"), network("b")})));
  const auto second = must(store->commit(put({network("a"), network("b", "{}")})));
  EXPECT_EQ(store->generation(), 2U);
  EXPECT_EQ(second[0].generation, 1U);
  EXPECT_EQ(second[1].generation, 2U);
  EXPECT_EQ(second[1].uid, first[1].uid);
  EXPECT_EQ(second[1].created, first[1].created);
  EXPECT_EQ(find("a")->generation, 1U);
  EXPECT_EQ(find("b")->generation, 2U);

  state::StoredObject adopting = network("a");
  adopting.adopt = true;
  EXPECT_EQ(put_one(adopting).generation, 3U);
  EXPECT_EQ(put_one(adopting).generation, 3U);
  EXPECT_EQ(store->generation(), 4U);
}

TEST_F(StateStore, KeepsTheTimeOfCreation) {
  state::StoredObject dated = network("lab");
  dated.created = WallTime(std::chrono::milliseconds(1234567890123));
  EXPECT_EQ(put_one(dated).created, dated.created);
  EXPECT_EQ(put_one(network("lab", "{}")).created, dated.created);
  EXPECT_EQ(find("lab")->created, dated.created);
}

TEST_F(StateStore, StampsASetWhenItsObjectsChange) {
  must(store->commit(put({network("a", "{}", "one"), network("b", "{}", "two")})));
  must(store->commit(put({network("a", "{}", "one"), network("b", R"({"x":1})", "two")})));
  EXPECT_EQ(find_set("one")->generation, 1U);
  EXPECT_EQ(find_set("two")->generation, 2U);
  mark("a");
  EXPECT_EQ(find_set("one")->generation, 3U);
  EXPECT_EQ(find_set("two")->generation, 2U);
  reopen();
  EXPECT_EQ(find_set("one")->generation, 3U);
  EXPECT_EQ(find_set("two")->generation, 2U);
}

TEST_F(StateStore, AnUnchangedApplyKeepsTheSetsGeneration) {
  state::StoreChange empty_set;
  empty_set.put_sets = {"empty"};
  must(store->commit(empty_set));
  must(store->commit(empty_set));
  EXPECT_EQ(store->generation(), 2U);
  EXPECT_EQ(find_set("empty")->generation, 1U);
}

TEST_F(StateStore, MovesAnObjectToAnotherSet) {
  const state::StoredObject before = put_one(network("lab", "{}", "one"));
  state::StoreChange other;
  other.put_sets = {"two"};
  must(store->commit(other));
  const state::StoredObject after = put_one(network("lab", "{}", "two"));
  EXPECT_EQ(after.uid, before.uid);
  EXPECT_EQ(after.generation, 3U);
  EXPECT_EQ(find_set("one")->generation, 3U);
  EXPECT_EQ(find_set("two")->generation, 3U);
}

TEST_F(StateStore, RevivesADeletingObjectWithItsUid) {
  state::StoredObject dated = network("lab");
  dated.created = WallTime(std::chrono::milliseconds(1));
  const state::StoredObject before = put_one(dated);
  mark("lab");
  EXPECT_TRUE(find("lab")->deleting);
  EXPECT_EQ(find("lab")->generation, 1U) << "the spec did not change";
  const state::StoredObject after = put_one(network("lab"));
  EXPECT_EQ(after.uid, before.uid);
  EXPECT_FALSE(after.deleting);
  EXPECT_EQ(after.generation, 3U);
  EXPECT_NE(after.created, before.created);
  reopen();
  EXPECT_FALSE(find("lab")->deleting);
  EXPECT_EQ(find("lab")->uid, before.uid);
}

TEST_F(StateStore, ForgetsDeletingObjectsOnly) {
  const ObjectUid uid = put_one(network("lab")).uid;
  must(store->forget({{Kind::network, "lab"}, {Kind::vlan, "unknown"}}));
  ASSERT_TRUE(find("lab")) << "it is wanted";
  mark("lab");
  const std::uint64_t generation = store->generation();
  must(store->forget({{Kind::network, "lab"}}));
  EXPECT_FALSE(find("lab"));
  EXPECT_EQ(store->generation(), generation);
  EXPECT_NE(put_one(network("lab")).uid, uid) << "what is declared again is another object";
}

TEST_F(StateStore, DeletingObjectsOutliveTheirSet) {
  const ObjectUid uid = put_one(network("lab", "{}", "campus")).uid;
  state::StoreChange drop;
  drop.drop_sets = {"campus", "unknown"};
  drop.mark_deleting = {{Kind::network, "lab"}, {Kind::network, "unknown"}};
  must(store->commit(drop));
  EXPECT_TRUE(store->sets().empty());
  reopen();
  EXPECT_TRUE(store->sets().empty());
  ASSERT_TRUE(find("lab"));
  EXPECT_TRUE(find("lab")->deleting);
  EXPECT_EQ(find("lab")->set, "campus");
  EXPECT_EQ(find("lab")->uid, uid);

  EXPECT_EQ(put_one(network("lab", "{}", "other")).uid, uid);
  EXPECT_FALSE(find_set("campus")) << "the set that it left is not made again";
  mark("lab");
  must(store->forget({{Kind::network, "lab"}}));
  EXPECT_FALSE(find("lab"));
}

TEST_F(StateStore, RefusesToDropASetWithObjectsThatStay) {
  must(store->commit(put({network("a", "{}", "campus"), network("b", "{}", "campus")})));
  state::StoreChange drop;
  drop.drop_sets = {"campus"};
  drop.mark_deleting = {{Kind::network, "a"}};
  drop.events = {event("Deleted")};
  const auto refused = store->commit(drop);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::invalid);
  EXPECT_EQ(refused.error().object, "set campus");
  EXPECT_NE(refused.error().words.find("network b"), std::string::npos) << refused.error().text();
  EXPECT_EQ(store->generation(), 1U);
  EXPECT_EQ(store->last_event_id(), 0U);
  EXPECT_FALSE(find("a")->deleting) << "nothing of the change happened";
  EXPECT_TRUE(find_set("campus"));
}

TEST_F(StateStore, RefusesAnObjectWithoutItsSet) {
  state::StoreChange change;
  change.put_objects = {network("lab", "{}", "nowhere")};
  const auto refused = store->commit(change);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::invalid);
  EXPECT_EQ(refused.error().object, "network lab");
  EXPECT_TRUE(must(store->objects()).empty());

  change.put_sets = {"nowhere"};
  change.drop_sets = {"nowhere"};
  ASSERT_FALSE(store->commit(change));
  change.drop_sets = {};
  EXPECT_TRUE(store->commit(change));
}

TEST_F(StateStore, ForeignKeysHoldAlsoAgainstTheShell) {
  must(store->commit(put({network("lab", "{}", "campus")})));
  Shell shell(directory.database());
  shell.run("PRAGMA foreign_keys = ON");
  EXPECT_THROW(shell.run("DELETE FROM sets"), std::runtime_error);
  EXPECT_THROW(shell.run("UPDATE objects SET set_name = 'nowhere'"), std::runtime_error);
  shell.run("UPDATE objects SET deleting = 1");
  shell.run("DELETE FROM sets");
  EXPECT_THROW(shell.run("UPDATE objects SET deleting = 0"), std::runtime_error);
}

TEST_F(StateStore, KeepsOddTexts) {
  const std::string spec = "{\"text\":\"\u00e4\u4e2d '\\\" ; DROP TABLE objects\"}";
  put_one(network("na'me\"; --", spec));
  reopen();
  EXPECT_EQ(find("na'me\"; --")->spec, spec);
}

TEST_F(StateStore, KeepsFinalizersWithoutTheirObject) {
  const state::HeldFinalizer eth0{"00000000000000aa", Finalizer::port("eth0")};
  const state::HeldFinalizer eth1{"00000000000000aa", Finalizer::port("eth1")};
  const state::HeldFinalizer other{"00000000000000bb", Finalizer::netns("/run/netns/eth0")};
  must(store->add_finalizers({eth1, eth0, other}));
  must(store->add_finalizers({eth0}));
  reopen();
  EXPECT_EQ(must(store->finalizers()), (std::vector{eth0, eth1, other}));
  must(store->drop_finalizers({eth0, {"00000000000000cc", Finalizer::port("eth0")}}));
  reopen();
  EXPECT_EQ(must(store->finalizers()), (std::vector{eth1, other}));
  EXPECT_EQ(store->generation(), 0U);
}

TEST_F(StateStore, FinalizersAreStoredWholeOrNotAtAll) {
  const auto refused = store->add_finalizers(
      {{"00000000000000aa", Finalizer::port("eth0")}, {"not a uid", Finalizer::port("eth1")}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::invalid);
  EXPECT_EQ(refused.error().object, directory.database());
  EXPECT_TRUE(must(store->finalizers()).empty());
}

TEST_F(StateStore, KeepsHistoryNewestFirst) {
  Event applied = event("Applied", "set campus");
  applied.time = WallTime(std::chrono::milliseconds(1234567890123));
  applied.set = "campus";
  applied.peer = Peer{4711, 4294967294U, 1000};
  Event repaired = event("Repaired", "mtu");
  repaired.object = ResourceId{Kind::network, "lab"};
  state::StoreChange change;
  change.events = {applied};
  must(store->commit(change));
  must(store->record({repaired, event("Resync")}));
  EXPECT_EQ(store->last_event_id(), 3U);
  reopen();
  EXPECT_EQ(store->last_event_id(), 3U);

  const auto all = must(store->history(std::nullopt, 10));
  ASSERT_EQ(all.size(), 3U);
  applied.id = 1;
  EXPECT_EQ(all[2], applied);
  EXPECT_EQ(all[1].object, repaired.object);
  EXPECT_EQ(all[1].message, "mtu");
  EXPECT_FALSE(all[1].peer);
  EXPECT_NE(all[1].time, WallTime{}) << "an event without a time is given now";
  EXPECT_EQ(all[0].type, "Resync");
  EXPECT_FALSE(all[0].object);

  const auto latest = must(store->history(std::nullopt, 1));
  ASSERT_EQ(latest.size(), 1U);
  EXPECT_EQ(latest[0].id, 3U);
  const auto of_lab = must(store->history(ResourceId{Kind::network, "lab"}, 10));
  ASSERT_EQ(of_lab.size(), 1U);
  EXPECT_EQ(of_lab[0].id, 2U);
  EXPECT_TRUE(must(store->history(ResourceId{Kind::vlan, "lab"}, 10)).empty());
  EXPECT_TRUE(must(store->history(std::nullopt, 0)).empty());
}

TEST_F(StateStore, KeepsTheNewest10000Events) {
  Event old = event("DriftSeen", "old");
  old.object = ResourceId{Kind::network, "lab"};
  must(store->record({old}));
  must(store->record(std::vector(9'999, event("DriftSeen"))));
  EXPECT_EQ(must(store->history(old.object, 10)).size(), 1U);
  must(store->record({event("Repaired")}));
  EXPECT_TRUE(must(store->history(old.object, 10)).empty());
  auto all = must(store->history(std::nullopt, 20'000));
  EXPECT_EQ(all.size(), 10'000U);
  EXPECT_EQ(all.front().id, 10'001U);
  EXPECT_EQ(all.back().id, 2U);

  for (int i = 0; i < 25; ++i) must(store->record(std::vector(100, event("DriftSeen"))));
  EXPECT_EQ(store->last_event_id(), 12'501U);
  Shell shell(directory.database());
  const int rows = std::stoi(shell.run("SELECT count(*) FROM events"));
  EXPECT_GE(rows, 10'000);
  EXPECT_LT(rows, 11'000) << "the file does not grow for ever";
  EXPECT_EQ(must(store->history(std::nullopt, 20'000)).back().id, 2'502U);
}

TEST_F(StateStore, HistoryOfAnObjectUsesItsIndex) {
  Shell shell(directory.database());
  const std::string last_step = shell.run(
      "EXPLAIN QUERY PLAN SELECT message FROM events "
      "WHERE id > 5 AND kind = 'network' AND name = 'lab' ORDER BY id DESC LIMIT 3");
  EXPECT_NE(last_step.find("events_by_object"), std::string::npos)
      << last_step << ": it is not sorted either";
}

TEST_F(StateStore, IsPrivate) {
  put_one(network("lab"));
  struct stat found {};
  for (const char* part : {"", "-wal", "-shm"}) {
    ASSERT_EQ(::stat((directory.database().string() + part).c_str(), &found), 0) << part;
    EXPECT_EQ(found.st_mode & 0777U, 0600U) << part;
  }
  ASSERT_EQ(::chmod(directory.database().c_str(), 0644), 0);
  reopen();
  ASSERT_EQ(::stat(directory.database().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0600U);
}

TEST_F(StateStore, MakesItsDirectory) {
  const auto below = directory.path() / "var" / "lib" / "lanwright";
  must_open(below);
  struct stat found {};
  ASSERT_EQ(::stat(below.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0700U);
}

TEST_F(StateStore, LeavesOneFileBehindWhenClosed) {
  put_one(network("lab"));
  store.reset();
  EXPECT_EQ(directory.files(""), std::vector<std::string>{"lanwright.db"});
}

TEST_F(StateStore, UsesALogAndStrictTables) {
  Shell shell(directory.database());
  EXPECT_EQ(shell.run("PRAGMA journal_mode"), "wal");
  EXPECT_EQ(
      shell.run("SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite%' "
                "AND NOT strict"),
      "0");
}

TEST_F(StateStore, TwoStoresNeverGiveTheSameUid) {
  Directory other;
  const auto second = must_open(other.path()).store;
  EXPECT_NE(put_one(network("lab")).uid, must(second->commit(put({network("lab")}))).at(0).uid);
}

}  // namespace
}  // namespace lanwright
