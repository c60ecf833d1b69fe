// Docker's network driver protocol, spoken as dockerd does: what reaches the agent, and what Docker reads, to
// the letter.
#include <atomic>
#include <chrono>
#include <map>

#include "tests/unit/api/docker_fixture.h"

namespace lanwright {
namespace {

constexpr const char* kNetwork = "795c43f8b52d17366ac8872046e3206edb2a2cf01a87a072795c43f8b52d1736";
constexpr const char* kEndpoint = "08b6413ee58d9fce9e101dcd4fb6c5ba0643c5b40861d299b503d723413fa6fd";
constexpr const char* kSandbox = "/var/run/docker/netns/1a2b3c4d5e6f";

IpPrefix prefix(const std::string& text) {
  return IpPrefix::parse(text).value();
}
IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}
MacAddress mac(const std::string& text) {
  return MacAddress::parse(text).value();
}

class ApiDockerNetwork : public ApiDocker {
 protected:
  std::string say(const std::string& name, const std::string& body) const {
    return value("NetworkDriver." + name, body);
  }
  // A request about the endpoint, with `more` of it.
  static std::string about(const std::string& more = "") {
    return std::string(R"({"NetworkID":")") + kNetwork + R"(","EndpointID":")" + kEndpoint + "\"" +
           (more.empty() ? "" : "," + more) + "}";
  }
  static std::string network(const std::string& more = "") {
    return std::string(R"({"NetworkID":")") + kNetwork + "\"" + (more.empty() ? "" : "," + more) + "}";
  }
  static std::string interface(const std::string& address, const std::string& address6 = "",
                               const std::string& mac_address = "") {
    return R"("Interface":{"Address":")" + address + R"(","AddressIPv6":")" + address6 +
           R"(","MacAddress":")" + mac_address + R"("},"Options":null)";
  }
  std::string create_endpoint(const std::string& more) const { return say("CreateEndpoint", about(more)); }
  std::string join() const {
    return say("Join", about(std::string(R"("SandboxKey":")") + kSandbox + R"(","Options":null)"));
  }
  const MemoryDocker::EndpointKey key{kNetwork, kEndpoint};
};

// As Docker 20.10 sends them.
constexpr const char* kEveryCall[] = {"GwAllocCheck",
                                      "CreateNetwork",
                                      "DeleteNetwork",
                                      "AllocateNetwork",
                                      "FreeNetwork",
                                      "CreateEndpoint",
                                      "DeleteEndpoint",
                                      "EndpointOperInfo",
                                      "Join",
                                      "Leave",
                                      "DiscoverNew",
                                      "DiscoverDelete",
                                      "ProgramExternalConnectivity",
                                      "RevokeExternalConnectivity"};

TEST_F(ApiDockerNetwork, SaysWhatItCan) {
  const std::string expected = R"({"Scope":"local","ConnectivityScope":"local","GwAllocChecker":true})";
  EXPECT_EQ(say("GetCapabilities", ""), expected);
  EXPECT_EQ(say("GetCapabilities", "{}"), expected);
  EXPECT_EQ(say("GwAllocCheck", R"({"Options":{"com.docker.network.generic":{"parent":"eth0"}}})"),
            R"({"SkipIPv4":true,"SkipIPv6":true})");
  EXPECT_EQ(say("GwAllocCheck", R"({"Options":"x"})"),
            R"({"Err":"read the field Options: it must be an object, not string"})");
}

