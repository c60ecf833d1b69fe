// What users write behind `docker network create -o` and `docker network connect --driver-opt`, as specs of
// the agent's, and what they are told when it cannot be.
#include <gtest/gtest.h>

#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "api/docker/endpoint_options.h"
#include "api/docker/network_options.h"
#include "reconcilers/drivers/registry.h"

namespace lanwright::docker {
namespace {

using Options = std::map<std::string, std::string>;

constexpr const char* kId = "795c43f8b52d17366ac8872046e3206edb2a2cf01a87a072795c43f8b52d1736";

// As dockerd 20.10 sends it.
Json request(const Options& options) {
  Json generic = Json::object();
  for (const auto& [name, value] : options) generic[name] = value;
  return {{"NetworkID", kId},
          {"Options",
           {{"com.docker.network.enable_ipv6", false}, {"com.docker.network.generic", std::move(generic)}}},
          {"IPv4Data", Json::array({{{"AddressSpace", "LocalDefault"}, {"Pool", "0.0.0.0/0"}}})},
          {"IPv6Data", nullptr}};
}

Result<DockerNetwork> read(const Json& json, const std::string& driver = "") {
  return docker::docker_network_from(json, driver, drivers::driver_grammar());
}

DockerNetwork must_read(const Json& json, const std::string& driver = "") {
  const auto network = read(json, driver);
  if (!network) throw std::runtime_error(network.error().text());
  return *network;
}

std::string fault(const Json& json, const std::string& driver = "") {
  const auto network = read(json, driver);
  if (network) return "no error";
  EXPECT_EQ(network.error().kind, ErrorKind::invalid);
  return network.error().text();
}

NetworkSpec spec(const std::string& driver, const Settings& settings = {}) {
  NetworkSpec spec;
  spec.driver = driver;
  spec.settings = settings;
  return spec;
}
NetworkSpec on_parent(const std::string& driver, const std::string& parent) {
  NetworkSpec made = spec(driver);
  made.parent = parent;
  return made;
}
NetworkSpec with_uplinks(const std::string& driver, const std::vector<std::string>& names) {
  NetworkSpec made = spec(driver);
  for (const std::string& name : names) made.uplinks.push_back({name, {}, {}});
  return made;
}
NetworkSpec with_mtu(const std::string& driver, std::uint32_t mtu) {
  NetworkSpec made = spec(driver);
  made.mtu = mtu;
  return made;
}

struct Good {
  std::string driver;
  Options options;
  NetworkSpec spec;
};

TEST(DockerNetworkOptions, MakeSpecs) {
  const std::vector<Good> goods{
      {"", {}, spec("bridge")},
      {"vde", {}, spec("vde")},
      {"", {{"driver", "vde"}}, spec("vde")},
      {"vde", {{"driver", "vde"}}, spec("vde")},
      {"macvlan", {{"parent", "eth0"}}, on_parent("macvlan", "eth0")},
      {"macvlan", {{"host_iface", "eth0"}}, on_parent("macvlan", "eth0")},
      {"macvlan", {{"host_iface", "eth0"}, {"parent", "eth0"}}, on_parent("macvlan", "eth0")},
      {"macvlan", {{"parent", ""}}, spec("macvlan")},
      {"macvlan", {{"parent", "eth0.50"}}, on_parent("macvlan", "eth0.50")},
      {"macvlan", {{"parent", "eth0.4094"}}, on_parent("macvlan", "eth0.4094")},
      {"macvlan", {{"parent", "eth0.5.6"}}, on_parent("macvlan", "eth0.5.6")},
      {"macvlan", {{"parent", "wan.isp"}}, on_parent("macvlan", "wan.isp")},
      {"ipvlan", {{"parent", "eth0"}}, on_parent("ipvlan", "eth0")},
      {"ipvlan", {{"host_iface", "eth0.20"}}, on_parent("ipvlan", "eth0.20")},
      {"bridge", {{"parent", "eth0"}}, with_uplinks("bridge", {"eth0"})},
      {"bridge", {{"parent", ""}}, spec("bridge")},
      {"vde", {{"host_iface", "eth0"}}, with_uplinks("vde", {"eth0"})},
      {"bridge", {{"uplinks", "eth0,eth1.50"}}, with_uplinks("bridge", {"eth0", "eth1.50"})},
      {"vde", {{"uplinks", "eth0"}}, with_uplinks("vde", {"eth0"})},
      {"bridge", {{"parent", "eth1"}, {"uplinks", "eth0,eth1"}}, with_uplinks("bridge", {"eth1", "eth0"})},
      {"macvlan", {{"macvlan_mode", "private"}}, spec("macvlan", {{"mode", "private"}})},
      {"macvlan", {{"macvlan_mode", "bridge"}}, spec("macvlan", {{"mode", "bridge"}})},
      {"macvlan", {{"macvlan_mode", "vepa"}}, spec("macvlan", {{"mode", "vepa"}})},
      {"macvlan", {{"macvlan_mode", ""}}, spec("macvlan")},
      {"macvlan", {{"macvlan_mode", "vepa"}, {"mode", "vepa"}}, spec("macvlan", {{"mode", "vepa"}})},
      {"macvlan", {{"macvlan.mode", "vepa"}}, spec("macvlan", {{"mode", "vepa"}})},
      {"ipvlan", {{"ipvlan_mode", "l2"}}, spec("ipvlan", {{"mode", "l2"}})},
      {"ipvlan", {{"ipvlan_mode", "l3"}}, spec("ipvlan", {{"mode", "l3"}})},
      {"ipvlan", {{"ipvlan_mode", "l3s"}}, spec("ipvlan", {{"mode", "l3s"}})},
      {"ipvlan", {{"ipvlan_mode", ""}}, spec("ipvlan")},
      {"ipvlan", {{"ipvlan_flag", "bridge"}}, spec("ipvlan", {{"flag", "bridge"}})},
      {"ipvlan", {{"ipvlan_flag", "private"}}, spec("ipvlan", {{"flag", "private"}})},
      {"ipvlan", {{"ipvlan_flag", "vepa"}}, spec("ipvlan", {{"flag", "vepa"}})},
      {"ipvlan", {{"ipvlan_flag", ""}}, spec("ipvlan")},
      {"bridge", {{"com.docker.network.driver.mtu", "1400"}}, with_mtu("bridge", 1400)},
      {"macvlan", {{"mtu", "9000"}}, with_mtu("macvlan", 9000)},
      {"vde", {{"com.docker.network.driver.mtu", "1400"}, {"mtu", "1400"}}, with_mtu("vde", 1400)},
      {"bridge", {{"com.docker.network.bridge.name", "br0"}}, spec("bridge", {{"name", "br0"}})},
      {"bridge", {{"name", "br0"}}, spec("bridge", {{"name", "br0"}})},
      {"bridge", {{"existing", "br0"}}, spec("bridge", {{"existing", "br0"}})},
      {"bridge",
       {{"flooding", "hub"}, {"bridge.vlan_filtering", "t"}},
       spec("bridge", {{"flooding", "hub"}, {"vlan_filtering", true}})},
      {"bridge",
       {{"stp", "True"}, {"priority", "4096"}, {"forward_delay", "2"}},
       spec("bridge", {{"stp", true}, {"priority", std::int64_t{4096}}, {"forward_delay", std::int64_t{2}}})},
      {"vde", {{"vde.hub", "false"}}, spec("vde", {{"hub", false}})},
      {"vde", {{"hub", "0"}}, spec("vde", {{"hub", false}})},
      {"vde",
       {{"group", "students"}, {"mode", "0660"}},
       spec("vde", {{"group", "students"}, {"mode", "0660"}})},
  };
  for (const Good& good : goods) {
    const auto made = read(request(good.options), good.driver);
    ASSERT_TRUE(made) << made.error().text();
    EXPECT_TRUE(made->spec == good.spec) << to_json(made->spec) << " is not " << to_json(good.spec);
    const auto stored =
        spec_from_json(Kind::network, "n1", to_json(made->spec).dump(), drivers::driver_grammar());
    ASSERT_TRUE(stored) << stored.error().text();
    EXPECT_TRUE(*stored == ObjectSpec(made->spec)) << "what is stored of it is the same";
    EXPECT_EQ(made->id, kId);
    EXPECT_EQ(made->view_of, "");
    EXPECT_EQ(made->interface_prefix, "eth");
    EXPECT_FALSE(made->internal);
    EXPECT_TRUE(made->pools.empty());
  }
}

TEST(DockerNetworkOptions, EverySettingOfEveryDriverCanBeSaidBothWays) {
  for (const DriverSchema& driver : drivers::driver_grammar()) {
    for (const SettingField& field : driver.settings) {
      for (const std::string& name : {field.name, driver.name + "." + field.name}) {
        const auto made = read(request({{name, "\x01"}}), driver.name);
        ASSERT_FALSE(made) << name << " takes anything";
        EXPECT_EQ(made.error().text().find("no such option"), std::string::npos) << made.error().text();
      }
    }
  }
}

TEST(DockerNetworkOptions, SayHowInterfacesAreNamed) {
  for (const char* name :
       {"com.docker.network.container_iface_prefix", "com.docker.network.container_interface_prefix"}) {
    const auto network = must_read(request({{name, "lan"}}), "macvlan");
    EXPECT_EQ(network.interface_prefix, "lan");
    EXPECT_TRUE(network.spec == spec("macvlan"));
    EXPECT_NE(fault(request({{name, ""}})).find("must not be empty"), std::string::npos);
    EXPECT_NE(fault(request({{name, "a-very-long-name"}})).find("is longer than 15 bytes"),
              std::string::npos);
    EXPECT_NE(fault(request({{name, "a/b"}})).find("has a `/` in it"), std::string::npos);
  }
}

struct So {
  std::string option;
  std::vector<std::string> accepted;
  std::string refused;
  std::string why;
};

TEST(DockerNetworkOptions, OfDockersBridgeAreAcceptedWhenTheyAskForWhatIsSo) {
  const std::vector<So> all{
      {"enable_icc", {"true", "1"}, "false", "it can be true only, got `false`: members of a network reach"},
      {"enable_ip_masquerade",
       {"false", "F"},
       "true",
       "it can be false only, got `true`: the host does not translate"},
      {"inhibit_ipv4", {"true"}, "false", "it can be true only, got `false`: the host has no address"},
      {"default_bridge", {"false"}, "true", "it can be false only, got `true`: only Docker's own"},
      {"host_binding_ipv4",
       {"0.0.0.0"},
       "10.0.0.1",
       "it can be 0.0.0.0 only, got `10.0.0.1`: ports are not published"},
      {"gateway_mode_ipv4",
       {"isolated"},
       "nat",
       "it can be isolated only, got `nat`: the host has no address"},
      {"gateway_mode_ipv6", {"isolated"}, "routed", "it can be isolated only, got `routed`: the host has no"},
  };
  for (const So& each : all) {
    const std::string name = "com.docker.network.bridge." + each.option;
    for (const char* driver : {"bridge", "vde"}) {
      for (const std::string& value : each.accepted)
        EXPECT_TRUE(must_read(request({{name, value}}), driver).spec == spec(driver)) << name;
      EXPECT_EQ(
          fault(request({{name, each.refused}}), driver).find("read the option `" + name + "`: " + each.why),
          0U)
          << fault(request({{name, each.refused}}), driver);
      EXPECT_NE(fault(request({{name, "nonsense"}}), driver).find("got `nonsense`"), std::string::npos);
    }
    EXPECT_NE(fault(request({{name, each.refused}}), "macvlan").find("no such option"), std::string::npos);
  }
}

TEST(DockerNetworkOptions, OfDockersBridgeAreRefusedWhereNothingWouldComeOfThem) {
  const std::map<std::string, std::string> all{
      {"com.docker.network.bridge.trusted_host_interfaces", "the host does not route to the network"},
      {"com.docker.network.host_ipv4", "the host does not translate addresses"},
      {"com.docker.network.host_ipv6", "the host does not translate addresses"},
  };
  for (const auto& [name, why] : all) {
    for (const char* driver : {"bridge", "vde"}) {
      EXPECT_TRUE(must_read(request({{name, ""}}), driver).spec == spec(driver));
      EXPECT_EQ(fault(request({{name, "eth0:eth1"}}), driver)
                    .find("read the option `" + name + "`: it cannot be given, got `eth0:eth1`: " + why),
                0U);
    }
    EXPECT_NE(fault(request({{name, "x"}}), "macvlan").find("no such option"), std::string::npos);
  }
}

TEST(DockerNetworkOptions, ThatDockerActsOnItselfAreAccepted) {
  for (const char* driver : {"bridge", "vde", "macvlan", "ipvlan"}) {
    const Options options{{"com.docker.network.advertise_addr_nmsgs", "2"},
                          {"com.docker.network.advertise_addr_ms", "500"}};
    EXPECT_TRUE(must_read(request(options), driver).spec == spec(driver));
  }
  for (const char* no : {"0", "4", "-1", "x", ""})
    EXPECT_NE(fault(request({{"com.docker.network.advertise_addr_nmsgs", no}}), "vde")
                  .find("it must be a number from 1 to 3, got `" + std::string(no) + "`"),
              std::string::npos);
  EXPECT_NE(fault(request({{"com.docker.network.advertise_addr_ms", "99"}}), "ipvlan")
                .find("it must be a number from 100 to 2000, got `99`"),
            std::string::npos);
}

// Docker from version 28 leaves them where they are, and says them as switches, too.
TEST(DockerNetworkOptions, OfTheFamiliesSayWhatDockerSays) {
  const auto with = [](const Options& options, const Json& v4, const Json& v6) {
    Json json = request(options);
    json["Options"]["com.docker.network.enable_ipv4"] = v4;
    json["Options"]["com.docker.network.enable_ipv6"] = v6;
    return json;
  };
  const std::string v4 = "com.docker.network.enable_ipv4";
  const std::string v6 = "com.docker.network.enable_ipv6";
  for (const char* driver : {"bridge", "vde", "macvlan", "ipvlan"}) {
    const auto accepted = [&](const Json& json) { return must_read(json, driver).spec == spec(driver); };
    EXPECT_TRUE(accepted(with({{v4, "true"}, {v6, "true"}}, true, true)));
    EXPECT_TRUE(accepted(with({{v4, "0"}, {v6, "T"}}, false, true)));
    EXPECT_TRUE(accepted(with({{v4, "1"}, {v6, "false"}}, nullptr, nullptr))) << "an older Docker's defaults";
    EXPECT_EQ(fault(with({{v6, "true"}}, nullptr, false), driver),
              "read the option `" + v6 +
                  "`: it says `true`, and Docker makes the network without IPv6; leave it away, and say "
                  "--ipv6: before version 28 Docker does not look at the option");
    EXPECT_EQ(fault(with({{v4, "false"}}, nullptr, false), driver),
              "read the option `" + v4 +
                  "`: it says `false`, and Docker makes the network with IPv4; leave it away, and say "
                  "--ipv4=false: before version 28 Docker does not look at the option");
    for (const std::string& name : {v4, v6})
      EXPECT_EQ(fault(with({{name, "yes"}}, true, true), driver),
                "read the option `" + name + "`: it must be true or false, got `yes`");
  }
  EXPECT_EQ(must_read(with({{"network", "lab"}, {v6, "true"}}, true, true)).view_of, "lab");
}

struct Bad {
  std::string driver;
  Options options;
  std::string words;  // with which the error begins
};

TEST(DockerNetworkOptions, AreRefusedWithWordsThatHelp) {
  const std::string bridge =
      "Options of driver bridge: driver, network, parent, host_iface, uplinks, mtu, "
      "com.docker.network.driver.mtu, com.docker.network.bridge.name, ";
  const std::vector<Bad> bads{
      {"macvlan",
       {{"parent", "lo"}},
       "read the option `parent`: loopback interface is not a valid macvlan parent link"},
      {"ipvlan",
       {{"host_iface", "lo"}},
       "read the option `host_iface`: loopback interface is not a valid ipvlan parent link"},
      {"macvlan",
       {{"parent", "eth0:10"}},
       "read the option `parent`: invalid subinterface vlan name eth0:10, example formatting is eth0.10"},
      {"macvlan",
       {{"parent", "eth0.050"}},
       "read the option `parent`: invalid subinterface vlan name eth0.050, example formatting is eth0.10"},
      {"ipvlan",
       {{"parent", ".5"}},
       "read the option `parent`: invalid subinterface vlan name .5, example formatting is eth0.10"},
      {"macvlan",
       {{"parent", "eth0.0"}},
       "read the option `parent`: vlan id must be between 1-4094, received: 0"},
      {"ipvlan",
       {{"parent", "eth0.4095"}},
       "read the option `parent`: vlan id must be between 1-4094, received: 4095"},
      {"macvlan",
       {{"parent", "eth0.99999999"}},
       "read the option `parent`: vlan id must be between 1-4094, received: 99999999"},
      {"macvlan",
       {{"parent", "a-very-long-name"}},
       "read the option `parent`: the name `a-very-long-name` is longer than 15 bytes"},
      {"macvlan", {{"parent", "a/b"}}, "read the option `parent`: the name `a/b` has a `/` in it"},
      {"bridge", {{"parent", "a/b"}}, "read the option `parent`: the name `a/b` has a `/` in it"},
      {"bridge", {{"parent", "lo"}}, "read the option `parent`: the loopback interface is no uplink"},
      {"bridge", {{"uplinks", "eth0,lo"}}, "read the option `uplinks`: the loopback interface is no uplink"},
      {"vde", {{"uplinks", "eth0,,eth1"}}, "read the option `uplinks`: the name `` must not be empty"},
      {"vde", {{"uplinks", ""}}, "read the option `uplinks`: the name `` must not be empty"},
      {"vde", {{"uplinks", "eth0,eth1,eth0"}}, "read the option `uplinks`: `eth0` is listed twice"},
      {"macvlan",
       {{"macvlan_mode", "foo"}},
       "read the option `macvlan_mode`: requested macvlan mode 'foo' is not valid, 'bridge' mode is the "
       "macvlan driver default; it is one of bridge, private, vepa, passthru"},
      {"ipvlan",
       {{"ipvlan_mode", "l4"}},
       "read the option `ipvlan_mode`: requested ipvlan mode 'l4' is not valid, 'l2' mode is the ipvlan "
       "driver default; it is one of l2, l3, l3s"},
      {"ipvlan",
       {{"ipvlan_flag", "x"}},
       "read the option `ipvlan_flag`: requested ipvlan flag 'x' is not valid, 'bridge' is the ipvlan driver "
       "default flag; it is one of bridge, private, vepa"},
      {"bridge", {{"mtu", "big"}}, "read the option `mtu`: it must be a number of bytes, got `big`"},
      {"bridge",
       {{"com.docker.network.driver.mtu", "-1"}},
       "read the option `com.docker.network.driver.mtu`: it must be a number of bytes, got `-1`"},
      {"bridge", {{"mtu", ""}}, "read the option `mtu`: it must be a number of bytes, got ``"},
      {"bridge", {{"mtu", "1500x"}}, "read the option `mtu`: it must be a number of bytes, got `1500x`"},
      {"bridge", {{"mtu", "1"}}, "make the network: mtu: mtu must be between "},
      {"vde", {{"mtu", "9000"}}, "make the network: mtu: mtu 9000 is above what a VDE switch carries, 1500"},
      {"bridge",
       {{"com.docker.network.bridge.name", "a-very-long-name"}},
       "read the option `com.docker.network.bridge.name`: the name `a-very-long-name` is longer than 15 "
       "bytes"},
      {"bridge", {{"name", "a b"}}, "make the network: bridge.name: bridge name `a b` has a blank"},
      {"bridge", {{"stp", "yes"}}, "read the option `stp`: it must be true or false, got `yes`"},
      {"vde", {{"vde.hub", ""}}, "read the option `vde.hub`: it must be true or false, got ``"},
      {"bridge",
       {{"priority", "65536"}},
       "read the option `priority`: it must be a number from 0 to 65535, got `65536`"},
      {"bridge",
       {{"bridge.max_age", "5"}},
       "read the option `bridge.max_age`: it must be a number from 6 to 40, got `5`"},
      {"bridge",
       {{"max_age", "7s"}},
       "read the option `max_age`: it must be a number from 6 to 40, got `7s`"},
      {"bridge",
       {{"flooding", "flood"}},
       "read the option `flooding`: it must be one of learn, hub, got `flood`"},
      {"bridge",
       {{"flooding", "hub"}, {"stp", "true"}},
       "make the network: bridge.stp: a hub forwards STP frames and cannot take part in STP"},
      {"vde", {{"mode", "9"}}, "make the network: vde.mode: `9` is no mode"},
      {"macvlan",
       {{"macvlan_mode", "passthru"}},
       "make the network: macvlan.mode: passthru hands the parent through"},
      // Two that contradict each other.
      {"macvlan",
       {{"parent", "eth0"}, {"host_iface", "eth1"}},
       "read the option `parent`: it says `eth0`, and `host_iface`, which is the same option, says `eth1`; "
       "leave one of them away"},
      {"bridge",
       {{"parent", "eth0"}, {"host_iface", "eth1"}},
       "read the option `parent`: it says `eth0`, and `host_iface`, which"},
      {"macvlan",
       {{"macvlan_mode", "vepa"}, {"mode", "private"}},
       "read the option `mode`: it says `private`, and `macvlan_mode`, which"},
      {"ipvlan",
       {{"ipvlan_flag", "vepa"}, {"ipvlan.flag", "bridge"}},
       "read the option `ipvlan_flag`: it says `vepa`, and `ipvlan.flag`, which"},
      {"vde",
       {{"hub", "true"}, {"vde.hub", "false"}},
       "read the option `vde.hub`: it says `false`, and `hub`, which"},
      {"vde",
       {{"mtu", "1400"}, {"com.docker.network.driver.mtu", "1300"}},
       "read the option `mtu`: it says `1400`, and `com.docker.network.driver.mtu`, which"},
      {"bridge",
       {{"name", "br0"}, {"com.docker.network.bridge.name", "br1"}},
       "read the option `name`: it says `br0`, and `com.docker.network.bridge.name`, which"},
      // Unknown ones.
      {"bridge",
       {{"flodding", "hub"}},
       "read the option `flodding`: driver bridge has no such option; did you mean `flooding`? " + bridge},
      {"bridge",
       {{"com.docker.network.bridge.nam", "x"}},
       "read the option `com.docker.network.bridge.nam`: driver bridge has no such option; did you mean "
       "`com.docker.network.bridge.name`? " +
           bridge},
      {"bridge",
       {{"something", "x"}},
       "read the option `something`: driver bridge has no such option; " + bridge},
      {"bridge",
       {{"macvlan_mode", "bridge"}},
       "read the option `macvlan_mode`: driver bridge has no such option, driver macvlan has it; " + bridge},
      {"bridge",
       {{"vde.hub", "true"}},
       "read the option `vde.hub`: driver bridge has no such option, driver vde has it; "},
      {"bridge",
       {{"mode", "l3"}},
       "read the option `mode`: driver bridge has no such option, driver vde, macvlan, ipvlan has it; "},
      {"vde",
       {{"bridge.vde.hub", "true"}},
       "read the option `bridge.vde.hub`: driver vde has no such option; "},
      {"macvlan",
       {{"uplinks", "eth0"}},
       "read the option `uplinks`: driver macvlan has no such option, driver bridge, vde, ovs has it; "
       "Options of "
       "driver macvlan: driver, network, parent, host_iface, mtu, com.docker.network.driver.mtu, "
       "macvlan_mode, com.docker.network.container_iface_prefix, "
       "com.docker.network.container_interface_prefix, com.docker.network.advertise_addr_nmsgs, "
       "com.docker.network.advertise_addr_ms, macvlan.mode"},
      {"macvlan",
       {{"macvlan_mod", "vepa"}},
       "read the option `macvlan_mod`: driver macvlan has no such option; did you mean `macvlan_mode`? "},
      // Drivers.
      {"",
       {{"driver", "brigde"}},
       "read the option `driver`: there is no driver `brigde`; did you mean `bridge`? Drivers are: bridge, "
       "vde, macvlan, ipvlan, ovs"},
      {"", {{"driver", ""}}, "read the option `driver`: there is no driver ``; Drivers are: "},
      {"vde",
       {{"driver", "macvlan"}},
       "read the option `driver`: it says `macvlan`, and the plugin that was called makes networks of driver "
       "vde only; leave the option away"},
  };
  for (const Bad& bad : bads) {
    const std::string said = fault(request(bad.options), bad.driver);
    EXPECT_EQ(said.substr(0, bad.words.size()), bad.words) << said;
  }
}

TEST(DockerNetworkOptions, CanNameADeclaredNetworkInstead) {
  Json json = request({{"network", "lab"}, {"com.docker.network.container_iface_prefix", "lan"}});
  json["IPv4Data"] = Json::parse(R"([{"Pool":"10.0.0.0/24","Gateway":"10.0.0.1/24"}])");
  for (const char* driver : {"", "vde"}) {
    const DockerNetwork network = must_read(json, driver);
    EXPECT_EQ(network.view_of, "lab");
    NetworkSpec of_plugin;
    of_plugin.driver = driver;
    EXPECT_TRUE(network.spec == of_plugin);
    EXPECT_EQ(network.interface_prefix, "lan");
    EXPECT_EQ(network.pools.size(), 1U);
  }
  EXPECT_EQ(fault(request({{"network", "a b"}})), "read the option `network`: `a b` is no name of a network");
  EXPECT_EQ(fault(request({{"network", ""}})), "read the option `network`: `` is no name of a network");
  EXPECT_NE(fault(request({{"network", "lab"}, {"com.docker.network.container_iface_prefix", ""}}))
                .find("must not be empty"),
            std::string::npos);
  for (const char* other : {"driver", "parent", "mtu", "hub", "vde.hub", "macvlan_mode", "nonsense",
                            "com.docker.network.bridge.enable_icc"}) {
    EXPECT_EQ(
        fault(request({{"network", "lab"}, {other, "true"}})),
        std::string("read the option `") + other +
            "`: it cannot be given together with option `network`: the network `lab` is as it is declared; "
            "leave one of them away");
  }
}

// ---- what Docker adds by itself

IpPrefix prefix(const std::string& text) {
  return IpPrefix::parse(text).value();
}
IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}

TEST(DockerNetworkRequest, PoolsAreSubnets) {
  Json json = request({{"parent", "eth0"}});
  json["IPv6Data"] = Json::parse(R"([{"Pool":"fd18::/64","Gateway":"fd18::1/64"}])");
  json["IPv4Data"] = Json::parse(R"([
    {"AddressSpace":"LocalDefault","Pool":"192.168.222.0/24","Gateway":"192.168.222.1/24",
     "AuxAddresses":{"exclude2":"192.168.222.2/24","printer":"192.168.222.9/24"}},
    {"AddressSpace":"LocalDefault","Pool":"192.168.224.0/24"}])");
  const DockerNetwork network = must_read(json, "macvlan");
  const std::vector<DockerPool> pools{
      {"LocalDefault",
       prefix("192.168.222.0/24"),
       prefix("192.168.222.1/24"),
       {{"exclude2", prefix("192.168.222.2/24")}, {"printer", prefix("192.168.222.9/24")}}},
      {"LocalDefault", prefix("192.168.224.0/24"), {}, {}},
      {"", prefix("fd18::/64"), prefix("fd18::1/64"), {}}};
  EXPECT_TRUE(network.pools == pools);
  const std::vector<Subnet> subnets{{prefix("192.168.222.0/24"),
                                     ip("192.168.222.1"),
                                     {},
                                     {{"exclude2", ip("192.168.222.2")}, {"printer", ip("192.168.222.9")}}},
                                    {prefix("192.168.224.0/24"), {}, {}, {}},
                                    {prefix("fd18::/64"), ip("fd18::1"), {}, {}}};
  EXPECT_TRUE(network.spec.subnets == subnets) << to_json(network.spec);
  EXPECT_EQ(network.spec.parent, "eth0");
}

