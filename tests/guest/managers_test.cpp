// Beside udev, systemd-networkd and NetworkManager as Debian has them: whatever they are told of all links,
// those of the agent keep their names, addresses and masters; and who has an uplink as his own is told of.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "tests/guest/managers.h"
#include "tests/integration/event_stream.h"
#include "tests/integration/harness.h"
#include "tests/integration/networkd.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

// One of each kind on the host, and under names that say nothing.
constexpr const char* kEveryKind = R"(
version: 1
name: all
vlans:
  eth3.10: {parent: eth3, id: 10}
  office20: {parent: eth3, id: 20}
networks:
  lan: {driver: bridge, uplinks: [eth3.10]}
  other: {driver: bridge, bridge: {name: br7}}
  wire: {driver: vde}
  mv: {driver: macvlan, parent: eth1, host_interface: {name: mvhost, addresses: [192.168.1.223/32]}}
  ipv: {driver: ipvlan, parent: eth2, host_interface: {name: ipvhost, addresses: [192.168.2.223/32]}}
  alone: {driver: macvlan}
attachments:
  named: {network: lan, netns: r1, interface: eth0, addresses: [10.1.0.1/24]}
  vm: {network: other, tap: {name: tapvm1}}
  vm2: {network: lan, tap: {}}
  onwire: {network: wire, netns: r1, interface: eth1, addresses: [10.2.0.1/24]}
  onwire2: {network: wire, tap: {name: enp9s9}}
  ismv: {network: mv, netns: r1, interface: eth2, addresses: [192.168.1.1/24]}
  isipv: {network: ipv, netns: r1, interface: eth3, addresses: [192.168.2.1/24]}
)";

class BesideManagers : public testing::Test {
 protected:
  BesideManagers() {
    sandbox_.add_netns("r1");
    sandbox_.add_netns("far");
    // As NetworkManager's rules see it these are network cards.
    for (const std::string number : {"0", "1", "2", "3"}) {
      sandbox_.ip("link add eth" + number + " type veth peer name far" + number + " netns far");
      sandbox_.ip("link set eth" + number + " up");
      sandbox_.ip("-n far link set far" + number + " up");
    }
    agent_.emplace(sandbox_);
  }

  std::vector<std::string> own_links() const {
    std::vector<std::string> names = sandbox_.links();
    std::erase_if(names, [](const std::string& name) { return name.size() == 4 && name.starts_with("eth"); });
    return names;
  }

  // What others must leave as it is.
  Json facts() const {
    Json told = Json::object();
    for (const std::string& name : own_links()) {
      const Json link = *sandbox_.link(name);
      Json addresses = Json::array();
      for (const Json& address : link.at("addr_info")) {
        addresses.push_back(address.at("local").get<std::string>() + "/" + address.at("prefixlen").dump());
      }
      const auto& flags = link.at("flags");
      told[name] = {{"ifindex", link.at("ifindex")},
                    {"master", link.value("master", "")},
                    {"mac", link.at("address")},
                    {"mtu", link.at("mtu")},
                    {"up", std::find(flags.begin(), flags.end(), "UP") != flags.end()},
                    {"addrgenmode", link.value("inet6_addr_gen_mode", "")},
                    {"altnames", link.value("altnames", Json::array())},
                    {"addresses", addresses}};
    }
    return told;
  }

  // All kinds, made while the managers are at work, are as the agent made them when these have looked at all.
  void expect_left_alone(const std::function<void(const std::string&)>& expect_unmanaged) {
    const auto repairs = agent_->metric("repairs_total");
    agent_->apply(kEveryKind);
    const std::vector<std::string> own = own_links();
    EXPECT_EQ(own.size(), 11U) << Json(own);
    const Json made = facts();
    Udevd::settle();
    for (const std::string& name : own) {
      EXPECT_EQ(Udevd::properties_of(name)["LANWRIGHT"], "1") << name;
      expect_unmanaged(name);
    }
    EXPECT_TRUE(converges(*agent_));
    EXPECT_EQ(facts(), made);
    EXPECT_EQ(agent_->metric("repairs_total"), repairs) << agent_->cli({"events"}).out;
    const Finished diff = agent_->cli({"diff"});
    EXPECT_TRUE(diff.ok()) << diff.text();
  }

  const Sandbox sandbox_;
  std::optional<AgentProcess> agent_;
};

// --- udev ---

constexpr const char* kPersistent =
    "[Match]\nOriginalName=*\n[Link]\nNamePolicy=keep kernel database onboard slot path mac\n"
    "AlternativeNamesPolicy=database onboard slot path mac\nMACAddressPolicy=persistent\nMTUBytes=1400\n";

// As Debian has it in 99-default.link, and more; and even of a file that comes before the product's own udev
// takes no name. (NamePolicy= is about the names that cards have by their place.)
TEST_F(BesideManagers, UdevLeavesNamesAndMacsAlone) {
  const Udevd udev(sandbox_, {{"05-all.link", kPersistent}});
  ASSERT_EQ(sandbox_.link("eth0")->at("mtu"), 1400) << "the file is of no use";
  expect_left_alone([](const std::string&) {});
}