TEST_F(ApiDockerNetwork, MakesNetworksAndRemovesThem) {
  EXPECT_EQ(
      say("CreateNetwork",
          network(R"("Options":{"com.docker.network.enable_ipv6":true,"com.docker.network.internal":true,
      "com.docker.network.generic":{"driver":"macvlan","parent":"eth0.50","macvlan_mode":"private"}},
      "IPv4Data":[{"AddressSpace":"L","Pool":"10.0.0.0/24","Gateway":"10.0.0.1/24","AuxAddresses":{"h":"10.0.0.9/24"}}],
      "IPv6Data":[{"AddressSpace":"L","Pool":"fd00::/64","Gateway":"fd00::1/64"}])")),
      "{}");
  DockerNetwork expected;
  expected.id = kNetwork;
  expected.internal = true;
  expected.pools = {{"L", prefix("10.0.0.0/24"), prefix("10.0.0.1/24"), {{"h", prefix("10.0.0.9/24")}}},
                    {"L", prefix("fd00::/64"), prefix("fd00::1/64"), {}}};
  expected.spec.driver = "macvlan";
  expected.spec.parent = "eth0.50";
  expected.spec.internal = true;
  expected.spec.settings = {{"mode", "private"}};
  expected.spec.subnets = {{prefix("10.0.0.0/24"), ip("10.0.0.1"), {}, {{"h", ip("10.0.0.9")}}},
                           {prefix("fd00::/64"), ip("fd00::1"), {}, {}}};
  ASSERT_TRUE(agent.get(&MemoryDocker::networks).contains(kNetwork));
  EXPECT_TRUE(agent.get(&MemoryDocker::networks)[kNetwork] == expected)
      << to_json(agent.get(&MemoryDocker::networks)[kNetwork].spec);
  EXPECT_GT(agent.get(&MemoryDocker::last_deadline),
            std::chrono::steady_clock::now() + options.call_limit / 2);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(say("DeleteNetwork", network()), "{}");
  EXPECT_TRUE(agent.get(&MemoryDocker::networks).empty());
}

TEST_F(ApiDockerNetwork, TheSocketChoosesTheDriver) {
  const std::string body = network(R"("IPv4Data":[{"Pool":"0.0.0.0/0"}])");
  EXPECT_EQ(say("CreateNetwork", body), "{}");
  EXPECT_EQ(agent.get(&MemoryDocker::networks)[kNetwork].spec.driver, "bridge");
  RawClient raw(socket("lanwright-vde"));
  EXPECT_EQ(ApiDocker::say(raw, request("NetworkDriver.CreateNetwork", body)).json().dump(), "{}");
  EXPECT_EQ(agent.get(&MemoryDocker::networks)[kNetwork].spec.driver, "vde");
  EXPECT_TRUE(agent.get(&MemoryDocker::networks)[kNetwork].pools.empty()) << "the null IPAM has none";
}

TEST_F(ApiDockerNetwork, WhatCannotBeIsNotAskedOfTheAgent) {
  const Json answer = Json::parse(
      say("CreateNetwork", network(R"("Options":{"com.docker.network.generic":{"flodding":"hub"}})")));
  EXPECT_EQ(answer.size(), 1U);
  EXPECT_EQ(answer.at("Err").get<std::string>().find(
                "read the option `flodding`: driver bridge has no such option; did you mean `flooding`? "),
            0U)
      << answer;
  EXPECT_TRUE(agent.get(&MemoryDocker::networks).empty());
}

TEST_F(ApiDockerNetwork, NetworksOfSwarmsAreRefused) {
  EXPECT_EQ(
      say("AllocateNetwork", network(R"("Options":{},"IPv4Data":[],"IPv6Data":[])")),
      std::string(R"({"Err":"allocate the network )") + kNetwork +
          R"(: networks of a whole swarm are not to be had: each is of one host; create it on each node )"
          R"(with --scope local"})");
  EXPECT_EQ(say("FreeNetwork", network()), "{}");
}