TEST(DockerNetworkRequest, TheNullIpamHasNoPools) {
  Json json = request({});
  json["IPv4Data"] =
      Json::parse(R"([{"AddressSpace":"null","Pool":"0.0.0.0/0","Gateway":"","AuxAddresses":null}])");
  json["IPv6Data"] = Json::parse(R"([{"AddressSpace":"null","Pool":"::/0"}])");
  EXPECT_TRUE(must_read(json, "vde").pools.empty());
  EXPECT_TRUE(must_read(json, "vde").spec == spec("vde"));
}

TEST(DockerNetworkRequest, InternalNetworksHaveNoWayOut) {
  for (const char* driver : {"macvlan", "ipvlan", "bridge", "vde"}) {
    Json json = request({});
    json["Options"]["com.docker.network.internal"] = true;
    const DockerNetwork network = must_read(json, driver);
    EXPECT_TRUE(network.internal) << driver;
    EXPECT_EQ(network.spec.internal, std::string(driver).ends_with("vlan")) << driver;
    json["Options"]["com.docker.network.internal"] = false;
    EXPECT_FALSE(must_read(json, driver).internal);
    EXPECT_FALSE(must_read(json, driver).spec.internal);
  }
}

TEST(DockerNetworkRequest, ManyThingsMayBeAbsent) {
  EXPECT_TRUE(must_read({{"NetworkID", kId}}).spec == spec("bridge"));
  EXPECT_TRUE(must_read({{"NetworkID", "n1"}, {"Options", nullptr}, {"IPv4Data", nullptr}}).spec ==
              spec("bridge"));
  EXPECT_TRUE(must_read({{"NetworkID", kId}, {"Options", {{"com.docker.network.generic", nullptr}}}}).spec ==
              spec("bridge"));
  EXPECT_TRUE(must_read({{"NetworkID", kId},
                         {"Options",
                          {{"com.docker.network.enable_ipv4", true},
                           {"com.docker.network.of.tomorrow", {{"a", 1}}}}}})
                  .spec == spec("bridge"));
}

