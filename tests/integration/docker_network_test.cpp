// Docker's protocol of network drivers with the real agent and real links: the test says what dockerd says,
// and does with the links what dockerd does.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "tests/integration/harness.h"
#include "tests/integration/kernel_facts.h"
#include "tests/integration/libnetwork.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

const std::string kLan(64, 'a');
const std::string kOtherLan(64, 'b');
const std::string kUnknown(64, 'd');
const std::string kFirst(64, 'e');
const std::string kSecond(64, 'f');

const std::string kIfname = "com.docker.network.endpoint.ifname";
const std::string kSysctls = "com.docker.network.endpoint.sysctls";

// An id that differs from others in the digits that Docker shows.
std::string id_of(char kind, std::size_t number) {
  const std::string digits = std::to_string(number);
  return std::string(12 - digits.size(), kind) + digits + std::string(52, kind);
}

Json about(const std::string& network, const std::string& endpoint, const Json& more = Json::object()) {
  Json body{{"NetworkID", network}, {"EndpointID", endpoint}};
  body.update(more);
  return body;
}
Json endpoint_at(const std::string& network, const std::string& endpoint, const std::string& address,
                 const std::string& address6 = "", const std::string& mac = "") {
  return about(network, endpoint,
               {{"Interface", {{"Address", address}, {"AddressIPv6", address6}, {"MacAddress", mac}}},
                {"Options", Json::object()}});
}

// The host's p0, whose cable ends at eth0 of the namespace "router" (10.5.0.1, fd05::1).
class NetworkDriver : public testing::Test {
 protected:
  explicit NetworkDriver(std::string kind = "bridge", const Engine& engine = kDocker20)
      : kind_(std::move(kind)), engine_(engine) {
    sandbox_.add_netns("router");
    sandbox_.ip("link add p0 type veth peer name eth0 netns router");
    sandbox_.ip("-n router addr add 10.5.0.1/24 dev eth0");
    sandbox_.ip("-n router addr add fd05::1/64 dev eth0 nodad");
    sandbox_.ip("-n router link set eth0 up");
    sandbox_.ip("link set p0 up");
    agent_.emplace(sandbox_);
    wait_until([&] { return is_settled("p0"); });
    before_ = inventory();
  }

  // ---- Docker's side of the socket

  HttpAnswer send(const std::string& call, const std::string& body) const {
    return send_call(agent_->docker_socket("lanwright-" + kind_), call, body);
  }
  Json say(const std::string& call, const Json& body) const {
    const HttpAnswer answer = send(call, body.dump());
    EXPECT_EQ(answer.status, 200) << call << answer.body;
    return Json::parse(answer.body, nullptr, false);
  }
  // As Docker does when it believes that the first was lost.
  Json say_twice(const std::string& call, const Json& body) const {
    Json first = say(call, body);
    EXPECT_EQ(say(call, body), first) << call;
    return first;
  }
  void done(const std::string& call, const Json& body) const {
    EXPECT_EQ(say(call, body), Json::object()) << call;
  }
  // What Docker shows of an error.
  std::string refused(const std::string& call, const Json& body) const {
    const Json answer = say(call, body);
    EXPECT_EQ(answer.size(), 1U) << call << answer;
    return answer.value("Err", "accepted: " + answer.dump());
  }
  void expect_refused(const std::string& call, const Json& body, const Words& words) const {
    const std::string error = refused(call, body);
    EXPECT_EQ(error.find("accepted: "), std::string::npos) << call << body;
    for (const std::string& word : words) EXPECT_NE(error.find(word), std::string::npos) << error;
  }

  // `docker network create --ipv6`, with p0 as the way out.
  Json lan(const Texts& options = {{"parent", "p0"}}) const {
    const Json pool{{"AddressSpace", "LocalDefault"}, {"Pool", "10.5.0.0/24"}, {"Gateway", "10.5.0.1/24"}};
    const Json pool6{{"AddressSpace", "LocalDefault"}, {"Pool", "fd05::/64"}, {"Gateway", "fd05::1/64"}};
    Json all = generic_options(options);
    all["com.docker.network.enable_ipv6"] = true;
    if (engine_.asks_of_gateways) all["com.docker.network.enable_ipv4"] = true;
    return {{"NetworkID", kLan}, {"Options", all}, {"IPv4Data", {pool}}, {"IPv6Data", {pool6}}};
  }
  // One of several beside each other; an uplink is of one bridge only.
  Json small_lan(const std::string& id, std::size_t number) const {
    const std::string subnet = "10.6." + std::to_string(number) + ".";
    const Json pool{
        {"AddressSpace", "LocalDefault"}, {"Pool", subnet + "0/24"}, {"Gateway", subnet + "1/24"}};
    return {{"NetworkID", id},
            {"Options", generic_options(kind_ == "macvlan" ? Texts{{"parent", "p0"}} : Texts{})},
            {"IPv4Data", {pool}},
            {"IPv6Data", Json::array()}};
  }
  // Also makes the sandbox, where Docker does so before it says this.
  Json joining(const std::string& network, const std::string& endpoint, const std::string& netns) const {
    if (engine_.has_sandbox_first) make_sandbox(sandbox_, engine_, netns);
    return about(network, endpoint, {{"SandboxKey", "/run/netns/" + netns}, {"Options", Json::object()}});
  }

  // ---- what Docker does with the link that a Join names

