// The copy of Open vSwitch's database, transactions, and what becomes of them.
#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "reconcilers/ovsdb/commits.h"
#include "reconcilers/ovsdb/message.h"
#include "reconcilers/ovsdb/ports.h"
#include "reconcilers/ovsdb/tables.h"
#include "reconcilers/ovsdb/transaction.h"

namespace lanwright::ovsdb {
namespace {

using namespace std::chrono_literals;

std::string uuid(int number) {
  const std::string digits = std::to_string(number);
  return "00000000-0000-0000-0000-" + std::string(12 - digits.size(), '0') + digits;
}

const Json kNone = Json::parse(R"(["set",[]])");
const Json kNoPairs = Json::parse(R"(["map",[]])");

Json root(std::int64_t next, std::int64_t current) {
  return {{"bridges", kNone},
          {"next_cfg", next},
          {"cur_cfg", current},
          {"ovs_version", "3.1.0"},
          {"other_config", kNoPairs}};
}
Json interface(const std::string& name, const Json& ofport, const Json& error = kNone,
               const Json& request = kNone) {
  return {{"name", name},   {"type", ""},           {"ofport_request", request}, {"ofport", ofport},
          {"error", error}, {"mtu_request", kNone}, {"external_ids", kNoPairs}};
}
Json is(const Json& row) {
  return {{"new", row}};
}
Json was(const Json& row) {
  return {{"old", row}};
}

Tables tables_with(const Json& interfaces, std::int64_t current = 1) {
  Tables tables;
  const auto read =
      tables.replace({{"Open_vSwitch", {{uuid(1), is(root(current, current))}}}, {"Interface", interfaces}});
  EXPECT_TRUE(read) << (read ? "" : read.error().text());
  return tables;
}

TEST(OvsdbTables, AllColumnsAreAskedFor) {
  const Json requests = monitor_requests();
  EXPECT_EQ(requests.size(), 6U);
  EXPECT_EQ(requests["Open_vSwitch"]["columns"],
            Json::array({"bridges", "next_cfg", "cur_cfg", "ovs_version", "other_config"}));
}

TEST(OvsdbTables, FollowWhatTheMonitorTells) {
  Tables tables = tables_with({{uuid(2), is(interface("a", 1))}, {uuid(3), is(interface("b", 2))}});
  ASSERT_NE(tables.root(), nullptr);
  EXPECT_EQ(tables.root_uuid()->text, uuid(1));
  EXPECT_EQ(tables.of<InterfaceRow>().find("b")->ofport, 2);

  const auto changes = tables.update({{"Interface",
                                       {{uuid(2), {{"old", {{"ofport", 1}}}, {"new", interface("a", 9)}}},
                                        {uuid(3), was(interface("b", 2))},
                                        {uuid(4), is(interface("c", kNone))}}}});
  ASSERT_TRUE(changes);
  EXPECT_EQ(changes->names.at("Interface"), (std::set<std::string>{"a", "b", "c"}));
  EXPECT_EQ(changes->names.size(), 1U);
  EXPECT_EQ(tables.of<InterfaceRow>().find("a")->ofport, 9);
  EXPECT_EQ(tables.of<InterfaceRow>().find("b"), nullptr);
  EXPECT_EQ(tables.of<InterfaceRow>().find("c")->ofport, std::nullopt);
}

// Rows of one update come in no order: the new one may be seen before the old one goes.
TEST(OvsdbTables, ANameMayPassToAnotherRow) {
  for (const auto& [before, after] : {std::pair(2, 3), std::pair(3, 2)}) {
    Tables tables = tables_with({{uuid(before), is(interface("a", 1))}});
    const auto changes = tables.update(
        {{"Interface", {{uuid(before), was(interface("a", 1))}, {uuid(after), is(interface("a", 2))}}}});
    ASSERT_TRUE(changes);
    ASSERT_NE(tables.of<InterfaceRow>().find("a"), nullptr);
    EXPECT_EQ(tables.of<InterfaceRow>().uuid_of("a")->text, uuid(after));
  }
}

TEST(OvsdbTables, ARenamedRowHasChangedUnderBothNames) {
  Tables tables = tables_with({{uuid(2), is(interface("a", 1))}});
  const auto changes = tables.update({{"Interface", {{uuid(2), is(interface("z", 1))}}}});
  ASSERT_TRUE(changes);
  EXPECT_TRUE(changes->has<InterfaceRow>("a") && changes->has<InterfaceRow>("z"));
  EXPECT_EQ(tables.of<InterfaceRow>().find("a"), nullptr);
}

TEST(OvsdbTables, AFullReadTellsOnlyWhatDiffers) {
  const Json all = {{"Open_vSwitch", {{uuid(1), is(root(1, 1))}}},
                    {"Interface", {{uuid(2), is(interface("a", 1))}, {uuid(3), is(interface("b", 2))}}}};
  Tables tables;
  ASSERT_TRUE(tables.replace(all));
  const auto same = tables.replace(all);
  ASSERT_TRUE(same);
  EXPECT_TRUE(same->empty());

  const auto fewer = tables.replace({{"Open_vSwitch", {{uuid(1), is(root(1, 1))}}}});
  ASSERT_TRUE(fewer);
  EXPECT_EQ(fewer->names, (std::map<std::string, std::set<std::string>>{{"Interface", {"a", "b"}}}));
  const auto empty = tables.replace(Json::object());
  ASSERT_TRUE(empty);
  EXPECT_EQ(tables.root(), nullptr);
}

TEST(OvsdbTables, WhatCannotBeReadChangesNothing) {
  Tables tables = tables_with({{uuid(2), is(interface("a", 1))}});
  Json without_type = interface("b", 2);
  without_type.erase("type");
  Json wrong = interface("b", 2);
  wrong["ofport"] = "two";
  const auto refused = [&](const Json& updates, const std::string& words) {
    const auto changes = tables.update(updates);
    ASSERT_FALSE(changes) << updates;
    EXPECT_NE(changes.error().text().find(words), std::string::npos) << changes.error().text();
    EXPECT_EQ(tables.of<InterfaceRow>().rows().size(), 1U);
    EXPECT_EQ(tables.root()->cur_cfg, 1);
  };
  refused(5, "no object of tables");
  refused({{"Interface", 5}}, "table Interface is no object");
  refused({{"Flow_Table", Json::object()}}, "a table that was not asked for");
  refused({{"Interface", {{"x", is(interface("b", 2))}}}}, "no UUID");
  refused({{"Interface", {{uuid(3), Json::object()}}}}, "neither an old row nor a new one");
  refused({{"Interface", {{uuid(3), is(5)}}}}, "no row");
  refused({{"Interface", {{uuid(2), was(interface("a", 1))}, {uuid(3), is(without_type)}}}},
          "column type of table Interface: it is missing");
  refused({{"Interface", {{uuid(3), is(wrong)}}}, {"Open_vSwitch", {{uuid(1), is(root(9, 9))}}}},
          "column ofport of table Interface: it has another type: \"two\"");
}

// A server may send anything: it is refused or taken in, and nothing else happens. For the sanitizers, too.
TEST(OvsdbTables, BearWhateverComes) {
  const std::string valid =
      Json{{"id", nullptr},
           {"method", "update"},
           {"params",
            {"lanwright",
             {{"Open_vSwitch", {{uuid(1), is(root(1, 1))}}},
              {"Interface", {{uuid(2), is(interface("a", 1, "words", 7))}, {uuid(3), was(root(1, 1))}}}}}}}
          .dump();
  std::minstd_rand random(1);  // the same one each time
  const std::string likely = R"({}[]",:0-1\setmapuid)";
  int taken = 0;
  int refused = 0;
  for (int i = 0; i < 5000; ++i) {
    std::string bytes = valid;
    for (auto changes = random() % 3; changes > 0; --changes) {
      const std::size_t at = random() % bytes.size();
      if (random() % 2 == 0)
        bytes[at] = likely[random() % likely.size()];
      else
        bytes.erase(at, random() % 20);
    }
    Framer framer;
    std::vector<Json> messages;
    Tables tables;
    bool good = framer.feed(bytes, messages).ok();
    for (Json& each : messages) {
      const auto message = message_from(std::move(each));
      const auto* request = message ? std::get_if<Request>(&*message) : nullptr;
      good = good && request != nullptr && request->params.size() == 2 &&
             tables.replace(request->params[1]).ok();
    }
    ++(good ? taken : refused);
  }
  EXPECT_GT(taken, 1000) << "a third is unchanged";
  EXPECT_GT(refused, 1000);
}

Transaction plugging(const std::string& interface) {
  Transaction transaction("plug in", interface);
  const NamedUuid row = transaction.insert("Interface", {{"name", value_of(Atom(interface))}});
  const NamedUuid port =
      transaction.insert("Port", {{"name", value_of(Atom(interface))}, {"interfaces", value_of(Atom(row))}});
  transaction.add_to("Bridge", Uuid{uuid(7)}, "ports", value_of(Atom(port)));
  transaction.await_port(interface);
  return transaction;
}

TEST(OvsdbTransaction, IsWhatTheServerTakes) {
  Transaction transaction = plugging("v1");
  EXPECT_EQ(transaction.params(Uuid{uuid(1)}), Json::parse(R"(["Open_vSwitch",
    {"op":"insert","table":"Interface","uuid-name":"row1","row":{"name":"v1"}},
    {"op":"insert","table":"Port","uuid-name":"row2","row":{"name":"v1","interfaces":["named-uuid","row1"]}},
    {"op":"wait","timeout":0,"table":"Bridge","where":[["_uuid","==",["uuid","00000000-0000-0000-0000-000000000007"]]],
     "columns":[],"until":"==","rows":[{}]},
    {"op":"mutate","table":"Bridge","where":[["_uuid","==",["uuid","00000000-0000-0000-0000-000000000007"]]],
     "mutations":[["ports","insert",["named-uuid","row2"]]]},
    {"op":"wait","timeout":0,"table":"Open_vSwitch","where":[["_uuid","==",["uuid","00000000-0000-0000-0000-000000000001"]]],
     "columns":[],"until":"==","rows":[{}]},
    {"op":"mutate","table":"Open_vSwitch","where":[["_uuid","==",["uuid","00000000-0000-0000-0000-000000000001"]]],
     "mutations":[["next_cfg","+=",1]]},
    {"op":"select","table":"Open_vSwitch","where":[["_uuid","==",["uuid","00000000-0000-0000-0000-000000000001"]]],
     "columns":["next_cfg"]},
    {"op":"comment","comment":"lanwright: plug in v1"}])"));
}

TEST(OvsdbTransaction, PreconditionsAreWaitsThatDoNotWait) {
  Transaction transaction("x", "y");
  transaction.expect_no_row("Bridge", "br0");
  transaction.expect("Bridge", Uuid{uuid(7)}, {{"fail_mode", value_of(Atom(std::string("secure")))}});
  const Json params = transaction.params(Uuid{uuid(1)});
  EXPECT_EQ(params[1]["rows"], Json::array());
  EXPECT_EQ(params[1]["where"], Json::parse(R"([["name","==","br0"]])"));
  EXPECT_EQ(params[2]["columns"], Json::array({"fail_mode"}));
  EXPECT_EQ(params[2]["rows"], Json::parse(R"([{"fail_mode":"secure"}])"));
  EXPECT_EQ(params[1]["timeout"], 0);
}

// Results of the seven operations of plugging(), and of the comment.
Json results(const std::vector<std::pair<std::size_t, Json>>& changed = {}) {
  Json all = Json::parse(R"([{"uuid":["uuid","x"]},{"uuid":["uuid","y"]},{},{"count":1},{},{"count":1},
                             {"rows":[{"next_cfg":5}]},{}])");
  for (const auto& [index, result] : changed) {
    if (index == all.size()) all.push_back(result);
    all[index] = result;
  }
  return all;
}

