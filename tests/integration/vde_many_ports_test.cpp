// What happens to a switch that loses many clients in one moment.
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include "tests/integration/harness.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

// It goes on living without doing anything.
void expect_idle(pid_t pid) {
  constexpr int kLooked = 400;  // milliseconds
  const Fd process = open_pidfd(pid);
  const Milliseconds before = processor_time(pid);
  pollfd ended{process.get(), POLLIN, 0};
  EXPECT_EQ(poll(&ended, 1, kLooked), 0) << "the switch ended";
  EXPECT_LT(processor_time(pid) - before, 100ms) << "the switch spins";
}

TEST(VdeManyPorts, AllAreBackAfterThePlugWasKilledAgainAndAgain) {
  constexpr int kPorts = 40;
  constexpr int kKills = 3;
  const Sandbox sandbox;
  sandbox.add_netns("h");
  const AgentProcess agent(sandbox);
  std::string yaml =
      "version: 1\nname: many\nnetworks:\n  wire: {driver: vde, vde: {hub: false}}\nattachments:\n";
  for (int i = 0; i < kPorts; ++i) {
    const std::string name = "p" + std::to_string(i);
    yaml += "  " + name + ": {network: wire, netns: h, interface: " + name + "}\n";
  }
  agent.apply(yaml);
  for (int i = 0; i < kKills; ++i) {
    const auto plug = agent.get_json("/v1/switches/wire").at("plugPid").get<pid_t>();
    ASSERT_EQ(::kill(plug, SIGKILL), 0);
    ASSERT_TRUE(wait_until([&] {
      const pid_t now = agent.get_json("/v1/switches/wire").at("plugPid").get<pid_t>();
      return now != 0 && now != plug;
    }));
    const Finished converged = agent.cli({"status", "--wait", "converged=15s"});
    ASSERT_TRUE(converged.ok()) << "kill " << i + 1 << ": " << converged.text();
    const Json view = agent.get_json("/v1/switches/wire");
    EXPECT_EQ(view.at("ports").size(), kPorts) << view.dump(1);
    expect_idle(view.at("pid").get<pid_t>());
  }
  EXPECT_TRUE(agent.cli({"delete", "set", "many", "--wait"}).ok());
}

}  // namespace
}  // namespace lanwright::test