  // A container with 10.5.0.HOST and fd05::HOST, from its creation to its first packet. Answers the name of
  // its link.
  std::string start_container(const std::string& netns, const std::string& endpoint,
                              const std::string& host) const {
    const Words addresses{"10.5.0." + host + "/24", "fd05::" + host + "/64"};
    const Json created =
        say_twice("CreateEndpoint", endpoint_at(kLan, endpoint, addresses.at(0), addresses.at(1)));
    EXPECT_EQ(created.at("Interface").size(), 1U) << "what Docker gave is told again: " << created;
    const Json joined = say_twice("Join", joining(kLan, endpoint, netns));
    std::string link = joined.at("InterfaceName").at("SrcName");
    EXPECT_EQ(joined.at("InterfaceName").at("DstPrefix"), "eth");
    EXPECT_EQ(joined.at("Gateway"), "10.5.0.1");
    EXPECT_EQ(joined.at("GatewayIPv6"), "fd05::1");
    expect_handed(link, created.at("Interface").at("MacAddress"));
    make_sandbox(sandbox_, engine_, netns);
    take_link_in(sandbox_, link, netns, "eth0", addresses);
    done("ProgramExternalConnectivity", about(kLan, endpoint, {{"Options", Json::object()}}));
    return link;
  }
  // The same of one that asks for more, by which Docker calls its interface so.
  void take_in(const std::string& netns, const std::string& endpoint, const std::string& host,
               const Texts& options, const std::string& interface) const {
    const Words addresses{"10.5.0." + host + "/24", "fd05::" + host + "/64"};
    Json asked = endpoint_at(kLan, endpoint, addresses.at(0), addresses.at(1));
    asked["Options"] = options;
    say_twice("CreateEndpoint", asked);
    const Json names = say_twice("Join", joining(kLan, endpoint, netns)).at("InterfaceName");
    const auto name = options.find(kIfname);
    EXPECT_EQ(names.value("DstName", "none"), name == options.end() ? "none" : name->second);
    make_sandbox(sandbox_, engine_, netns);
    take_link_in(sandbox_, names.at("SrcName"), netns, interface, addresses);
    if (options.contains(kSysctls)) set_sysctls(netns, interface, options.at(kSysctls));
  }
  void stop_container(const std::string& netns, const std::string& endpoint, const std::string& link) const {
    EXPECT_EQ(say_twice("RevokeExternalConnectivity", about(kLan, endpoint)), Json::object());
    EXPECT_EQ(say_twice("Leave", about(kLan, endpoint)), Json::object());
    give_link_back(sandbox_, link, netns, "eth0");
    EXPECT_EQ(say_twice("DeleteEndpoint", about(kLan, endpoint)), Json::object());
    EXPECT_FALSE(sandbox_.link(link));
    sandbox_.delete_netns(netns);
  }
  // As Docker takes it: there when Join is answered, not up yet, and with the MAC address that was told.
  void expect_handed(const std::string& name, const std::string& mac) const {
    const auto link = sandbox_.link(name);
    ASSERT_TRUE(link) << name;
    EXPECT_EQ(link->at("address"), mac);
    EXPECT_EQ(link->at("operstate"), "DOWN");
    EXPECT_TRUE(link->at("addr_info").empty()) << *link;
  }

  // ---- what is there

  bool is_settled(const std::string& name) const {
    const auto link = sandbox_.link(name);
    if (!link) return false;
    for (const Json& address : link->at("addr_info"))
      if (address.contains("tentative")) return false;
    return link->at("operstate") == "UP" && !link->at("addr_info").empty();
  }
  // Links of the host with all that the kernel says of them, and the agent's objects. Not what passed: each
  // link that comes up tells its neighbours so, at a time of its own.
  Json inventory() const {
    Json now = facts_of(sandbox_);
    for (const char* kinds : {"networks", "attachments", "switches"})
      now[kinds] = agent_->get_json(std::string("/v1/") + kinds);
    for (Json& each : now["switches"]) {
      for (Json& port : each["ports"]) {
        for (const char* counter : {"receivedFrames", "receivedBytes", "sentFrames", "sentBytes"})
          port.erase(counter);
      }
    }
    return now;
  }
  testing::AssertionResult nothing_is_left() const {
    Json now;
    if (wait_until([&] { return (now = inventory()) == before_; })) return testing::AssertionSuccess();
    return testing::AssertionFailure() << differences(before_, now);
  }
  bool has_event(const std::string& type, const std::string& words) const {
    return std::ranges::any_of(agent_->get_json("/v1/events"), [&](const Json& event) {
      return event.at("type") == type &&
             event.at("message").get<std::string>().find(words) != std::string::npos;
    });
  }
  int index_of(const std::string& link, const std::string& netns = "") const {
    return sandbox_.link(link, netns).value().at("ifindex");
  }
  std::set<std::string> objects(const std::string& kinds) const {
    std::set<std::string> names;
    for (const Json& object : agent_->get_json("/v1/" + kinds)) names.insert(object.at("name"));
    return names;
  }
  testing::AssertionResult reach_each_other(const std::string& one, const std::string& its,
                                            const std::string& other, const std::string& others) const {
    for (const std::string net : {"10.5.0.", "fd05::"}) {
      if (auto there = ping(one, net + others); !there) return there;
      if (auto back = ping(other, net + its); !back) return back;
    }
    return testing::AssertionSuccess();
  }

  // Does it on so many threads, which begin at once as far as they can.
  static void at_once(std::size_t threads, const std::function<void(std::size_t)>& work) {
    std::atomic<std::size_t> waiting = threads;
    std::vector<std::jthread> all;
    for (std::size_t i = 0; i < threads; ++i) {
      all.emplace_back([&, i] {
        --waiting;
        while (waiting != 0) std::this_thread::yield();
        try {
          work(i);
        } catch (const std::exception& failed) {
          ADD_FAILURE() << "thread " << i << ": " << failed.what();
        }
      });
    }
  }

  const std::string kind_;
  const Engine engine_;
  const Sandbox sandbox_;
  std::optional<AgentProcess> agent_;
  Json before_;
};

class EachDriver : public NetworkDriver, public testing::WithParamInterface<KindAndEngine> {
 protected:
  EachDriver() : NetworkDriver(GetParam().first, GetParam().second) {}
};

// ---- one LAN, from its making to its end; each call is made twice

