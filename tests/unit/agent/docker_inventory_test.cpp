// What Docker's answers mean, and how it is asked: over a Unix socket with something that answers as Docker
// does.
#include "agent/docker/inventory.h"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <future>
#include <optional>

#include "tests/unit/agent/cli_fake.h"

namespace lanwright {
namespace {

using namespace std::chrono_literals;
using Networks = std::map<std::string, std::vector<IpPrefix>>;
using Endpoints = docker_agent::DockerInventory::Endpoints;

IpPrefix prefix(const std::string& text) {
  return IpPrefix::parse(text).value();
}
IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}

docker_agent::AskedEndpoint endpoint(const std::string& network, const std::string& id) {
  return {network, id, {Kind::attachment, id}, 1};
}

std::vector<std::string> forgotten_of(const docker_agent::AuditResult& verdict) {
  std::vector<std::string> ids;
  for (const docker_agent::AskedEndpoint& each : verdict.forgotten) ids.push_back(each.endpoint);
  return ids;
}

TEST(AuditResult, OrphansAreThoseThatDockerDoesNotList) {
  docker_agent::AuditQuery question;
  question.networks = {{"a", false}, {"b", false}, {"c", false}};
  const docker_agent::AuditResult verdict = compare(question, {{{"b", {}}, {"none", {}}, {"host", {}}}, {}});
  EXPECT_EQ(verdict.orphaned, (std::vector<std::string>{"a", "c"}));
  EXPECT_EQ(verdict.known, std::vector<std::string>{"b"});
  EXPECT_FALSE(verdict.undecided);
}

TEST(AuditResult, WhatIsYoungMayBeOnItsWayToDockersList) {
  docker_agent::AuditQuery question;
  question.networks = {{"a", true}, {"b", true}};
  const docker_agent::DockerInventory answer{{{"b", {}}}, {}};
  const docker_agent::AuditResult verdict = compare(question, answer);
  EXPECT_TRUE(verdict.orphaned.empty());
  EXPECT_EQ(verdict.known, std::vector<std::string>{"b"}) << "it is there, young or not";
  EXPECT_TRUE(verdict.undecided);
  question.networks = {{"b", true}};
  EXPECT_FALSE(compare(question, answer).undecided);
  question.too_young = true;
  EXPECT_TRUE(compare(question, answer).undecided);
}

TEST(AuditResult, EndpointsAreForgottenOnlyOnNetworksThatDockerKnows) {
  docker_agent::AuditQuery question;
  question.networks = {{"a", false}, {"b", false}};
  question.endpoints = {endpoint("a", "a1"), endpoint("a", "a2"), endpoint("b", "b1")};
  docker_agent::DockerInventory answer{{{"a", {}}}, {{"a", {{"a2", {}}}}}};
  EXPECT_EQ(forgotten_of(compare(question, answer)), std::vector<std::string>{"a1"});
  answer.endpoints.clear();  // it was gone between the two requests
  EXPECT_TRUE(compare(question, answer).forgotten.empty());
}

TEST(AuditResult, APoolIsFreeThatNoNetworkHas) {
  docker_agent::AuditQuery question;
  question.pools = {{"a", prefix("10.0.0.0/24"), {}, {}}, {"b", prefix("10.0.1.0/24"), {}, {}}};
  const docker_agent::AuditResult verdict =
      compare(question, {{{"1", {prefix("10.0.1.0/24")}}, {"2", {}}}, {}});
  EXPECT_EQ(verdict.free_pools, std::vector<std::string>{"a"});
  EXPECT_TRUE(verdict.free_addresses.empty());
}

TEST(AuditResult, ADefaultPoolMayBeListedAsItWasAskedFor) {
  docker_agent::AuditQuery question;
  question.pools = {{"a", prefix("10.0.0.0/24"), {}, {}}, {"b", prefix("fd00::/64"), {}, {}}};
  docker_agent::DockerInventory answer{{{"1", {prefix("0.0.0.0/24")}}, {"2", {prefix("::/0")}}},
                                       {}};  // 2 is the null IPAM's
  EXPECT_EQ(compare(question, answer).free_pools, std::vector<std::string>{"b"});
  question.networks = {{"1", false}};  // whose pool is known
  EXPECT_EQ(compare(question, answer).free_pools.size(), 2U);
}

TEST(AuditResult, AnAddressIsFreeThatNoEndpointHas) {
  docker_agent::AuditQuery question;
  question.pools = {
      {"p", prefix("10.0.0.0/24"), {"1", "2"}, {ip("10.0.0.2"), ip("10.0.0.3"), ip("10.0.0.4")}}};
  docker_agent::DockerInventory answer{
      {{"1", {}}, {"2", {}}},
      {{"1", {{"e1", {ip("10.0.0.2"), ip("fd00::2")}}}}, {"2", {{"e2", {ip("10.0.0.4")}}}}}};
  using Free = std::vector<std::pair<std::string, IpAddress>>;
  EXPECT_EQ(compare(question, answer).free_addresses, (Free{{"p", ip("10.0.0.3")}}));
  EXPECT_TRUE(compare(question, answer).free_pools.empty());
  // Of another driver, which may have another range of the same subnet.
  answer.networks["3"] = {prefix("10.0.0.0/24")};
  EXPECT_TRUE(compare(question, answer).free_addresses.empty());
  answer.networks.erase("3");
  answer.endpoints.erase("2");  // it does not know the network, or told nothing of it
  EXPECT_TRUE(compare(question, answer).free_addresses.empty());
}

TEST(DockerAnswers, AreReadAsTheyAreDocumented) {
  const auto networks = docker_agent::listed_networks(
      R"([{"Name":"none","Id":"1","Containers":{},"IPAM":{"Driver":"default","Options":null,"Config":[]}},
          {"Name":"lab","Id":"2","IPAM":{"Config":[{"Subnet":"10.0.0.0/24","Gateway":"10.0.0.1"},
                                                   {"Subnet":"fd00::/64"}, {}]}},
          {"Name":"null","Id":"3","IPAM":{"Driver":"null","Config":null}}])");
  ASSERT_TRUE(networks);
  EXPECT_EQ(*networks, (Networks{{"1", {}}, {"2", {prefix("10.0.0.0/24"), prefix("fd00::/64")}}, {"3", {}}}));
  const auto endpoints = docker_agent::listed_endpoints(
      R"({"Id":"2","Containers":{
          "c":{"Name":"c1","EndpointID":"e1","IPv4Address":"10.0.0.2/24","IPv6Address":"fd00::2/64"},
          "ep-e2":{"EndpointID":"e2","IPv4Address":"","IPv6Address":""}}})");
  ASSERT_TRUE(endpoints);
  EXPECT_EQ(*endpoints, (Endpoints{{"e1", {ip("10.0.0.2"), ip("fd00::2")}}, {"e2", {}}}));
  const auto none = docker_agent::listed_endpoints(R"({"Id":"2","Containers":{}})");
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());
}

