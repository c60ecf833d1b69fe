// Pools of addresses: which ones exist beside each other, and what is given of them, held against naive
// models.
#include "model/address_pools.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <random>
#include <set>
#include <stdexcept>

namespace lanwright {
namespace {

constexpr std::array<std::uint8_t, 5> kSite{0x01, 0x23, 0x45, 0x67, 0x89};

IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}
IpPrefix prefix(const std::string& text) {
  return IpPrefix::parse(text).value();
}

// Chooses and records, as the agent does.
class Pools {
 public:
  explicit Pools(std::vector<PoolSource> defaults = default_pools(kSite)) : pools(std::move(defaults)) {}

  Result<AddressPool> request(const PoolRequest& wanted) {
    auto pool = pools.choose_pool(wanted);
    if (pool) pools.put(*pool);
    return pool;
  }
  std::string add(const std::string& cidr, const std::string& range = "") {
    auto pool = request({kLocalAddressSpace, cidr, range, false});
    if (!pool) throw std::runtime_error(pool.error().text());
    return pool->id;
  }
  Result<IpPrefix> address(const std::string& pool, const std::string& wanted = "",
                           AddressUse use = AddressUse::interface) {
    auto grant = pools.choose_address(pool, wanted.empty() ? std::nullopt : IpAddress::parse(wanted), use);
    if (!grant) return grant.error();
    pools.give(pool, *grant);
    return grant->address;
  }
  // The address, or the error's kind.
  std::string given(const std::string& pool, const std::string& wanted = "",
                    AddressUse use = AddressUse::interface) {
    const auto result = address(pool, wanted, use);
    return result ? result->text() : name_of(result.error().kind);
  }

