// Containers on a network that was declared, beside namespaces and virtual machines that were declared with
// it and machines behind its uplink; and who gives addresses.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <optional>
#include <sstream>

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

// --- everybody on one LAN ---

// 10.5.0.1 is somebody behind the uplink, .2 a namespace that is declared, .16 a virtual machine at a tap;
// containers begin at .128.
constexpr const char* kCampus = R"(version: 1
name: campus
networks:
  campus: {driver: bridge, uplinks: [p0]}
attachments:
  services: {network: campus, netns: services, interface: eth0, addresses: [10.5.0.2/24]}
  vm: {network: campus, tap: {name: tap-vm}}
)";

const std::string kVmMac("\x02\x00\x00\x00\x05\x10", 6);
constexpr const char* kVm = "10.5.0.16";

// "10.5.0.16" as four bytes.
std::string bytes_of(const std::string& address) {
  std::string bytes;
  std::istringstream parts(address);
  for (std::string part; std::getline(parts, part, '.');) bytes += static_cast<char>(std::stoi(part));
  return bytes;
}
// "02:42:0a:05:00:80" as six bytes.
std::string mac_bytes_of(const std::string& mac) {
  std::string bytes;
  std::istringstream parts(mac);
  for (std::string part; std::getline(parts, part, ':');)
    bytes += static_cast<char>(std::stoi(part, nullptr, 16));
  return bytes;
}

// RFC 826: Ethernet and IPv4, and who asks (1) or answers (2) whom.
enum class Arp : char { request = 1, reply = 2 };
std::string arp_frame(Arp what, const std::string& mac, const std::string& address, const std::string& to_mac,
                      const std::string& to_address) {
  const bool asks = what == Arp::request;
  std::string frame = (asks ? kEverybody : to_mac) + mac + "\x08\x06";
  frame += std::string("\x00\x01\x08\x00\x06\x04\x00", 7) + static_cast<char>(what);
  frame += mac + bytes_of(address) + (asks ? std::string(6, '\0') : to_mac) + bytes_of(to_address);
  return frame;
}

// The first frame that begins so; those that came before it are dropped. nullopt when none came.
std::optional<std::string> receive_beginning(FramePort& port, const std::string& wanted, Milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < deadline) {
    auto frame = port.receive(20ms);
    if (frame && frame->starts_with(wanted)) return frame;
  }
  return std::nullopt;
}

class Campus : public testing::Test {
 protected:
  void SetUp() override {
    if (tests_dockers_own()) GTEST_SKIP() << "Docker's own know no declared networks";
    host_.add_parent("p0", "far", {"10.5.0.1/24"});
    host_.sandbox().add_netns("services");
    host_.agent().apply(kCampus);
    before_ = host_.inventory();
    host_.docker().ask({"network", "create", "-d", "lanwright", "--subnet", "10.5.0.0/24", "--ip-range",
                        "10.5.0.128/25", "--gateway", "10.5.0.1", "-o", "network=campus", "lan"});
  }

  // The virtual machine asks who has the address; the frame by which the container says that it has.
  std::optional<std::string> answer_to_vm(TapPort& vm, const std::string& container) const {
    const std::string address = host_.address(container, "lan");
    const std::string mac = mac_bytes_of(host_.mac(container));
    const std::string reply = arp_frame(Arp::reply, mac, address, kVmMac, kVm);
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    // The port of a tap that was just opened takes a moment to come up.
    while (std::chrono::steady_clock::now() < deadline) {
      vm.send(arp_frame(Arp::request, kVmMac, kVm, {}, address));
      if (auto answer = receive_beginning(vm, reply, 200ms)) return answer;
    }
    return std::nullopt;
  }

  DockerHost host_;
  Json before_;
};

TEST_F(Campus, ContainersReachWhoIsBehindTheUplinkAndWhoIsDeclared) {
  host_.run("c1", "lan");
  const std::string container = host_.netns("c1");
  for (const char* other : {"10.5.0.1", "10.5.0.2"}) EXPECT_TRUE(ping(container, other));
  for (const char* other : {"far", "services"}) EXPECT_TRUE(ping(other, host_.address("c1", "lan")));
  EXPECT_TRUE(ping("far", "10.5.0.2")) << "Docker's firewall lets the whole LAN through";
  EXPECT_TRUE(tcp(container, "far", "10.5.0.1"));
  EXPECT_TRUE(tcp("services", container, host_.address("c1", "lan")));
  EXPECT_EQ(host_.default_route("c1"), "10.5.0.1");
  EXPECT_EQ(host_.sandbox().link("p0")->at("master"), "lw-campus");

  host_.remove({"c1"});
  host_.remove_networks({"lan"});
  EXPECT_TRUE(host_.is_as_before(before_));
  EXPECT_EQ(host_.sandbox().link("p0")->at("master"), "lw-campus") << "Docker's going is not the uplink's";
  for (const char* attachment : {"services", "vm"})
    EXPECT_EQ(phase_of(host_.agent(), "attachments", attachment), "Ready") << attachment;
}

