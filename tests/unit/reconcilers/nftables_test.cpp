// The table `inet lanwright` without a kernel: what networks come to, what differs, what messages say, and
// that no bytes make them read outside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <set>

#include "reconcilers/nftables/docker_user.h"
#include "reconcilers/nftables/forwarding.h"
#include "reconcilers/nftables/messages.h"
#include "reconcilers/nftables/other_firewalls.h"
#include "tests/unit/reconcilers/nftables_recorded.h"

namespace lanwright::nftables {
namespace {

IpAddress address(const std::string& text) {
  return *IpAddress::parse(text);
}
IpPrefix prefix(const std::string& text) {
  return *IpPrefix::parse(text);
}

Network lan(const std::string& bridge, const std::string& subnet, Mode mode = Mode::nat) {
  return {bridge, mode, {prefix(subnet)}, {}};
}

// One of everything.
Firewall campus() {
  Firewall firewall;
  Network& nat = firewall.networks["aaaaaaaaaaaaaaaa"] = lan("br-nat", "10.1.0.0/24");
  nat.subnets.insert(prefix("10.1.1.0/24"));  // right behind the other
  nat.subnets.insert(prefix("fd01::/64"));
  nat.ports = {{Protocol::tcp, {}, 8080, address("10.1.0.9"), 80},
               {Protocol::udp, {}, 8080, address("10.1.0.9"), 53},
               {Protocol::sctp, address("192.0.2.1"), 8080, address("10.1.0.9"), 80},
               {Protocol::tcp, {}, 8080, address("fd01::9"), 80},
               {Protocol::tcp, address("2001:db8::1"), 443, address("fd01::9"), 8443}};
  firewall.networks["bbbbbbbbbbbbbbbb"] = lan("br-routed", "198.51.100.0/25", Mode::routed);
  firewall.networks["cccccccccccccccc"] = {"br-internal", Mode::internal, {}, {}};
  firewall.networks["dddddddddddddddd"] = {"br-bare", Mode::nat, {}, {}};
  return firewall;
}

std::size_t count(const Elements& elements, SetId set) {
  return static_cast<std::size_t>(std::count_if(elements.begin(), elements.end(),
                                                [&](const auto& each) { return each.first.set == set; }));
}

std::vector<std::string> refusals(const Firewall& firewall) {
  std::vector<std::string> texts;
  for (const Refusal& refusal : compile(firewall).refused)
    texts.push_back(refusal.uid + ": " + refusal.error.text());
  return texts;
}

TEST(Nftables, ElementsAreTheNetworksAgain) {
  const Compiled compiled = compile(campus());
  EXPECT_TRUE(compiled.refused.empty());
  EXPECT_EQ(firewall_of(compiled.elements), campus());
  EXPECT_EQ(compile(firewall_of(compiled.elements)).elements, compiled.elements);
}

TEST(Nftables, EachModeHasItsPlaces) {
  const Elements elements = compile(campus()).elements;
  EXPECT_EQ(count(elements, SetId::bridges), 4U);
  EXPECT_EQ(count(elements, SetId::within), 4U);
  EXPECT_EQ(count(elements, SetId::internal), 1U);
  EXPECT_EQ(count(elements, SetId::inbound), 4U);
  EXPECT_EQ(count(elements, SetId::routed), 1U);
  EXPECT_EQ(count(elements, SetId::routed4), 2U);
  EXPECT_EQ(count(elements, SetId::nat4), 4U) << "two ranges, each with the key behind it; of nat only";
  EXPECT_EQ(count(elements, SetId::dnat4), 2U);
  EXPECT_EQ(count(elements, SetId::dnat4_at), 1U);
  EXPECT_EQ(count(elements, SetId::dnat6), 1U);
  EXPECT_EQ(count(elements, SetId::dnat6_at), 1U);
}

TEST(Nftables, KeysAreAsInTheKernelsRegisters) {
  const Elements elements = compile(campus()).elements;
  const ElementId at{SetId::dnat4_at, {192, 0, 2, 1, 132, 0, 0, 0, 0x1f, 0x90, 0, 0}};
  ASSERT_TRUE(elements.contains(at));
  EXPECT_EQ(elements.at(at).data, (Bytes{10, 1, 0, 9, 0, 80, 0, 0}));
  EXPECT_EQ(elements.at(at).uid, "aaaaaaaaaaaaaaaa");
  EXPECT_TRUE(elements.contains({SetId::routed4, {198, 51, 100, 0}}));
  EXPECT_TRUE(elements.contains({SetId::routed4, {198, 51, 100, 128}, false}));
}

// A range that ends where the next one begins is ended before that, and the last range of all has no end.
TEST(Nftables, RangesAreInTheKernelsOrder) {
  std::vector<std::pair<Bytes, bool>> ranges;
  for (const auto& [id, value] : compile(campus()).elements) {
    if (id.set == SetId::nat4) ranges.emplace_back(id.key, id.is_start);
  }
  const std::vector<std::pair<Bytes, bool>> expected{
      {{10, 1, 0, 0}, true}, {{10, 1, 1, 0}, false}, {{10, 1, 1, 0}, true}, {{10, 1, 2, 0}, false}};
  EXPECT_EQ(ranges, expected);
  Firewall last;
  last.networks["a"] = lan("br0", "255.255.255.0/24");
  EXPECT_EQ(count(compile(last).elements, SetId::nat4), 1U);
}

TEST(Nftables, OneThatContradictsIsRefusedAlone) {
  const auto with = [](const std::string& uid, const Network& network) {
    Firewall firewall = campus();
    firewall.networks[uid] = network;
    return firewall;
  };
  using testing::ElementsAre;
  using testing::HasSubstr;
  const Elements before = compile(campus()).elements;
  const std::vector<std::pair<Network, std::string>> wrong{
      {lan("br-nat", "10.9.0.0/24"), "bridge br-nat: it is the router of another network already"},
      {lan("br9", "10.1.0.128/25"), "10.1.0.128/25 overlaps 10.1.0.0/24 of bridge br-nat"},
      {lan("br9", "10.0.0.0/8"), "10.0.0.0/8 overlaps 10.1.0.0/24 of bridge br-nat"},
      {lan("br9", "fd01::8000:0:0:0/65"), "overlaps fd01::/64"},
      {lan("br9", "10.9.0.1/24"), "say 10.9.0.0/24"},
      {lan("a/b", "10.9.0.0/24"), "its name"},
      {lan("sixteen-letters-", "10.9.0.0/24"), "its name"},
      {{"br9", Mode::nat, {prefix("10.9.0.0/16"), prefix("10.9.1.0/24")}, {}}, "overlaps 10.9.0.0/16"},
  };
  for (const auto& [network, words] : wrong) {
    const Firewall firewall = with("eeeeeeeeeeeeeeee", network);
    EXPECT_THAT(refusals(firewall),
                ElementsAre(testing::AllOf(HasSubstr("eeeeeeeeeeeeeeee"), HasSubstr(words))));
    EXPECT_EQ(compile(firewall).elements, before);
  }
  // Of two the one whose uid is first has it, whatever order they were declared in.
  EXPECT_THAT(refusals(with("0000000000000000", lan("br-nat", "10.9.0.0/24"))),
              ElementsAre(HasSubstr("aaaaaaaaaaaaaaaa")));
}

TEST(Nftables, APortThatContradictsIsRefusedAlone) {
  const std::vector<std::pair<PublishedPort, std::string>> wrong{
      {{Protocol::tcp, {}, 8080, address("198.51.100.9"), 80}, "it is published by bridge br-nat already"},
      {{Protocol::tcp, {}, 0, address("198.51.100.9"), 80}, "there is no port 0"},
      {{Protocol::tcp, {}, 81, address("198.51.100.9"), 0}, "there is no port 0"},
      {{Protocol::tcp, {}, 81, address("198.51.100.200"), 80}, "which no subnet of the network has"},
      {{Protocol::tcp, address("::1"), 81, address("198.51.100.9"), 80}, "another family"},
  };
  const Elements before = compile(campus()).elements;
  for (const auto& [port, words] : wrong) {
    Firewall firewall = campus();
    firewall.networks["bbbbbbbbbbbbbbbb"].ports = {port};
    EXPECT_THAT(refusals(firewall), testing::ElementsAre(testing::HasSubstr(words)));
    EXPECT_EQ(compile(firewall).elements, before);
  }
  Firewall internal = campus();
  internal.networks["cccccccccccccccc"].ports = {{Protocol::tcp, {}, 81, address("10.3.0.9"), 80}};
  EXPECT_THAT(refusals(internal), testing::ElementsAre(testing::HasSubstr("the network is internal")));
}

TEST(Nftables, TheDifferenceIsWhatChanged) {
  const Elements have = compile(campus()).elements;
  Firewall firewall = campus();
  firewall.networks["bbbbbbbbbbbbbbbb"].mode = Mode::nat;
  const ElementChanges changes = difference(have, compile(firewall).elements);
  EXPECT_EQ(changes.removed.size(), 4U) << "the verdict, the bridge among those that are routed, and a range";
  EXPECT_EQ(changes.added.size(), 3U) << "the verdict, and a range";
  EXPECT_TRUE(difference(have, have).empty());
  EXPECT_EQ(difference({}, have).added.size(), have.size());
  EXPECT_EQ(difference(have, {}).removed.size(), have.size());
}

// Any two: applying the difference makes the one the other.
TEST(Nftables, DifferencesLeadFromAnyFirewallToAnyOther) {
  std::mt19937 random(3);
  const auto any = [&] {
    Firewall firewall;
    for (int i = 0; i < 8; ++i) {
      if (random() % 2 == 0) continue;
      const std::string part = std::to_string(i);
      Network network = lan("br" + part, "10." + part + ".0.0/" + std::to_string(16 + random() % 9),
                            static_cast<Mode>(random() % 3));
      if (network.mode != Mode::internal)
        network.ports = {{Protocol::tcp,
                          {},
                          static_cast<std::uint16_t>(1 + random() % 5),
                          address("10." + part + ".0.9"),
                          80}};
      firewall.networks["uid" + part] = network;
    }
    return compile(firewall).elements;
  };
  for (int round = 0; round < 200; ++round) {
    Elements have = any();
    const Elements want = any();
    const ElementChanges changes = difference(have, want);
    for (const auto& each : changes.removed) ASSERT_EQ(have.erase(each.first), 1U);
    for (const auto& each : changes.added) ASSERT_TRUE(have.insert(each).second);
    EXPECT_EQ(have, want);
  }
}

// What the kernel would answer: it tells rules, chains and sets by the same attributes.
FixedSeen seen_of(const std::vector<Message>& messages) {
  FixedSeen seen;
  for (const Message& message : messages) {
    if (auto chain = decode_chain(message.header())) seen.chains.push_back(*chain);
    if (auto set = decode_set(message.header())) seen.sets.push_back(*set);
    if (auto rule = decode_rule(message.header())) seen.rules.push_back(*rule);
  }
  return seen;
}

FixedSeen whole() {
  FixedSeen seen = seen_of(creation());
  for (ChainSeen& chain : seen.chains) chain.policy = NF_ACCEPT;
  return seen;
}

TEST(Nftables, TheFixedPartIsVerified) {
  EXPECT_EQ(first_fault(whole()), std::nullopt);
  for (std::size_t i = 0; i < layout().rules.size(); ++i) {
    FixedSeen seen = whole();
    seen.rules.erase(seen.rules.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_NE(first_fault(seen), std::nullopt) << i;
  }
  for (std::size_t i = 0; i < layout().chains.size(); ++i) {
    FixedSeen seen = whole();
    seen.chains[i].policy = NF_DROP;
    EXPECT_EQ(first_fault(seen).has_value(), layout().chains[i].hook.has_value()) << i;
    seen = whole();
    seen.chains.erase(seen.chains.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_NE(first_fault(seen), std::nullopt) << i;
  }
  for (std::size_t i = 0; i < layout().sets.size(); ++i) {
    FixedSeen seen = whole();
    seen.sets[i].flags ^= NFT_SET_CONSTANT;
    EXPECT_NE(first_fault(seen), std::nullopt) << i;
  }
  FixedSeen further = whole();
  further.rules.push_back(further.rules.back());
  EXPECT_EQ(first_fault(further), "a further rule");
}

// Calls `check` while each byte in turn is another.
void change_each(std::vector<Node>& nodes, const std::function<void()>& check) {
  for (Node& node : nodes) {
    for (std::uint8_t& byte : node.bytes) {
      byte ^= 1U;
      check();
      byte ^= 1U;
    }
    change_each(node.nodes, check);
  }
}

// Any byte of any rule counts.
TEST(Nftables, AChangedRuleIsSeen) {
  const FixedSeen seen = whole();
  for (std::size_t i = 0; i < layout().rules.size(); ++i) {
    std::vector<Expression> expected = layout().rules[i].expressions;
    const std::vector<ExpressionSeen>& found = seen.rules[i].expressions;
    ASSERT_TRUE(agree(expected, found));
    for (Expression& expression : expected)
      change_each(expression.attributes, [&] { EXPECT_FALSE(agree(expected, found)) << "rule " << i; });
    expected.pop_back();
    EXPECT_FALSE(agree(expected, found));
  }
}

// A newer kernel may tell more, which says nothing as long as it is zero.
TEST(Nftables, WhatIsToldBesideCountsUnlessItIsZero) {
  const Rule& rule = layout().rules.front();
  std::vector<ExpressionSeen> seen = whole().rules.front().expressions;
  ASSERT_TRUE(agree(rule.expressions, seen));
  Bytes& attributes = seen.front().attributes;
  const std::size_t value = attributes.size() + 4;
  const Bytes beside{8, 0, 77, 0, 0, 0, 0, 0};
  attributes.insert(attributes.end(), beside.begin(), beside.end());
  EXPECT_TRUE(agree(rule.expressions, seen));
  attributes[value] = 1;
  EXPECT_FALSE(agree(rule.expressions, seen));
}

Elements decoded(const std::vector<Message>& messages) {
  Elements elements;
  for (const Message& message : messages) {
    EXPECT_FALSE(message.overflow());
    for (const Set& set : layout().sets) {
      for (auto& element : decode_elements(message.header(), set.id)) elements.insert(std::move(element));
    }
  }
  return elements;
}

TEST(Nftables, ElementsAreReadAsTheyWereWritten) {
  Firewall firewall = campus();
  for (int i = 0; i < 600; ++i)
    firewall.networks["many" + std::to_string(1000 + i)] =
        lan("many" + std::to_string(i),
            "10." + std::to_string(10 + i / 200) + "." + std::to_string(i % 200) + ".0/24");
  const Elements elements = compile(firewall).elements;
  const std::vector<Elements::value_type> list(elements.begin(), elements.end());
  const auto messages = element_messages(NFT_MSG_NEWSETELEM, list);
  EXPECT_GT(messages.size(), layout().sets.size()) << "an attribute has 64 KiB";
  EXPECT_EQ(decoded(messages), elements);
}

// A message from its hexadecimal digits.
struct Recorded {
  explicit Recorded(const std::string& digits) {
    for (std::size_t at = 0; at + 1 < digits.size(); at += 2)
      bytes.push_back(static_cast<std::uint8_t>(std::stoul(digits.substr(at, 2), nullptr, 16)));
  }
  const nlmsghdr& header() const { return *reinterpret_cast<const nlmsghdr*>(bytes.data()); }
  Bytes bytes;
};

// The kernel's own answers, of a table that nft(8) has made of its text: nothing here has written what is
// read.
TEST(Nftables, TheTableIsTheOneThatNftMakesOfItsText) {
  EXPECT_EQ(decode_generation(Recorded(kGeneration.at(0)).header()), 2U);
  const auto table = decode_table(Recorded(kTableAnswer.at(0)).header());
  ASSERT_TRUE(table);
  EXPECT_EQ(table->name, kTable);
  EXPECT_EQ(table->comment, kMark);
  EXPECT_EQ(table->flags, 0U);
  FixedSeen seen;
  for (const std::string& digits : kChains)
    seen.chains.push_back(decode_chain(Recorded(digits).header()).value());
  for (const std::string& digits : kSets) seen.sets.push_back(decode_set(Recorded(digits).header()).value());
  for (const std::string& digits : kRules)
    seen.rules.push_back(decode_rule(Recorded(digits).header()).value());
  EXPECT_EQ(first_fault(seen), std::nullopt);
  EXPECT_NE(seen.rules.front().handle, 0U);
}

TEST(Nftables, ElementsAreThoseThatNftMakesOfTheirText) {
  Firewall firewall;
  Network& network = firewall.networks["1111111111111111"] = lan("br1", "10.61.0.0/24");
  network.subnets.insert(prefix("fd61::/64"));
  network.ports = {{Protocol::tcp, {}, 8080, address("10.61.0.9"), 80},
                   {Protocol::udp, {}, 8080, address("fd61::9"), 53},
                   {Protocol::tcp, address("192.0.2.1"), 443, address("10.61.0.9"), 8443},
                   {Protocol::sctp, address("2001:db8::1"), 443, address("fd61::9"), 8443}};
  Elements seen;
  for (const std::string& digits : kElements) {
    for (const Set& set : layout().sets) {
      for (auto& element : decode_elements(Recorded(digits).header(), set.id))
        seen.insert(std::move(element));
    }
  }
  // Which nft(8) puts before all ranges.
  EXPECT_EQ(seen.erase({SetId::nat4, Bytes(4), false}), 1U);
  EXPECT_EQ(seen.erase({SetId::nat6, Bytes(16), false}), 1U);
  const Elements made = compile(firewall).elements;
  EXPECT_EQ(firewall_of(seen), firewall);
  EXPECT_EQ(seen.size(), made.size());
  const ElementChanges changes = difference(seen, made);
  for (const auto& each : changes.removed)
    ADD_FAILURE() << "only nft makes an element of " << set_of(each.first.set).name;
  for (const auto& each : changes.added)
    ADD_FAILURE() << "nft does not make one of " << set_of(each.first.set).name;
}

TEST(Nftables, TheTableCarriesItsMark) {
  const auto table = decode_table(creation().front().header());
  ASSERT_TRUE(table);
  EXPECT_EQ(table->name, "lanwright");
  EXPECT_EQ(table->comment, kMark);
  EXPECT_EQ(comment_in({}), "");
  EXPECT_EQ(comment_in(Bytes{0, 200, 'x'}), "") << "cut off";
  EXPECT_EQ(comment_in(Bytes{1, 1, 0, 0, 3, 'm', 'e', 0}), "me") << "behind another";
}

TEST(Nftables, MessagesSayWhichTableTheyAreAbout) {
  for (const Message& message : creation()) {
    EXPECT_EQ(about(message.header()).table, "lanwright");
    EXPECT_EQ(about(message.header()).family, NFPROTO_INET);
  }
  EXPECT_EQ(object_of(creation().back().header()), "a rule of chain to_internal of table inet lanwright");
}

// No bytes make a decoder read outside (the sanitizer watches), whatever lengths they tell.
TEST(Nftables, HostileAnswersAreReadSafely) {
  std::vector<Message> messages = creation();
  const Elements elements = compile(campus()).elements;
  for (Message& message : element_messages(
           NFT_MSG_NEWSETELEM, std::vector<Elements::value_type>(elements.begin(), elements.end())))
    messages.push_back(std::move(message));
  messages.push_back(make_message(NFT_MSG_NEWGEN, 0, 0));
  const auto read_all = [](const std::vector<std::byte>& bytes) {
    const auto& header = *reinterpret_cast<const nlmsghdr*>(bytes.data());
    FixedSeen seen;
    if (auto chain = decode_chain(header)) seen.chains.push_back(*chain);
    if (auto set = decode_set(header)) seen.sets.push_back(*set);
    if (auto rule = decode_rule(header)) seen.rules.push_back(*rule);
    EXPECT_NE(first_fault(seen), std::nullopt);
    decode_table(header);
    decode_generation(header);
    about(header);
    object_of(header);
    Elements found;
    for (const Set& set : layout().sets) {
      for (auto& element : decode_elements(header, set.id)) found.insert(std::move(element));
    }
    firewall_of(found);
  };
  std::mt19937 random(11);
  for (const Message& message : messages) {
    const auto* begin = reinterpret_cast<const std::byte*>(&message.header());
    const std::size_t size = message.header().nlmsg_len;
    for (std::size_t cut = sizeof(nlmsghdr); cut <= size; cut += 1 + size / 400) {
      std::vector<std::byte> bytes(begin, begin + cut);
      reinterpret_cast<nlmsghdr*>(bytes.data())->nlmsg_len = static_cast<std::uint32_t>(cut);
      read_all(bytes);
    }
    for (int round = 0; round < 60; ++round) {
      std::vector<std::byte> bytes(begin, begin + size);
      for (int flips = 0; flips < 4 && size > NLMSG_HDRLEN; ++flips)
        bytes[NLMSG_HDRLEN + random() % (size - NLMSG_HDRLEN)] = static_cast<std::byte>(random());
      read_all(bytes);
    }
  }
}

TEST(Forwarding, IsOfTheInterfacesThatNeedIt) {
  using Settings = std::set<InterfaceSetting>;
  const Network nat = campus().networks.at("aaaaaaaaaaaaaaaa");
  EXPECT_EQ(settings_of(nat, {"eth0"}), (Settings{{"br-nat", Setting::forward4},
                                                  {"br-nat", Setting::forward6},
                                                  {"br-nat", Setting::route_localnet4},
                                                  {"eth0", Setting::forward4},
                                                  {"eth0", Setting::forward6}}));
  const Network routed = campus().networks.at("bbbbbbbbbbbbbbbb");
  EXPECT_EQ(settings_of(routed, {"eth0"}),
            (Settings{{"br-routed", Setting::forward4}, {"eth0", Setting::forward4}}));
  EXPECT_EQ(settings_of(campus().networks.at("cccccccccccccccc"), {"eth0"}), Settings{});
}

RuleSeen pass_rule(const std::string& in, const std::string& out, const std::string& comment) {
  Message message = make_message(NFT_MSG_NEWRULE, 0, NFPROTO_IPV4, 4096);
  put_expressions(message, accept_between(in, out));
  message.put_bytes(NFTA_RULE_USERDATA, user_data(comment));
  return *decode_rule(message.header());
}

TEST(DockerUser, KnowsItsRulesByMarkAndDeed) {
  EXPECT_EQ(pass_rule_in(pass_rule("br0", "eth0", "lanwright:u")), (PassRule{"u", "br0", "eth0"}));
  EXPECT_EQ(pass_rule_in(pass_rule("", "br0", "lanwright:u")), (PassRule{"u", "", "br0"}));
  EXPECT_EQ(pass_rule_in(pass_rule("br0", "", "somebody")), std::nullopt);
  RuleSeen other = pass_rule("br0", "", "lanwright:u");
  other.expressions.insert(other.expressions.begin(), other.expressions.front());
  EXPECT_EQ(pass_rule_in(other), std::nullopt) << "it does something else";
  other.expressions.clear();
  EXPECT_EQ(pass_rule_in(other), std::nullopt);
  RuleSeen counted = pass_rule("br0", "", "lanwright:u");
  for (ExpressionSeen& each : counted.expressions) {
    if (each.name == "counter") each.attributes = {12, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 9};
  }
  EXPECT_EQ(pass_rule_in(counted), (PassRule{"u", "br0", ""})) << "packets have passed it";
}

TEST(DockerUser, LetsOutByTheUplinksOnly) {
  EXPECT_EQ(rules_of({{"br0", "u", {"eth0", "eth1"}}}),
            (std::set<PassRule>{{"u", "", "br0"}, {"u", "br0", "eth0"}, {"u", "br0", "eth1"}}));
  EXPECT_EQ(rules_of({{"br0", "u", {}}}), (std::set<PassRule>{{"u", "", "br0"}, {"u", "br0", ""}}));
}

ChainSeen chain_of_others(std::uint8_t family, const std::string& table, const std::string& name,
                          std::uint32_t policy) {
  return {family, table, {name, Hook{"filter", NF_INET_FORWARD, 0}}, policy};
}

TEST(OtherFirewalls, AreToldWithTheCommandThatHelps) {
  using testing::HasSubstr;
  const ChainSeen forward = chain_of_others(NFPROTO_IPV4, "filter", "FORWARD", NF_DROP);
  const ChainSeen docker{NFPROTO_IPV4, "filter", {"DOCKER-USER", {}}, 0};
  const ChainSeen docker6{NFPROTO_IPV6, "filter", {"DOCKER-USER", {}}, 0};
  const ChainSeen ufw{NFPROTO_IPV4, "filter", {"ufw-before-forward", {}}, 0};
  EXPECT_TRUE(other_firewalls_in({}, "br0").empty());
  EXPECT_TRUE(
      other_firewalls_in({chain_of_others(NFPROTO_IPV4, "filter", "FORWARD", NF_ACCEPT)}, "br0").empty());
  EXPECT_TRUE(other_firewalls_in({forward, docker}, "br0").empty());
  EXPECT_EQ(other_firewalls_in({forward, docker6}, "br0").size(), 1U);
  const auto plain = other_firewalls_in({forward}, "br0");
  ASSERT_EQ(plain.size(), 1U);
  EXPECT_EQ(plain[0].name, "chain FORWARD of table ip filter");
  EXPECT_THAT(plain[0].hint, HasSubstr("nft insert rule ip filter FORWARD iifname br0 accept"));
  const auto by_ufw = other_firewalls_in({forward, ufw}, "br0");
  ASSERT_EQ(by_ufw.size(), 1U);
  EXPECT_THAT(by_ufw[0].hint, HasSubstr("ufw route allow in on br0"));
  const auto zones =
      other_firewalls_in({chain_of_others(NFPROTO_INET, "firewalld", "filter_FORWARD", NF_ACCEPT)}, "br0");
  ASSERT_EQ(zones.size(), 1U);
  EXPECT_THAT(zones[0].hint, HasSubstr("--add-interface=br0"));
  // A bridge's own chain, and one of ours that drops nothing, are none.
  EXPECT_TRUE(other_firewalls_in({chain_of_others(NFPROTO_BRIDGE, "x", "forward", NF_DROP),
                                  chain_of_others(NFPROTO_INET, kTable, "forward", NF_ACCEPT)},
                                 "br0")
                  .empty());
}

}  // namespace
}  // namespace lanwright::nftables