TEST(OvsdbTransaction, EveryOperationsErrorIsRead) {
  const Transaction transaction = plugging("v1");
  EXPECT_EQ(*transaction.read_result(results()), 5);
  const Json failure = {{"error", "constraint violation"}, {"details", "why"}};
  const auto refused = [&](const Json& result, ErrorKind kind, const std::string& words) {
    const auto number = transaction.read_result(result);
    ASSERT_FALSE(number) << result;
    EXPECT_EQ(number.error().kind, kind);
    EXPECT_NE(number.error().text().find(words), std::string::npos) << number.error().text();
  };
  refused(results({{0, failure}, {1, nullptr}}), ErrorKind::conflict,
          "plug in v1: insert Interface v1: constraint violation: why");
  refused(results({{2, {{"error", "timed out"}, {"details", "no"}}}}), ErrorKind::conflict,
          "expect Bridge " + uuid(7) + ": timed out");
  refused(results({{7, failure}}), ErrorKind::conflict, "constraint violation");  // of the comment
  refused(results({{8, failure}}), ErrorKind::conflict, "plug in v1: constraint violation: why");
  refused(results({{6, nullptr}}), ErrorKind::invalid, "left answers out");
  refused(results({{6, {{"rows", Json::array()}}}}), ErrorKind::invalid, "next_cfg is missing");
  refused(results({{6, Json::parse(R"({"rows":[{"next_cfg":"5"}]})")}}), ErrorKind::invalid,
          "next_cfg is missing");
  refused(Json::array(), ErrorKind::invalid, "left answers out");
  refused({{"x", 1}}, ErrorKind::invalid, "the server answered");
}

