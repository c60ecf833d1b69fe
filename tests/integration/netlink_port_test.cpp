// The netlink LinkBackend against a real kernel. Witnesses: `ip -d -j`, and a second port that reads
// everything anew.
#include "reconcilers/netlink/backend.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "model/link_names.h"
#include "reconcilers/kinds/bridge.h"
#include "reconcilers/kinds/macvlan.h"
#include "reconcilers/kinds/vlan.h"
#include "reconcilers/netlink/link_codec.h"
#include "reconcilers/netlink/request.h"
#include "reconcilers/netlink/socket.h"
#include "tests/integration/sandbox.h"

namespace lanwright {
namespace {

using namespace std::chrono_literals;
using test::Json;

constexpr const char* kUid = "0123456789abcdef";
constexpr const char* kOtherUid = "fedcba9876543210";

OwnerTag mark(const std::string& role = "", const std::string& uid = kUid) {
  return {uid, role};
}

MacAddress mac(const std::string& text) {
  return MacAddress::parse(text).value();
}
IpPrefix prefix(const std::string& text) {
  return IpPrefix::parse(text).value();
}
IpAddress address(const std::string& text) {
  return IpAddress::parse(text).value();
}

std::string path_of(const std::string& netns) {
  return "/run/netns/" + netns;
}

LinkSpec spec(const std::string& kind, const std::string& name, const std::string& netns = "") {
  LinkSpec link;
  link.kind = kind;
  link.at = {netns, name};
  return link;
}

::testing::AssertionResult done(const Result<void>& result) {
  if (result) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << result.error().text();
}

std::string describe(const LinkFact& fact) {
  std::string text = fact.name + " #" + std::to_string(fact.ifindex) + " " + fact.kind +
                     (fact.up ? " up" : " down") + " mtu " + std::to_string(fact.mtu) + " master " +
                     std::to_string(fact.master) + " group " + std::to_string(fact.group) + " alias '" +
                     fact.alias + "'" + (fact.mac ? " " + fact.mac->text() : "") +
                     (fact.lower_up ? " carrier" : "");
  text += fact.ipv6 == Ipv6Addresses::none ? " no-ipv6" : "";
  text += " parent " + std::to_string(fact.parent) + "/" + std::to_string(fact.parent_nsid) + " port " +
          fact.port_kind;
  for (const auto& each : fact.altnames) text += " alt " + each;
  for (const auto& each : fact.addresses) text += " " + each.prefix.text();
  for (const auto& each : fact.routes) text += " route " + each.route.to.text();
  for (const auto& [attribute, value] : fact.attributes)
    text += " " + std::string(attribute->name) + "=" + std::to_string(value);
  return text;
}

class NetlinkPort : public ::testing::Test {
 protected:
  void open(const netlink::NetlinkOptions& options = {}) {
    auto opened = netlink::open_netlink_backend(options);
    ASSERT_TRUE(opened) << opened.error().text();
    port = std::move(*opened);
    const auto touched = port->resync(observed);
    ASSERT_TRUE(touched) << touched.error().text();
    ASSERT_TRUE(observed.complete);
  }

  std::vector<Result<void>> act_all(const std::vector<Step>& steps) {
    std::vector<Action> actions;
    actions.reserve(steps.size());
    for (const Step& step : steps) actions.push_back({{Kind::network, "lab"}, 0, step, "test", {}, {}});
    std::vector<const Action*> pointers;
    pointers.reserve(steps.size());
    for (const Action& action : actions) pointers.push_back(&action);
    auto results = port->execute(pointers, observed);
    last = port->drain(observed);
    return results;
  }
  Result<void> act(const Step& step) { return act_all({step}).front(); }

  Result<void> create(const LinkSpec& link, const std::string& role = "") {
    return act(CreateLink{link, mark(role), std::nullopt, std::nullopt});
  }

  ChangeLink change(const std::string& name, const std::string& netns = "") {
    ChangeLink change;
    change.at = {netns, name};
    const LinkFact& link = fact(name, netns);
    change.kind = link.kind;
    change.port_kind = link.port_kind;
    change.ifindex = link.ifindex;
    return change;
  }

  RemoveLink removal(const std::string& name, const OwnerTag& owner, const std::string& netns = "") {
    const LinkFact& link = fact(name, netns);
    return {{netns, name}, link.ifindex, link.kind, owner};
  }

  const LinkFact& fact(const std::string& name, const std::string& netns = "") {
    static const LinkFact nothing;
    const LinkFact* found = observed.find(LinkName{netns, name});
    EXPECT_NE(found, nullptr) << name << " in '" << netns << "' is not observed";
    return found == nullptr ? nothing : *found;
  }
  bool known(const std::string& name, const std::string& netns = "") {
    return observed.find(LinkName{netns, name}) != nullptr;
  }

  Json ip_link(const std::string& name, const std::string& netns = "") {
    const auto link = sandbox.link(name, netns);
    EXPECT_TRUE(link) << name << " in '" << netns << "' does not exist";
    return link.value_or(Json::object());
  }

  bool has_carrier(const std::string& name, const std::string& netns) {
    return test::wait_until([&] {
      port->drain(observed);
      return fact(name, netns).lower_up;
    });
  }

  std::string address_mode(const std::string& name) {
    Json links = sandbox.ip_json("link show dev " + name);
    return links[0]["inet6_addr_gen_mode"].get<std::string>();
  }

  // What was kept by events equals what a reader finds who knows nothing. Carrier and duplicate detection of
  // addresses come by the kernel's own timers: what is not equal now has to become so by further events.
  void expect_exact() {
    std::string difference;
    const bool equal = test::wait_until([&] {
      port->drain(observed);
      difference = difference_from_kernel();
      return difference.empty();
    });
    EXPECT_TRUE(equal) << difference;
  }

  std::string difference_from_kernel() {
    auto other = netlink::open_netlink_backend({});
    Observed fresh;
    std::set<std::string> paths;
    for (const auto& [path, facts] : observed.namespaces) {
      if (!path.empty()) paths.insert(path);
    }
    if (!other || !(*other)->resync(fresh)) return "cannot read";
    (*other)->watch(paths, fresh);
    if (!fresh.complete) return "cannot read all namespaces";
    for (const auto& [path, facts] : fresh.namespaces) {
      const NamespaceFacts& ours = observed.namespaces[path];
      if (ours.present != facts.present || ours.nsid != facts.nsid) return "namespace " + path;
      for (const auto& [ifindex, link] : ours.links()) {
        if (facts.find(ifindex) == nullptr) return path + ": is gone: " + describe(link);
        if (ours.find(link.name) != &link) return path + ": index of names: " + describe(link);
      }
      for (const auto& [ifindex, link] : facts.links()) {
        const LinkFact* known = ours.find(ifindex);
        if (known == nullptr) return path + ": not known: " + describe(link);
        if (!(*known == link)) return path + "\n known: " + describe(*known) + "\n is:    " + describe(link);
      }
    }
    return {};
  }

