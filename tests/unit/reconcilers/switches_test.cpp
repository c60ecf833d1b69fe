// What of switches and plugs differs: decided without a process.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "model/format/set_reader.h"
#include "reconcilers/drivers/registry.h"
#include "reconcilers/plan/planner.h"
#include "reconcilers/vde/paths.h"
#include "tests/support/world.h"

namespace lanwright {
namespace {

using test::foreign_link;

class SwitchPlanTest : public ::testing::Test, protected test::World {
 protected:
  void SetUp() override {
    kernel.add_namespace("/run/netns/a");
    kernel.add_namespace("/run/netns/b");
  }

  void declare(const ResourceId& id, ObjectSpec spec, bool deleting = false) {
    put(id, std::move(spec));
    if (deleting) mark_deleting(id);
  }
  void declare_lan(Settings settings = {}, bool deleting = false) {
    NetworkSpec spec = test::network("vde");
    spec.settings = std::move(settings);
    declare({Kind::network, "lab"}, spec, deleting);
  }
  void declare_host(const std::string& name, PortVlans vlans = {}, bool deleting = false) {
    AttachmentSpec spec = test::attachment("lab", name);
    spec.vlans = std::move(vlans);
    declare({Kind::attachment, name}, spec, deleting);
  }

  std::vector<std::string> texts(const Plan& of) {
    std::vector<std::string> list;
    for (const Action& action : of.actions) list.push_back(action.text());
    return list;
  }
  void settle() {
    run(plan());
    EXPECT_TRUE(plan().empty()) << plan().actions.front().text() << ": " << plan().actions.front().reason;
  }
};

using Texts = std::vector<std::string>;

TEST_F(SwitchPlanTest, RunsBeforeAnythingIsPluggedIn) {
  declare_lan();
  declare_host("a");
  EXPECT_EQ(texts(plan()), (Texts{"run switch lab (hub)", "create tap eth0 in /run/netns/a",
                                  "plug eth0 in /run/netns/a into switch lab"}));
  settle();
}

TEST_F(SwitchPlanTest, APlugBeginsEmpty) {
  declare_lan();
  declare_host("a");
  settle();
  switches.kill_plug("lab");
  EXPECT_EQ(texts(plan()), (Texts{"run switch lab (hub)", "plug eth0 in /run/netns/a into switch lab"}));
  settle();
}

TEST_F(SwitchPlanTest, ANewInterfaceIsPluggedInAgain) {
  declare_lan();
  declare_host("a");
  settle();
  kernel.delete_link({"/run/netns/a", "eth0"});
  EXPECT_EQ(texts(plan()),
            (Texts{"create tap eth0 in /run/netns/a", "plug eth0 in /run/netns/a into switch lab"}));
  settle();
}

TEST_F(SwitchPlanTest, WithItsSwitchGoneAPortOfItsOwnIsConnectedAgain) {
  declare_lan({{"hub", false}});
  declare_host("a", {5, {}});
  settle();
  switches.kill("lab");
  EXPECT_EQ(texts(plan()), (Texts{"run switch lab", "plug eth0 in /run/netns/a into switch lab"}));
  settle();
}

TEST_F(SwitchPlanTest, OtherVlansMakeAnotherPort) {
  declare_lan({{"hub", false}});
  declare_host("a", {5, {}});
  settle();
  declare_host("a", {6, {7}});
  EXPECT_EQ(texts(plan()), (Texts{"plug eth0 in /run/netns/a into switch lab"}));
  settle();
}

TEST_F(SwitchPlanTest, WhatLeavesIsUnplugged) {
  declare_lan();
  declare_host("a");
  declare_host("b");
  settle();
  declare_host("a", {}, true);
  const Plan leaving = plan();
  EXPECT_TRUE(std::any_of(leaving.actions.begin(), leaving.actions.end(),
                          [](const Action& action) { return std::holds_alternative<Unplug>(action.step); }));
  settle();
  declare_lan({}, true);
  declare_host("b", {}, true);
  settle();
  EXPECT_TRUE(observed.switches.empty());
}

TEST_F(SwitchPlanTest, SomebodyElsesPlaceIsAConflict) {
  switches.occupy("lab", "/run/lanwright/vde/lab is there already and not ours; process 4711 listens there");
  declare_lan();
  declare_host("a");
  const Plan seen = plan();
  for (const Action& action : seen.actions)
    EXPECT_NE(carrier_of(action.step), Carrier::switches) << action.text();
  ASSERT_EQ(seen.blocked.size(), 2U);
  EXPECT_EQ(seen.blocked[0].why.kind, ErrorKind::conflict);
  EXPECT_NE(seen.blocked[0].why.text().find("process 4711"), std::string::npos);
  EXPECT_EQ(seen.blocked[1].why.kind, ErrorKind::waiting);
}

TEST_F(SwitchPlanTest, AnAgentWithAnotherStoreIsAConflictUnlessAdopted) {
  declare_lan();
  settle();
  switches.give_to("lab", "ffffffffffffffff");
  const Plan seen = plan();
  EXPECT_TRUE(seen.empty());
  ASSERT_EQ(seen.blocked.size(), 1U);
  EXPECT_EQ(seen.blocked[0].why.kind, ErrorKind::conflict);
  adopt({Kind::network, "lab"});
  EXPECT_EQ(texts(plan()), (Texts{"restart switch lab (hub)"}));
  settle();
}

TEST_F(SwitchPlanTest, AnUplinkIsHeardWhereItIs) {
  LinkFact uplink = foreign_link("eth1");
  uplink.up = false;
  kernel.add_link("", uplink);
  put({Kind::network, "lab"}, test::with_uplinks(test::network("vde"), {"eth1"}));
  EXPECT_EQ(texts(plan()),
            (Texts{"change link eth1: up", "run switch lab (hub)", "plug eth1 into switch lab"}));
  settle();
}

TEST_F(SwitchPlanTest, RunsWithoutAnUplinkThatIsNotThere) {
  put({Kind::network, "lab"}, test::with_uplinks(test::network("vde"), {"eth1"}));
  declare_host("a");
  const Plan seen = plan();
  EXPECT_EQ(texts(seen), (Texts{"run switch lab (hub)", "create tap eth0 in /run/netns/a",
                                "plug eth0 in /run/netns/a into switch lab"}));
  ASSERT_EQ(seen.blocked.size(), 1U);
  EXPECT_EQ(seen.blocked[0].object, (ResourceId{Kind::network, "lab"}));
  settle();
}

// It may come back under its old number, with a socket that hears nothing any more.
TEST_F(SwitchPlanTest, AnUplinkThatIsGoneIsUnplugged) {
  kernel.add_link("", foreign_link("eth1"));
  put({Kind::network, "lab"}, test::with_uplinks(test::network("vde"), {"eth1"}));
  settle();
  kernel.delete_link({"", "eth1"});
  const Plan seen = plan();
  ASSERT_EQ(seen.actions.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<Unplug>(seen.actions[0].step));
  settle();
}

// ---- the declaration

std::string mistakes_of(const std::string& yaml) {
  const auto read = read_set(yaml, "lab.yaml", drivers::driver_grammar());
  std::string texts;
  for (const Diagnostic& mistake : read.diagnostics) texts += mistake.message + "\n";
  return texts;
}

TEST(VdeGrammar, TellsWhatASwitchCannotDo) {
  const std::string texts = mistakes_of(R"(
version: 1
networks:
  jumbo: {driver: vde, mtu: 9000}
  odd: {driver: vde, vde: {mode: "0999"}}
  lab: {driver: vde}
attachments:
  a: {network: lab, netns: a, interface: eth0, vlan: 5}
  b: {network: lab, netns: b, interface: eth0, isolated: true}
  c: {network: lab, netns: c, interface: eth0, mtu: 1501}
)");
  for (const char* words :
       {"mtu 9000 is above what a VDE switch carries, 1500", "`0999` is no mode", "a hub knows no VLANs",
        "cannot be isolated", "mtu 1501 is above the network's 1500"})
    EXPECT_NE(texts.find(words), std::string::npos) << words << "\nis not in\n" << texts;
}

TEST_F(SwitchPlanTest, HasRoomForSoMany) {
  declare_lan();
  for (std::size_t i = 0; i <= kMostPlugs; ++i) {
    AttachmentSpec spec = test::tap("lab");
    declare({Kind::attachment, "h" + std::to_string(i)}, spec);
  }
  const std::set<ResourceId> last = {{Kind::attachment, "h0"}};
  const auto checked = desired.check(&last);
  ASSERT_FALSE(checked.ok());
  EXPECT_NE(checked.error().text().find("has room for 4096"), std::string::npos) << checked.error().text();
}

// What cannot be read is not nobody's: a switch of ours would be taken for a stranger's.
TEST(SwitchOwnerTest, IsToldFromOneThatCannotBeRead) {
  std::string directory = (std::filesystem::temp_directory_path() / "lanwright-owner-XXXXXX").string();
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const vde::SwitchPaths paths{directory + "/socket", directory};
  const auto nobody = vde::read_switch_owner(paths);
  ASSERT_TRUE(nobody.ok());
  EXPECT_FALSE(*nobody);
  ASSERT_TRUE(vde::write_switch_owner(paths, {"0123456789abcdef", "vde_switch"}).ok());
  const auto ours = vde::read_switch_owner(paths);
  ASSERT_TRUE(ours.ok() && *ours);
  EXPECT_EQ((*ours)->uid, "0123456789abcdef");
  std::filesystem::remove(paths.owner());
  std::filesystem::create_directory(paths.owner());  // read(2) fails
  EXPECT_FALSE(vde::read_switch_owner(paths).ok());
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace lanwright
