// ctest label: waits
// The product's unit under a real systemd.
#include "tests/integration/systemd.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

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

}  // namespace
}  // namespace lanwright::test
