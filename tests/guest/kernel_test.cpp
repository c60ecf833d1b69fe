// What the guest is for: the kinds of links that the kernel outside may lack. Were one of them missing here
// too, the tests that need it could pass without having tested anything.
#include <gtest/gtest.h>
#include <sys/utsname.h>

#include <fstream>
#include <iterator>

#include "tests/integration/harness.h"

namespace lanwright::test {
namespace {

const Json& data_of(const Json& link) {
  return link.at("linkinfo").at("info_data");
}

std::string cpuinfo() {
  std::ifstream file("/proc/cpuinfo");
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(GuestKernel, IsOneOfTheGuests) {
  utsname name{};
  ASSERT_EQ(uname(&name), 0);
  const bool debians = std::string(name.version).find("Debian") != std::string::npos;
  const bool user_mode = cpuinfo().find("User Mode Linux") != std::string::npos;
  EXPECT_TRUE(debians || user_mode) << name.release << " " << name.version;
}

TEST(GuestKernel, HasVlansOfBothProtocols) {
  const Sandbox sandbox;
  sandbox.ip("link add parent type dummy");
  sandbox.ip("link add link parent name parent.10 type vlan id 10");
  sandbox.ip("link add link parent name outer type vlan protocol 802.1ad id 20");
  sandbox.ip("link add link outer name inner type vlan protocol 802.1Q id 30");
  EXPECT_EQ(data_of(*sandbox.link("parent.10")).at("protocol"), "802.1Q");
  EXPECT_EQ(data_of(*sandbox.link("outer")).at("protocol"), "802.1ad");
  EXPECT_EQ(data_of(*sandbox.link("inner")).at("id"), 30);
}

TEST(GuestKernel, FiltersVlansOnBridges) {
  const Sandbox sandbox;
  sandbox.ip("link add br0 type bridge vlan_filtering 1");
  sandbox.ip("link add port0 master br0 type dummy");
  EXPECT_EQ(data_of(*sandbox.link("br0")).at("vlan_filtering"), 1);
  EXPECT_TRUE(run({"bridge", "vlan", "add", "dev", "port0", "vid", "42"}).ok());
  EXPECT_NE(run({"bridge", "vlan", "show", "dev", "port0"}).out.find("42"), std::string::npos);
}

TEST(GuestKernel, HasLinksOverAParent) {
  const Sandbox sandbox;
  sandbox.ip("link add parent type dummy");
  for (const std::string mode : {"l2", "l3", "l3s"}) {
    sandbox.ip("link add link parent name ipvlan0 type ipvlan mode " + mode);
    EXPECT_EQ(data_of(*sandbox.link("ipvlan0")).at("mode"), mode);
    sandbox.ip("link del ipvlan0");
  }
  sandbox.ip("link add link parent name macvlan0 type macvlan mode bridge");
  EXPECT_EQ(data_of(*sandbox.link("macvlan0")).at("mode"), "bridge");
}

TEST(GuestKernel, HasTapsAndPairs) {
  const Sandbox sandbox;
  sandbox.ip("tuntap add tap0 mode tap");
  sandbox.ip("link add veth0 type veth peer name veth1");
  EXPECT_EQ(sandbox.links(), (std::vector<std::string>{"tap0", "veth0", "veth1"}));
}

}  // namespace
}  // namespace lanwright::test
