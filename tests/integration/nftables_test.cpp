// The host as router of networks (`nat`, `routed`, `internal`): what the table does with real packets on this
// machine's kernel, and that it is kept as it is wanted without touching anybody else's.
#include <gtest/gtest.h>
#include <poll.h>

#include <csignal>
#include <fstream>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <sstream>

#include "reconcilers/nftables/docker_user.h"
#include "reconcilers/nftables/forwarding.h"
#include "reconcilers/nftables/other_firewalls.h"
#include "reconcilers/nftables/table.h"
#include "tests/integration/echo.h"
#include "tests/integration/harness.h"

namespace lanwright::test {
namespace {

using nftables::Applied;
using nftables::Firewall;
using nftables::Mode;
using nftables::Protocol;
using nftables::Table;
using nftables::TableState;

constexpr Milliseconds kDropped = 300ms;  // what comes, comes within one
constexpr std::uint16_t kPort = 80;       // at which containers listen
constexpr std::uint16_t kPublished = 8080;

IpAddress address(const std::string& text) {
  return *IpAddress::parse(text);
}
IpPrefix prefix(const std::string& text) {
  return *IpPrefix::parse(text);
}

nftables::Network network(const std::string& bridge, int number, Mode mode) {
  const std::string part = std::to_string(number);
  return {bridge, mode, {prefix("10." + part + ".0.0/24"), prefix("fd" + part + "::/64")}, {}};
}

nftables::PublishedPort port(Protocol protocol, const std::string& target) {
  return {protocol, {}, kPublished, address(target), kPort};
}

// Whatever the kernel says must be right: a failure is the test's.
template <class T>
T must(Result<T> result) {
  if (!result) throw HarnessError(result.error().text());
  return *std::move(result);
}

Finished nft(const std::string& commands) {
  return run({"nft", "-f", "-"}, {.input = commands});
}
void must_nft(const std::string& commands) {
  const Finished done = nft(commands);
  if (!done.ok()) throw HarnessError("nft: " + done.text());
}
std::string listing(const std::string& what = "ruleset") {
  const Finished done = what == "ruleset" ? run({"nft", "-a", "list", "ruleset"})
                                          : run({"nft", "-a", "list", "table", "inet", what});
  if (!done.ok()) throw HarnessError("nft: " + done.text());
  return done.out;
}

// Without counters, and without the order of elements, which is the kernel's of the moment.
std::multiset<std::string> words_of_table(const std::string& netns = "") {
  const Finished done = run({"nft", "-s", "list", "ruleset"}, {.netns = netns});
  if (!done.ok()) throw HarnessError("nft: " + done.text());
  std::multiset<std::string> words;
  std::istringstream text(done.out);
  for (std::string word; text >> word;)
    words.insert(word.ends_with(',') ? word.substr(0, word.size() - 1) : word);
  return words;
}

struct Way {
  Transport transport;
  bool ipv6;
};
const std::vector<Way> kWays{
    {Transport::tcp, false}, {Transport::udp, false}, {Transport::tcp, true}, {Transport::udp, true}};

std::string text_of(const Way& way) {
  return std::string(way.transport == Transport::tcp ? "tcp" : "udp") +
         (way.ipv6 ? " over IPv6" : " over IPv4");
}

// A host with two LANs and an uplink: `c1` and `c2` on br1, `d1` on br2, `out` beyond up0.
class Router : public testing::Test {
 protected:
  Router() : table_(must(Table::open())) {
    for (const std::string bridge : {"br1", "br2"}) {
      const std::string part = bridge == "br1" ? "61" : "62";
      sandbox_.ip("link add " + bridge + " type bridge");
      sandbox_.ip("link set " + bridge + " up");
      sandbox_.ip("address add 10." + part + ".0.1/24 dev " + bridge);
      sandbox_.ip("address add fd" + part + "::1/64 dev " + bridge + " nodad");
    }
    plug("c1", "br1", "10.61.0.9/24", "fd61::9/64");
    plug("c2", "br1", "10.61.0.8/24", "fd61::8/64");
    plug("d1", "br2", "10.62.0.9/24", "fd62::9/64");
    sandbox_.add_netns("out");
    sandbox_.ip("link add up0 type veth peer name eth0 netns out");
    sandbox_.ip("link set up0 up");
    sandbox_.ip("address add 192.0.2.1/24 dev up0");
    sandbox_.ip("address add 2001:db8::1/64 dev up0 nodad");
    set_up("out", "192.0.2.9/24", "2001:db8::9/64", "192.0.2.1", "2001:db8::1");
    firewall_.networks["1111111111111111"] = network("br1", 61, Mode::nat);
    firewall_.networks["2222222222222222"] = network("br2", 62, Mode::nat);
  }