  AddressPools pools;
};

TEST(Prefix, KnowsItsLastAndItsSpecialAddresses) {
  EXPECT_EQ(prefix("10.0.0.5/24").last(), ip("10.0.0.255"));
  EXPECT_EQ(prefix("10.0.0.0/13").last(), ip("10.7.255.255"));
  EXPECT_EQ(prefix("10.0.0.5/32").last(), ip("10.0.0.5"));
  EXPECT_EQ(prefix("fd00::/65").last(), ip("fd00::7fff:ffff:ffff:ffff"));
  EXPECT_TRUE(prefix("10.0.0.0/24").is_special(ip("10.0.0.0")));
  EXPECT_TRUE(prefix("10.0.0.0/24").is_special(ip("10.0.0.255")));
  EXPECT_FALSE(prefix("10.0.0.0/24").is_special(ip("10.0.0.254")));
  EXPECT_FALSE(prefix("10.0.0.0/31").is_special(ip("10.0.0.0")));
  EXPECT_FALSE(prefix("10.0.0.0/32").is_special(ip("10.0.0.0")));
  EXPECT_TRUE(prefix("fd00::/64").is_special(ip("fd00::")));
  EXPECT_FALSE(prefix("fd00::/64").is_special(prefix("fd00::/64").last()));
  EXPECT_FALSE(prefix("fd00::/127").is_special(ip("fd00::")));
}

TEST(Prefix, KnowsWhatNoInterfaceCanHave) {
  for (const char* fine : {"10.0.0.0/8", "169.254.0.0/16", "240.0.0.0/8", "fd00::/8", "fe80::/64", "::2/128"})
    EXPECT_EQ(unusable_kind(prefix(fine)), nullptr) << fine;
  EXPECT_STREQ(unusable_kind(prefix("224.0.0.0/24")), "multicast");
  EXPECT_STREQ(unusable_kind(prefix("192.0.0.0/2")), "multicast");  // a part of it is
  EXPECT_STREQ(unusable_kind(ip("ff02::1")), "multicast");
  EXPECT_STREQ(unusable_kind(ip("127.8.8.8")), "loopback");
  EXPECT_STREQ(unusable_kind(ip("::1")), "loopback");
  EXPECT_STREQ(unusable_kind(ip("0.0.0.0")), "unspecified");
  EXPECT_STREQ(unusable_kind(ip("255.255.255.255")), "broadcast");
}

TEST(AddressPools, AreOfAddressesThatInterfacesCanHave) {
  Pools pools;
  for (const char* cidr : {"224.0.0.0/24", "127.0.0.0/8", "ff00::/64", "::1/128", "255.255.255.0/24"}) {
    const auto refused = pools.request({kLocalAddressSpace, cidr, "", false});
    ASSERT_FALSE(refused.ok()) << cidr;
    EXPECT_EQ(refused.error().kind, ErrorKind::invalid);
  }
}

TEST(Prefix, AddressesFollowEachOther) {
  EXPECT_EQ(ip("10.0.0.255").next(), ip("10.0.1.0"));
  EXPECT_EQ(ip("255.255.255.255").next(), ip("0.0.0.0"));
  EXPECT_EQ(ip("fd00::ffff").next(), ip("fd00::1:0"));
}

TEST(AddressPools, GiveTheirAddressesInOrderAndTheGatewayFirst) {
  Pools pools;
  const std::string pool = pools.add("10.0.0.77/24");
  EXPECT_EQ(pool, "lanwright/10.0.0.0/24");
  EXPECT_EQ(pools.given(pool, "", AddressUse::gateway), "10.0.0.1/24");
  EXPECT_EQ(pools.given(pool), "10.0.0.2/24");
  EXPECT_EQ(pools.given(pool), "10.0.0.3/24");
  EXPECT_EQ(pools.given(pool, "10.0.0.4"), "10.0.0.4/24") << "as auxiliary addresses are reserved";
  EXPECT_EQ(pools.given(pool), "10.0.0.5/24");
}

TEST(AddressPools, WhatWasReleasedIsGivenAgainLast) {
  Pools pools;
  const std::string pool = pools.add("10.0.0.0/29");
  for (const char* expected : {"10.0.0.1/29", "10.0.0.2/29", "10.0.0.3/29"})
    EXPECT_EQ(pools.given(pool), expected);
  pools.pools.take_back(pool, ip("10.0.0.1"));
  pools.pools.take_back(pool, ip("10.0.0.1"));
  pools.pools.take_back("nowhere", ip("10.0.0.1"));
  for (const char* expected : {"10.0.0.4/29", "10.0.0.5/29", "10.0.0.6/29", "10.0.0.1/29", "exhausted"})
    EXPECT_EQ(pools.given(pool), expected);
  pools.pools.take_back(pool, ip("10.0.0.3"));
  EXPECT_EQ(pools.given(pool, "", AddressUse::gateway), "10.0.0.3/29");
}

TEST(AddressPools, RefuseWhatTheyDoNotHaveInDockersWords) {
  Pools pools;
  const std::string pool = pools.add("10.0.0.0/24");
  ASSERT_EQ(pools.given(pool, "10.0.0.9"), "10.0.0.9/24");
  const auto words = [&](const std::string& wanted) { return pools.address(pool, wanted).error().text(); };
  EXPECT_EQ(words("10.0.0.9"),
            "give 10.0.0.9 of pool 10.0.0.0/24: Address already in use; choose another, or release it first");
  EXPECT_EQ(words("10.0.1.9"), "give 10.0.1.9 of pool 10.0.0.0/24: requested address is out of range");
  EXPECT_NE(words("10.0.0.0").find("out of range: it is the network address"), std::string::npos);
  EXPECT_NE(words("10.0.0.255").find("out of range: it is the broadcast address"), std::string::npos);
  EXPECT_NE(words("fd00::1").find("out of range"), std::string::npos);
  EXPECT_EQ(pools.given("lanwright/10.9.0.0/24"), "not_found");
  EXPECT_EQ(pools.given(pool, "10.0.0.9"), "conflict");
  EXPECT_EQ(pools.given(pool, "10.0.0.255"), "invalid");
}

// Every length from /24 on, once through: each address that may be given is, once, and nothing else.
TEST(AddressPools, SmallOnesAreGivenCompletely) {
  for (unsigned length = 24; length <= 32; ++length) {
    Pools pools;
    const IpPrefix cidr{ip("10.0.0.0"), static_cast<std::uint8_t>(length)};
    const std::string pool = pools.add(cidr.text());
    std::set<IpAddress> expected;
    for (unsigned i = 0; i < 1U << (32 - length); ++i) expected.insert(ip("10.0.0." + std::to_string(i)));
    if (length < 31) {
      expected.erase(expected.begin());
      expected.erase(std::prev(expected.end()));
    }
    std::set<IpAddress> found;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const auto address = pools.address(pool);
      ASSERT_TRUE(address) << cidr.text() << ": " << address.error().text();
      EXPECT_EQ(address->length, length);
      found.insert(address->address);
    }
    EXPECT_EQ(found, expected) << cidr.text();
    EXPECT_EQ(pools.given(pool), "exhausted");
    EXPECT_EQ(pools.address(pool).error().words, "no available addresses on this pool");
  }
}