TEST_F(BesideManagers, UdevRenamesNothingByAFileBeforeItsOwn) {
  const Udevd udev(
      sandbox_,
      {{"00-all.link", "[Match]\nOriginalName=!eth*\n[Link]\nName=taken0\nMACAddressPolicy=persistent\n"}});
  sandbox_.ip("link add foreign type bridge");
  Udevd::settle();
  ASSERT_TRUE(sandbox_.link("taken0")) << "the file is of no use";
  sandbox_.ip("link del taken0");
  expect_left_alone([](const std::string&) {});
  // One that is up cannot be renamed anyway: it did not try.
  EXPECT_EQ(udev.log().find("Failed to rename"), std::string::npos) << udev.log();
}

// --- systemd-networkd ---

constexpr const char* kCatchAll = "[Match]\nName=*\n[Network]\nDHCP=yes\n";

TEST_F(BesideManagers, NetworkdTakesNothingByACatchAll) {
  const Udevd udev(sandbox_);
  Networkd networkd(sandbox_, Networkd::Udev::kReal);
  Networkd::configure("05-all.network", kCatchAll);
  networkd.start();
  ASSERT_TRUE(wait_until([&] { return networkd.state_of("eth0") == "configuring"; })) << networkd.log();
  expect_left_alone([&](const std::string& name) {
    EXPECT_TRUE(wait_until([&] { return !networkd.state_of(name).empty(); })) << name;
    EXPECT_EQ(networkd.state_of(name), "unmanaged") << name;
  });
}

// --- NetworkManager ---

TEST_F(BesideManagers, NetworkManagerTakesNothingByItself) {
  const Udevd udev(sandbox_);
  const NetworkManager manager(sandbox_);
  ASSERT_TRUE(wait_until([&] { return manager.state_of("eth0").starts_with("connecting"); }))
      << manager.log();
  expect_left_alone([&](const std::string& name) {
    EXPECT_TRUE(wait_until([&] { return !manager.state_of(name).empty(); })) << name;
    EXPECT_EQ(manager.state_of(name), "unmanaged") << name;
  });
}

// What the network's history says of who took the uplink away.
std::string told_of_uplink(const AgentProcess& agent) {
  const Json description = agent.get_json("/v1/networks/lan/describe");
  for (const Json& event : description.at("history")) {
    std::string message = event.at("message");
    if (message.find("NetworkManager") != std::string::npos) return message;
  }
  return {};
}

// The file that the README shows, for this uplink.
std::string file_of_readme(const std::string& path, const std::string& uplink) {
  const std::string text = read_file(std::string(SOURCE_DIR) + "/README.md");
  const auto begin = text.find("# " + path + "\n");
  if (begin == std::string::npos) throw HarnessError("no " + path + " in the README");
  std::string file = text.substr(begin, text.find("```", begin) - begin);
  const auto name = file.find("eth1");
  if (name == std::string::npos) throw HarnessError("no eth1 in " + path);
  return file.replace(name, 4, uplink);
}

TEST_F(BesideManagers, NetworkManagerThatHasAnUplinkIsToldOf) {
  const Udevd udev(sandbox_);
  const NetworkManager manager(sandbox_);
  ASSERT_TRUE(wait_until([&] { return manager.state_of("eth0").starts_with("connecting"); }))
      << manager.log();
  agent_->apply("version: 1\nname: up\nnetworks: {lan: {driver: bridge, uplinks: [eth0]}}\n");
  // It takes it off its master when it begins anew with it.
  std::string told;
  ASSERT_TRUE(wait_until([&] {
    run({"nmcli", "--wait", "1", "device", "connect", "eth0"});
    told = told_of_uplink(*agent_);
    return !told.empty();
  }));
  EXPECT_NE(told.find("nmcli device set eth0 managed no"), std::string::npos) << told;

  NetworkManager::configure("uplink.conf", file_of_readme("/etc/NetworkManager/conf.d/uplink.conf", "eth0"));
  NetworkManager::reload();
  EXPECT_TRUE(wait_until([&] { return manager.state_of("eth0") == "unmanaged"; }))
      << manager.state_of("eth0");
  EXPECT_TRUE(converges(*agent_));
  EXPECT_EQ(sandbox_.link("eth0")->value("master", ""), "lw-lan");
  const auto repairs = agent_->metric("repairs_total");
  NetworkManager::reload();
  EXPECT_FALSE(run({"nmcli", "--wait", "1", "connection", "up", "ifname", "eth0"}).ok());
  EXPECT_EQ(sandbox_.link("eth0")->value("master", ""), "lw-lan");
  EXPECT_EQ(agent_->metric("repairs_total"), repairs);
}

}  // namespace
}  // namespace lanwright::test
