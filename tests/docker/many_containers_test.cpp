// Many containers that come and go at once, as a lab starts them: all are on their LANs, and nothing stays
// behind.
#include <gtest/gtest.h>

#include <functional>
#include <mutex>
#include <thread>

#include "tests/docker/host.h"
#include "tests/integration/traffic.h"

namespace lanwright::test {
namespace {

constexpr int kContainers = 50;
constexpr int kAtOnce = 10;  // clients; Docker itself starts them in parallel

class ManyContainers : public testing::TestWithParam<const char*> {
 protected:
  static std::string name(int number) { return "c" + std::to_string(number); }

  // `docker ARGUMENTS` for each container, several at once.
  void for_each_at_once(const std::function<Words(int)>& arguments) {
    std::mutex mutex;
    int next = 0;
    std::string failures;
    const auto work = [&] {
      while (true) {
        std::unique_lock lock(mutex);
        if (next == kContainers) return;
        const int number = next++;
        lock.unlock();
        const Finished result = host_.docker().docker(arguments(number));
        lock.lock();
        if (!result.ok()) failures += name(number) + ": " + result.text() + "\n";
      }
    };
    std::vector<std::jthread> clients;
    for (int i = 0; i < kAtOnce; ++i) clients.emplace_back(work);
    clients.clear();
    EXPECT_EQ(failures, "");
  }

  DockerHost host_;
};

TEST_P(ManyContainers, StartAndStopAtOnceOnOneNetwork) {
  host_.add_parent("p0", "router", {"10.5.0.1/24"});
  const Json before = host_.inventory();
  host_.create(GetParam(), "lan", {"--subnet", "10.5.0.0/24", "--gateway", "10.5.0.1", "-o", "parent=p0"});
  for_each_at_once([](int number) {
    return Words{"run", "-d", "--stop-signal", "KILL", "--name", name(number), "--network", "lan", "busybox"};
  });
  std::set<std::string> addresses;
  std::set<std::string> macs;
  for (int i = 0; i < kContainers; ++i) {
    EXPECT_EQ(host_.interfaces(name(i)), Words{"eth0"}) << name(i);
    addresses.insert(host_.address(name(i), "lan"));
    macs.insert(host_.mac(name(i)));
    ASSERT_TRUE(ping(host_.netns(name(i)), "10.5.0.1")) << name(i);
  }
  EXPECT_EQ(addresses.size(), std::size_t{kContainers});
  EXPECT_EQ(macs.size(), std::size_t{kContainers});
  EXPECT_TRUE(host_.reach_each_other(name(0), name(kContainers - 1), "lan"));
  if (!tests_dockers_own()) {
    EXPECT_EQ(host_.objects("attachments").size(), std::size_t{kContainers});
  }

  for_each_at_once([](int number) { return Words{"rm", "-f", name(number)}; });
  EXPECT_EQ(host_.docker().ask({"ps", "-aq"}), "");
  host_.remove_networks({"lan"});
  EXPECT_TRUE(host_.is_as_before(before));
  EXPECT_TRUE(host_.objects("attachments").empty());
}

TEST_P(ManyContainers, OfTwoAreOnTwoNetworksEach) {
  host_.add_parent("p0", "router0", {"10.5.0.1/24"});
  host_.add_parent("p1", "router1", {"10.6.0.1/24"});
  const Json before = host_.inventory();
  host_.create(GetParam(), "one", {"--subnet", "10.5.0.0/24", "--gateway", "10.5.0.1", "-o", "parent=p0"});
  host_.create(GetParam(), "two", {"--subnet", "10.6.0.0/24", "--gateway", "10.6.0.1", "-o", "parent=p1"});
  for (const std::string container : {"c1", "c2"}) {
    host_.docker().ask(
        {"create", "--stop-signal", "KILL", "--name", container, "--network", "one", "busybox"});
    host_.docker().ask({"network", "connect", "two", container});  // it does not run yet
    host_.docker().ask({"start", container});
    EXPECT_EQ(host_.interfaces(container), (Words{"eth0", "eth1"}));
    EXPECT_TRUE(ping(host_.netns(container), "10.5.0.1"));
    EXPECT_TRUE(ping(host_.netns(container), "10.6.0.1"));
  }
  EXPECT_TRUE(host_.reach_each_other("c1", "c2", "one"));
  EXPECT_TRUE(host_.reach_each_other("c1", "c2", "two"));
  host_.docker().ask({"restart", "c1"});
  EXPECT_TRUE(host_.reach_each_other("c1", "c2", "one"));
  EXPECT_TRUE(host_.reach_each_other("c1", "c2", "two"));
  host_.docker().ask({"network", "disconnect", "one", "c2"});
  EXPECT_TRUE(host_.reach_each_other("c1", "c2", "two"));
  host_.remove({"c1", "c2"});
  host_.remove_networks({"one", "two"});
  EXPECT_TRUE(host_.is_as_before(before));
}

INSTANTIATE_TEST_SUITE_P(Docker, ManyContainers, testing::Values("bridge", "macvlan", "vde"),
                         [](const auto& driver_name) { return std::string(driver_name.param); });

}  // namespace
}  // namespace lanwright::test
