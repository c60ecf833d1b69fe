// What Docker is given is stored before it is answered, is there after a restart, and nothing happens behind
// the back of somebody who was told that it did not.
#include "agent/docker/docker_agent.h"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <future>
#include <set>
#include <thread>

#include "agent/reconcile/on_loop.h"
#include "agent/service/core.h"
#include "tests/support/memory_firewall.h"
#include "tests/support/memory_kernel.h"
#include "tests/support/memory_ovs.h"
#include "tests/support/memory_switches.h"
#include "tests/unit/state/fixture.h"

namespace lanwright {
namespace {

using namespace std::chrono_literals;

Deadline soon() {
  return std::chrono::steady_clock::now() + 20s;
}
IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}

// An io_context with a thread of its own that can be held up.
class Loop {
 public:
  Loop() : work_(io.get_executor()), thread_([this] { io.run(); }) {}
  ~Loop() {
    io.stop();
    thread_.join();
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Until the promise is kept.
  void hold(std::promise<void>& until) {
    boost::asio::post(io, [&] { until.get_future().wait(); });
  }
  void finish() {
    std::promise<void> done;
    boost::asio::post(io, [&] { done.set_value(); });
    done.get_future().wait();
  }

  boost::asio::io_context io{1};

 private:
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
};

TEST(OnLoop, AnswersWhatTheWorkAnswers) {
  Loop loop;
  const auto thread = reconcile::on_loop<std::thread::id>(
      loop.io, soon(), "look", []() -> Result<std::thread::id> { return std::this_thread::get_id(); });
  ASSERT_TRUE(thread);
  EXPECT_NE(*thread, std::this_thread::get_id());
  const auto failed = reconcile::on_loop<void>(loop.io, soon(), "look", []() -> Result<void> {
    return Error{ErrorKind::busy, "look", "", 0, "", ""};
  });
  EXPECT_EQ(failed.error().kind, ErrorKind::busy);
}

TEST(OnLoop, WhatTheDeadlineOvertakesHappensOrNeverDoes) {
  for (const reconcile::OnTimeout overtaken :
       {reconcile::OnTimeout::may_run, reconcile::OnTimeout::never_runs}) {
    Loop loop;
    std::promise<void> until;
    loop.hold(until);
    bool happened = false;
    const auto result = reconcile::on_loop<void>(
        loop.io, std::chrono::steady_clock::now() + 1ms, "work",
        [&happened]() -> Result<void> {
          happened = true;
          return {};
        },
        overtaken);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::timeout);
    until.set_value();
    loop.finish();
    EXPECT_EQ(happened, overtaken == reconcile::OnTimeout::may_run);
    EXPECT_EQ(result.error().hint.find("nothing was done") == 0,
              overtaken == reconcile::OnTimeout::never_runs);
  }
}

TEST(OnLoop, WhatHasBegunIsWaitedFor) {
  Loop loop;
  const Deadline deadline = std::chrono::steady_clock::now() + 1s;
  const auto result = reconcile::on_loop<int>(
      loop.io, deadline, "work",
      [&]() -> Result<int> {
        std::this_thread::sleep_until(deadline + 50ms);  // the caller is to give up meanwhile
        return 7;
      },
      reconcile::OnTimeout::never_runs);
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(*result, 7);
}

class AgentDocker : public testing::Test {
 protected:
  AgentDocker() { open(); }
  void TearDown() override { close(); }

  void open() {
    loop.emplace();
    auto kernel = std::make_unique<test::MemoryKernel>();
    auto open_vswitch = std::make_unique<test::MemoryOvs>(*kernel);
    core = std::make_unique<service::Core>(loop->io, must_open(directory.path()).store, std::move(kernel),
                                           std::make_unique<test::MemorySwitches>(), std::move(open_vswitch),
                                           service::AgentService::Options{});
    docker = must(docker_agent::DockerAgent::open(loop->io, core->reconciler(), core->store(), forwards));
  }
  void close() {
    loop->finish();  // nothing of it is under way then
    docker.reset();
    core.reset();
    loop.reset();
  }
  std::string pool(const std::string& cidr = "10.0.0.0/24", const std::string& range = "") const {
    return must(docker->request_pool({kLocalAddressSpace, cidr, range, false}, soon())).id;
  }
  std::string address(const std::string& of, const std::string& wanted = "",
                      AddressUse use = AddressUse::interface) const {
    const auto given =
        docker->request_address(of, wanted.empty() ? std::nullopt : IpAddress::parse(wanted), use, soon());
    return given ? given->text() : name_of(given.error().kind);
  }