TEST(DockerAnswers, ThatAreNotSoTellNothing) {
  for (const char* body :
       {"", "[", "{}", "null", "[]", R"([{"Name":"lab"}])", R"([{"Id":7}])", "[1]",
        R"([{"Id":"1"},{"Id":""}])", R"([{"Id":"1","IPAM":{"Config":[{"Subnet":"10.0.0"}]}}])"})
    EXPECT_FALSE(docker_agent::listed_networks(body)) << body;
  for (const char* body : {"", "[]", "{}", R"({"Containers":[]})", R"({"Containers":null})",
                           R"({"Containers":{"c":{}}})", R"({"Containers":{"c":{"EndpointID":1}}})",
                           R"({"Containers":{"c":{"EndpointID":"e","IPv4Address":"10.0.0.2"}}})"})
    EXPECT_FALSE(docker_agent::listed_endpoints(body)) << body;
}

// ---- asking

class Registry : public testing::Test {
 protected:
  // Turns the loop until the answer is there.
  Result<docker_agent::DockerInventory> ask(docker_agent::DockerInventoryClient& registry,
                                            const docker_agent::AuditQuery& question) {
    std::optional<Result<docker_agent::DockerInventory>> told;
    registry.ask(question, [&](Result<docker_agent::DockerInventory> answer) { told = std::move(answer); });
    EXPECT_TRUE(registry.asking());
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (!told && std::chrono::steady_clock::now() < end) io_.run_one_for(20s);
    EXPECT_FALSE(registry.asking());
    return std::move(told).value();
  }