TEST_P(EachDriver, MakesALanOfTwoContainersAndALanOutside) {
  EXPECT_EQ(say_twice("GetCapabilities", Json::object()),
            (Json{{"Scope", "local"}, {"ConnectivityScope", "local"}, {"GwAllocChecker", true}}));
  EXPECT_EQ(say_twice("GwAllocCheck", {{"Options", generic_options({{"parent", "p0"}})}}),
            (Json{{"SkipIPv4", true}, {"SkipIPv6", true}}));
  EXPECT_EQ(say_twice("CreateNetwork", lan()), Json::object());
  EXPECT_EQ(phase_of(*agent_, "networks", short_id(kLan)), "Ready") << "when Docker is answered";
  const std::string one = start_container("c1", kFirst, "11");
  const std::string other = start_container("c2", kSecond, "12");
  EXPECT_NE(one, other);
  EXPECT_TRUE(reach_each_other("c1", "11", "c2", "12"));
  EXPECT_TRUE(reach_each_other("c1", "11", "router", "1"));
  EXPECT_TRUE(reaches(*agent_, "attachments", short_id(kFirst), "Ready"));

  stop_container("c2", kSecond, other);
  EXPECT_TRUE(no_ping("c1", "10.5.0.12"));
  EXPECT_TRUE(reach_each_other("c1", "11", "router", "1"));
  // Its address comes back with another endpoint, as of a container that is started again.
  const std::string again = start_container("c2", kUnknown, "12");
  EXPECT_TRUE(reach_each_other("c1", "11", "c2", "12"));
  stop_container("c2", kUnknown, again);
  stop_container("c1", kFirst, one);
  EXPECT_EQ(say_twice("DeleteNetwork", {{"NetworkID", kLan}}), Json::object());
  EXPECT_TRUE(nothing_is_left());
}

TEST_P(EachDriver, TellsOfAnEndpointWhatItIs) {
  done("CreateNetwork", lan());
  const std::string link = start_container("c1", kFirst, "11");
  const Json value{{"lanwright.attachment", short_id(kFirst)},
                   {"lanwright.interface", "eth0"},
                   {"lanwright.network", short_id(kLan)}};
  EXPECT_TRUE(wait_until([&] {
    return say("EndpointOperInfo", about(kLan, kFirst)) == Json{{"Value", value}};
  })) << say("EndpointOperInfo", about(kLan, kFirst));
  EXPECT_EQ(say_twice("EndpointOperInfo", about(kLan, kFirst)), (Json{{"Value", value}}));
}

// ---- what the container asks for by options

TEST_P(EachDriver, AnInterfaceIsCalledAsTheContainerAsks) {
  done("CreateNetwork", lan());
  take_in("c1", kFirst, "11", {{kIfname, "lan0"}}, "lan0");
  EXPECT_TRUE(reaches(*agent_, "attachments", short_id(kFirst), "Ready"));
  EXPECT_TRUE(ping("c1", "10.5.0.1"));

  // Of two there is room for one, whoever has it.
  const auto refused_as = [&](const std::string& name, const std::string& holder) {
    Json endpoint = endpoint_at(kLan, kSecond, "10.5.0.12/24", "fd05::12/64");
    endpoint["Options"][kIfname] = name;
    say("CreateEndpoint", endpoint);
    expect_refused("Join", joining(kLan, kSecond, "c1"), {name, "taken", holder, "ifname"});
    done("DeleteEndpoint", about(kLan, kSecond));
  };
  refused_as("lan0", short_id(kFirst));
  sandbox_.ip("-n c1 link add mine0 type veth peer name mine1");
  EXPECT_TRUE(converges(*agent_));
  refused_as("mine0", "ifindex");

  agent_->kill();
  agent_.reset();
  sandbox_.ip("-n c1 link del lan0");
  EXPECT_FALSE(sandbox_.link("lan0", "c1"));
  agent_.emplace(sandbox_);
  EXPECT_TRUE(reaches(*agent_, "attachments", short_id(kFirst), "Ready"));
  EXPECT_TRUE(sandbox_.link("lan0", "c1"));
  EXPECT_TRUE(reach_each_other("c1", "11", "router", "1"));
}

TEST_P(EachDriver, ADockerThatNamesItOtherwiseIsTold) {
  done("CreateNetwork", lan());
  take_in("c1", kFirst, "11", {{kIfname, "lan0"}}, "eth0");
  EXPECT_TRUE(reaches(*agent_, "attachments", short_id(kFirst), "Ready"));
  EXPECT_TRUE(wait_until([&] { return has_event("Warning", "Docker called it eth0"); }));
}

// All that the kernel has of one below /proc/sys/net, by its place there.
Texts settings_of(const std::string& netns, const std::string& interface) {
  Texts settings;
  in_netns(netns, [&] {
    for (const std::string place : {"ipv4/conf/", "ipv4/neigh/", "ipv6/conf/", "ipv6/neigh/"}) {
      for (const auto& file : std::filesystem::directory_iterator("/proc/sys/net/" + place + interface)) {
        std::ifstream reader(file.path());
        std::getline(reader, settings[place + file.path().filename().string()]);
      }
    }
  });
  return settings;
}