TEST_F(ApiDockerNetwork, MakesEndpointsAndRemovesThem) {
  EXPECT_EQ(create_endpoint(interface("10.0.0.2/24", "fd00::2/64", "02:42:0a:00:00:02")),
            R"({"Interface":{}})");
  DockerEndpoint expected;
  expected.network = kNetwork;
  expected.id = kEndpoint;
  expected.addresses = {prefix("10.0.0.2/24"), prefix("fd00::2/64")};
  expected.mac = mac("02:42:0a:00:00:02");
  expected.mac_given = true;
  EXPECT_TRUE(agent.get(&MemoryDocker::endpoints)[key] == expected);
  EXPECT_EQ(create_endpoint(interface("10.0.0.3/24")), R"({"Interface":{}})");
  EXPECT_EQ(agent.get(&MemoryDocker::endpoints)[key].addresses, std::vector{prefix("10.0.0.3/24")})
      << "as asked the last time";
  for (int i = 0; i < 2; ++i) EXPECT_EQ(say("DeleteEndpoint", about()), "{}");
  EXPECT_TRUE(agent.get(&MemoryDocker::endpoints).empty());
}

// Docker refuses what it knows already: "driver modified interface address".
TEST_F(ApiDockerNetwork, OnlyWhatWasEmptyIsTold) {
  agent.with([&](MemoryDocker& told) {
    told.endpoint_answer = {mac("02:00:00:00:00:07"), {prefix("10.0.0.7/24"), prefix("fd00::7/64")}};
  });
  EXPECT_EQ(
      create_endpoint(interface("")),
      R"({"Interface":{"Address":"10.0.0.7/24","AddressIPv6":"fd00::7/64","MacAddress":"02:00:00:00:00:07"}})");
  EXPECT_EQ(
      create_endpoint(R"("Interface":null)"),
      R"({"Interface":{"Address":"10.0.0.7/24","AddressIPv6":"fd00::7/64","MacAddress":"02:00:00:00:00:07"}})");
  EXPECT_EQ(create_endpoint(interface("10.0.0.2/24")),
            R"({"Interface":{"AddressIPv6":"fd00::7/64","MacAddress":"02:00:00:00:00:07"}})");
  EXPECT_EQ(create_endpoint(interface("", "fd00::2/64")),
            R"({"Interface":{"Address":"10.0.0.7/24","MacAddress":"02:00:00:00:00:07"}})");
  EXPECT_EQ(create_endpoint(interface("10.0.0.2/24", "fd00::2/64")),
            R"({"Interface":{"MacAddress":"02:00:00:00:00:07"}})");
  EXPECT_EQ(create_endpoint(interface("10.0.0.2/24", "fd00::2/64", "02:42:0a:00:00:02")),
            R"({"Interface":{}})");
  EXPECT_EQ(create_endpoint(interface("", "", "02:42:0a:00:00:02")),
            R"({"Interface":{"Address":"10.0.0.7/24","AddressIPv6":"fd00::7/64"}})");
}

TEST_F(ApiDockerNetwork, AMacAddressOfAnOptionIsTold) {
  const std::string option =
      R"("Interface":{"Address":"10.0.0.2/24"},"Options":{"kathara.mac_addr":"00:00:00:00:00:01"})";
  EXPECT_EQ(create_endpoint(option), R"({"Interface":{"MacAddress":"00:00:00:00:00:01"}})");
  EXPECT_EQ(agent.get(&MemoryDocker::endpoints)[key].mac, mac("00:00:00:00:00:01"));
  EXPECT_FALSE(agent.get(&MemoryDocker::endpoints)[key].mac_given);
  agent.with([&](MemoryDocker& told) { told.endpoint_answer.mac = mac("02:00:00:00:00:07"); });
  EXPECT_EQ(create_endpoint(option), R"({"Interface":{"MacAddress":"02:00:00:00:00:07"}})")
      << "the agent has the last word";
}

TEST_F(ApiDockerNetwork, ToldWhatIsThereOfAnEndpoint) {
  EXPECT_EQ(say("EndpointOperInfo", about()),
            Json({{"Value", {{"endpoint", kEndpoint}, {"network", kNetwork}}}}).dump());
}

