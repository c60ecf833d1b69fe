// The kernel drops events because the agent does not keep up: it knows, reads everything anew, and removes
// nothing by mistake.
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <csignal>
#include <iostream>
#include <set>
#include <thread>

#include "tests/integration/event_stream.h"
#include "tests/integration/harness.h"
#include "tests/integration/kernel_facts.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

constexpr int kChanges = 5000;

std::string fleet() {
  std::string text = "version: 1\nname: fleet\nnetworks:\n";
  for (int i = 0; i < 20; ++i) text += "  b" + std::to_string(i) + ": {driver: bridge}\n";
  text += "attachments:\n";
  for (int i = 0; i < 40; ++i) {
    text += "  a" + std::to_string(i) + ": {network: b" + std::to_string(i % 20) +
            ", netns: r1, interface: e" + std::to_string(i) + "}\n";
  }
  return text;
}

class Overrun : public testing::Test {
 protected:
  Overrun() {
    sandbox_.add_netns("r1");
    sandbox_.ip("link add br-foreign type bridge");
    sandbox_.ip("link add fv0 type veth peer name fv1");
    agent_.apply(fleet());
  }

  Json facts() const {
    return {{"host", without_indexes(facts_of(sandbox_))}, {"r1", without_indexes(facts_of(sandbox_, "r1"))}};
  }

  // A storm of changes of foreign links, and in the middle of it what is given.
  std::filesystem::path storm(const std::string& drift) const {
    std::string text;
    for (int i = 0; i < kChanges; ++i) {
      text += "link set br-foreign mtu " + std::to_string(1300 + i % 2) + "\n";
      if (i == kChanges / 2) text += drift;
    }
    return sandbox_.write_file("storm", text + "link set br-foreign mtu 1500\n");
  }

  // Links that went during the test, from the kernel's own account.
  static std::set<std::string> removed(LinkWatcher& watcher) {
    std::set<std::string> names;
    for (const Notice& notice : watcher.take()) {
      if (notice.type == RTM_DELLINK && notice.family == AF_UNSPEC) names.insert(notice.name);
    }
    return names;
  }

  std::uint64_t overruns() const { return agent_.metric("netlink_overruns_total"); }

  static AgentOptions with_small_buffer() {
    AgentOptions options;
    options.more = {"--netlink-buffer", "4096"};
    return options;
  }

  Sandbox sandbox_;
  AgentProcess agent_{sandbox_, with_small_buffer()};
};

TEST_F(Overrun, LeadsToACompleteLookAndNoWrongRemoval) {
  const Json before = facts();
  const auto earlier = overruns();
  EventStream events(agent_);
  LinkWatcher watcher;
  LinkWatcher inside("r1");
  const auto file = storm("link set lw-b3 mtu 1400\nlink set lw-a5 nomaster\nlink del lw-b7\n");
  agent_.signal(SIGSTOP);  // it cannot keep up however fast this machine is
  sandbox_.ip("-batch " + file.string());
  agent_.signal(SIGCONT);

  events.expect("Resync");
  for (const char* object : {"network b3", "network b7", "attachment a5"}) {
    events.expect("DriftSeen", object);
    events.expect("Repaired", object);
  }
  ASSERT_TRUE(converges(agent_));
  EXPECT_GT(overruns(), earlier);
  EXPECT_GT(agent_.metric("resyncs_total"), 0U);
  EXPECT_TRUE(wait_until([&] { return facts() == before; })) << differences(before, facts());
  EXPECT_EQ(removed(watcher), std::set<std::string>{"lw-b7"}) << "only what the test itself removed";
  EXPECT_EQ(removed(inside), std::set<std::string>{});
}

TEST_F(Overrun, OfARunningAgentIsOvercome) {
  const Json before = facts();
  const auto earlier = overruns();
  EventStream events(agent_);
  LinkWatcher watcher;
  LinkWatcher inside("r1");
  sandbox_.ip("-batch " + storm("link set lw-b3 mtu 1400\nlink del lw-a5\n").string());
  events.expect("Repaired", "network b3");
  events.expect("Repaired", "attachment a5");
  ASSERT_TRUE(converges(agent_));
  EXPECT_GT(overruns(), earlier) << "it kept up: nothing was overcome";
  EXPECT_TRUE(wait_until([&] { return facts() == before; })) << differences(before, facts());
  EXPECT_EQ(removed(watcher), std::set<std::string>{"lw-a5"});
  EXPECT_EQ(removed(inside), std::set<std::string>{"e5"});
}

TEST_F(Overrun, WhileRemovingRemovesOnlyThat) {
  LinkWatcher watcher;
  const auto file = storm("");
  std::string less = fleet();
  less.erase(less.find("  a20:"));
  const auto set = sandbox_.write_file("less.yaml", less);
  const auto earlier = overruns();
  std::set<std::string> gone;
  std::jthread storming([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      sandbox_.ip("-batch " + file.string());
      gone.merge(removed(watcher));  // its buffer holds a few storms, not all
    }
  });
  ASSERT_TRUE(wait_until([&] { return overruns() > earlier; })) << "it keeps up";
  const auto begun = overruns();
  const Finished applied = agent_.cli({"apply", "-f", set, "--wait=60s"}, {.limit = 90s});
  const auto ended = overruns();
  storming.request_stop();
  storming.join();
  EXPECT_GT(ended, begun) << "it kept up while it removed";
  EXPECT_TRUE(applied.ok()) << applied.text();
  ASSERT_TRUE(converges(agent_));
  std::set<std::string> wanted;
  for (int i = 20; i < 40; ++i) wanted.insert("lw-a" + std::to_string(i));
  gone.merge(removed(watcher));
  EXPECT_EQ(gone, wanted);
  EXPECT_EQ(sandbox_.links("r1").size(), 20U);
  EXPECT_TRUE(sandbox_.link("br-foreign"));
  EXPECT_TRUE(sandbox_.link("fv0"));
}

}  // namespace
}  // namespace lanwright::test
