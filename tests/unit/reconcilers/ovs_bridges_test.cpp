// Bridges of Open vSwitch: what rows mean, what is planned, and which transactions come of it.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "reconcilers/ovs/facts.h"
#include "reconcilers/ovs/planner.h"

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
  Observed observed() const {
    Tables tables;
    Observed observed;
    const auto changes = tables.replace(updates);
    EXPECT_TRUE(changes) << (changes ? "" : changes.error().text());
    take_changes(tables, *changes, observed);
    observed.live = true;
    return observed;
  }
};

using Controllers = std::vector<ControllerSpec>;

PortSpec wanted_port(const std::string& role) {
  return {{kUid, role}, std::nullopt, {}};
}
// As bridge() and port() of Database make it.
BridgeSpec wanted_bridge(const std::vector<std::string>& ports) {
  BridgeSpec spec;
  spec.uid = kUid;
  spec.datapath_type = "netdev";
  for (const std::string& port : ports) spec.ports[port] = wanted_port(port);
  return spec;
}
Database two_ports() {
  Database database;
  database.bridge(2, "br0", {3, 4, 5});
  database.port(3, "br0", false);
  database.port(4, "v1");
  database.port(5, "v2");
  return database;
}

std::vector<std::string> texts(const Plan& plan) {
  std::vector<std::string> all;
  for (const Action& action : plan.actions)
    all.push_back(std::to_string(action.stage) + " " + bridge_of(action.step) + ": " + action.reason + ", " +
                  name_of(action.disruption));
  for (const Blocked& each : plan.blocked)
    all.push_back(std::string(name_of(each.why.kind)) + " " + each.bridge + "/" + each.port + ": " +
                  each.why.words);
  return all;
}
using Texts = std::vector<std::string>;

Plan plan_for(const BridgeSpec& spec, const Observed& observed) {
  return plan({{{"br0", spec}}, {}}, observed);
}

// ---- facts

TEST(OvsFacts, AreWhatRowsMean) {
  Database database = two_ports();
  database.controller(6, "tcp:10.0.0.1:6653");
  database.row("Bridge", 2)["controller"] = rows({6});
  database.row("Interface", 1005)["ofport"] = -1;
  database.row("Interface", 1005)["error"] = "could not open";
  const Observed observed = database.observed();
  ASSERT_TRUE(observed.bridges.contains("br0"));
  const BridgeFact& bridge = observed.bridges.at("br0");
  EXPECT_EQ(bridge.mark, (OwnerTag{kUid, {}}));
  EXPECT_EQ(bridge.fail_mode, "secure");
  EXPECT_EQ(bridge.running_id, "0000aabbccddeeff");
  EXPECT_TRUE(bridge.has_local);
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
  const BridgeFact bridge = database.observed().bridges.at("br0");
  EXPECT_EQ(bridge.datapath_type, "system");
  EXPECT_EQ(bridge.fail_mode, "standalone");
  EXPECT_TRUE(bridge.in_band);
  EXPECT_EQ(bridge.mark, std::nullopt);
  EXPECT_FALSE(bridge.has_local);
}

