// What the shipped systemd unit leaves to the agent is enough for its work.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <fstream>
#include <sstream>

#include "tests/integration/event_stream.h"
#include "tests/integration/frames.h"
#include "tests/integration/harness.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

// All values of a setting of the unit, which may be given several times.
std::vector<std::string> unit_setting(const std::string& name) {
  std::ifstream file(std::string(SOURCE_DIR) + "/systemd/lanwrightd.service.in");
  std::vector<std::string> values;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(name + "=")) continue;
    std::istringstream words(line.substr(name.size() + 1));
    for (std::string word; words >> word;) values.push_back(word);
  }
  return values;
}

// CAP_NET_ADMIN as setpriv(1) wants it: net_admin.
std::string for_setpriv(const std::string& capability) {
  std::string name = capability.substr(std::string("CAP_").size());
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

// "-all,+net_admin,..."
std::string only(const std::vector<std::string>& capabilities) {
  std::string text = "-all";
  for (const std::string& capability : capabilities) text += ",+" + for_setpriv(capability);
  return text;
}

// The command that starts a program as systemd does for the unit.
std::vector<std::string> as_the_unit(const std::vector<std::string>& bounding) {
  const std::string ambient = only(unit_setting("AmbientCapabilities"));
  const std::vector<std::string> umask = unit_setting("UMask");
  if (umask.size() != 1) throw HarnessError("the unit has no UMask=");
  return {"sh",
          "-c",
          "umask " + umask.front() + " && exec \"$@\"",
          "sh",
          "setpriv",
          "--bounding-set=" + only(bounding),
          "--inh-caps=" + ambient,
          "--ambient-caps=" + ambient,
          "--no-new-privs"};
}

// A line of /proc/PID/status.
std::string process_status(pid_t pid, const std::string& key) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key + ":\t")) return line.substr(key.size() + 2);
  }
  return "no " + key;
}

constexpr const char* kSmall = R"(
version: 1
name: small
networks:
  lan: {driver: bridge, uplinks: [up0]}
attachments:
  named: {network: lan, netns: r1, interface: eth0, addresses: [10.1.0.1/24], routes: [{to: default, via: 10.1.0.2}]}
  vm: {network: lan, tap: {name: tap0, owner: 65534}}
  process: {network: lan, interface: eth0, addresses: [10.1.0.2/24], netns: )";

class UnitFile : public testing::Test {
 public:
  ~UnitFile() override {
    kill(process_, SIGKILL);
    wait_exit(process_, 10s);
  }

 protected:
  UnitFile() {
    sandbox_.add_netns("r1");
    sandbox_.ip("link add up0 type veth peer name up1");
    process_ = spawn({{"unshare", "--net", "sleep", "600"}, "", {}, -1, -1, -1});
  }

  std::string path_of_process() const { return "/proc/" + std::to_string(process_) + "/ns/net"; }

  // It has capabilities that the agent has not: CAP_SYS_PTRACE is what opens its namespace all the same.
  bool process_is_apart() const {
    return wait_until([&] {
      std::error_code none;
      return !std::filesystem::equivalent(path_of_process(), "/proc/thread-self/ns/net", none) && !none;
    });
  }

  AgentOptions options(const std::vector<std::string>& bounding) const {
    AgentOptions options;
    options.under = as_the_unit(bounding);
    options.more = {"--group", "daemon"};  // the socket is given away: CAP_CHOWN
    return options;
  }

  const Sandbox sandbox_;
  pid_t process_ = -1;
};

