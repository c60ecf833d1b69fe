// LANs of containers as users ask Docker for them: what is in the container, what answers, and that nothing
// is left.
#include <gtest/gtest.h>

#include <map>

#include "tests/docker/host.h"
#include "tests/integration/product.h"
#include "tests/integration/traffic.h"

namespace lanwright::test {
namespace {

class DockerNetwork : public testing::Test {
 protected:
  // As -o: the parent of a macvlan, the uplink of others.
  static Words with(const std::string& parent, Words options) {
    options.insert(options.end(), {"-o", "parent=" + parent});
    return options;
  }

  // What the agent says of Docker's network.
  void expect_shown(const std::string& network, const std::string& kind) {
    if (tests_dockers_own()) return;
    const Json shown = host_.agent().cli_json({"get", "networks", host_.network_id(network)});
    const Json& object = shown.is_array() ? shown.at(0) : shown;
    EXPECT_EQ(object.at("set"), "docker");
    EXPECT_EQ(object.at("spec").at("driver"), kind);
    EXPECT_EQ(object.at("status").at("phase"), "Ready") << object;
  }
  void expect_shown(const std::string& container, const std::string& network, const std::string& kind) {
    if (tests_dockers_own()) return;
    const Json object = object_of(host_.agent(), "attachments", host_.endpoint_id(container, network));
    EXPECT_EQ(object.at("set"), "docker");
    EXPECT_EQ(object.at("spec").at("network"), host_.network_id(network));
    const Json& docker = object.at("spec").at("docker");
    EXPECT_EQ(docker.at("network"), host_.docker().inspect(network).at("Id"));
    EXPECT_EQ(short_id(docker.at("endpoint")), host_.endpoint_id(container, network));
    EXPECT_EQ(docker.at("sandbox"), host_.netns(container));
    EXPECT_TRUE(wait_until([&] { return host_.phase_of_attachment(container, network) == "Ready"; }))
        << kind << object;
  }