  test::Sandbox sandbox;
  std::unique_ptr<LinkBackend> port;
  Observed observed;
  ObservedChange last;
};

TEST_F(NetlinkPort, CreatesABridgeWithEverythingThatWasAskedFor) {
  open();
  LinkSpec bridge = spec("bridge", "br0");
  bridge.altname = "lanwright-a-rather-long-name-of-a-network";
  bridge.mtu = 9000;
  bridge.mac = mac("02:00:00:00:01:01");
  bridge.ipv6 = Ipv6Addresses::none;
  bridge.attributes = {{kinds::bridge::kStpState, 1},       {kinds::bridge::kAgeingTime, 12300},
                       {kinds::bridge::kGroupFwdMask, 16},  {kinds::bridge::kMcastSnooping, 0},
                       {kinds::bridge::kForwardDelay, 400}, {kinds::bridge::kPriority, 4096}};
  ASSERT_TRUE(done(create(bridge)));

  Json link = ip_link("br0");
  EXPECT_EQ(link["mtu"], 9000);
  EXPECT_EQ(link["address"], "02:00:00:00:01:01");
  EXPECT_EQ(link["ifalias"], mark().text());
  EXPECT_EQ(link["group"], std::to_string(kOwnGroup));
  EXPECT_EQ(link["altnames"][0], bridge.altname);
  EXPECT_EQ(address_mode("br0"), "none");
  Json data = link["linkinfo"]["info_data"];
  EXPECT_EQ(data["stp_state"], 1);
  EXPECT_EQ(data["ageing_time"], 12300);
  EXPECT_EQ(data["group_fwd_mask"], "0x10");
  EXPECT_EQ(data["mcast_snooping"], 0);
  EXPECT_EQ(data["forward_delay"], 400);
  EXPECT_EQ(data["priority"], 4096);

  const LinkFact& seen = fact("br0");
  EXPECT_TRUE(seen.up);
  EXPECT_EQ(seen.mtu, 9000U);
  EXPECT_EQ(seen.mac, bridge.mac);
  EXPECT_EQ(seen.alias, mark().text());
  EXPECT_EQ(seen.group, kOwnGroup);
  EXPECT_EQ(seen.ipv6, Ipv6Addresses::none);
  EXPECT_EQ(seen.altnames, std::vector<std::string>{bridge.altname});
  for (const auto& [attribute, value] : bridge.attributes) {
    EXPECT_EQ(find(seen.attributes, *attribute), value) << attribute->name;
  }
  EXPECT_EQ(observed.find("")->find(mark()), &seen);
  EXPECT_TRUE(last.links.count({"", "br0"}) == 1 && last.uids.count(kUid) == 1);
  expect_exact();
}

TEST_F(NetlinkPort, ABridgeKeepsItsMtuWhateverItsPortsHave) {
  open();
  sandbox.ip("link add eth9 mtu 1300 type veth peer name far9");
  for (const std::uint32_t mtu : {1500U, 9000U, 68U, 65535U}) {  // 1500: what it would have anyway
    LinkSpec bridge = spec("bridge", "br" + std::to_string(mtu));
    bridge.mtu = mtu;
    bridge.ipv6 = Ipv6Addresses::none;
    ASSERT_TRUE(done(create(bridge, "mtu" + std::to_string(mtu))));
    sandbox.ip("link set eth9 master " + bridge.at.name);
    port->drain(observed);
    EXPECT_EQ(fact(bridge.at.name).mtu, mtu);
    EXPECT_EQ(ip_link(bridge.at.name)["mtu"], mtu);
  }
  expect_exact();
}

// There the kernel has no mode of IPv6 addresses that could be set.
TEST_F(NetlinkPort, MakesLinksBelowTheLeastMtuOfIpv6) {
  open();
  LinkSpec bridge = spec("bridge", "br0");
  LinkSpec tap = spec("tun", "tap0");
  LinkSpec outer = spec("veth", "v0");
  tap.master = outer.master = "br0";
  for (LinkSpec* link : {&bridge, &tap, &outer}) {
    link->mtu = 1000;
    link->ipv6 = Ipv6Addresses::none;
  }
  LinkSpec inner = spec("veth", "v1");
  inner.created_with_peer = true;
  ASSERT_TRUE(done(create(bridge)));
  ASSERT_TRUE(done(create(tap, "tap")));
  ASSERT_TRUE(done(act(CreateLink{outer, mark("outer"), inner, mark("inner")})));
  for (const char* name : {"br0", "tap0", "v0"}) {
    EXPECT_EQ(fact(name).mtu, 1000U) << name;
    EXPECT_EQ(fact(name).ipv6, Ipv6Addresses::none) << name;
    EXPECT_TRUE(fact(name).up) << name;
  }
  expect_exact();
}

TEST_F(NetlinkPort, LeavesNoTapWhoseMasterIsRefused) {
  open();
  sandbox.ip("link add v0 type veth peer name v1");  // takes no ports
  port->drain(observed);
  LinkSpec tap = spec("tun", "tap0");
  tap.master = "v0";
  EXPECT_FALSE(create(tap, "tap"));
  EXPECT_FALSE(sandbox.link("tap0")) << "it had its name and mark by then";
  EXPECT_FALSE(sandbox.link(temporary_name(kUid)));
  expect_exact();
}

TEST_F(NetlinkPort, CreatesALinkThatStaysDown) {
  open();
  LinkSpec bridge = spec("bridge", "br0");
  bridge.up = false;
  bridge.altname = "another-name";
  ASSERT_TRUE(done(create(bridge)));
  // The kernel tells of no change of a link that is down: it had to be read again.
  EXPECT_EQ(fact("br0").alias, mark().text());
  EXPECT_EQ(fact("br0").altnames.size(), 1U);
  EXPECT_FALSE(fact("br0").up);
  expect_exact();
}

TEST_F(NetlinkPort, LeavesAStrangersLinkOfTheWantedNameAsItIs) {
  open();
  sandbox.ip("link add br0 type bridge");  // and its event is not yet applied
  const Json before = ip_link("br0");
  const auto result = create(spec("bridge", "br0"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::conflict) << result.error().text();
  EXPECT_EQ(ip_link("br0"), before);
  // An alternative name counts as a name.
  sandbox.ip("link property add dev br0 altname br1");
  EXPECT_EQ(create(spec("bridge", "br1")).error().kind, ErrorKind::conflict);
  EXPECT_FALSE(ip_link("br0").contains("ifalias"));
}

TEST_F(NetlinkPort, OneFailureDoesNotKeepOthersFromBeingDone) {
  open();
  sandbox.ip("link add taken type bridge");
  std::vector<Step> steps;
  for (const char* name : {"a", "taken", "b"}) {
    steps.emplace_back(CreateLink{spec("bridge", name), mark(name), std::nullopt, std::nullopt});
  }
  LinkSpec bad = spec("bridge", "bad");
  bad.mtu = 10'000'000;
  steps.emplace_back(CreateLink{bad, mark("bad"), std::nullopt, std::nullopt});
  const auto results = act_all(steps);
  EXPECT_TRUE(done(results[0]));
  EXPECT_FALSE(results[1]);
  EXPECT_TRUE(done(results[2]));
  ASSERT_FALSE(results[3]);
  EXPECT_NE(results[3].error().words.find("mtu"), std::string::npos) << results[3].error().text();
  EXPECT_FALSE(sandbox.link("bad"));
  expect_exact();
}

TEST_F(NetlinkPort, PlugsANamespaceIntoABridge) {
  sandbox.add_netns("r1");
  open();
  port->watch({path_of("r1")}, observed);
  ASSERT_TRUE(done(create(spec("bridge", "br0"))));

  LinkSpec host = spec("veth", "lw-r1");
  host.master = "br0";
  host.ipv6 = Ipv6Addresses::none;
  host.mtu = 1400;
  host.mac = mac("02:00:00:00:00:01");
  host.attributes = {{kinds::bridge::kPortIsolated, 1}, {kinds::bridge::kPortGroupFwdMask, 8}};
  LinkSpec inner = spec("veth", "eth0", path_of("r1"));
  inner.mac = mac("02:00:00:00:00:02");
  inner.mtu = 1400;
  inner.altname = "plugged-into-lab";
  host.peer = inner.at;
  ASSERT_TRUE(done(act(CreateLink{host, mark("host"), inner, mark("inner")})));

  Json outside = ip_link("lw-r1");
  EXPECT_EQ(outside["master"], "br0");
  EXPECT_EQ(outside["mtu"], 1400);
  EXPECT_EQ(outside["address"], "02:00:00:00:00:01");
  EXPECT_EQ(outside["ifalias"], mark("host").text());
  EXPECT_EQ(outside["linkinfo"]["info_slave_data"]["isolated"], true);
  EXPECT_EQ(outside["linkinfo"]["info_slave_data"]["group_fwd_mask"], "0x8");
  EXPECT_EQ(outside["operstate"], "UP");
  EXPECT_TRUE(outside["addr_info"].empty()) << "a link-local address appeared";
  Json inside = ip_link("eth0", "r1");
  EXPECT_EQ(inside["mtu"], 1400);
  EXPECT_EQ(inside["address"], "02:00:00:00:00:02");
  EXPECT_EQ(inside["ifalias"], mark("inner").text());
  EXPECT_EQ(inside["group"], std::to_string(kOwnGroup));
  EXPECT_EQ(inside["altnames"][0], "plugged-into-lab");
  EXPECT_EQ(inside["operstate"], "UP");

  EXPECT_EQ(fact("lw-r1").parent, fact("eth0", path_of("r1")).ifindex);
  EXPECT_EQ(fact("lw-r1").parent_nsid, observed.find(path_of("r1"))->nsid);
  EXPECT_EQ(fact("lw-r1").master, fact("br0").ifindex);
  EXPECT_EQ(find(fact("lw-r1").attributes, kinds::bridge::kPortIsolated), 1U);
  EXPECT_EQ(find(fact("lw-r1").attributes, kinds::bridge::kPortGroupFwdMask), 8U);
  EXPECT_TRUE(has_carrier("eth0", path_of("r1")));
  expect_exact();

  // With one end the other goes; removing both is a success for both.
  const auto results =
      act_all({removal("eth0", mark("inner"), path_of("r1")), removal("lw-r1", mark("host"))});
  EXPECT_TRUE(done(results[0]));
  EXPECT_TRUE(done(results[1]));
  EXPECT_FALSE(sandbox.link("lw-r1"));
  EXPECT_FALSE(sandbox.link("eth0", "r1"));
  expect_exact();
}

TEST_F(NetlinkPort, PlugsInMoreNamespacesThanItMayHaveFilesOpen) {
  constexpr int kNamespaces = 120;
  std::set<std::string> paths;
  std::vector<Step> steps;
  for (int i = 0; i < kNamespaces; ++i) {
    const std::string n = std::to_string(i);
    sandbox.add_netns("r" + n);
    paths.insert(path_of("r" + n));
    steps.emplace_back(CreateLink{spec("veth", "a" + n), mark("a" + n),
                                  spec("veth", "eth0", path_of("r" + n)), mark("b" + n)});
  }
  open();
  rlimit usual{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &usual), 0);
  const rlimit low{100, usual.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  port->watch(paths, observed);
  const auto results = act_all(steps);
  EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &usual), 0);
  for (const auto& result : results) ASSERT_TRUE(done(result));
  for (const std::string& path : paths) EXPECT_TRUE(known("eth0", path)) << path;
  EXPECT_EQ(observed.find("")->links().size(), 1U + kNamespaces);
}

TEST_F(NetlinkPort, MakesAPairWithBothEndsInOnePlace) {
  sandbox.add_netns("r1");
  open();
  port->watch({path_of("r1")}, observed);
  for (const std::string& netns : {std::string(), path_of("r1")}) {
    const LinkSpec a = spec("veth", "a", netns);
    const LinkSpec b = spec("veth", "b", netns);
    ASSERT_TRUE(done(act(CreateLink{a, mark("a"), b, mark("b")})));
    EXPECT_EQ(fact("a", netns).parent, fact("b", netns).ifindex);
    EXPECT_EQ(fact("a", netns).alias, mark("a").text());
    EXPECT_EQ(fact("b", netns).alias, mark("b").text());
    EXPECT_TRUE(has_carrier("a", netns) && has_carrier("b", netns));
  }
  expect_exact();
}

TEST_F(NetlinkPort, MakesALinkInANamespaceOnAParentOutside) {
  sandbox.add_netns("r1");
  sandbox.ip("link add p0 type bridge");
  sandbox.ip("link set p0 up");
  open();
  port->watch({path_of("r1")}, observed);
  LinkSpec macvlan = spec("macvlan", "eth0", path_of("r1"));
  macvlan.parent = "p0";
  macvlan.attributes = {{kinds::macvlan::kMode, 4}};
  macvlan.mac = mac("02:00:00:00:00:07");
  ASSERT_TRUE(done(create(macvlan)));
  Json link = ip_link("eth0", "r1");
  EXPECT_EQ(link["linkinfo"]["info_data"]["mode"], "bridge");
  EXPECT_EQ(link["address"], "02:00:00:00:00:07");
  EXPECT_EQ(link["ifalias"], mark().text());
  EXPECT_EQ(fact("eth0", path_of("r1")).parent, fact("p0").ifindex);
  expect_exact();
  macvlan.at.name = "eth1";
  macvlan.parent = "missing";
  EXPECT_EQ(create(macvlan).error().kind, ErrorKind::waiting);
  macvlan.at.netns = path_of("nowhere");
  EXPECT_EQ(create(macvlan).error().kind, ErrorKind::waiting);
}

TEST_F(NetlinkPort, MakesATapWithItsOwner) {
  open();
  ASSERT_TRUE(done(create(spec("bridge", "br0"))));
  LinkSpec tap = spec("tun", "tap-vm1");
  tap.master = "br0";
  tap.mtu = 1300;
  tap.mac = mac("02:00:00:00:00:03");
  tap.tap_owner = 1000;
  tap.tap_group = 1001;
  tap.ipv6 = Ipv6Addresses::none;
  tap.altname = "tap-of-the-virtual-machine";
  tap.attributes = {{kinds::bridge::kPortIsolated, 1}};
  // What a crash left behind does not stand in the way.
  sandbox.ip("tuntap add dev " + temporary_name(kUid) + " mode tap");
  ASSERT_TRUE(done(create(tap, "tap")));
  EXPECT_FALSE(sandbox.link(temporary_name(kUid)));
  Json link = ip_link("tap-vm1");
  EXPECT_EQ(link["ifalias"], mark("tap").text());
  EXPECT_EQ(link["group"], std::to_string(kOwnGroup));
  EXPECT_EQ(link["master"], "br0");
  EXPECT_EQ(link["mtu"], 1300);
  EXPECT_EQ(link["address"], "02:00:00:00:00:03");
  EXPECT_EQ(address_mode("tap-vm1"), "none");
  Json data = link["linkinfo"]["info_data"];
  EXPECT_EQ(data["type"], "tap");
  EXPECT_EQ(data["persist"], true);
  EXPECT_EQ(fact("tap-vm1").tap_owner, 1000U);
  EXPECT_EQ(fact("tap-vm1").tap_group, 1001U);
  EXPECT_EQ(find(fact("tap-vm1").attributes, kinds::bridge::kPortIsolated), 1U);
  EXPECT_TRUE(fact("tap-vm1").up);
  expect_exact();

  // A taken name leaves no half-made tap.
  sandbox.ip("link add taken type bridge");
  EXPECT_EQ(create(spec("tun", "taken"), "other").error().kind, ErrorKind::conflict);
  EXPECT_FALSE(sandbox.link(temporary_name(kUid)));

  ChangeLink owner = change("tap-vm1");
  owner.tap_owner = 2000;
  ASSERT_TRUE(done(act(owner)));
  EXPECT_EQ(fact("tap-vm1").tap_owner, 2000U);
  EXPECT_EQ(fact("tap-vm1").tap_group, 1001U);
  expect_exact();
  ASSERT_TRUE(done(act(removal("tap-vm1", mark("tap")))));
  EXPECT_FALSE(sandbox.link("tap-vm1"));
}

TEST_F(NetlinkPort, ChangesOnlyWhatDiffers) {
  open();
  sandbox.ip("link add br0 type bridge");
  sandbox.ip("link add name a type veth peer name b");
  sandbox.ip("link set dev a up");
  sandbox.ip("link set dev b up");
  port->drain(observed);

  ChangeLink join = change("a");
  join.master = "br0";
  join.port_kind = "bridge";
  join.attributes = {{kinds::bridge::kPortIsolated, 1}, {kinds::bridge::kPortLearning, 0}};
  join.mtu = 1400;
  join.mac = mac("02:00:00:00:00:0a");
  join.alias = mark("a").text();
  join.group = kOwnGroup;
  join.ipv6 = Ipv6Addresses::none;
  join.rename = "renamed";
  join.add_altname = "also-known-as";
  ASSERT_TRUE(done(act(join)));
  Json link = ip_link("renamed");
  EXPECT_EQ(link["master"], "br0");
  EXPECT_EQ(link["mtu"], 1400);
  EXPECT_EQ(link["address"], "02:00:00:00:00:0a");
  EXPECT_EQ(link["ifalias"], mark("a").text());
  EXPECT_EQ(link["group"], std::to_string(kOwnGroup));
  EXPECT_EQ(address_mode("renamed"), "none");
  EXPECT_EQ(link["altnames"][0], "also-known-as");
  EXPECT_EQ(link["linkinfo"]["info_slave_data"]["isolated"], true);
  EXPECT_EQ(link["linkinfo"]["info_slave_data"]["learning"], false);
  EXPECT_EQ(link["operstate"], "UP");
  EXPECT_TRUE(last.links.count({"", "a"}) == 1 && last.links.count({"", "renamed"}) == 1);
  expect_exact();

  ChangeLink release = change("renamed");
  release.master = "";
  release.up = false;
  ASSERT_TRUE(done(act(release)));
  EXPECT_FALSE(ip_link("renamed").contains("master"));
  EXPECT_EQ(ip_link("renamed")["operstate"], "DOWN");
  expect_exact();

  ChangeLink unheard = change("renamed");  // it is down: no event will tell
  unheard.alias = "other";
  unheard.add_altname = "third-name";
  ASSERT_TRUE(done(act(unheard)));
  EXPECT_EQ(fact("renamed").alias, "other");
  EXPECT_EQ(fact("third-name").name, "renamed");

  ChangeLink bridge = change("br0");
  bridge.attributes = {{kinds::bridge::kAgeingTime, 5000}, {kinds::bridge::kPriority, 8192}};
  bridge.up = true;
  ASSERT_TRUE(done(act(bridge)));
  EXPECT_EQ(ip_link("br0")["linkinfo"]["info_data"]["ageing_time"], 5000);
  EXPECT_EQ(find(fact("br0").attributes, kinds::bridge::kPriority), 8192U);

  ChangeLink gone = change("br0");
  gone.ifindex = 99999;
  gone.mtu = 1300;
  const auto result = act(gone);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().number, ENODEV);
  expect_exact();
}

