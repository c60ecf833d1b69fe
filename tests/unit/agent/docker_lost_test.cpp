// Networks that Docker has and the agent lost: what Docker tells of them, as it asked for them once; and that
// they are made again, over a kernel in memory that still has their links.
#include "agent/docker/lost.h"

#include "model/format/json.h"
#include "reconcilers/drivers/registry.h"
#include "tests/unit/agent/cli_fake.h"
#include "tests/unit/agent/docker_fixture.h"

namespace lanwright {
namespace {

using docker_agent::LostNetwork;

// As dockerd 20.10 tells it.
Json told(const std::string& driver, Json options = Json::object()) {
  return {{"Name", "lan"},
          {"Id", kNetwork},
          {"Driver", "lanwright-" + driver},
          {"EnableIPv6", true},
          {"Internal", false},
          {"IPAM",
           {{"Driver", "default"},
            {"Options", nullptr},
            {"Config",
             {{{"Subnet", "10.0.0.0/24"},
               {"Gateway", "10.0.0.1"},
               {"AuxiliaryAddresses", {{"printer", "10.0.0.9"}}}},
              {{"Subnet", "10.1.0.0/24"}, {"IPRange", "10.1.0.64/26"}},
              {{"Subnet", "fd00::/64"}}}}}},
          {"Containers", Json::object()},
          {"Options", std::move(options)}};
}

DockerNetwork read(const Json& network, const std::string& driver) {
  return must(docker_agent::network_from({kNetwork, "lanwright-" + driver, network.dump(), {}}, driver,
                                         drivers::driver_grammar()));
}

TEST(LostNetworks, AreReadAsTheyWereAskedFor) {
  const DockerNetwork network =
      read(told("macvlan", {{"parent", "eth0"}, {"macvlan_mode", "private"}}), "macvlan");
  EXPECT_EQ(network.id, kNetwork);
  EXPECT_EQ(network.spec.parent, "eth0");
  EXPECT_EQ(std::get<std::string>(network.spec.settings.at("mode")), "private");
  ASSERT_EQ(network.pools.size(), 3U);
  EXPECT_EQ(network.pools[0].gateway, prefix("10.0.0.1/24"));
  EXPECT_EQ(network.pools[0].auxiliary.at("printer"), prefix("10.0.0.9/24"));
  EXPECT_EQ(network.pools[1].gateway, prefix("10.1.0.64/24")) << "Docker before 28 chooses the first";
  EXPECT_EQ(network.pools[2].gateway, prefix("fd00::1/64"));
  EXPECT_FALSE(network.internal);
}

TEST(LostNetworks, OfANewerDockerHaveTheGatewaysThatWereNamed) {
  Json newer = told("vde");
  newer["EnableIPv4"] = true;
  newer["Internal"] = true;
  const DockerNetwork network = read(newer, "vde");
  EXPECT_TRUE(network.pools.at(0).gateway);
  EXPECT_FALSE(network.pools.at(1).gateway);
  EXPECT_FALSE(network.pools.at(2).gateway);
  EXPECT_TRUE(network.gateways_named);
  EXPECT_TRUE(network.internal);
}

TEST(LostNetworks, WithoutAddressesAreSo) {
  Json frames = told("vde");
  frames["IPAM"] = {{"Driver", "null"}, {"Config", Json::array({Json{{"Subnet", "0.0.0.0/0"}}})}};
  EXPECT_TRUE(read(frames, "vde").pools.empty());
  frames["IPAM"]["Config"] = nullptr;
  EXPECT_TRUE(read(frames, "vde").pools.empty());
}

TEST(LostNetworks, ThatCannotBeReadAreTold) {
  const auto fails = [](const std::string& body) {
    return !docker_agent::network_from({kNetwork, "lanwright-vde", body, {}}, "vde",
                                       drivers::driver_grammar());
  };
  EXPECT_TRUE(fails("[]"));
  EXPECT_TRUE(fails(""));
  Json wrong = told("vde");
  wrong["IPAM"]["Config"][0]["Subnet"] = "x";
  EXPECT_TRUE(fails(wrong.dump()));
  wrong = told("vde", {{"nonsense", "1"}});
  EXPECT_TRUE(fails(wrong.dump()));
}

std::string container_of(const std::string& endpoint, const std::string& sandbox) {
  const Json other{
      {"NetworkID", kOther}, {"EndpointID", kNewer}, {"IPAddress", "10.9.0.2"}, {"IPPrefixLen", 24}};
  const Json settings{{"NetworkID", kNetwork},
                      {"EndpointID", endpoint},
                      {"IPAddress", "10.0.0.2"},
                      {"IPPrefixLen", 24},
                      {"GlobalIPv6Address", ""},
                      {"GlobalIPv6PrefixLen", 0},
                      {"MacAddress", "02:42:0a:00:00:02"},
                      {"DriverOpts", {{"com.docker.network.endpoint.ifname", "lan0"}}}};
  return Json{
      {"NetworkSettings", {{"SandboxKey", sandbox}, {"Networks", {{"lan", settings}, {"other", other}}}}}}
      .dump();
}

TEST(LostNetworks, HaveEndpointsOfContainersThatRun) {
  const LostNetwork lost{kNetwork,
                         "lanwright-vde",
                         told("vde").dump(),
                         {container_of(kEndpoint, kSandbox), container_of(kNewer, "")}};
  const auto endpoints = must(docker_agent::endpoints_from(lost));
  ASSERT_EQ(endpoints.size(), 1U);
  EXPECT_EQ(endpoints[0].sandbox, kSandbox);
  EXPECT_EQ(endpoints[0].endpoint.id, kEndpoint);
  EXPECT_EQ(endpoints[0].endpoint.addresses, std::vector{prefix("10.0.0.2/24")});
  EXPECT_EQ(endpoints[0].endpoint.mac->text(), "02:42:0a:00:00:02");
  EXPECT_EQ(endpoints[0].endpoint.interface, "lan0");
}

TEST(LostNetworks, AreThoseOfThePluginsThatAreNotKnown) {
  const std::string list = R"([{"Id":"1","Driver":"bridge"},{"Id":"2","Driver":"lanwright-vde"},{"Id":"3"},
    {"Id":"4","Driver":"lanwright-vde"}])";
  const auto lost = docker_agent::lost_networks(list, {{"lanwright", "lanwright-vde"}, {"4"}});
  ASSERT_EQ(lost.size(), 1U);
  EXPECT_EQ(lost[0].id, "2");
  EXPECT_EQ(lost[0].plugin, "lanwright-vde");
}

