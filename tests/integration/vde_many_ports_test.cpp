// What happens to a switch that loses many clients in one moment.
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "tests/integration/harness.h"

namespace lanwright::test {
namespace {

// Seconds that the process has computed.
double processor_time(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  std::istringstream fields(text.substr(text.rfind(')') + 2));  // from the third field on (proc_pid_stat(5))
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// It goes on living without doing anything.
void expect_idle(pid_t pid) {
  constexpr int kLooked = 400;  // milliseconds
  const Fd process = open_pidfd(pid);
  const double before = processor_time(pid);
  pollfd ended{process.get(), POLLIN, 0};
  EXPECT_EQ(poll(&ended, 1, kLooked), 0) << "the switch ended";
  EXPECT_LT(processor_time(pid) - before, 0.1) << "the switch spins";
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
