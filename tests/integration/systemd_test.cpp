// ctest label: timed
// The product's unit under a real systemd: who is started again, moved and left alone, and what the journal
// says. Alone, as a systemd that has no processor for seconds takes its services for hung.
#include "tests/integration/systemd.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>
#include <optional>

#include "tests/integration/daemon.h"
#include "tests/integration/harness.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

TEST(SystemdOfTheTest, IsApartFromTheMachine) {
  if (!has_systemd()) GTEST_SKIP() << "there is no systemd, or no dbus-daemon, on this machine";
  const auto setting = [](const char* name) { return read_file(std::string("/proc/sys/") + name); };
  const std::string most_files = setting("fs/file-max");
  const std::string most_open = setting("fs/nr_open");
  const Sandbox sandbox;
  {
    const Systemd systemd(sandbox);
    EXPECT_EQ(systemd.run({"cat", "/proc/1/comm"}).out, "systemd\n");
    for (const char* place : {"/etc/x", "/usr/x", "/var/x", "/proc/sys/fs/file-max"})
      EXPECT_FALSE(systemd.run({"sh", "-c", std::string("echo 1 >") + place}).ok()) << place;
    systemd.install("once.service", "[Service]\nType=oneshot\nExecStart=echo done once\n");
    systemd.systemctl({"start", "once.service"});
    EXPECT_NE(systemd.journal({"--unit=once"}).find("done once"), std::string::npos) << systemd.journal();
    EXPECT_EQ(systemd.journal({"--priority=warning", "_PID=1"}), "");
    EXPECT_TRUE(systemd.run({"ip", "-brief", "link", "show", "lo"}).ok());
    sandbox.add_netns("r1");
    EXPECT_TRUE(systemd.run({"ip", "netns", "exec", "r1", "true"}).ok()) << "what is mounted later is seen";
  }
  EXPECT_EQ(setting("fs/file-max"), most_files);
  EXPECT_EQ(setting("fs/nr_open"), most_open);
}

constexpr const char* kAgent = "lanwrightd.service";
constexpr const char* kSwitches = "lanwright-switches.scope";

constexpr const char* kNetworks = R"(
version: 1
name: site
networks:
  wire: {driver: vde}
  lan: {driver: bridge}
attachments:
  w1: {network: wire, netns: r1, interface: eth0, addresses: [10.1.0.1/24]}
  w2: {network: wire, netns: r2, interface: eth0, addresses: [10.1.0.2/24]}
  l1: {network: lan, netns: r1, interface: eth1, addresses: [10.2.0.1/24]}
  l2: {network: lan, netns: r2, interface: eth1, addresses: [10.2.0.2/24]}
)";

// The unit as `cmake --install` makes it, for the programs of the build.
std::string product_unit() {
  const std::string place = "@LANWRIGHT_SBINDIR@";
  std::string text = read_file(std::string(SOURCE_DIR) + "/systemd/lanwrightd.service.in");
  const auto found = text.find(place);
  if (found == std::string::npos) throw HarnessError("the unit was not understood");
  return text.replace(found, place.size(), std::filesystem::path(agent_program()).parent_path());
}

std::size_t count_of(const std::string& words, const std::string& text) {
  std::size_t count = 0;
  for (auto at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) ++count;
  return count;
}

class ProductUnit : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_systemd()) GTEST_SKIP() << "there is no systemd, or no dbus-daemon, on this machine";
    sandbox_.emplace();
    sandbox_->add_netns("r1");
    sandbox_->add_netns("r2");
    systemd_.emplace(*sandbox_);
    systemd_->install(kAgent, product_unit());
  }

  void TearDown() override {
    if (HasFailure() && systemd_) std::cerr << "--- the journal:\n" << systemd_->journal() << "---\n";
  }

  Finished lanwright(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {client_program(), "--socket", "/run/lanwright/api.sock"});
    return run(arguments);
  }

  void apply() const {
    const Finished applied =
        lanwright({"apply", "-f", sandbox_->write_file("site.yaml", kNetworks), "--wait"});
    if (!applied.ok()) throw HarnessError("apply: " + applied.text());
  }

  bool is_converged() const { return lanwright({"status", "--wait", "converged"}).ok(); }

  // The switch and its plug.
  bool have_scope() const {
    return wait_until([this] { return systemd_->processes_of(kSwitches).size() == 2; });
  }

  // With the switch and its plug they are three. For a moment there may be a program that the agent runs.
  bool has_in_its_unit(std::size_t processes) const {
    return wait_until([&] { return systemd_->processes_of(kAgent).size() == processes; });
  }

  bool is_started_again(const std::string& before) const {
    return wait_until([&] {
             return systemd_->property(kAgent, "MainPID") != before &&
                    systemd_->property(kAgent, "ActiveState") == "active";
           }) &&
           is_converged();
  }

  std::string main_pid() const { return systemd_->property(kAgent, "MainPID"); }

  void kill_agent(const char* signal) const { ASSERT_TRUE(systemd_->run({"kill", signal, main_pid()}).ok()); }

  // The agent, in the journal.
  bool says(const std::string& words) const {
    return systemd_->journal({"_COMM=lanwrightd"}).find(words) != std::string::npos;
  }

  std::size_t warnings_of_left_overs() const {
    const std::string journal = systemd_->journal({"_PID=1"});
    return count_of("left-over process", journal) + count_of("remains running", journal);
  }

  std::optional<Sandbox> sandbox_;
  std::optional<Systemd> systemd_;
};