  Directory directory;
  std::optional<Loop> loop;
  test::MemoryFirewall forwards;
  std::unique_ptr<service::Core> core;
  std::unique_ptr<docker_agent::DockerAgent> docker;
};

TEST_F(AgentDocker, ContinuesWhereItWasAfterARestart) {
  const std::string plain = pool();
  const std::string ranged = pool("10.1.0.0/24", "10.1.0.64/26");
  EXPECT_EQ(address(plain, "", AddressUse::gateway), "10.0.0.1/24");
  EXPECT_EQ(address(plain), "10.0.0.2/24");
  EXPECT_EQ(address(plain), "10.0.0.3/24");
  EXPECT_EQ(address(ranged), "10.1.0.64/24");
  must(docker->release_address(plain, ip("10.0.0.3"), soon()));
  close();
  open();
  EXPECT_EQ(address(plain), "10.0.0.4/24") << "what was released is still given last";
  EXPECT_EQ(address(plain, "10.0.0.2"), "conflict");
  EXPECT_EQ(address(plain, "10.0.0.3"), "10.0.0.3/24");
  EXPECT_EQ(address(ranged), "10.1.0.65/24");
  EXPECT_EQ(docker->request_pool({kLocalAddressSpace, "10.0.0.0/16", "", false}, soon()).error().kind,
            ErrorKind::conflict);
}

TEST_F(AgentDocker, ReleasingIsDurableAndMayBeRepeated) {
  const std::string plain = pool();
  EXPECT_EQ(address(plain), "10.0.0.1/24");
  for (int i = 0; i < 2; ++i) {
    must(docker->release_address(plain, ip("10.0.0.1"), soon()));
    must(docker->release_address(plain, ip("10.9.9.9"), soon()));
    must(docker->release_address("nowhere", ip("10.0.0.1"), soon()));
  }
  close();
  open();
  EXPECT_EQ(address(plain, "10.0.0.1"), "10.0.0.1/24");
  for (int i = 0; i < 2; ++i) must(docker->release_pool(plain, soon()));
  EXPECT_EQ(address(plain), "not_found");
  close();
  open();
  EXPECT_EQ(address(plain), "not_found");
  EXPECT_EQ(address(pool()), "10.0.0.1/24");
}

TEST_F(AgentDocker, WhatCannotBeStoredIsNotGiven) {
  const std::string plain = pool();
  Shell shell(directory.database());
  shell.run("DROP TABLE pool_addresses");
  EXPECT_EQ(address(plain), "internal");
  EXPECT_EQ(address(plain), "internal");
  shell.run("DROP TABLE address_pools");
  EXPECT_FALSE(docker->request_pool({kLocalAddressSpace, "10.5.0.0/24", "", false}, soon()));
  const auto again = docker->request_pool({kLocalAddressSpace, "10.5.0.0/24", "", false}, soon());
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().kind, ErrorKind::conflict) << "it was not remembered either";
  EXPECT_FALSE(docker->release_pool(plain, soon()));
  EXPECT_FALSE(docker->release_pool(plain, soon())) << "it is still there";
}

TEST_F(AgentDocker, ACallThatTimesOutGivesNothingAway) {
  const std::string plain = pool();
  std::promise<void> until;
  loop->hold(until);
  const auto late =
      docker->request_address(plain, {}, AddressUse::interface, std::chrono::steady_clock::now() + 1ms);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::timeout);
  until.set_value();
  EXPECT_EQ(address(plain), "10.0.0.1/24");
}

TEST_F(AgentDocker, DefaultIpv6PoolsAreLocalToThisMachine) {
  const auto first = must(docker->request_pool({kLocalAddressSpace, "", "", true}, soon()));
  EXPECT_EQ(first.cidr.address.bytes[0], 0xfd);
  EXPECT_EQ(first.cidr.length, 64U);
  close();
  open();
  const auto second = must(docker->request_pool({kLocalAddressSpace, "", "", true}, soon()));
  IpPrefix site = first.cidr;
  site.length = 48;
  EXPECT_TRUE(site.contains(second.cidr.address)) << "the same over a restart";
  EXPECT_NE(first.cidr, second.cidr);
}

TEST(DockerSockets, AreOneForEachDriverAndTheAliases) {
  const auto sockets = docker_agent::docker_sockets({"ovs=bridge", "dovesnap=vde"});
  ASSERT_TRUE(sockets);
  EXPECT_EQ(*sockets, (std::map<std::string, std::string>{{"lanwright", ""},
                                                          {"lanwright-bridge", "bridge"},
                                                          {"lanwright-ipvlan", "ipvlan"},
                                                          {"lanwright-macvlan", "macvlan"},
                                                          {"lanwright-ovs", "ovs"},
                                                          {"lanwright-vde", "vde"},
                                                          {"ovs", "bridge"},
                                                          {"dovesnap", "vde"}}));
}

TEST(DockerSockets, WrongAliasesAreTold) {
  for (const auto& [alias, words] :
       std::map<std::string, std::string>{{"ovs", "it is not NAME=DRIVER"},
                                          {"=bridge", "`` is no name for a plugin"},
                                          {"../x=bridge", "`../x` is no name for a plugin"},
                                          {"ovs=openvswitch", "drivers are: bridge, vde, macvlan, ipvlan"},
                                          {"ovs=", "there is no driver ``"},
                                          {"lanwright-vde=bridge", "`lanwright-vde` is there already"}}) {
    const auto refused = docker_agent::docker_sockets({alias});
    ASSERT_FALSE(refused) << alias;
    EXPECT_EQ(refused.error().kind, ErrorKind::invalid);
    EXPECT_NE(refused.error().text().find("use --docker-alias " + alias), std::string::npos);
    EXPECT_NE(refused.error().text().find(words), std::string::npos) << refused.error().text();
  }
}

}  // namespace
}  // namespace lanwright