TEST(OvsdbPorts, AreJudgedByWhatOvsVswitchdSays) {
  const Tables tables = tables_with({{uuid(2), is(interface("good", 3))},
                                     {uuid(3), is(interface("requested", 4, kNone, 4))},
                                     {uuid(4), is(interface("taken", 1, kNone, 7))},
                                     {uuid(5), is(interface("gone", -1, "could not open network device"))},
                                     {uuid(6), is(interface("failed", -1))},
                                     {uuid(7), is(interface("silent", kNone))}});
  const Outcome outcome =
      outcome_of(tables, {"good", "requested", "taken", "gone", "failed", "silent", "unknown"});
  EXPECT_EQ(outcome.ofports, (std::map<std::string, std::int64_t>{{"good", 3}, {"requested", 4}}));
  const auto failed = [&](const char* name, ErrorKind kind, const char* words) {
    ASSERT_TRUE(outcome.failed.contains(name)) << name;
    EXPECT_EQ(outcome.failed.at(name).kind, kind) << name;
    EXPECT_NE(outcome.failed.at(name).text().find(words), std::string::npos)
        << outcome.failed.at(name).text();
  };
  failed("taken", ErrorKind::conflict, "OpenFlow port 7 was requested, and it got 1");
  failed("gone", ErrorKind::waiting, "could not open network device");
  failed("failed", ErrorKind::unsupported, "no OpenFlow port");
  failed("silent", ErrorKind::unsupported, "no OpenFlow port");
  failed("unknown", ErrorKind::conflict, "its row is gone");
}

