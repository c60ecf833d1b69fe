#include "model/format/json.h"

#include <gtest/gtest.h>

#include "tests/unit/model/fixture.h"

namespace lanwright {
namespace {

using model_test::grammar;
using model_test::RandomSets;
using model_test::read;
using model_test::texts;

TEST(SetEncoding, RandomSetsSurviveJsonAndYaml) {
  RandomSets sets(42);
  for (int round = 0; round < 500; ++round) {
    const SetSpec set = sets.next();
    const std::string json = to_json(set).dump();
    const ReadOutcome from_json = read(json);
    ASSERT_TRUE(from_json.ok()) << texts(from_json) << json;
    ASSERT_EQ(from_json.set, set) << json;
    const std::string pretty = to_json(set).dump(2);
    ASSERT_EQ(read(pretty).set, set) << pretty;
    const std::string yaml = to_yaml(set);
    const ReadOutcome from_yaml = read(yaml);
    ASSERT_TRUE(from_yaml.ok()) << texts(from_yaml) << yaml;
    ASSERT_EQ(from_yaml.set, set) << yaml;
    ASSERT_EQ(to_yaml(from_yaml.set), yaml);
  }
}

template <class Spec>
void expect_same(Kind kind, const std::map<std::string, Spec>& objects) {
  static const Grammar kGrammar = grammar();
  for (const auto& [name, spec] : objects) {
    const std::string json = to_json(ObjectSpec(spec)).dump();
    const auto decoded = spec_from_json(kind, name, json, kGrammar);
    ASSERT_TRUE(decoded.ok()) << decoded.error().text() << json;
    ASSERT_EQ(*decoded, ObjectSpec(spec)) << json;
  }
}

TEST(ObjectEncoding, RandomObjectsSurviveTheirRow) {
  RandomSets sets(7);
  for (int round = 0; round < 500; ++round) {
    const SetSpec set = sets.next();
    expect_same(Kind::vlan, set.vlans);
    expect_same(Kind::network, set.networks);
    expect_same(Kind::attachment, set.attachments);
  }
}

TEST(ObjectEncoding, SaysWhatIsWrongWithARow) {
  const auto error_of = [](Kind kind, std::string_view json) {
    return spec_from_json(kind, "lab", json, grammar()).error().text();
  };
  EXPECT_EQ(error_of(Kind::network, R"({"driver": "bridge", "mtu": 1})"),
            "decode the stored spec of network lab: mtu: mtu must be between 68 and 65535, got 1");
  EXPECT_NE(error_of(Kind::vlan, "{").find("not JSON"), std::string::npos);
  EXPECT_NE(error_of(Kind::vlan, "[]").find("mapping"), std::string::npos);
  EXPECT_NE(error_of(Kind::vlan, "").find("not JSON"), std::string::npos);
  EXPECT_NE(error_of(Kind::vlan, "\xff").find("UTF-8"), std::string::npos);
  EXPECT_EQ(spec_from_json(Kind::vlan, "x", "{}", grammar()).error().kind, ErrorKind::invalid);
}

TEST(SetYaml, IsLaidOutForPeople) {
  const ReadOutcome outcome = read(R"(
version: 1
name: campus
attachments:
  r1: {netns: r1, network: lab, interface: eth0, mac: 02:00:00:00:01:01, addresses: [10.0.0.1/24, "fd00::1/64"],
       routes: [{via: 10.0.0.254, to: default, onlink: true}]}
  vm: {tap: {}, network: lab}
vlans:
  eth0.50: {id: 50, parent: eth0}
networks:
  lab: {driver: bridge, bridge: {name: "no"}, uplinks: [eth0.50, {interface: eth1, vlan: 10, trunk: [7, 20-22, 30, 31]}]}
)");
  ASSERT_TRUE(outcome.ok()) << texts(outcome);
  EXPECT_EQ(to_yaml(outcome.set), R"(version: 1
name: campus

vlans:
  eth0.50: {parent: eth0, id: 50}

networks:
  lab:
    driver: bridge
    bridge: {name: "no"}
    uplinks: [eth0.50, {interface: eth1, vlan: 10, trunk: [7, "20-22", 30, 31]}]

attachments:
  r1:
    network: lab
    netns: r1
    interface: eth0
    mac: "02:00:00:00:01:01"
    addresses: [10.0.0.1/24, fd00::1/64]
    routes: [{to: default, via: 10.0.0.254, onlink: true}]
  vm:
    network: lab
    tap: {}
)");
}

TEST(SetEncoding, QuotesWhatAReaderOfYaml11TakesForANumber) {
  SetSpec set;
  for (const char* name : {"0x1_f", "0b1", "0B1_0", "0o17", "1_000.5", "1e3"}) {
    set.name = name;
    EXPECT_NE(to_yaml(set).find("name: \"" + set.name + "\""), std::string::npos) << to_yaml(set);
  }
  for (const char* name : {"0b2", "0o8", "a_b", "10g-lab"}) {
    set.name = name;
    EXPECT_NE(to_yaml(set).find("name: " + set.name + "\n"), std::string::npos) << to_yaml(set);
  }
}

TEST(PlanEncoding, HasTheDocumentedKeys) {
  Plan plan;
  Action action;
  action.object = {Kind::network, "lab"};
  action.stage = 2;
  action.step = RemoveLink{{"", "br\xff"}, 3, "bridge", {}};
  action.reason = "no longer declared";
  action.differences = {"mtu"};
  action.disruption = Disruption::recreate;
  plan.actions.push_back(action);
  plan.blocked.push_back({{Kind::attachment, "r1"}, error_from_errno(2, "find netns", "r1")});
  const Json json = to_json(plan);
  EXPECT_EQ(json["actions"].dump(),
            R"([{"object":{"kind":"network","name":"lab"},"verb":"remove",)"
            "\"target\":{\"netns\":\"\",\"name\":\"br\xef\xbf\xbd\"},"
            R"("stage":2,"reason":"no longer declared","disruption":"recreate","differences":["mtu"],)"
            "\"text\":\"remove bridge br\xef\xbf\xbd\"}]");
  const Json blocked = {{"object", {{"kind", "attachment"}, {"name", "r1"}}},
                        {"kind", "waiting"},
                        {"message", "find netns r1: No such file or directory (errno 2)"}};
  EXPECT_EQ(json["blocked"], Json::array({blocked}));
  EXPECT_EQ(to_json(Plan()).dump(), R"({"actions":[],"blocked":[]})");
}

TEST(StatusEncoding, HasTheDocumentedKeys) {
  ObjectStatus status;
  status.phase = Phase::retrying;
  status.message = "later";
  status.observed_generation = 4;
  status.last_error = std::make_shared<const Error>(error_from_errno(16, "set", "br0"));
  status.next_try = WallTime(std::chrono::milliseconds(1000));
  const Json json = to_json(status);
  EXPECT_EQ(json["phase"], "Retrying");
  EXPECT_EQ(json["observedGeneration"], 4);
  EXPECT_EQ(json["lastError"]["kind"], "busy");
  EXPECT_EQ(json["lastError"]["errno"], 16);
  EXPECT_EQ(json["nextTry"], "1970-01-01T00:00:01.000Z");
  EXPECT_EQ(json["since"], "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(json["repairs"], 0);
  EXPECT_FALSE(to_json(ObjectStatus()).contains("lastError"));
  EXPECT_FALSE(json.contains("orphaned"));
  status.orphaned = true;
  EXPECT_EQ(to_json(status)["orphaned"], true);
}

TEST(EventEncoding, HasTheDocumentedKeys) {
  Event event;
  event.id = 7;
  event.type = "Applied";
  event.object = ResourceId{Kind::vlan, "eth0.50"};
  event.set = "campus";
  event.message = "by root";
  event.peer = Peer{12, 0, 0};
  EXPECT_EQ(
      to_json(event).dump(),
      R"({"id":7,"time":"1970-01-01T00:00:00.000Z","type":"Applied","object":{"kind":"vlan","name":"eth0.50"},)"
      R"("set":"campus","message":"by root","peer":{"pid":12,"uid":0,"gid":0}})");
}

}  // namespace
}  // namespace lanwright