// The link goes, in a sandbox of a Docker that leaves IPv6 to each interface, and is back with all of it.
TEST_P(EachDriver, SettingsOfAnInterfaceComeBackWithIt) {
  done("CreateNetwork", lan());
  const Texts settings{
      {kSysctls,
       "net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.neigh.IFNAME.base_reachable_time_ms=7000,"
       "net.ipv6.conf.IFNAME.accept_ra=0,net.ipv6.conf.IFNAME.forwarding=1"}};
  take_in("c1", kFirst, "11", settings, "eth0");
  const auto lose_and_return = [&] {
    EXPECT_TRUE(reaches(*agent_, "attachments", short_id(kFirst), "Ready"));
    const Texts before = settings_of("c1", "eth0");
    const int index = index_of("eth0", "c1");
    sandbox_.ip("-n c1 link del eth0");
    ASSERT_TRUE(wait_until([&] {
      const auto link = sandbox_.link("eth0", "c1");
      return link && link->at("ifindex") != index;
    }));
    EXPECT_TRUE(reaches(*agent_, "attachments", short_id(kFirst), "Ready"));
    EXPECT_EQ(settings_of("c1", "eth0"), before);
  };
  lose_and_return();
  EXPECT_TRUE(reach_each_other("c1", "11", "router", "1"));
  agent_->kill();
  agent_.reset();
  agent_.emplace(sandbox_);
  // As a container runtime lets it see them.
  for (const Words& how : {Words{"mount", "--bind", "/proc/sys", "/proc/sys"},
                           Words{"mount", "-o", "remount,bind,ro", "/proc/sys"}})
    ASSERT_TRUE(run(how).ok());
  lose_and_return();
  Json again = endpoint_at(kLan, kFirst, "10.5.0.11/24", "fd05::11/64");
  expect_refused("CreateEndpoint", again, {"it is there already, with other"});
  again["Options"] = settings;
  say("CreateEndpoint", again);
  again["Options"][kSysctls] = "net.ipv4.conf.all.forwarding=1";
  again["EndpointID"] = kSecond;
  expect_refused("CreateEndpoint", again, {"net.ipv4.conf.all.forwarding=1", "IFNAME"});
}

// Such an interface has no IPv6, whatever its network has.
TEST_P(EachDriver, AnInterfaceWithoutIpv6ComesBackWithout) {
  done("CreateNetwork", lan());
  take_in("c1", kFirst, "11", {{kSysctls, "net.ipv6.conf.IFNAME.disable_ipv6=1"}}, "eth0");
  say("CreateEndpoint", endpoint_at(kLan, kSecond, "10.5.0.12/24"));
  const Json joined = say("Join", joining(kLan, kSecond, "c2"));
  make_sandbox(sandbox_, engine_, "c2");
  take_link_in(sandbox_, joined.at("InterfaceName").at("SrcName"), "c2", "eth0", {"10.5.0.12/24"});
  for (const auto& [netns, endpoint] : {std::pair("c1", kFirst), std::pair("c2", kSecond)}) {
    SCOPED_TRACE(netns);
    EXPECT_TRUE(reaches(*agent_, "attachments", short_id(endpoint), "Ready"));
    const Texts before = settings_of(netns, "eth0");
    EXPECT_EQ(before.at("ipv6/conf/disable_ipv6"), "1");
    const int index = index_of("eth0", netns);
    sandbox_.ip("-n " + std::string(netns) + " link del eth0");
    ASSERT_TRUE(wait_until([&] {
      const auto link = sandbox_.link("eth0", netns);
      return link && link->at("ifindex") != index;
    }));
    EXPECT_TRUE(reaches(*agent_, "attachments", short_id(endpoint), "Ready"));
    EXPECT_EQ(settings_of(netns, "eth0"), before);
    EXPECT_TRUE(ping(netns, "10.5.0.1"));
  }
}

// ---- networks as newer versions of Docker make them

// Without IPv4, and for two (RFC 3021, RFC 6164): no address is set aside in either.
TEST_P(EachDriver, NetworksOfOneFamilyAndOfTwoMembersCarryTraffic) {
  struct Kind {
    const char* pools;
    const char* subnet;
    const char* one;
    const char* other;
    const char* length;
  };
  const std::vector<Kind> kinds{{"IPv6Data", "fd06::/64", "fd06::11", "fd06::12", "/64"},
                                {"IPv6Data", "fd06::/127", "fd06::", "fd06::1", "/127"},
                                {"IPv4Data", "10.6.0.0/31", "10.6.0.0", "10.6.0.1", "/31"}};
  for (const Kind& each : kinds) {
    SCOPED_TRACE(each.subnet);
    const bool v6 = std::string(each.pools) == "IPv6Data";
    Json network{{"NetworkID", kLan}, {"Options", generic_options({{"parent", "p0"}})}};
    network["Options"]["com.docker.network.enable_ipv4"] = !v6;
    network["Options"]["com.docker.network.enable_ipv6"] = v6;
    network[each.pools] = Json::array({Json{{"AddressSpace", "LocalDefault"}, {"Pool", each.subnet}}});
    done("CreateNetwork", network);
    std::map<std::string, std::string> links;
    for (const auto& [netns, endpoint, address] :
         {std::tuple("c1", kFirst, each.one), std::tuple("c2", kSecond, each.other)}) {
      const std::string whole = address + std::string(each.length);
      done("CreateNetwork", network);
      say("CreateEndpoint", endpoint_at(kLan, endpoint, v6 ? "" : whole, v6 ? whole : ""));
      const Json joined = say("Join", joining(kLan, endpoint, netns));
      EXPECT_FALSE(joined.contains("Gateway") || joined.contains("GatewayIPv6")) << joined;
      EXPECT_EQ(joined.value("DisableGatewayService", false), true) << joined;
      make_sandbox(sandbox_, engine_, netns);
      take_link_in(sandbox_, links[netns] = joined.at("InterfaceName").at("SrcName"), netns, "eth0", {whole});
      EXPECT_TRUE(reaches(*agent_, "attachments", short_id(endpoint), "Ready"));
    }
    EXPECT_TRUE(ping("c1", each.other));
    EXPECT_TRUE(ping("c2", each.one));
    stop_container("c1", kFirst, links.at("c1"));
    stop_container("c2", kSecond, links.at("c2"));
    done("DeleteNetwork", {{"NetworkID", kLan}});
    EXPECT_TRUE(nothing_is_left());
  }
}