TEST(OvsFacts, TellOnlyOfBridgesThatMoved) {
  Database database = two_ports();
  database.bridge(7, "br7", {8});
  database.port(8, "v8");
  Tables tables;
  Observed observed;
  EXPECT_EQ(take_changes(tables, *tables.replace(database.updates), observed),
            (std::set<std::string>{"br0", "br7"}));
  Json interface = database.row("Interface", 1008);
  interface["ofport"] = 9;
  auto changes = tables.update({{"Interface", {{uuid(1008), {{"new", interface}}}}}});
  ASSERT_TRUE(changes);
  EXPECT_EQ(take_changes(tables, *changes, observed), std::set<std::string>{"br7"});
  EXPECT_EQ(observed.bridges.at("br7").ports.at("v8").ofport, 9);
  changes = tables.update({{"Bridge", {{uuid(7), {{"old", Json::object()}}}}}});
  ASSERT_TRUE(changes);
  EXPECT_EQ(take_changes(tables, *changes, observed), std::set<std::string>{"br7"});
  EXPECT_EQ(observed.bridges.size(), 1U);
  EXPECT_EQ(take_changes(tables, RowChanges{}, observed), std::set<std::string>{});
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

// ---- plans

TEST(OvsPlan, IsEmptyWhenAllIsAsWanted) {
  EXPECT_EQ(texts(plan_for(wanted_bridge({"v1", "v2"}), two_ports().observed())), Texts{});
}

TEST(OvsPlan, WaitsForTheDatabase) {
  Observed observed;
  EXPECT_EQ(texts(plan_for(wanted_bridge({}), observed)),
            Texts{"waiting br0/: its database cannot be reached"});
  observed.live = true;
  EXPECT_EQ(texts(plan_for(wanted_bridge({}), observed)),
            Texts{"waiting br0/: its database is not initialised"});
}

// The bridge forwards nothing until its controller comes, and that comes when all else is there.
TEST(OvsPlan, MakesControllersLast) {
  BridgeSpec spec = wanted_bridge({"v1"});
  spec.controllers = Controllers{ControllerSpec{"tcp:127.0.0.1:6653", 1000}};
  const Plan made = plan_for(spec, Database().observed());
  ASSERT_EQ(made.actions.size(), 2U);
  const auto& create = std::get<CreateBridge>(made.actions[0].step);
  EXPECT_EQ(create.spec.controllers, std::nullopt);
  EXPECT_EQ(create.spec.ports.size(), 1U);
  EXPECT_EQ(create.spec.fail_mode, "secure");
  EXPECT_GT(made.actions[1].stage, made.actions[0].stage);
  EXPECT_EQ(std::get<SetControllers>(made.actions[1].step).controllers, *spec.controllers);
  EXPECT_EQ(made.actions[1].disruption, Disruption::none);
}

TEST(OvsPlan, MakesAHundredPortsAtOnceAtMost) {
  std::vector<std::string> names;
  for (int i = 0; i < 250; ++i) names.push_back("v" + std::to_string(i));
  const auto sizes = [](const Plan& made) {
    std::vector<std::size_t> all;
    for (const Action& action : made.actions) {
      if (const auto* create = std::get_if<CreateBridge>(&action.step))
        all.push_back(create->spec.ports.size());
      if (const auto* add = std::get_if<AddPorts>(&action.step)) all.push_back(add->ports.size());
    }
    return all;
  };
  const Plan made = plan_for(wanted_bridge(names), Database().observed());
  EXPECT_EQ(sizes(made), (std::vector<std::size_t>{99, 100, 51})) << "with the local one, a hundred";
  EXPECT_LT(made.actions[1].stage, made.actions[2].stage) << "one after the other";
  EXPECT_LT(made.actions[2].stage, kControllers);
  names.insert(names.end(), {"extra1"});
  Database database;
  database.bridge(2, "br0", {3});
  database.port(3, "br0", false);
  EXPECT_EQ(sizes(plan_for(wanted_bridge(names), database.observed())),
            (std::vector<std::size_t>{100, 100, 51}));
}

TEST(OvsPlan, SaysWhatDiffersAndWhatTrafficFeels) {
  Database database = two_ports();
  Json& row = database.row("Bridge", 2);
  row["fail_mode"] = "standalone";
  row["other_config"] = pairs({});
  BridgeSpec spec = wanted_bridge({"v1", "v2"});
  EXPECT_EQ(
      texts(plan_for(spec, database.observed())),
      Texts{"1 br0: fail_mode is standalone, wanted secure; disable-in-band is not set, wanted true, none"});
  spec.datapath_id = "000000000000002a";
  spec.protocols = {"OpenFlow13", "OpenFlow10"};
  const Plan made = plan_for(spec, database.observed());
  ASSERT_EQ(made.actions.size(), 1U);
  EXPECT_EQ(made.actions[0].disruption, Disruption::flap);
  EXPECT_EQ(made.actions[0].differences,
            (std::vector<std::string>{"fail_mode", "datapath_id", "protocols", "disable-in-band"}));
  spec.datapath_type = "system";
  EXPECT_EQ(plan_for(spec, database.observed()).actions[0].disruption, Disruption::recreate);
}

TEST(OvsPlan, ConvergesPorts) {
  Database database = two_ports();
  database.port(9, "theirs", false);
  database.row("Bridge", 2)["ports"] = rows({3, 4, 5, 9});
  BridgeSpec spec = wanted_bridge({"v1", "v3"});
  spec.ports["v1"].vlans.pvid = 10;
  EXPECT_EQ(texts(plan_for(spec, database.observed())),
            (Texts{"0 br0: no longer declared, none", "1 br0: its VLANs are others, none",
                   "2 br0: missing, none"}));
  const Plan made = plan_for(spec, database.observed());
  EXPECT_EQ(std::get<RemovePorts>(made.actions[0].step).ports,
            (std::map<std::string, OwnerTag>{{"v2", {kUid, "v2"}}}))
      << "and not theirs";
  spec = wanted_bridge({"v1", "v2"});
  spec.ports["v1"].ofport = 7;
  EXPECT_EQ(texts(plan_for(spec, database.observed())), Texts{"1 br0: ofport is not set, wanted 7, flap"});
  database.row("Interface", 1004)["ofport_request"] = 7;
  EXPECT_EQ(texts(plan_for(spec, database.observed())),
            Texts{"conflict br0/v1: another port has OpenFlow port 7, and it got 4"});
}

TEST(OvsPlan, AsksOvsVswitchdForItsWords) {
  Database database = two_ports();
  database.row("Interface", 1004)["ofport"] = -1;
  database.row("Interface", 1004)["error"] = "could not open network device v1 (No such device)";
  database.row("Interface", 1005)["ofport"] = kNone;
  EXPECT_EQ(texts(plan_for(wanted_bridge({"v1", "v2"}), database.observed())),
            (Texts{"waiting br0/v1: could not open network device v1 (No such device)",
                   "unsupported br0/v2: ovs-vswitchd gave it no OpenFlow port"}));
}

// Until ovs-vswitchd has come so far, a port without a number says nothing.
TEST(OvsPlan, JudgesPortsWhenOvsVswitchdHasSeenThem) {
  Database database = two_ports();
  database.row("Interface", 1004)["ofport"] = kNone;
  database.row("Open_vSwitch", 1)["next_cfg"] = 2;
  Tables tables;
  Observed observed;
  take_changes(tables, *tables.replace(database.updates), observed);
  observed.live = true;
  EXPECT_EQ(texts(plan_for(wanted_bridge({"v1", "v2"}), observed)),
            Texts{"waiting br0/v1: ovs-vswitchd has not taken it up yet"});
  database.row("Open_vSwitch", 1)["cur_cfg"] = 2;
  const auto changes = tables.update({{"Open_vSwitch", database.updates["Open_vSwitch"]}});
  ASSERT_TRUE(changes);
  EXPECT_EQ(take_changes(tables, *changes, observed), std::set<std::string>{"br0"});
  EXPECT_EQ(texts(plan_for(wanted_bridge({"v1", "v2"}), observed)),
            Texts{"unsupported br0/v1: ovs-vswitchd gave it no OpenFlow port"});
}

TEST(OvsPlan, LeavesAloneWhatIsSomebodyElses) {
  Database foreign;
  foreign.bridge(2, "br0", {4}, "");
  foreign.port(4, "v1", false);
  EXPECT_EQ(texts(plan_for(wanted_bridge({}), foreign.observed())),
            Texts{"conflict br0/: it is there already and not ours"});
  foreign.row("Bridge", 2)["name"] = "theirs";
  EXPECT_EQ(texts(plan_for(wanted_bridge({"v1"}), foreign.observed())),
            (Texts{"1 br0: missing, none", "conflict br0/v1: it is a port of bridge theirs already"}));

  Database database = two_ports();
  database.port(4, "v1", false);
  EXPECT_EQ(texts(plan_for(wanted_bridge({"v1", "v2"}), database.observed())),
            Texts{"conflict br0/v1: it is there already and not ours"});
  database.bridge(2, "br0", {3, 4, 5}, kOther);
  EXPECT_EQ(texts(plan({{}, {}}, database.observed())), Texts{}) << "of an agent with another store";
}

TEST(OvsPlan, RemovesWhatWasDeletedOrRenamed) {
  const Observed observed = two_ports().observed();
  EXPECT_EQ(texts(plan({{}, {kUid}}, observed)), Texts{"0 br0: no longer declared, none"});
  EXPECT_EQ(texts(plan({{}, {}}, observed)), Texts{});
  EXPECT_EQ(texts(plan({{{"br9", wanted_bridge({"v1"})}}, {}}, observed)),
            (Texts{"0 br0: it has another name by now, none", "1 br9: missing, none",
                   "waiting br9/v1: it is a port of bridge br0 already"}));
  BridgeSpec another = wanted_bridge({});
  another.uid = kOther;
  EXPECT_EQ(texts(plan({{{"br0", another}}, {kUid}}, observed)),
            (Texts{"0 br0: no longer declared, none",
                   std::string("waiting br0/: it still carries the mark of another object (lanwright:") +
                       kUid + ")"}));
}

TEST(OvsPlan, ReplacesControllers) {
  Database database = two_ports();
  database.controller(6, "tcp:10.0.0.1:6653");
  database.row("Bridge", 2)["controller"] = rows({6});
  BridgeSpec spec = wanted_bridge({"v1", "v2"});
  EXPECT_EQ(texts(plan_for(spec, database.observed())), Texts{}) << "not declared: not looked at";
  spec.controllers = Controllers{ControllerSpec{"tcp:10.0.0.1:6653", {}}};
  EXPECT_EQ(texts(plan_for(spec, database.observed())), Texts{});
  spec.controllers = Controllers{{"tcp:10.0.0.1:6653", {}}, {"tcp:10.0.0.2:6653", {}}};
  EXPECT_EQ(texts(plan_for(spec, database.observed())), Texts{"1000 br0: its controllers are others, none"});
  spec.controllers = Controllers{ControllerSpec{"tcp:10.0.0.2:6653", {}}};
  EXPECT_EQ(texts(plan_for(spec, database.observed())), Texts{"1000 br0: its controllers are others, flap"});
}

// ---- transactions

Json operations(const Step& step, const Tables& tables) {
  const auto transaction = transaction_of(step, tables);
  EXPECT_TRUE(transaction) << (transaction ? "" : transaction.error().text());
  if (!transaction) return {};
  Json all = transaction->params(ovsdb::Uuid{uuid(1)});
  all.erase(0);
  return all;
}
std::vector<std::string> in_short(const Json& operations) {
  std::vector<std::string> all;
  for (const Json& each : operations)
    if (each.contains("table"))
      all.push_back(each["op"].get<std::string>() + " " + each["table"].get<std::string>());
  return all;
}

TEST(OvsSteps, ABridgeIsMadeInOnePiece) {
  const Json all = operations(CreateBridge{"br0", wanted_bridge({"v1"})}, Database().tables());
  EXPECT_EQ(in_short(all), (Texts{"wait Bridge", "insert Interface", "insert Port", "insert Interface",
                                  "insert Port", "insert Bridge", "wait Open_vSwitch", "mutate Open_vSwitch",
                                  "wait Open_vSwitch", "mutate Open_vSwitch", "select Open_vSwitch"}));
  EXPECT_EQ(all[1]["row"], Json::parse(R"({"name":"br0","type":"internal"})"));
  EXPECT_EQ(all[4]["row"]["external_ids"], pairs({{"lanwright", OwnerTag{kUid, "v1"}.text()}}));
  EXPECT_EQ(all[5]["row"]["fail_mode"], "secure");
  EXPECT_EQ(all[5]["row"]["other_config"], pairs({{"disable-in-band", "true"}}));
  EXPECT_FALSE(all[5]["row"].contains("controller"));
}

TEST(OvsSteps, AChangeKeepsOtherKeys) {
  ChangeBridge change{"br0", kUid, {}, "000000000000002a", {}, {}, true};
  const Json all = operations(change, two_ports().tables());
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
  const SetControllers step{"br0", kUid, {{"tcp:10.0.0.1:6653", {}}, {"tcp:10.0.0.2:6653", 1000}}};
  const Json all = operations(step, database.tables());
  EXPECT_EQ(in_short(all)[1], "insert Controller");
  EXPECT_EQ(all[3]["row"]["controller"],
            Json::parse(R"(["set",[["uuid",")" + uuid(6) + R"("],["named-uuid","row1"]]])"));
}

TEST(OvsSteps, WhatIsNotItsOwnersIsRefused) {
  const Database database = two_ports();
  const std::vector<Step> steps{ChangeBridge{"br0", kOther, {}, {}, "secure", {}, false},
                                SetControllers{"br0", kOther, {}},
                                RemoveBridge{"br0", kOther},
                                AddPorts{"br0", kOther, {}},
                                RemovePorts{"br0", kOther, {}},
                                RemoveBridge{"br7", kUid},
                                RemovePorts{"br0", kUid, {{"v1", {kOther, "v1"}}}},
                                RemovePorts{"br0", kUid, {{"v7", {kUid, "v7"}}}},
                                ChangePort{"br0", kUid, "v1", {{kUid, "v2"}, {}, {}}}};
  for (const Step& step : steps) {
    const auto transaction = transaction_of(step, database.tables());
    ASSERT_FALSE(transaction) << step.index();
    EXPECT_EQ(transaction.error().kind, ErrorKind::conflict) << transaction.error().text();
  }
}

TEST(OvsSteps, PortsGoOnlyWhileTheyAreMarked) {
  const Json all = operations(RemovePorts{"br0", kUid, {{"v1", {kUid, "v1"}}}}, two_ports().tables());
  EXPECT_EQ(in_short(all)[1], "wait Port");
  EXPECT_EQ(all[1]["rows"][0]["external_ids"], pairs({{"lanwright", OwnerTag{kUid, "v1"}.text()}}));
  EXPECT_EQ(all[3]["mutations"],
            Json::array({Json::array({"ports", "delete", Json::array({"uuid", uuid(4)})})}));
}

}  // namespace
}  // namespace lanwright::ovs
