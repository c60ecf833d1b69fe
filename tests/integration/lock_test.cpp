// The kernel has one lock for all changes of links. Removing many links must not keep others from changing
// theirs.
// ctest label: timed
#include <gtest/gtest.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <iostream>
#include <thread>

#include "tests/integration/harness.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBridges = 200;
constexpr int kCables = 500;

std::string fleet() {
  std::string text = "version: 1\nname: fleet\nnetworks:\n";
  for (int i = 0; i < kBridges; ++i) text += "  b" + std::to_string(i) + ": {driver: bridge}\n";
  text += "attachments:\n";
  for (int i = 0; i < kCables; ++i) {
    text += "  a" + std::to_string(i) + ": {network: b" + std::to_string(i % kBridges) + ", netns: r" +
            std::to_string(i % 10) + ", interface: e" + std::to_string(i) + "}\n";
  }
  return text;
}

// Somebody else on the host, who changes the MTU of his own link every few milliseconds.
class Bystander {
 public:
  explicit Bystander(const std::string& link)
      : link_(link), socket_(socket_in("", AF_INET, SOCK_DGRAM)), thread_([this] { work(); }) {}
  ~Bystander() { stop(); }
  Bystander(const Bystander&) = delete;
  Bystander& operator=(const Bystander&) = delete;

  void stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }
  int changes() const { return changes_; }
  int failures() const { return failures_; }
  Milliseconds longest() const { return longest_; }

 private:
  void work() {
    const Fd pace(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), "timerfd");
    const itimerspec every{{0, 5'000'000}, {0, 5'000'000}};
    timerfd_settime(pace.get(), 0, &every, nullptr);
    while (!stopping_) {
      std::uint64_t ticks = 0;
      if (read(pace.get(), &ticks, sizeof ticks) != sizeof ticks) fail_errno("timerfd");
      ifreq request{};
      std::strncpy(request.ifr_name, link_.c_str(), IFNAMSIZ - 1);
      request.ifr_mtu = 1400 + changes_ % 2;
      const auto began = Clock::now();
      if (ioctl(socket_.get(), SIOCSIFMTU, &request) != 0) ++failures_;
      longest_ = std::max(longest_.load(), std::chrono::duration_cast<Milliseconds>(Clock::now() - began));
      ++changes_;
    }
  }

  std::string link_;
  Fd socket_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> changes_ = 0;
  std::atomic<int> failures_ = 0;
  std::atomic<Milliseconds> longest_ = Milliseconds(0);
  std::jthread thread_;
};

TEST(Lock, IsNeverHeldLongByARemoval) {
  const Sandbox sandbox;
  for (int i = 0; i < 10; ++i) sandbox.add_netns("r" + std::to_string(i));
  sandbox.ip("link add fv0 type veth peer name fv1");
  const AgentProcess agent(sandbox);
  agent.apply(fleet(), "120s");
  ASSERT_EQ(sandbox.links().size(), std::size_t{kBridges + kCables + 2});

  Bystander bystander("fv0");
  const auto began = Clock::now();
  const Finished removed = agent.cli({"delete", "set", "fleet", "--wait=120s"}, {.limit = 150s});
  const auto took = std::chrono::duration_cast<Milliseconds>(Clock::now() - began);
  bystander.stop();
  EXPECT_TRUE(removed.ok()) << removed.text();
  EXPECT_EQ(sandbox.links(), (std::vector<std::string>{"fv0", "fv1"}));
  std::cout << "  removed " << kBridges << " bridges and " << kCables << " veths in " << took.count()
            << " ms; of " << bystander.changes() << " changes of somebody else the longest took "
            << bystander.longest().count() << " ms\n";
  EXPECT_EQ(bystander.failures(), 0);
  EXPECT_GT(bystander.changes(), 10);
  EXPECT_LE(bystander.longest(), 500ms);
}

}  // namespace
}  // namespace lanwright::test