  void set_up(const std::string& netns, const std::string& ipv4, const std::string& ipv6,
              const std::string& gateway4, const std::string& gateway6) const {
    sandbox_.ip("-n " + netns + " link set eth0 up");
    sandbox_.ip("-n " + netns + " address add " + ipv4 + " dev eth0");
    sandbox_.ip("-n " + netns + " address add " + ipv6 + " dev eth0 nodad");
    sandbox_.ip("-n " + netns + " route add default via " + gateway4);
    sandbox_.ip("-n " + netns + " route add default via " + gateway6);
  }
  void plug(const std::string& netns, const std::string& bridge, const std::string& ipv4,
            const std::string& ipv6) const {
    sandbox_.add_netns(netns);
    sandbox_.ip("link add v-" + netns + " type veth peer name eth0 netns " + netns);
    sandbox_.ip("link set v-" + netns + " master " + bridge + " up");
    const bool first = bridge == "br1";
    set_up(netns, ipv4, ipv6, first ? "10.61.0.1" : "10.62.0.1", first ? "fd61::1" : "fd62::1");
  }

  // Bridged frames pass the firewall, or do not.
  static void filter_bridged(bool on) {
    for (const std::string name : {"iptables", "ip6tables"}) {
      std::ofstream file("/proc/sys/net/bridge/bridge-nf-call-" + name);
      if (!(file << (on ? "1" : "0") << std::flush)) throw HarnessError("no br_netfilter");
    }
  }

  void publish(const std::string& uid, const std::string& ipv4, const std::string& ipv6) {
    for (const std::string& target : {ipv4, ipv6}) {
      for (const Protocol protocol : {Protocol::tcp, Protocol::udp})
        firewall_.networks[uid].ports.insert(port(protocol, target));
    }
  }

  Applied apply() {
    const nftables::Compiled compiled = compile(firewall_);
    for (const auto& refused : compiled.refused) ADD_FAILURE() << refused.error.text();
    for (const auto& [uid, each] : firewall_.networks) {
      for (const auto& setting : settings_of(each, {"up0"})) {
        const auto done = nftables::set(setting);
        if (!done) throw HarnessError(done.error().text());
      }
    }
    return must(table_.apply(compiled.elements));
  }

  // Waits for the kernel's news of a change to the table, and takes them in.
  bool hears() {
    return wait_until([&] {
      pollfd source{table_.event_fd(), POLLIN, 0};
      poll(&source, 1, 100);
      return table_.drain();
    });
  }