TEST_F(Campus, AContainerAnswersAVirtualMachine) {
  host_.run("c1", "lan");
  TapPort vm("tap-vm");
  EXPECT_TRUE(answer_to_vm(vm, "c1"));
  // And asks it: the first packet to an address that it does not know yet.
  const std::string mac = mac_bytes_of(host_.mac("c1"));
  const std::string request = arp_frame(Arp::request, mac, host_.address("c1", "lan"), {}, "10.5.0.17");
  EXPECT_TRUE(no_ping(host_.netns("c1"), "10.5.0.17")) << "nobody has it";
  EXPECT_TRUE(receive_beginning(vm, request, 10s));
  // Frames of whatever kind, as they are.
  InterfacePort container(host_.netns("c1"), "eth0");
  EXPECT_TRUE(talk(vm, container));
  InterfacePort neighbour("far", "eth0");
  EXPECT_TRUE(talk(vm, neighbour));
}

// Without its queue the tap has no carrier; what is on the LAN beside it does not care.
TEST_F(Campus, AVirtualMachineComesAndGoesBesideContainers) {
  host_.run("c1", "lan");
  Stream stream(host_.netns("c1"), "far", "10.5.0.1");
  for (int i = 0; i < 3; ++i) {
    TapPort vm("tap-vm");
    EXPECT_TRUE(answer_to_vm(vm, "c1")) << i;
  }
  EXPECT_EQ(stream.stop().lost(), 0U);
}

// --- what the user is shown ---

TEST_F(Campus, AListShowsWhichOfDockersAnAttachmentIs) {
  host_.run("c1", "lan");
  EXPECT_TRUE(wait_until([&] { return host_.phase_of_attachment("c1", "lan") == "Ready"; }));
  const std::string network = host_.docker().inspect("lan").at("Id");
  const std::string endpoint =
      host_.docker().inspect("c1").at("NetworkSettings").at("Networks").at("lan").at("EndpointID");
  ASSERT_EQ(network.size(), 64U);
  ASSERT_EQ(endpoint.size(), 64U);
  const Finished wide = host_.agent().cli({"get", "attachments", "-o", "wide"});
  const auto line_of = [](const std::string& table, const std::string& name) {
    std::istringstream lines(table);
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with(name + " ")) return " " + line + " ";
    return std::string();
  };
  const std::string title = line_of(wide.out, "NAME");
  for (const char* column : {" INTERFACE ", " DOCKER NETWORK ", " DOCKER ENDPOINT "})
    EXPECT_NE(title.find(column), std::string::npos) << wide.text();
  const std::string line = line_of(wide.out, short_id(endpoint));
  for (const std::string& word : {network, endpoint})
    EXPECT_NE(line.find(" " + word + " "), std::string::npos) << word << " is not in\n" << wide.text();
  EXPECT_NE(line.find(" eth0 in " + host_.netns("c1") + " "), std::string::npos) << wide.text();
  const std::string declared = line_of(wide.out, "services");
  EXPECT_NE(declared, "") << wide.text();
  EXPECT_EQ(declared.find(network), std::string::npos) << "it is not Docker's: " << wide.text();
  // Who did not ask for all of it gets a table that fits.
  const Finished narrow = host_.agent().cli({"get", "attachments"});
  EXPECT_NE(line_of(narrow.out, short_id(endpoint)), "") << narrow.text();
  EXPECT_EQ(narrow.out.find(network), std::string::npos) << narrow.text();
}

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

// Where nobody but the agent has heard of Docker: with dockerd comes a policy that drops what bridges
// forward.
TEST(DeclaredBridge, KeepsItsTrafficWhenDockerdStarts) {
  if (!std::filesystem::exists("/proc/sys/net/bridge")) GTEST_SKIP() << "this kernel has no br_netfilter";
  Sandbox sandbox;
  for (const char* netns : {"r1", "r2"}) sandbox.add_netns(netns);
  const AgentProcess agent(sandbox);
  agent.apply(R"(
version: 1
name: lab
networks:
  lab: {driver: bridge}
attachments:
  r1: {network: lab, netns: r1, interface: eth0, addresses: [10.5.0.1/24, "fd05::1/64"]}
  r2: {network: lab, netns: r2, interface: eth0, addresses: [10.5.0.2/24, "fd05::2/64"]}
)");
  Stream stream("r1", "r2", "10.5.0.2");
  const Dockerd docker(sandbox);
  ASSERT_NE(run({"iptables", "-S", "FORWARD"}).out.find("-P FORWARD DROP"), std::string::npos);
  EXPECT_TRUE(ping("r1", "10.5.0.2"));
  EXPECT_TRUE(ping("r1", "fd05::2"));
  const StreamCount count = stream.stop();
  std::cout << "  " << count.lost() << " of " << count.sent << " packets lost, longest gap "
            << count.longest_gap.count() << " ms\n";
  EXPECT_LT(count.longest_gap, 1s) << "from the policy to the rule";
  EXPECT_EQ(phase_of(agent, "networks", "lab"), "Ready");
}

}  // namespace
}  // namespace lanwright::test
