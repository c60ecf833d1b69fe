#include "reconcilers/plan/planner.h"

#include <gtest/gtest.h>

#include <random>

#include "reconcilers/drivers/registry.h"
#include "reconcilers/kinds/bridge.h"
#include "reconcilers/kinds/vlan.h"
#include "tests/support/world.h"

namespace lanwright {
namespace {

using test::attachment;
using test::declaration;
using test::foreign_link;
using test::MemoryKernel;
using test::prefix;
using test::tap;
using test::uid_of;
using test::with_uplinks;

NetworkSpec bridge(std::initializer_list<const char*> uplinks = {}) {
  return with_uplinks(test::network("bridge"), uplinks);
}

const ResourceId kLan{Kind::network, "lan"};
const ResourceId kHost{Kind::attachment, "h1"};

class PlannerTest : public ::testing::Test, protected test::World {};

TEST_F(PlannerTest, CreatesInOrderOfDependence) {
  kernel.add_namespace("/run/netns/r1");
  put(kHost, attachment("lan", "r1", {prefix("10.0.0.1/24")}));
  put(kLan, bridge());
  const Plan todo = plan();
  ASSERT_EQ(todo.actions.size(), 3U);
  EXPECT_EQ(todo.actions[0].text(), "create bridge lw-lan");
  EXPECT_EQ(std::get<CreateLink>(todo.actions[1].step).link.at.name, "lw-h1");
  EXPECT_EQ(std::get<CreateLink>(todo.actions[1].step).peer->at, (LinkName{"/run/netns/r1", "eth0"}));
  EXPECT_STREQ(todo.actions[2].verb(), "add address");
  EXPECT_TRUE(todo.blocked.empty());
  EXPECT_EQ(converge(), 1);
}

TEST_F(PlannerTest, WaitsForANamespaceAndSaysSo) {
  put(kLan, bridge());
  put(kHost, attachment("lan", "r1", {prefix("10.0.0.1/24")}));
  const Plan todo = plan();
  ASSERT_EQ(todo.blocked.size(), 1U);
  EXPECT_EQ(todo.blocked[0].object, kHost);
  EXPECT_EQ(todo.blocked[0].why.kind, ErrorKind::waiting);
  EXPECT_NE(todo.blocked[0].why.text().find("/run/netns/r1"), std::string::npos);
  run(todo);
  kernel.add_namespace("/run/netns/r1");
  EXPECT_EQ(converge(), 1);
  kernel.drop_namespace("/run/netns/r1");
  EXPECT_EQ(plan().blocked.size(), 1U);
  kernel.add_namespace("/run/netns/r1");
  EXPECT_EQ(converge(), 1);
}

TEST_F(PlannerTest, RepairsEveryAttributeThatDrifts) {
  kernel.add_namespace("/run/netns/r1");
  put(kLan, bridge());
  put(kHost, attachment("lan", "r1", {prefix("10.0.0.1/24")}));
  converge();
  const std::vector<std::pair<const char*, std::function<void(LinkFact&)>>> drifts = {
      {"mtu", [](LinkFact& f) { f.mtu = 1400; }},
      {"mac",
       [](LinkFact& f) {
         f.mac = MacAddress{{2, 9, 9, 9, 9, 9}};
       }},
      {"state", [](LinkFact& f) { f.up = false; }},
      {"alias", [](LinkFact& f) { f.alias = "somebody"; }},
      {"group", [](LinkFact& f) { f.group = 0; }},
      {"name", [](LinkFact& f) { f.name = "renamed"; }},
      {"master",
       [](LinkFact& f) {
         f.master = 0;
         f.port_kind.clear();
       }},
      {"port.isolated",
       [](LinkFact& f) {
         for (auto& [attribute, value] : f.attributes)
           if (attribute == &kinds::bridge::kPortIsolated) value = 1;
       }},
  };
  for (const auto& [name, drift] : drifts) {
    kernel.change({"", "lw-h1"}, drift);
    const Plan todo = plan();
    ASSERT_EQ(todo.actions.size(), 1U) << name;
    EXPECT_EQ(todo.actions[0].differences, std::vector<std::string>{name});
    EXPECT_EQ(converge(), 1) << name;
  }
  kernel.change({"/run/netns/r1", "eth0"}, [](LinkFact& f) { f.addresses.clear(); });
  EXPECT_EQ(converge(), 1);
}

TEST_F(PlannerTest, LeavesForeignLinksOfTheSameNameAloneUnlessToldToAdopt) {
  LinkFact foreign;
  foreign.name = "lw-lan";
  foreign.kind = "bridge";
  foreign.mtu = 9000;
  kernel.add_link("", foreign);
  put(kLan, bridge());
  const Plan todo = plan();
  EXPECT_TRUE(todo.empty());
  ASSERT_EQ(todo.blocked.size(), 1U);
  EXPECT_EQ(todo.blocked[0].why.kind, ErrorKind::conflict);

  adopt(kLan);
  EXPECT_EQ(converge(), 1);
  EXPECT_EQ(kernel.real().find(LinkName{"", "lw-lan"})->alias, (OwnerTag{uid_of(kLan), ""}).text());
}

TEST_F(PlannerTest, NeverPlugsIntoABridgeThatIsNotOurs) {
  kernel.add_namespace("/run/netns/r1");
  LinkFact foreign;
  foreign.name = "lw-lan";
  foreign.kind = "bridge";
  kernel.add_link("", foreign);
  put(kLan, bridge());
  put(kHost, attachment("lan", "r1", {prefix("10.0.0.1/24")}));
  const Plan todo = plan();
  EXPECT_TRUE(todo.empty());
  EXPECT_EQ(todo.blocked.size(), 2U);
}

TEST_F(PlannerTest, AnUplinkIsBorrowedAndGivenBack) {
  kernel.add_link("", foreign_link("eth1"));
  put(kLan, bridge({"eth1"}));
  EXPECT_EQ(converge(), 1);
  EXPECT_EQ(kernel.real().find(LinkName{"", "eth1"})->master,
            kernel.real().find(LinkName{"", "lw-lan"})->ifindex);
  desired.set_finalizers(uid_of(kLan), {Finalizer::port("eth1")});
  put(kLan, bridge());
  EXPECT_EQ(converge(), 1);
  EXPECT_EQ(kernel.real().find(LinkName{"", "eth1"})->master, 0);
  EXPECT_EQ(planning::settled_finalizers(*desired.find(kLan), desired, kernel.real()),
            std::set{Finalizer::port("eth1")});
}

TEST_F(PlannerTest, AnUplinkInAnotherBridgeIsAConflict) {
  LinkFact other;
  other.name = "br-other";
  other.kind = "bridge";
  const int index = kernel.add_link("", other);
  LinkFact nic;
  nic.name = "eth1";
  nic.mtu = 1500;
  nic.master = index;
  kernel.add_link("", nic);
  put(kLan, bridge({"eth1"}));
  run(plan());
  ASSERT_EQ(plan().blocked.size(), 1U);
  EXPECT_EQ(plan().blocked[0].why.kind, ErrorKind::conflict);
  EXPECT_NE(plan().blocked[0].why.text().find("br-other"), std::string::npos);
}

TEST_F(PlannerTest, AnUplinkOfANetworkThatIsLeavingIsFreeEvenIfItsBridgeCannotGoYet) {
  kernel.add_link("", foreign_link("eth1"));
  put(kLan, bridge({"eth1"}));
  converge();
  desired.set_finalizers(uid_of(kLan), {Finalizer::port("eth1")});
  mark_deleting(kLan);
  const ResourceId next{Kind::network, "next"};
  put(next, bridge({"eth1"}));
  const std::set<ResourceId> scope = {next};  // the other is not to be tried again before a while
  const Plan todo = planning::plan(desired, look(), &scope);
  for (const Blocked& block : todo.blocked) ADD_FAILURE() << block.why.text();
  run(todo);
  EXPECT_EQ(kernel.real().find(LinkName{"", "eth1"})->master,
            kernel.real().find(LinkName{"", "lw-next"})->ifindex);
}

TEST_F(PlannerTest, AVlanIsMadeAnewWhenItsIdChanges) {
  LinkFact nic = foreign_link("eth1");
  nic.mac = MacAddress{{2, 0, 0, 0, 0, 7}};
  kernel.add_link("", nic);
  const ResourceId id{Kind::vlan, "eth1.50"};
  put(id, VlanSpec{"eth1", 50, VlanProtocol::dot1q, {}, {}});
  put(kLan, bridge({"eth1.50"}));
  converge();
  put(id, VlanSpec{"eth1", 60, VlanProtocol::dot1q, {}, {}});
  const Plan todo = plan();
  EXPECT_EQ(todo.actions[0].disruption, Disruption::recreate);
  EXPECT_EQ(converge(), 1) << "the plan shows what follows for the bridge too";
}

TEST_F(PlannerTest, AVlanIsThereAndWaitsForItsParentToBeUp) {
  LinkFact nic;
  nic.name = "eth1";
  kernel.add_link("", nic);
  put({Kind::vlan, "eth1.50"}, VlanSpec{"eth1", 50, VlanProtocol::dot1q, {}, {}});
  EXPECT_EQ(converge(), 1);
  ASSERT_EQ(plan().blocked.size(), 1U);
  EXPECT_TRUE(plan().blocked[0].complete);
  EXPECT_NE(plan().blocked[0].why.text().find("eth1 is down"), std::string::npos);
  ASSERT_NE(kernel.real().find(LinkName{"", "eth1.50"}), nullptr);
  EXPECT_FALSE(kernel.real().find(LinkName{"", "eth1.50"})->up) << "the kernel refuses that (ENETDOWN)";
  kernel.change({"", "eth1"}, [](LinkFact& fact) { fact.up = true; });
  converge();
  EXPECT_TRUE(kernel.real().find(LinkName{"", "eth1.50"})->up);
  EXPECT_TRUE(plan().blocked.empty());
}

TEST_F(PlannerTest, AnUplinkIsLeftDownWhileItsParentIs) {
  LinkFact nic;
  nic.name = "eth1";
  nic.mtu = 1500;
  kernel.add_link("", nic);
  put({Kind::vlan, "eth1.50"}, VlanSpec{"eth1", 50, VlanProtocol::dot1q, {}, {}});
  put({Kind::network, "lan"}, bridge({"eth1.50"}));
  converge();
  const Plan todo = plan();
  EXPECT_TRUE(todo.actions.empty());
  ASSERT_EQ(todo.blocked.size(), 2U);
  for (const Blocked& each : todo.blocked) {
    EXPECT_TRUE(each.complete) << each.why.text();
    EXPECT_NE(each.why.text().find("eth1 is down"), std::string::npos) << each.why.text();
  }
}

TEST_F(PlannerTest, NothingIsPlannedOnIncompleteKnowledge) {
  put(kLan, bridge());
  converge();
  desired.erase(kLan);
  Observed partial = look();
  partial.complete = false;
  EXPECT_EQ(planning::plan(desired, partial), Plan{});
}

TEST_F(PlannerTest, DeletingRemovesEverythingMarked) {
  kernel.add_namespace("/run/netns/r1");
  put(kLan, bridge());
  put(kHost, attachment("lan", "r1", {prefix("10.0.0.1/24")}));
  converge();
  for (const ResourceId& id : {kLan, kHost}) mark_deleting(id);
  converge();
  EXPECT_EQ(kernel.real().find("")->links().size(), 1U);
  EXPECT_EQ(kernel.real().find("/run/netns/r1")->links().size(), 1U);
}

TEST_F(PlannerTest, VlansOfAPortThatAreOtherwiseTaggedAreSeenAndRepaired) {
  NetworkSpec filtering = bridge();
  filtering.settings["vlan_filtering"] = true;
  put(kLan, filtering);
  AttachmentSpec vm = tap("lan", "tap0");
  vm.vlans = {10, {20, 30}};
  put(kHost, vm);
  converge();
  const std::vector<std::pair<const char*, PortVlansFact>> drifts = [] {
    PortVlansFact untagged = PortVlans{10, {30}};
    untagged.odd = {20};
    PortVlansFact tagged = PortVlans{std::nullopt, {20, 30}};
    tagged.odd = {10};
    PortVlansFact more = PortVlans{10, {20, 30}};
    more.odd = {40};
    PortVlansFact other = PortVlans{40, {20, 30}};
    other.odd = {10};
    return std::vector<std::pair<const char*, PortVlansFact>>{{"untagged without being the PVID", untagged},
                                                              {"the PVID but tagged", tagged},
                                                              {"one more, untagged", more},
                                                              {"another PVID", other}};
  }();
  for (const auto& [what, drift] : drifts) {
    kernel.change({"", "tap0"}, [&now = drift](LinkFact& fact) { fact.vlans = now; });
    const Plan todo = plan();
    ASSERT_EQ(todo.actions.size(), 1U) << what;
    EXPECT_EQ(todo.actions[0].differences, std::vector<std::string>{"vlans"}) << what;
    EXPECT_NE(todo.actions[0].reason.find("otherwise tagged"), std::string::npos) << todo.actions[0].reason;
    EXPECT_EQ(converge(), 1) << what;
    EXPECT_EQ(kernel.real().find(LinkName{"", "tap0"})->vlans, vm.vlans) << what;
  }
}

// A script that clones a link may clone its alias as well.
TEST_F(PlannerTest, ALinkWithACopyOfOurMarkIsNotOurs) {
  put(kLan, bridge());
  converge();
  LinkFact copy;
  copy.name = "br-copy";
  copy.kind = "bridge";
  copy.mtu = 1492;
  copy.alias = kernel.real().find(LinkName{"", "lw-lan"})->alias;
  kernel.add_link("", copy);
  const LinkFact before = *kernel.real().find(LinkName{"", "br-copy"});
  EXPECT_TRUE(plan().empty()) << "beside ours it is left alone";
  mark_deleting(kLan);
  EXPECT_EQ(converge(), 1) << "and when ours goes";
  EXPECT_EQ(kernel.real().find(LinkName{"", "lw-lan"}), nullptr);
  const LinkFact* after = kernel.real().find(LinkName{"", "br-copy"});
  ASSERT_NE(after, nullptr);
  EXPECT_EQ(*after, before);
}

TEST_F(PlannerTest, ALinkOfOursThatLostItsGroupGoesWithItsObject) {
  put(kLan, bridge());
  converge();
  kernel.change({"", "lw-lan"}, [](LinkFact& fact) { fact.group = 0; });
  mark_deleting(kLan);
  EXPECT_EQ(converge(), 1);
  EXPECT_EQ(kernel.real().find(LinkName{"", "lw-lan"}), nullptr);
}

TEST_F(PlannerTest, ALinkOfTheWrongKindCannotBeAdopted) {
  LinkFact nic;
  nic.name = "eth1";
  nic.mtu = 1500;
  nic.up = true;
  const int parent = kernel.add_link("", nic);
  LinkFact dummy;
  dummy.name = "lw-lan";
  dummy.kind = "dummy";
  kernel.add_link("", dummy);
  LinkFact vlan;
  vlan.name = "eth1.50";
  vlan.kind = "vlan";
  vlan.parent = parent;
  vlan.attributes = {{kinds::vlan::kId, 60}, {kinds::vlan::kProtocol, 0x8100}};
  kernel.add_link("", vlan);
  const Observed before = kernel.real();
  desired::Declaration lan = declaration(kLan, bridge());
  desired::Declaration fifty =
      declaration({Kind::vlan, "eth1.50"}, VlanSpec{"eth1", 50, VlanProtocol::dot1q, {}, {}});
  lan.adopt = fifty.adopt = true;
  desired.put(lan);
  desired.put(fifty);
  const Plan todo = plan();
  EXPECT_TRUE(todo.empty()) << todo.actions.front().text();
  ASSERT_EQ(todo.blocked.size(), 2U);
  for (const Blocked& block : todo.blocked) EXPECT_EQ(block.why.kind, ErrorKind::conflict);
  const auto words_of = [&](const ResourceId& id) {
    const auto block = std::find_if(todo.blocked.begin(), todo.blocked.end(),
                                    [&](const Blocked& one) { return one.object == id; });
    return block != todo.blocked.end() ? block->why.text() : std::string{};
  };
  EXPECT_NE(words_of(lan.id).find("not ours (dummy"), std::string::npos) << words_of(lan.id);
  EXPECT_EQ(words_of(lan.id).find("--adopt"), std::string::npos) << "it would not help: " << words_of(lan.id);
  EXPECT_NE(words_of(fifty.id).find("cannot be taken over: vlan.id is 60, wanted 50"), std::string::npos)
      << words_of(fifty.id);
}

TEST_F(PlannerTest, AnIpv6RouteIsTheSameWhateverWayItsMetricIsSaid) {
  kernel.add_namespace("/run/netns/r1");
  put(kLan, bridge());
  AttachmentSpec router = attachment("lan", "r1", {prefix("fd00::1/64")});
  for (const std::optional<std::uint32_t> told : {std::optional<std::uint32_t>{}, {1024}}) {
    for (const std::optional<std::uint32_t> metric : {std::optional<std::uint32_t>{}, {0}, {1024}}) {
      router.routes = {{prefix("fd99::/64"), IpAddress::parse("fd00::ff"), metric}};
      put(kHost, router);
      converge();
      kernel.change({"/run/netns/r1", "eth0"}, [&](LinkFact& fact) {
        ASSERT_EQ(fact.routes.size(), 1U);
        fact.routes[0].route.metric = told;
      });
      const Plan todo = plan();
      EXPECT_TRUE(todo.empty()) << todo.actions.front().text() << " with metric " << metric.value_or(9999);
    }
  }
  router.routes[0].metric = 1023;
  put(kHost, router);
  EXPECT_EQ(plan().actions.size(), 2U) << "another metric is another route";
  router.addresses = {prefix("10.0.0.1/24")};
  router.routes = {{prefix("10.9.0.0/16"), IpAddress::parse("10.0.0.254"), 1024}};
  put(kHost, router);
  converge();
  router.routes[0].metric.reset();
  put(kHost, router);
  EXPECT_EQ(plan().actions.size(), 2U) << "in IPv4 none said is 0";
}

TEST_F(PlannerTest, AnAddressIsWaitedForWhileOthersAreAskedForIt) {
  kernel.add_namespace("/run/netns/r1");
  put(kLan, bridge());
  put(kHost, attachment("lan", "r1", {prefix("fd00::1/64")}));
  converge();
  const auto becomes = [&](AddressState state) {
    kernel.change({"/run/netns/r1", "eth0"}, [&](LinkFact& fact) { fact.addresses[0].state = state; });
    return plan();
  };
  const Plan waits = becomes(AddressState::tentative);
  EXPECT_TRUE(waits.empty());
  ASSERT_EQ(waits.blocked.size(), 1U);
  EXPECT_EQ(waits.blocked[0].why.kind, ErrorKind::busy);
  const Plan asks = becomes(AddressState::duplicate);
  ASSERT_EQ(asks.actions.size(), 1U);
  EXPECT_EQ(asks.actions[0].reason, "another host has it");
  const auto refused = World::run(asks.actions[0]);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().words, "another host has this address");
  EXPECT_TRUE(becomes(AddressState::usable).empty());
}

TEST_F(PlannerTest, TwoObjectsMayNotWantOneLink) {
  NetworkSpec named = bridge();
  named.settings["name"] = std::string("br0");
  put({Kind::network, "a"}, named);
  put({Kind::network, "b"}, named);
  const auto checked = desired.check();
  ASSERT_FALSE(checked.ok());
  EXPECT_NE(checked.error().text().find("network a"), std::string::npos);
  EXPECT_NE(checked.error().text().find("network b"), std::string::npos);
}

TEST_F(PlannerTest, TwoAttachmentsInOneNamespaceMayNotDeclareOneRoute) {
  put(kLan, bridge());
  const auto declare = [&](const char* name, const char* netns, const char* address, const char* gateway,
                           std::optional<std::uint32_t> metric) {
    AttachmentSpec spec = attachment("lan", netns, {prefix(address)});
    spec.interface = name;
    spec.routes = {{prefix("0.0.0.0/0"), IpAddress::parse(gateway), metric}};
    put({Kind::attachment, name}, spec);
  };
  declare("a", "r1", "10.0.1.1/24", "10.0.1.254", {});
  declare("b", "r1", "10.0.2.1/24", "10.0.2.254", 0);
  const auto checked = desired.check();
  ASSERT_FALSE(checked.ok()) << "each would take the route from the other, for ever";
  EXPECT_NE(checked.error().text().find("attachment a"), std::string::npos) << checked.error().text();
  EXPECT_NE(checked.error().text().find("attachment b"), std::string::npos) << checked.error().text();
  declare("b", "r1", "10.0.2.1/24", "10.0.2.254", 5);
  EXPECT_TRUE(desired.check().ok()) << "another metric is another route";
  declare("b", "r2", "10.0.2.1/24", "10.0.2.254", {});
  EXPECT_TRUE(desired.check().ok()) << "another namespace has another table";
}

TEST_F(PlannerTest, CirclesAreRefusedInBoundedTime) {
  const NetworkSpec all = bridge({"lw-a", "lw-b", "lw-c", "lw-d", "lw-e"});
  for (const char* name : {"a", "b", "c", "d", "e"}) put({Kind::network, name}, all);
  EXPECT_FALSE(desired.check().ok());
  desired::DesiredState own;
  own.put(declaration({Kind::vlan, "v"}, VlanSpec{"v", 5, VlanProtocol::dot1q, {}, {}}));
  EXPECT_FALSE(own.check().ok());
}

// ---- properties over random pairs of desired and observed ----

struct Random {
  explicit Random(unsigned seed) : engine(seed) {}
  int upto(int n) { return std::uniform_int_distribution<int>(0, n - 1)(engine); }
  bool chance(int percent) { return upto(100) < percent; }
  template <class T>
  const T& of(const std::vector<T>& choices) {
    return choices[static_cast<std::size_t>(upto(static_cast<int>(choices.size())))];
  }
  std::mt19937 engine;
};

const std::vector<std::string> kNics = {"eth1", "eth2", "eth3"};
const std::vector<std::string> kSpaces = {"r1", "r2", "r3"};

std::map<ResourceId, ObjectSpec> random_objects(Random& random) {
  std::map<ResourceId, ObjectSpec> objects;
  std::vector<std::string> uplinks = kNics;
  for (int i = random.upto(4); i > 0; --i) {
    const std::string parent = random.of(kNics);
    const auto id = static_cast<std::uint16_t>(10 + random.upto(5));
    const std::string name = parent + "." + std::to_string(id);
    VlanSpec spec{parent, id, random.chance(30) ? VlanProtocol::dot1ad : VlanProtocol::dot1q, {}, {}};
    if (random.chance(30)) spec.mtu = 1300;  // the kernel refuses one above the parent's
    objects[{Kind::vlan, name}] = spec;
    uplinks.push_back(name);
  }
  std::shuffle(uplinks.begin(), uplinks.end(), random.engine);
  const int networks = random.upto(4);
  for (int i = 0; i < networks; ++i) {
    NetworkSpec spec = bridge();
    if (random.chance(50) && !uplinks.empty()) {
      spec.uplinks.push_back({uplinks.back(), std::nullopt, {}});
      uplinks.pop_back();
    }
    if (random.chance(30)) spec.mtu = 9000;
    if (random.chance(30)) spec.settings["flooding"] = std::string("hub");
    if (random.chance(20)) spec.settings["name"] = "br" + std::to_string(i);
    objects[{Kind::network, "net" + std::to_string(i)}] = spec;
  }
  for (int i = random.upto(8); i > 0 && networks > 0; --i) {
    const std::string network = "net" + std::to_string(random.upto(networks));
    const std::string name = "a-rather-long-name-" + std::to_string(i);
    AttachmentSpec spec;
    if (random.chance(30)) {
      spec = tap(network, random.chance(50) ? "tap" + std::to_string(i) : "");
    } else {
      spec = attachment(network, random.of(kSpaces), {prefix("10.0.0." + std::to_string(i) + "/24")});
      spec.interface = "eth" + std::to_string(i);
      const auto metric = static_cast<std::uint32_t>(i);
      if (random.chance(40))
        spec.routes.push_back({prefix("0.0.0.0/0"), IpAddress::parse("10.0.0.254"), metric});
      if (random.chance(40)) spec.addresses.push_back(prefix("fd00::1/64"));
    }
    spec.isolated = random.chance(20);
    objects[{Kind::attachment, name}] = spec;
  }
  return objects;
}

void random_meddling(Random& random, MemoryKernel& kernel) {
  const std::vector<std::string> spaces = {"", "/run/netns/r1", "/run/netns/r2", "/run/netns/r3"};
  const std::string space = random.of(spaces);
  const auto& facts = kernel.real().namespaces.at(space);
  std::vector<std::string> names;
  for (const auto& [index, fact] : facts.links()) {
    if (!fact.loopback) names.push_back(fact.name);
  }
  std::sort(names.begin(), names.end());
  if (names.empty() || !facts.present) return;
  const LinkName where{space, random.of(names)};
  switch (random.upto(9)) {
    case 0:
      return kernel.delete_link(where);
    case 1:
      return kernel.change(where, [&](LinkFact& f) { f.name = "x" + std::to_string(f.ifindex); });
    case 2:
      return kernel.change(where, [&](LinkFact& f) { f.mtu = 1300; });
    case 3:
      return kernel.change(where, [&](LinkFact& f) {
        f.up = !f.up;
        f.routes.clear();
      });
    case 4:
      return kernel.change(where, [&](LinkFact& f) {
        f.addresses.clear();
        f.routes.clear();
      });
    case 5:
      return kernel.change(where, [&](LinkFact& f) {
        f.master = 0;
        f.port_kind.clear();
      });
    case 6:
      return kernel.change(where, [&](LinkFact& f) { f.alias = random.chance(50) ? "" : "mine"; });
    case 7:
      return kernel.change(where, [&](LinkFact& f) { f.group = 0; });
    case 8:
      return kernel.change(where, [&](LinkFact& f) { f.mac = MacAddress{{2, 1, 1, 1, 1, 1}}; });
  }
}

// Foreign: no mark, not our group, and no declared uplink. Everything about them but what the kernel itself
// changes.
std::map<LinkName, LinkFact> foreign_links(const Observed& observed, const std::set<std::string>& uplinks) {
  std::map<LinkName, LinkFact> links;
  for (const auto& [path, facts] : observed.namespaces) {
    for (const auto& [index, fact] : facts.links()) {
      if (!fact.alias.starts_with("foreign") || uplinks.contains(fact.name)) continue;
      LinkFact& kept = links[{path, fact.name}] = fact;
      const LinkFact* master = facts.find(fact.master);
      if (master == nullptr || !master->alias.starts_with("foreign")) {  // the kernel releases ports of ours
        kept.master = 0;
        kept.port_kind.clear();
        kept.attributes.clear();
      }
    }
  }
  return links;
}

// A link of an object that is gone. One that lost its group and its name may be anybody's with a copy of the
// mark: it is left alone.
std::string leak_of(const desired::DesiredObject& entry, const Observed& observed) {
  const drivers::Resources resources = entry.compile();
  for (const auto& [path, facts] : observed.namespaces) {
    for (const LinkFact* fact : facts.marked(entry.object.uid)) {
      const LinkName where{path, fact->name};
      const bool named = std::any_of(resources.links.begin(), resources.links.end(),
                                     [&](const LinkSpec& link) { return link.at == where; });
      if (named || is_own_group(fact->group)) return where.text() + " of " + entry.object.id.text();
    }
  }
  return {};
}

// Who may have something left to do after a plan: nobody but
// - whom it could not serve, because what it needs was missing or taken before the plan was carried out;
// - the network that has the link of such a one as its uplink;
// - whose link is marked again by it: only then is it ours, and with it what it holds.
std::set<ResourceId> of_a_later_round(const Plan& plan, const desired::DesiredState& wanted) {
  std::set<ResourceId> ids;
  for (const Blocked& block : plan.blocked) {
    ids.insert(block.object);
    for (const auto* user : wanted.users_of({"", block.object.name})) ids.insert(user->object.id);
  }
  for (const Action& action : plan.actions) {
    const auto* change = std::get_if<ChangeLink>(&action.step);
    if (change != nullptr && change->alias) ids.insert(action.object);
  }
  return ids;
}

// The actions of the plan that are of nobody among these, a line each.
std::string without(const Plan& plan, const std::set<ResourceId>& ids) {
  std::string text;
  for (const Action& action : plan.actions) {
    if (!ids.contains(action.object))
      text += action.object.text() + ": " + action.text() + ": " + action.reason + "\n";
  }
  return text;
}

// What of a stage is left to do, in the executor's order: removals come last.
std::vector<const Action*> stage_of(const Plan& plan, int stage, const std::set<ResourceId>& failed) {
  std::vector<const Action*> actions;
  for (const Action& action : plan.actions) {
    if (action.stage == stage && !failed.contains(action.object)) actions.push_back(&action);
  }
  std::stable_partition(actions.begin(), actions.end(),
                        [](const Action* each) { return !std::holds_alternative<RemoveLink>(each->step); });
  return actions;
}

// Carries out a plan as the agent does: what failed is left at that for this time. Says what failed and
// should not have.
std::string failures_of(const Plan& plan, MemoryKernel& host, Observed observed,
                        std::set<ResourceId>& failed) {
  std::string text;
  std::set<int> stages;
  for (const Action& action : plan.actions) stages.insert(action.stage);
  for (const int stage : stages) {
    const auto actions = stage_of(plan, stage, failed);
    const auto results = host.execute(actions, observed);
    for (std::size_t i = 0; i < actions.size(); ++i) {
      if (results[i]) continue;
      failed.insert(actions[i]->object);
      text += actions[i]->object.text() + ": " + actions[i]->text() + ": " + results[i].error().text() + "\n";
    }
  }
  return text;
}

class PlannerProperties : public PlannerTest, public ::testing::WithParamInterface<unsigned> {
 protected:
  std::vector<std::unique_ptr<MemoryKernel>> owned_;
};

TEST_P(PlannerProperties, ConvergesIsIdempotentAndLeavesForeignLinksAlone) {
  for (unsigned i = 0; i < 100; ++i) {
    Random random(GetParam() * 1000 + i);
    MemoryKernel& host = *(owned_.emplace_back(std::make_unique<MemoryKernel>()));
    desired::DesiredState wanted;
    Observed seen;
    const auto look_at_host = [&] {
      host.watch(wanted.namespaces(), seen);
      EXPECT_TRUE(host.resync(seen).ok());
    };
    for (const std::string& nic : kNics) {
      LinkFact fact;
      fact.name = nic;
      fact.mtu = 1500;
      fact.alias = "foreign nic";
      fact.mac = MacAddress{{2, 3, 3, 3, 3, 3}};
      fact.up = random.chance(90);
      if (random.chance(90)) host.add_link("", fact);
    }
    for (const std::string& space : kSpaces) host.add_namespace("/run/netns/" + space);
    for (const char* name : {"br0", "tap1", "eth1.10", "other"}) {
      if (!random.chance(25)) continue;
      LinkFact fact;
      fact.name = name;
      const bool uplink = std::string_view(name) == "eth1.10";  // which no bridge can be
      fact.kind = !uplink && random.chance(50) ? "bridge" : "tun";
      fact.alias = "foreign";
      fact.mtu = 1492;
      host.add_link("", fact);
    }
    for (int generation = 0; generation < 3; ++generation) {
      const auto objects = random_objects(random);
      std::set<std::string> uplinks;
      const desired::DesiredState before = wanted;
      for (const auto& [id, entry] : before.entries()) {
        if (objects.contains(id)) continue;
        desired::Declaration leaving = entry->object;
        leaving.deleting = true;
        wanted.put(leaving);
      }
      for (const auto& [id, spec] : objects) {
        std::set<Finalizer> finalizers = wanted.finalizers_of(uid_of(id));
        if (const auto* known = wanted.find(id)) {
          const drivers::Resources resources = known->compile();
          for (const LinkSpec& link : resources.links) {
            if (!link.at.netns.empty()) finalizers.insert(Finalizer::netns(link.at.netns));
          }
        }
        wanted.put(declaration(id, spec));
        if (const auto* network = std::get_if<NetworkSpec>(&spec)) {
          for (const Uplink& uplink : network->uplinks) {
            uplinks.insert(uplink.interface);
            finalizers.insert(Finalizer::port(uplink.interface));
          }
        }
        wanted.set_finalizers(uid_of(id), finalizers);
      }
      for (const auto& [id, entry] : wanted.entries()) {
        for (const auto& [kind, name] : wanted.finalizers_of(entry->object.uid))
          if (kind == Finalizer::Kind::port) uplinks.insert(name);
      }
      if (!wanted.check().ok()) break;  // random names clashed
      for (int meddling = random.upto(8); meddling > 0; --meddling) {
        look_at_host();
        random_meddling(random, host);
      }
      look_at_host();
      const auto foreign = foreign_links(host.real(), uplinks);
      std::set<ResourceId> again;
      for (int rounds = 0;; ++rounds) {
        SCOPED_TRACE(testing::Message() << "seed " << GetParam() * 1000 + i << ", round " << rounds);
        look_at_host();
        const Plan todo = planning::plan(wanted, seen);
        ASSERT_EQ(planning::plan(wanted, seen), todo) << "not a function";
        if (todo.empty()) break;
        ASSERT_LT(rounds, 3) << todo.actions.front().text() << ": " << todo.actions.front().reason;
        if (rounds > 0) {
          ASSERT_EQ(without(todo, again), "") << "was not done by what was done";
        }
        again = of_a_later_round(todo, wanted);
        std::set<ResourceId> failed;
        ASSERT_EQ(failures_of(todo, host, seen, failed), "");
        again.merge(failed);
      }
      EXPECT_EQ(foreign_links(host.real(), uplinks), foreign) << "seed " << GetParam() * 1000 + i;
      const desired::DesiredState after = wanted;
      for (const auto& [id, entry] : after.entries()) {
        if (!entry->object.deleting) continue;
        EXPECT_EQ(leak_of(*entry, host.real()), "") << "seed " << GetParam() * 1000 + i;
        wanted.erase(id);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, PlannerProperties, ::testing::Range(1U, 21U));

}  // namespace
}  // namespace lanwright