TEST_F(NetlinkPort, ComesUpWithoutALinkLocalAddressWhereNoneIsWanted) {
  open();
  sandbox.ip("link add name a type veth peer name b");
  sandbox.ip("link set dev b up");
  port->drain(observed);
  ChangeLink up = change("a");
  up.ipv6 = Ipv6Addresses::none;
  up.up = true;
  ASSERT_TRUE(done(act(up)));
  EXPECT_TRUE(ip_link("a")["addr_info"].empty()) << ip_link("a").dump();
  EXPECT_TRUE(fact("a").addresses.empty());
}

TEST_F(NetlinkPort, GivesAndTakesAddresses) {
  sandbox.add_netns("r1");
  open();
  port->watch({path_of("r1")}, observed);
  const LinkSpec host = spec("veth", "a");
  const LinkSpec inner = spec("veth", "eth0", path_of("r1"));
  ASSERT_TRUE(done(act(CreateLink{host, mark("a"), inner, mark("b")})));
  const std::vector<Step> steps{AddAddress{inner.at, prefix("10.0.0.1/24")},
                                AddAddress{inner.at, prefix("fd00::1/64")},
                                AddAddress{host.at, prefix("10.0.0.2/24")}};
  for (int round = 0; round < 2; ++round) {  // what is there already is a success
    for (const auto& result : act_all(steps)) EXPECT_TRUE(done(result));
  }
  Json link = ip_link("eth0", "r1");
  std::map<std::string, Json> seen;
  for (Json each : link["addr_info"]) seen[each["local"].get<std::string>()] = each;
  ASSERT_EQ(seen.count("10.0.0.1"), 1U) << link.dump();
  EXPECT_EQ(seen["10.0.0.1"]["prefixlen"], 24);
  EXPECT_EQ(seen["10.0.0.1"]["scope"], "global");
  EXPECT_EQ(seen["10.0.0.1"]["broadcast"], "10.0.0.255");
  ASSERT_EQ(seen.count("fd00::1"), 1U) << link.dump();
  EXPECT_FALSE(seen["fd00::1"].contains("tentative"));
  bool own = false;
  for (const auto& each : fact("eth0", path_of("r1")).addresses) {
    if (each.prefix == prefix("10.0.0.1/24")) own = each.protocol == kOwnProtocol;
  }
  EXPECT_TRUE(own) << describe(fact("eth0", path_of("r1")));
  expect_exact();

  const auto other_length = act(AddAddress{inner.at, prefix("fd00::1/48")});
  ASSERT_FALSE(other_length);
  EXPECT_EQ(other_length.error().kind, ErrorKind::conflict);

  const std::vector<Step> removals{RemoveAddress{inner.at, prefix("10.0.0.1/24")},
                                   RemoveAddress{inner.at, prefix("fd00::1/64")},
                                   RemoveAddress{{"", "nothing"}, prefix("10.0.0.1/24")}};
  for (int round = 0; round < 2; ++round) {
    for (const auto& result : act_all(removals)) EXPECT_TRUE(done(result));
  }
  Json rest = ip_link("eth0", "r1");
  for (Json each : rest["addr_info"]) EXPECT_EQ(each["scope"], "link") << each.dump();
  expect_exact();
  EXPECT_EQ(act(AddAddress{{"", "nothing"}, prefix("10.0.0.1/24")}).error().kind, ErrorKind::waiting);
}