TEST_F(UnitFile, LeavesTheCapabilitiesThatTheAgentNeeds) {
  const auto bounding = unit_setting("CapabilityBoundingSet");
  ASSERT_TRUE(std::ranges::find(bounding, "CAP_NET_ADMIN") != bounding.end())
      << "the unit was not understood";
  ASSERT_TRUE(process_is_apart());
  AgentProcess agent(sandbox_, options(bounding));
  ASSERT_NE(process_status(agent.pid(), "CapBnd"), process_status(getpid(), "CapBnd"))
      << "nothing was taken from it";
  EXPECT_EQ(process_status(agent.pid(), "CapEff"), process_status(agent.pid(), "CapBnd"));
  EXPECT_EQ(process_status(agent.pid(), "NoNewPrivs"), "1");

  agent.apply(kSmall + path_of_process() + "}\n");
  ASSERT_TRUE(converges(agent));
  for (const char* name : {"named", "vm", "process"})
    EXPECT_EQ(phase_of(agent, "attachments", name), "Ready") << message_of(agent, "attachments", name);
  EXPECT_EQ(sandbox_.link("up0")->value("master", ""), "lw-lan");
  EXPECT_TRUE(ping("r1", "10.1.0.2"));
  EXPECT_TRUE(tap_talks_to("tap0", "r1", "eth0"));
  const auto others_may =
      std::filesystem::status(agent.socket()).permissions() & std::filesystem::perms::group_all;
  EXPECT_EQ(others_may, std::filesystem::perms::group_read | std::filesystem::perms::group_write);
  EXPECT_EQ(agent.log().find("Operation not permitted"), std::string::npos) << agent.log();
}

TEST_F(UnitFile, LeavesTheCapabilitiesThatRepairNeeds) {
  ASSERT_TRUE(process_is_apart());
  AgentProcess agent(sandbox_, options(unit_setting("CapabilityBoundingSet")));
  agent.apply(kSmall + path_of_process() + "}\n");
  EventStream events(agent);
  sandbox_.ip("-n r1 addr del 10.1.0.1/24 dev eth0");  // heard from another namespace: CAP_NET_BROADCAST
  events.expect("Repaired", "attachment named");
  sandbox_.ip("link set lw-lan mtu 1400");
  events.expect("Repaired", "network lan");
  sandbox_.ip("tuntap del tap0 mode tap");
  events.expect("Repaired", "attachment vm");
  EXPECT_TRUE(ping("r1", "10.1.0.2"));
  sandbox_.ip("link set lw-lan group 0");  // udev is told of the repair: CAP_SYS_ADMIN
  events.expect("Repaired", "network lan");
  ASSERT_TRUE(agent.cli({"delete", "set", "small", "--wait"}).ok());
  EXPECT_EQ(sandbox_.links(), (std::vector<std::string>{"up0", "up1"}));
  EXPECT_EQ(sandbox_.links("r1"), std::vector<std::string>{});
  EXPECT_EQ(agent.log().find("Operation not permitted"), std::string::npos) << agent.log();
}

// Without them it would look as if it worked until the first link is wanted.
TEST(Privileges, ThatAreMissingAreNamedAtTheStart) {
  const Sandbox sandbox;
  const std::vector<std::string> needed{"CAP_NET_ADMIN", "CAP_NET_BROADCAST", "CAP_SYS_ADMIN"};
  for (const std::string& missing : needed) {
    SCOPED_TRACE(missing);
    const std::string without = "-" + for_setpriv(missing);
    AgentOptions options;
    options.name = for_setpriv(missing);
    options.under = {"setpriv", "--bounding-set=" + without, "--inh-caps=" + without};
    options.wait_ready = false;
    AgentProcess agent(sandbox, options);
    EXPECT_EQ(agent.wait(10s), 1);
    const std::string log = agent.log();
    for (const std::string& name : needed)
      EXPECT_EQ(log.find("lacks " + name) != std::string::npos, name == missing) << log;
    EXPECT_EQ(log.find(", CAP_"), std::string::npos) << "this one only: " << log;
    EXPECT_NE(log.find("run it as root"), std::string::npos) << log;
    EXPECT_FALSE(exists(agent.state_directory() / "lanwright.db")) << "it began all the same";
  }
}

}  // namespace
}  // namespace lanwright::test