TEST(LostNetworks, OfAnyDriverHavePoolsOfTheAgent) {
  const auto found_with = [](const std::string& ipam) {
    const std::string list = R"([{"Id":"1","Driver":"lab","IPAM":{"Driver":")" + ipam + R"("}}])";
    return docker_agent::lost_networks(list, {{"lanwright", "lab"}, {}}).at(0).own_addresses;
  };
  EXPECT_TRUE(found_with("lanwright"));
  EXPECT_TRUE(found_with("lab")) << "a name that was chosen for the plugin";
  EXPECT_FALSE(found_with("default"));
  EXPECT_FALSE(found_with("lanwright-by-somebody-else"));
  Json network = told("macvlan");
  network["Containers"] = {
      {"c1", {{"EndpointID", "e"}, {"IPv4Address", "10.1.0.70/24"}, {"IPv6Address", ""}}}};
  const auto pools_of = [&](bool own) {
    return must(docker_agent::own_pools_from({kNetwork, "macvlan", network.dump(), {}, own}));
  };
  EXPECT_TRUE(pools_of(false).empty()) << "they are Docker's";
  const auto pools = pools_of(true);
  ASSERT_EQ(pools.size(), 3U);
  EXPECT_EQ(pools[0].request.cidr, "10.0.0.0/24");
  EXPECT_EQ(pools[0].given, (std::set{prefix("10.0.0.1/32").address, prefix("10.0.0.9/32").address}));
  EXPECT_FALSE(pools[0].chosen) << "it was named";
  EXPECT_EQ(pools[1].request.range, "10.1.0.64/26");
  EXPECT_EQ(pools[1].chosen, prefix("10.1.0.64/32").address);
  EXPECT_EQ(pools[1].given, (std::set{prefix("10.1.0.64/32").address, prefix("10.1.0.70/32").address}));
  EXPECT_EQ(pools[2].given, std::set{prefix("fd00::1/128").address});

  // From version 28 the gateway that was not named is no address of ours; other drivers may have had one.
  network["EnableIPv4"] = true;
  EXPECT_EQ(pools_of(true).at(1).given, std::set{prefix("10.1.0.70/32").address});
  const auto of_another =
      must(docker_agent::own_pools_from({kNetwork, "bridge", network.dump(), {}, true, false}));
  EXPECT_EQ(of_another.at(1).given, pools[1].given);
}

// ---- the whole, with a Docker that tells