// Without the kernel's help: it would take the others of the subnet along.
TEST_F(NetlinkPort, TakesTheFirstAddressAlone) {
  sandbox.add_netns("r1");
  ASSERT_TRUE(test::run({"sysctl", "-qw", "net.ipv4.conf.all.promote_secondaries=0",
                         "net.ipv4.conf.default.promote_secondaries=0"},
                        {.netns = "r1"})
                  .ok());
  open();
  port->watch({path_of("r1")}, observed);
  const LinkSpec inner = spec("veth", "eth0", path_of("r1"));
  ASSERT_TRUE(done(act(CreateLink{spec("veth", "a"), mark("a"), inner, mark("b")})));
  for (const char* text : {"10.0.0.1/24", "10.0.0.2/24", "10.0.0.3/24"})
    ASSERT_TRUE(done(act(AddAddress{inner.at, prefix(text)})));
  ASSERT_TRUE(done(act(AddRoute{inner.at, {prefix("10.9.0.0/16"), address("10.0.0.9"), std::nullopt}})));
  const auto secondaries = [&] {
    std::map<std::string, bool> all;
    for (const auto& each : fact("eth0", path_of("r1")).addresses)
      if (each.prefix.address.family == AF_INET) all[each.prefix.text()] = each.secondary;
    return all;
  };
  using Expected = std::map<std::string, bool>;
  EXPECT_EQ(secondaries(), (Expected{{"10.0.0.1/24", false}, {"10.0.0.2/24", true}, {"10.0.0.3/24", true}}));
  ASSERT_TRUE(done(act(RemoveAddress{inner.at, prefix("10.0.0.1/24")})));
  EXPECT_EQ(secondaries(), (Expected{{"10.0.0.2/24", false}, {"10.0.0.3/24", true}}));
  EXPECT_EQ(fact("eth0", path_of("r1")).routes.size(), 1U) << describe(fact("eth0", path_of("r1")));
  expect_exact();
}

