// Containers on a network that was declared, beside namespaces that were declared with it; and who gives
// addresses.
#include <gtest/gtest.h>

#include "tests/docker/host.h"
#include "tests/integration/frames.h"
#include "tests/integration/product.h"
#include "tests/integration/traffic.h"
#include "tests/integration/vde.h"

namespace lanwright::test {
namespace {

std::string lab(const std::string& driver_name) {
  return "version: 1\nname: lab\nnetworks:\n  lab: {driver: " + driver_name + R"(}
attachments:
  r1-lab: {network: lab, netns: r1, interface: eth0, addresses: [10.5.0.200/24]}
)";
}

class DeclaredNetwork : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (tests_dockers_own()) GTEST_SKIP() << "Docker's own know no declared networks";
  }

  DockerHost host_;
};

TEST_P(DeclaredNetwork, IsJoinedByContainersAndStaysWhenTheyGo) {
  host_.sandbox().add_netns("r1");
  host_.agent().apply(lab(GetParam()));
  const Json before = host_.inventory();
  const Json declared = object_of(host_.agent(), "networks", "lab").at("spec");
  host_.docker().ask({"network", "create", "-d", "lanwright", "--subnet", "10.5.0.0/24", "--gateway",
                      "10.5.0.200", "-o", "network=lab", "lan"});
  host_.run("c1", "lan");
  host_.run("c2", "lan");
  EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
  EXPECT_TRUE(ping(host_.netns("c1"), "10.5.0.200"));
  EXPECT_TRUE(ping("r1", host_.address("c2", "lan")));
  EXPECT_EQ(host_.default_route("c1"), "10.5.0.200");
  const Json attachment = object_of(host_.agent(), "attachments", host_.endpoint_id("c1", "lan"));
  EXPECT_EQ(attachment.at("spec").at("network"), "lab");
  EXPECT_EQ(attachment.at("set"), "docker");

  // What the file says again is no reason to touch what Docker attached.
  host_.agent().apply(lab(GetParam()));
  EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));

  host_.remove({"c1", "c2"});
  host_.remove_networks({"lan"});
  EXPECT_TRUE(host_.is_as_before(before));
  EXPECT_EQ(object_of(host_.agent(), "networks", "lab").at("spec"), declared);
  EXPECT_EQ(phase_of(host_.agent(), "networks", "lab"), "Ready");
  EXPECT_EQ(phase_of(host_.agent(), "attachments", "r1-lab"), "Ready");
}

TEST_P(DeclaredNetwork, ThatIsNotThereIsRefused) {
  const Finished refused = host_.docker().docker(
      {"network", "create", "-d", "lanwright", "--subnet", "10.5.0.0/24", "-o", "network=lab", "lan"});
  EXPECT_FALSE(refused.ok());
  EXPECT_NE(refused.err.find("lab"), std::string::npos) << refused.text();
  EXPECT_EQ(host_.docker().api("GET", "/networks/lan").status, 404);
  EXPECT_EQ(host_.objects("networks"), std::set<std::string>{});
}

INSTANTIATE_TEST_SUITE_P(Docker, DeclaredNetwork, testing::Values("bridge", "vde"),
                         [](const auto& driver_name) { return std::string(driver_name.param); });

// --- who gives addresses ---

class Addresses : public testing::Test {
 protected:
  DockerHost host_;
};

TEST_F(Addresses, ComeFromTheAgentAndAreNotGivenTwice) {
  host_.add_parent("p0", "router", {"10.5.0.1/24"});
  for (const std::string& kind : kinds()) {
    SCOPED_TRACE(kind);
    host_.create(kind, "lan",
                 {"--ipam-driver", "lanwright", "--subnet", "10.5.0.0/24", "--gateway", "10.5.0.1",
                  "--ip-range", "10.5.0.128/29", "--aux-address", "printer=10.5.0.129", "-o", "parent=p0"});
    host_.run("c1", "lan");
    host_.run("c2", "lan", {"--ip", "10.5.0.77"});
    EXPECT_EQ(host_.address("c2", "lan"), "10.5.0.77");
    EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
    EXPECT_TRUE(ping(host_.netns("c1"), "10.5.0.1"));
    const Finished again = host_.docker().docker(
        {"run", "-d", "--name", "c3", "--network", "lan", "--ip", "10.5.0.77", "busybox"});
    EXPECT_FALSE(again.ok());
    EXPECT_NE(again.err.find("Address already in use"), std::string::npos) << again.text();
    host_.restart_killed_agent();
    host_.docker().ask({"restart", "c2"});
    EXPECT_EQ(host_.address("c2", "lan"), "10.5.0.77");
    EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
    host_.remove({"c1", "c2", "c3"});
    host_.remove_networks({"lan"});
  }
}

// A LAN of frames alone: nobody has an address, and whatever the containers say goes through.
TEST_F(Addresses, OfNobodyLeaveALanOfFrames) {
  if (tests_dockers_own()) GTEST_SKIP() << "Docker's own want addresses";
  const Json before = host_.inventory();
  host_.create("vde", "wire", {"--ipam-driver", "null"});
  host_.run("c1", "wire");
  host_.run("c2", "wire");
  EXPECT_EQ(host_.interfaces("c1"), Words{"eth0"});
  EXPECT_EQ(host_.default_route("c1"), "");
  EXPECT_EQ(host_.address("c1", "wire"), "");
  InterfacePort one(host_.netns("c1"), "eth0");
  InterfacePort other(host_.netns("c2"), "eth0");
  ASSERT_TRUE(talk(one, other));
  const std::string last = frame_saying("the last one");
  for (const Group group : {Group::stp, Group::lldp}) {
    one.send(frame_to(group));
    one.send(last);
    EXPECT_EQ(received_before(other, last), Words{summary(frame_to(group))});
  }
  host_.remove({"c1", "c2"});
  host_.remove_networks({"wire"});
  EXPECT_TRUE(host_.is_as_before(before));
}

}  // namespace
}  // namespace lanwright::test