  Sandbox sandbox_;
  Table table_;
  Firewall firewall_;
};

TEST_F(Router, TranslatesWhatLeavesANatNetwork) {
  const EchoServer four("out", "192.0.2.9", kPort);
  const EchoServer six("out", "2001:db8::9", kPort);
  sandbox_.ip("-n out route del default");
  sandbox_.ip("-n out -6 route del default");
  apply();
  for (const Way& way : kWays) {
    SCOPED_TRACE(text_of(way));
    EXPECT_EQ(ask("c1", way.transport, way.ipv6 ? "2001:db8::9" : "192.0.2.9", kPort),
              way.ipv6 ? "2001:db8::1" : "192.0.2.1");
  }
  EXPECT_TRUE(ping("d1", "192.0.2.9"));
  EXPECT_TRUE(ping("d1", "2001:db8::9"));
  EXPECT_TRUE(ping("", "10.61.0.9"));
}

// From everywhere: outside, the host itself, another network, and the network that it is in.
class Published : public Router, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(BridgedFramesPassTheFirewall, Published, testing::Bool());

TEST_P(Published, LeadsToItsTargetFromEverywhere) {
  filter_bridged(GetParam());
  const EchoServer four("c1", "10.61.0.9", kPort);
  const EchoServer six("c1", "fd61::9", kPort);
  publish("1111111111111111", "10.61.0.9", "fd61::9");
  sandbox_.ip("link set v-c1 type bridge_slave hairpin on");
  apply();
  struct Case {
    std::string from;
    std::string to4;
    std::string seen4;
    std::string to6;
    std::string seen6;
  };
  const std::vector<Case> cases{
      {"out", "192.0.2.1", "192.0.2.9", "2001:db8::1", "2001:db8::9"},
      {"", "192.0.2.1", "192.0.2.1", "2001:db8::1", "2001:db8::1"},
      {"", "10.61.0.1", "10.61.0.1", "fd61::1", "fd61::1"},
      {"", "10.62.0.1", "10.61.0.1", "fd62::1", "fd61::1"},
      {"", "127.0.0.1", "10.61.0.1", "::1", ""},
      {"d1", "192.0.2.1", "10.61.0.1", "2001:db8::1", "fd61::1"},
      {"d1", "10.61.0.1", "10.61.0.1", "fd61::1", "fd61::1"},
      {"d1", "10.62.0.1", "10.61.0.1", "fd62::1", "fd61::1"},
      {"c2", "192.0.2.1", "10.61.0.1", "2001:db8::1", "fd61::1"},
      {"c2", "10.61.0.1", "10.61.0.1", "fd61::1", "fd61::1"},
      {"c1", "192.0.2.1", "10.61.0.1", "2001:db8::1", "fd61::1"},
  };
  for (const Case& each : cases) {
    for (const Way& way : kWays) {
      const std::string& to = way.ipv6 ? each.to6 : each.to4;
      SCOPED_TRACE(text_of(way) + " from `" + each.from + "` to " + to);
      EXPECT_EQ(ask(each.from, way.transport, to, kPublished), way.ipv6 ? each.seen6 : each.seen4);
    }
  }
}

TEST_F(Router, PublishesAtOneAddressOfTheHost) {
  const EchoServer four("c1", "10.61.0.9", kPort);
  sandbox_.ip("address add 192.0.2.2/24 dev up0");
  auto at = port(Protocol::tcp, "10.61.0.9");
  at.host = address("192.0.2.2");
  firewall_.networks["1111111111111111"].ports = {at};
  apply();
  EXPECT_EQ(ask("out", Transport::tcp, "192.0.2.2", kPublished), "192.0.2.9");
  EXPECT_EQ(ask("out", Transport::tcp, "192.0.2.1", kPublished, kDropped), "");
  // The address is somebody else's, and its port is as well.
  EXPECT_EQ(ask("c2", Transport::tcp, "192.0.2.9", kPublished, kDropped), "");
}

// With a way to the network that others should not have.
TEST_F(Router, DropsWhatNobodyAskedForUnlessItIsRouted) {
  const EchoServer four("c1", "10.61.0.9", kPort);
  const EchoServer six("c1", "fd61::9", kPort);
  apply();
  const auto unasked = [&](const std::string& from, const Way& way, Milliseconds limit) {
    SCOPED_TRACE(text_of(way) + " from " + from);
    return ask(from, way.transport, way.ipv6 ? "fd61::9" : "10.61.0.9", kPort, limit);
  };
  for (const std::string from : {"out", "d1"}) {
    for (const Way& way : kWays) EXPECT_EQ(unasked(from, way, kDropped), "");
  }
  firewall_.networks["1111111111111111"].mode = Mode::routed;
  const Applied applied = apply();
  EXPECT_FALSE(applied.made);
  for (const Way& way : kWays) {
    EXPECT_EQ(unasked("out", way, 3s), way.ipv6 ? "2001:db8::9" : "192.0.2.9");
    EXPECT_EQ(unasked("d1", way, 3s), way.ipv6 ? "fd61::1" : "10.61.0.1")
        << "what leaves a nat network is translated";
  }
  // And nothing else: this address is none of its subnets'.
  sandbox_.ip("-n c1 address add 10.77.0.9/32 dev eth0");
  sandbox_.ip("route add 10.77.0.9/32 dev br1");
  const EchoServer elsewhere("c1", "10.77.0.9", kPort);
  EXPECT_EQ(ask("out", Transport::udp, "10.77.0.9", kPort, kDropped), "");
  EXPECT_EQ(ask("", Transport::udp, "10.77.0.9", kPort), "10.61.0.1");
}

TEST_F(Router, RoutedNetworksLeaveUntranslated) {
  const EchoServer four("out", "192.0.2.9", kPort);
  const EchoServer six("out", "2001:db8::9", kPort);
  firewall_.networks["1111111111111111"].mode = Mode::routed;
  apply();
  for (const Way& way : kWays)
    EXPECT_EQ(ask("c1", way.transport, way.ipv6 ? "2001:db8::9" : "192.0.2.9", kPort),
              way.ipv6 ? "fd61::9" : "10.61.0.9");
}

TEST_F(Router, NothingPassesTheHostToOrFromAnInternalNetwork) {
  const EchoServer outside("out", "192.0.2.9", kPort);
  const EchoServer inside("c1", "10.61.0.9", kPort);
  const EchoServer beside("d1", "10.62.0.9", kPort);
  apply();
  ASSERT_EQ(ask("c1", Transport::udp, "192.0.2.9", kPort), "192.0.2.1");
  firewall_.networks["1111111111111111"].mode = Mode::internal;
  firewall_.networks["2222222222222222"].mode = Mode::routed;
  filter_bridged(true);
  apply();
  EXPECT_EQ(ask("c1", Transport::udp, "192.0.2.9", kPort, kDropped), "");
  EXPECT_EQ(ask("c1", Transport::udp, "10.62.0.9", kPort, kDropped), "");
  EXPECT_EQ(ask("out", Transport::udp, "10.61.0.9", kPort, kDropped), "");
  EXPECT_EQ(ask("out", Transport::udp, "10.62.0.9", kPort), "192.0.2.9") << "the other network is routed";
  EXPECT_EQ(ask("c2", Transport::udp, "10.61.0.9", kPort), "10.61.0.8") << "between its ports";
  EXPECT_EQ(ask("", Transport::udp, "10.61.0.9", kPort), "10.61.0.1");
}

// route_localnet is for the host's own way to published ports, and for nobody else's.
TEST_F(Router, NobodyReachesTheHostsLoopbackAddresses) {
  const EchoServer local("", "127.0.0.1", 7000);
  publish("1111111111111111", "10.61.0.9", "fd61::9");
  apply();
  sandbox_.ip("-n c1 address flush dev lo");
  sandbox_.ip("-n c1 link set lo down");
  in_netns("c1", [] { std::ofstream("/proc/sys/net/ipv4/conf/eth0/route_localnet") << "1"; });
  sandbox_.ip("-n c1 route add 127.0.0.1/32 via 10.61.0.1 src 10.61.0.9");
  EXPECT_EQ(ask("c1", Transport::udp, "127.0.0.1", 7000, kDropped), "");
  must_nft("flush chain inet lanwright guard");
  EXPECT_EQ(ask("c1", Transport::udp, "127.0.0.1", 7000), "10.61.0.9") << "the test shows nothing";
}

TEST_F(Router, ReadsBackWhatItMade) {
  publish("1111111111111111", "10.61.0.9", "fd61::9");
  auto at = port(Protocol::sctp, "fd61::9");
  at.host = address("2001:db8::1");
  firewall_.networks["1111111111111111"].ports.insert(at);
  // Ranges that begin where others end, and the last one of all.
  firewall_.networks["1111111111111111"].subnets.insert({prefix("10.61.1.0/24"), prefix("10.60.255.0/24")});
  firewall_.networks["2222222222222222"].subnets.insert(prefix("255.255.255.0/24"));
  EXPECT_TRUE(apply().made);
  Table other = must(Table::open());
  const TableState state = must(other.read());
  EXPECT_EQ(state.owner, TableState::Owner::us);
  EXPECT_EQ(state.fault, std::nullopt);
  EXPECT_EQ(state.elements, compile(firewall_).elements);
  EXPECT_EQ(firewall_of(state.elements), firewall_);
  EXPECT_FALSE(must(other.apply(state.elements)).wrote());
  EXPECT_EQ(other.transactions(), 0U);
  // And nft(8) can say the same.
  const std::string text = run({"nft", "-s", "list", "table", "inet", "lanwright"}).out;
  EXPECT_NE(text.find("comment \"kept by lanwrightd\""), std::string::npos) << text;
  sandbox_.add_netns("copy");
  const Finished copied = run({"nft", "-f", "-"}, {.netns = "copy", .input = text});
  EXPECT_TRUE(copied.ok()) << copied.text() << text;
  EXPECT_EQ(words_of_table("copy"), words_of_table());
}

TEST_F(Router, GoesWithTheLastNetwork) {
  apply();
  firewall_.networks.erase("1111111111111111");
  const Applied one = apply();
  EXPECT_FALSE(one.made || one.removed);
  EXPECT_EQ(firewall_of(must(table_.read()).elements), firewall_);
  firewall_.networks.clear();
  EXPECT_TRUE(apply().removed);
  EXPECT_EQ(listing(), "");
  EXPECT_FALSE(apply().wrote());
}

// Each thing that somebody may do to it, by nft(8), is heard, seen, and made good again.
TEST_F(Router, IsRepairedWhateverSomebodyDidToIt) {
  publish("1111111111111111", "10.61.0.9", "fd61::9");
  apply();
  const auto whole = words_of_table();
  const auto remapped = [](const std::string& map, const std::string& key, const std::string& value) {
    const std::string element = " element inet lanwright " + map + " { " + key;
    return "delete" + element + " }; add" + element + " : " + value + " }";
  };
  const std::vector<std::string> deeds{
      "flush ruleset",
      "delete table inet lanwright",
      "flush table inet lanwright",
      "flush chain inet lanwright to_nat",
      "insert rule inet lanwright to_nat accept",
      "add rule inet lanwright forward counter",
      "insert rule inet lanwright publish drop",
      "add chain inet lanwright forward { policy drop; }",
      "add chain inet lanwright further",
      "add set inet lanwright further { type ipv4_addr; }",
      "add table inet lanwright { flags dormant; }",
      "delete element inet lanwright bridges { \"br1\" }",
      "delete element inet lanwright nat4 { 10.61.0.0/24 }",
      "delete element inet lanwright nat6 { fd61::/64 }",
      "delete element inet lanwright dnat4 { tcp . 8080 }",
      "add element inet lanwright bridges { \"eth9\" }",
      "add element inet lanwright nat6 { fd99::/64 }",
      "flush map inet lanwright inbound",
      remapped("dnat4", "tcp . 8080", "10.61.0.7 . 80"),
      remapped("inbound", "\"br1\"", "accept"),
  };
  for (const std::string& deed : deeds) {
    SCOPED_TRACE(deed);
    EXPECT_FALSE(table_.drain());
    must_nft(deed);
    EXPECT_TRUE(hears());
    EXPECT_TRUE(apply().wrote());
    EXPECT_EQ(words_of_table(), whole);
    EXPECT_FALSE(apply().wrote());
  }
}

// Every single rule is missed, and a changed one is.
TEST_F(Router, SeesThatAnyRuleIsGone) {
  apply();
  for (const nftables::Chain& chain : nftables::layout().chains) {
    for (std::size_t index = 0;; ++index) {
      const std::string text = run({"nft", "-a", "list", "chain", "inet", "lanwright", chain.name}).out;
      std::vector<std::string> handles;
      for (std::size_t at = text.find("# handle", text.find("# handle") + 1); at != std::string::npos;
           at = text.find("# handle", at + 1))
        handles.push_back(text.substr(at + 9, text.find('\n', at) - at - 9));
      // The first is the chain's; the one before was the table's.
      if (index + 1 >= handles.size()) break;
      SCOPED_TRACE(chain.name + " rule " + std::to_string(index + 1));
      must_nft("delete rule inet lanwright " + chain.name + " handle " + handles[index + 1]);
      EXPECT_TRUE(hears());
      EXPECT_NE(must(table_.read()).fault, std::nullopt);
      EXPECT_TRUE(apply().made);
    }
  }
}

TEST_F(Router, LeavesATableThatIsNotItsOwn) {
  must_nft("table inet lanwright { chain forward { type filter hook forward priority 0; accept; }; }");
  const std::string before = listing();
  EXPECT_EQ(must(table_.read()).owner, TableState::Owner::somebody_else);
  const auto applied = table_.apply(compile(firewall_).elements);
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().kind, ErrorKind::conflict);
  EXPECT_NE(applied.error().text().find("nft delete table inet lanwright"), std::string::npos)
      << applied.error().text();
  EXPECT_FALSE(must(table_.apply({})).wrote());
  EXPECT_EQ(listing(), before);
  // It goes: then there is room.
  must_nft("delete table inet lanwright");
  EXPECT_TRUE(hears());
  EXPECT_TRUE(apply().made);
}

// Also when it comes in between: what was read is not what is there.
TEST_F(Router, DoesNotTakeForItsOwnWhatWasPutInItsPlace) {
  apply();
  must_nft("delete table inet lanwright; add table inet lanwright { comment \"mine\"; }");
  const std::string before = listing();
  firewall_.networks.erase("2222222222222222");
  const auto applied = table_.apply(compile(firewall_).elements);
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().kind, ErrorKind::conflict);
  EXPECT_EQ(listing(), before);
}

