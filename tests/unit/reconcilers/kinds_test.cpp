// What the files of kinds say, held against the codec and the drivers.
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "model/format/set_reader.h"
#include "reconcilers/drivers/registry.h"
#include "reconcilers/kinds/bridge.h"
#include "reconcilers/kinds/dummy.h"
#include "reconcilers/kinds/ipvlan.h"
#include "reconcilers/kinds/macvlan.h"
#include "reconcilers/kinds/sharing.h"
#include "reconcilers/kinds/table.h"
#include "reconcilers/kinds/vlan.h"
#include "reconcilers/netlink/attributes.h"
#include "reconcilers/netlink/link_codec.h"

namespace lanwright::kinds {
namespace {

using Place = LinkAttribute::Place;

TEST(Kinds, AreFoundByTheirNames) {
  std::set<std::string_view> names;
  for (const kinds::LinkKind* kind : all()) {
    EXPECT_TRUE(names.insert(kind->name).second) << kind->name;
    EXPECT_EQ(&kind_of(kind->name), kind);
    EXPECT_FALSE(kind->module.empty()) << kind->name;
    EXPECT_GT(kind->first_removal, 0U) << kind->name;
  }
  for (const char* other : {"", "bond"}) EXPECT_EQ(kind_of(other).name, "") << other;
}

TEST(Kinds, HaveAttributesThatNoOtherHas) {
  std::set<std::string_view> names;
  for (const kinds::LinkKind* kind : all()) {
    std::set<std::pair<Place, int>> numbers;
    for (const LinkAttribute* attribute : kind->attributes) {
      EXPECT_TRUE(names.insert(attribute->name).second) << attribute->name;
      EXPECT_TRUE(numbers.emplace(attribute->place, attribute->number).second) << attribute->name;
    }
  }
}

// In the form that the attribute says, and in the order of the table.
TEST(Kinds, AreReadAsTheyAreWritten) {
  for (const kinds::LinkKind* kind : all()) {
    LinkSpec link;
    link.at.name = "link0";
    link.kind = kind->name;
    link.mtu = 1500;
    LinkAttributes of_ports;
    std::uint64_t value = 100;
    for (const LinkAttribute* attribute : kind->attributes)
      (attribute->place == Place::link ? link.attributes : of_ports).emplace_back(*attribute, ++value);
    const auto fact = netlink::decode_link(netlink::create_link(link, {}, nullptr).header());
    ASSERT_TRUE(fact) << kind->name;
    EXPECT_EQ(fact->kind, kind->name);
    EXPECT_EQ(fact->attributes, link.attributes) << kind->name;

    netlink::Message port(RTM_NEWLINK, 0, ifinfomsg{});
    port.nest(IFLA_INFO_SLAVE_DATA, [&] { netlink::put_attributes(port, of_ports, Place::port); });
    LinkAttributes read;
    netlink::read_attributes(netlink::Attributes(port.header(), sizeof(ifinfomsg)).nest(IFLA_INFO_SLAVE_DATA),
                             kind->name, Place::port, read);
    EXPECT_EQ(read, of_ports) << kind->name;
  }
}

bool is_listed(const LinkAttribute* attribute, std::string_view kind) {
  const auto listed = kind_of(kind).attributes;
  return std::ranges::find(listed, attribute) != listed.end();
}

void expect_listed(const drivers::Resources& resources, const std::string& who) {
  for (const LinkSpec& link : resources.links) {
    EXPECT_EQ(kind_of(link.kind).name, link.kind) << who << ": " << link.kind;
    for (const auto& [attribute, value] : link.attributes) {
      const std::string_view kind = attribute->place == Place::port ? kinds::kBridge.name : link.kind;
      EXPECT_TRUE(is_listed(attribute, kind)) << who << ": " << attribute->name;
    }
  }
  for (const ParentUse& use : resources.parents) {
    EXPECT_NE(kind_of(use.kind).sharing, nullptr) << who;
    for (const auto& [attribute, value] : use.attributes) EXPECT_TRUE(is_listed(attribute, use.kind)) << who;
  }
}

// Otherwise it would never be read back, and never be as wanted.
TEST(Kinds, ListWhatDriversWant) {
  std::set<std::string> drivers;
  for (const auto& file :
       std::filesystem::directory_iterator(std::filesystem::path(SOURCE_DIR) / "examples")) {
    if (file.path().extension() != ".yaml") continue;
    std::ostringstream text;
    text << std::ifstream(file.path()).rdbuf();
    const ReadOutcome outcome = read_set(text.str(), file.path().filename(), drivers::driver_grammar());
    ASSERT_TRUE(outcome.ok()) << file.path();
    const ObjectUid uid(16, '0');
    for (const auto& [name, network] : outcome.set.networks) {
      drivers.insert(network.driver);
      expect_listed(drivers::find_driver(network.driver)->network({name, uid, network}), "network " + name);
    }
    for (const auto& [name, attachment] : outcome.set.attachments) {
      const NetworkSpec& network = outcome.set.networks.at(attachment.network);
      expect_listed(drivers::find_driver(network.driver)
                        ->attachment({name, uid, attachment}, {attachment.network, uid, network}),
                    "attachment " + name);
    }
  }
  for (const DriverSchema& driver : drivers::driver_grammar())
    EXPECT_TRUE(drivers.contains(driver.name)) << "no example has driver " << driver.name;
}

TEST(Kinds, SayWhatTheKernelDoesNotChangeInPlace) {
  EXPECT_TRUE(vlan::kId.recreates(5, 6));
  EXPECT_TRUE(vlan::kProtocol.recreates(0x8100, std::nullopt));
  const auto& mode = macvlan::kMode;
  EXPECT_FALSE(mode.recreates(MACVLAN_MODE_BRIDGE, MACVLAN_MODE_PRIVATE));
  EXPECT_TRUE(mode.recreates(MACVLAN_MODE_PASSTHRU, MACVLAN_MODE_BRIDGE));
  EXPECT_TRUE(mode.recreates(MACVLAN_MODE_BRIDGE, MACVLAN_MODE_PASSTHRU));
  EXPECT_TRUE(mode.recreates(MACVLAN_MODE_PASSTHRU, std::nullopt));
  for (const LinkAttribute* attribute : kinds::kBridge.attributes) EXPECT_EQ(attribute->recreates, nullptr);
}

ParentUse of_macvlan(std::uint64_t mode) {
  return {"eth0", std::string(kinds::kMacvlan.name), {{macvlan::kMode, mode}}, {}};
}
ParentUse of_ipvlan(std::uint64_t mode) {
  return {"eth0", std::string(kinds::kIpvlan.name), {{ipvlan::kMode, mode}, {ipvlan::kFlags, 0}}, {}};
}
std::string clash_of(const ParentUse& a, const ParentUse& b) {
  const auto one = clash(a, b);
  const auto other = clash(b, a);
  EXPECT_EQ(one ? one->words : "", other ? other->words : "");
  return one ? one->words + "; " + one->hint : "";
}

TEST(Kinds, SayWhoStandsOnAParentBesideWhom) {
  EXPECT_EQ(clash_of(of_macvlan(MACVLAN_MODE_BRIDGE), of_macvlan(MACVLAN_MODE_VEPA)), "");
  EXPECT_EQ(clash_of(of_ipvlan(IPVLAN_MODE_L3), of_ipvlan(IPVLAN_MODE_L3)), "");
  EXPECT_EQ(clash_of(of_macvlan(MACVLAN_MODE_BRIDGE), of_ipvlan(IPVLAN_MODE_L2)),
            "macvlan and ipvlan links cannot stand on one parent; give one of them another parent");
  EXPECT_EQ(clash_of(of_macvlan(MACVLAN_MODE_BRIDGE), of_macvlan(MACVLAN_MODE_PASSTHRU)),
            "in mode passthru one link has its parent to itself; give one of them another parent");
  EXPECT_EQ(clash_of(of_ipvlan(IPVLAN_MODE_L2), of_ipvlan(IPVLAN_MODE_L3)),
            "all ipvlan links on one parent have one mode and flag; make them the same");
  for (const char* kind : {"macvlan", "macvtap", "ipvlan", "ipvtap"})
    EXPECT_NE(kind_of(kind).sharing, nullptr) << kind;
  for (const char* kind : {"vlan", "veth", "bridge", "dummy", "", "bond"})
    EXPECT_EQ(kind_of(kind).sharing, nullptr) << kind;
}

}  // namespace
}  // namespace lanwright::kinds