class DockerLost : public DockerNetworks, public testing::WithParamInterface<const char*> {
 protected:
  std::string socket() const { return (directory_.path() / "docker.sock").string(); }
  void lose_database() {
    close();
    for (const auto& file : std::filesystem::directory_iterator(directory_.path()))
      if (file.path().filename().string().starts_with("lanwright.db")) std::filesystem::remove(file.path());
    open();
  }
  void search() {
    on_loop([this] {
      must(docker_->search_for({{std::string("lanwright-") + GetParam(), GetParam()}}));
      docker_->audit().open(socket());
      docker_->audit().ask_now();
    });
  }
  bool has_answered() {
    return eventually([this] { return docker_->audit().question() == docker_agent::Audit::Question::none; });
  }
  static void tell(FakeAgent& docker) {
    Json network =
        told(GetParam(), std::string(GetParam()) == "bridge" ? Json::object() : Json{{"parent", "eth0"}});
    network["IPAM"]["Config"] = Json::array({Json{{"Subnet", "10.0.0.0/24"}, {"Gateway", "10.0.0.1"}}});
    docker.on_get("/networks", Json::array({network, {{"Id", "none"}, {"Driver", "null"}}}).dump());
    network["Containers"] = {{"c1", {{"EndpointID", kEndpoint}}}, {"ep-x", {{"EndpointID", "x"}}}};
    docker.on_get("/networks/" + kNetwork, network.dump());
    docker.on_get("/containers/c1/json", container_of(kEndpoint, kSandbox));
  }
};

TEST_P(DockerLost, IsMadeAgainUnderItsOwnMarks) {
  start_container(GetParam());
  kernel([](test::MemoryKernel& host) {  // as Docker sets it up
    host.change({kSandbox, "eth0"}, [](LinkFact& link) {
      link.addresses.push_back({prefix("10.0.0.2/24"), 0});
    });
  });
  const auto before = on_loop([this] { return *in(kSandbox, "eth0"); });
  lose_database();
  EXPECT_EQ(docker_->create_endpoint(endpoint_with("10.0.0.3/24", kNewer), soon()).error().kind,
            ErrorKind::not_found);
  const auto writes = on_loop([this] { return kernel_.writes(); });
  FakeAgent docker(socket());
  tell(docker);
  search();
  ASSERT_TRUE(eventually([this] { return attachment() != nullptr; }));
  EXPECT_TRUE(endpoint_becomes("Ready")) << phase_of_endpoint();
  EXPECT_EQ(on_loop([this] { return kernel_.writes(); }), writes) << "nothing needs to be done";
  EXPECT_TRUE(eventually([this] { return attachment()->endpoint->default_route; }));

  // It is the agent's own: repaired, known to Docker's calls, and removed.
  kernel([](test::MemoryKernel& host) { host.delete_link({kSandbox, "eth0"}); });
  EXPECT_TRUE(eventually([this] { return is_whole(); }));
  on_loop([&] { EXPECT_EQ(in(kSandbox, "eth0")->alias, before.alias); });
  must(docker_->create_endpoint(endpoint_with("10.0.0.3/24", kNewer), soon()));
  must(docker_->leave(kNetwork, kEndpoint, soon()));
  must(docker_->delete_endpoint(kNetwork, kEndpoint, soon()));
  must(docker_->delete_network(kNetwork, soon()));
  on_loop([&] { EXPECT_EQ(kernel_.real().namespaces.at("").links().size(), 2U) << "lo and eth0"; });

  // What is removed here is not made again, whatever Docker lists.
  close();
  open();
  const std::size_t asked = docker.seen().size();
  search();
  ASSERT_TRUE(has_answered());
  EXPECT_FALSE(has_network());
  EXPECT_EQ(docker.seen().size(), asked) << "with one database Docker is searched once";
}

TEST_P(DockerLost, IsSearchedForUntilDockerAnswers) {
  must(docker_->create_network(network_of(GetParam()), soon()));
  lose_database();
  search();
  ASSERT_TRUE(has_answered());
  EXPECT_FALSE(has_network());
  FakeAgent docker(socket());
  tell(docker);
  docker_->on_dockerd_connected();
  EXPECT_TRUE(eventually([this] { return reconciler().desired().find({Kind::network, kName}) != nullptr; }));
  const auto told = warnings();
  EXPECT_TRUE(std::ranges::any_of(told, [](const std::string& words) {
    return words.find("find the interface of Docker's endpoint eeeeeeeeeeee") != std::string::npos;
  })) << "the container's interface is not there";
}

INSTANTIATE_TEST_SUITE_P(Each, DockerLost, testing::Values("bridge", "macvlan", "ipvlan"),
                         [](const auto& driver) { return std::string(driver.param); });

}  // namespace
}  // namespace lanwright