TEST_F(Router, TouchesNothingOfOthers) {
  must_nft(R"(
    table inet firewalld {
      set zone { type ifname; elements = { "br1", "up0" }; }
      chain forward { type filter hook forward priority filter + 10; iifname @zone accept; counter; }
    }
    table ip filter {
      chain FORWARD { type filter hook forward priority 0; policy accept; }
      chain DOCKER-USER { }
    }
    table bridge lanwright { chain input { type filter hook input priority 0; }; }
    table ip lanwright { map nat4 { type ipv4_addr : verdict; elements = { 10.61.0.9 : accept }; }; }
    table ip6 lanwright { }
  )");
  const std::string before = listing();
  apply();
  firewall_.networks["1111111111111111"].mode = Mode::routed;
  apply();
  must_nft("flush table inet lanwright");
  EXPECT_TRUE(apply().made);
  firewall_.networks.clear();
  EXPECT_TRUE(apply().removed);
  EXPECT_EQ(listing(), before);
}

// What somebody else does at the same time neither stops a change nor is lost.
TEST_F(Router, ChangesWhileOthersChangeTheirs) {
  apply();
  must_nft("table ip busy { set numbers { type mark; }; }");
  std::atomic<bool> stopping = false;
  std::uint64_t others = 0;
  std::thread rival([&] {
    for (; !stopping; ++others) must_nft("add element ip busy numbers { " + std::to_string(others) + " }");
  });
  std::size_t wrote = 0;
  for (int round = 0; round < 200; ++round) {
    firewall_.networks["1111111111111111"].mode = round % 2 == 0 ? Mode::routed : Mode::nat;
    wrote += apply().wrote() ? 1U : 0U;
  }
  stopping = true;
  rival.join();
  EXPECT_EQ(wrote, 200U);
  EXPECT_GT(others, 0U);
  EXPECT_EQ(must(must(Table::open()).read()).elements, compile(firewall_).elements);
}