TEST(AddressPools, PairsAndSingleAddressesWork) {
  Pools pools;
  const std::string pair = pools.add("10.0.0.4/31");
  EXPECT_EQ(pools.given(pair, "", AddressUse::gateway), "10.0.0.4/31");
  EXPECT_EQ(pools.given(pair), "10.0.0.5/31");
  EXPECT_EQ(pools.given(pair), "exhausted");
  const std::string single = pools.add("10.0.0.9/32");
  EXPECT_EQ(pools.given(single, "10.0.0.9"), "10.0.0.9/32");
  EXPECT_EQ(pools.given(single), "exhausted");
  const std::string pair6 = pools.add("fd00::/127");
  EXPECT_EQ(pools.given(pair6), "fd00::/127");
  EXPECT_EQ(pools.given(pair6), "fd00::1/127");
  EXPECT_EQ(pools.given(pair6), "exhausted");
}

TEST(AddressPools, TheLastAddressesOfAllAreNoEnd) {
  Pools pools;
  const auto keep = [&](const std::string& cidr) {  // as an older version stored it
    pools.pools.put({cidr, kLocalAddressSpace, prefix(cidr), {}, {}, {}});
    return cidr;
  };
  const std::string top = keep("255.255.255.252/30");
  EXPECT_EQ(pools.given(top), "255.255.255.253/30");
  EXPECT_EQ(pools.given(top), "255.255.255.254/30");
  EXPECT_EQ(pools.given(top), "exhausted");
  const std::string top6 = keep("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127");
  pools.given(top6);
  EXPECT_EQ(pools.given(top6), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/127");
  EXPECT_EQ(pools.given(top6), "exhausted");
}

TEST(AddressPools, LargeOnesCostWhatWasGivenOfThem) {
  Pools pools;
  const std::string pool = pools.add("fd00:1::/64");
  EXPECT_EQ(pools.given(pool, "fd00:1::"), "invalid");
  EXPECT_EQ(pools.given(pool, "", AddressUse::gateway), "fd00:1::1/64");
  EXPECT_EQ(pools.given(pool, "fd00:1::ffff:ffff:ffff:ffff"), "fd00:1::ffff:ffff:ffff:ffff/64");
  for (int i = 2; i < 5000; ++i) ASSERT_TRUE(pools.address(pool)) << i;
  EXPECT_EQ(pools.given(pool), "fd00:1::1388/64");
  EXPECT_EQ(pools.pools.find(pool)->given.size(), 5001U);
}

TEST(AddressPools, ARangeIsWhatIsChosenFrom) {
  Pools pools;
  const std::string pool = pools.add("10.0.0.0/24", "10.0.0.128/30");
  EXPECT_EQ(pool, "lanwright/10.0.0.0/24/10.0.0.128/30");
  EXPECT_EQ(pools.given(pool, "", AddressUse::gateway), "10.0.0.128/24");
  EXPECT_EQ(pools.given(pool, "10.0.0.1"), "10.0.0.1/24") << "asked for, it may be outside of the range";
  for (const char* expected : {"10.0.0.129/24", "10.0.0.130/24", "10.0.0.131/24", "exhausted"})
    EXPECT_EQ(pools.given(pool), expected);
  pools.pools.take_back(pool, ip("10.0.0.129"));
  EXPECT_EQ(pools.given(pool), "10.0.0.129/24");
}

TEST(AddressPools, RangesOfOneSubnetShareItsAddresses) {
  Pools pools;
  const std::string low = pools.add("10.0.0.0/24", "10.0.0.0/29");
  const std::string wide = pools.add("10.0.0.0/24", "10.0.0.0/28");
  const std::string all = pools.add("10.0.0.0/24");
  EXPECT_EQ(pools.given(low), "10.0.0.1/24");
  EXPECT_EQ(pools.given(wide), "10.0.0.2/24");
  EXPECT_EQ(pools.given(all), "10.0.0.3/24");
  EXPECT_EQ(pools.given(all, "10.0.0.1"), "conflict");
  pools.pools.take_back(all, ip("10.0.0.1"));  // which another pool gave
  EXPECT_EQ(pools.given(all, "10.0.0.1"), "conflict");
  pools.pools.drop(low);
  EXPECT_EQ(pools.given(all, "10.0.0.1"), "10.0.0.1/24") << "gone with its pool";
  EXPECT_EQ(pools.given(low), "not_found");
}

TEST(AddressPools, OverlappingOnesAreRefusedByName) {
  Pools pools;
  pools.add("10.0.0.0/16");
  for (const char* other : {"10.0.0.0/16", "10.0.7.0/24", "10.0.0.0/8", "10.0.255.255/32"}) {
    const auto refused = pools.request({kLocalAddressSpace, other, "", false});
    ASSERT_FALSE(refused) << other;
    EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
    EXPECT_NE(refused.error().words.find("Pool overlaps with other one on this address space: 10.0.0.0/16"),
              std::string::npos);
    EXPECT_EQ(refused.error().object, prefix(other).network().text());
  }
  EXPECT_TRUE(pools.request({kLocalAddressSpace, "10.1.0.0/16", "", false}));
  EXPECT_TRUE(pools.request({kGlobalAddressSpace, "10.0.0.0/16", "", false})) << "another space";
  pools.add("10.2.0.0/24", "10.2.0.0/25");
  const auto again = pools.request({kLocalAddressSpace, "10.2.0.0/24", "10.2.0.0/25", false});
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().words.find("10.2.0.0/24 with range 10.2.0.0/25"), std::string::npos);
  EXPECT_FALSE(pools.request({kLocalAddressSpace, "10.2.0.0/23", "10.2.0.0/25", false}));
  pools.pools.drop("lanwright/10.0.0.0/16");
  EXPECT_TRUE(pools.request({kLocalAddressSpace, "10.0.7.0/24", "", false}));
}

