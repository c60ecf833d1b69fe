// vde_ext, which Kathara starts for an interface of the host: what it plugs in stays until it is ended.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "tests/integration/harness.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

namespace fs = std::filesystem;

class VdeExt : public testing::Test {
 protected:
  VdeExt() {
    for (const char* netns : {"c1", "far"}) sandbox_.add_netns(netns);
    sandbox_.ip("link add up0 up type veth peer name eth0 netns far");
    sandbox_.ip("-n far addr add 10.3.0.9/24 dev eth0");
    sandbox_.ip("-n far link set eth0 up");
    agent_->apply(
        "version: 1\nname: lan\nnetworks: {lan: {driver: vde}}\n"
        "attachments: {c1: {network: lan, netns: c1, interface: eth0, addresses: [10.3.0.2/24]}}\n");
  }
  ~VdeExt() override {
    if (pid_ > 0 && ::kill(pid_, SIGKILL) == 0) wait_exit(pid_, 10s);
  }

  void start() {
    const fs::path program = fs::path(agent_program()).parent_path() / "vde_ext";
    const fs::path directory = agent_->socket().parent_path() / "vde" / "lan";
    pid_ = spawn({.arguments = {program, "-s", directory, "-p", pid_file_, "up0"},
                  .netns = {},
                  .environment = {},
                  .in = -1,
                  .out = -1,
                  .err = -1});
  }
  // Its pid file is there once it has plugged in.
  bool is_plugged_in() const {
    return wait_until([&] { return read_file(pid_file_) == std::to_string(pid_) + "\n"; });
  }
  std::optional<int> end(Milliseconds limit = 10s) {
    ::kill(pid_, SIGINT);
    const auto status = wait_exit(pid_, limit);
    if (status) pid_ = -1;
    return status;
  }
  // It makes a session of its own once it holds signals back until it takes them.
  bool holds_back_signals() const { return getsid(pid_) == pid_; }

  const Sandbox sandbox_;
  std::optional<AgentProcess> agent_{std::in_place, sandbox_};
  const std::string pid_file_ = sandbox_.directory() / "pid";
  pid_t pid_ = -1;
};

TEST_F(VdeExt, CarriesTrafficUntilItIsEnded) {
  start();
  ASSERT_TRUE(is_plugged_in());
  EXPECT_TRUE(ping("c1", "10.3.0.9"));
  agent_->kill();
  agent_.emplace(sandbox_);
  EXPECT_TRUE(ping("c1", "10.3.0.9"));
  EXPECT_EQ(end(), 0);
  EXPECT_TRUE(no_ping("c1", "10.3.0.9"));
  EXPECT_FALSE(fs::exists(pid_file_));
}

TEST_F(VdeExt, IsEndedWhileItWaitsForTheAgent) {
  agent_->kill();
  start();
  ASSERT_TRUE(wait_until([&] { return holds_back_signals(); }));
  EXPECT_EQ(end(5s), 1);
}

TEST_F(VdeExt, HasNothingToDoWhenItsNetworkIsGone) {
  start();
  ASSERT_TRUE(is_plugged_in());
  ASSERT_TRUE(agent_->cli({"delete", "set", "lan", "--wait=20s"}).ok());
  EXPECT_EQ(end(), 0);
}

}  // namespace
}  // namespace lanwright::test