// Docker says it again after a pause; the container is at work meanwhile.
TEST_P(EachDriver, WhatIsSaidAgainDisturbsNobody) {
  done("CreateNetwork", lan());
  const std::string one = start_container("c1", kFirst, "11");
  start_container("c2", kSecond, "12");
  EXPECT_TRUE(reaches(*agent_, "attachments", short_id(kFirst), "Ready"));
  EXPECT_TRUE(reaches(*agent_, "attachments", short_id(kSecond), "Ready"));
  const Json facts = facts_of_all(sandbox_, {"", "c1", "c2"});
  LinkWatcher inside("c1");
  Stream stream("c1", "c2", "10.5.0.12");
  done("CreateNetwork", lan());
  const Json created = say_twice("CreateEndpoint", endpoint_at(kLan, kFirst, "10.5.0.11/24", "fd05::11/64"));
  EXPECT_EQ(created.at("Interface").at("MacAddress"), sandbox_.link("eth0", "c1")->at("address"));
  const Json joined = say_twice("Join", joining(kLan, kFirst, "c1"));
  EXPECT_EQ(joined.at("InterfaceName").at("SrcName"), one);
  EXPECT_TRUE(converges(*agent_));
  EXPECT_EQ(stream.stop().lost(), 0U);
  for (const Notice& notice : inside.take()) EXPECT_NE(notice.name, "eth0") << "it was changed";
  EXPECT_EQ(differences(facts, facts_of_all(sandbox_, {"", "c1", "c2"})), "");
}

// As their own plugin takes it: a newer Kathara may say more.
TEST_P(EachDriver, OptionsOfKatharasThatAreNotKnownAreTakenWithAWarning) {
  Json network = lan();
  network["Options"]["com.docker.network.generic"]["kathara.colour"] = "red";
  done("CreateNetwork", network);
  Json endpoint = endpoint_at(kLan, kFirst, "10.5.0.11/24", "fd05::11/64");
  endpoint["Options"] = {{"kathara.shape", "round"}};
  EXPECT_FALSE(say("CreateEndpoint", endpoint).contains("Err"));
  for (const char* option : {"kathara.colour", "kathara.shape"})
    EXPECT_NE(agent_->log().find("option=" + std::string(option)), std::string::npos) << agent_->log();
  network["NetworkID"] = kOtherLan;
  network["Options"]["com.docker.network.generic"]["colour"] = "red";
  EXPECT_NE(refused("CreateNetwork", network).find("colour"), std::string::npos);
  endpoint["EndpointID"] = kSecond;
  endpoint["Options"] = {{"colour", "red"}};
  EXPECT_NE(refused("CreateEndpoint", endpoint).find("colour"), std::string::npos);
}

TEST_P(EachDriver, WhatWasAnsweredHoldsOverAKill) {
  done("CreateNetwork", lan());
  const Json endpoint = endpoint_at(kLan, kFirst, "10.5.0.11/24", "fd05::11/64");
  const Json created = say("CreateEndpoint", endpoint);
  const Json joined = say("Join", joining(kLan, kFirst, "c1"));
  const std::string link = joined.at("InterfaceName").at("SrcName");
  const int index = index_of(link);
  agent_->kill();
  agent_.reset();
  agent_.emplace(sandbox_);
  done("CreateNetwork", lan());
  EXPECT_EQ(say("CreateEndpoint", endpoint), created);
  EXPECT_EQ(say("Join", joining(kLan, kFirst, "c1")), joined);
  EXPECT_EQ(index_of(link), index) << "it is another link";
  make_sandbox(sandbox_, engine_, "c1");
  take_link_in(sandbox_, link, "c1", "eth0", {"10.5.0.11/24", "fd05::11/64"});
  EXPECT_TRUE(reach_each_other("c1", "11", "router", "1"));
  stop_container("c1", kFirst, link);
  done("DeleteNetwork", {{"NetworkID", kLan}});
  EXPECT_TRUE(nothing_is_left());
}

// ---- removal

TEST_P(EachDriver, WhatIsNotThereIsLeftAndRemovedAllTheSame) {
  done("CreateNetwork", lan());
  const Json with_lan = inventory();
  for (const std::string& network : {kLan, kUnknown}) {
    for (const char* call : {"Leave", "RevokeExternalConnectivity", "DeleteEndpoint"})
      EXPECT_EQ(say_twice(call, about(network, kUnknown)), Json::object()) << call;
  }
  EXPECT_EQ(say_twice("DeleteNetwork", {{"NetworkID", kUnknown}}), Json::object());
  EXPECT_EQ(say_twice("FreeNetwork", {{"NetworkID", kUnknown}}), Json::object());
  EXPECT_EQ(differences(with_lan, inventory()), "");
  done("DeleteNetwork", {{"NetworkID", kLan}});
  EXPECT_TRUE(nothing_is_left());
}

TEST_P(EachDriver, ALinkThatDockerDidNotGiveBackIsRemovedWhereItIs) {
  done("CreateNetwork", lan());
  start_container("c1", kFirst, "11");
  start_container("c2", kSecond, "12");
  EXPECT_TRUE(reaches(*agent_, "attachments", short_id(kFirst), "Ready"));
  done("Leave", about(kLan, kFirst));
  done("DeleteEndpoint", about(kLan, kFirst));
  EXPECT_TRUE(wait_until([&] { return sandbox_.links("c1").empty(); })) << "it is inside still";
  sandbox_.delete_netns("c2");  // as of a container whose Docker died
  done("Leave", about(kLan, kSecond));
  done("DeleteEndpoint", about(kLan, kSecond));
  done("DeleteNetwork", {{"NetworkID", kLan}});
  EXPECT_TRUE(nothing_is_left());
}

// Of a Docker that forgot them, the endpoints go with their network.
TEST_P(EachDriver, ANetworkTakesItsEndpointsWithIt) {
  done("CreateNetwork", lan());
  for (const std::string& endpoint : {kFirst, kSecond}) {
    const std::string address = endpoint == kFirst ? "10.5.0.11/24" : "10.5.0.12/24";
    say("CreateEndpoint", endpoint_at(kLan, endpoint, address));
    const Json joined = say("Join", joining(kLan, endpoint, "c1"));
    EXPECT_TRUE(sandbox_.link(joined.at("InterfaceName").at("SrcName")));
  }
  done("DeleteNetwork", {{"NetworkID", kLan}});
  EXPECT_TRUE(nothing_is_left());
  done("DeleteEndpoint", about(kLan, kFirst));
  expect_refused("Join", joining(kLan, kSecond, "c1"), {"the agent does not know it"});
}