// More news than the kernel keeps for us.
TEST_F(Router, HearsThatNewsWereLost) {
  apply();
  const int small = 2048;
  ASSERT_EQ(setsockopt(table_.event_fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
  std::string elements;
  for (int i = 0; i < 2000; ++i) elements += (i == 0 ? "" : ", ") + std::to_string(i);
  must_nft("table ip other { set numbers { type mark; elements = { " + elements +
           " }; }; }; delete table inet lanwright");
  EXPECT_TRUE(hears());
  EXPECT_TRUE(apply().made);
}

// A transaction is whole or not there, whenever its sender is killed.
TEST_F(Router, IsWholeWheneverSomebodyIsKilled) {
  for (int i = 0; i < 50; ++i) {
    auto more = network("x" + std::to_string(i), 100 + i, Mode::nat);
    more.subnets = {prefix("10." + std::to_string(100 + i) + ".0.0/24")};
    firewall_.networks["00000000000000" + std::to_string(10 + i)] = more;
  }
  const Firewall large = firewall_;
  Firewall small;
  small.networks["1111111111111111"] = network("br1", 61, Mode::routed);
  std::mt19937 random(7);
  std::map<std::size_t, int> seen;
  for (int round = 0; round < 60; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      auto table = Table::open();
      for (int i = 0; table; ++i) {
        // By elements, by the whole table, and to nothing.
        const auto done = table->apply(compile(i % 3 == 0   ? large
                                               : i % 3 == 1 ? small
                                                            : Firewall())
                                           .elements);
        if (!done) break;
      }
      _exit(1);
    }
    // Anywhere in its work, which no event is to decide.
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 40000));
    ::kill(child, SIGKILL);
    ASSERT_EQ(wait_exit(child, 10s), 128 + SIGKILL) << "it was to be killed, not to fail";
    const TableState state = must(must(Table::open()).read());
    EXPECT_EQ(state.fault, std::nullopt);
    const Firewall found = firewall_of(state.elements);
    EXPECT_TRUE(found == large || found == small || found == Firewall()) << "round " << round;
    EXPECT_EQ(state.elements, compile(found).elements);
    ++seen[found.networks.size()];
  }
  EXPECT_GT(seen.size(), 1U) << "it was never killed at another point";
}

