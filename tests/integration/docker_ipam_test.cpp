// Docker's IPAM protocol with the real agent: bytes as dockerd sends them, answers as it reads them, and what
// was answered holds whatever happens to the agent. ctest label: tsan
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "tests/integration/harness.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

class DockerIpam : public testing::Test {
 protected:
  void start() { agent_.emplace(sandbox_); }
  void restart_after_kill() {
    agent_->kill();
    agent_.reset();
    start();
  }

  // Answers the JSON; throws when there is none.
  Json call(const std::string& name, const Json& body, const std::string& socket = "lanwright") const {
    const HttpAnswer answer = http(agent_->docker_socket(socket), "POST", "/" + name,
                                   body.is_null() ? "" : body.dump(), {"Accept: application/json"});
    if (answer.status != 200) throw HarnessError(name + ": " + std::to_string(answer.status) + answer.body);
    Json json = Json::parse(answer.body, nullptr, false);
    if (json.is_discarded()) throw HarnessError(name + ": the answer was cut off: " + answer.body);
    return json;
  }
  std::string request_pool(const std::string& cidr, const std::string& range = "", bool v6 = false) const {
    const Json answer = call("IpamDriver.RequestPool", {{"AddressSpace", "lanwright"},
                                                        {"Pool", cidr},
                                                        {"SubPool", range},
                                                        {"Options", nullptr},
                                                        {"V6", v6}});
    return answer.value("PoolID", answer.dump());
  }
  // The address, or the whole answer.
  std::string request_address(const std::string& pool, const std::string& wanted = "") const {
    const Json answer =
        call("IpamDriver.RequestAddress", {{"PoolID", pool}, {"Address", wanted}, {"Options", nullptr}});
    return answer.value("Address", answer.dump());
  }
  void release(const std::string& pool, const std::string& address) const {
    EXPECT_EQ(call("IpamDriver.ReleaseAddress", {{"PoolID", pool}, {"Address", address}}), Json::object());
  }

  const Sandbox sandbox_;
  std::optional<AgentProcess> agent_;
};

TEST_F(DockerIpam, EveryNameIsASocketAndNoneIsOutsideOfItsDirectory) {
  start();
  for (const char* name :
       {"lanwright", "lanwright-bridge", "lanwright-vde", "lanwright-macvlan", "lanwright-ipvlan"}) {
    const Json activated = call("Plugin.Activate", nullptr, name);
    EXPECT_EQ(activated.at("Implements").back(), "IpamDriver") << name;
    EXPECT_EQ(call("IpamDriver.GetCapabilities", nullptr, name).at("RequiresRequestReplay"), false);
  }
  EXPECT_FALSE(std::filesystem::exists(agent_->docker_socket("lanwright-vlan")));
  EXPECT_FALSE(std::filesystem::exists("/run/docker"));
  EXPECT_EQ(agent_->stop(), 0);
  EXPECT_TRUE(std::filesystem::is_empty(agent_->docker_socket("lanwright").parent_path()));
}

TEST_F(DockerIpam, ANetworkIsMadeUsedAndRemovedAsDockerDoesIt) {
  start();
  const std::string pool = request_pool("10.30.0.0/24", "10.30.0.128/25");
  const Json gateway = call("IpamDriver.RequestAddress",
                            {{"PoolID", pool},
                             {"Address", "10.30.0.1"},
                             {"Options", {{"RequestAddressType", "com.docker.network.gateway"}}}});
  EXPECT_EQ(gateway.at("Address"), "10.30.0.1/24");
  EXPECT_EQ(request_address(pool, "10.30.0.129"), "10.30.0.129/24");  // --aux-address
  EXPECT_EQ(request_address(pool), "10.30.0.128/24");
  EXPECT_EQ(request_address(pool), "10.30.0.130/24");
  EXPECT_NE(request_address(pool, "10.30.0.130").find("Address already in use"), std::string::npos);
  EXPECT_NE(request_address(pool, "10.31.0.1").find("requested address is out of range"), std::string::npos);
  EXPECT_NE(request_pool("10.30.0.0/16").find("Pool overlaps with other one on this address space"),
            std::string::npos);
  for (const char* address : {"10.30.0.1", "10.30.0.128", "10.30.0.129", "10.30.0.130"})
    release(pool, address);
  EXPECT_EQ(call("IpamDriver.ReleasePool", {{"PoolID", pool}}), Json::object());
  EXPECT_EQ(request_pool("10.30.0.0/16"), "lanwright/10.30.0.0/16");
}