TEST(DockerNetworkRequest, NamesTheFieldThatIsWrong) {
  const auto with = [](const std::string& text) {
    Json json = Json::parse(text);
    json["NetworkID"] = kId;
    return json;
  };
  const std::vector<std::pair<std::string, std::string>> wrong{
      {R"({"Options":[]})", "Options: it must be an object, not array"},
      {R"({"Options":{"com.docker.network.generic":"x"}})",
       "Options.com.docker.network.generic: it must be an object of texts, not string"},
      {R"({"Options":{"com.docker.network.generic":{"mtu":1500}}})",
       "Options.com.docker.network.generic.mtu: it must be a text, not number"},
      {R"({"Options":{"com.docker.network.internal":"yes"}})",
       "Options.com.docker.network.internal: it must be true or false, not string"},
      {R"({"Options":{"com.docker.network.enable_ipv6":1}})",
       "Options.com.docker.network.enable_ipv6: it must be true or false, not number"},
      {R"({"Options":{"com.docker.network.enable_ipv4":"x"}})",
       "Options.com.docker.network.enable_ipv4: it must be true or false, not string"},
      {R"({"Options":{"parent":"eth0"}})", "Options.parent: it is unknown"},
      {R"({"IPv4Data":{}})", "IPv4Data: it must be a list, not object"},
      {R"({"IPv6Data":"x"})", "IPv6Data: it must be a list, not string"},
      {R"({"IPv4Data":["x"]})", "IPv4Data[0]: it must be an object, not string"},
      {R"({"IPv4Data":[{}]})", "IPv4Data[0].Pool: it is missing"},
      {R"({"IPv4Data":[{"Pool":""}]})", "IPv4Data[0].Pool: it is missing"},
      {R"({"IPv4Data":[{"Pool":7}]})", "IPv4Data[0].Pool: it must be a text, not number"},
      {R"({"IPv4Data":[{"Pool":"10.0.0.0"}]})",
       "IPv4Data[0].Pool: `10.0.0.0` is no IP address with a prefix length"},
      {R"({"IPv4Data":[{"Pool":"fd00::/64"}]})",
       "IPv4Data[0].Pool: fd00::/64 is of the other address family"},
      {R"({"IPv6Data":[{"Pool":"10.0.0.0/8"}]})",
       "IPv6Data[0].Pool: 10.0.0.0/8 is of the other address family"},
      {R"({"IPv4Data":[{"Pool":"10.0.0.0/24"},{"Pool":"10.1.0.0/24","Gateway":"x"}]})",
       "IPv4Data[1].Gateway: `x` is no IP address with a prefix length"},
      {R"({"IPv4Data":[{"Pool":"10.0.0.0/24","Gateway":"10.0.1.1/24"}]})",
       "IPv4Data[0].Gateway: 10.0.1.1/24 is outside of 10.0.0.0/24"},
      {R"({"IPv4Data":[{"Pool":"10.0.0.0/24","AuxAddresses":[]}]})",
       "IPv4Data[0].AuxAddresses: it must be an object of texts, not array"},
      {R"({"IPv4Data":[{"Pool":"10.0.0.0/24","AuxAddresses":{"a":"10.0.0.7"}}]})",
       "IPv4Data[0].AuxAddresses.a: `10.0.0.7` is no IP address with a prefix length"},
      {R"({"IPv4Data":[{"Pool":"10.0.0.0/24","AuxAddresses":{"a":"10.1.0.7/24"}}]})",
       "IPv4Data[0].AuxAddresses.a: 10.1.0.7/24 is outside of 10.0.0.0/24"},
  };
  for (const auto& [text, words] : wrong) EXPECT_EQ(fault(with(text)), "read the field " + words);
  EXPECT_EQ(fault(Json::object()), "read the field NetworkID: it is missing");
  EXPECT_EQ(fault({{"NetworkID", ""}}), "read the field NetworkID: it is missing");
  EXPECT_EQ(fault({{"NetworkID", 5}}), "read the field NetworkID: it must be a text, not number");
  EXPECT_EQ(fault({{"NetworkID", "../etc"}}), "read the field NetworkID: `../etc` is no id");
  EXPECT_EQ(fault({{"NetworkID", std::string(65, 'a')}}).find("read the field NetworkID: `aaa"), 0U);
}

