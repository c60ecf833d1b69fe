// Bridges of Open vSwitch: what rows mean, and which transactions come of steps.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "reconcilers/ovs/facts.h"
#include "reconcilers/ovs/steps.h"

namespace lanwright::ovs {
namespace {

using ovsdb::Json;
using ovsdb::RowChanges;
using ovsdb::Tables;

constexpr const char* kUid = "0123456789abcdef";
constexpr const char* kOther = "fedcba9876543210";

std::string uuid(int number) {
  const std::string digits = std::to_string(number);
  return "00000000-0000-0000-0000-" + std::string(12 - digits.size(), '0') + digits;
}
Json rows(const std::vector<int>& numbers) {
  Json all = Json::array();
  for (const int number : numbers) all.push_back(Json::array({"uuid", uuid(number)}));
  return Json::array({"set", all});
}
Json pairs(const ovsdb::StringMap& content) {
  return ovsdb::to_json(ovsdb::value_of(content));
}
const Json kNone = Json::parse(R"(["set",[]])");

// A database in the making: rows are added, and changed, by number.
struct Database {
  Json updates = Json::object();
  Database() {
    row("Open_vSwitch", 1) = {{"bridges", kNone},
                              {"next_cfg", 1},
                              {"cur_cfg", 1},
                              {"ovs_version", "3.1.0"},
                              {"other_config", pairs({})}};
  }
  Json& row(const char* table, int number) { return updates[table][uuid(number)]["new"]; }
  Json& bridge(int number, const std::string& name, const std::vector<int>& ports,
               const std::string& uid = kUid) {
    return row("Bridge", number) = {
               {"name", name},
               {"datapath_type", "netdev"},
               {"datapath_id", "0000aabbccddeeff"},
               {"fail_mode", "secure"},
               {"protocols", kNone},
               {"stp_enable", false},
               {"rstp_enable", false},
               {"mcast_snooping_enable", false},
               {"ports", rows(ports)},
               {"controller", kNone},
               {"mirrors", kNone},
               {"other_config", pairs({{"disable-in-band", "true"}, {"hwaddr", "x"}})},
               {"external_ids", uid.empty() ? pairs({}) : pairs({{"lanwright", "lanwright:" + uid}})}};
  }
  void port(int number, const std::string& name, bool ours = true) {
    const Json ids = ours ? pairs({{"lanwright", OwnerTag{kUid, name}.text()}}) : pairs({});
    row("Port", number) = {{"name", name},       {"interfaces", rows({number + 1000})},
                           {"tag", kNone},       {"trunks", kNone},
                           {"vlan_mode", kNone}, {"external_ids", ids}};
    row("Interface", number + 1000) = {
        {"name", name},   {"type", ""},           {"ofport_request", kNone},  {"ofport", number},
        {"error", kNone}, {"mtu_request", kNone}, {"external_ids", pairs({})}};
  }
  void controller(int number, const std::string& target) {
    row("Controller", number) = {{"target", target},         {"is_connected", true},
                                 {"max_backoff", kNone},     {"inactivity_probe", kNone},
                                 {"connection_mode", kNone}, {"external_ids", pairs({})}};
  }
  Tables tables() const {
    Tables tables;
    const auto read = tables.replace(updates);
    EXPECT_TRUE(read) << (read ? "" : read.error().text());
    return tables;
  }
  OvsFacts observed() const {
    Tables tables;
    OvsFacts observed;
    ObservedChange moved;
    const auto changes = tables.replace(updates);
    EXPECT_TRUE(changes) << (changes ? "" : changes.error().text());
    take_changes(tables, *changes, observed, moved);
    observed.live = true;
    return observed;
  }
};

Database two_ports() {
  Database database;
  database.bridge(2, "br0", {3, 4, 5});
  database.port(3, "br0", false);
  database.port(4, "v1");
  database.port(5, "v2");
  return database;
}

using Texts = std::vector<std::string>;

// ---- facts

TEST(OvsFacts, AreWhatRowsMean) {
  Database database = two_ports();
  database.controller(6, "tcp:10.0.0.1:6653");
  database.row("Bridge", 2)["controller"] = rows({6});
  database.row("Interface", 1005)["ofport"] = -1;
  database.row("Interface", 1005)["error"] = "could not open";
  const OvsFacts observed = database.observed();
  ASSERT_TRUE(observed.bridges.contains("br0"));
  const OvsBridgeFact& bridge = observed.bridges.at("br0");
  EXPECT_EQ(bridge.mark, (OwnerTag{kUid, {}}));
  EXPECT_EQ(bridge.fail_mode, "secure");
  EXPECT_EQ(bridge.running_id, "0000aabbccddeeff");
  EXPECT_TRUE(bridge.local);
  EXPECT_FALSE(bridge.in_band);
  ASSERT_EQ(bridge.ports.size(), 2U);
  EXPECT_EQ(bridge.ports.at("v1").ofport, 4);
  EXPECT_EQ(bridge.ports.at("v1").mark, (OwnerTag{kUid, "v1"}));
  EXPECT_EQ(bridge.ports.at("v2").error, "could not open");
  ASSERT_EQ(bridge.controllers.size(), 1U);
  EXPECT_TRUE(bridge.controllers[0].connected);
  EXPECT_TRUE(observed.initialised);
}

TEST(OvsFacts, DefaultsAreSpelledOut) {
  Database database;
  Json& row = database.bridge(2, "br0", {}, "");
  row["datapath_type"] = "";
  row["fail_mode"] = kNone;
  row["other_config"] = pairs({});
  const OvsBridgeFact bridge = database.observed().bridges.at("br0");
  EXPECT_EQ(bridge.datapath_type, "system");
  EXPECT_EQ(bridge.fail_mode, "standalone");
  EXPECT_TRUE(bridge.in_band);
  EXPECT_EQ(bridge.mark, std::nullopt);
  EXPECT_FALSE(bridge.local);
}

TEST(OvsFacts, TellOnlyOfWhatMoved) {
  Database database = two_ports();
  database.bridge(7, "br7", {8});
  database.port(8, "v8");
  Tables tables;
  OvsFacts observed;
  const auto take = [&](const RowChanges& changes) {
    ObservedChange moved;
    take_changes(tables, changes, observed, moved);
    return moved;
  };
  EXPECT_EQ(take(*tables.replace(database.updates)).ovs_bridges, (std::set<std::string>{"br0", "br7"}));
  Json interface = database.row("Interface", 1008);
  interface["ofport"] = 9;
  auto changes = tables.update({{"Interface", {{uuid(1008), {{"new", interface}}}}}});
  ASSERT_TRUE(changes);
  ObservedChange moved = take(*changes);
  EXPECT_EQ(moved.ovs_bridges, std::set<std::string>{});
  EXPECT_EQ(moved.ovs_ports, (std::set<std::string>{"br7", "v8"}));
  EXPECT_EQ(observed.bridges.at("br7").ports.at("v8").ofport, 9);
  changes = tables.update({{"Bridge", {{uuid(7), {{"old", Json::object()}}}}}});
  ASSERT_TRUE(changes);
  moved = take(*changes);
  EXPECT_EQ(moved.ovs_bridges, std::set<std::string>{"br7"});
  EXPECT_EQ(moved.ovs_ports, (std::set<std::string>{"br7", "v8"})) << "whose owners must plug in again";
  EXPECT_EQ(observed.bridges.size(), 1U);
  EXPECT_TRUE(take(RowChanges{}).ovs_ports.empty());
}

TEST(OvsFacts, VlansGoIntoColumnsAndBack) {
  for (const PortVlans& vlans :
       {PortVlans{}, PortVlans{10, {}}, PortVlans{{}, {20, 30}}, PortVlans{10, {20}}})
    EXPECT_EQ(vlans_of(columns_of(vlans)), vlans);
  EXPECT_EQ(vlans_of({std::nullopt, 10, {20}}), (PortVlans{10, {}})) << "an access port has no trunks";
  EXPECT_EQ(vlans_of({"native-tagged", 10, {20}}), std::nullopt);
  EXPECT_EQ(vlans_of({"dot1q-tunnel", 10, {}}), std::nullopt);
  EXPECT_EQ(vlans_of({"trunk", 10, {20}}), (PortVlans{{}, {20}})) << "its tag says nothing then";
}

// Until ovs-vswitchd has come so far, a port without a number says nothing.
TEST(OvsFacts, PortsWithoutNumberAreNewsWhenOvsVswitchdHasSeenThem) {
  Database database = two_ports();
  database.row("Interface", 1004)["ofport"] = kNone;
  database.row("Open_vSwitch", 1)["next_cfg"] = 2;
  Tables tables;
  OvsFacts facts;
  ObservedChange moved;
  take_changes(tables, *tables.replace(database.updates), facts, moved);
  EXPECT_FALSE(facts.taken_up);
  database.row("Open_vSwitch", 1)["cur_cfg"] = 2;
  const auto changes = tables.update({{"Open_vSwitch", database.updates["Open_vSwitch"]}});
  ASSERT_TRUE(changes);
  moved = {};
  take_changes(tables, *changes, facts, moved);
  EXPECT_TRUE(facts.taken_up);
  EXPECT_EQ(moved.ovs_ports, std::set<std::string>{"v1"});
}

// ---- transactions

Json operations(const std::vector<Step>& steps, const Tables& tables) {
  std::vector<const Step*> pointers;
  for (const Step& step : steps) pointers.push_back(&step);
  const auto transaction = transaction_of(pointers, tables);
  EXPECT_TRUE(transaction) << (transaction ? "" : transaction.error().text());
  if (!transaction) return {};
  Json all = transaction->params(ovsdb::Uuid{uuid(1)});
  all.erase(0);
  return all;
}
Error refusal(const Step& step, const Tables& tables) {
  const Step* one = &step;
  const auto transaction = transaction_of({&one, 1}, tables);
  EXPECT_FALSE(transaction) << step.index();
  return transaction ? Error{} : transaction.error();
}
std::vector<std::string> in_short(const Json& operations) {
  std::vector<std::string> all;
  for (const Json& each : operations)
    if (each.contains("table"))
      all.push_back(each["op"].get<std::string>() + " " + each["table"].get<std::string>());
  return all;
}

const LinkName kBridge{"", "br0"};
AddOvsPort addition(const std::string& link) {
  return {{"", link}, {"br0", link, link, std::nullopt, {}}, {kUid, link}, kUid, 7};
}
RemoveOvsPort removal(const std::string& link) {
  return {{"", link}, "br0", {kUid, link}};
}

TEST(OvsSteps, ABridgeIsMadeInOnePiece) {
  OvsBridgeSpec spec;
  spec.name = "br0";
  spec.datapath_type = "netdev";
  const Json all = operations({CreateOvsBridge{kBridge, spec, kUid}}, Database().tables());
  EXPECT_EQ(in_short(all), (Texts{"wait Bridge", "insert Interface", "insert Port", "insert Bridge",
                                  "wait Open_vSwitch", "mutate Open_vSwitch", "wait Open_vSwitch",
                                  "mutate Open_vSwitch", "select Open_vSwitch"}));
  EXPECT_EQ(all[1]["row"], Json::parse(R"({"name":"br0","type":"internal"})"));
  EXPECT_EQ(all[3]["row"]["fail_mode"], "secure");
  EXPECT_EQ(all[3]["row"]["other_config"], pairs({{"disable-in-band", "true"}}));
  EXPECT_FALSE(all[3]["row"].contains("controller"));
}

TEST(OvsSteps, PortsOfOneBridgeGoTogether) {
  const Json all = operations({addition("v3"), addition("v4")}, two_ports().tables());
  EXPECT_EQ(in_short(all), (Texts{"wait Bridge", "insert Interface", "insert Port", "insert Interface",
                                  "insert Port", "wait Bridge", "mutate Bridge", "wait Open_vSwitch",
                                  "mutate Open_vSwitch", "select Open_vSwitch"}));
  EXPECT_EQ(all[2]["row"]["external_ids"],
            pairs({{"lanwright", OwnerTag{kUid, "v3"}.text()}, {"lanwright-ifindex", "7"}}));
  AddOvsPort elsewhere = addition("v3");
  elsewhere.spec.bridge = "br1";
  EXPECT_TRUE(go_together(addition("v3"), addition("v4")));
  EXPECT_TRUE(go_together(removal("v3"), removal("v4")));
  EXPECT_FALSE(go_together(addition("v3"), elsewhere));
  EXPECT_FALSE(go_together(addition("v3"), removal("v4")));
  EXPECT_FALSE(go_together(RemoveOvsBridge{kBridge, kUid}, RemoveOvsBridge{kBridge, kUid}));
}

TEST(OvsSteps, AChangeKeepsOtherKeys) {
  ChangeOvsBridge change;
  change.at = kBridge;
  change.uid = kUid;
  change.datapath_id = "000000000000002a";
  change.out_of_band = true;
  const Json all = operations({change}, two_ports().tables());
  EXPECT_EQ(in_short(all), (Texts{"wait Bridge", "wait Bridge", "mutate Bridge", "wait Open_vSwitch",
                                  "mutate Open_vSwitch", "select Open_vSwitch"}));
  EXPECT_EQ(all[0]["rows"][0]["external_ids"], pairs({{"lanwright", OwnerTag{kUid, {}}.text()}}));
  EXPECT_EQ(all[2]["mutations"],
            Json::parse(R"([["other_config","delete",["set",["datapath-id","disable-in-band"]]],
    ["other_config","insert",["map",[["datapath-id","000000000000002a"],["disable-in-band","true"]]]]])"));
}

TEST(OvsSteps, ControllersThatStayKeepTheirRows) {
  Database database = two_ports();
  database.controller(6, "tcp:10.0.0.1:6653");
  database.row("Bridge", 2)["controller"] = rows({6});
  const SetOvsControllers step{kBridge, kUid, {{"tcp:10.0.0.1:6653", {}}, {"tcp:10.0.0.2:6653", 1000}}};
  const Json all = operations({step}, database.tables());
  EXPECT_EQ(in_short(all)[1], "insert Controller");
  EXPECT_EQ(all[3]["row"]["controller"],
            Json::parse(R"(["set",[["uuid",")" + uuid(6) + R"("],["named-uuid","row1"]]])"));
}

TEST(OvsSteps, WhatIsNotItsOwnersIsRefused) {
  const Tables tables = two_ports().tables();
  AddOvsPort addition_to_others = addition("v3");
  addition_to_others.bridge_uid = kOther;
  RemoveOvsPort of_another = removal("v1");
  of_another.mark.uid = kOther;
  ChangeOvsBridge of_others;
  of_others.at = kBridge;
  of_others.uid = kOther;
  of_others.fail_mode = "secure";
  const std::vector<Step> steps{of_others,
                                SetOvsControllers{kBridge, kOther, {}},
                                RemoveOvsBridge{kBridge, kOther},
                                addition_to_others,
                                RemoveOvsBridge{{"", "br7"}, kUid},
                                of_another,
                                removal("v7"),
                                ChangeOvsPort{{"", "v1"}, addition("v1").spec, {kUid, "v2"}, kUid}};
  for (const Step& step : steps) EXPECT_EQ(refusal(step, tables).kind, ErrorKind::conflict) << step.index();
  AddOvsPort too_early = addition("v3");
  too_early.spec.bridge = "br9";
  EXPECT_EQ(refusal(too_early, tables).kind, ErrorKind::waiting);
}

TEST(OvsSteps, PortsGoOnlyWhileTheyAreMarked) {
  const Json all = operations({removal("v1")}, two_ports().tables());
  EXPECT_EQ(in_short(all)[0], "wait Port");
  EXPECT_EQ(all[0]["rows"][0]["external_ids"], pairs({{"lanwright", OwnerTag{kUid, "v1"}.text()}}));
  EXPECT_EQ(all[2]["mutations"],
            Json::array({Json::array({"ports", "delete", Json::array({"uuid", uuid(4)})})}));
}

}  // namespace
}  // namespace lanwright::ovs