TEST_F(NetlinkPort, TellsAnAddressThatAnotherHostHas) {
  sandbox.add_netns("r1");
  open();
  port->watch({path_of("r1")}, observed);
  const LinkSpec inner = spec("veth", "eth0", path_of("r1"));
  ASSERT_TRUE(done(act(CreateLink{spec("veth", "a"), mark("a"), inner, mark("b")})));
  sandbox.ip("addr add fd00::7/64 dev a nodad");
  sandbox.ip("-n r1 addr add fd00::7/64 dev eth0");
  const auto state = [&] {
    port->drain(observed);
    for (const auto& each : fact("eth0", path_of("r1")).addresses)
      if (each.prefix == prefix("fd00::7/64")) return std::optional(each.state);
    return std::optional<AddressState>();
  };
  EXPECT_EQ(state(), AddressState::tentative);
  ASSERT_TRUE(test::wait_until([&] { return state() == AddressState::duplicate; }));
  const auto again = act(AddAddress{inner.at, prefix("fd00::7/64"), true});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().words, "another host has this address");
  EXPECT_EQ(state(), AddressState::tentative);
  ASSERT_TRUE(test::wait_until([&] { return state() == AddressState::duplicate; }));
  sandbox.ip("addr del fd00::7/64 dev a");
  EXPECT_FALSE(act(AddAddress{inner.at, prefix("fd00::7/64"), true}));
  ASSERT_TRUE(test::wait_until([&] { return state() == AddressState::usable; }));
  expect_exact();
}