// ---- mistakes

TEST_P(EachDriver, WhatCannotBeIsToldAndLeavesNothing) {
  expect_refused("CreateNetwork", lan({{"parnet", "p0"}}),
                 {"`parnet`", "driver " + kind_ + " has no such option", "did you mean `parent`?",
                  "Options of driver " + kind_ + ": ", "com.docker.network.driver.mtu"});
  expect_refused("CreateNetwork", lan({{"mtu", "big"}}),
                 {"`mtu`", "it must be a number of bytes, got `big`"});
  expect_refused("CreateNetwork", lan({{"driver", "ovs"}}),
                 {"`driver`", "`ovs`", "of driver " + kind_ + " only"});
  Json outside = lan();
  outside["IPv4Data"][0]["Gateway"] = "10.9.0.1/24";
  expect_refused("CreateNetwork", outside, {"IPv4Data[0].Gateway: 10.9.0.1/24 is outside of 10.5.0.0/24"});
  expect_refused("CreateEndpoint", endpoint_at(kLan, kFirst, "10.5.0.11/24"),
                 {"Docker's network " + short_id(kLan), "the agent does not know it", "docker network rm"});
  expect_refused("Join", joining(kLan, kFirst, "c1"), {short_id(kLan), "the agent does not know it"});
  expect_refused("EndpointOperInfo", about(kLan, kFirst), {short_id(kFirst), "the agent does not know it"});
  EXPECT_TRUE(nothing_is_left());

  done("CreateNetwork", lan());
  const Json with_lan = inventory();
  expect_refused(
      "Join", joining(kLan, kFirst, "c1"),
      {"Docker's endpoint " + short_id(kFirst), "the agent does not know it", "start the container"});
  expect_refused("EndpointOperInfo", about(kLan, kFirst), {short_id(kFirst), "the agent does not know it"});
  const std::map<std::string, Json> interfaces{
      {"Interface.Address: `10.5.0.300/24` is no IP address", {{"Address", "10.5.0.300/24"}}},
      {"Interface.Address: `10.5.0.11` is no IP address with a prefix length", {{"Address", "10.5.0.11"}}},
      {"Interface.Address: fd05::11/64 is of the other address family", {{"Address", "fd05::11/64"}}},
      {"Interface.AddressIPv6: 10.5.0.11/24 is of the other", {{"AddressIPv6", "10.5.0.11/24"}}},
      {"Interface.MacAddress: `x` is no MAC address", {{"MacAddress", "x"}}},
      {"`01:00:5e:00:00:01` is a multicast address", {{"MacAddress", "01:00:5e:00:00:01"}}},
  };
  for (const auto& [words, interface] : interfaces)
    expect_refused("CreateEndpoint", about(kLan, kFirst, {{"Interface", interface}}), {words});
  expect_refused("CreateEndpoint", about(kLan, kFirst, {{"Options", {{"katharamac_addr", "x"}}}}),
                 {"`katharamac_addr`", "did you mean `kathara.mac_addr`?", "Options are: "});
  EXPECT_EQ(differences(with_lan, inventory()), "");
}

INSTANTIATE_TEST_SUITE_P(Docker, EachDriver,
                         testing::Values(KindAndEngine("bridge", kDocker28),
                                         KindAndEngine("macvlan", kDocker26),
                                         KindAndEngine("vde", kDocker20)),
                         [](const auto& both) { return name_of(both.param); });

// ---- what does not depend on the driver