// As Docker leaves the chain FORWARD, and its own chain for rules of others.
class BesideDocker : public Router {
 protected:
  BesideDocker() : docker_user_(must(nftables::DockerUser::open())) {
    for (const std::string program : {"iptables", "ip6tables"}) {
      for (const std::string words :
           {"-N DOCKER-USER", "-A DOCKER-USER -j RETURN", "-A FORWARD -j DOCKER-USER"})
        tables(program, words);
    }
    before_ = everything();
    for (const std::string program : {"iptables", "ip6tables"}) tables(program, "-P FORWARD DROP");
  }

  static std::string tables(const std::string& program, const std::string& words) {
    std::vector<std::string> command{program, "-w", "5"};
    std::istringstream rest(words);
    for (std::string word; rest >> word;) command.push_back(word);
    const Finished done = run(command);
    if (!done.ok() || !done.err.empty()) throw HarnessError(program + " " + words + ": " + done.text());
    return done.out;
  }
  static std::string everything() { return tables("iptables", "-S") + tables("ip6tables", "-S"); }

  static std::set<nftables::DockerPass> passes() {
    return {{"br1", "1111111111111111", {"up0"}}, {"br2", "2222222222222222", {}}};
  }
  std::size_t keep(const std::set<nftables::DockerPass>& want) {
    return must(docker_user_.apply(want, {"1111111111111111", "2222222222222222"},
                                   [](const std::string& name) { return name != "gone0"; }));
  }