TEST(AddressPools, WrongRequestsAreTold) {
  Pools pools;
  const auto words = [&](const PoolRequest& request) {
    const auto refused = pools.request(request);
    if (refused) return "given: " + refused->id;
    EXPECT_EQ(refused.error().kind, ErrorKind::invalid);
    return refused.error().text();
  };
  const std::string local = kLocalAddressSpace;
  EXPECT_NE(words({"LocalDefault", "10.0.0.0/24", "", false}).find("address space `LocalDefault`"),
            std::string::npos);
  EXPECT_NE(words({"", "", "", false}).find("address space"), std::string::npos);
  for (const char* text : {"10.0.0.0", "10.0.0.0/33", "10.0.0/24", "x", "fd00::/129"}) {
    EXPECT_NE(words({local, text, "", false}).find("invalid address pool"), std::string::npos) << text;
    EXPECT_NE(words({local, "10.0.0.0/8", text, false}).find("invalid address subpool"), std::string::npos)
        << text;
  }
  for (const char* text : {"10.0.1.0/25", "10.0.0.0/23", "fd00::/120"}) {
    EXPECT_NE(words({local, "10.0.0.0/24", text, false}).find("is not within it"), std::string::npos) << text;
  }
  EXPECT_NE(words({local, "", "10.0.0.0/24", false}).find("needs the subnet"), std::string::npos);
  EXPECT_NE(words({local, "0.0.0.0/0", "", false}).find("every address"), std::string::npos);
  EXPECT_TRUE(pools.pools.pools().empty());
}