  DockerHost host_;
};

// --- one LAN, from its making to its end ---

TEST_F(DockerNetwork, IsALanWithAGatewayOutside) {
  host_.add_parent("p0", "router", {"10.5.0.1/24"});
  const Json before = host_.inventory();
  for (const std::string& kind : kinds()) {
    SCOPED_TRACE(kind);
    host_.create(kind, "lan", with("p0", {"--subnet", "10.5.0.0/24", "--gateway", "10.5.0.1"}));
    expect_shown("lan", kind);
    host_.run("c1", "lan");
    host_.run("c2", "lan");
    expect_shown("c1", "lan", kind);
    expect_shown("c2", "lan", kind);
    EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
    EXPECT_TRUE(ping(host_.netns("c1"), "10.5.0.1"));
    EXPECT_TRUE(tcp(host_.netns("c1"), host_.netns("c2"), host_.address("c2", "lan")));
    EXPECT_EQ(host_.default_route("c1"), "10.5.0.1");
    EXPECT_EQ(host_.interfaces("c1"), Words{"eth0"});
    EXPECT_FALSE(host_.sandbox().link("docker_gwbridge"));
    const Finished by_name = host_.docker().docker({"exec", "c1", "ping", "-c", "1", "c2"});
    EXPECT_TRUE(by_name.ok()) << by_name.text();

    const std::string last = host_.address("c2", "lan");
    host_.docker().ask({"stop", "c2"});
    EXPECT_TRUE(no_ping(host_.netns("c1"), last));
    host_.remove({"c1", "c2"});
    host_.remove_networks({"lan"});
    EXPECT_TRUE(host_.is_as_before(before));
  }
}

// What Docker has no rule for, it drops, bridged packets as well where they are subject to the firewall.
TEST_F(DockerNetwork, ABridgePassesDockersFirewall) {
  if (tests_dockers_own()) GTEST_SKIP() << "its bridges have addresses of the host's";
  host_.create("bridge", "lan", {"--ipv6", "--subnet", "10.5.0.0/24", "--subnet", "fd05::/64"});
  host_.run("c1", "lan");
  host_.run("c2", "lan", {"--ip6", "fd05::99"});
  EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
  EXPECT_TRUE(ping(host_.netns("c1"), "fd05::99"));
  // It writes its rules anew, and so may the agent.
  host_.docker().restart();
  host_.restart_killed_agent();
  host_.docker().ask({"start", "c1", "c2"});
  EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
}

TEST_F(DockerNetwork, InternalHasNoWayOut) {
  const Json before = host_.inventory();
  for (const std::string& kind : kinds()) {
    SCOPED_TRACE(kind);
    // On this kernel there may be no dummy to stand on.
    const bool needs_parent = kind == "macvlan";
    if (needs_parent) host_.add_parent("p0", "router");
    const Words options{"--internal", "--subnet", "10.5.0.0/24", "--gateway", "10.5.0.1"};
    host_.create(kind, "lan", needs_parent ? with("p0", options) : options);
    host_.run("c1", "lan");
    host_.run("c2", "lan");
    EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
    EXPECT_EQ(host_.default_route("c1"), "");
    EXPECT_EQ(host_.interfaces("c1"), Words{"eth0"});
    host_.remove({"c1", "c2"});
    host_.remove_networks({"lan"});
    if (needs_parent) host_.sandbox().ip("link del p0");
    EXPECT_TRUE(host_.is_as_before(before));
  }
}

// A gateway that nobody named, nobody has: the error comes at once, and no second interface.
TEST_F(DockerNetwork, AGatewayThatNobodyNamedIsNotHandedOut) {
  if (tests_dockers_own()) GTEST_SKIP() << "the host is its gateway";
  for (const std::string kind : {"bridge", "vde"}) {
    SCOPED_TRACE(kind);
    for (const bool named : {false, true}) {
      Words options{"--ipam-driver", "lanwright", "--subnet", "10.5.0.0/24"};
      if (named) options.insert(options.end(), {"--gateway", "10.5.0.1"});
      host_.create(kind, "lan", options);
      host_.run("c1", "lan");
      EXPECT_EQ(host_.default_route("c1"), named ? "10.5.0.1" : "");
      EXPECT_EQ(host_.interfaces("c1"), Words{"eth0"});
      if (!named) {
        const Finished out = host_.docker().docker({"exec", "c1", "ping", "-c", "1", "192.0.2.1"});
        EXPECT_NE(out.text().find("Network is unreachable"), std::string::npos) << out.text();
      }
      host_.remove({"c1"});
      host_.remove_networks({"lan"});
    }
    // An older Docker's own IPAM does not say that it chose it; a newer one chooses none.
    host_.create(kind, "lan", {"--subnet", "10.5.0.0/24"});
    const std::string events = host_.agent().get_json("/v1/events?limit=100").dump();
    const bool told = events.find("containers get a default route via 10.5.0.1") != std::string::npos;
    EXPECT_EQ(told, !host_.engine().asks_of_gateways) << events;
    host_.remove_networks({"lan"});
  }
}

TEST_F(DockerNetwork, HasTheMtuOfItsOption) {
  host_.add_parent("p0", "router");
  for (const std::string& kind : kinds()) {
    SCOPED_TRACE(kind);
    host_.create(kind, "lan",
                 with("p0", {"--subnet", "10.5.0.0/24", "-o", "com.docker.network.driver.mtu=1400"}));
    host_.run("c1", "lan");
    const int mtu = host_.ip_in("c1", "link show dev eth0").at(0).at("mtu");
    EXPECT_EQ(mtu, tests_dockers_own() ? 1500 : 1400);  // Docker's own macvlan does not look at it
    host_.remove({"c1"});
    host_.remove_networks({"lan"});
  }
}

TEST_F(DockerNetwork, InUseIsNotRemoved) {
  host_.add_parent("p0", "router");
  host_.create("macvlan", "lan", with("p0", {"--subnet", "10.5.0.0/24"}));
  host_.run("c1", "lan");
  host_.run("c2", "lan");
  const Finished refused = host_.docker().docker({"network", "rm", "lan"});
  EXPECT_FALSE(refused.ok());
  EXPECT_NE(refused.err.find("has active endpoints"), std::string::npos) << refused.text();
  EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
  expect_shown("lan", "macvlan");
}

// --- macvlan ---

TEST_F(DockerNetwork, MacvlanModesAreTheKernels) {
  host_.add_parent("p0", "router", {"10.5.0.1/24"});
  const Json before = host_.inventory();
  for (const std::string mode : {"", "bridge", "private", "vepa"}) {
    SCOPED_TRACE(mode);
    Words options{"--subnet", "10.5.0.0/24", "--gateway", "10.5.0.1"};
    if (!mode.empty()) options.insert(options.end(), {"-o", "macvlan_mode=" + mode});
    host_.create("macvlan", "lan", with("p0", options));
    host_.run("c1", "lan");
    host_.run("c2", "lan");
    const Json link = host_.ip_in("c1", "link show dev eth0").at(0);
    EXPECT_EQ(link.at("linkinfo").at("info_kind"), "macvlan");
    EXPECT_EQ(link.at("linkinfo").at("info_data").at("mode"), mode.empty() ? "bridge" : mode);
    EXPECT_TRUE(ping(host_.netns("c1"), "10.5.0.1"));
    if (mode.empty() || mode == "bridge")
      EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
    else  // what goes out does not come back: the neighbour is no switch that turns frames around
      EXPECT_TRUE(no_ping(host_.netns("c1"), host_.address("c2", "lan")));
    host_.remove({"c1", "c2"});
    host_.remove_networks({"lan"});
    EXPECT_TRUE(host_.is_as_before(before));
  }
}

TEST_F(DockerNetwork, PassthruIsForOne) {
  host_.add_parent("p0", "router", {"10.5.0.1/24"});
  const Json before = host_.inventory();
  host_.create(
      "macvlan", "lan",
      with("p0", {"--subnet", "10.5.0.0/24", "--gateway", "10.5.0.1", "-o", "macvlan_mode=passthru"}));
  host_.run("c1", "lan");
  const Json link = host_.ip_in("c1", "link show dev eth0").at(0);
  EXPECT_EQ(link.at("linkinfo").at("info_data").at("mode"), "passthru");
  EXPECT_TRUE(ping(host_.netns("c1"), "10.5.0.1"));

  const Json with_one = host_.inventory();
  const Finished second = host_.docker().docker({"run", "-d", "--name", "c2", "--network", "lan", "busybox"});
  EXPECT_FALSE(second.ok());
  if (!tests_dockers_own()) {
    EXPECT_NE(second.err.find("passthru"), std::string::npos) << second.text();
  }
  host_.remove({"c2"});
  EXPECT_TRUE(host_.is_as_before(with_one));
  EXPECT_TRUE(ping(host_.netns("c1"), "10.5.0.1"));

  // Its place is free again afterwards.
  host_.remove({"c1"});
  host_.run("c3", "lan");
  EXPECT_TRUE(ping(host_.netns("c3"), "10.5.0.1"));
  host_.remove({"c3"});
  host_.remove_networks({"lan"});
  EXPECT_TRUE(host_.is_as_before(before));
}

TEST_F(DockerNetwork, TheHostReachesMacvlanByALinkOfItsOwn) {
  host_.add_parent("p0", "router");
  host_.sandbox().ip("addr add 10.5.0.2/24 dev p0");
  host_.create("macvlan", "lan",
               with("p0", {"--subnet", "10.5.0.0/24", "--ip-range", "10.5.0.192/27", "--aux-address",
                           "host=10.5.0.223"}));
  host_.run("c1", "lan");
  EXPECT_TRUE(no_ping(host_.netns("c1"), "10.5.0.2"));
  host_.sandbox().ip("link add shim link p0 type macvlan mode bridge");
  host_.sandbox().ip("addr add 10.5.0.223/32 dev shim");
  host_.sandbox().ip("link set shim up");
  host_.sandbox().ip("route add 10.5.0.192/27 dev shim");
  EXPECT_TRUE(ping("", host_.address("c1", "lan")));
  EXPECT_TRUE(ping(host_.netns("c1"), "10.5.0.223"));
  host_.remove({"c1"});
  host_.remove_networks({"lan"});
  EXPECT_TRUE(host_.sandbox().link("shim"));
}

// --- mistakes ---

// Each is told in other words, and nothing is left of it.
TEST_F(DockerNetwork, MistakesAreToldApart) {
  host_.add_parent("p0", "router");
  for (const std::string kind : {"macvlan", "ipvlan"}) {
    SCOPED_TRACE(kind);
    const std::map<std::string, std::string> mistakes{
        {kind + "_mode=foo", "requested " + kind + " mode 'foo' is not valid"},
        {"parent=lo", "loopback interface is not a valid " + kind + " parent link"},
        {"parent=p0.0", "vlan id must be between 1-4094, received: 0"},
        {"parent=p0.4095", "vlan id must be between 1-4094, received: 4095"},
        {"parent=p0.x", tests_dockers_own() ? "vlan id from: x" : "p0.x"},
        {"parent=p0.5.x", "p0.5.x"},
        {"parent=nope.5", "nope"},
        {"parent=nope", "nope"},
    };
    std::map<std::string, std::string> told;
    for (const auto& [option, words] : mistakes) {
      Words options{"--subnet", "10.5.0.0/24", "-o", option};
      if (!option.starts_with("parent")) options = with("p0", options);
      const std::string error = host_.refused(kind, options);
      EXPECT_NE(error.find(words), std::string::npos) << option << ": " << error;
      const auto [place, is_new] = told.emplace(error, option);
      EXPECT_TRUE(is_new) << option << " is told as " << place->second << " is: " << error;
    }
  }
}

// Docker's own takes these for others' business.
TEST_F(DockerNetwork, OptionsThatNobodyKnowsAreRefused) {
  if (tests_dockers_own()) GTEST_SKIP() << "it takes them all";
  host_.add_parent("p0", "router");
  const std::string unknown =
      host_.refused("macvlan", with("p0", {"--subnet", "10.5.0.0/24", "-o", "macvlan_mod=bridge"}));
  EXPECT_NE(unknown.find("macvlan_mode"), std::string::npos) << unknown;
  const std::string elsewhere =
      host_.refused("vde", {"--subnet", "10.5.0.0/24", "-o", "macvlan_mode=bridge"});
  EXPECT_NE(elsewhere.find("macvlan_mode"), std::string::npos) << elsewhere;
  const std::string no_number =
      host_.refused("bridge", {"--subnet", "10.5.0.0/24", "-o", "com.docker.network.driver.mtu=big"});
  EXPECT_NE(no_number.find("big"), std::string::npos) << no_number;
}

TEST_F(DockerNetwork, WhatCannotShareAParentIsRefusedAtOnce) {
  if (tests_dockers_own()) GTEST_SKIP() << "Docker's own tells it when a container starts";
  host_.add_parent("p0", "router");
  host_.create("macvlan", "lan", with("p0", {"--subnet", "10.5.0.0/24"}));
  const std::string beside = host_.refused("ipvlan", with("p0", {"--subnet", "10.6.0.0/24"}));
  EXPECT_NE(beside.find("p0"), std::string::npos) << beside;
  const std::string passthru =
      host_.refused("macvlan", with("p0", {"--subnet", "10.7.0.0/24", "-o", "macvlan_mode=passthru"}));
  EXPECT_NE(passthru.find("p0"), std::string::npos) << passthru;
  host_.remove_networks({"lan"});
}

TEST_F(DockerNetwork, AVlanThatThisKernelCannotMakeIsRefused) {
  if (tests_dockers_own()) GTEST_SKIP() << "it says less";
  host_.add_parent("p0", "router");
  if (host_.sandbox().try_ip("link add link p0 name p0.7 type vlan id 7")) GTEST_SKIP() << "it can";
  for (const std::string kind : {"macvlan", "ipvlan"}) {
    const std::string error = host_.refused(kind, with("p0.50", {"--subnet", "10.5.0.0/24"}));
    for (const char* word : {"p0.50", "8021q"}) EXPECT_NE(error.find(word), std::string::npos) << error;
  }
}

TEST_F(DockerNetwork, OneNameServesAllDrivers) {
  if (tests_dockers_own()) GTEST_SKIP() << "a plugin's own";
  host_.add_parent("p0", "router");
  const Json before = host_.inventory();
  for (const std::string& kind : kinds()) {
    SCOPED_TRACE(kind);
    Words create{"network",  "create",      "-d", "lanwright", "-o", "driver=" + kind,
                 "--subnet", "10.5.0.0/24", "-o", "parent=p0", "lan"};
    host_.docker().ask(create);
    expect_shown("lan", kind);
    host_.run("c1", "lan");
    host_.run("c2", "lan");
    EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
    host_.remove({"c1", "c2"});
    host_.remove_networks({"lan"});
    EXPECT_TRUE(host_.is_as_before(before));
  }
}

// --- addresses ---

TEST_F(DockerNetwork, AddressesComeFromSeveralSubnetsOfBothFamilies) {
  const Json before = host_.inventory();
  host_.add_parent("p0", "router", {"10.5.0.1/24", "10.6.0.1/24", "fd05::1/64"});
  const Words options{"--ipv6",        "--subnet",       "10.5.0.0/24",   "--gateway",      "10.5.0.1",
                      "--subnet",      "10.6.0.0/24",    "--gateway",     "10.6.0.1",       "--subnet",
                      "fd05::/64",     "--gateway",      "fd05::1",       "--ip-range",     "10.5.0.128/29",
                      "--aux-address", "one=10.5.0.129", "--aux-address", "two=10.5.0.130", "--aux-address",
                      "six=fd05::2"};
  for (const std::string& kind : kinds()) {
    SCOPED_TRACE(kind);
    host_.create(kind, "lan", with("p0", options));
    std::set<std::string> given;
    for (const std::string name : {"c1", "c2", "c3"}) {
      host_.run(name, "lan");
      const std::string address = host_.address(name, "lan");
      EXPECT_TRUE(address != "10.5.0.129" && address != "10.5.0.130") << address;
      // Docker's client gives the subnets in any order; the range is of one of them.
      const bool first = address.starts_with("10.5.0.1");
      EXPECT_TRUE(first || address.starts_with("10.6.0.")) << address;
      EXPECT_EQ(host_.default_route(name), first ? "10.5.0.1" : "10.6.0.1");
      EXPECT_TRUE(given.insert(address).second) << address;
    }
    EXPECT_EQ(host_.default_route("c1", true), "fd05::1");

    host_.run("second", "lan", {"--ip", "10.6.0.9", "--ip6", "fd05::99"});
    EXPECT_EQ(host_.address("second", "lan"), "10.6.0.9");
    EXPECT_EQ(host_.default_route("second"), "10.6.0.1");
    EXPECT_TRUE(ping(host_.netns("second"), "10.6.0.1"));
    EXPECT_TRUE(ping(host_.netns("c1"), "fd05::99"));
    EXPECT_TRUE(ping(host_.netns("c1"), "fd05::1"));

    const auto refused = [&](const Words& address) {
      Words command{"run", "-d", "--name", "none", "--network", "lan"};
      command.insert(command.end(), address.begin(), address.end());
      command.emplace_back("busybox");
      const Finished result = host_.docker().docker(command);
      EXPECT_FALSE(result.ok());
      host_.docker().docker({"rm", "-f", "none"});
      return result.err;
    };
    const std::string in_use = refused({"--ip", "10.6.0.9"});
    EXPECT_NE(in_use.find("Address already in use"), std::string::npos) << in_use;
    const std::string outside = refused({"--ip", "10.9.0.9"});
    const bool told =
        outside.find("does not belong to any of this network's subnets") != std::string::npos ||
        outside.find("no configured subnet or ip-range contain the IP address") != std::string::npos;
    EXPECT_TRUE(told) << outside;
    host_.remove({"c1", "c2", "c3", "second"});
    host_.remove_networks({"lan"});
  }
  host_.sandbox().ip("link del p0");
  EXPECT_TRUE(host_.is_as_before(before));
}

TEST_F(DockerNetwork, MacAddressesAreAsSaidOrStable) {
  host_.add_parent("p0", "router");
  for (const std::string& kind : kinds()) {
    SCOPED_TRACE(kind);
    host_.create(kind, "lan", with("p0", {"--subnet", "10.5.0.0/24"}));
    // The client that comes first on PATH may be too new to say it.
    const Json wanted{{"Image", "busybox"},
                      {"StopSignal", "KILL"},
                      {"MacAddress", "02:00:00:00:07:01"},
                      {"HostConfig", {{"NetworkMode", "lan"}}}};
    ASSERT_EQ(host_.docker().api("POST", "/containers/create?name=c1", wanted).status, 201);
    host_.docker().ask({"start", "c1"});
    EXPECT_EQ(host_.mac("c1"), "02:00:00:00:07:01");
    host_.run("c2", "lan", {"--ip", "10.5.0.77"});
    const auto told = [&] {
      const Json networks = host_.docker().inspect("c2").at("NetworkSettings").at("Networks");
      return networks.at("lan").at("MacAddress").get<std::string>();
    };
    const std::string first = host_.mac("c2");
    EXPECT_EQ(told(), first);
    host_.docker().ask({"restart", "c2"});
    EXPECT_EQ(host_.mac("c2"), told());
    EXPECT_EQ(host_.mac("c2"), first);
    EXPECT_TRUE(host_.reach_each_other("c1", "c2", "lan"));
    host_.remove({"c1", "c2"});
    host_.remove_networks({"lan"});
  }
}

// --- containers that come and go ---

TEST_F(DockerNetwork, InterfacesComeAndGoInARunningContainer) {
  host_.add_parent("p0", "router");
  host_.add_parent("p1", "router1");
  const Json empty = host_.inventory();
  for (const std::string& kind : kinds()) {
    SCOPED_TRACE(kind);
    host_.create(kind, "one", with("p0", {"--subnet", "10.5.0.0/24"}));
    host_.create(kind, "two", with("p1", {"--subnet", "10.6.0.0/24"}));
    host_.run("c1", "one");
    host_.run("c2", "two");
    const Json before = host_.inventory();
    const auto process = host_.docker().inspect("c1").at("State").at("Pid");
    for (int round = 0; round < 2; ++round) {
      host_.docker().ask({"network", "connect", "--ip", "10.6.0.50", "two", "c1"});
      const int number = host_.engine().fills_gaps ? 1 : 1 + round;  // an older Docker counts
      EXPECT_EQ(host_.interfaces("c1"), (Words{"eth0", "eth" + std::to_string(number)}));
      EXPECT_TRUE(ping(host_.netns("c2"), "10.6.0.50"));
      expect_shown("c1", "two", kind);
      host_.docker().ask({"network", "disconnect", "two", "c1"});
      EXPECT_EQ(host_.interfaces("c1"), Words{"eth0"});
      EXPECT_TRUE(host_.is_as_before(before));
    }
    EXPECT_EQ(host_.docker().inspect("c1").at("State").at("Pid"), process);
    host_.remove({"c1", "c2"});
    host_.remove_networks({"one", "two"});
    EXPECT_TRUE(host_.is_as_before(empty));
  }
}

TEST_F(DockerNetwork, TheEndOfAContainerIsTheEndOfItsAttachment) {
  host_.add_parent("p0", "router");
  for (const std::string& kind : kinds()) {
    SCOPED_TRACE(kind);
    host_.create(kind, "lan", with("p0", {"--subnet", "10.5.0.0/24"}));
    const Json before = host_.inventory();
    host_.docker().run_container("short", {.network = "lan", .command = {"true"}});
    EXPECT_TRUE(wait_until([&] { return !host_.docker().is_running("short"); }));
    EXPECT_TRUE(host_.is_as_before(before));
    // What cannot be started leaves nothing either.
    EXPECT_FALSE(host_.docker().docker({"run", "--network", "lan", "busybox", "/no/such/program"}).ok());
    EXPECT_TRUE(host_.is_as_before(before));
    host_.remove({"short"});
    host_.remove_networks({"lan"});
  }
}

}  // namespace
}  // namespace lanwright::test