TEST_F(NetworkDriver, ABodyThatIsNoneIsRefused) {
  for (const char* call :
       {"GwAllocCheck", "CreateNetwork", "DeleteNetwork", "AllocateNetwork", "FreeNetwork", "CreateEndpoint",
        "DeleteEndpoint", "EndpointOperInfo", "Join", "Leave", "ProgramExternalConnectivity",
        "RevokeExternalConnectivity", "DiscoverNew", "DiscoverDelete"}) {
    const Texts bodies{{"", "the body is empty"},
                       {"{\"NetworkID\":", "the body is not JSON: the mistake is at byte"},
                       {"[]", "the body is not a JSON object but array"}};
    for (const auto& [body, words] : bodies) {
      const HttpAnswer answer = send(call, body);
      EXPECT_EQ(answer.status, 400) << call << answer.body;
      EXPECT_EQ(Json::parse(answer.body).at("Err").get<std::string>().find("read the request: " + words), 0U)
          << call << answer.body;
    }
  }
  EXPECT_EQ(send("GetCapabilities", "").status, 200) << "Docker asks it without a body";
  const HttpAnswer unknown = send("Explode", "{}");
  EXPECT_EQ(unknown.status, 404) << unknown.body;
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(NetworkDriver, IdsThatAreMissingOrNoneAreRefused) {
  for (const char* call : {"CreateNetwork", "DeleteNetwork", "AllocateNetwork", "FreeNetwork",
                           "CreateEndpoint", "DeleteEndpoint", "EndpointOperInfo", "Join", "Leave",
                           "ProgramExternalConnectivity", "RevokeExternalConnectivity"}) {
    expect_refused(call, Json::object(), {"NetworkID: it is missing"});
    expect_refused(call, {{"NetworkID", 7}}, {"NetworkID: it must be a text, not number"});
    expect_refused(call, {{"NetworkID", "../x"}}, {"NetworkID: `../x` is no id"});
  }
  for (const char* call : {"CreateEndpoint", "DeleteEndpoint", "EndpointOperInfo", "Join", "Leave",
                           "ProgramExternalConnectivity", "RevokeExternalConnectivity"})
    expect_refused(call, {{"NetworkID", kLan}}, {"EndpointID: it is missing"});
  expect_refused("Join", about(kLan, kFirst), {"SandboxKey: it is missing"});
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(NetworkDriver, SwarmsAreToldThatNetworksAreOfOneHost) {
  expect_refused("AllocateNetwork",
                 {{"NetworkID", kLan}, {"Options", Json::object()}, {"IPv4Data", Json::array()}},
                 {"each is of one host", "--scope local"});
  const Json node{{"DiscoveryType", 1}, {"DiscoveryData", {{"Address", "192.0.2.7"}, {"Self", true}}}};
  EXPECT_EQ(say_twice("DiscoverNew", node), Json::object());
  EXPECT_EQ(say_twice("DiscoverDelete", node), Json::object());
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(NetworkDriver, AnIdIsOneNetwork) {
  done("CreateNetwork", lan());
  const Json with_lan = inventory();
  Json other_pool = lan();
  other_pool["IPv4Data"][0] = {{"Pool", "10.9.0.0/24"}};
  Json internal = lan();
  internal["Options"]["com.docker.network.internal"] = true;
  const Json prefix = lan({{"parent", "p0"}, {"com.docker.network.container_iface_prefix", "lan"}});
  for (const Json& another : {other_pool, internal, prefix})
    expect_refused("CreateNetwork", another, {short_id(kLan), "it is there already, and is another one"});
  EXPECT_EQ(differences(with_lan, inventory()), "");
}

TEST_F(NetworkDriver, AnUplinkIsOfOneBridgeWhoeverIsFirst) {
  constexpr std::size_t kNetworks = 6;
  std::atomic<int> made = 0;
  at_once(kNetworks, [&](std::size_t i) {
    Json network = lan();
    network["NetworkID"] = id_of('a', i);
    const Json answer = say("CreateNetwork", network);
    if (answer == Json::object()) {
      ++made;
      return;
    }
    const std::string error = answer.at("Err");
    EXPECT_NE(error.find("cannot share p0 with network aaaaaaaaaaa"), std::string::npos) << error;
  });
  EXPECT_EQ(made, 1);
  EXPECT_EQ(objects("networks").size(), 1U) << "what was refused is there still";
  EXPECT_EQ(sandbox_.ip_json("link show type bridge").size(), 1U);
  for (std::size_t i = 0; i < kNetworks; ++i) done("DeleteNetwork", {{"NetworkID", id_of('a', i)}});
  EXPECT_TRUE(nothing_is_left());
}

// A host boots: Docker makes no network a second time, and starts containers before the NIC is there.
TEST_F(NetworkDriver, ContainersOfABridgeDoNotWaitForItsUplink) {
  done("CreateNetwork", lan());
  agent_->kill();
  agent_.reset();
  sandbox_.ip("link del p0");
  for (const Json& bridge : sandbox_.ip_json("link show type bridge"))
    sandbox_.ip("link del " + bridge.at("ifname").get<std::string>());
  agent_.emplace(sandbox_);
  EXPECT_TRUE(reaches(*agent_, "networks", short_id(kLan), "Pending"));
  const std::string status = object_of(*agent_, "networks", short_id(kLan)).at("status").dump();
  EXPECT_NE(status.find("p0"), std::string::npos) << status;
  start_container("c1", kFirst, "11");
  start_container("c2", kSecond, "12");
  EXPECT_TRUE(reaches(*agent_, "attachments", short_id(kFirst), "Ready"));
  EXPECT_TRUE(reach_each_other("c1", "11", "c2", "12"));
  sandbox_.ip("link add p0 type veth peer name eth0 netns router");
  sandbox_.ip("-n router addr add 10.5.0.1/24 dev eth0");
  sandbox_.ip("-n router addr add fd05::1/64 dev eth0 nodad");
  sandbox_.ip("-n router link set eth0 up");
  EXPECT_TRUE(reaches(*agent_, "networks", short_id(kLan), "Ready"));
  EXPECT_TRUE(wait_until([&] { return bool(reach_each_other("c1", "11", "router", "1")); }));
}

// The IPAM may be Docker's, which does not know what a network keeps for others.
TEST_F(NetworkDriver, AnAddressThatIsKeptIsRefused) {
  Json network = lan();
  network["IPv4Data"][0]["AuxAddresses"] = {{"printer", "10.5.0.9/24"}};
  done("CreateNetwork", network);
  for (const char* address : {"10.5.0.1/24", "10.5.0.9/24"}) {
    expect_refused("CreateEndpoint", endpoint_at(kLan, kFirst, address),
                   {short_id(kFirst), "is reserved by the network", "--ip-range"});
  }
  expect_refused("Join", joining(kLan, kFirst, "c1"), {"the agent does not know it"});
  EXPECT_EQ(objects("attachments"), std::set<std::string>{});
}

// Ids are looked for within their network.
TEST_F(NetworkDriver, AnEndpointIsOfItsNetworkOnly) {
  for (const std::string& network : {kLan, kOtherLan})
    done("CreateNetwork", small_lan(network, network == kLan));
  say("CreateEndpoint", endpoint_at(kLan, kFirst, "10.6.1.9/24"));
  for (const char* call : {"Join", "EndpointOperInfo"})
    expect_refused(call, joining(kOtherLan, kFirst, "c1"), {short_id(kFirst), "the agent does not know it"});
  done("DeleteEndpoint", about(kOtherLan, kFirst));
  done("DeleteNetwork", {{"NetworkID", kOtherLan}});
  EXPECT_EQ(say("Join", joining(kLan, kFirst, "c1")).at("Gateway"), "10.6.1.1");
  done("DeleteNetwork", {{"NetworkID", kLan}});
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(NetworkDriver, WhatLeadsNowhereSaysSo) {
  Json internal = lan();
  internal["Options"]["com.docker.network.internal"] = true;
  done("CreateNetwork", internal);
  say("CreateEndpoint", endpoint_at(kLan, kFirst, "10.5.0.11/24", "", "02:00:00:00:05:11"));
  const Json joined = say_twice("Join", joining(kLan, kFirst, "c1"));
  EXPECT_EQ(joined.at("DisableGatewayService"), true) << "Docker would make docker_gwbridge";
  for (const char* key : {"Gateway", "GatewayIPv6", "StaticRoutes"})
    EXPECT_FALSE(joined.contains(key)) << key;
  expect_handed(joined.at("InterfaceName").at("SrcName"), "02:00:00:00:05:11");
}

// ---- several at once: Docker makes its calls in parallel

TEST_P(EachDriver, ServesSeveralNetworksAtOnce) {
  constexpr std::size_t kNetworks = 6;
  std::vector<std::string> links(kNetworks);
  at_once(kNetworks, [&](std::size_t i) {
    const std::string network = id_of('a', i);
    const std::string endpoint = id_of('e', i);
    done("CreateNetwork", small_lan(network, i));
    say("CreateEndpoint", endpoint_at(network, endpoint, "10.6." + std::to_string(i) + ".9/24"));
    const Json joined = say("Join", joining(network, endpoint, "c" + std::to_string(i)));
    links[i] = joined.at("InterfaceName").at("SrcName");
  });
  EXPECT_EQ(objects("networks").size(), kNetworks);
  EXPECT_EQ(std::set(links.begin(), links.end()).size(), kNetworks);
  for (const std::string& link : links) EXPECT_TRUE(sandbox_.link(link)) << link;
  at_once(kNetworks, [&](std::size_t i) {
    done("Leave", about(id_of('a', i), id_of('e', i)));
    done("DeleteEndpoint", about(id_of('a', i), id_of('e', i)));
    done("DeleteNetwork", {{"NetworkID", id_of('a', i)}});
  });
  EXPECT_TRUE(nothing_is_left());
}

TEST_P(EachDriver, ServesOneNetworkFromSeveralSides) {
  constexpr std::size_t kThreads = 8;
  at_once(kThreads, [&](std::size_t) { done("CreateNetwork", lan()); });
  EXPECT_EQ(objects("networks"), std::set{short_id(kLan)});
  std::vector<std::string> links(kThreads);
  at_once(kThreads, [&](std::size_t i) {
    const std::string address = "10.5.0." + std::to_string(20 + i) + "/24";
    const Json created = say("CreateEndpoint", endpoint_at(kLan, id_of('e', i), address));
    const Json joined = say("Join", joining(kLan, id_of('e', i), "c" + std::to_string(i)));
    links[i] = joined.at("InterfaceName").at("SrcName");
    expect_handed(links[i], created.at("Interface").at("MacAddress"));
  });
  EXPECT_EQ(std::set(links.begin(), links.end()).size(), kThreads);
  EXPECT_EQ(objects("attachments").size(), kThreads);
  for (const std::size_t i : {0U, 7U}) {
    const std::string netns = "c" + std::to_string(i);
    make_sandbox(sandbox_, engine_, netns);
    take_link_in(sandbox_, links[i], netns, "eth0", {"10.5.0." + std::to_string(20 + i) + "/24"});
  }
  EXPECT_TRUE(ping("c0", "10.5.0.27"));
  EXPECT_TRUE(ping("c7", "10.5.0.1"));
  at_once(kThreads, [&](std::size_t i) {
    done("Leave", about(kLan, id_of('e', i)));
    done("DeleteEndpoint", about(kLan, id_of('e', i)));
  });
  EXPECT_EQ(objects("attachments"), std::set<std::string>{});
  at_once(kThreads, [&](std::size_t) { done("DeleteNetwork", {{"NetworkID", kLan}}); });
  EXPECT_TRUE(nothing_is_left());
}

// One endpoint that several calls are about is one link.
TEST_P(EachDriver, ServesOneEndpointFromSeveralSides) {
  constexpr std::size_t kThreads = 8;
  done("CreateNetwork", lan());
  std::vector<Json> created(kThreads);
  std::vector<Json> joined(kThreads);
  at_once(kThreads, [&](std::size_t i) {
    created[i] = say("CreateEndpoint", endpoint_at(kLan, kFirst, "10.5.0.11/24"));
    joined[i] = say("Join", joining(kLan, kFirst, "c1"));
  });
  for (std::size_t i = 1; i < kThreads; ++i) {
    EXPECT_EQ(created[i], created[0]);
    EXPECT_EQ(joined[i], joined[0]);
  }
  EXPECT_TRUE(sandbox_.link(joined[0].at("InterfaceName").at("SrcName")));
  at_once(kThreads, [&](std::size_t i) {
    done(i % 2 == 0 ? "DeleteEndpoint" : "Leave", about(kLan, kFirst));
    if (i % 4 == 0) done("DeleteNetwork", {{"NetworkID", kLan}});
  });
  EXPECT_TRUE(nothing_is_left());
}

// Whoever is last, the calls are answered, and a removal after them removes it all.
TEST_P(EachDriver, OutlivesMakingAndRemovingAtOnce) {
  constexpr std::size_t kThreads = 6;
  at_once(kThreads, [&](std::size_t i) {
    for (int round = 0; round < 4; ++round) {
      if (i % 2 == 0) {
        EXPECT_TRUE(say("DeleteNetwork", {{"NetworkID", kLan}}).is_object());
        continue;
      }
      EXPECT_TRUE(say("CreateNetwork", lan()).is_object());
      say("CreateEndpoint", endpoint_at(kLan, id_of('e', i), "10.5.0." + std::to_string(20 + i) + "/24"));
      EXPECT_TRUE(say("Join", joining(kLan, id_of('e', i), "c1")).is_object());
    }
  });
  done("DeleteNetwork", {{"NetworkID", kLan}});
  EXPECT_TRUE(nothing_is_left());
  done("CreateNetwork", lan());
  const std::string link = start_container("c1", kFirst, "11");
  EXPECT_TRUE(reach_each_other("c1", "11", "router", "1"));
  stop_container("c1", kFirst, link);
  done("DeleteNetwork", {{"NetworkID", kLan}});
  EXPECT_TRUE(nothing_is_left());
}

}  // namespace
}  // namespace lanwright::test