TEST(DockerNetworkRequest, WhatTheFormatCannotSayIsRefused) {
  Json json = request({});
  json["IPv4Data"] = Json::parse(R"([{"Pool":"10.0.0.0/24","Gateway":"10.0.0.255/24"}])");
  EXPECT_EQ(fault(json),
            "make the network: subnets[0].gateway: gateway 10.0.0.255 is the network or broadcast address of "
            "10.0.0.0/24");
  json["IPv4Data"] = Json::parse(R"([{"Pool":"10.0.0.0/24"},{"Pool":"10.0.0.128/25"}])");
  EXPECT_NE(fault(json).find("subnet 10.0.0.128/25 overlaps 10.0.0.0/24"), std::string::npos) << fault(json);
}

// ---- endpoints

Json endpoint(const Json& interface, const Json& options = Json::object()) {
  return {{"NetworkID", kId}, {"EndpointID", "e1"}, {"Interface", interface}, {"Options", options}};
}

std::string endpoint_fault(const Json& json) {
  const auto read = docker::docker_endpoint_from(json);
  if (read) return "no error";
  EXPECT_EQ(read.error().kind, ErrorKind::invalid);
  return read.error().text();
}

std::string mac_of(const Json& options, const std::string& given = "") {
  const auto read = docker::docker_endpoint_from(
      endpoint({{"Address", ""}, {"AddressIPv6", ""}, {"MacAddress", given}}, options));
  if (!read) return read.error().text();
  EXPECT_EQ(read->mac_given, !given.empty());
  return read->mac ? read->mac->text() : "";
}