  nftables::DockerUser docker_user_;
  std::string before_;
};

TEST_F(BesideDocker, LetsThroughWhatItsPolicyDrops) {
  const EchoServer four("out", "192.0.2.9", kPort);
  const EchoServer six("out", "2001:db8::9", kPort);
  const EchoServer inside4("c1", "10.61.0.9", kPort);
  const EchoServer inside6("c1", "fd61::9", kPort);
  publish("1111111111111111", "10.61.0.9", "fd61::9");
  apply();
  ASSERT_EQ(ask("c1", Transport::udp, "192.0.2.9", kPort, kDropped), "") << "there is nothing to let through";
  EXPECT_EQ(keep(passes()), 8U);
  for (const Way& way : kWays) {
    SCOPED_TRACE(text_of(way));
    EXPECT_NE(ask("c1", way.transport, way.ipv6 ? "2001:db8::9" : "192.0.2.9", kPort), "");
    EXPECT_NE(ask("d1", way.transport, way.ipv6 ? "2001:db8::9" : "192.0.2.9", kPort), "");
    EXPECT_NE(ask("out", way.transport, way.ipv6 ? "2001:db8::1" : "192.0.2.1", kPublished), "");
    EXPECT_NE(ask("d1", way.transport, way.ipv6 ? "2001:db8::1" : "192.0.2.1", kPublished), "");
    EXPECT_NE(ask("c2", way.transport, way.ipv6 ? "2001:db8::1" : "192.0.2.1", kPublished), "");
    // The policy stays ours.
    EXPECT_EQ(ask("out", way.transport, way.ipv6 ? "fd61::9" : "10.61.0.9", kPort, kDropped), "");
  }
}

// The chain is Docker's and iptables' as before: shown, saved, changed.
TEST_F(BesideDocker, IptablesStillReadsItsChains) {
  EXPECT_TRUE(must(docker_user_.is_there()));
  keep(passes());
  for (const std::string program : {"iptables", "ip6tables"}) {
    const std::string rules = tables(program, "-S");
    for (const std::string rule :
         {"-i br1 -o up0 -m comment --comment \"lanwright:1111111111111111\" -j ACCEPT",
          "-o br1 -m comment --comment \"lanwright:1111111111111111\" -j ACCEPT",
          "-i br2 -m comment --comment \"lanwright:2222222222222222\" -j ACCEPT"})
      EXPECT_NE(rules.find("-A DOCKER-USER " + rule), std::string::npos) << rules;
    EXPECT_LT(rules.find("-j ACCEPT"), rules.find("-A DOCKER-USER -j RETURN"));
    tables(program, "-L -n -v");
    tables(program, "-I DOCKER-USER -p udp -j DROP");
    tables(program, "-C DOCKER-USER -p udp -j DROP");
    tables(program, "-D DOCKER-USER -p udp -j DROP");
  }
  EXPECT_EQ(keep(passes()), 0U);
  EXPECT_EQ(keep({}), 8U);
  for (const std::string program : {"iptables", "ip6tables"}) tables(program, "-P FORWARD ACCEPT");
  EXPECT_EQ(everything(), before_);
}

