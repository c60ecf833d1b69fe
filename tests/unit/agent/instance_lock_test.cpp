#include "agent/host/instance_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <string>

namespace lanwright::host {
namespace {

class InstanceLockTest : public testing::Test {
 protected:
  InstanceLockTest() {
    std::string name = (std::filesystem::temp_directory_path() / "lanwright-lock-XXXXXX").string();
    directory_ = mkdtemp(name.data());
  }
  ~InstanceLockTest() override { std::filesystem::remove_all(directory_); }
  std::filesystem::path directory_;
};

TEST_F(InstanceLockTest, NamesWhoHoldsIt) {
  const auto first = InstanceLock::take(directory_);
  ASSERT_TRUE(first.ok()) << first.error().text();
  const auto second = InstanceLock::take(directory_);
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().text().find("pid " + std::to_string(getpid())), std::string::npos)
      << second.error().text();
}

TEST_F(InstanceLockTest, WaitsForWhatADeadHolderWasAboutToStart) {
  std::array<int, 2> ready{};
  std::array<int, 2> released{};
  ASSERT_EQ(pipe(ready.data()), 0);
  ASSERT_EQ(pipe(released.data()), 0);
  const pid_t holder = fork();
  if (holder == 0) {
    const auto lock = InstanceLock::take(directory_);
    if (fork() == 0) {  // has not executed its program yet
      char byte = 0;
      close(released[1]);
      while (read(released[0], &byte, 1) > 0) {
      }
    } else if (write(ready[1], "r", 1) != 1) {
      _exit(1);
    }
    _exit(lock.ok() ? 0 : 1);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  int status = -1;
  ASSERT_EQ(waitpid(holder, &status, 0), holder);
  ASSERT_EQ(status, 0);
  auto taken = std::async(std::launch::async, [&] { return InstanceLock::take(directory_); });
  EXPECT_EQ(taken.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout)
      << "it is not free yet";
  close(released[1]);
  EXPECT_TRUE(taken.get().ok());
  for (const int end : {ready[0], ready[1], released[0]}) close(end);
}

}  // namespace
}  // namespace lanwright::host