TEST(DockerEndpointRequest, HasAddresses) {
  const auto read = docker::docker_endpoint_from(endpoint(
      {{"Address", "10.0.0.2/24"}, {"AddressIPv6", "fd00::2/64"}, {"MacAddress", "02:42:0a:00:00:02"}}));
  ASSERT_TRUE(read) << read.error().text();
  DockerEndpoint expected;
  expected.network = kId;
  expected.id = "e1";
  expected.addresses = {prefix("10.0.0.2/24"), prefix("fd00::2/64")};
  expected.mac = MacAddress::parse("02:42:0a:00:00:02");
  expected.mac_given = true;
  EXPECT_TRUE(*read == expected);
}

TEST(DockerEndpointRequest, MayHaveNone) {
  for (const Json& json : {endpoint(Json::object()), endpoint(nullptr, nullptr),
                           Json{{"NetworkID", kId}, {"EndpointID", "e1"}}}) {
    const auto read = docker::docker_endpoint_from(json);
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_TRUE(read->addresses.empty());
    EXPECT_FALSE(read->mac);
    EXPECT_FALSE(read->mac_given);
  }
}

TEST(DockerEndpointRequest, OptionsGiveTheMacAddress) {
  const Json docker{{"com.docker.network.endpoint.macaddress", "AkIKAAAC"}};
  EXPECT_EQ(mac_of(docker), "02:42:0a:00:00:02");
  EXPECT_EQ(mac_of({{"com.docker.network.endpoint.macaddress", "/v+/+/8+"}}), "fe:ff:bf:fb:ff:3e");
  EXPECT_EQ(mac_of({{"com.docker.network.endpoint.macaddress", "02:00:00:00:00:07"}}), "02:00:00:00:00:07");
  EXPECT_EQ(mac_of({{"com.docker.network.endpoint.macaddress", nullptr}}), "");
  const Json kathara{{"kathara.mac_addr", "00:00:00:00:00:01"}};
  EXPECT_EQ(mac_of(kathara), "00:00:00:00:00:01");
  // The example of its plugin's documentation.
  const Json derived{{"kathara.machine", "container"}, {"kathara.iface", "1"}, {"kathara.link", "A"}};
  EXPECT_EQ(mac_of(derived), "b6:88:c2:19:86:5f");
  EXPECT_EQ(mac_of({{"kathara.iface", "1"}, {"kathara.link", "A"}}), "")
      << "as Kathara says it when it wants none";
  // Docker's own first, then what says the most.
  Json all = docker;
  all.update(kathara);
  all.update(derived);
  EXPECT_EQ(mac_of(all, "02:00:00:00:00:99"), "02:00:00:00:00:99");
  EXPECT_EQ(mac_of(all), "02:42:0a:00:00:02");
  all.erase("com.docker.network.endpoint.macaddress");
  EXPECT_EQ(mac_of(all), "00:00:00:00:00:01");
  all.erase("kathara.mac_addr");
  EXPECT_EQ(mac_of(all), "b6:88:c2:19:86:5f");
}

