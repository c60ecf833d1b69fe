#include <gtest/gtest.h>

#include <ostream>

#include "model/format/set_reader.h"
#include "tests/unit/model/fixture.h"

namespace lanwright {
namespace {

using model_test::read;
using model_test::texts;

constexpr const char* kHead = "version: 1\nnetworks:\n  lab: {driver: bridge}\n";

// A file whose only attachment has these lines.
std::string attachment(const std::string& fields) {
  return std::string(kHead) + "attachments:\n  r1: {" + fields + "}\n";
}
std::string network(const std::string& fields) {
  return "version: 1\nnetworks:\n  lab: {driver: bridge, " + fields + "}\n";
}
std::string vlan(const std::string& fields) {
  return "version: 1\nvlans:\n  v: {" + fields + "}\n";
}

// Reads a file with one mistake and gives its message, behind the source text that it points at.
std::string mistake(const std::string& text) {
  const ReadOutcome outcome = read(text);
  if (outcome.diagnostics.size() != 1) return "not one mistake:\n" + texts(outcome);
  const Diagnostic& only = outcome.diagnostics.front();
  const std::string suggestion = only.suggestion.empty() ? "" : " (" + only.suggestion + ")";
  const std::string shown = only.text();
  const std::size_t caret = shown.rfind('\n', shown.size() - 2) + 1;
  const std::size_t begin = shown.find('^', caret);
  if (begin == std::string::npos) return only.message + suggestion;
  const std::string marked = only.source_line.substr(begin - caret, shown.size() - 1 - begin);
  return marked + ": " + only.message + suggestion;
}

TEST(ReadSet, ReadsEveryKeyOfTheFormat) {
  const ReadOutcome outcome = read(R"(
version: 1
name: campus
vlans:
  eth0.50: {parent: eth0, id: 50}
  q: {parent: eth0.50, id: 4094, protocol: 802.1ad, mtu: 1496, mac: 02:00:00:00:00:0A}
networks:
  backbone:
    driver: bridge
    mtu: 9000
    bridge: {stp: false, vlan_filtering: true, ageing_time: 30}
    mode: nat
    subnets: [{cidr: 10.20.0.0/24, gateway: 10.20.0.1}]
    uplinks: [enp0s3, {interface: eth1, vlan: 10, trunk: [30, 20]}]
  office:
    driver: macvlan
    parent: eth0.50
    macvlan: {mode: bridge}
    internal: true
    subnets:
      - {cidr: 192.168.50.0/24, gateway: 192.168.50.1, range: 192.168.50.128/25, reserved: {printer: 192.168.50.200}}
      - {cidr: fd50::/64, gateway: fd50::1}
    host_interface: {name: office-host, addresses: [192.168.50.223/32], routes: [{to: 192.168.50.128/25}]}
  sdn:
    driver: ovs
    ovs: {controllers: ["tcp:127.0.0.1:6653"], datapath_id: 0x1}
    uplinks: [{interface: enx0023569c0114, ofport: 10}]
attachments:
  r1-lab:
    network: backbone
    netns: r1
    interface: eth0
    mac: 02:00:00:00:01:01
    mtu: 1500
    isolated: true
    vlan: 7
    trunk: [9, 8]
    addresses: [10.0.0.1/24, "fd00::1/64"]
    routes:
      - {to: default, via: 10.0.0.254}
      - {to: default, via: fd00::ff, metric: 5}
      - {to: 10.9.0.0/16}
      - {to: 10.8.0.0/16, via: 10.1.0.1, onlink: true}
  vm1: {network: sdn, tap: {name: tap-vm1, owner: 1000, group: 0, multi_queue: true}}
  vm2: {network: sdn, tap: {}}
)");
  ASSERT_TRUE(outcome.ok()) << texts(outcome);
  const SetSpec& set = outcome.set;
  EXPECT_EQ(set.name, "campus");
  const VlanSpec q{"eth0.50", 4094, VlanProtocol::dot1ad, 1496, MacAddress::parse("02:00:00:00:00:0a")};
  EXPECT_EQ(set.vlans.at("q"), q);

  NetworkSpec backbone;
  backbone.driver = "bridge";
  backbone.settings = {{"stp", false}, {"vlan_filtering", true}, {"ageing_time", std::int64_t{30}}};
  backbone.mtu = 9000;
  backbone.mode = NetworkMode::nat;
  backbone.subnets = {{*IpPrefix::parse("10.20.0.0/24"), IpAddress::parse("10.20.0.1"), {}, {}}};
  backbone.uplinks = {{"enp0s3", {}, {}}, {"eth1", {}, {10, {20, 30}}}};
  EXPECT_EQ(set.networks.at("backbone"), backbone);

  const NetworkSpec& office = set.networks.at("office");
  EXPECT_EQ(office.parent, "eth0.50");
  EXPECT_TRUE(office.internal);
  EXPECT_EQ(office.subnets.front().range, IpPrefix::parse("192.168.50.128/25"));
  EXPECT_EQ(office.subnets.front().reserved.at("printer"), IpAddress::parse("192.168.50.200"));
  EXPECT_EQ(office.host_interface->name, "office-host");
  EXPECT_EQ(office.host_interface->routes.front().to, IpPrefix::parse("192.168.50.128/25"));

  const NetworkSpec& sdn = set.networks.at("sdn");
  EXPECT_EQ(sdn.settings.at("controllers"), SettingValue(std::vector<std::string>{"tcp:127.0.0.1:6653"}));
  EXPECT_EQ(sdn.settings.at("datapath_id"), SettingValue(std::string("0x1")));
  EXPECT_EQ(sdn.uplinks.front().ofport, 10U);

  AttachmentSpec r1;
  r1.network = "backbone";
  r1.netns = "r1";
  r1.interface = "eth0";
  r1.mac = MacAddress::parse("02:00:00:00:01:01");
  r1.mtu = 1500;
  r1.isolated = true;
  r1.vlans = {7, {8, 9}};
  r1.addresses = {*IpPrefix::parse("10.0.0.1/24"), *IpPrefix::parse("fd00::1/64")};
  r1.routes = {{*IpPrefix::parse("0.0.0.0/0"), IpAddress::parse("10.0.0.254"), {}},
               {*IpPrefix::parse("::/0"), IpAddress::parse("fd00::ff"), 5},
               {*IpPrefix::parse("10.9.0.0/16"), {}, {}},
               {*IpPrefix::parse("10.8.0.0/16"), IpAddress::parse("10.1.0.1"), {}, false, true}};
  EXPECT_EQ(set.attachments.at("r1-lab"), r1);
  EXPECT_EQ(set.attachments.at("vm1").tap, (TapEnd{"tap-vm1", 1000, 0, true}));
  EXPECT_EQ(set.attachments.at("vm2").tap, TapEnd());
}

TEST(ReadSet, DefaultsAndEmptySections) {
  const ReadOutcome outcome = read("version: 1\nnetworks:\n# nothing yet\nvlans: {}\n");
  ASSERT_TRUE(outcome.ok()) << texts(outcome);
  EXPECT_EQ(outcome.set, SetSpec());
}

TEST(ReadSet, TrunksAreIdsRangesOrAllButTheUntaggedOne) {
  const auto trunk = [](const std::string& port) {
    const ReadOutcome outcome = read(
        "version: 1\nnetworks:\n  lab:\n    driver: bridge\n"
        "    bridge: {vlan_filtering: true}\n    uplinks: [{interface: a, " +
        port + "}]\n");
    EXPECT_TRUE(outcome.ok()) << texts(outcome);
    return outcome.set.networks.at("lab").uplinks.front().vlans;
  };
  using Vids = std::vector<std::uint16_t>;
  EXPECT_EQ(trunk("trunk: [30, 10-12]").tagged, (Vids{10, 11, 12, 30}));
  EXPECT_EQ(trunk("vlan: 11, trunk: [10-12]").tagged, (Vids{10, 12}));
  EXPECT_EQ(trunk("trunk: [all]").tagged.size(), 4094U);
  EXPECT_EQ(trunk("vlan: 1, trunk: [all]").tagged.size(), 4093U);
  EXPECT_EQ(trunk("trunk: [\"10-12\"]"), trunk("trunk: [10, 11, 12]"));
}

TEST(ReadSet, AcceptsWhatYamlAllows) {
  for (const char* text : {"\xef\xbb\xbfversion: 1\n", "version: 1\r\nname: a\r\n", "---\nversion: 1\n...\n",
                           "%YAML 1.2\n---\nversion: 1\n", "{version: 1}", "{\"version\": 1,}",
                           "'version': !!int 1\n", "version: &anchor 1\n", "? version\n: 1\n",
                           "version: 1 # the only one\n", "name: !!str a\nversion: 1"}) {
    EXPECT_TRUE(read(text).ok()) << text << texts(read(text));
  }
}

TEST(Diagnostics, LookAsDocumented) {
  const ReadOutcome outcome =
      read("version: 1\nnetworks:\n  lab:\n    driver: bridge\n    bridge: {stpp: true}\n");
  ASSERT_EQ(outcome.diagnostics.size(), 1U);
  EXPECT_EQ(outcome.diagnostics[0].text(),
            "lab.yaml:5:14: unknown key `stpp`; did you mean `stp`?\n"
            "    bridge: {stpp: true}\n"
            "             ^~~~\n");
  EXPECT_EQ(outcome.diagnostics[0].path, "networks.lab.bridge.stpp");
}

TEST(Diagnostics, EveryMistakeInOnePassInTheOrderOfTheFile) {
  const ReadOutcome outcome = read(R"(version: 2
nme: campus
vlans:
  eth0.50: {parent: eth0, id: 5000}
networks:
  lab: {driver: brige, mtu: 10}
  lab2: {driver: bridge, uplinks: [{ofport: 0}], subnets: [{cidr: 10.0.0.1/24, gateway: x}]}
  lab: {}
attachments:
  r1: {network: lb2, netns: r1, interfce: eth0, routes: [{via: fd00::1}]}
)");
  std::vector<std::string> found;
  for (const Diagnostic& d : outcome.diagnostics) found.push_back(std::to_string(d.line) + " " + d.path);
  EXPECT_EQ(found,
            (std::vector<std::string>{"1 version", "2 nme", "4 vlans.eth0.50.id", "6 networks.lab.driver",
                                      "6 networks.lab.mtu", "7 networks.lab2.uplinks[0].interface",
                                      "7 networks.lab2.uplinks[0].ofport", "7 networks.lab2.subnets[0].cidr",
                                      "7 networks.lab2.subnets[0].gateway", "8 networks.lab",
                                      "10 attachments.r1.interface", "10 attachments.r1.network",
                                      "10 attachments.r1.interfce", "10 attachments.r1.routes[0].to"}))
      << texts(outcome);
}

TEST(Diagnostics, CountCharactersAndCutLongLines) {
  const ReadOutcome umlauts = read("version: 1\nname: \"äöü\"\n\"éé\": 1\n");
  ASSERT_EQ(umlauts.diagnostics.size(), 2U);
  EXPECT_NE(umlauts.diagnostics[0].text().find("\n      ^~~~~\n"), std::string::npos)
      << umlauts.diagnostics[0].text();
  EXPECT_NE(umlauts.diagnostics[1].text().find("\n^~~~\n"), std::string::npos)
      << umlauts.diagnostics[1].text();

  std::string line = "version: 1\nnetworks: {lab: {driver: bridge, uplinks: [";
  for (int i = 0; i < 300; ++i) line += "ä" + std::to_string(i) + ", ";
  const ReadOutcome cut = read(line + "'a b', c]}}\n");
  ASSERT_EQ(cut.diagnostics.size(), 1U);
  const Diagnostic& d = cut.diagnostics[0];
  EXPECT_LE(d.source_line.size(), 200U);
  EXPECT_GT(d.column, 1500);
  EXPECT_EQ(d.source_line.substr(0, 3), "...");
  EXPECT_NE(d.text().find("^~~~~\n"), std::string::npos) << d.text();
}

TEST(Diagnostics, NeverSendControlCharactersToTheTerminal) {
  const ReadOutcome outcome = read("version: 1\nname: \"\\e[31m\"\n\"\\e]0;x\\a\": 1\n");
  EXPECT_EQ(outcome.diagnostics.size(), 2U);
  EXPECT_EQ(texts(outcome).find('\x1b'), std::string::npos);
  EXPECT_EQ(texts(outcome).find('\a'), std::string::npos);
}

TEST(Diagnostics, WithoutAPlaceAreJustTheMessage) {
  Diagnostic diagnostic;
  diagnostic.file = "lab.yaml";
  diagnostic.message = "cannot be read: Permission denied";
  EXPECT_EQ(diagnostic.text(), "lab.yaml: cannot be read: Permission denied\n");
}

TEST(Diagnostics, BeyondTheLimitAreCounted) {
  std::string text = "version: 1\n";
  for (int i = 0; i < 1000; ++i) text += "key" + std::to_string(i) + ": 1\n";
  const ReadOutcome outcome = read(text);
  ASSERT_EQ(outcome.diagnostics.size(), 100U);
  EXPECT_EQ(outcome.untold, 900U);
  EXPECT_EQ(outcome.diagnostics.front().line, 2);
  EXPECT_EQ(outcome.diagnostics.back().line, 101);
}

struct Case {
  std::string text;
  std::string expected;  // "what the caret marks: message (suggestion)"
};

void PrintTo(const Case& one, std::ostream* out) {
  *out << one.text;
}

class OneMistake : public testing::TestWithParam<Case> {};

TEST_P(OneMistake, IsToldWhereItIs) {
  EXPECT_EQ(mistake(GetParam().text), GetParam().expected) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    Set, OneMistake,
    testing::Values(
        Case{"", "the file declares nothing; it must begin with `version: 1`"},
        Case{"# only words", "#: the file declares nothing; it must begin with `version: 1`"},
        Case{"- a", "-: the file must be a mapping that begins with `version: 1`"},
        Case{"name: a", "name: missing key `version`"},
        Case{"version:", "version: version must be a whole number, but has no value"},
        Case{"version: '1'", "'1': version is text, write it without quotes"},
        Case{"version: 1.0", "1.0: version must be a whole decimal number, got `1.0`"},
        Case{"version: 7", "7: version 7 of the format is not known; this program reads version 1"},
        Case{"version: 1\nnetwork: {}", "network: unknown key `network` (networks)"},
        Case{"version: 1\nNAME: a", "NAME: unknown key `NAME` (name)"},
        Case{"version: 1\n[a]: b", "[: a key must be text"},
        Case{"version: 1\nnetworks: {null: {driver: bridge, no-such-key: 1}}",
             "null: a key must be text; this is the null of YAML unless it stands in quotes"},
        Case{"version: 1\nnetworks: {~: {driver: nonsense}}",
             "~: a key must be text; this is the null of YAML unless it stands in quotes"},
        Case{"version: 1\nnetworks: {? [a, b] : 7}", "[: a key must be text"},
        Case{"version: 1\nvlans: {Null: {parent: eth0}}",
             "Null: a key must be text; this is the null of YAML unless it stands in quotes"},
        Case{"version: 1\nattachments: {{a: b}: {network: nowhere}}", "{: a key must be text"},
        Case{network("subnets: [{cidr: 10.0.0.0/24, reserved: {null: 10.0.0.9}}]"),
             "null: a key must be text; this is the null of YAML unless it stands in quotes"},
        Case{"version: 1\nname: -a",
             "-a: set name `-a` must be 1 to 63 letters, digits, `.`, `_` or `-` and begin with a letter or "
             "digit"},
        Case{"version: 1\nname: [a]", "[: name must be the name of the set, not a list"},
        Case{"version: 1\nvlans: []", "[: vlans must be a mapping of keys"},
        Case{"version: 1\nname: a\nname: b", "name: duplicate key `name`; the first one is in line 2"},
        Case{"version: 1\nname: a\n---\nversion: 1",
             "---: a second document begins here; a file is one document, one set"},
        Case{"version: 1\nname: \"a\n", "\"a: the quoted text that begins here has no end"},
        Case{"version: 1\nname: !secret a", "!secret: the tag `!secret` is not supported; leave it out"},
        Case{"version: 1\nvlans: !x {a: b}", "!x: the tag `!x` is not supported; leave it out"},
        Case{"version: &v 1\nname: *v", "*v: aliases are not supported; write the value itself"},
        Case{"version: 1\n<<: {}", "<<: unknown key `<<`"},
        Case{"version: 1\nvlans:\n\tx: {}",
             ":: illegal map value (the line is indented with a tab; use spaces)"},
        Case{"{\"version\": 1 \"name\": 2}",
             "\"name\": not JSON: syntax error while parsing object - unexpected string literal; expected "
             "'}'"}));

INSTANTIATE_TEST_SUITE_P(
    Vlans, OneMistake,
    testing::Values(
        Case{vlan("parent: eth0, id: 5000"), "5000: vlan id must be between 1 and 4094, got 5000"},
        Case{vlan("parent: eth0, id: 99999999999999999999"),
             "99999999999999999999: vlan id must be between 1 and 4094, got 99999999999999999999"},
        Case{vlan("parent: eth0, id: 010"),
             "010: vlan id must be written without leading zeros, got `010` (10)"},
        Case{vlan("parent: eth0, id: 0x10"), "0x10: vlan id must be a whole decimal number, got `0x10`"},
        Case{vlan("parent: eth0, id: \"10\""), "\"10\": vlan id is text, write it without quotes"},
        Case{vlan("parent: eth0, id: true"), "true: vlan id must be a whole decimal number, got `true`"},
        Case{vlan("id: 1"), "v: missing key `parent`"}, Case{vlan("parent: eth0"), "v: missing key `id`"},
        Case{vlan("parent: lo, id: 1"), "lo: the loopback interface carries no VLANs"},
        Case{"version: 1\nvlans: {all: {parent: e, id: 1}}",
             "all: interface name `all` is not allowed by the kernel: sysctl has it for all interfaces"},
        Case{vlan("parent: v, id: 1"), "v: vlan `v` is its own parent"},
        Case{"version: 1\nvlans: {a: {parent: b, id: 1}, b: {parent: a, id: 1}}",
             "b: vlan `a` is its own parent, by way of `b`"},
        Case{"version: 1\nvlans: {a: {parent: e, id: 1}, b: {parent: e, id: 1}}",
             "1: vlan id 1 (802.1Q) on `e` is already taken by vlan `a` in line 2"},
        Case{vlan("parent: eth0, id: 1, protocol: 802.1AD"),
             "802.1AD: protocol must be one of 802.1Q, 802.1ad, got `802.1AD` (802.1ad)"},
        Case{vlan("parent: eth0, id: 1, mtu: 67"), "67: mtu must be between 68 and 65535, got 67"},
        Case{vlan("parent: eth0, id: 1, mac: 03:00:00:00:00:01"),
             "03:00:00:00:00:01: mac `03:00:00:00:00:01` is a multicast address; the lowest bit of the first "
             "byte must be 0"},
        Case{vlan("parent: eth0, id: 1, mac: 00:00:00:00:00:00"),
             "00:00:00:00:00:00: mac must not be all zeros"},
        Case{vlan("parent: eth0, id: 1, mac: 02-00"),
             "02-00: mac must be like 02:00:00:00:01:01, got `02-00`"},
        Case{"version: 1\nvlans: {sixteen-bytes-xx: {parent: eth0, id: 1}}",
             "sixteen-bytes-xx: interface name `sixteen-bytes-xx` is longer than 15 bytes"}));

INSTANTIATE_TEST_SUITE_P(
    Networks, OneMistake,
    testing::Values(
        Case{"version: 1\nnetworks: {lab: {}}",
             "lab: missing key `driver`; known drivers: bridge, vde, macvlan, ovs"},
        Case{"version: 1\nnetworks: {lab: {driver: brigde, brigde: {x: 1}}}",
             "brigde: unknown driver `brigde`; known drivers: bridge, vde, macvlan, ovs (bridge)"},
        Case{"version: 1\nnetworks: {lab: }", "lab: lab has no value; it must be a mapping of keys"},
        Case{"version: 1\nnetworks: {a/b: {driver: vde}}",
             "a/b: network name `a/b` must be 1 to 63 letters, digits, `.`, `_` or `-` and begin with a "
             "letter or digit"},
        Case{network("vde: {}"),
             "vde: `vde` has the settings of another driver; this network's driver is `bridge`"},
        Case{network("bridge: {stp: yes}"), "yes: stp must be true or false, got `yes` (true)"},
        Case{network("bridge: {stp: Off}"), "Off: stp must be true or false, got `Off` (false)"},
        Case{network("bridge: {stp: \"true\"}"),
             "\"true\": stp must be true or false; it is text, write it without quotes"},
        Case{network("bridge: {stp: [true]}"), "[: stp must be true or false, not a list"},
        Case{network("bridge: {ageing_time: -1}"), "-1: ageing_time must be between 0 and 1000000, got -1"},
        Case{network("bridge: {flooding: lern}"),
             "lern: flooding must be one of learn, hub, got `lern` (learn)"},
        Case{network("bridge: {name: {a: b}}"), "{: name must be text, not a mapping"},
        Case{network("bridge: {name: \"a\\0\"}"), "\"a\\0\": name has a control character in it"},
        Case{network("bridge: []"), "[: bridge must be a mapping of keys"},
        Case{network("bridge: {stp: true, flooding: hub}"), "true: lab: not both"},
        Case{network("mtu: 1234"), "lab: lab: absent key"},
        Case{network("uplinks: [a, {interface: b, ofport: 3}]"), "3: no OpenFlow here"},
        Case{network("mode: NAT"), "NAT: mode must be one of flat, nat, routed, got `NAT` (nat)"},
        Case{network("internal: 1"), "1: internal must be true or false, got `1` (true)"},
        Case{network("uplinks: eth0"), "eth0: uplinks must be a list, like [eth0]"},
        Case{network("uplinks: [lo]"), "lo: the loopback interface is no uplink"},
        Case{network("uplinks: [eth0, eth0]"), "eth0: uplink `eth0` is listed already in line 3"},
        Case{network("uplinks: [{interface: a, vlan: 1, trunk: [1]}]"),
             "1: vlan id 1 is already the untagged one (`vlan`)"},
        Case{network("uplinks: [{interface: a, trunk: [2, 2]}]"), "2: vlan id 2 is listed twice"},
        Case{network("uplinks: [{interface: a, trunk: [2-5, 4]}]"), "4: vlan id 4 is listed twice"},
        Case{network("uplinks: [{interface: a, trunk: [all, 4-6]}]"), "4-6: vlan id 4 is listed twice"},
        Case{network("uplinks: [{interface: a, trunk: [5-2]}]"),
             "5-2: a range of vlan ids must be like 20-29, within 1-4094 and ascending, got `5-2`"},
        Case{network("uplinks: [{interface: a, trunk: [2-4095]}]"),
             "2-4095: a range of vlan ids must be like 20-29, within 1-4094 and ascending, got `2-4095`"},
        Case{network("uplinks: [{interface: a, trunk: [0-5]}]"),
             "0-5: a range of vlan ids must be like 20-29, within 1-4094 and ascending, got `0-5`"},
        Case{network("uplinks: [{interface: a, trunk: [5-]}]"),
             "5-: a range of vlan ids must be like 20-29, within 1-4094 and ascending, got `5-`"},
        Case{network("uplinks: [{interface: a, trunk: [every]}]"),
             "every: vlan id must be a whole decimal number, got `every`"},
        Case{network("uplinks: [a:b]"), "a:b: interface name `a:b` has a `:` in it"},
        Case{"version: 1\nnetworks:\n  a: {driver: vde, uplinks: [x]}\n  b: {driver: vde, uplinks: "
             "[{interface: x}]}",
             "x: uplink `x` is already taken by network `a` in line 3"},
        Case{network("subnets: [{}]"), "{: missing key `cidr`"},
        Case{network("subnets: [{cidr: 10.0.0.1/24}]"),
             "10.0.0.1/24: `10.0.0.1/24` has bits behind its prefix length (10.0.0.0/24)"},
        Case{network("subnets: [{cidr: 10.0.0.0/24, gateway: 10.0.1.1}]"),
             "10.0.1.1: gateway 10.0.1.1 is outside of 10.0.0.0/24"},
        Case{network("subnets: [{cidr: 10.0.0.0/24, gateway: 10.0.0.255}]"),
             "10.0.0.255: gateway 10.0.0.255 is the network or broadcast address of 10.0.0.0/24"},
        Case{network("subnets: [{cidr: 224.0.0.0/24}]"),
             "224.0.0.0/24: `224.0.0.0/24` is no subnet that interfaces can be in: it has multicast "
             "addresses"},
        Case{network("subnets: [{cidr: \"ff00::/64\"}]"),
             "\"ff00::/64\": `ff00::/64` is no subnet that interfaces can be in: it has multicast addresses"},
        Case{network("subnets: [{cidr: \"::/0\"}]"),
             "\"::/0\": `::/0` is no subnet that interfaces can be in: it has multicast addresses"},
        Case{network("subnets: [{cidr: 127.0.0.0/8}]"),
             "127.0.0.0/8: `127.0.0.0/8` is no subnet that interfaces can be in: it has loopback addresses"},
        Case{network("subnets: [{cidr: 10.0.0.0/24, gateway: 10.0.0.1/24}]"),
             "10.0.0.1/24: gateway must be an IP address without a prefix length, got `10.0.0.1/24` "
             "(10.0.0.1)"},
        Case{network("subnets: [{cidr: 10.0.0.0/24, range: 10.0.0.0/23}]"),
             "10.0.0.0/23: range 10.0.0.0/23 is outside of 10.0.0.0/24"},
        Case{network("subnets: [{cidr: 10.0.0.0/24, reserved: {a: 10.0.0.1, b: 10.0.0.1}}]"),
             "10.0.0.1: 10.0.0.1 is already reserved in line 3"},
        Case{network("subnets: [{cidr: 10.0.0.0/16}, {cidr: 11.0.0.0/8}, {cidr: 10.0.3.0/24}]"),
             "10.0.3.0/24: subnet 10.0.3.0/24 overlaps 10.0.0.0/16 in line 3"},
        Case{network("subnets: [{cidr: 10.0.3.0/24}, {cidr: 10.0.0.0/16}]"),
             "10.0.0.0/16: subnet 10.0.0.0/16 overlaps 10.0.3.0/24 in line 3"},
        Case{network("host_interface: {addresses: []}"), "host_interface: missing key `name`"}));

INSTANTIATE_TEST_SUITE_P(
    Attachments, OneMistake,
    testing::Values(
        Case{attachment("network: lba, tap: {}"), "lba: network `lba` is not declared in this file (lab)"},
        Case{attachment("tap: {}"), "r1: missing key `network`"},
        Case{attachment("network: lab"), "r1: an attachment needs `netns` and `interface`, or `tap`"},
        Case{attachment("network: lab, netns: a"), "r1: missing key `interface`"},
        Case{attachment("network: lab, netns: a, interface: b, tap: {}"),
             "tap: an attachment is either in a `netns` or a `tap`, not both"},
        Case{attachment("network: lab, netns: a/b, interface: b"),
             "a/b: netns must be a name under /run/netns or an absolute path, got `a/b`"},
        Case{attachment("network: lab, netns: .., interface: b"),
             "..: netns must be a name under /run/netns or an absolute path, got `..`"},
        Case{attachment("network: lab, netns: a, interface: 'a b'"),
             "'a b': interface name `a b` has a blank or control character in it"},
        Case{attachment("network: lab, tap: {}, interface: b"),
             "interface: `interface` goes with `netns`; the name of a tap is in `tap: {name: ...}`"},
        Case{attachment("network: lab, tap: {}, routes: []"),
             "routes: `routes` cannot be given with `tap`: they are set inside of the virtual machine"},
        Case{attachment("network: lab, tap: {owner: root}"),
             "root: owner (a uid) must be a whole decimal number, got `root`"},
        Case{attachment("network: lab, tap: {onwer: 1}"), "onwer: unknown key `onwer` (owner)"},
        Case{attachment("network: lab, netns: a, interface: b, addresses: [10.0.0.1]"),
             "10.0.0.1: `10.0.0.1` needs a prefix length, like 10.0.0.1/24"},
        Case{attachment("network: lab, netns: a, interface: b, addresses: [224.0.0.1/24]"),
             "224.0.0.1/24: `224.0.0.1/24` is no address that an interface can have: it is multicast"},
        Case{attachment("network: lab, netns: a, interface: b, addresses: [127.0.0.1/8]"),
             "127.0.0.1/8: `127.0.0.1/8` is no address that an interface can have: it is loopback"},
        Case{attachment("network: lab, netns: a, interface: b, addresses: [\"::1/128\"]"),
             "\"::1/128\": `::1/128` is no address that an interface can have: it is loopback"},
        Case{attachment("network: lab, netns: a, interface: b, addresses: [10.0.0.255/24]"),
             "10.0.0.255/24: `10.0.0.255/24` is the network or broadcast address of 10.0.0.0/24"},
        Case{attachment("network: lab, netns: a, interface: b, addresses: [\"fd00::1/64\", \"fd00::1/48\"]"),
             "\"fd00::1/48\": `fd00::1/48` is listed twice"},
        Case{std::string(kHead) +
                 "attachments:\n  a: {network: lab, netns: a, interface: e, addresses: [10.0.0.1/24]}\n"
                 "  b: {network: lab, netns: b, interface: e, addresses: [10.0.0.1/25]}",
             "10.0.0.1/25: address 10.0.0.1 on network `lab` is already taken by attachment `a` in line 5"},
        Case{"version: 1\nnetworks: {lab: {driver: bridge, host_interface: {name: h, addresses: "
             "[10.0.0.1/24]}}}\nattachments: {a: {network: lab, netns: a, interface: e, addresses: "
             "[10.0.0.1/24]}}",
             "10.0.0.1/24: address 10.0.0.1 on network `lab` is already taken by network `lab` in line 2"},
        Case{attachment("network: lab, netns: a, interface: b, routes: [{to: default, via: 127.0.0.1}]"),
             "127.0.0.1: via `127.0.0.1` is no address that a router can have: it is loopback"},
        Case{attachment("network: lab, netns: a, interface: b, addresses: [10.0.0.1/8, 10.0.0.1/8]"),
             "10.0.0.1/8: `10.0.0.1/8` is listed twice"},
        Case{attachment("network: lab, netns: a, interface: b, routes: [{to: 10.0.0.1/8}]"),
             "10.0.0.1/8: `10.0.0.1/8` has bits behind its prefix length (10.0.0.0/8)"},
        Case{attachment("network: lab, netns: a, interface: b, routes: [{to: defualt}]"),
             "defualt: to must be `default` or a network with its prefix length, got `defualt` (default)"},
        Case{attachment("network: lab, netns: a, interface: b, routes: [{to: 10.0.0.0/8, via: fd00::1}]"),
             "fd00::1: via `fd00::1` is of another address family than `10.0.0.0/8`"},
        Case{attachment("network: lab, netns: a, interface: b, routes: [{to: default, onlink: true}]"),
             "true: `onlink` is about the router: it needs `via`"},
        Case{attachment("network: lab, netns: a, interface: b, routes: [{to: default}, {to: 0.0.0.0/0}]"),
             "0.0.0.0/0: a route to `0.0.0.0/0` with this metric is listed already"},
        Case{attachment("network: lab, netns: a, interface: b, isolated: on"),
             "on: isolated must be true or false, got `on` (true)"},
        Case{std::string(kHead) + "attachments:\n  a: {network: lab, netns: n, interface: e}\n"
                                  "  b: {network: lab, netns: /run/netns/n, interface: e}",
             "e: interface `e` in netns `/run/netns/n` is already taken by attachment `a` in line 5"},
        Case{std::string(kHead) +
                 "attachments:\n  a: {network: lab, tap: {name: t}}\n  b: {network: lab, tap: {name: t}}",
             "t: interface `t` is already taken by attachment `a` in line 5"},
        Case{std::string(kHead) +
                 "vlans: {t: {parent: e, id: 1}}\nattachments:\n  a: {network: lab, tap: {name: t}}",
             "t: interface `t` is already taken by vlan `t` in line 4"},
        Case{std::string(kHead) + "attachments:\n  a: {network: lab, mac: 02:00:00:00:00:01, tap: {}}\n"
                                  "  b: {network: lab, mac: 02:00:00:00:00:01, tap: {}}",
             "02:00:00:00:00:01: mac 02:00:00:00:00:01 on network `lab` is already taken by attachment `a` "
             "in line 5"},
        Case{"version: 1\nnetworks: {lab: {driver: bridge, mtu: 1400}}\nattachments: {a: {network: lab, tap: "
             "{}, mtu: 1500}}",
             "1500: a: above the network's"}));

TEST(ReadSet, TheSameMacOnTwoNetworksIsAllRight) {
  const ReadOutcome outcome = read(R"(
version: 1
networks: {a: {driver: vde}, b: {driver: vde}}
attachments:
  x: {network: a, tap: {}, mac: 02:00:00:00:00:01}
  y: {network: b, tap: {}, mac: 02:00:00:00:00:01}
)");
  EXPECT_TRUE(outcome.ok()) << texts(outcome);
}

TEST(ReadSet, ATextThatIsNotTextIsRefusedAtItsByte) {
  const auto place = [](std::string_view text) {
    const ReadOutcome outcome = read(text);
    EXPECT_EQ(outcome.diagnostics.size(), 1U);
    const Diagnostic& d = outcome.diagnostics.front();
    return std::to_string(d.line) + ":" + std::to_string(d.column) + " " + d.message;
  };
  using namespace std::string_view_literals;
  EXPECT_EQ(place("version: 1\nname: a\0b\n"sv), "2:8 a NUL byte is not text");
  EXPECT_EQ(place("version: 1\nname: a\xff\n"sv), "2:8 byte 0xff is not UTF-8 text");
  EXPECT_EQ(place("version: 1\n# \x04\n"sv), "2:3 a control character (0x04) is not allowed");
  EXPECT_EQ(place("\xff\xfev\0"sv), "1:1 byte 0xff is not UTF-8 text");
}

TEST(ReadSet, JsonMistakesHavePlacesToo) {
  const ReadOutcome outcome = read(R"({"version": 1,
 "networks": {"lab": {"driver": "bridge", "mtu": 10, "bridge": {"stp": "true", "flodding": null}}},
 "attachments": {"r1": {"network": "lab", "tap": {"owner": 1.5, "owner": 1e3, "name": "a\u0000"}}}})");
  std::vector<std::string> found;
  for (const Diagnostic& d : outcome.diagnostics) {
    const std::string line = d.text().substr(d.text().find('\n') + 1);
    const std::size_t caret = line.rfind('^') - (line.find('\n') + 1);
    found.push_back(d.path + " " + line.substr(caret, 4));
  }
  EXPECT_EQ(found,
            (std::vector<std::string>{"networks.lab.mtu 10, ", "networks.lab.bridge.stp \"tru",
                                      "networks.lab.bridge.flodding \"flo", "attachments.r1.tap.owner 1.5,",
                                      "attachments.r1.tap.owner \"own", "attachments.r1.tap.name \"a\\u"}))
      << texts(outcome);
}

}  // namespace
}  // namespace lanwright