TEST_F(DockerIpam, WhatWasAnsweredHoldsOverAKill) {
  start();
  const std::string pool = request_pool("10.30.0.0/26");
  const std::string local = request_pool("", "", true);
  EXPECT_EQ(request_address(local),
            local.substr(local.find('/') + 1, local.rfind("/64") - local.find('/') - 1) + "1/64");
  std::set<std::string> held;
  for (int round = 0; round < 4; ++round) {
    // A client that goes on asking while the agent is killed at some moment in between.
    std::mutex mutex;
    std::atomic<int> answered = 0;
    std::thread asks([&] {
      try {
        for (int i = 0; i < 12; ++i) {
          const std::string address = request_address(pool);
          const std::lock_guard lock(mutex);
          EXPECT_TRUE(held.insert(address).second) << address << " again";
          ++answered;
        }
      } catch (const HarnessError&) {
        // Killed meanwhile: what was not answered may be lost.
      }
    });
    EXPECT_TRUE(wait_until([&] { return answered >= 3 + round; }));
    agent_->kill();
    asks.join();
    agent_.reset();
    start();
    EXPECT_NE(request_pool("10.30.0.0/24").find("overlaps"), std::string::npos);
    for (const std::string& address : held) {
      const std::string plain = address.substr(0, address.find('/'));
      EXPECT_NE(request_address(pool, plain).find("Address already in use"), std::string::npos) << address;
    }
  }
  EXPECT_GE(held.size(), 12U);
  // What was released is gone for good as well.
  const std::string one = *held.begin();
  const std::string plain = one.substr(0, one.find('/'));
  release(pool, plain);
  restart_after_kill();
  EXPECT_EQ(request_address(pool, plain), one);
}

TEST_F(DockerIpam, EightAtOnceGetDistinctAddresses) {
  start();
  const std::string pool = request_pool("10.30.0.0/24");
  constexpr std::size_t kThreads = 8;
  constexpr std::size_t kEach = 30;
  std::mutex mutex;
  std::set<std::string> addresses;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (std::size_t n = 0; n < kEach; ++n) {
        const std::string address = request_address(pool);
        const std::lock_guard lock(mutex);
        addresses.insert(address);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(addresses.size(), kThreads * kEach);
  EXPECT_EQ(addresses.count("10.30.0.240/24"), 1U) << "none was left out";
}

TEST_F(DockerIpam, ASecondAgentDoesNotTakeTheSockets) {
  start();
  const auto directory = agent_->docker_socket("lanwright").parent_path();
  const Finished refused = run({agent_program(), "--state-dir", sandbox_.directory() / "other", "--run-dir",
                                sandbox_.directory() / "other", "--docker-socket-dir", directory});
  EXPECT_EQ(refused.status, 1);
  for (const char* words : {"another agent listens", "--docker-socket-dir ''"})
    EXPECT_NE(refused.err.find(words), std::string::npos) << refused.text();
  EXPECT_EQ(request_pool("10.30.0.0/24"), "lanwright/10.30.0.0/24");
}

TEST_F(DockerIpam, NoneAndAliasesAreOptions) {
  agent_.emplace(sandbox_, AgentOptions{.more = {"--docker-alias", "ovs=bridge", "--docker-alias", "x=vde"}});
  EXPECT_EQ(call("Plugin.Activate", nullptr, "ovs").at("Implements").back(), "IpamDriver");
  EXPECT_EQ(call("Plugin.Activate", nullptr, "x").at("Implements").back(), "IpamDriver");
  agent_->stop();
  const auto directory = agent_->docker_socket("ovs").parent_path();
  std::filesystem::remove_all(directory);
  agent_.emplace(sandbox_, AgentOptions{.name = "quiet", .docker = false});
  EXPECT_EQ(agent_->get("/healthz").status, 200);
  EXPECT_FALSE(std::filesystem::exists(agent_->docker_socket("lanwright")));
  EXPECT_FALSE(std::filesystem::exists("/run/docker"));
  const Finished wrong =
      run({agent_program(), "--state-dir", sandbox_.directory() / "other", "--run-dir",
           sandbox_.directory() / "other", "--docker-socket-dir", "", "--docker-alias", "ovs=nothing"});
  EXPECT_EQ(wrong.status, 1);
  EXPECT_NE(wrong.err.find("there is no driver `nothing`"), std::string::npos) << wrong.text();
}

}  // namespace
}  // namespace lanwright::test
