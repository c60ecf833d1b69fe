// `lanwright capture` beside real traffic; what it wrote is read back by tcpdump.
// ctest label: tsan
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>

#include "tests/integration/harness.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLab = R"(version: 1
networks: {lab: {driver: bridge}}
attachments:
  r1: {network: lab, netns: r1, interface: eth0, addresses: [10.0.0.1/24]}
  r2: {network: lab, netns: r2, interface: eth0, addresses: [10.0.0.2/24]}
  r3: {network: lab, netns: r3, interface: eth0, addresses: [10.0.0.3/24]}
)";

constexpr const char* kOnParent = R"(version: 1
networks: {lab: {driver: macvlan, parent: up0}}
attachments:
  r1: {network: lab, netns: r1, interface: eth0, addresses: [10.0.0.1/24]}
  r2: {network: lab, netns: r2, interface: eth0, addresses: [10.0.0.2/24]}
)";

constexpr std::size_t kHeader = 24;
constexpr std::size_t kEcho = 16 + 98;  // a record of ping's usual packet

std::size_t descriptors_of(pid_t pid) {
  const fs::directory_iterator all("/proc/" + std::to_string(pid) + "/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

class Captures : public testing::Test {
 protected:
  Captures() {
    for (const char* netns : {"r1", "r2", "r3"}) sandbox_.add_netns(netns);
    sandbox_.ip("link add up0 up type veth peer name far0");
    sandbox_.ip("link set far0 up");
  }
  ~Captures() override {
    if (client_ > 0) {
      kill(client_, SIGKILL);
      wait_exit(client_, 10s);
    }
  }

  // Starts the client, and returns when the header of the file is there.
  void start(std::vector<std::string> more) {
    more.insert(more.begin(), {client_program(), "--socket", agent_.socket(), "capture", "lab", "-w", file_});
    client_ = spawn({.arguments = more, .netns = {}, .environment = {}, .err = STDERR_FILENO});
    ASSERT_TRUE(wait_until([&] { return size() >= kHeader; }));
  }

  std::size_t size() const {
    std::error_code missing;
    const std::uintmax_t bytes = fs::file_size(file_, missing);
    return missing ? 0 : bytes;
  }

  std::optional<int> end() { return wait_exit(std::exchange(client_, -1), 10s); }

  // The lines that tcpdump makes of the file; it fails on a cut record.
  std::vector<std::string> packets() const {
    const Finished read = run({"tcpdump", "-Z", "root", "-nn", "-tt", "-r", file_});
    EXPECT_TRUE(read.ok() && read.err.find("truncated") == std::string::npos) << read.text();
    std::vector<std::string> lines;
    std::istringstream text(read.out);
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }

  static void ping_five_times(const std::string& from, const std::string& address) {
    const Finished done = run({"ping", "-c5", "-i0.01", "-W5", address}, {.netns = from});
    ASSERT_TRUE(done.ok()) << done.text();
  }

  Sandbox sandbox_;
  AgentProcess agent_{sandbox_};
  std::string file_ = sandbox_.directory() / "lab.pcap";
  pid_t client_ = -1;
};

TEST_F(Captures, EachFrameBetweenPortsOfABridgeOnce) {
  agent_.apply(kLab);
  const std::size_t before = descriptors_of(agent_.pid());
  const auto began = std::chrono::system_clock::now();
  start({"--filter", "icmp"});
  ping_five_times("r1", "10.0.0.2");
  ping_five_times("r3", "10.0.0.2");
  ASSERT_TRUE(wait_until([&] { return size() >= kHeader + 20 * kEcho; }));
  kill(client_, SIGINT);
  EXPECT_EQ(end(), 0);
  const auto lines = packets();
  EXPECT_EQ(lines.size(), 20U);
  for (const std::string& line : lines) {
    EXPECT_NE(line.find("ICMP echo re"), std::string::npos) << line;
    const double time = std::stod(line);
    EXPECT_GE(time, std::chrono::duration<double>(began.time_since_epoch()).count() - 1);
    EXPECT_LE(time,
              std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count());
  }
  EXPECT_TRUE(wait_until([&] { return descriptors_of(agent_.pid()) <= before; }));
  EXPECT_EQ(sandbox_.link("lw-lab")->at("promiscuity"), 0);
  EXPECT_EQ(agent_.metric("repairs_total"), 0U) << "it is no drift that somebody listens";
}

TEST_F(Captures, OfASwitchEachFrameOnce) {
  agent_.apply(std::string(kLab).replace(std::string(kLab).find("bridge"), 6, "vde"));
  const std::size_t before = descriptors_of(agent_.pid());
  start({"--filter", "icmp"});
  ping_five_times("r1", "10.0.0.2");
  ping_five_times("r3", "10.0.0.2");
  ASSERT_TRUE(wait_until([&] { return size() >= kHeader + 20 * kEcho; }));
  kill(client_, SIGINT);
  EXPECT_EQ(end(), 0);
  EXPECT_EQ(packets().size(), 20U);
  EXPECT_TRUE(wait_until([&] { return descriptors_of(agent_.pid()) <= before; }));
}

TEST_F(Captures, OfASwitchEndsWithIt) {
  agent_.apply(std::string(kLab).replace(std::string(kLab).find("bridge"), 6, "vde"));
  start({"--filter", "icmp"});
  ASSERT_TRUE(agent_.cli({"delete", "set", "default", "--wait"}).ok());
  EXPECT_EQ(end(), 1);
}

TEST_F(Captures, EndsAfterACount) {
  agent_.apply(kLab);
  start({"--filter", "icmp[0] == 8", "--count", "3"});
  ping_five_times("r1", "10.0.0.2");
  EXPECT_EQ(end(), 0);
  EXPECT_EQ(packets().size(), 3U);
  EXPECT_EQ(size(), kHeader + 3 * kEcho);
}

TEST_F(Captures, WhatAttachmentsOfAMacvlanNetworkSayToEachOther) {
  agent_.apply(kOnParent);
  start({"--filter", "icmp"});
  ping_five_times("r1", "10.0.0.2");
  ASSERT_TRUE(wait_until([&] { return size() >= kHeader + 10 * kEcho; }));
  kill(client_, SIGTERM);
  EXPECT_EQ(end(), 0);
  EXPECT_EQ(packets().size(), 10U);
}

TEST_F(Captures, AClosedPipeEndsItOnBothSides) {
  agent_.apply(kLab);
  const std::size_t before = descriptors_of(agent_.pid());
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  Fd reader(ends[0]);
  Fd writer(ends[1]);
  client_ = spawn({.arguments = {client_program(), "--socket", agent_.socket(), "capture", "lab", "--filter",
                                 "udp port 9"},
                   .netns = {},
                   .environment = {},
                   .out = writer.get(),
                   .err = STDERR_FILENO});
  writer = {};
  std::array<char, kHeader> header{};
  ASSERT_EQ(read(reader.get(), header.data(), header.size()), static_cast<ssize_t>(kHeader));
  EXPECT_GT(descriptors_of(agent_.pid()), before);
  reader = {};  // no packet comes: it is not a failing write that tells the client
  EXPECT_EQ(end(), 0);
  EXPECT_TRUE(wait_until([&] { return descriptors_of(agent_.pid()) <= before; }));
}

TEST_F(Captures, TheClientsDeathEndsTheAgentsSide) {
  agent_.apply(kLab);
  const std::size_t before = descriptors_of(agent_.pid());
  start({"--filter", "udp port 9"});
  kill(client_, SIGKILL);
  EXPECT_EQ(end(), 128 + SIGKILL);
  EXPECT_TRUE(wait_until([&] { return descriptors_of(agent_.pid()) <= before; }));
}

TEST_F(Captures, EndsWithItsLinkAndTheFileIsWhole) {
  agent_.apply(kLab);
  start({"--filter", "icmp"});
  ping_five_times("r1", "10.0.0.2");
  ASSERT_TRUE(wait_until([&] { return size() >= kHeader + 10 * kEcho; }));
  sandbox_.ip("link del lw-lab");
  EXPECT_EQ(end(), 1) << "somebody who waits for packets has to know that none will come";
  EXPECT_EQ(packets().size(), 10U);
  EXPECT_TRUE(ping("r1", "10.0.0.2"));
}

TEST_F(Captures, TheAgentStopsWhileOneGoesOn) {
  agent_.apply(kLab);
  start({});
  EXPECT_EQ(agent_.stop(), 0);
  EXPECT_EQ(end(), 1);
}

// The agent is root, and its worker would wait for the answer.
TEST_F(Captures, AFilterAsksNobodyForANamesAddress) {
  agent_.apply(kLab);
  agent_.apply("version: 1\nname: more\nnetworks: {wire: {driver: vde}}\n");
  const auto configuration =
      sandbox_.write_file("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
  if (mount(configuration.c_str(), "/etc/resolv.conf", nullptr, MS_BIND, nullptr) != 0)
    fail_errno("mount resolv.conf");
  const Fd resolver(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(53);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(resolver.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail_errno("bind");
  for (const std::string network : {"lab", "wire"}) {
    for (const std::string filter : {"host%20router.example", "src%20router.example", "tcp%20prot%2080"}) {
      const HttpAnswer answer = agent_.get("/v1/networks/" + network + "/capture?filter=" + filter);
      EXPECT_EQ(answer.status, 400) << answer.body;
      EXPECT_NE(answer.body.find("looks up no names"), std::string::npos) << answer.body;
    }
  }
  char byte = 0;
  EXPECT_EQ(recv(resolver.get(), &byte, 1, 0), -1) << "it was asked";
  EXPECT_EQ(errno, EAGAIN);
}

TEST_F(Captures, WhatCannotBeIsSaid) {
  agent_.apply(kLab);
  std::ofstream(file_) << "precious";
  const Finished rubbish = agent_.cli({"capture", "lab", "--filter", "rubbish", "-w", file_});
  EXPECT_EQ(rubbish.status, 1);
  EXPECT_NE(rubbish.err.find("the name `rubbish`"), std::string::npos) << rubbish.text();
  EXPECT_EQ(size(), 8U) << "the file is touched only when there is something to write";
  EXPECT_EQ(agent_.cli({"capture", "none"}).status, 1);
  EXPECT_EQ(agent_.cli({"capture", "lab", "-w", "/nowhere/at/all"}).status, 1);
  sandbox_.ip("link add br-taken type bridge");
  EXPECT_FALSE(agent_
                   .cli({"apply", "-f", "-"}, {.input = "version: 1\nname: two\nnetworks: {taken: {driver: "
                                                        "bridge, bridge: {name: br-taken}}}\n"})
                   .timed_out);
  ASSERT_TRUE(reaches(agent_, "networks", "taken", "Conflict"));
  const Finished foreign = agent_.cli({"capture", "taken"});
  EXPECT_EQ(foreign.status, 1);
  EXPECT_NE(foreign.err.find("it has no link now"), std::string::npos) << foreign.text();
  EXPECT_EQ(agent_.get("/v1/networks/taken/capture").status, 409);
}

}  // namespace
}  // namespace lanwright::test