TEST(AddressPools, DefaultsAreFreeOnes) {
  Pools pools;
  const auto next = [&](const std::string& cidr = "", bool v6 = false) {
    const auto pool = pools.request({kLocalAddressSpace, cidr, "", v6});
    return pool ? pool->cidr.text() : name_of(pool.error().kind);
  };
  EXPECT_EQ(next(), "10.210.192.0/24");
  pools.add("10.210.193.128/25");
  pools.add("10.210.194.0/23");
  EXPECT_EQ(next(), "10.210.196.0/24");
  EXPECT_EQ(next("0.0.0.0/26"), "10.210.193.0/26") << "of a given length";
  EXPECT_EQ(next("0.0.0.0/22"), "10.210.200.0/22");
  EXPECT_EQ(next("0.0.0.0/8"), "exhausted");
  EXPECT_EQ(next("", true), "fd01:2345:6789::/64");
  EXPECT_EQ(next("", true), "fd01:2345:6789:1::/64");
  EXPECT_EQ(next("::/64"), "fd01:2345:6789:2::/64");
  pools.pools.drop("lanwright/10.210.192.0/24");
  EXPECT_EQ(next(), "10.210.192.0/24");
  pools.add("10.0.0.0/9");  // below the defaults
  const auto global = pools.request({kGlobalAddressSpace, "", "", false});
  EXPECT_EQ(global->cidr.text(), "10.210.197.0/24") << "what another space has is avoided as well";
}

TEST(AddressPools, DefaultsEnd) {
  Pools pools;
  std::set<IpPrefix> found;
  for (int i = 0; i < 192; ++i) found.insert(pools.request({kLocalAddressSpace, "", "", false})->cidr);
  EXPECT_EQ(found.size(), 192U);
  EXPECT_TRUE(found.contains(prefix("192.168.255.0/24")));
  const auto none = pools.request({kLocalAddressSpace, "", "", false});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::exhausted);
  EXPECT_NE(none.error().text().find("could not find an available, non-overlapping IPv4 address pool"),
            std::string::npos);
}

// Random requests against a set of what is given: whatever is answered must be right, and nothing may be
// refused that there is.
TEST(AddressPools, RandomRequestsAgreeWithANaiveModel) {
  for (unsigned seed = 1; seed <= 30; ++seed) {
    std::mt19937 random(seed);
    const auto up_to = [&](unsigned most) {
      return std::uniform_int_distribution<unsigned>(0, most)(random);
    };
    Pools pools;
    const IpPrefix cidr{ip(seed % 3 == 0 ? "fd00::" : "10.0.0.0"),
                        static_cast<std::uint8_t>((seed % 3 == 0 ? 128 : 32) - 1 - up_to(5))};
    const IpPrefix range{cidr.address, static_cast<std::uint8_t>(cidr.length + up_to(1))};
    const std::string pool = pools.add(cidr.text(), range.text());
    std::vector<IpAddress> all;  // and one behind, which nobody may have
    for (IpAddress address = cidr.address;; address = address.next()) {
      all.push_back(address);
      if (address == cidr.last()) break;
    }
    all.push_back(cidr.last().next());
    std::set<IpAddress> given;
    for (int step = 0; step < 400; ++step) {
      const IpAddress& some = all[up_to(static_cast<unsigned>(all.size()) - 1)];
      const bool possible = cidr.contains(some) && !cidr.is_special(some) && !given.contains(some);
      switch (up_to(3)) {
        case 0:
          pools.pools.take_back(pool, some);
          given.erase(some);
          break;
        case 1: {
          const auto got = pools.address(pool, some.text());
          ASSERT_EQ(got.ok(), possible) << seed << ": " << some.text();
          if (got) given.insert(some);
          break;
        }
        default: {
          const bool gateway = up_to(3) == 0;
          std::set<IpAddress> free;
          for (const IpAddress& each : all) {
            if (range.contains(each) && !cidr.is_special(each) && !given.contains(each)) free.insert(each);
          }
          const auto got = pools.address(pool, "", gateway ? AddressUse::gateway : AddressUse::interface);
          ASSERT_EQ(got.ok(), !free.empty()) << seed;
          if (!got) break;
          ASSERT_TRUE(free.contains(got->address)) << seed << ": " << got->text();
          ASSERT_TRUE(!gateway || got->address == *free.begin()) << seed;
          given.insert(got->address);
        }
      }
      ASSERT_EQ(pools.pools.find(pool)->given, given) << seed;
    }
  }
}

}  // namespace
}  // namespace lanwright
