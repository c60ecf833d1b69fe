// Address pools and what was given of them: kept over a restart, and never given twice whatever is asked.
#include <gtest/gtest.h>

#include "tests/unit/state/fixture.h"

namespace lanwright {
namespace {

IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}

AddressPool pool_of(const std::string& cidr, const std::string& range = "",
                    const std::string& space = kLocalAddressSpace) {
  AddressPool pool;
  pool.id = space + "/" + cidr + (range.empty() ? "" : "/" + range);
  pool.space = space;
  pool.cidr = IpPrefix::parse(cidr).value();
  pool.range = IpPrefix::parse(range);
  return pool;
}

class StatePools : public testing::Test {
 protected:
  StatePools() { reopen(); }
  void reopen() {
    store.reset();
    store = must_open(directory.path()).store;
  }
  void give(AddressPool& pool, const std::string& address,
            const std::optional<IpAddress>& last = std::nullopt) {
    const AddressGrant grant{{ip(address), pool.cidr.length}, last};
    must(store->give_address(pool.id, grant));
    pool.given.insert(grant.address.address);
    pool.last = grant.last;
  }

  Directory directory;
  std::unique_ptr<state::Store> store;
};

TEST_F(StatePools, AreKeptOverAReopen) {
  AddressPool plain = pool_of("10.0.0.0/24");
  AddressPool ranged = pool_of("10.1.0.0/24", "10.1.0.128/25");
  AddressPool v6 = pool_of("fd00:1::/64");
  for (const AddressPool& pool : {v6, ranged, plain}) must(store->add_address_pool(pool));
  EXPECT_EQ(must(store->address_pools()), (std::vector{plain, ranged, v6}));
  give(plain, "10.0.0.1");
  give(plain, "10.0.0.2", ip("10.0.0.2"));
  give(v6, "fd00:1::1", ip("fd00:1::1"));
  const std::uint64_t generation = store->generation();
  reopen();
  EXPECT_EQ(must(store->address_pools()), (std::vector{plain, ranged, v6}));
  EXPECT_EQ(store->generation(), generation) << "pools are no declared objects";
}

TEST_F(StatePools, WhatIsReleasedIsGone) {
  AddressPool plain = pool_of("10.0.0.0/24");
  AddressPool other = pool_of("10.1.0.0/24");
  for (AddressPool* pool : {&plain, &other}) must(store->add_address_pool(*pool));
  give(plain, "10.0.0.1");
  give(plain, "10.0.0.2", ip("10.0.0.2"));
  give(other, "10.1.0.1", ip("10.1.0.1"));
  must(store->take_address_back(plain.id, ip("10.0.0.1")));
  must(store->take_address_back(plain.id, ip("10.0.0.1")));
  must(store->take_address_back("nowhere", ip("10.0.0.1")));
  plain.given.erase(ip("10.0.0.1"));
  reopen();
  EXPECT_EQ(must(store->address_pools()), (std::vector{plain, other}));
  must(store->drop_address_pool(plain.id));
  must(store->drop_address_pool(plain.id));
  reopen();
  EXPECT_EQ(must(store->address_pools()), (std::vector{other}));
  EXPECT_EQ(Shell(directory.database()).run("SELECT count(*) FROM pool_addresses"), "1");
  must(store->add_address_pool(pool_of("10.0.0.0/24")));
  EXPECT_TRUE(must(store->address_pools()).at(0).given.empty()) << "a new one begins empty";
}

TEST_F(StatePools, NoAddressOfASubnetIsStoredTwice) {
  AddressPool low = pool_of("10.0.0.0/24", "10.0.0.0/25");
  AddressPool high = pool_of("10.0.0.0/24", "10.0.0.128/25");
  AddressPool elsewhere = pool_of("10.0.0.0/24", "", kGlobalAddressSpace);
  for (AddressPool* pool : {&low, &high, &elsewhere}) must(store->add_address_pool(*pool));
  give(low, "10.0.0.1", ip("10.0.0.1"));
  const AddressGrant same{{ip("10.0.0.1"), 24}, ip("10.0.0.7")};
  EXPECT_FALSE(store->give_address(low.id, same));
  EXPECT_FALSE(store->give_address(high.id, same));
  give(elsewhere, "10.0.0.1");
  EXPECT_EQ(must(store->address_pools()), (std::vector{elsewhere, low, high}))
      << "what failed changed nothing, the last address included";
  EXPECT_FALSE(store->add_address_pool(low));
}

TEST_F(StatePools, AnUnknownPoolGivesNothing) {
  const auto refused = store->give_address("nowhere", {{ip("10.0.0.1"), 24}, {}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::not_found);
  EXPECT_EQ(Shell(directory.database()).run("SELECT count(*) FROM pool_addresses"), "0");
}

TEST_F(StatePools, ARowThatIsNotUnderstoodIsAnError) {
  must(store->add_address_pool(pool_of("10.0.0.0/24")));
  Shell(directory.database()).run("UPDATE address_pools SET cidr = 'x'");
  ASSERT_FALSE(store->address_pools());
  EXPECT_EQ(store->address_pools().error().object, "lanwright/10.0.0.0/24");
  Shell(directory.database())
      .run(
          "UPDATE address_pools SET cidr = '10.0.0.0/24';"
          "INSERT INTO pool_addresses VALUES ('lanwright', '10.0.0.0/24', 'y', 'lanwright/10.0.0.0/24')");
  ASSERT_FALSE(store->address_pools());
  EXPECT_EQ(store->address_pools().error().words, "y is no address");
}

}  // namespace
}  // namespace lanwright