TEST(DockerEndpointRequest, WhatIsDockersOwnIsLeftAlone) {
  const Json options = Json::parse(R"({"com.docker.network.endpoint.exposedports":[{"Proto":6,"Port":80}],
    "com.docker.network.portmap":[{"Proto":6,"IP":"","Port":80,"HostIP":"","HostPort":8080,"HostPortEnd":8080}],
    "com.docker.network.endpoint.dnsservers":["1.1.1.1"],
    "com.docker.network.endpoint.sysctls":"net.ipv6.conf.IFNAME.disable_ipv6=1"})");
  EXPECT_EQ(mac_of(options), "");
}

TEST(DockerEndpointRequest, WhatOfKatharasIsNotKnownIsSaidToBeIgnored) {
  const auto read = docker_endpoint_from(
      endpoint(Json::object(), {{"kathara.colour", "red"}, {"kathara.mac_addr", "02:00:00:00:00:07"}}));
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->ignored, std::vector<std::string>{"kathara.colour"});
  EXPECT_EQ(read->mac->text(), "02:00:00:00:00:07");
}

TEST(DockerEndpointRequest, OptionsNameTheInterface) {
  const auto read = docker::docker_endpoint_from(
      endpoint(Json::object(), {{"com.docker.network.endpoint.ifname", "lan0"}}));
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->interface, "lan0");
}