TEST_F(ApiDockerNetwork, JoinsByAnInterfaceAndGateways) {
  agent.with([&](MemoryDocker& told) { told.join_answer.interface = "lw-795c43f8b52d"; });
  agent.with([&](MemoryDocker& told) { told.join_answer.prefix = "eth"; });
  EXPECT_EQ(join(), R"({"InterfaceName":{"SrcName":"lw-795c43f8b52d","DstPrefix":"eth"}})");
  EXPECT_EQ(agent.get(&MemoryDocker::joined)[key], kSandbox);
  agent.with([&](MemoryDocker& told) { told.join_answer.gateway = ip("10.0.0.1"); });
  EXPECT_EQ(join(),
            R"({"InterfaceName":{"SrcName":"lw-795c43f8b52d","DstPrefix":"eth"},"Gateway":"10.0.0.1"})");
  agent.with([&](MemoryDocker& told) { told.join_answer.gateway6 = ip("fd00::1"); });
  EXPECT_EQ(
      join(),
      R"({"InterfaceName":{"SrcName":"lw-795c43f8b52d","DstPrefix":"eth"},"Gateway":"10.0.0.1","GatewayIPv6":"fd00::1"})");
  EXPECT_EQ(say("Join", about(std::string(R"("SandboxKey":")") + kSandbox +
                              R"(","Options":{"com.docker.network.portmap":[]})")),
            join());
  for (int i = 0; i < 2; ++i) EXPECT_EQ(say("Leave", about()), "{}");
  EXPECT_TRUE(agent.get(&MemoryDocker::joined).empty());
}

TEST_F(ApiDockerNetwork, JoinsByRoutesWithoutAGateway) {
  agent.with([&](MemoryDocker& told) { told.join_answer.interface = "lw-1"; });
  agent.with([&](MemoryDocker& told) { told.join_answer.prefix = "lan"; });
  agent.with([&](MemoryDocker& told) {
    told.join_answer.routes = {{prefix("0.0.0.0/0"), {}},
                               {prefix("::/0"), {}},
                               {prefix("10.9.0.0/16"), ip("10.0.0.254")},
                               {prefix("fd09::/48"), ip("fd00::fe")}};
  });
  agent.with([&](MemoryDocker& told) { told.join_answer.disable_gateway_service = true; });
  EXPECT_EQ(
      join(),
      R"({"InterfaceName":{"SrcName":"lw-1","DstPrefix":"lan"},"StaticRoutes":[)"
      R"({"Destination":"0.0.0.0/0","RouteType":1},{"Destination":"::/0","RouteType":1},)"
      R"({"Destination":"10.9.0.0/16","RouteType":0,"NextHop":"10.0.0.254"},)"
      R"({"Destination":"fd09::/48","RouteType":0,"NextHop":"fd00::fe"}],"DisableGatewayService":true})");
}

TEST_F(ApiDockerNetwork, PortsAndOtherNodesAreNoBusinessOfIts) {
  EXPECT_EQ(say("ProgramExternalConnectivity",
                about(R"("Options":{"com.docker.network.portmap":[{"Proto":6,"Port":80,"HostPort":8080}]})")),
            "{}");
  EXPECT_EQ(say("RevokeExternalConnectivity", about()), "{}");
  const std::string node = R"({"DiscoveryType":1,"DiscoveryData":{"Address":"192.168.1.2","Self":true}})";
  EXPECT_EQ(say("DiscoverNew", node), "{}");
  EXPECT_EQ(say("DiscoverDelete", node), "{}");
}

TEST_F(ApiDockerNetwork, TellsFailuresAsDockerReadsThem) {
  agent.with([&](MemoryDocker& told) {
    told.failure = Error{ErrorKind::conflict, "make the network", "lab", 0, "P is in\nuse", "choose another"};
  });
  const std::string said = R"({"Err":"make the network lab: P is in?use; choose another"})";
  EXPECT_EQ(say("CreateNetwork", network()), said);
  EXPECT_EQ(say("DeleteNetwork", network()), said);
  EXPECT_EQ(create_endpoint(interface("")), said);
  EXPECT_EQ(say("DeleteEndpoint", about()), said);
  EXPECT_EQ(say("EndpointOperInfo", about()), said);
  EXPECT_EQ(join(), said);
  EXPECT_EQ(say("Leave", about()), said);
}

TEST_F(ApiDockerNetwork, AnEmptyBodyIsNoRequest) {
  for (const char* name : kEveryCall) {
    const DockerReply reply = call(std::string("NetworkDriver.") + name, "");
    EXPECT_EQ(reply.status, 400) << name;
    EXPECT_EQ(reply.json().dump(), R"({"Err":"read the request: the body is empty"})");
  }
  EXPECT_TRUE(agent.get(&MemoryDocker::networks).empty());
  EXPECT_TRUE(agent.get(&MemoryDocker::endpoints).empty());
}

TEST_F(ApiDockerNetwork, TellsTheAgentWhenADockerdBegins) {
  say("DeleteNetwork", network());
  EXPECT_EQ(agent.get(&MemoryDocker::connections), 0);
  value("Plugin.Activate", "");
  EXPECT_EQ(agent.get(&MemoryDocker::connections), 1);
  say("GetCapabilities", "");
  EXPECT_EQ(agent.get(&MemoryDocker::connections), 2);
}

TEST_F(ApiDockerNetwork, TellsTheAgentWhenItMayKnowAnotherNetworkThanDocker) {
  say("CreateNetwork", network());
  say("DeleteNetwork", network());
  EXPECT_EQ(agent.get(&MemoryDocker::doubts), 0);
  call("NetworkDriver.CreateNetwork", "");  // as Docker repeats a call whose connection broke
  EXPECT_EQ(agent.get(&MemoryDocker::doubts), 1);
  agent.with([](MemoryDocker& told) { told.failure = Error{ErrorKind::busy, "make", "lab", 0, "no", ""}; });
  say("DeleteNetwork", network());
  EXPECT_EQ(agent.get(&MemoryDocker::doubts), 2);
  say("Leave", about());
  EXPECT_EQ(agent.get(&MemoryDocker::doubts), 2);
}

TEST_F(ApiDockerNetwork, WhatNobodyHearsOfIsTakenBack) {
  const auto ask_and_end = [this](const std::string& name, const std::string& body) {
    agent.with([&](MemoryDocker& /*waits until this is over*/) {
      RawClient raw(socket("lanwright-vde"));
      raw.send(request(name, body));
    });
  };
  const auto eventually = [this](const std::function<bool(MemoryDocker&)>& condition) {
    bool is_so = false;
    for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
         !is_so && std::chrono::steady_clock::now() < end; std::this_thread::yield())
      agent.with([&](MemoryDocker& there) { is_so = condition(there); });
    return is_so;
  };
  ask_and_end("NetworkDriver.CreateNetwork",
              R"({"NetworkID":")" + std::string(64, 'a') + R"(","Options":{},"IPv4Data":[],"IPv6Data":[]})");
  EXPECT_TRUE(eventually([](MemoryDocker& there) { return there.deletions == 1; }));
  EXPECT_TRUE(agent.get(&MemoryDocker::networks).empty());
  const std::string ids =
      R"("NetworkID":")" + std::string(64, 'a') + R"(","EndpointID":")" + std::string(64, 'e') + R"(")";
  ask_and_end("NetworkDriver.CreateEndpoint", "{" + ids + R"(,"Interface":{},"Options":{}})");
  EXPECT_TRUE(eventually([](MemoryDocker& there) { return there.deletions == 2; }));
  EXPECT_TRUE(agent.get(&MemoryDocker::endpoints).empty());
}

