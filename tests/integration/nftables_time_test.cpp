// How long the host's table of networks takes, with a thousand of them.
// ctest label: timed
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <iostream>

#include "reconcilers/nftables/table.h"
#include "tests/integration/harness.h"

namespace lanwright::test {
namespace {

using Clock = std::chrono::steady_clock;
using nftables::Firewall;
using nftables::Mode;
using nftables::Table;

constexpr int kNetworks = 1000;
constexpr int kRounds = 20;

// Two subnets, and two ports of the host that lead to it.
nftables::Network network(int number) {
  const std::string part = std::to_string(number / 250) + "." + std::to_string(number % 250);
  const IpAddress target = *IpAddress::parse("10." + part + ".9");
  const auto port = static_cast<std::uint16_t>(10000 + number);
  return {"lw-" + std::to_string(number),
          number % 2 == 0 ? Mode::nat : Mode::routed,
          {*IpPrefix::parse("10." + part + ".0/24"),
           *IpPrefix::parse("fd00:" + std::to_string(number) + "::/64")},
          {{nftables::Protocol::tcp, {}, port, target, 80}, {nftables::Protocol::udp, {}, port, target, 53}}};
}

std::string uid_of(int number) {
  return "uid" + std::to_string(100000 + number);
}

Firewall many() {
  Firewall firewall;
  for (int i = 0; i < kNetworks; ++i) firewall.networks[uid_of(i)] = network(i);
  return firewall;
}

std::chrono::microseconds since(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
}

std::chrono::microseconds median(std::vector<std::chrono::microseconds> times) {
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

nftables::Applied make(Table& table, const Firewall& firewall) {
  const auto applied = table.apply(compile(firewall).elements);
  if (!applied) throw HarnessError(applied.error().text());
  return *applied;
}

class NftablesTime : public testing::Test {
 protected:
  NftablesTime() : table_(open()), firewall_(many()) { make(table_, firewall_); }
  static Table open() {
    auto table = Table::open();
    if (!table) throw HarnessError(table.error().text());
    return *std::move(table);
  }
  Sandbox sandbox_;
  Table table_;
  Firewall firewall_;
};

// From the changed value to the kernel's word that it is in force, and back.
TEST_F(NftablesTime, OneMoreNetworkTakesAFewMilliseconds) {
  std::vector<std::chrono::microseconds> added;
  std::vector<std::chrono::microseconds> removed;
  std::vector<std::chrono::microseconds> compiled;
  for (int round = 0; round < kRounds; ++round) {
    firewall_.networks[uid_of(kNetworks)] = network(kNetworks);
    auto begin = Clock::now();
    const auto more = compile(firewall_);
    compiled.push_back(since(begin));
    begin = Clock::now();
    const auto applied = table_.apply(more.elements);
    ASSERT_TRUE(applied) << applied.error().text();
    EXPECT_GT(applied->added, 8U);
    added.push_back(since(begin));
    firewall_.networks.erase(uid_of(kNetworks));
    begin = Clock::now();
    EXPECT_GT(make(table_, firewall_).taken, 8U);  // compiling is among it
    removed.push_back(since(begin));
  }
  std::cout << "compiled in " << median(compiled).count() << " us, added in " << median(added).count()
            << " us, removed in " << median(removed).count() << " us\n";
  EXPECT_LE(median(added), 5ms);
  EXPECT_LE(median(removed), 50ms);
}

// What nobody waits for is read after the kernel's word of it.
TEST_F(NftablesTime, AFlushIsRepairedWithinMilliseconds) {
  const auto repaired = [&](const std::string& deed) {
    if (!run({"nft", deed}).ok()) throw HarnessError("nft " + deed);
    const auto begin = Clock::now();
    pollfd source{table_.event_fd(), POLLIN, 0};
    EXPECT_EQ(poll(&source, 1, 1000), 1);
    EXPECT_TRUE(table_.drain());
    EXPECT_TRUE(make(table_, firewall_).wrote());
    return since(begin);
  };
  for (const std::string deed :
       {"flush ruleset", "delete table inet lanwright", "flush set inet lanwright nat4",
        "delete element inet lanwright bridges { \"lw-7\" }"}) {
    const auto time = repaired(deed);
    std::cout << deed << ": repaired in " << time.count() << " us\n";
    EXPECT_LE(time, 200ms) << deed;
  }
  firewall_.networks.erase(std::next(firewall_.networks.begin(), 3), firewall_.networks.end());
  make(table_, firewall_);
  const auto time = repaired("flush ruleset");
  std::cout << "of three networks: " << time.count() << " us\n";
  EXPECT_LE(time, 20ms);
}

}  // namespace
}  // namespace lanwright::test
