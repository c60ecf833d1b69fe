// Many containers that come and go at once, as a lab starts them: all are on their LANs, and nothing stays
// behind.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "tests/docker/host.h"
#include "tests/integration/traffic.h"

namespace lanwright::test {
namespace {

constexpr int kContainers = 50;
// How many there are; emulated processors, which have ipvlan where the machine's kernel lacks it, take
// minutes for ten.
int containers() {
  const char* said = std::getenv("LANWRIGHT_TEST_CONTAINERS");
  return said != nullptr ? std::stoi(said) : kContainers;
}
constexpr int kAtOnce = 10;       // clients; Docker itself starts them in parallel
constexpr auto kPatience = 5min;  // emulated processors take theirs

class ManyContainers : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string lacking = is_ipvlan() ? lacking_kind(host_.sandbox()) : std::string();
    if (!lacking.empty()) GTEST_SKIP() << "this kernel has no links of kind " << lacking;
  }
  static bool is_ipvlan() { return GetParam() == std::string("ipvlan"); }
  static std::string name(int number) { return "c" + std::to_string(number); }

  // `docker ARGUMENTS` for each container, several at once.
  void for_each_at_once(const std::function<Words(int)>& arguments) {
    std::mutex mutex;
    int next = 0;
    std::string failures;
    const auto work = [&] {
      while (true) {
        std::unique_lock lock(mutex);
        if (next == containers()) return;
        const int number = next++;
        lock.unlock();
        const Finished result = host_.docker().docker(arguments(number), {.limit = kPatience});
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

// c1 and c2, on "one" and on "two" each.
class OnTwoNetworksEach : public ManyContainers {
 protected:
  void make() {
    add_parent("p0");
    add_parent("p1");
    host_.create(GetParam(), "one", {"--subnet", "10.5.0.0/24", "--gateway", "10.5.0.1", "-o", "parent=p0"});
    host_.create(GetParam(), "two", {"--subnet", "10.6.0.0/24", "--gateway", "10.6.0.1", "-o", "parent=p1"});
    for (const std::string container : {"c1", "c2"}) {
      host_.docker().ask(
          {"create", "--stop-signal", "KILL", "--name", container, "--network", "one", "busybox"});
      host_.docker().ask({"network", "connect", "two", container});  // it does not run yet
    }
    start();
  }
  void add_parent(const std::string& link) {
    host_.add_parent(link, "beyond-" + link, {link == "p0" ? "10.5.0.1/24" : "10.6.0.1/24"});
  }
  void start() { host_.docker().ask({"start", "c1", "c2"}); }

  void expect_all_reach() const {
    for (const std::string container : {"c1", "c2"}) {
      EXPECT_EQ(host_.interfaces(container), (Words{"eth0", "eth1"}));
      EXPECT_EQ(host_.default_route(container), "10.5.0.1");
      for (const char* gateway : {"10.5.0.1", "10.6.0.1"})
        EXPECT_TRUE(wait_until([&] { return ping(host_.netns(container), gateway); })) << container;
    }
    for (const char* network : {"one", "two"}) EXPECT_TRUE(host_.reach_each_other("c1", "c2", network));
    if (tests_dockers_own()) return;
    EXPECT_TRUE(wait_until([&] { return host_.objects("attachments").size() == 4; }));
  }
  void expect_ready() const {
    for (const std::string container : {"c1", "c2"}) {
      for (const std::string network : {"one", "two"})
        EXPECT_TRUE(wait_until([&] { return host_.phase_of_attachment(container, network) == "Ready"; }));
      EXPECT_TRUE(wait_until([&] { return tests_dockers_own() || host_.leads_out(container, "one"); }));
    }
  }
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
  for (int i = 0; i < containers(); ++i) {
    EXPECT_EQ(host_.interfaces(name(i)), Words{"eth0"}) << name(i);
    addresses.insert(host_.address(name(i), "lan"));
    macs.insert(host_.mac(name(i)));
    ASSERT_TRUE(ping(host_.netns(name(i)), "10.5.0.1")) << name(i);
  }
  EXPECT_EQ(std::ssize(addresses), containers());
  EXPECT_EQ(std::ssize(macs), is_ipvlan() ? 1 : containers());
  EXPECT_TRUE(host_.reach_each_other(name(0), name(containers() - 1), "lan"));
  if (!tests_dockers_own()) {
    EXPECT_EQ(std::ssize(host_.objects("attachments")), containers());
  }

  for_each_at_once([](int number) { return Words{"rm", "-f", name(number)}; });
  EXPECT_EQ(host_.docker().ask({"ps", "-aq"}), "");
  host_.remove_networks({"lan"});
  EXPECT_TRUE(host_.is_as_before(before));
  EXPECT_TRUE(host_.objects("attachments").empty());
}

TEST_P(OnTwoNetworksEach, ReachEachOtherWhoeverIsKilled) {
  make();
  expect_all_reach();
  host_.docker().ask({"restart", "c1"});
  expect_all_reach();
  host_.restart_killed_agent();
  expect_all_reach();
  host_.docker().kill();
  host_.docker().start();
  start();
  expect_all_reach();
  host_.docker().kill();
  host_.restart_killed_agent();
  host_.docker().start();
  start();
  expect_all_reach();
}

TEST_P(OnTwoNetworksEach, HaveAllBackWithTheirParents) {
  if (tests_dockers_own()) GTEST_SKIP() << "Docker's own repairs nothing";
  make();
  expect_ready();
  for (const char* link : {"p0", "p1"}) host_.sandbox().ip(std::string("link del ") + link);
  for (const char* link : {"p1", "p0"}) add_parent(link);
  expect_ready();
  expect_all_reach();
}

TEST_P(OnTwoNetworksEach, LeaveNothing) {
  for (const char* link : {"p0", "p1"}) add_parent(link);
  const Json before = host_.inventory();
  for (const char* link : {"p0", "p1"}) host_.sandbox().ip(std::string("link del ") + link);
  make();
  host_.docker().ask({"network", "disconnect", "one", "c2"});
  EXPECT_TRUE(host_.reach_each_other("c1", "c2", "two"));
  host_.remove({"c1", "c2"});
  host_.remove_networks({"one", "two"});
  EXPECT_TRUE(host_.is_as_before(before));
}

std::string name_of(const testing::TestParamInfo<const char*>& driver) {
  return driver.param;
}

INSTANTIATE_TEST_SUITE_P(Docker, ManyContainers, testing::Values("bridge", "macvlan", "vde", "ipvlan"),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Docker, OnTwoNetworksEach, testing::Values("bridge", "macvlan", "vde", "ipvlan"),
                         name_of);

}  // namespace
}  // namespace lanwright::test