TEST(DockerEndpointRequest, InterfacesThatCannotBeAreTold) {
  const std::string name = "com.docker.network.endpoint.ifname";
  for (const auto& [value, words] : std::map<std::string, std::string>{
           {"a-very-long-name", "the name `a-very-long-name` is longer than 15 bytes"},
           {"a/b", "the name `a/b` has a `/` in it"},
           {"a b", "the name `a b` has a blank or control character in it"},
           {"eth%d", "the name `eth%d` has a `%` in it"},
           {"..", "the name `..` is not allowed by the kernel"},
           {"lo", "every container has an interface `lo` already"}}) {
    const auto read = docker::docker_endpoint_from(endpoint(Json::object(), {{name, value}}));
    ASSERT_FALSE(read) << value;
    EXPECT_EQ(read.error().text(), "read the option `" + name + "`: " + words);
  }
}

constexpr const char* kSysctls = "com.docker.network.endpoint.sysctls";

TEST(DockerEndpointRequest, OptionsSetTheInterface) {
  const auto read = docker::docker_endpoint_from(
      endpoint(Json::object(),
               {{kSysctls,
                 "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.neigh.ifname.base_reachable_time_ms=2000,"
                 "net.mpls.conf.IFNAME.input=1,net.ipv6.conf.IFNAME.stable_secret=fd00::1"}}));
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->sysctls, (std::vector<Sysctl>{{"net.ipv4.conf.IFNAME.log_martians", "1"},
                                                {"net.ipv6.neigh.IFNAME.base_reachable_time_ms", "2000"},
                                                {"net.mpls.conf.IFNAME.input", "1"},
                                                {"net.ipv6.conf.IFNAME.stable_secret", "fd00::1"}}));
  EXPECT_TRUE(docker::docker_endpoint_from(endpoint(Json::object(), {{kSysctls, ""}}))->sysctls.empty());
}