TEST_F(BesideDocker, ComesBackWhateverBecomesOfTheChain) {
  const auto hears_of = [&] {
    return wait_until([&] {
      pollfd source{docker_user_.event_fd(), POLLIN, 0};
      poll(&source, 1, 100);
      return docker_user_.drain();
    });
  };
  // All that it wrote itself was heard and looked at: what is heard next is somebody else's doing.
  const auto rests = [&] { return wait_until([&] { return keep(passes()) == 0 && !docker_user_.drain(); }); };
  keep(passes());
  ASSERT_TRUE(rests());
  tables("iptables", "-F DOCKER-USER");
  EXPECT_TRUE(hears_of());
  EXPECT_EQ(keep(passes()), 4U);
  ASSERT_TRUE(rests());
  tables("ip6tables", "-D DOCKER-USER 1");
  EXPECT_TRUE(hears_of());
  EXPECT_EQ(keep(passes()), 1U);
  ASSERT_TRUE(rests());
  // With Docker the chain goes and comes.
  for (const std::string words : {"-F", "-X DOCKER-USER"}) tables("iptables", words);
  EXPECT_TRUE(hears_of());
  EXPECT_EQ(keep(passes()), 0U);
  ASSERT_TRUE(rests());
  must_nft("flush ruleset");
  EXPECT_TRUE(hears_of());
  EXPECT_FALSE(must(docker_user_.is_there()));
  tables("iptables", "-N DOCKER-USER");
  EXPECT_TRUE(hears_of());
  EXPECT_EQ(keep(passes()), 4U);
  ASSERT_TRUE(rests());
  // What nobody can have made twice is there twice.
  must_nft(
      "insert rule ip filter DOCKER-USER oifname \"br1\" counter accept comment "
      "\"lanwright:1111111111111111\"");
  EXPECT_TRUE(hears_of());
  EXPECT_EQ(keep(passes()), 1U);
}

TEST_F(BesideDocker, LeavesRulesThatAreNotItsOwn) {
  must_nft(R"(
    insert rule ip filter DOCKER-USER iifname "eth7" counter accept comment "lanwright:9999999999999999"
    insert rule ip filter DOCKER-USER iifname "br1" counter drop comment "lanwright:1111111111111111"
    insert rule ip filter DOCKER-USER iifname "br1" counter accept comment "mine")");
  const std::string before = run({"nft", "-s", "list", "chain", "ip", "filter", "DOCKER-USER"}).out;
  must_nft(
      "insert rule ip filter DOCKER-USER iifname \"gone0\" counter accept comment "
      "\"lanwright:8888888888888888\"");
  EXPECT_EQ(keep(passes()), 9U) << "and what another agent left of a bridge that is gone";
  EXPECT_EQ(keep({}), 8U);
  EXPECT_EQ(run({"nft", "-s", "list", "chain", "ip", "filter", "DOCKER-USER"}).out, before);
}

TEST_F(BesideDocker, TellsWhatElseDrops) {
  auto ruleset = must(nftables::Ruleset::open({}, [](const nlmsghdr&) { return false; }));
  const auto names = [&] {
    std::string all;
    for (const auto& each : must(nftables::other_firewalls(ruleset, "br1"))) all += each.name + ", ";
    return all;
  };
  EXPECT_EQ(names(), "") << "Docker's chain is for rules like ours";
  must_nft("table inet firewalld { chain filter_FORWARD { type filter hook forward priority 10; }; }");
  EXPECT_EQ(names(), "firewalld, ");
  for (const std::string words : {"-F", "-X DOCKER-USER"}) tables("iptables", words);
  EXPECT_EQ(names(), "firewalld, chain FORWARD of table ip filter, ");
  tables("iptables", "-N ufw-before-forward");
  EXPECT_EQ(names(), "firewalld, ufw, ");
}

}  // namespace
}  // namespace lanwright::test