  TemporaryDirectory directory_;
  std::string socket_ = directory_.file("docker.sock");
  boost::asio::io_context io_{1};
  const boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
};

TEST_F(Registry, AsksForTheListAndForNetworksWithEndpointsInQuestion) {
  FakeAgent docker(socket_);
  docker.on_get("/networks", R"([{"Id":"a"},{"Id":"b"},{"Id":"d"}])");
  docker.on_get("/networks/a", R"({"Id":"a","Containers":{"c":{"EndpointID":"a2"}}})");
  docker.on_get("/networks/b", R"({"Id":"b","Containers":{}})");
  docker.on_get("/networks/d", R"({"message":"network d not found"})", 404);
  docker_agent::DockerInventoryClient registry(io_, socket_);
  docker_agent::AuditQuery question;
  question.endpoints = {endpoint("a", "a1"), endpoint("a", "a2"), endpoint("c", "c1"), endpoint("d", "d1")};
  question.pools = {{"p", prefix("10.0.0.0/24"), {"b"}, {ip("10.0.0.2")}}};
  for (int round = 0; round < 2; ++round) {
    const auto answer = ask(registry, question);
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_EQ(answer->networks, (Networks{{"a", {}}, {"b", {}}, {"d", {}}}));
    EXPECT_EQ(answer->endpoints, (std::map<std::string, Endpoints>{{"a", {{"a2", {}}}}, {"b", {}}}));
  }
  std::vector<std::string> lines;
  for (const SeenRequest& seen : docker.seen()) lines.push_back(seen.line);
  const std::vector<std::string> once{"GET /networks", "GET /networks/a", "GET /networks/b",
                                      "GET /networks/d"};
  ASSERT_EQ(lines.size(), 2 * once.size());
  EXPECT_EQ(std::vector(lines.begin(), lines.begin() + 4), once);
}

TEST_F(Registry, AnythingElseTellsNothing) {
  docker_agent::DockerInventoryClient registry(io_, socket_);
  EXPECT_EQ(ask(registry, {}).error().kind, ErrorKind::busy) << "nobody there";
  FakeAgent docker(socket_);
  docker.on_get("/networks", R"({"message":"starting"})", 500);
  const auto failed = ask(registry, {});
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().text().find("500"), std::string::npos) << failed.error().text();
  docker_agent::DockerInventoryClient overlong(io_, "/" + std::string(200, 'x'));
  EXPECT_FALSE(ask(overlong, {}));
}

TEST_F(Registry, AFailureBehindTheListTellsNothingEither) {
  FakeAgent docker(socket_);
  docker.on_get("/networks", R"([{"Id":"a"}])");
  docker.on_get("/networks/a", R"({"message":"no"})", 500);
  docker_agent::DockerInventoryClient registry(io_, socket_);
  docker_agent::AuditQuery question;
  question.endpoints = {endpoint("a", "a1")};
  EXPECT_FALSE(ask(registry, question));
}

TEST_F(Registry, EndsAtOnceWhileDockerIsSilent) {
  std::promise<void> asked;
  std::promise<void> release;
  auto released = release.get_future().share();
  FakeAgent docker(socket_);
  docker.on_get("/networks", [&](const httplib::Request&, httplib::Response&) {
    asked.set_value();
    released.wait();
  });
  std::optional<docker_agent::DockerInventoryClient> registry(std::in_place, io_, socket_);
  bool told = false;
  registry->ask({}, [&](const Result<docker_agent::DockerInventory>&) { told = true; });
  asked.get_future().wait();
  const auto began = std::chrono::steady_clock::now();
  registry.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s) << "half of what it would wait";
  release.set_value();
  io_.poll();
  EXPECT_FALSE(told);
}

}  // namespace
}  // namespace lanwright