TEST(DockerEndpointRequest, WhatIsNoSettingOfAnInterfaceIsTold) {
  for (const std::string wrong :
       {"net.ipv4.conf.eth0.log_martians=1", "net.ipv4.conf.all.log_martians=1", "net.ipv4.ip_forward=1",
        "kernel.core_pattern=x", "net.ipv4.conf.IFNAME.log_martians", "net.ipv4.conf.IFNAME.log_martians=",
        "net.ipv4.conf.IFNAME.=1", "net.ipv4.conf.IFNAME=1", "net.ipv4.conf.IFNAME.a.b=1",
        "net.ipv4.conf.IFNAME.../all/forwarding=1", "net.ipv4.conf.IFNAME.x=1 2", "net.ipv4.route.IFNAME.x=1",
        "net.core.conf.IFNAME.x=1", "ipv4.conf.IFNAME.x=1", "=", ".", "net.ipv6.conf.", "net.ipv6."}) {
    const auto read = docker::docker_endpoint_from(
        endpoint(Json::object(), {{kSysctls, "net.ipv4.conf.IFNAME.rp_filter=1," + wrong}}));
    ASSERT_FALSE(read) << wrong;
    EXPECT_EQ(read.error().text(),
              "read the option `" + std::string(kSysctls) + "`: `" + wrong +
                  "` is no setting of an interface; write it like net.ipv4.conf.IFNAME.log_martians=1, with "
                  "ipv4, ipv6 or mpls, conf or neigh, and IFNAME whatever the interface is called; several "
                  "with commas between them");
  }
}

TEST(DockerEndpointRequest, WrongOptionsAreTold) {
  const std::string options =
      "Options are: com.docker.network.endpoint.macaddress, com.docker.network.endpoint.ifname, "
      "com.docker.network.endpoint.sysctls, kathara.mac_addr, kathara.machine, kathara.iface, kathara.link";
  const std::vector<std::pair<Json, std::string>> wrong{
      {{{"katharamac_addr", "x"}},
       "read the option `katharamac_addr`: endpoints have no such option; did you mean `kathara.mac_addr`? " +
           options},
      {{{"colour", "red"}}, "read the option `colour`: endpoints have no such option; " + options},
      {{{"kathara.mac_addr", "x"}},
       "read the option `kathara.mac_addr`: `x` is no MAC address; write it like 02:00:00:00:01:01"},
      {{{"kathara.mac_addr", "AkIKAAAC"}},
       "read the option `kathara.mac_addr`: `AkIKAAAC` is no MAC address; write it like 02:00:00:00:01:01"},
      {{{"kathara.mac_addr", "01:00:5e:00:00:01"}},
       "read the option `kathara.mac_addr`: `01:00:5e:00:00:01` is a multicast address; the lowest bit of "
       "the first byte must be 0"},
      {{{"kathara.mac_addr", "00:00:00:00:00:00"}},
       "read the option `kathara.mac_addr`: `00:00:00:00:00:00` is all zeros"},
      {{{"kathara.mac_addr", 5}}, "read the option `kathara.mac_addr`: it must be a text, not number"},
      {{{"kathara.machine", 5}}, "read the option `kathara.machine`: it must be a text, not number"},
      {{{"kathara.machine", "r1"}, {"kathara.iface", 0}},
       "read the option `kathara.iface`: it must be a text, not number"},
      {{{"kathara.machine", "r1"}},
       "read the option `kathara.machine`: it derives a MAC address together with option `kathara.iface`, "
       "which is missing"},
      {{{"com.docker.network.endpoint.macaddress", "AkIKAAA="}},
       "read the option `com.docker.network.endpoint.macaddress`: `AkIKAAA=` is no MAC address; write it "
       "like 02:00:00:00:01:01"},
      {{{"com.docker.network.endpoint.macaddress", "AkIKAAACAk"}},
       "read the option `com.docker.network.endpoint.macaddress`: `AkIKAAACAk` is no MAC address; write it "
       "like 02:00:00:00:01:01"},
      {{{"com.docker.network.endpoint.macaddress", "AQBeAAAB"}},
       "read the option `com.docker.network.endpoint.macaddress`: `AQBeAAAB` is a multicast address; the "
       "lowest bit of the first byte must be 0"},
  };
  for (const auto& [given, words] : wrong) {
    EXPECT_EQ(mac_of(given), words);
    EXPECT_EQ(mac_of(given, "02:00:00:00:00:99"), words) << "even when it is not needed";
  }
}

TEST(DockerEndpointRequest, NamesTheFieldThatIsWrong) {
  const std::vector<std::pair<Json, std::string>> wrong{
      {{{"EndpointID", "e1"}}, "NetworkID: it is missing"},
      {{{"NetworkID", kId}}, "EndpointID: it is missing"},
      {{{"NetworkID", kId}, {"EndpointID", "e/1"}}, "EndpointID: `e/1` is no id"},
      {endpoint("x"), "Interface: it must be an object, not string"},
      {endpoint(Json::object(), "x"), "Options: it must be an object, not string"},
      {endpoint({{"Address", 7}}), "Interface.Address: it must be a text, not number"},
      {endpoint({{"Address", "10.0.0.2"}}),
       "Interface.Address: `10.0.0.2` is no IP address with a prefix length"},
      {endpoint({{"Address", "fd00::2/64"}}), "Interface.Address: fd00::2/64 is of the other address family"},
      {endpoint({{"AddressIPv6", "10.0.0.2/24"}}),
       "Interface.AddressIPv6: 10.0.0.2/24 is of the other address family"},
      {endpoint({{"MacAddress", "x"}}),
       "Interface.MacAddress: `x` is no MAC address; write it like 02:00:00:00:01:01"},
      {endpoint({{"MacAddress", "ff:ff:ff:ff:ff:ff"}}),
       "Interface.MacAddress: `ff:ff:ff:ff:ff:ff` is a multicast address; the lowest bit of the first byte "
       "must be 0"},
      {endpoint({{"MacAddress", "00:00:00:00:00:00"}}),
       "Interface.MacAddress: `00:00:00:00:00:00` is all zeros"},
  };
  for (const auto& [json, words] : wrong) EXPECT_EQ(endpoint_fault(json), "read the field " + words);
}

}  // namespace
}  // namespace lanwright::docker
