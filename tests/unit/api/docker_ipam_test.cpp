// Docker's plugin sockets, spoken to as dockerd does, over an agent in memory: what reaches the agent, what
// Docker reads, and what becomes of requests that are none.
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <map>
#include <set>

#include "tests/unit/api/docker_fixture.h"

namespace lanwright {
namespace {

using std::chrono::steady_clock;

TEST_F(ApiDocker, SaysWhatItImplements) {
  EXPECT_EQ(value("Plugin.Activate", ""), R"({"Implements":["NetworkDriver","IpamDriver"]})");
  EXPECT_EQ(value("IpamDriver.GetCapabilities", ""),
            R"({"RequiresMACAddress":false,"RequiresRequestReplay":false})");
  EXPECT_EQ(value("IpamDriver.GetDefaultAddressSpaces", ""),
            R"({"LocalDefaultAddressSpace":"lanwright","GlobalDefaultAddressSpace":"lanwright-global"})");
}

TEST_F(ApiDocker, GivesPoolsAndAddressesAndTakesThemBack) {
  EXPECT_EQ(pool(), R"({"PoolID":"lanwright/10.0.0.0/24","Pool":"10.0.0.0/24","Data":{}})");
  const std::string id = R"({"PoolID":"lanwright/10.0.0.0/24")";
  EXPECT_EQ(value("IpamDriver.RequestAddress",
                  id + R"(,"Address":"","Options":{"RequestAddressType":"com.docker.network.gateway"}})"),
            R"({"Address":"10.0.0.1/24","Data":{}})");
  EXPECT_EQ(agent.get(&MemoryDocker::last_use), AddressUse::gateway);
  EXPECT_EQ(value("IpamDriver.RequestAddress", id + R"(,"Address":"","Options":null})"),
            R"({"Address":"10.0.0.2/24","Data":{}})");
  EXPECT_EQ(agent.get(&MemoryDocker::last_use), AddressUse::interface);
  EXPECT_EQ(value("IpamDriver.RequestAddress",
                  id + R"(,"Address":"10.0.0.9","Options":{"RequestAddressType":"other"}})"),
            R"({"Address":"10.0.0.9/24","Data":{}})");
  EXPECT_EQ(agent.get(&MemoryDocker::last_use), AddressUse::interface);
  EXPECT_EQ(value("IpamDriver.ReleaseAddress", id + R"(,"Address":"10.0.0.9"})"), "{}");
  EXPECT_EQ(value("IpamDriver.ReleaseAddress", id + R"(,"Address":"10.0.0.9"})"), "{}");
  EXPECT_EQ(agent.given("lanwright/10.0.0.0/24").size(), 2U);
  EXPECT_EQ(value("IpamDriver.ReleasePool", id + "}"), "{}");
  EXPECT_EQ(value("IpamDriver.ReleasePool", id + "}"), "{}");
  EXPECT_TRUE(agent.given("lanwright/10.0.0.0/24").empty());
}

TEST_F(ApiDocker, HandsOverWhatDockerAsksFor) {
  value("IpamDriver.RequestPool",
        R"({"AddressSpace":"lanwright","Pool":"","SubPool":"","Options":{"a":"b"},"V6":true})");
  EXPECT_EQ(agent.get(&MemoryDocker::last_pool_request).space, "lanwright");
  EXPECT_EQ(agent.get(&MemoryDocker::last_pool_request).cidr, "");
  EXPECT_TRUE(agent.get(&MemoryDocker::last_pool_request).v6);
  EXPECT_GT(agent.get(&MemoryDocker::last_deadline), steady_clock::now() + options.call_limit / 2);
  EXPECT_EQ(value("IpamDriver.RequestPool",
                  R"({"AddressSpace":"lanwright","Pool":"10.0.0.0/24","SubPool":"10.0.0.128/25"})"),
            R"({"PoolID":"lanwright/10.0.0.0/24/10.0.0.128/25","Pool":"10.0.0.0/24","Data":{}})");
  EXPECT_EQ(agent.get(&MemoryDocker::last_pool_request).range, "10.0.0.128/25");
}

TEST_F(ApiDocker, TellsFailuresAsDockerReadsThem) {
  agent.set(&MemoryDocker::failure, std::optional(Error{ErrorKind::conflict, "give 10.0.0.2", "", 0,
                                                        "Address already\nin use", "try another"}));
  const std::string said = R"({"Error":"give 10.0.0.2: Address already?in use; try another"})";
  EXPECT_EQ(pool(), said) << "on one line";
  EXPECT_EQ(value("IpamDriver.RequestAddress", R"({"PoolID":"p"})"), said);
  EXPECT_EQ(value("IpamDriver.ReleaseAddress", R"({"PoolID":"p","Address":"10.0.0.1"})"), said);
  EXPECT_EQ(value("IpamDriver.ReleasePool", R"({"PoolID":"p"})"), said);
}

TEST_F(ApiDocker, ANumberThatNoTypeHoldsIsTheCallersMistake) {
  const DockerReply reply = call("IpamDriver.RequestPool", R"({"AddressSpace":1e999})");
  EXPECT_EQ(reply.status, 400);
  EXPECT_NE(reply.body.find("the body cannot be read"), std::string::npos) << reply.body;
}

TEST_F(ApiDocker, NamesTheFieldThatIsWrong) {
  const std::map<std::pair<std::string, std::string>, std::string> wrong{
      {{"RequestPool", R"({})"}, "read the field AddressSpace: it is missing"},
      {{"RequestPool", R"({"AddressSpace":null})"}, "read the field AddressSpace: it is missing"},
      {{"RequestPool", R"({"AddressSpace":7})"},
       "read the field AddressSpace: it must be a text, not number"},
      {{"RequestPool", R"({"AddressSpace":"l","Pool":[]})"},
       "read the field Pool: it must be a text, not array"},
      {{"RequestPool", R"({"AddressSpace":"l","SubPool":{}})"},
       "read the field SubPool: it must be a text, not object"},
      {{"RequestPool", R"({"AddressSpace":"l","V6":"yes"})"},
       "read the field V6: it must be true or false, not string"},
      {{"RequestPool", R"({"AddressSpace":"l","Options":"x"})"},
       "read the field Options: it must be an object of texts, not string"},
      {{"RequestAddress", R"({"Address":"10.0.0.1"})"}, "read the field PoolID: it is missing"},
      {{"RequestAddress", R"({"PoolID":"p","Address":"10.0.0.1/24"})"},
       "read the field Address: `10.0.0.1/24` is no IP address"},
      {{"RequestAddress", R"({"PoolID":"p","Address":true})"},
       "read the field Address: it must be a text, not boolean"},
      {{"RequestAddress", R"({"PoolID":"p","Options":{"a":1}})"},
       "read the field Options.a: it must be a text, not number"},
      {{"ReleasePool", R"({"PoolID":""})"}, "read the field PoolID: it is missing"},
      {{"ReleaseAddress", R"({"Address":"10.0.0.1"})"}, "read the field PoolID: it is missing"},
      {{"ReleaseAddress", R"({"PoolID":"p"})"}, "read the field Address: it is missing"},
      {{"ReleaseAddress", R"({"PoolID":"p","Address":"x"})"}, "read the field Address: `x` is no IP address"},
  };
  for (const auto& [request, words] : wrong)
    EXPECT_EQ(value("IpamDriver." + request.first, request.second), Json({{"Error", words}}).dump());
}

TEST_F(ApiDocker, WhatIsNoRequestIsRefusedWithAnErrorAsWell) {
  const auto expect = [](const DockerReply& reply, int status, const std::string& words) {
    EXPECT_EQ(reply.status, status);
    EXPECT_NE(reply.json().value("Err", "").find(words), std::string::npos) << reply.body;
  };
  // What a retry after a broken connection looks like.
  expect(call("IpamDriver.RequestPool", ""), 400, "the body is empty");
  expect(call("IpamDriver.ReleasePool", ""), 400, "the body is empty");
  expect(call("IpamDriver.RequestPool", R"({"AddressSpace": lanwright})"), 400,
         "not JSON: the mistake is at byte");
  expect(call("IpamDriver.RequestPool", R"({"AddressSpace":"lanwright"}})"), 400, "not JSON");
  expect(call("IpamDriver.RequestPool", "[1]"), 400, "not a JSON object but array");
  expect(call("IpamDriver.RequestPool", std::string(100'000, '[')), 400, "not JSON");
  expect(call("IpamDriver.RequestPool", "{\"AddressSpace\":\"\xff\"}"), 400, "not JSON");
  expect(call("IpamDriver.Nothing", "{}"), 404, "/IpamDriver.Nothing");
  expect(call("NetworkDriver.RequestPool", ""), 404, "/NetworkDriver.RequestPool");
  expect(call("IpamDriver", "{}"), 404, "/IpamDriver");
  expect(call("", "{}"), 404, "there is no call /");
  RawClient raw(socket());
  const DockerReply get = say(raw, "GET /Plugin.Activate HTTP/1.1\r\nHost: \r\n\r\n");
  expect(get, 405, "POST");
  EXPECT_NE(get.head.find("Allow: POST\r\n"), std::string::npos);
  RawClient chunked(socket());
  expect(say(chunked, "POST /Plugin.Activate HTTP/1.1\r\nHost: \r\nTransfer-Encoding: chunked\r\n\r\n"), 411,
         "Transfer-Encoding");
  RawClient large(socket());
  expect(say(large, "POST /IpamDriver.RequestPool HTTP/1.1\r\nHost: \r\nContent-Length: 9999999\r\n\r\n"),
         413, "1048576 bytes");
  EXPECT_EQ(agent.get(&MemoryDocker::last_pool_request).space, "") << "nothing of it reached the agent";
}

TEST_F(ApiDocker, ADefectIsAnAnswerToo) {
  agent.set(&MemoryDocker::throws, true);
  const DockerReply reply = call("IpamDriver.RequestPool", kPool);
  EXPECT_EQ(reply.status, 500);
  EXPECT_NE(reply.json().at("Err").get<std::string>().find("out of order"), std::string::npos);
  agent.set(&MemoryDocker::throws, false);
  EXPECT_NE(pool().find("PoolID"), std::string::npos);
}

TEST_F(ApiDocker, OneConnectionServesManyCalls) {
  pool();
  RawClient raw(socket());
  for (int i = 1; i < 50; ++i) {
    const DockerReply reply =
        say(raw, request("IpamDriver.RequestAddress", R"({"PoolID":"lanwright/10.0.0.0/24"})"));
    EXPECT_EQ(reply.json().at("Address"), "10.0.0." + std::to_string(i) + "/24");
    EXPECT_EQ(reply.head.find("Connection: close"), std::string::npos);
    EXPECT_EQ(say(raw, request("IpamDriver.RequestPool", "")).status, 400) << "which does not end it";
  }
  raw.send(request("Plugin.Activate", "") + request("IpamDriver.GetCapabilities", ""));
  EXPECT_NE(raw.read_answer().find("Implements"), std::string::npos);
  EXPECT_NE(raw.read_answer().find("RequiresMACAddress"), std::string::npos);
}

TEST_F(ApiDocker, ParallelCallsOnAllSocketsAreAllAnswered) {
  pool();
  constexpr std::size_t kThreads = 16;
  constexpr std::size_t kEach = 15;
  std::mutex mutex;
  std::set<std::string> addresses;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      RawClient raw(socket(i % 2 == 0 ? "lanwright" : "lanwright-vde"));
      for (std::size_t round = 0; round < kEach; ++round) {
        const DockerReply reply =
            say(raw, request("IpamDriver.RequestAddress", R"({"PoolID":"lanwright/10.0.0.0/24"})"));
        const std::lock_guard lock(mutex);
        addresses.insert(reply.json().value("Address", reply.body));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(addresses.size(), kThreads * kEach);
  EXPECT_EQ(agent.given("lanwright/10.0.0.0/24").size(), kThreads * kEach);
}

TEST_F(ApiDocker, OnlyRootMayConnect) {
  struct stat status {};
  ASSERT_EQ(::stat(socket().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  EXPECT_EQ(status.st_uid, ::geteuid());
  ASSERT_EQ(::stat(options.directory.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0755U);
}

TEST_F(ApiDocker, AnExistingDirectoryKeepsItsMode) {
  server.reset();
  ASSERT_EQ(::chmod(options.directory.c_str(), 0700), 0);
  start();
  struct stat status {};
  ASSERT_EQ(::stat(options.directory.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0700U);
}

TEST_F(ApiDocker, SocketsGoWithTheServer) {
  RawClient idle(socket());
  ASSERT_EQ(say(idle, request("Plugin.Activate", "")).status, 200);
  server->stop();
  server->stop();
  EXPECT_TRUE(std::filesystem::is_empty(options.directory));
  bool closed = false;
  idle.read_to_end(&closed);
  EXPECT_TRUE(closed);
}

TEST_F(ApiDocker, ASocketInUseIsNotTakenAndNoOtherIsLeftBehind) {
  docker::PluginServerOptions second = options;
  second.sockets = {{"a-first", "bridge"}, {"lanwright", ""}};
  const auto refused = docker::PluginServer::start(agent, drivers::driver_grammar(), second);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
  for (const char* words : {"lanwright.sock", "another agent listens", "--docker-socket-dir ''"})
    EXPECT_NE(refused.error().text().find(words), std::string::npos) << refused.error().text();
  EXPECT_FALSE(std::filesystem::exists(socket("a-first")));
  EXPECT_EQ(value("Plugin.Activate", ""), R"({"Implements":["NetworkDriver","IpamDriver"]})")
      << "the first one is as it was";
}

TEST_F(ApiDocker, ASocketThatNobodyListensAtIsReplaced) {
  server.reset();
  {
    const int left = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = socket().string();
    std::copy(name.begin(), name.end(), std::begin(address.sun_path));
    ASSERT_EQ(::bind(left, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ::close(left);
  }
  ASSERT_TRUE(std::filesystem::exists(socket()));
  start();
  EXPECT_EQ(value("Plugin.Activate", ""), R"({"Implements":["NetworkDriver","IpamDriver"]})");
}

TEST_F(ApiDocker, WhatCannotBeMadeIsAnErrorThatSaysWhatToDo) {
  docker::PluginServerOptions wrong = options;
  wrong.sockets = {{"a/b", ""}};
  ASSERT_FALSE(docker::PluginServer::start(agent, drivers::driver_grammar(), wrong));
  EXPECT_NE(docker::PluginServer::start(agent, drivers::driver_grammar(), wrong).error().text().find("`a/b`"),
            std::string::npos);
  wrong = options;
  std::ofstream(directory / "file").flush();
  wrong.directory = directory / "file" / "plugins";
  ASSERT_FALSE(docker::PluginServer::start(agent, drivers::driver_grammar(), wrong));
  EXPECT_NE(docker::PluginServer::start(agent, drivers::driver_grammar(), wrong)
                .error()
                .text()
                .find("--docker-socket-dir"),
            std::string::npos);
  wrong.directory = directory / std::string(120, 'x');
  ASSERT_FALSE(docker::PluginServer::start(agent, drivers::driver_grammar(), wrong));
  EXPECT_NE(
      docker::PluginServer::start(agent, drivers::driver_grammar(), wrong).error().text().find("at most"),
      std::string::npos);
}

}  // namespace
}  // namespace lanwright
