// What is made of the rules that iptables tells of.
#include <gtest/gtest.h>

#include "reconcilers/netfilter/forward_rules.h"

namespace lanwright {
namespace {

// As iptables 1.8 prints it.
constexpr const char* kListing = R"(-P FORWARD DROP
-A FORWARD -j DOCKER-USER
-A FORWARD -i lw-a -o lw-a -m comment --comment "lanwright:u1" -j ACCEPT
-A FORWARD -i lw-b -o lw-b -m comment --comment lanwright:u2 -j ACCEPT
-A FORWARD -i lw-b -o lw-c -m comment --comment "lanwright:u3" -j ACCEPT
-A FORWARD -s 10.0.0.0/8 -i lw-d -o lw-d -m comment --comment "lanwright:u4" -j ACCEPT
-A FORWARD -i lw-e -o lw-e -m comment --comment "lanwright:u5" -j DROP
-A FORWARD -i lw-f -o lw-f -m comment --comment "somebody else\'s" -j ACCEPT
)";

bool none_exists(const std::string& /*bridge*/) {
  return false;
}
bool all_exist(const std::string& /*bridge*/) {
  return true;
}

using Changes = std::vector<netfilter::ForwardChange>;
const ForwardRule a{"lw-a", "u1"};
const ForwardRule b{"lw-b", "u2"};

TEST(ForwardRules, OursAreRead) {
  EXPECT_EQ(netfilter::forward_rules_in(kListing), (std::vector<ForwardRule>{a, b}));
  EXPECT_TRUE(netfilter::forward_rules_in("").empty());
  EXPECT_TRUE(netfilter::forward_rules_in("-A FORWARD --comment\n-A\n\n").empty());
}

TEST(ForwardRules, WhatIsWrittenIsRead) {
  std::string line = "-A";
  for (const std::string& word : netfilter::arguments_of(a)) line += " " + word;
  EXPECT_EQ(netfilter::forward_rules_in(line), std::vector<ForwardRule>{a});
}

TEST(ForwardRules, NamesThatMeanMoreThanOneBridgeAreNotUsed) {
  for (const char* name : {"lw-a", "br0", "br_0.5"}) EXPECT_TRUE(netfilter::can_be_ruled(name)) << name;
  for (const char* name : {"br+", "!br", "b\"r", "b'r", "b\\r"})
    EXPECT_FALSE(netfilter::can_be_ruled(name)) << name;
}

TEST(ForwardRules, WhatIsMissingIsInserted) {
  EXPECT_EQ(netfilter::forward_changes({a, b}, {}, {a}, all_exist), (Changes{{true, b}}));
  EXPECT_EQ(netfilter::forward_changes({a, b}, {}, {b, a}, all_exist), Changes{});
}

TEST(ForwardRules, WhatIsNoLongerWantedGoes) {
  EXPECT_EQ(netfilter::forward_changes({a}, {"u2"}, {a, b}, all_exist), (Changes{{false, b}}));
  EXPECT_EQ(netfilter::forward_changes({a}, {}, {a, b}, none_exists), (Changes{{false, b}}))
      << "a kill left it";
  EXPECT_EQ(netfilter::forward_changes({a}, {}, {a, a}, all_exist), (Changes{{false, a}}))
      << "once is enough";
  const ForwardRule renamed{"lw-new", "u1"};
  EXPECT_EQ(netfilter::forward_changes({renamed}, {"u1"}, {a}, all_exist),
            (Changes{{false, a}, {true, renamed}}));
}

TEST(ForwardRules, AnotherAgentsAreLeftAlone) {
  EXPECT_EQ(netfilter::forward_changes({a}, {"u1"}, {a, b}, all_exist), Changes{});
}

// Its bridge may be about to come back.
TEST(ForwardRules, WhatIsWantedStaysWithoutItsBridge) {
  EXPECT_EQ(netfilter::forward_changes({a}, {"u1"}, {a}, none_exists), Changes{});
}

}  // namespace
}  // namespace lanwright