// Numbered packets through both networks, from before to after: none is missing.
class Traffic {
 public:
  void expect_no_loss() {
    for (Stream* stream : {&wire_, &lan_}) {
      const StreamCount count = stream->stop();
      EXPECT_EQ(count.lost(), 0U) << count.sent;
      EXPECT_EQ(count.refused, 0U);
    }
  }

 private:
  Stream wire_{"r1", "r2", "10.1.0.2"};
  Stream lan_{"r1", "r2", "10.2.0.2"};
};

TEST_F(ProductUnit, SwitchesAreAUnitOfTheirOwn) {
  systemd_->install("lanwright-switches.scope.d/limit.conf", "[Scope]\nMemoryMax=1G\n");
  systemd_->systemctl({"start", kAgent});
  apply();
  ASSERT_TRUE(have_scope());
  EXPECT_TRUE(has_in_its_unit(1)) << "the agent alone";
  EXPECT_EQ(systemd_->property(kSwitches, "Slice"), "system.slice");
  EXPECT_EQ(systemd_->property(kSwitches, "DevicePolicy"), "closed");
  EXPECT_EQ(systemd_->property(kSwitches, "TasksMax"), "infinity");
  EXPECT_EQ(systemd_->property(kSwitches, "MemoryMax"), std::to_string(1U << 30U)) << "its drop-ins hold";
  EXPECT_NE(systemd_->property(kSwitches, "Before").find(kAgent), std::string::npos)
      << "stopped after the agent";
  // What is ended is started again, here as well, and with the last switch the unit goes.
  const auto before = systemd_->processes_of(kSwitches);
  systemd_->systemctl({"stop", kSwitches});
  EXPECT_TRUE(wait_until([&] {
    const auto now = systemd_->processes_of(kSwitches);
    return now.size() == 2 && now != before;
  }));
  ASSERT_TRUE(lanwright({"delete", "set", "site", "--wait"}).ok());
  EXPECT_TRUE(wait_until([&] { return systemd_->property(kSwitches, "LoadState") == "not-found"; }));
  EXPECT_EQ(systemd_->journal({"--priority=warning", "_PID=1"}), "");
}

TEST_F(ProductUnit, WhateverBecomesOfTheAgentTrafficFlows) {
  systemd_->systemctl({"start", kAgent});
  apply();
  ASSERT_TRUE(have_scope());
  const auto switches = systemd_->processes_of(kSwitches);
  Traffic traffic;

  std::string agent = main_pid();
  systemd_->systemctl({"reload", kAgent});
  EXPECT_EQ(main_pid(), agent);
  EXPECT_TRUE(says("reloading"));
  kill_agent("-KILL");
  EXPECT_TRUE(is_started_again(agent));
  EXPECT_EQ(systemd_->property(kAgent, "NRestarts"), "1");
  EXPECT_EQ(systemd_->processes_of(kSwitches), switches);

  systemd_->systemctl({"stop", kAgent});
  EXPECT_EQ(systemd_->property(kAgent, "Result"), "success");
  EXPECT_EQ(systemd_->processes_of(kSwitches), switches);
  systemd_->systemctl({"start", kAgent});
  systemd_->systemctl({"restart", kAgent});
  EXPECT_TRUE(is_converged());
  EXPECT_EQ(systemd_->processes_of(kSwitches), switches);
  EXPECT_TRUE(has_in_its_unit(1));
  traffic.expect_no_loss();
  EXPECT_EQ(warnings_of_left_overs(), 0U);
}