TEST_F(ApiDockerNetwork, TellsTheAgentOfARemovalThatWasLost) {
  EXPECT_EQ(call("NetworkDriver.DeleteNetwork", "").status, 400);
  EXPECT_EQ(call("NetworkDriver.CreateNetwork", "").status, 400);
  EXPECT_EQ(agent.get(&MemoryDocker::lost_deletions), 1);
}

TEST_F(ApiDockerNetwork, NamesTheFieldThatIsWrong) {
  const auto expect = [&](const std::string& name, const std::string& body, const std::string& words) {
    EXPECT_EQ(say(name, body), Json({{"Err", "read the field " + words}}).dump()) << name;
  };
  for (const char* name : {"CreateNetwork", "DeleteNetwork", "AllocateNetwork", "FreeNetwork",
                           "CreateEndpoint", "DeleteEndpoint", "EndpointOperInfo", "Join", "Leave",
                           "ProgramExternalConnectivity", "RevokeExternalConnectivity"}) {
    expect(name, "{}", "NetworkID: it is missing");
    expect(name, R"({"NetworkID":null,"EndpointID":"e1"})", "NetworkID: it is missing");
    expect(name, R"({"NetworkID":7,"EndpointID":"e1"})", "NetworkID: it must be a text, not number");
    expect(name, R"({"NetworkID":"../n","EndpointID":"e1"})", "NetworkID: `../n` is no id");
  }
  for (const char* name : {"CreateEndpoint", "DeleteEndpoint", "EndpointOperInfo", "Join", "Leave",
                           "ProgramExternalConnectivity", "RevokeExternalConnectivity"}) {
    expect(name, R"({"NetworkID":"n1"})", "EndpointID: it is missing");
    expect(name, R"({"NetworkID":"n1","EndpointID":[]})", "EndpointID: it must be a text, not array");
    expect(name, R"({"NetworkID":"n1","EndpointID":"e 1"})", "EndpointID: `e 1` is no id");
  }
  expect("Join", about(), "SandboxKey: it is missing");
  expect("Join", about(R"("SandboxKey":true)"), "SandboxKey: it must be a text, not boolean");
  expect("Join", about(R"("SandboxKey":"/x","Options":[])"), "Options: it must be an object, not array");
  expect("ProgramExternalConnectivity", about(R"("Options":7)"), "Options: it must be an object, not number");
  expect("CreateEndpoint", about(R"("Interface":{"Address":"x"})"),
         "Interface.Address: `x` is no IP address with a prefix length");
  EXPECT_TRUE(agent.get(&MemoryDocker::joined).empty());
  EXPECT_TRUE(agent.get(&MemoryDocker::endpoints).empty());
}

