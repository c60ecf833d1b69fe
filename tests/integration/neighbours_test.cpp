// What neighbours on a LAN are told and tell: where an address is now, who has it, and which way leads out.
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>

#include <array>
#include <string>

#include "tests/integration/event_stream.h"
#include "tests/integration/frames.h"
#include "tests/integration/harness.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

class Neighbours : public testing::Test {
 protected:
  Neighbours() {
    for (const char* netns : {"r", "q"}) sandbox_.add_netns(netns);
  }
  // q stays as it is; this is what `r` is.
  static std::string lan(const std::string& driver, const std::string& name, const std::string& r) {
    const std::string parent = driver == "macvlan" ? ", parent: p0" : "";
    return "version: 1\nname: lan\nnetworks:\n  lan: {driver: " + driver + parent + "}\nattachments:\n" +
           "  q: {network: lan, netns: q, interface: eth0, mac: 02:00:00:00:00:0a, "
           "addresses: [10.0.0.2/24, \"fd00::2/64\"]}\n  " +
           name + ": {network: lan, netns: r, interface: eth0, " + r + "}\n";
  }
  static std::string both(const std::string& mac) {
    return "mac: " + mac + R"(, addresses: [10.0.0.1/24, "fd00::1/64"])";
  }
  // The MAC address that q has for an address of r's.
  std::string known_at_q(const std::string& address) const {
    for (const Json& entry : sandbox_.ip_json("-n q neigh show dev eth0"))
      if (entry.at("dst") == address) return entry.value("lladdr", "");
    return {};
  }
  void meet() const {
    EXPECT_TRUE(ping("q", "10.0.0.1"));
    EXPECT_TRUE(ping("q", "fd00::1"));
  }
  // Before q's own doubts, which take it ten seconds at least.
  void expect_known_at_once(const std::string& mac) const {
    for (const char* address : {"10.0.0.1", "fd00::1"}) {
      SCOPED_TRACE(address);
      EXPECT_TRUE(wait_until([&] { return known_at_q(address) == mac; }, 2s)) << known_at_q(address);
      EXPECT_TRUE(ping("q", address, 2s));
    }
  }
  void apply(const std::string& yaml) const {
    const Finished applied = agent_.cli({"apply", "-f", sandbox_.write_file("set.yaml", yaml)});
    ASSERT_TRUE(applied.ok()) << applied.text();
  }
  // q's kernel sends it, from its link-local address: a router that is there for half an hour.
  static void advertise_router() {
    const Fd socket = socket_in("q", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
    int index = 0;
    in_netns("q", [&] { index = static_cast<int>(if_nametoindex("eth0")); });
    constexpr int kHops = 255;  // RFC 4861, 4.2
    setsockopt(socket.get(), IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &kHops, sizeof kHops);
    const std::array<unsigned char, 16> advertisement{ND_ROUTER_ADVERT, 0, 0, 0, 64, 0, 0x07, 0x08};
    sockaddr_in6 all_nodes{};
    all_nodes.sin6_family = AF_INET6;
    all_nodes.sin6_addr.s6_addr[0] = 0xff;
    all_nodes.sin6_addr.s6_addr[1] = 0x02;
    all_nodes.sin6_addr.s6_addr[15] = 0x01;
    all_nodes.sin6_scope_id = static_cast<std::uint32_t>(index);
    sendto(socket.get(), advertisement.data(), advertisement.size(), 0,
           reinterpret_cast<const sockaddr*>(&all_nodes), sizeof all_nodes);
  }
  std::string routes_of_r(const std::string& what) const {
    return run({"ip", "-n", "r", "-6", "route", "show", "default", "proto", what}).out;
  }

  Sandbox sandbox_;
  AgentProcess agent_{sandbox_};
};

class NeighboursOn : public Neighbours, public testing::WithParamInterface<const char*> {};

TEST_P(NeighboursOn, AreToldOfAnotherMacAddress) {
  const std::string driver = GetParam();
  sandbox_.ip("link add p0 type veth peer name far0");
  for (const char* link : {"p0", "far0"}) sandbox_.ip(std::string("link set up dev ") + link);
  agent_.apply(lan(driver, "r", both("02:00:00:00:00:11")));
  meet();
  agent_.apply(lan(driver, "r", both("02:00:00:00:00:22")));
  expect_known_at_once("02:00:00:00:00:22");
  agent_.apply(lan(driver, "renamed", both("02:00:00:00:00:33")));  // made anew
  expect_known_at_once("02:00:00:00:00:33");
}

INSTANTIATE_TEST_SUITE_P(Drivers, NeighboursOn, testing::Values("bridge", "macvlan", "vde"),
                         [](const auto& driver) { return std::string(driver.param); });

TEST_F(Neighbours, AreToldOnceOnTheWire) {
  agent_.apply(lan("bridge", "r", "mac: 02:00:00:00:00:11, addresses: []"));
  InterfacePort wire("q", "eth0");
  agent_.apply(lan("bridge", "r", "mac: 02:00:00:00:00:11, addresses: [10.0.0.1/24]"));
  const std::string mac("\x02\0\0\0\0\x11", 6);
  const std::string address("\x0a\0\0\x01", 4);
  const std::string announcement = std::string(6, '\xff') + mac +
                                   std::string("\x08\x06\0\x01\x08\0\x06\x04\0\x01", 10) + mac + address +
                                   std::string(6, '\0') + address;
  int heard = 0;
  wire.send(frame_saying("last"));
  while (const auto frame = wire.receive(1s)) heard += frame->starts_with(announcement) ? 1 : 0;
  EXPECT_EQ(heard, 1);
}

// A host that forwards stays the router that its neighbours take it for.
TEST_F(Neighbours, KeepARouterThatAnnouncesItself) {
  agent_.apply(lan("bridge", "r", both("02:00:00:00:00:11")));
  ASSERT_TRUE(run({"sysctl", "-qw", "net.ipv6.conf.eth0.forwarding=1"}, {.netns = "r"}).ok());
  meet();
  agent_.apply(lan("bridge", "r", both("02:00:00:00:00:22")));
  expect_known_at_once("02:00:00:00:00:22");
  const Json entries = sandbox_.ip_json("-n q -6 neigh show to fd00::1 dev eth0");
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_TRUE(entries.front().contains("router")) << entries.dump();
}

TEST_F(Neighbours, ThatHaveTheAddressAreNamedAndAskedAgain) {
  agent_.apply(lan("bridge", "r", R"(addresses: ["fd00::1/64"])"));
  sandbox_.ip("-n q addr add fd00::7/64 dev eth0 nodad");
  sandbox_.ip("-n r addr add fd00::7/64 dev eth0");
  const auto is_refused = [&] {
    return run({"ip", "-n", "r", "-6", "addr", "show", "dev", "eth0", "dadfailed"}).out.find("fd00::7") !=
           std::string::npos;
  };
  ASSERT_TRUE(wait_until(is_refused));
  EventStream events(agent_);
  apply(lan("bridge", "r", R"(addresses: ["fd00::1/64", "fd00::7/64"])"));
  events.expect("Failed", "attachment r", "another host has this address");
  EXPECT_NE(phase_of(agent_, "attachments", "r"), "Ready");
  sandbox_.ip("-n q addr del fd00::7/64 dev eth0");
  events.expect("Ready", "attachment r");
  EXPECT_FALSE(is_refused());
}

TEST_F(Neighbours, ThatAdvertiseThemselvesDoNotKeepADeclaredRouteAway) {
  agent_.apply(lan("bridge", "r", R"(addresses: ["fd00::1/64"], routes: [{to: default, via: "fd00::ff"}])"));
  const auto has_advertised = [&] {
    advertise_router();
    return !routes_of_r("ra").empty();
  };
  ASSERT_TRUE(wait_until(has_advertised, 20s)) << "no link-local address, or no advertisement";
  const std::string declared = routes_of_r("108");
  ASSERT_NE(declared.find("fd00::ff"), std::string::npos);
  EventStream events(agent_);
  sandbox_.ip("-n r -6 route del default via fd00::ff proto 108");
  events.expect("Repaired", "attachment r");
  EXPECT_EQ(routes_of_r("108"), declared);
  EXPECT_FALSE(routes_of_r("ra").empty());

  // One by hand is no advertisement: ours is not put beside it.
  sandbox_.ip("-n r -6 route replace default via fd00::fe dev eth0 metric 1024");
  EXPECT_TRUE(reaches(agent_, "attachments", "r", "Retrying"));
  EXPECT_EQ(run({"ip", "-n", "r", "-6", "route", "show", "default"}).out.find("fd00::ff"), std::string::npos);
}

TEST_F(Neighbours, ThatLeadOutAlreadyAreLeftToDoSo) {
  for (const std::string protocol : {"boot", "ospf"}) {  // the second is not looked for at the start
    SCOPED_TRACE(protocol);
    sandbox_.add_netns(protocol);
    sandbox_.ip("-n " + protocol + " link add mgmt type veth peer name far");
    for (const char* link : {"mgmt", "far"}) sandbox_.ip("-n " + protocol + " link set " + link + " up");
    sandbox_.ip("-n " + protocol + " addr add 10.7.0.1/24 dev mgmt");
    sandbox_.ip("-n " + protocol + " route add default via 10.7.0.2 proto " + protocol);
  }
  agent_.apply(R"(
version: 1
name: lan
networks: {lan: {driver: bridge, subnets: [{cidr: 10.0.0.0/24, gateway: 10.0.0.254}]}}
attachments:
  boot: {network: lan, netns: boot, interface: eth0}
  ospf: {network: lan, netns: ospf, interface: eth0}
)");
  for (const std::string netns : {"boot", "ospf"}) {
    SCOPED_TRACE(netns);
    EXPECT_EQ(message_of(agent_, "attachments", netns),
              "the default route is left to the one that is there already, via 10.7.0.2 by mgmt");
    const auto route = [&] { return run({"ip", "-n", netns, "route", "show", "default"}).out; };
    EXPECT_EQ(route().find("10.0.0.254"), std::string::npos);
    sandbox_.ip("-n " + netns + " route del default");
    EXPECT_TRUE(wait_until([&] { return route().find("via 10.0.0.254 dev eth0") != std::string::npos; }));
    EXPECT_TRUE(wait_until([&] { return message_of(agent_, "attachments", netns).empty(); }));
  }
}

}  // namespace
}  // namespace lanwright::test