// As an agent left them that knew no scope: in its own unit.
TEST_F(ProductUnit, SwitchesOfAnEarlierAgentAreMoved) {
  systemd_->systemctl({"start", kAgent});
  apply();
  ASSERT_TRUE(have_scope());
  const auto switches = systemd_->processes_of(kSwitches);
  for (const auto& [pid, command] : switches) systemd_->move(pid, kAgent);
  ASSERT_TRUE(wait_until([&] { return systemd_->property(kSwitches, "LoadState") == "not-found"; }));
  ASSERT_TRUE(has_in_its_unit(3));
  Traffic traffic;
  systemd_->systemctl({"restart", kAgent});
  EXPECT_GT(warnings_of_left_overs(), 0U) << "this test has not done what it tells";
  EXPECT_TRUE(have_scope());
  EXPECT_EQ(systemd_->processes_of(kSwitches), switches);
  const std::size_t warnings = warnings_of_left_overs();
  systemd_->systemctl({"restart", kAgent});
  EXPECT_EQ(warnings_of_left_overs(), warnings);
  traffic.expect_no_loss();
}

TEST_F(ProductUnit, TheAgentDoesNotWaitForTheSystemBus) {
  systemd_->systemctl({"start", kAgent});
  const std::string bus = systemd_->property("dbus.service", "MainPID");
  ASSERT_TRUE(systemd_->run({"kill", "-STOP", bus}).ok());
  apply();
  EXPECT_TRUE(ping("r1", "10.1.0.2"));
  EXPECT_TRUE(has_in_its_unit(3));
  systemd_->systemctl({"restart", kAgent});  // nor for its end
  EXPECT_TRUE(is_converged());
  ASSERT_TRUE(systemd_->run({"kill", "-CONT", bus}).ok());
  EXPECT_TRUE(have_scope());
}

class WithoutABus : public ProductUnit {
 protected:
  void SetUp() override {
    ProductUnit::SetUp();
    if (systemd_)
      systemd_->install("lanwrightd.service.d/bus.conf",
                        "[Service]\nEnvironment=DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/test/bus\n");
  }
};

TEST_F(WithoutABus, AllWorksAndTheJournalSaysWhatDoesNot) {
  systemd_->systemctl({"start", kAgent});
  apply();
  EXPECT_TRUE(ping("r1", "10.1.0.2"));
  EXPECT_TRUE(has_in_its_unit(3));
  EXPECT_TRUE(wait_until([this] { return says("switches are not in lanwright-switches.scope"); }));
  EXPECT_TRUE(says("connect to the system bus: No such file or directory")) << "and why";
  Traffic traffic;
  systemd_->systemctl({"stop", kAgent});
  systemd_->systemctl({"start", kAgent});
  EXPECT_TRUE(is_converged());
  EXPECT_TRUE(has_in_its_unit(3));
  // One that comes later is found.
  std::filesystem::create_symlink("/run/dbus/system_bus_socket", "/run/test/bus");
  EXPECT_TRUE(have_scope());
  traffic.expect_no_loss();
}

class WatchedClosely : public ProductUnit {
 protected:
  void SetUp() override {
    ProductUnit::SetUp();
    if (systemd_) systemd_->install("lanwrightd.service.d/watchdog.conf", "[Service]\nWatchdogSec=1s\n");
  }
};

TEST_F(WatchedClosely, AnAgentWhoseLoopHangsIsStartedAgain) {
  systemd_->systemctl({"start", kAgent});
  apply();
  ASSERT_TRUE(have_scope());
  const auto switches = systemd_->processes_of(kSwitches);
  Traffic traffic;
  const std::string agent = main_pid();
  kill_agent("-STOP");
  EXPECT_TRUE(is_started_again(agent));
  EXPECT_EQ(systemd_->property(kAgent, "NRestarts"), "1");
  EXPECT_NE(systemd_->journal({"_PID=1"}).find("Watchdog timeout"), std::string::npos);
  EXPECT_EQ(systemd_->processes_of(kSwitches), switches);
  traffic.expect_no_loss();
  EXPECT_EQ(warnings_of_left_overs(), 0U);
}

}  // namespace
}  // namespace lanwright::test