class OvsdbCommits : public ::testing::Test {
 protected:
  const os::SteadyTime start{};
  Commits commits;
  std::vector<Result<Outcome>> ended;

  void begin(std::int64_t id, std::chrono::seconds limit = 10s) {
    commits.begin(
        id, plugging("v1"), [this](Result<Outcome> result) { ended.push_back(std::move(result)); },
        start + limit);
  }
  void advance(const Tables& tables, std::chrono::seconds passed = 0s) {
    commits.advance(tables, start + passed);
    commits.deliver();
  }
  std::string error() const { return ended.empty() || ended.back() ? "" : ended.back().error().text(); }
};

TEST_F(OvsdbCommits, EndWhenOvsVswitchdHasComeSoFar) {
  const Json interfaces = {{uuid(2), is(interface("v1", 1))}};
  begin(1);
  advance(tables_with(interfaces, 9));
  EXPECT_TRUE(ended.empty()) << "not in the database yet";
  EXPECT_FALSE(commits.take(2, {2, results(), nullptr})) << "another's";
  EXPECT_TRUE(commits.take(1, {1, results(), nullptr}));
  advance(tables_with(interfaces, 4));
  EXPECT_TRUE(ended.empty());
  advance(tables_with(interfaces, 5));
  ASSERT_EQ(ended.size(), 1U);
  ASSERT_TRUE(ended[0]) << error();
  EXPECT_EQ(ended[0]->ofports.at("v1"), 1);
  EXPECT_TRUE(commits.empty());
  EXPECT_FALSE(commits.take(1, {1, results(), nullptr})) << "answered twice";
}

TEST_F(OvsdbCommits, EndWithTheErrorOfTheRequest) {
  begin(1);
  EXPECT_TRUE(commits.take(1, {1, nullptr, {{"error", "unknown database"}}}));
  commits.deliver();
  EXPECT_EQ(error(), "plug in v1: unknown database");
}

TEST_F(OvsdbCommits, AreNotWaitedForForEver) {
  begin(1);
  begin(2);
  EXPECT_TRUE(commits.take(1, {1, results(), nullptr}));
  EXPECT_EQ(commits.next_due(), start + 10s);
  advance(tables_with(Json::object(), 4), 9s);
  EXPECT_TRUE(ended.empty());
  advance(tables_with(Json::object(), 4), 10s);
  ASSERT_EQ(ended.size(), 2U);
  EXPECT_EQ(ended[0].error().kind, ErrorKind::timeout);
  EXPECT_NE(ended[0].error().words.find("it is at configuration 4 of 5"), std::string::npos);
  EXPECT_NE(ended[1].error().words.find("ovsdb-server does not answer"), std::string::npos);
  EXPECT_TRUE(commits.take(2, {2, results(), nullptr})) << "late, and no surprise";
  EXPECT_FALSE(commits.take(1, {1, results(), nullptr}));
}

TEST_F(OvsdbCommits, SayThatNobodyKnowsWhenTheConnectionIsLost) {
  begin(1);
  begin(2);
  EXPECT_TRUE(commits.take(1, {1, results(), nullptr}));
  commits.fail({ErrorKind::waiting, "read from", "/db.sock", 0, "ended", {}});
  commits.deliver();
  ASSERT_EQ(ended.size(), 2U);
  EXPECT_NE(ended[0].error().words.find("it is in the database"), std::string::npos);
  EXPECT_NE(ended[1].error().words.find("whether it was done is not known: read from /db.sock: ended"),
            std::string::npos);
  EXPECT_EQ(ended[1].error().kind, ErrorKind::waiting);
}

TEST_F(OvsdbCommits, MayBeBegunByTheEndOfAnother) {
  commits.begin(
      1, plugging("v1"), [this](const Result<Outcome>&) { begin(2); }, start + 1s);
  advance(tables_with(Json::object()), 1s);
  EXPECT_FALSE(commits.empty());
  EXPECT_TRUE(ended.empty());
}

}  // namespace
}  // namespace lanwright::ovsdb