TEST_F(ApiDockerNetwork, ParallelCallsAreAllServed) {
  constexpr std::size_t kThreads = 16;
  constexpr std::size_t kEach = 10;
  agent.with([&](MemoryDocker& told) { told.join_answer.interface = "lw-1"; });
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      RawClient raw(socket(i % 2 == 0 ? "lanwright" : "lanwright-vde"));
      const auto ask = [&](const std::string& name, const std::string& body, const std::string& has) {
        const DockerReply reply = ApiDocker::say(raw, request("NetworkDriver." + name, body));
        if (reply.status != 200 || reply.body.find(has) == std::string::npos) ++wrong;
      };
      for (std::size_t round = 0; round < kEach; ++round) {
        const std::string id = std::to_string(i) + "-" + std::to_string(round);
        const std::string ids = R"({"NetworkID":"n)" + id + R"(","EndpointID":"e)" + id + "\"";
        ask("CreateNetwork", ids + "}", "{}");
        ask("CreateEndpoint", ids + R"(,"Interface":{"Address":"10.0.0.2/24"}})", "Interface");
        ask("Join", ids + R"(,"SandboxKey":"/x"})", "lw-1");
        if (round % 2 == 0) ask("Leave", ids + "}", "{}");
        if (round % 2 == 0) ask("DeleteEndpoint", ids + "}", "{}");
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(agent.get(&MemoryDocker::networks).size(), kThreads * kEach);
  EXPECT_EQ(agent.get(&MemoryDocker::endpoints).size(), kThreads * kEach / 2);
  EXPECT_EQ(agent.get(&MemoryDocker::joined).size(), kThreads * kEach / 2);
}

}  // namespace
}  // namespace lanwright
