#include <gtest/gtest.h>

#include <cerrno>

#include "model/base/addresses.h"
#include "model/base/ids.h"
#include "model/base/names.h"
#include "model/base/utf8.h"
#include "model/link_names.h"
#include "model/observed.h"
#include "model/plan.h"
#include "model/status.h"
#include "reconcilers/kinds/bridge.h"
#include "reconcilers/kinds/ipvlan.h"
#include "reconcilers/kinds/vlan.h"

namespace lanwright {
namespace {

constexpr const char* kUid = "0123456789abcdef";
constexpr const char* kOtherUid = "fedcba9876543210";

TEST(ErrorText, SaysWhatWasTriedOnWhatTheKernelsWordsAndWhatToDo) {
  Error error = error_from_errno(EOPNOTSUPP, "create link", "br0 of network lab", "Unknown device type");
  error.hint = "load module 8021q";
  EXPECT_EQ(error.text(),
            "create link br0 of network lab: Operation not supported (errno 95): Unknown device type; "
            "load module 8021q");
}

TEST(ErrorText, LeavesOutWhatIsNotKnown) {
  Error error;
  error.kind = ErrorKind::timeout;
  error.tried = "apply";
  EXPECT_EQ(error.text(), "apply: timeout");
  error.words = "no answer";
  EXPECT_EQ(error.text(), "apply: no answer");
}

TEST(ErrorKindOfErrno, DecidesWhetherToTryAgain) {
  const auto kind = [](int number) { return error_from_errno(number, "try", "it").kind; };
  EXPECT_EQ(kind(EOPNOTSUPP), ErrorKind::unsupported);
  EXPECT_EQ(kind(EINVAL), ErrorKind::unsupported);
  EXPECT_EQ(kind(EPERM), ErrorKind::denied);
  EXPECT_EQ(kind(EBUSY), ErrorKind::busy);
  EXPECT_EQ(kind(ENOBUFS), ErrorKind::exhausted);
  EXPECT_EQ(kind(ENOSPC), ErrorKind::exhausted);
  EXPECT_EQ(kind(EEXIST), ErrorKind::conflict);
  EXPECT_EQ(kind(ENODEV), ErrorKind::waiting);
  EXPECT_EQ(kind(ETIMEDOUT), ErrorKind::timeout);
}

TEST(KindNames, ReadBothForms) {
  for (const Kind kind : {Kind::vlan, Kind::network, Kind::attachment}) {
    EXPECT_EQ(kind_from(name_of(kind)), kind);
    EXPECT_EQ(kind_from(plural_of(kind)), kind);
  }
  EXPECT_FALSE(kind_from("Network"));
  EXPECT_FALSE(kind_from(""));
}

TEST(MacAddressText, RoundTripsAndRefusesWhatIsNoMac) {
  EXPECT_EQ(MacAddress::parse("02:00:00:aB:01:fF")->text(), "02:00:00:ab:01:ff");
  for (const char* bad : {"", "02:00:00:00:01", "02:00:00:00:01:0g", "02-00-00-00-01-01", "2:0:0:0:1:1",
                          "02:00:00:00:01:01 ", "02:00:00:00:01:01:01", "+2:00:00:00:01:01"}) {
    EXPECT_FALSE(MacAddress::parse(bad)) << bad;
  }
  EXPECT_TRUE(MacAddress::parse("01:00:5e:00:00:01")->is_multicast());
}

TEST(IpAddressText, RoundTripsAndRefusesWhatIsNoAddress) {
  for (const char* good : {"10.0.0.1", "0.0.0.0", "255.255.255.255", "fd00::1", "::", "::ffff:10.0.0.1"}) {
    EXPECT_EQ(IpAddress::parse(good)->text(), good);
  }
  for (const char* bad : {"", "10.0.0", "10.0.0.256", "010.0.0.1", "10.0.0.1/24", "fd00::1%eth0", "fd00:::1",
                          " 10.0.0.1", "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20.21.22.23"}) {
    EXPECT_FALSE(IpAddress::parse(bad)) << bad;
  }
  EXPECT_FALSE(IpAddress::parse(std::string_view("10.0.0.1\0x", 10)));
}

TEST(IpPrefixText, NeedsAPlainLength) {
  for (const char* good : {"10.0.0.1/24", "0.0.0.0/0", "10.0.0.1/32", "fd00::1/128", "::/0"}) {
    EXPECT_EQ(IpPrefix::parse(good)->text(), good);
  }
  for (const char* bad : {"10.0.0.1", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/024", "10.0.0.1/-1",
                          "10.0.0.1/+1", "fd00::1/129", "10.0.0.1/24/24", "/24", "10.0.0.1/2x"}) {
    EXPECT_FALSE(IpPrefix::parse(bad)) << bad;
  }
}

TEST(IpPrefixArithmetic, EveryLength) {
  const IpAddress all_ones = *IpAddress::parse("255.255.255.255");
  for (int length = 0; length <= 32; ++length) {
    const IpPrefix prefix{all_ones, static_cast<std::uint8_t>(length)};
    const IpPrefix network = prefix.network();
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 4; ++i) bits = bits << 8U | network.address.bytes[i];
    EXPECT_EQ(bits, length == 0 ? 0U : 0xffffffffU << (32 - length)) << length;
    EXPECT_TRUE(network.contains(all_ones));
    EXPECT_EQ(network.contains(*IpAddress::parse("127.255.255.255")), length == 0) << length;
  }
  EXPECT_EQ(IpPrefix::parse("fd00:1:2:3::4/48")->network().text(), "fd00:1:2::/48");
}

TEST(IpPrefixArithmetic, OverlapIsSymmetricAndNeverAcrossFamilies) {
  const auto overlap = [](const char* a, const char* b) {
    const bool result = IpPrefix::parse(a)->overlaps(*IpPrefix::parse(b));
    EXPECT_EQ(result, IpPrefix::parse(b)->overlaps(*IpPrefix::parse(a)));
    return result;
  };
  EXPECT_TRUE(overlap("10.0.0.0/8", "10.1.0.0/16"));
  EXPECT_FALSE(overlap("10.0.0.0/16", "10.1.0.0/16"));
  EXPECT_FALSE(overlap("0.0.0.0/0", "::/0"));
  EXPECT_FALSE(IpPrefix::parse("0.0.0.0/0")->contains(*IpAddress::parse("::1")));
}

TEST(InterfaceNames, AreTheKernels) {
  for (const char* good : {"eth0", "eth0.50", "a", "fifteen-bytes-x", "veth@1", "br_0"}) {
    EXPECT_EQ(interface_name_fault(good), nullptr) << good;
  }
  for (const char* bad :
       {"", ".", "..", "sixteen-bytes-xx", "a b", "a/b", "a:b", "eth%d", "a\tb", "\xc3\xa0" /* à */}) {
    EXPECT_NE(interface_name_fault(bad), nullptr) << bad;
  }
}

TEST(Utf8, KnowsWellFormedSequences) {
  for (const char* good : {"a", "é", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) EXPECT_TRUE(is_utf8(good)) << good;
  for (const char* bad :
       {"\x80", "\xc0\x80", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8"}) {
    EXPECT_FALSE(is_utf8(bad));
    EXPECT_TRUE(is_utf8(valid_utf8(bad)));
    EXPECT_TRUE(is_utf8(printable(bad)));
  }
  EXPECT_EQ(printable("a\x1b[31mb\xc2\x9b"), "a?[31mb?");
  EXPECT_EQ(find_untextual("a\tb\r\n"), std::string_view::npos);
  EXPECT_EQ(find_untextual("ab\x7f"), 2U);
}

TEST(NetnsPath, BareNamesAreUnderRunNetns) {
  EXPECT_EQ(netns_path(""), "");
  EXPECT_EQ(netns_path("r1"), "/run/netns/r1");
  EXPECT_EQ(netns_path("/proc/7/ns/net"), "/proc/7/ns/net");
}

TEST(MarkText, RoundTripsAndRefusesForeignAliases) {
  for (const OwnerTag& mark : {OwnerTag{kUid, ""}, OwnerTag{kUid, "peer"}, OwnerTag{kUid, "a/b"}}) {
    EXPECT_EQ(OwnerTag::parse(mark.text()), mark);
  }
  for (const char* foreign :
       {"", "lanwright:", "lanwright:0123", "lanwright:0123456789ABCDEF", "uplink to the roof",
        "lanwright:0123456789abcdef/", "lanwright:0123456789abcdef0", " lanwright:0123456789abcdef"}) {
    EXPECT_FALSE(OwnerTag::parse(foreign)) << foreign;
  }
}

TEST(LinkAttributes, AreFoundByIdentity) {
  const LinkAttributes attrs = {
      {kinds::bridge::kStpState, 1}, {kinds::bridge::kPortIsolated, 0}, {kinds::vlan::kId, 7}};
  EXPECT_EQ(find(attrs, kinds::bridge::kStpState), 1U);
  EXPECT_EQ(find(attrs, kinds::bridge::kPortIsolated), 0U);
  EXPECT_EQ(find(attrs, kinds::vlan::kId), 7U);
  EXPECT_FALSE(find(attrs, kinds::bridge::kAgeingTime));
  EXPECT_FALSE(find(attrs, kinds::ipvlan::kFlags));
  EXPECT_EQ(kinds::bridge::kAgeingTime.name, "bridge.ageing_time");
}

TEST(TemporaryNames, AreNobodyElses) {
  const ObjectUid uid = "0123456789abcdef";
  const std::string name = temporary_name(uid);
  EXPECT_EQ(name, "lw-=0123456789a");
  EXPECT_EQ(name.size(), 15U) << "IFNAMSIZ";
  EXPECT_EQ(interface_name_fault(name), nullptr);
  EXPECT_FALSE(is_object_name(name.substr(std::string("lw-").size()))) << "a network could be called so";
  for (const std::string& each : {name, std::string("lw!0123456789ab")}) {
    EXPECT_TRUE(is_temporary_name(each, uid)) << each;
    EXPECT_FALSE(is_temporary_name(each, "1123456789abcdef")) << each;
  }
}

LinkFact link(int ifindex, std::string name, std::string alias = {}) {
  LinkFact fact;
  fact.ifindex = ifindex;
  fact.name = std::move(name);
  fact.alias = std::move(alias);
  fact.group = kOwnGroup;
  return fact;
}

TEST(NamespaceFactsIndex, FollowsRenamesMarksAndAlternativeNames) {
  NamespaceFacts facts;
  LinkFact first = link(1, "a", OwnerTag{kUid, "port"}.text());
  first.altnames = {"the-long-name"};
  facts.put(first);
  facts.put(link(2, "b"));
  EXPECT_EQ(facts.find("the-long-name"), facts.find(1));
  EXPECT_EQ(facts.find(OwnerTag{kUid, "port"}), facts.find(1));
  EXPECT_EQ(facts.find(OwnerTag{kUid, ""}), nullptr);

  facts.put(link(1, "c", OwnerTag{kOtherUid, ""}.text()));
  EXPECT_EQ(facts.find("a"), nullptr);
  EXPECT_EQ(facts.find("the-long-name"), nullptr);
  EXPECT_EQ(facts.find("c"), facts.find(1));
  EXPECT_TRUE(facts.marked(kUid).empty());
  EXPECT_EQ(facts.marked(kOtherUid).size(), 1U);

  facts.erase(1);
  EXPECT_EQ(facts.find("c"), nullptr);
  EXPECT_TRUE(facts.marked(kOtherUid).empty());
  facts.erase(1);
  EXPECT_EQ(facts.links().size(), 1U);
}

TEST(NamespaceFactsIndex, ANameThatPassedOnStaysWithItsNewLink) {
  NamespaceFacts facts;
  facts.put(link(1, "eth0"));
  facts.put(link(2, "eth0"));  // the event that 1 was renamed is still on its way
  EXPECT_EQ(facts.find("eth0")->ifindex, 2);
  facts.put(link(1, "old"));
  EXPECT_EQ(facts.find("eth0")->ifindex, 2);
  facts.erase(1);
  EXPECT_EQ(facts.find("eth0")->ifindex, 2);
}

TEST(NamespaceFactsIndex, ACopiedMarkDoesNotHideTheRealOne) {
  NamespaceFacts facts;
  LinkFact copy = link(1, "copy", OwnerTag{kUid, ""}.text());
  copy.group = 0;
  facts.put(copy);
  facts.put(link(9, "real", OwnerTag{kUid, ""}.text()));
  EXPECT_EQ(facts.find(OwnerTag{kUid, ""})->ifindex, 9);
  EXPECT_EQ(facts.marked(kUid).size(), 2U);
}

TEST(NamespaceFactsIndex, AgreesWithASearchAfterThousandsOfRandomChanges) {
  NamespaceFacts facts;
  std::uint32_t random = 1;
  const auto below = [&random](std::uint32_t end) {
    random = random * 1664525U + 1013904223U;
    return (random >> 8U) % end;
  };
  for (int round = 0; round < 20'000; ++round) {
    const int ifindex = static_cast<int>(below(300)) + 1;
    if (below(3) == 0) {
      facts.erase(ifindex);
      continue;
    }
    // Names are unique, as in the kernel.
    LinkFact fact = link(ifindex, "l" + std::to_string(ifindex) + "." + std::to_string(below(2)));
    if (below(2) == 0) fact.altnames = {"alt" + std::to_string(ifindex) + "." + std::to_string(below(3))};
    if (below(2) == 0)
      fact.alias = OwnerTag{below(2) == 0 ? kUid : kOtherUid, std::to_string(ifindex)}.text();
    facts.put(fact);
  }
  std::size_t marked = 0;
  for (const auto& [ifindex, fact] : facts.links()) {
    EXPECT_EQ(facts.find(fact.name), &fact);
    for (const std::string& altname : fact.altnames) EXPECT_EQ(facts.find(altname), &fact);
    if (const auto mark = OwnerTag::parse(fact.alias)) {
      EXPECT_EQ(facts.find(*mark), &fact);
      ++marked;
    }
  }
  EXPECT_EQ(facts.marked(kUid).size() + facts.marked(kOtherUid).size(), marked);
  EXPECT_GT(marked, 10U);
  EXPECT_EQ(facts.find("l1.0") != nullptr || facts.find("l1.1") != nullptr, facts.find(1) != nullptr);
}

TEST(NamespaceFactsPorts, AreAscending) {
  NamespaceFacts facts;
  for (const int ifindex : {7, 3, 5}) {
    LinkFact fact = link(ifindex, "p" + std::to_string(ifindex));
    fact.master = ifindex == 5 ? 2 : 1;
    facts.put(fact);
  }
  EXPECT_EQ(facts.ports_of(1), (std::vector<int>{3, 7}));
}

TEST(ObservedLookup, GoesThroughTheNamespace) {
  Observed observed;
  observed.namespaces["/run/netns/r1"].put(link(2, "eth0"));
  EXPECT_NE(observed.find(LinkName{"/run/netns/r1", "eth0"}), nullptr);
  EXPECT_EQ(observed.find(LinkName{"", "eth0"}), nullptr);
  EXPECT_EQ(observed.find("nowhere"), nullptr);
}

TEST(ActionText, IsForPeople) {
  LinkSpec bridge;
  bridge.at = {"", "br0"};
  bridge.kind = "bridge";
  Action action;
  action.step = CreateLink{bridge, {}, {}, {}};
  EXPECT_EQ(action.text(), "create bridge br0");
  EXPECT_STREQ(action.verb(), "create");
  EXPECT_EQ(action.target().name, "br0");

  LinkSpec port = bridge;
  port.at = {"", "lw-r1"};
  port.kind = "veth";
  LinkSpec end;
  end.at = {"/run/netns/r1", "eth0"};
  action.step = CreateLink{port, {}, end, {}};
  EXPECT_EQ(action.text(), "create veth lw-r1 with peer eth0 in /run/netns/r1");

  ChangeLink change;
  change.at = {"", "br0"};
  change.kind = "bridge";
  change.mtu = 1500;
  change.up = true;
  change.master = "";
  change.attributes = {{kinds::bridge::kStpState, 1}};
  action.step = change;
  EXPECT_EQ(action.text(), "change bridge br0: no master, up, mtu 1500, bridge.stp_state 1");

  action.step = RemoveLink{{"", "tap0"}, 4, "tun", {}};
  EXPECT_EQ(action.text(), "remove tap tap0");

  action.step = AddRoute{end.at, {*IpPrefix::parse("0.0.0.0/0"), IpAddress::parse("10.0.0.254"), 5}};
  EXPECT_EQ(action.text(), "add route default via 10.0.0.254 metric 5 to eth0 in /run/netns/r1");
  EXPECT_STREQ(action.verb(), "add route");
  action.step = RemoveAddress{end.at, *IpPrefix::parse("fd00::1/64")};
  EXPECT_EQ(action.text(), "remove address fd00::1/64 from eth0 in /run/netns/r1");
}

TEST(Rfc3339, HasMillisecondsAndUtc) {
  using namespace std::chrono_literals;
  EXPECT_EQ(rfc3339(WallTime(0ms)), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(rfc3339(WallTime(1795204016123ms)), "2026-11-20T19:46:56.123Z");
  EXPECT_EQ(rfc3339(WallTime(951782399999ms)), "2000-02-28T23:59:59.999Z");
}

}  // namespace
}  // namespace lanwright