TEST_F(NetlinkPort, GivesAndTakesRoutes) {
  sandbox.add_netns("r1");
  open();
  const std::string r1 = path_of("r1");
  port->watch({r1}, observed);
  const LinkSpec host = spec("veth", "a");
  const LinkSpec inner = spec("veth", "eth0", r1);
  ASSERT_TRUE(done(act(CreateLink{host, mark("a"), inner, mark("b")})));
  ASSERT_TRUE(done(act(AddAddress{inner.at, prefix("10.0.0.1/24")})));
  ASSERT_TRUE(done(act(AddAddress{inner.at, prefix("fd00::1/64")})));
  const RouteSpec by_gateway{prefix("0.0.0.0/0"), address("10.0.0.254"), std::nullopt};
  const RouteSpec by_link{prefix("192.168.7.0/24"), std::nullopt, 50};
  const RouteSpec ipv6{prefix("fd07::/48"), address("fd00::fe"), std::nullopt};
  const std::vector<Step> steps{AddRoute{inner.at, by_gateway}, AddRoute{inner.at, by_link},
                                AddRoute{inner.at, ipv6}};
  for (int round = 0; round < 2; ++round) {
    for (const auto& result : act_all(steps)) EXPECT_TRUE(done(result));
    EXPECT_EQ(fact("eth0", r1).routes.size(), 3U);
  }
  std::map<std::string, Json> seen;
  for (Json each : sandbox.ip_json("-n r1 route show")) seen[each["dst"].get<std::string>()] = each;
  EXPECT_EQ(seen["default"]["gateway"], "10.0.0.254");
  EXPECT_EQ(seen["default"]["protocol"], std::to_string(kOwnProtocol));
  EXPECT_EQ(seen["192.168.7.0/24"]["metric"], 50);
  EXPECT_EQ(seen["192.168.7.0/24"]["scope"], "link");
  EXPECT_EQ(fact("eth0", r1).routes.size(), 3U);
  for (const RouteSpec& route : {by_gateway, by_link, ipv6}) {
    const auto& routes = fact("eth0", r1).routes;
    EXPECT_NE(std::find(routes.begin(), routes.end(), RouteFact{route, kOwnProtocol}), routes.end())
        << route.to.text();
  }
  expect_exact();

  // An own route gives way to its successor, a stranger's does not.
  ASSERT_TRUE(done(act(AddRoute{inner.at, {prefix("0.0.0.0/0"), address("10.0.0.253"), std::nullopt}})));
  EXPECT_EQ(sandbox.ip_json("-n r1 route show default")[0]["gateway"], "10.0.0.253");
  EXPECT_EQ(fact("eth0", r1).routes.size(), 3U);
  sandbox.ip("-n r1 route add 172.16.0.0/12 via 10.0.0.9");
  const auto refused = act(AddRoute{inner.at, {prefix("172.16.0.0/12"), address("10.0.0.8"), std::nullopt}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
  EXPECT_EQ(sandbox.ip_json("-n r1 route show 172.16.0.0/12")[0]["gateway"], "10.0.0.9");
  EXPECT_TRUE(done(act(RemoveRoute{inner.at, {prefix("172.16.0.0/12"), address("10.0.0.9"), std::nullopt}})));
  EXPECT_EQ(sandbox.ip_json("-n r1 route show 172.16.0.0/12").size(), 1U) << "a stranger's route was removed";
  expect_exact();

  EXPECT_TRUE(done(act(RemoveRoute{inner.at, by_link})));
  EXPECT_TRUE(done(act(RemoveRoute{inner.at, by_link})));
  EXPECT_EQ(fact("eth0", r1).routes.size(), 2U);

  // IPv4 routes go without an event of their own.
  sandbox.ip("-n r1 link set eth0 down");
  const ObservedChange touched = port->drain(observed);
  EXPECT_TRUE(fact("eth0", r1).routes.empty()) << describe(fact("eth0", r1));
  EXPECT_EQ(touched.links.count(inner.at), 1U);
  expect_exact();
  sandbox.ip("-n r1 link set eth0 up");
  port->drain(observed);
  ASSERT_TRUE(done(act(AddRoute{inner.at, by_gateway})));
  EXPECT_EQ(fact("eth0", r1).routes.size(), 1U);
  sandbox.ip("-n r1 address flush dev eth0");
  port->drain(observed);
  EXPECT_TRUE(fact("eth0", r1).routes.empty());
  expect_exact();
}

TEST_F(NetlinkPort, DoesNotHearStrangersRoutes) {
  sandbox.ip("link add name a type veth peer name b");
  sandbox.ip("link set dev b up");
  sandbox.ip("link set dev a up");
  sandbox.ip("address add 10.0.0.1/24 dev a");
  open();
  std::string batch;
  for (int i = 0; i < 1000; ++i) {
    batch += "route add 10." + std::to_string(1 + i / 250) + "." + std::to_string(i % 250) +
             ".0/24 via 10.0.0.2\n";
  }
  ASSERT_TRUE(test::run({"ip", "-batch", "-"}, {.input = batch}).ok());
  const ObservedChange touched = port->drain(observed);
  EXPECT_LT(touched.messages, 100U);
  EXPECT_TRUE(touched.links.empty());
}

TEST_F(NetlinkPort, RefusesToRemoveWhatIsNotMarkedAnyMore) {
  open();
  ASSERT_TRUE(done(create(spec("bridge", "a"), "a")));
  ASSERT_TRUE(done(create(spec("bridge", "b"), "b")));
  const std::vector<Step> steps{removal("a", mark("a")), removal("b", mark("b"))};
  sandbox.ip("link set dev b alias mine");
  const auto results = act_all(steps);
  EXPECT_TRUE(done(results[0]));
  ASSERT_FALSE(results[1]);
  EXPECT_EQ(results[1].error().kind, ErrorKind::conflict);
  EXPECT_FALSE(sandbox.link("a"));
  EXPECT_TRUE(sandbox.link("b"));
  EXPECT_EQ(ip_link("b")["group"], std::to_string(kOwnGroup));
  // Gone already is a success.
  EXPECT_TRUE(done(act(steps[0])));
  // A link that was never marked, a crash being faster, is the agent's by its group.
  sandbox.ip("link add half group " + std::to_string(kOwnGroup) + " type bridge");
  sandbox.ip("link add foreign type bridge");
  port->drain(observed);
  EXPECT_TRUE(done(act(removal("half", mark("half")))));
  EXPECT_EQ(act(removal("foreign", mark("half"))).error().kind, ErrorKind::conflict);
  EXPECT_TRUE(sandbox.link("foreign"));
  expect_exact();
}

TEST_F(NetlinkPort, ReleasesForeignPortsOfABridgeThatGoes) {
  open();
  ASSERT_TRUE(done(create(spec("bridge", "br0"))));
  sandbox.ip("link add name a type veth peer name b");
  sandbox.ip("link set dev a master br0");
  port->drain(observed);
  EXPECT_EQ(fact("a").port_kind, "bridge");
  ASSERT_TRUE(done(act(removal("br0", mark()))));
  EXPECT_FALSE(known("br0"));
  EXPECT_EQ(fact("a").master, 0);
  EXPECT_EQ(fact("a").port_kind, "");
  expect_exact();
}

TEST_F(NetlinkPort, KnowsThatAReleasedPortIsNotADeletedLink) {
  open();
  sandbox.ip("link add br0 type bridge");
  sandbox.ip("link add name a type veth peer name b");
  sandbox.ip("link set dev a master br0");
  port->drain(observed);
  sandbox.ip("link set dev a nomaster");  // RTM_DELLINK of AF_BRIDGE
  port->drain(observed);
  ASSERT_TRUE(known("a"));
  EXPECT_EQ(fact("a").master, 0);
  expect_exact();
}

TEST_F(NetlinkPort, HearsPortAttributesThatOthersSet) {
  open();
  sandbox.ip("link add br0 type bridge");
  sandbox.ip("link add name a type veth peer name b");
  sandbox.ip("link set dev a master br0");
  port->drain(observed);
  ASSERT_TRUE(test::run({"bridge", "link", "set", "dev", "a", "isolated", "on"}).ok());
  port->drain(observed);
  EXPECT_EQ(find(fact("a").attributes, kinds::bridge::kPortIsolated), 1U);
  expect_exact();
}

// Whoever knows a link by one of its names is told, whatever happens to it.
TEST_F(NetlinkPort, TellsWhatMovedUnderAllItsNames) {
  for (const char* command :
       {"link add eth7 type veth peer name far7", "link property add dev eth7 altname enp7s0",
        "link set eth7 up", "link set far7 up", "link add br0 type bridge"})
    sandbox.ip(command);
  open();
  EXPECT_EQ(observed.find(LinkName{"", "enp7s0"}), &fact("eth7"));
  const auto told_after = [&](const std::string& command) {
    port->drain(observed);
    sandbox.ip(command);
    const ObservedChange touched = port->drain(observed);
    for (const char* name : {"eth7", "enp7s0"}) {
      const bool told = touched.links.contains({"", name});
      if (!told) return std::string(name) + " is not told after " + command;
    }
    return std::string();
  };
  for (const char* command : {"link set eth7 mtu 1400", "link set eth7 master br0", "link set eth7 nomaster",
                              "link set eth7 down", "link set eth7 up", "address add 10.0.0.1/24 dev eth7"})
    EXPECT_EQ(told_after(command), "");
  // As a parent, too: what stands on it may be in the way of others.
  if (sandbox.try_ip("link add link eth7 name upper7 type macvlan mode bridge")) {
    sandbox.ip("link set upper7 up");
    EXPECT_EQ(told_after("link del upper7"), "");
  }
  EXPECT_EQ(told_after("link del eth7"), "");
  EXPECT_EQ(observed.find(LinkName{"", "enp7s0"}), nullptr);
  sandbox.ip("link add eth8 type veth peer name far8");
  sandbox.ip("link property add dev eth8 altname enp7s0");
  sandbox.ip("link set eth8 up");
  EXPECT_TRUE(port->drain(observed).links.contains({"", "enp7s0"})) << "under another first name";
  expect_exact();
}

TEST_F(NetlinkPort, RemovesManyPairsTogether) {
  open();
  constexpr int kPairs = 300;
  std::vector<Step> steps;
  for (int i = 0; i < kPairs; ++i) {
    const std::string n = std::to_string(i);
    steps.emplace_back(
        CreateLink{spec("veth", "a" + n), mark("a" + n), spec("veth", "b" + n), mark("b" + n)});
  }
  for (const auto& result : act_all(steps)) ASSERT_TRUE(done(result));
  sandbox.ip("link add foreign type veth peer name stays");
  port->drain(observed);
  ASSERT_EQ(observed.find("")->links().size(), 2U * kPairs + 3U);
  steps.clear();
  for (int i = 0; i < kPairs; ++i) {
    const std::string n = std::to_string(i);
    steps.emplace_back(removal("a" + n, mark("a" + n)));
    if (i % 2 == 0) steps.emplace_back(removal("b" + n, mark("b" + n)));
  }
  int calls = 0;
  for (; !steps.empty(); ++calls) {
    ASSERT_LT(calls, 100);
    const auto results = act_all(steps);
    std::vector<Step> rest;
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (results[i]) continue;
      ASSERT_EQ(results[i].error().kind, ErrorKind::busy) << results[i].error().text();
      rest.push_back(steps[i]);
    }
    ASSERT_LT(rest.size(), steps.size()) << "a call must get on";
    steps = rest;
  }
  EXPECT_EQ(sandbox.links(), (std::vector<std::string>{"foreign", "stays"}));
  expect_exact();
}

// Another program changes a link of its own while 60 bridges go: it has its turn all the time. How long a
// turn takes depends on who else is busy on this machine, so that it is held against how long the whole
// takes; lock_test holds it against the clock, alone.
TEST_F(NetlinkPort, LetsOthersHaveTheLinkLockWhileBridgesGo) {
  open();
  std::vector<Step> steps;
  for (int i = 0; i < 60; ++i) {
    const std::string n = "br" + std::to_string(i);
    steps.emplace_back(CreateLink{spec("bridge", n), mark(n), std::nullopt, std::nullopt});
  }
  for (const auto& result : act_all(steps)) ASSERT_TRUE(done(result));
  sandbox.ip("link add other type veth peer name end");
  steps.clear();
  for (int i = 0; i < 60; ++i)
    steps.emplace_back(removal("br" + std::to_string(i), mark("br" + std::to_string(i))));

  std::atomic<bool> stop = false;
  std::chrono::steady_clock::duration longest{};
  int turns = 0;
  const int foreign = static_cast<int>(ip_link("other")["ifindex"]);
  std::thread other([&] {  // in the same namespace
    auto socket = netlink::Socket::open({}, 1 << 20);
    for (std::uint32_t i = 1; socket && !stop; ++i) {
      const auto start = std::chrono::steady_clock::now();
      if (!netlink::perform_one(*socket, netlink::set_group(foreign, i)).ok()) break;
      longest = std::max(longest, std::chrono::steady_clock::now() - start);
      ++turns;
      std::this_thread::yield();
    }
  });
  const auto began = std::chrono::steady_clock::now();
  while (!steps.empty()) {
    const auto results = act_all(steps);
    std::vector<Step> rest;
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (!results[i]) rest.push_back(steps[i]);
    }
    steps = rest;
  }
  const auto whole = std::chrono::steady_clock::now() - began;
  stop = true;
  other.join();
  EXPECT_GT(turns, 3);
  EXPECT_LT(longest, whole / 2) << longest / 1ms << " of " << whole / 1ms << " ms";
  EXPECT_EQ(sandbox.links(), (std::vector<std::string>{"end", "other"}));
}

