// The harness itself: what other tests rely on without looking.
// ctest label: tsan
#include "tests/integration/harness.h"

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "tests/integration/kernel_facts.h"

namespace lanwright::test {
namespace {

ino_t inode_of_netns() {
  struct stat info {};
  return stat("/proc/thread-self/ns/net", &info) == 0 ? info.st_ino : 0;
}

// Two namespaces, h1 and h2, joined by a bridge in the sandbox: 10.9.0.1 and 10.9.0.2, fd09::1 and fd09::2.
struct TwoHosts {
  Sandbox sandbox;
  TwoHosts() {
    sandbox.ip("link add br0 up type bridge");
    for (const std::string number : {"1", "2"}) {
      sandbox.add_netns("h" + number);
      sandbox.ip("link add p" + number + " up master br0 type veth peer name eth0 netns h" + number);
      sandbox.ip("-n h" + number + " link set eth0 up");
      sandbox.ip("-n h" + number + " addr add 10.9.0." + number + "/24 dev eth0");
      sandbox.ip("-n h" + number + " addr add fd09::" + number + "/64 dev eth0 nodad");
    }
  }
};

TEST(Sandbox, IsANamespaceOfItsOwnAndGoesBack) {
  const ino_t before = inode_of_netns();
  {
    const Sandbox sandbox;
    EXPECT_NE(inode_of_netns(), before);
    EXPECT_EQ(sandbox.links(), std::vector<std::string>{});
    EXPECT_TRUE(std::filesystem::is_empty("/run/netns"));
    sandbox.ip("link add br0 type bridge");
    EXPECT_EQ(sandbox.links(), std::vector<std::string>{"br0"});
  }
  EXPECT_EQ(inode_of_netns(), before);
  EXPECT_FALSE(std::filesystem::exists("/run/test"));
  const Sandbox again;
  EXPECT_EQ(again.links(), std::vector<std::string>{});
}

TEST(Sandbox, MakesAndRemovesNamespaces) {
  const Sandbox sandbox;
  sandbox.add_netns("r1");
  sandbox.ip("-n r1 link add d0 type bridge");
  EXPECT_EQ(sandbox.links("r1"), std::vector<std::string>{"d0"});
  EXPECT_EQ(sandbox.links(), std::vector<std::string>{});
  EXPECT_TRUE(sandbox.link("d0", "r1"));
  EXPECT_FALSE(sandbox.link("d0"));
  sandbox.delete_netns("r1");
  EXPECT_THROW((void)sandbox.links("r1"), HarnessError);
}

TEST(Sandbox, TellsWhatIpRefuses) {
  const Sandbox sandbox;
  EXPECT_FALSE(sandbox.try_ip("link set nosuch up"));
  try {
    sandbox.ip("link set nosuch up");
    FAIL() << "did not throw";
  } catch (const HarnessError& error) {
    EXPECT_NE(std::string(error.what()).find("Cannot find device"), std::string::npos) << error.what();
  }
}

TEST(Run, GivesStatusAndBothOutputs) {
  const Finished result = run({"sh", "-c", "cat; echo wrong >&2; exit 3"}, {.input = "text"});
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(result.out, "text");
  EXPECT_EQ(result.err, "wrong\n");
  EXPECT_EQ(run({"sh", "-c", "kill -9 $$"}).status, 128 + SIGKILL);
}

TEST(Run, CarriesMoreThanAPipeHolds) {
  const std::string much(3'000'000, 'x');
  const Finished result = run({"cat"}, {.input = much});
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(result.out.size(), much.size());
}

TEST(Run, StopsWhatTakesTooLong) {
  const Finished result = run({"sleep", "60"}, {.limit = 100ms});
  EXPECT_TRUE(result.timed_out);
  EXPECT_EQ(result.status, 128 + SIGKILL);
  EXPECT_THROW((void)run({"no-such-program"}), HarnessError);
}

TEST(Run, EntersANamespace) {
  const Sandbox sandbox;
  sandbox.add_netns("r1");
  const RunOptions in_r1{.netns = "r1", .environment = {"WORD=heard"}};
  EXPECT_EQ(run({"readlink", "/proc/self/ns/net"}, in_r1).out,
            run({"ip", "netns", "exec", "r1", "readlink", "/proc/self/ns/net"}).out);
  EXPECT_NE(run({"readlink", "/proc/self/ns/net"}, in_r1).out, run({"readlink", "/proc/self/ns/net"}).out);
  EXPECT_EQ(run({"sh", "-c", "echo $WORD"}, in_r1).out, "heard\n");
}

TEST(Traffic, GoesThroughABridge) {
  const TwoHosts hosts;
  EXPECT_TRUE(ping("h1", "10.9.0.2"));
  EXPECT_TRUE(ping("h2", "fd09::1"));
  EXPECT_TRUE(tcp("h1", "h2", "10.9.0.2"));
  EXPECT_TRUE(tcp("h2", "h1", "fd09::1"));
}

TEST(Traffic, IsMissedWhereThereIsNoWay) {
  const TwoHosts hosts;
  hosts.sandbox.ip("link set p2 nomaster");
  EXPECT_TRUE(no_ping("h1", "10.9.0.2"));
  EXPECT_TRUE(no_ping("h1", "10.77.0.1"));
  EXPECT_FALSE(ping("h1", "10.9.0.2", 1s));
  EXPECT_FALSE(tcp("h1", "h2", "10.9.0.2", 1000, 1s));
  EXPECT_TRUE(ping("h1", "10.9.0.1"));
  EXPECT_FALSE(no_ping("h1", "10.9.0.1"));
}

TEST(Traffic, StreamLosesNothingWhenNothingHappens) {
  const TwoHosts hosts;
  Stream stream("h1", "h2", "10.9.0.2");
  std::this_thread::sleep_for(300ms);
  const StreamCount count = stream.stop();
  EXPECT_GT(count.sent, 100U);
  EXPECT_EQ(count.lost(), 0U);
  EXPECT_EQ(count.refused, 0U);
  EXPECT_EQ(count.duplicates, 0U);
}

TEST(Traffic, StreamSeesAnInterruption) {
  const TwoHosts hosts;
  Stream stream("h1", "h2", "10.9.0.2");
  hosts.sandbox.ip("link set p2 nomaster");
  std::this_thread::sleep_for(200ms);
  hosts.sandbox.ip("link set p2 master br0");
  EXPECT_TRUE(ping("h1", "10.9.0.2"));
  const StreamCount count = stream.stop();
  EXPECT_GT(count.lost(), 50U);
  EXPECT_GT(count.received, 0U);
  EXPECT_GE(count.longest_gap, 100ms);
}

TEST(Traffic, StreamSaysThatItNeverArrives) {
  const TwoHosts hosts;
  hosts.sandbox.ip("link set p1 nomaster");
  EXPECT_THROW(Stream("h1", "h2", "10.9.0.2", 1ms, 200ms), HarnessError);
}

TEST(LinkWatcher, HearsChangesOfItsNamespaceOnly) {
  const Sandbox sandbox;
  sandbox.add_netns("r1");
  LinkWatcher here;
  LinkWatcher there("r1");
  sandbox.ip("-n r1 link add d0 type bridge");
  EXPECT_TRUE(here.take().empty());
  const auto notices = there.take();
  ASSERT_FALSE(notices.empty());
  EXPECT_EQ(notices.front().type, RTM_NEWLINK);
  EXPECT_EQ(notices.front().name, "d0");
  EXPECT_TRUE(there.take().empty());
  sandbox.ip("-n r1 link del d0");
  EXPECT_TRUE(there.wait_for([](const Notice& n) { return n.type == RTM_DELLINK && n.name == "d0"; }));
  EXPECT_FALSE(there.wait_for([](const Notice& n) { return n.name == "other"; }, 50ms));
}

TEST(LinkWatcher, WaitsForACondition) {
  const Sandbox sandbox;
  LinkWatcher watcher;
  EXPECT_FALSE(watcher.wait_until([&] { return sandbox.link("br0").has_value(); }, 50ms));
  sandbox.ip("link add br0 type bridge");
  EXPECT_TRUE(watcher.wait_until([&] { return sandbox.link("br0").has_value(); }));
}

TEST(AgentProcess, IsReadyAnswersAndStops) {
  const Sandbox sandbox;
  AgentProcess agent(sandbox);
  EXPECT_TRUE(agent.running());
  EXPECT_EQ(agent.get("/readyz").status, 200);
  EXPECT_TRUE(agent.get_json("/v1/status").is_object());
  EXPECT_EQ(agent.metric("netlink_writes_total"), 0U);
  EXPECT_THROW((void)agent.metric("no_such_metric"), HarnessError);
  EXPECT_TRUE(agent.cli({"status"}).ok());
  EXPECT_EQ(agent.cli({"no-such-command"}).status, 2);
  EXPECT_EQ(agent.stop(), 0);
  EXPECT_FALSE(agent.running());
}

TEST(AgentProcess, AppliesAndContinuesWhereItWasKilled) {
  const Sandbox sandbox;
  sandbox.add_netns("r1");
  const std::string yaml = R"(
version: 1
networks:
  lab: {driver: bridge}
attachments:
  r1: {network: lab, netns: r1, interface: eth0, addresses: [10.9.0.1/24]}
)";
  {
    AgentProcess agent(sandbox);
    agent.apply(yaml);
    EXPECT_TRUE(sandbox.link("eth0", "r1"));
    EXPECT_GT(agent.metric("netlink_writes_total"), 0U);
    agent.kill();
    EXPECT_FALSE(agent.running());
  }
  EXPECT_TRUE(sandbox.link("eth0", "r1"));
  ASSERT_TRUE(settles(sandbox, {"", "r1"}));
  LinkWatcher watcher;
  AgentProcess again(sandbox);
  again.apply(yaml);
  EXPECT_EQ(again.metric("netlink_writes_total"), 0U);
  EXPECT_TRUE(watcher.take().empty());
}

TEST(AgentProcess, TellsWhyItDidNotStart) {
  const Sandbox sandbox;
  try {
    const AgentProcess agent(sandbox, {.more = {"--no-such-option"}});
    FAIL() << "did not throw";
  } catch (const HarnessError& error) {
    EXPECT_NE(std::string(error.what()).find("no-such-option"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace lanwright::test