TEST_F(NetlinkPort, SaysWhatIsMissingInThisKernel) {
  sandbox.ip("link add p0 type veth peer name p1");
  sandbox.ip("link set p0 up");
  const bool has_vlans = sandbox.try_ip("link add link p0 name probe type vlan id 5");
  const bool filters = sandbox.try_ip("link add probe-br type bridge vlan_filtering 1");
  open();
  LinkSpec vlan = spec("vlan", "p0.50");
  vlan.parent = "p0";
  vlan.attributes = {{kinds::vlan::kId, 50}, {kinds::vlan::kProtocol, 0x88a8}};
  const auto made = create(vlan);
  if (has_vlans) {
    ASSERT_TRUE(done(made));
    EXPECT_EQ(ip_link("p0.50")["linkinfo"]["info_data"]["protocol"], "802.1ad");
    EXPECT_EQ(ip_link("p0.50")["linkinfo"]["info_data"]["id"], 50);
    EXPECT_EQ(find(fact("p0.50").attributes, kinds::vlan::kProtocol), 0x88a8U);
  } else {
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().kind, ErrorKind::unsupported) << made.error().text();
    EXPECT_NE(made.error().hint.find("8021q"), std::string::npos) << made.error().text();
    EXPECT_FALSE(made.error().words.empty());
  }
  LinkSpec bridge = spec("bridge", "br0");
  bridge.attributes = {{kinds::bridge::kVlanFiltering, 1}};
  const auto filtering = create(bridge, "br");
  if (filters) {
    EXPECT_TRUE(done(filtering));
  } else {
    ASSERT_FALSE(filtering);
    EXPECT_EQ(filtering.error().kind, ErrorKind::unsupported);
    EXPECT_NE(filtering.error().hint.find("CONFIG_BRIDGE_VLAN_FILTERING"), std::string::npos);
    EXPECT_FALSE(sandbox.link("br0"));
  }
  expect_exact();
}

TEST_F(NetlinkPort, KeepsVlansOfPorts) {
  if (!sandbox.try_ip("link add br0 type bridge vlan_filtering 1 vlan_default_pvid 0")) {
    GTEST_SKIP() << "this kernel is built without CONFIG_BRIDGE_VLAN_FILTERING";
  }
  sandbox.ip("link set br0 up");
  open();
  LinkSpec a = spec("veth", "a");
  a.master = "br0";
  a.vlans = PortVlans{10, {20, 21, 22, 30}};
  ASSERT_TRUE(done(act(CreateLink{a, mark("a"), spec("veth", "b"), mark("b")})));
  EXPECT_EQ(fact("a").vlans, *a.vlans);
  EXPECT_TRUE(fact("a").up);
  expect_exact();
  ChangeLink other = change("a");
  other.add_vlans = PortVlans{11, {40}};
  other.remove_vlans = PortVlans{10, {20, 21}};
  ASSERT_TRUE(done(act(other)));
  EXPECT_EQ(fact("a").vlans, (PortVlans{11, {22, 30, 40}}));
  ASSERT_TRUE(test::run({"bridge", "vlan", "add", "dev", "a", "vid", "99"}).ok());
  port->drain(observed);
  EXPECT_EQ(fact("a").vlans, (PortVlans{11, {22, 30, 40, 99}}));
  expect_exact();
  sandbox.ip("link set br0 type bridge vlan_filtering 0");
  port->drain(observed);
  EXPECT_TRUE(fact("a").vlans.empty());
  sandbox.ip("link set br0 type bridge vlan_filtering 1");
  sandbox.ip("link add c type veth peer name d");
  sandbox.ip("link set br0 type bridge vlan_default_pvid 5");
  sandbox.ip("link set c master br0");
  port->drain(observed);
  EXPECT_EQ(fact("c").vlans, (PortVlans{5, {}}));
  expect_exact();
}

TEST_F(NetlinkPort, FollowsANamespaceThatComesAndGoes) {
  open();
  const std::string r1 = path_of("r1");
  ObservedChange touched = port->watch({r1}, observed);
  EXPECT_EQ(touched.namespaces.count(r1), 1U);
  EXPECT_FALSE(observed.find(r1)->present);
  EXPECT_TRUE(observed.complete);

  sandbox.add_netns("r1");
  touched = port->recheck(r1, observed);
  EXPECT_EQ(touched.namespaces.count(r1), 1U);
  ASSERT_TRUE(observed.find(r1)->present);
  EXPECT_TRUE(known("lo", r1));
  EXPECT_TRUE(port->recheck(r1, observed).namespaces.empty()) << "nothing changed";

  sandbox.ip("link add name a type veth peer name eth0 netns r1");
  port->drain(observed);
  EXPECT_TRUE(known("eth0", r1));
  expect_exact();

  // The same name, another namespace, whose inode and number may be the old ones'.
  for (int round = 0; round < 5; ++round) {
    sandbox.delete_netns("r1");
    sandbox.add_netns("r1");
    sandbox.ip("link add b" + std::to_string(round) + " type veth peer name eth" + std::to_string(round + 1) +
               " netns r1");
    port->recheck(r1, observed);
    EXPECT_TRUE(known("eth" + std::to_string(round + 1), r1));
    EXPECT_FALSE(known("eth" + std::to_string(round), r1));
  }
  EXPECT_TRUE(
      test::wait_until([&] { return sandbox.links().size() == 1; }));  // all but the last pair are gone
  port->drain(observed);
  expect_exact();

  sandbox.delete_netns("r1");
  // Nobody says so but the kernel (RTM_DELNSID).
  EXPECT_TRUE(test::wait_until([&] {
    port->drain(observed);
    return !observed.find(r1)->present;
  }));
  EXPECT_TRUE(observed.find(r1)->links().empty());
  EXPECT_TRUE(test::wait_until([&] {
    port->drain(observed);
    return observed.find("")->links().size() == 1;
  }));
  expect_exact();
  touched = port->watch({}, observed);
  EXPECT_EQ(observed.find(r1), nullptr);
}

TEST_F(NetlinkPort, DoesNotKeepANamespaceAlive) {
  sandbox.add_netns("r1");
  sandbox.ip("link add name a type veth peer name eth0 netns r1");
  open();
  port->watch({path_of("r1")}, observed);
  ASSERT_TRUE(done(act(AddAddress{{path_of("r1"), "eth0"}, prefix("10.0.0.1/24")})));
  sandbox.delete_netns("r1");
  EXPECT_TRUE(test::wait_until([&] { return sandbox.links().empty(); })) << "its veth lives on";
}

TEST_F(NetlinkPort, WatchesOneNamespaceUnderTwoPaths) {
  sandbox.add_netns("r1");
  test::Fd file(::open("/run/netns/again", O_CREAT | O_RDONLY | O_CLOEXEC, 0644), "create");
  ASSERT_TRUE(test::run({"mount", "--bind", path_of("r1"), path_of("again")}).ok());
  test::Fd self(::open("/run/netns/self", O_CREAT | O_RDONLY | O_CLOEXEC, 0644), "create");
  ASSERT_TRUE(test::run({"mount", "--bind", "/proc/self/ns/net", path_of("self")}).ok());
  open();
  port->watch({path_of("r1"), path_of("again"), path_of("self")}, observed);
  sandbox.ip("link add name a type veth peer name eth0 netns r1");
  const ObservedChange touched = port->drain(observed);
  EXPECT_TRUE(known("eth0", path_of("r1")) && known("eth0", path_of("again")));
  EXPECT_TRUE(known("a") && known("a", path_of("self")));
  EXPECT_EQ(touched.links.count({path_of("again"), "eth0"}), 1U);
  EXPECT_EQ(observed.find(path_of("self"))->nsid, -1);
  expect_exact();
  // Actions by either path.
  ASSERT_TRUE(done(create(spec("bridge", "br0", path_of("self")))));
  EXPECT_TRUE(known("br0"));
  const LinkSpec inner = spec("veth", "x", path_of("self"));
  ASSERT_TRUE(done(act(CreateLink{spec("veth", "y"), mark("y"), inner, mark("x")})));
  EXPECT_EQ(fact("x").alias, mark("x").text());
  expect_exact();
}

TEST_F(NetlinkPort, TakesAFileThatIsNoNamespaceForAbsent) {
  const auto plain = sandbox.write_file("plain", "no namespace");
  ASSERT_TRUE(test::run({"mkfifo", (sandbox.directory() / "fifo").string()}).ok());
  open();
  const std::set<std::string> paths{plain.string(), (sandbox.directory() / "fifo").string(),
                                    "/proc/self/ns/mnt", "/run"};
  port->watch(paths, observed);
  for (const std::string& path : paths) EXPECT_FALSE(observed.find(path)->present) << path;
  EXPECT_TRUE(observed.complete);
}

TEST_F(NetlinkPort, ManagesANamespaceThatItsThreadIsNotIn) {
  sandbox.add_netns("managed");
  sandbox.add_netns("r1");
  netlink::NetlinkOptions options;
  options.netns = path_of("managed");
  open(options);
  port->watch({path_of("r1")}, observed);
  LinkSpec tap = spec("tun", "tap0");
  ASSERT_TRUE(done(create(spec("bridge", "br0"), "br")));
  ASSERT_TRUE(done(create(tap, "tap")));
  ASSERT_TRUE(
      done(act(CreateLink{spec("veth", "a"), mark("a"), spec("veth", "eth0", path_of("r1")), mark("eth0")})));
  EXPECT_EQ(sandbox.links("managed"), (std::vector<std::string>{"a", "br0", "tap0"}));
  EXPECT_EQ(sandbox.links("r1"), std::vector<std::string>{"eth0"});
  EXPECT_TRUE(sandbox.links().empty());
}

TEST_F(NetlinkPort, FollowsALinkIntoAnotherNamespace) {
  sandbox.add_netns("r1");
  sandbox.add_netns("r2");
  sandbox.ip("link add name a type veth peer name b");
  open();
  port->watch({path_of("r1"), path_of("r2")}, observed);
  const std::vector<std::pair<std::string, std::string>> moves{{"", "r1"}, {"r1", "r2"}};
  for (const auto& [from, to] : moves) {
    sandbox.ip((from.empty() ? "" : "-n " + from + " ") + "link set dev b netns " + to);
    const ObservedChange touched = port->drain(observed);
    EXPECT_FALSE(known("b", from.empty() ? "" : path_of(from)));
    EXPECT_TRUE(known("b", path_of(to)));
    EXPECT_GE(touched.links.size(), 2U);
    expect_exact();
  }
  EXPECT_EQ(fact("a").parent_nsid, observed.find(path_of("r2"))->nsid);
}

TEST_F(NetlinkPort, SaysThatItLostEventsAndFindsTheTruthAgain) {
  netlink::NetlinkOptions options;
  options.receive_buffer = 4096;
  open(options);
  std::string batch;
  for (int i = 0; i < 5000; ++i) {
    batch += "link set x mtu " + std::to_string(1300 + i % 2) + "\n";
    if (i % 100 == 0) batch += "link add keep" + std::to_string(i) + " type bridge\n";
  }
  sandbox.ip("link add name x type veth peer name y");
  // Nobody reads meanwhile.
  ASSERT_TRUE(test::run({"ip", "-batch", "-"}, {.limit = 200s, .input = batch}).ok());
  const ObservedChange touched = port->drain(observed);
  EXPECT_TRUE(touched.overrun);
  EXPECT_FALSE(observed.complete);
  const auto again = port->resync(observed);
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_TRUE(again->full_resync);
  EXPECT_FALSE(again->overrun);
  EXPECT_TRUE(observed.complete);
  EXPECT_EQ(observed.find("")->links().size(), 53U);
  expect_exact();
}

TEST_F(NetlinkPort, LosesNothingThatHappensWhileItReads) {
  open();
  std::atomic<bool> stop = false;
  std::thread storm([&] {
    std::string batch;
    for (int i = 0; i < 400; ++i) {
      batch += "link add s" + std::to_string(i) + " type veth peer name t" + std::to_string(i) + "\n";
      if (i % 3 == 0) batch += "link set s" + std::to_string(i) + " up mtu 1400\n";
      if (i % 40 == 0) batch += "link del s" + std::to_string(i) + "\n";
    }
    test::run({"ip", "-batch", "-"}, {.limit = 60s, .input = batch});
    stop = true;
  });
  int reads = 0;
  while (!stop) {
    if (port->resync(observed)) ++reads;
  }
  storm.join();
  port->drain(observed);
  EXPECT_GT(reads, 1);
  expect_exact();
}

TEST_F(NetlinkPort, CountsOnlyChangesAsWrites) {
  sandbox.add_netns("r1");
  open();
  port->watch({path_of("r1")}, observed);
  sandbox.ip("link add name a type veth peer name b");
  port->drain(observed);
  ASSERT_TRUE(port->resync(observed));
  EXPECT_EQ(port->writes(), 0U);
  ASSERT_TRUE(done(create(spec("bridge", "br0"))));
  EXPECT_GT(port->writes(), 0U);
}

TEST_F(NetlinkPort, SaysItsEventsAreReadable) {
  open();
  pollfd poll_fd{port->event_fd(), POLLIN, 0};
  port->drain(observed);
  EXPECT_EQ(::poll(&poll_fd, 1, 0), 0);
  sandbox.ip("link add br0 type bridge");
  EXPECT_EQ(::poll(&poll_fd, 1, 1000), 1);
  EXPECT_TRUE(port->drain(observed).links.count({"", "br0"}) == 1);
  EXPECT_EQ(::poll(&poll_fd, 1, 0), 0);
}

// Random changes by `ip` in several namespaces; what the events made of it is what is there.
class Storm : public NetlinkPort, public ::testing::WithParamInterface<unsigned> {
 protected:
  std::string random_change() {
    const auto pick = [this](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    const auto name = [&] { return "n" + std::to_string(pick(12)); };
    const auto netns = [&] { return "r" + std::to_string(pick(3)); };
    switch (pick(16)) {
      case 0:
      case 1:
        return "link add " + name() + " type veth peer name " + name() + " netns " + netns();
      case 2:
        return "link add " + name() + " up type veth peer name " + name();
      case 3:
      case 4:
        return "link add " + name() + " up type bridge";
      case 5:
        return "link del " + name();
      case 6:
        return "link set " + name() + " up";
      case 7:
        return "link set " + name() + " down";
      case 8:
        return "link set " + name() + " master " + name();
      case 9:
        return "link set " + name() + " nomaster";
      case 10:
        return "link set " + name() + " mtu " + std::to_string(1200 + pick(300));
      case 11:
        return "link set " + name() + " name " + name();
      case 12:
        return "link set " + name() + " netns " + netns();
      case 13:
        return "address add 10." + std::to_string(pick(3)) + ".0." + std::to_string(1 + pick(20)) +
               "/24 dev " + name();
      case 14:
        return "address flush dev " + name();
      default:
        return "route add 192.168." + std::to_string(pick(5)) + ".0/24 dev " + name() + " proto " +
               std::to_string(kOwnProtocol);
    }
  }
  std::mt19937 random;
};

TEST_P(Storm, KeepsFactsExact) {
  random.seed(GetParam());
  std::set<std::string> paths;
  for (const char* netns : {"r0", "r1", "r2"}) {
    sandbox.add_netns(netns);
    paths.insert(path_of(netns));
  }
  open();
  port->watch(paths, observed);
  for (int round = 0; round < 12; ++round) {
    for (const char* netns : {"", "r0", "r1", "r2"}) {
      std::string batch;
      for (int i = 0; i < 60; ++i) batch += random_change() + "\n";
      test::run({"ip", "-force", "-batch", "-"}, {.netns = netns, .limit = 60s, .input = batch});
      if (round % 2 == 0) port->drain(observed);
    }
    port->drain(observed);
    // Link-local addresses lose their tentative state by a timer; nothing here depends on it.
    expect_exact();
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Storm, ::testing::Range(1U, 5U));

}  // namespace
}  // namespace lanwright
