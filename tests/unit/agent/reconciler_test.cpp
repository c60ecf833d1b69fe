#include "tests/support/agent_world.h"
#include "tests/support/builders.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <filesystem>
#include <future>
#include <thread>
#include <utility>

#include "reconcilers/drivers/registry.h"

namespace lanwright {
namespace {

using namespace std::chrono_literals;
using test::MemoryKernel;

Deadline soon() {
  return std::chrono::steady_clock::now() + 20s;
}

SetSpec lan_with_hosts(int hosts, const std::string& set = "default", const std::string& network = "lan") {
  SetSpec spec;
  spec.name = set;
  spec.networks[network].driver = "bridge";
  for (int i = 1; i <= hosts; ++i) {
    AttachmentSpec& attachment = spec.attachments[network + "-h" + std::to_string(i)];
    attachment.network = network;
    attachment.tap = TapEnd{};
  }
  return spec;
}

class EngineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory = std::filesystem::temp_directory_path() /
                ("lanwright-engine-" + std::to_string(getpid()) + "-" +
                 ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(directory);
    agent = std::make_unique<test::AgentWorld>(kernel, directory);
    agent->start_and_run();
  }
  void TearDown() override {
    agent.reset();
    std::filesystem::remove_all(directory);
  }
  Result<ApplyOutcome> apply(const SetSpec& set, bool dry_run = false) {
    ApplyRequest request;
    request.set = set;
    request.dry_run = dry_run;
    return agent->api().apply(request, soon());
  }
  void apply_and_wait(const SetSpec& set) {
    const auto outcome = apply(set);
    ASSERT_TRUE(outcome.ok()) << outcome.error().text();
    ASSERT_TRUE(agent->api().wait_converged(set.name, outcome->generation, soon()));
  }
  // Waits for the next event of this type about this object, from `after` on.
  Event await(const std::string& type, const ResourceId& id, std::uint64_t after = 0) {
    const Deadline deadline = soon();
    for (;;) {
      const auto events = agent->api().events_after(after, 100, deadline);
      if (events.empty()) {
        ADD_FAILURE() << "no " << type << " of " << id.text();
        return {};
      }
      for (const Event& event : events) {
        if (event.type == type && event.object == id) return event;
        after = event.id;
      }
    }
  }
  ObjectStatus status_of(const ResourceId& id) {
    const auto snapshot = agent->api().snapshot(soon());
    EXPECT_TRUE(snapshot.ok());
    for (const auto& object : (*snapshot)->objects) {
      if (object->id == id) return object->status;
    }
    ADD_FAILURE() << "there is no " << id.text();
    return {};
  }
  // Somebody changes it back as often as it is repaired.
  Event contest_host() {
    const auto change = [this] {
      agent->kernel([](MemoryKernel& k) {
        k.change({"", "lw-lan-h1"}, [](LinkFact& fact) { fact.mtu = 1300; });
      });
    };
    std::uint64_t after = 0;
    for (int i = 0; i < 5; ++i) {
      change();
      after = await("Repaired", host, after).id;
    }
    change();
    return await("Contested", host, after);
  }
  std::uint64_t writes() {
    std::uint64_t count = 0;
    agent->kernel([&](MemoryKernel& k) { count = k.writes(); });
    return count;
  }

  const ResourceId lan{Kind::network, "lan"};
  const ResourceId host{Kind::attachment, "lan-h1"};
  std::filesystem::path directory;
  MemoryKernel kernel;
  std::unique_ptr<test::AgentWorld> agent;
};

TEST_F(EngineTest, AppliesAndSettles) {
  apply_and_wait(lan_with_hosts(3));
  EXPECT_EQ(status_of(lan).phase, Phase::ready);
  const auto difference = agent->api().difference(std::nullopt, soon());
  ASSERT_TRUE(difference.ok());
  EXPECT_TRUE(difference->empty());
}

// At whatever step who asked for it has gone, and whoever waits for his turn behind it.
TEST_F(EngineTest, ADryRunThatNobodyWaitsForIsGivenUpAtEachStep) {
  constexpr int kHosts = 20;
  apply_and_wait(lan_with_hosts(3));
  ApplyRequest request;
  request.set = lan_with_hosts(kHosts);
  request.dry_run = true;
  int steps = 0;
  for (bool done = false; !done; ++steps) {
    int asked = 0;
    const auto outcome = agent->api().apply(request, soon(), [&] { return asked++ >= steps; });
    done = outcome.ok();
    if (done) continue;
    EXPECT_EQ(outcome.error().kind, ErrorKind::timeout);
    EXPECT_NE(outcome.error().text().find("has gone"), std::string::npos) << outcome.error().text();
    EXPECT_LE(asked, steps + 4) << "it goes on";
  }
  EXPECT_GT(steps, 3 * kHosts) << "declaring, checking and planning each of them";

  int asked = 0;
  const auto gone = [&] { return ++asked > 2; };
  EXPECT_EQ(agent->api().difference(std::nullopt, soon(), gone).error().kind, ErrorKind::timeout);
  const auto difference = agent->api().difference(std::nullopt, soon());
  ASSERT_TRUE(difference.ok()) << "the next one has its turn";
  EXPECT_TRUE(difference->empty()) << "nothing of it is left";
}

TEST_F(EngineTest, WhoWaitsForHisTurnAndGoesIsDropped) {
  apply_and_wait(lan_with_hosts(1));
  std::promise<void> begun;
  std::promise<void> end;
  auto is_to_end = end.get_future();
  std::jthread first([&] {
    bool has_begun = false;
    const auto abandoned = [&] {
      if (!std::exchange(has_begun, true)) {
        begun.set_value();
        is_to_end.wait();
      }
      return true;
    };
    EXPECT_FALSE(agent->api().difference(std::nullopt, soon(), abandoned).ok());
  });
  begun.get_future().wait();
  const auto dropped = agent->api().difference(std::nullopt, soon(), [] { return true; });
  end.set_value();
  ASSERT_FALSE(dropped.ok());
  EXPECT_NE(dropped.error().text().find("has gone"), std::string::npos) << dropped.error().text();
}

TEST_F(EngineTest, ASecondApplyWritesNothing) {
  apply_and_wait(lan_with_hosts(3));
  const auto before = writes();
  const auto again = apply(lan_with_hosts(3));
  ASSERT_TRUE(again.ok());
  for (const auto& object : again->objects) EXPECT_EQ(object.result, "unchanged");
  EXPECT_TRUE(again->plan.empty());
  EXPECT_EQ(writes(), before);
}

TEST_F(EngineTest, DryRunShowsWhatApplyDoesAndChangesNothing) {
  const auto tried = apply(lan_with_hosts(2), true);
  ASSERT_TRUE(tried.ok());
  EXPECT_EQ(tried->plan.actions.size(), 3U);
  EXPECT_EQ(writes(), 0U);
  EXPECT_TRUE((*agent->api().snapshot(soon()))->objects.empty());
}

TEST_F(EngineTest, RepairsDriftAndTellsBothEvents) {
  apply_and_wait(lan_with_hosts(1));
  agent->kernel([](MemoryKernel& k) { k.delete_link({"", "lw-lan"}); });
  const Event seen = await("DriftSeen", lan);
  EXPECT_NE(seen.message.find("missing"), std::string::npos);
  await("Repaired", lan, seen.id);
  await("Repaired", host, seen.id);
  agent->kernel([](MemoryKernel& k) {
    const auto* bridge = k.real().find(LinkName{"", "lw-lan"});
    ASSERT_NE(bridge, nullptr);
    EXPECT_EQ(k.real().find(LinkName{"", "lw-lan-h1"})->master, bridge->ifindex);
  });
}

TEST_F(EngineTest, AFailingObjectIsRetriedAndHoldsUpOnlyItself) {
  agent->kernel([](MemoryKernel& k) {
    k.fail_once("lw-lan-h1", error_from_errno(EOPNOTSUPP, "create link", "lw-lan-h1", "Unknown device type"));
  });
  const auto outcome = apply(lan_with_hosts(2));
  ASSERT_TRUE(outcome.ok());
  const Event failure = await("Failed", host);
  EXPECT_NE(failure.message.find("Unknown device type"), std::string::npos);
  EXPECT_TRUE(agent->api().wait_converged("default", outcome->generation, soon()));
  EXPECT_EQ(status_of(host).phase, Phase::ready);
  ASSERT_TRUE(status_of(host).last_error);
  EXPECT_EQ(status_of(host).last_error->kind, ErrorKind::unsupported);
}

// Each refusal says which one it is, so that each is news and told by an event.
MemoryKernel::Refusal counted_refusal(const std::string& link) {
  return [link, count = 0]() mutable {
    return error_from_errno(EOPNOTSUPP, "create link", link, "refusal " + std::to_string(++count));
  };
}

TEST_F(EngineTest, TheTimeToTheNextTryDoublesFromFailureToFailure) {
  agent->kernel([](MemoryKernel& k) { k.refuse("lw-lan-h1", counted_refusal("lw-lan-h1")); });
  const auto outcome = apply(lan_with_hosts(1));
  ASSERT_TRUE(outcome.ok());
  std::uint64_t after = 0;
  auto longest = 100ms;
  for (int failure = 1; failure <= 5; ++failure, longest *= 2) {
    const Event told = await("Failed", host, after);
    after = told.id;
    const ObjectStatus status = status_of(host);
    ASSERT_EQ(status.phase, Phase::retrying);
    ASSERT_TRUE(status.next_try);
    ASSERT_NE(told.message.find("refusal " + std::to_string(failure)), std::string::npos) << told.message;
    if (failure < 3 && status.message != told.message) continue;  // the first waits are short: it went on
    ASSERT_EQ(status.message, told.message);
    const auto wait = *status.next_try - told.time;
    EXPECT_LE(wait, longest + 1ms) << "after failure " << failure;
    EXPECT_GT(wait, longest / 4) << "after failure " << failure;  // half of it, less what telling takes
  }
  agent->kernel([](MemoryKernel& k) { k.refuse("lw-lan-h1", {}); });
  EXPECT_TRUE(agent->api().wait_converged("default", outcome->generation, soon()));
  EXPECT_EQ(status_of(host).phase, Phase::ready);
  EXPECT_FALSE(status_of(host).next_try);
}

TEST_F(EngineTest, WhatFailsTogetherIsNotTriedAgainTogether) {
  constexpr int kHosts = 20;
  agent->kernel([](MemoryKernel& k) {
    for (int i = 1; i <= kHosts; ++i) {
      const std::string link = "lw-lan-h" + std::to_string(i);
      k.refuse(link, counted_refusal(link));
    }
  });
  ASSERT_TRUE(apply(lan_with_hosts(kHosts)).ok());
  const auto moments_of = [&](int failure) {
    std::vector<WallTime> moments;
    for (int i = 1; i <= kHosts; ++i) {
      const ResourceId id{Kind::attachment, "lan-h" + std::to_string(i)};
      Event told;
      do {
        told = await("Failed", id, told.id);
      } while (told.id != 0 && told.message.find("refusal " + std::to_string(failure)) == std::string::npos);
      moments.push_back(told.time);
    }
    std::sort(moments.begin(), moments.end());
    return moments;
  };
  const auto first = moments_of(1);
  const auto third = moments_of(3);
  EXPECT_GT(third.back() - third.front(), first.back() - first.front() + 25ms);
}

TEST_F(EngineTest, RemovesWhatASetNoLongerDeclares) {
  apply_and_wait(lan_with_hosts(3));
  apply_and_wait(lan_with_hosts(1));
  agent->kernel([](MemoryKernel& k) { EXPECT_EQ(k.real().find("")->links().size(), 3U); });
  DeleteRequest request;
  request.set = "default";
  ASSERT_TRUE(agent->api().remove(request, soon()).ok());
  ASSERT_TRUE(agent->api().wait_converged("default", 0, soon()));
  agent->kernel([](MemoryKernel& k) { EXPECT_EQ(k.real().find("")->links().size(), 1U); });
  EXPECT_TRUE((*agent->api().snapshot(soon()))->objects.empty());
}

TEST_F(EngineTest, WhatIsInUseIsNotDeleted) {
  apply_and_wait(lan_with_hosts(1));
  DeleteRequest request;
  request.object = lan;
  const auto refused = agent->api().remove(request, soon());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
  EXPECT_NE(refused.error().text().find("attachment lan-h1"), std::string::npos);
}

TEST_F(EngineTest, AnObjectOfAnotherSetIsNeverTouched) {
  apply_and_wait(lan_with_hosts(1, "mine"));
  const auto refused = apply(lan_with_hosts(1, "yours"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
  EXPECT_NE(refused.error().text().find("set mine"), std::string::npos);
}

TEST_F(EngineTest, AMovedGenerationIsAConflict) {
  apply_and_wait(lan_with_hosts(1));
  ApplyRequest request;
  request.set = lan_with_hosts(2);
  request.if_generation = 99;
  const auto refused = agent->api().apply(request, soon());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
}

TEST_F(EngineTest, ARestartFindsEverythingAndWritesNothing) {
  apply_and_wait(lan_with_hosts(5));
  const auto before = writes();
  agent.reset();
  agent = std::make_unique<test::AgentWorld>(kernel, directory);
  agent->start_and_run();
  ASSERT_TRUE(agent->api().wait_converged("default", 0, soon()));
  EXPECT_EQ(writes(), before);
  EXPECT_EQ((*agent->api().snapshot(soon()))->objects.size(), 6U);
}

TEST_F(EngineTest, WhatWasDeletedWhileTheAgentWasAwayIsRemovedOnReturn) {
  apply_and_wait(lan_with_hosts(1));
  agent->kernel(
      [](MemoryKernel& k) { k.fail_once("lw-lan", error_from_errno(EBUSY, "remove link", "lw-lan")); });
  DeleteRequest request;
  request.set = "default";
  ASSERT_TRUE(agent->api().remove(request, soon()).ok());
  await("Failed", lan);
  agent.reset();
  agent = std::make_unique<test::AgentWorld>(kernel, directory);
  agent->start_and_run();
  ASSERT_TRUE(agent->api().wait_converged(std::nullopt, 0, soon()));
  agent->kernel([](MemoryKernel& k) { EXPECT_EQ(k.real().find("")->links().size(), 1U); });
}

TEST_F(EngineTest, TwoWritersFightingBecomeContested) {
  apply_and_wait(lan_with_hosts(1));
  const Event contested = contest_host();
  EXPECT_NE(contested.message.find("mtu"), std::string::npos);
  EXPECT_EQ(status_of(host).phase, Phase::contested);
  await("Repaired", host, contested.id);
}

// Whoever it was contested by may have been declared otherwise now.
TEST_F(EngineTest, ACorrectedDeclarationEndsAContest) {
  SetSpec set = lan_with_hosts(1);
  apply_and_wait(set);
  contest_host();
  set.networks["lan"].settings["stp"] = true;
  const auto before = std::chrono::steady_clock::now();
  apply_and_wait(set);
  EXPECT_EQ(status_of(host).phase, Phase::ready);
  EXPECT_LT(std::chrono::steady_clock::now() - before, 8s) << "as if nobody had said anything else";
}

TEST_F(EngineTest, APlanOfWhatIsStoredSaysWhyItIsNotSo) {
  agent->kernel([](MemoryKernel& k) { k.add_link("", test::foreign_link("lw-lan", "bridge")); });
  ASSERT_TRUE(apply(lan_with_hosts(0)).ok());
  await("Conflict", lan);
  const auto planned = apply(lan_with_hosts(0), true);
  ASSERT_TRUE(planned.ok());
  ASSERT_EQ(planned->plan.blocked.size(), 1U);
  EXPECT_EQ(planned->plan.blocked.front().object, lan);
}

TEST_F(EngineTest, ManyCallersAtOnce) {
  std::atomic<int> failures = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&, i] {
      const std::string set = "set" + std::to_string(i);
      for (int round = 0; round < 10; ++round) {
        const auto outcome = apply(lan_with_hosts(1 + round % 3, set, "net" + std::to_string(i)));
        if (!outcome) ++failures;
        if (!agent->api().snapshot(soon())) ++failures;
        agent->api().recent_events(10);
        if (!agent->api().wait_converged(set, 0, soon())) ++failures;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(failures, 0);
  EXPECT_TRUE(agent->api().wait_converged(std::nullopt, 0, soon()));
  EXPECT_EQ((*agent->api().snapshot(soon()))->objects.size(), 8U);
}

TEST_F(EngineTest, StoppingEndsAWait) {
  agent->kernel([](MemoryKernel& k) {
    for (int i = 0; i < 1; ++i) k.fail_once("lw-lan", error_from_errno(EOPNOTSUPP, "create link", "lw-lan"));
  });
  SetSpec waiting = lan_with_hosts(0);
  AttachmentSpec& absent = waiting.attachments["absent"];
  absent.network = "lan";
  absent.netns = "nowhere";
  absent.interface = "eth0";
  ASSERT_TRUE(apply(waiting).ok());
  auto waiter =
      std::async(std::launch::async, [&] { return agent->api().wait_converged("default", 0, soon() + 60s); });
  await("Pending", {Kind::attachment, "absent"});
  agent->on_loop([&] { agent->reconciler().stop(); });
  EXPECT_FALSE(waiter.get());
}

TEST_F(EngineTest, AChangedNetworkIsNoDriftOfItsAttachments) {
  SetSpec set = lan_with_hosts(2);
  apply_and_wait(set);
  set.networks["lan"].settings["flooding"] = std::string("hub");
  apply_and_wait(set);
  EXPECT_EQ(status_of(host).phase, Phase::ready);
  EXPECT_EQ(status_of(host).repairs, 0U);
  for (const Event& event : agent->api().recent_events(1000))
    EXPECT_NE(event.type, "DriftSeen") << event.message;
}

// ---- requests that come while the loop is at work

// Longer than the loop works before it looks at requests.
void use_up_the_turn() {
  std::this_thread::sleep_for(50ms);
}

// A request of somebody who does not wait for the answer: it is the next that the loop looks at.
void request_now(AgentApi& api, const SetSpec& set) {
  ApplyRequest request;
  request.set = set;
  EXPECT_FALSE(api.apply(request, std::chrono::steady_clock::now()).ok());
}

TEST_F(EngineTest, WhatIsDeclaredAgainWhileItIsRemovedIsNotForgotten) {
  SetSpec set = lan_with_hosts(1);
  set.networks["other"].driver = "bridge";
  apply_and_wait(set);
  std::atomic<int> requests = 0;
  agent->kernel([&](MemoryKernel& k) {
    k.before_action = [&](const Action& action) {
      // With the tap that goes, the other network gets something to do for the round in which the tap is seen
      // to be gone, and then takes so long that requests come first.
      if (std::holds_alternative<RemoveLink>(action.step))
        kernel.change({"", "lw-other"}, [](LinkFact& fact) { fact.mtu = 1300; });
      if (!std::holds_alternative<ChangeLink>(action.step) || requests.exchange(1) != 0) return;
      EXPECT_EQ(kernel.real().find(LinkName{"", "lw-lan-h1"}), nullptr) << "it is not removed yet";
      request_now(agent->api(), set);
      use_up_the_turn();
    };
  });
  SetSpec without = set;
  without.attachments.clear();
  ASSERT_TRUE(apply(without).ok());
  await("Repaired", {Kind::network, "other"});
  ASSERT_EQ(requests, 1);
  const auto kept = [&] {
    ASSERT_TRUE(agent->api().wait_converged("default", 0, soon()));
    EXPECT_EQ(status_of(host).phase, Phase::ready);
    agent->kernel([](MemoryKernel& k) {
      k.before_action = {};
      EXPECT_NE(k.real().find(LinkName{"", "lw-lan-h1"}), nullptr);
    });
    EXPECT_EQ((*agent->api().snapshot(soon()))->orphans, 0U);
  };
  kept();
  for (const Event& event : agent->api().recent_events(1000)) EXPECT_NE(event.type, "Removed");
  const auto before = writes();
  agent.reset();
  agent = std::make_unique<test::AgentWorld>(kernel, directory);
  agent->start_and_run();
  kept();
  EXPECT_EQ(writes(), before);
}

TEST_F(EngineTest, WhatCameBackAndGoesAgainIsNotForgottenBeforeItIsGone) {
  SetSpec set = lan_with_hosts(1);
  set.networks["other"].driver = "bridge";
  apply_and_wait(set);
  SetSpec without = set;
  without.attachments.clear();
  std::atomic<int> removals = 0;
  agent->kernel([&](MemoryKernel& k) {
    k.before_action = [&](const Action& action) {
      if (std::holds_alternative<RemoveLink>(action.step)) {
        if (++removals == 1)
          kernel.change({"", "lw-other"}, [](LinkFact& fact) { fact.mtu = 1300; });
        else if (removals == 2)
          kernel.fail_once("lw-lan-h1", error_from_errno(EBUSY, "remove link", "lw-lan-h1"));
        return;
      }
      if (removals != 1) return;
      const bool is_back = std::holds_alternative<CreateLink>(action.step);
      request_now(agent->api(), is_back ? without : set);
      use_up_the_turn();
    };
  });
  ASSERT_TRUE(apply(without).ok());
  const Event failure = await("Failed", host);
  EXPECT_NE(failure.message.find("remove link"), std::string::npos) << failure.message;
  await("Removed", host, failure.id);
  EXPECT_EQ(removals, 3);
  agent->kernel([](MemoryKernel& k) {
    k.before_action = {};
    EXPECT_EQ(k.real().find(LinkName{"", "lw-lan-h1"}), nullptr);
  });
  int told = 0;
  for (const Event& event : agent->api().recent_events(1000)) told += event.type == "Removed" ? 1 : 0;
  EXPECT_EQ(told, 1);
}

TEST_F(EngineTest, ManyRequestsInARowAreNoChangesThatDoNotHold) {
  constexpr int kRequests = 20;
  std::atomic<int> requests = 0;
  // Each request interrupts the plan of the one before when the first of its links is made: the tap, which
  // comes after all bridges, is planned every time and made at last.
  agent->kernel([&](MemoryKernel& k) {
    k.before_action = [&](const Action& action) {
      if (!std::holds_alternative<CreateLink>(action.step) || action.object.kind != Kind::network) return;
      if (requests == kRequests) return;
      const std::string name = "n" + std::to_string(++requests);
      request_now(agent->api(), lan_with_hosts(0, name, name));
      use_up_the_turn();
    };
  });
  apply_and_wait(lan_with_hosts(1));
  EXPECT_EQ(requests, kRequests);
  EXPECT_EQ(status_of(host).phase, Phase::ready);
  for (const Event& event : agent->api().recent_events(1000))
    EXPECT_NE(event.type, "Failed") << event.message;
}

// ---- parents made on demand, leased addresses, places left behind

SetSpec on_parent(const std::string& set, const std::string& network, const std::string& parent,
                  const std::vector<std::string>& namespaces = {}) {
  SetSpec spec;
  spec.name = set;
  NetworkSpec& lan = spec.networks[network];
  lan.driver = "macvlan";
  lan.parent = parent;
  lan.subnets.emplace_back();
  lan.subnets.back().cidr = *IpPrefix::parse(network == "a" ? "10.0.0.0/24" : "10.0.1.0/24");
  for (const std::string& netns : namespaces) {
    AttachmentSpec& attachment = spec.attachments[network + "-" + netns];
    attachment.network = network;
    attachment.netns = netns;
    attachment.interface = "eth0";
  }
  return spec;
}

class ParentEngineTest : public EngineTest {
 protected:
  void SetUp() override {
    LinkFact trunk;
    trunk.name = "eth0";
    trunk.up = true;
    trunk.mtu = 1500;
    kernel.add_link("", trunk);
    for (const char* netns : {"r1", "r2"}) kernel.add_namespace(std::string("/run/netns/") + netns);
    EngineTest::SetUp();
  }
  bool has_link(const LinkName& where) {
    bool found = false;
    agent->kernel([&](MemoryKernel& k) { found = k.real().find(where) != nullptr; });
    return found;
  }
  void remove_set(const std::string& name) {
    DeleteRequest request;
    request.set = name;
    ASSERT_TRUE(agent->api().remove(request, soon()).ok());
    ASSERT_TRUE(agent->api().wait_converged(std::nullopt, 0, soon()));
  }
  void restart() {
    agent.reset();
    agent = std::make_unique<test::AgentWorld>(kernel, directory);
    agent->start_and_run();
    ASSERT_TRUE(agent->api().wait_converged(std::nullopt, 0, soon()));
  }
  std::vector<IpPrefix> leases_of(const std::string& name) {
    for (const auto& object : (*agent->api().snapshot(soon()))->objects) {
      if (object->id == ResourceId{Kind::attachment, name}) return object->allocations;
    }
    return {};
  }
};

TEST_F(ParentEngineTest, AVlanLinkOnDemandIsSharedAndGoesWithTheLast) {
  apply_and_wait(on_parent("one", "a", "eth0.50", {"r1"}));
  EXPECT_TRUE(has_link({"", "eth0.50"}));
  apply_and_wait(on_parent("two", "b", "eth0.50"));
  remove_set("one");
  EXPECT_TRUE(has_link({"", "eth0.50"})) << "the other network stands on it";
  EXPECT_FALSE(has_link({"/run/netns/r1", "eth0"}));
  restart();
  EXPECT_TRUE(has_link({"", "eth0.50"}));
  remove_set("two");
  EXPECT_FALSE(has_link({"", "eth0.50"}));
  EXPECT_TRUE(has_link({"", "eth0"}));
  EXPECT_TRUE((*agent->api().snapshot(soon()))->objects.empty());
}

TEST_F(ParentEngineTest, AVlanLinkOnDemandMayBeDeclaredAndTakenBackWithoutAFlap) {
  apply_and_wait(on_parent("one", "a", "eth0.50"));
  const auto before = writes();
  SetSpec vlans;
  vlans.name = "vlans";
  vlans.vlans["eth0.50"] = *vlan_named("eth0.50");
  apply_and_wait(vlans);
  vlans.vlans.clear();
  apply_and_wait(vlans);
  EXPECT_TRUE(has_link({"", "eth0.50"}));
  EXPECT_EQ(writes(), before) << "it is the same link all the time";
  remove_set("one");
  EXPECT_FALSE(has_link({"", "eth0.50"}));
}

TEST_F(ParentEngineTest, LeasesOutliveARestartAndTheComingOfOthers) {
  apply_and_wait(on_parent("one", "a", "eth0", {"r2"}));
  const auto lease = leases_of("a-r2");
  ASSERT_EQ(lease.size(), 1U);
  restart();
  apply_and_wait(on_parent("one", "a", "eth0", {"r1", "r2"}));
  EXPECT_EQ(leases_of("a-r2"), lease);
  EXPECT_NE(leases_of("a-r1"), lease);
  agent->kernel([&](MemoryKernel& k) {
    const LinkFact* link = k.real().find(LinkName{"/run/netns/r2", "eth0"});
    ASSERT_NE(link, nullptr);
    ASSERT_EQ(link->addresses.size(), 1U);
    EXPECT_EQ(link->addresses.front().prefix, lease.front());
  });
}

TEST_F(ParentEngineTest, AnAttachmentThatMovesLeavesNothingBehindEvenOverARestart) {
  SetSpec set = on_parent("one", "a", "eth0", {"r1"});
  apply_and_wait(set);
  agent->kernel([](MemoryKernel& k) { k.fail_once("eth0", error_from_errno(EBUSY, "remove link", "eth0")); });
  set.attachments["a-r1"].netns = "r2";
  ASSERT_TRUE(apply(set).ok());
  restart();
  EXPECT_FALSE(has_link({"/run/netns/r1", "eth0"}));
  EXPECT_TRUE(has_link({"/run/netns/r2", "eth0"}));
}

TEST_F(ParentEngineTest, WhatCannotShareAParentIsRefusedAndNothingIsMade) {
  apply_and_wait(on_parent("one", "a", "eth0"));
  SetSpec other = on_parent("two", "b", "eth0", {"r1"});
  other.networks["b"].driver = "ipvlan";
  const auto refused = apply(other);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().text().find("network a"), std::string::npos) << refused.error().text();
  EXPECT_FALSE(has_link({"/run/netns/r1", "eth0"}));
  EXPECT_EQ((*agent->api().snapshot(soon()))->objects.size(), 1U);
}

NetworkSpec bridge_on(const std::vector<std::string>& uplinks) {
  NetworkSpec spec;
  spec.driver = "bridge";
  for (const std::string& uplink : uplinks) spec.uplinks.push_back({uplink, std::nullopt, {}});
  return spec;
}

TEST_F(ParentEngineTest, AnUplinkMovesBetweenNetworksInOneRequest) {
  SetSpec set;
  set.name = "default";
  const auto master_is = [&](const std::string& network) {
    agent->kernel([&](MemoryKernel& k) {
      const LinkFact* bridge = k.real().find(LinkName{"", drivers::link_name(network)});
      ASSERT_NE(bridge, nullptr);
      EXPECT_EQ(k.real().find(LinkName{"", "eth0"})->master, bridge->ifindex) << network;
    });
  };
  const auto plug_into = [&](const std::string& network) {
    for (auto& [name, spec] : set.networks) spec.uplinks.clear();
    set.networks[network] = bridge_on({"eth0"});
    const auto outcome = apply(set);
    ASSERT_TRUE(outcome.ok()) << outcome.error().text();
    for (const Blocked& block : outcome->plan.blocked) ADD_FAILURE() << block.why.text();
    ASSERT_TRUE(agent->api().wait_converged(set.name, outcome->generation, soon()));
    master_is(network);
  };
  plug_into("b");
  plug_into("c");  // one that is new, and looked at later
  plug_into("a");  // one that is new, and looked at first
  plug_into("b");
  plug_into("a");
  set.networks.erase("a");  // one that goes
  plug_into("c");
  for (const Event& event : agent->api().recent_events(1000)) {
    EXPECT_NE(event.type, "Conflict") << event.message;
    EXPECT_NE(event.type, "Failed") << event.message;
    EXPECT_NE(event.type, "DriftSeen") << event.message;
  }
}

TEST_F(ParentEngineTest, DescribeShowsTheUplinksOfANetwork) {
  SetSpec set;
  set.name = "default";
  set.networks["lan"] = bridge_on({"eth0", "absent"});
  ASSERT_TRUE(apply(set).ok());
  await("Pending", lan);
  const auto told = agent->api().describe(lan, soon());
  ASSERT_TRUE(told.ok());
  ASSERT_EQ(told->links.size(), 3U);
  const LinkReport& eth0 = told->links[1];
  ASSERT_TRUE(eth0.found);
  EXPECT_EQ(eth0.found->name, "eth0");
  EXPECT_EQ(eth0.master, "lw-lan");
  EXPECT_EQ(told->links[2].wanted.at.name, "absent");
  EXPECT_FALSE(told->links[2].found);
  EXPECT_EQ(told->ports, std::vector<std::string>{"eth0"});
}

// What the kernel tells of a link by one of its names concerns those who know it by another.
TEST_F(ParentEngineTest, AnUplinkMayBeDeclaredByItsAlternativeName) {
  agent->kernel([](MemoryKernel& k) {
    k.change({"", "eth0"}, [](LinkFact& fact) { fact.altnames = {"enp1s0"}; });
  });
  SetSpec set;
  set.name = "default";
  set.networks["lan"] = bridge_on({"enp1s0"});
  apply_and_wait(set);
  agent->kernel([](MemoryKernel& k) {
    k.change({"", "eth0"}, [](LinkFact& fact) {
      fact.master = 0;
      fact.port_kind.clear();
    });
  });
  await("Repaired", lan);
  agent->kernel([](MemoryKernel& k) { k.delete_link({"", "eth0"}); });
  await("Pending", lan);
  LinkFact again;
  again.name = "eth7";
  again.mtu = 1500;
  again.altnames = {"enp1s0"};
  agent->kernel([&](MemoryKernel& k) { k.add_link("", again); });
  ASSERT_TRUE(agent->api().wait_converged("default", 0, soon()));
  set.networks["lan"].uplinks.clear();
  apply_and_wait(set);
  agent->kernel([](MemoryKernel& k) {
    EXPECT_EQ(k.real().find(LinkName{"", "eth7"})->master, 0) << "given back";
  });
}

// Who does that is looked for when people are told of it, and not else.
TEST_F(ParentEngineTest, WhatTakesAnUplinkAwayIsNamedWithItsRemedy) {
  std::atomic<int> asked = 0;
  agent->on_loop([&] {
    agent->reconciler().remedy_for_uplink = [&](const std::string& link, int ifindex) {
      ++asked;
      return link + (ifindex > 0 ? " is networkd's" : " is nowhere");
    };
  });
  SetSpec set = lan_with_hosts(1);
  set.networks["lan"] = bridge_on({"eth0"});
  apply_and_wait(set);
  EXPECT_EQ(asked, 0);
  const auto take = [&](const std::string& name) {
    agent->kernel([&](MemoryKernel& k) { k.change({"", name}, [](LinkFact& fact) { fact.master = 0; }); });
  };
  std::uint64_t after = 0;
  for (int i = 0; i < 5; ++i) {
    take("eth0");
    const Event seen = await("DriftSeen", lan, after);
    EXPECT_NE(seen.message.find("; eth0 is networkd's"), std::string::npos) << seen.message;
    after = await("Repaired", lan, after).id;
  }
  EXPECT_EQ(asked, 5);
  take("eth0");
  EXPECT_NE(await("Contested", lan, after).message.find("; eth0 is networkd's"), std::string::npos);
  const std::string message = status_of(lan).message;
  EXPECT_NE(message.find("; eth0 is networkd's"), std::string::npos) << message;
  EXPECT_EQ(message.find("is networkd's"), message.rfind("is networkd's")) << message;

  take("lw-lan-h1");  // one of ours
  const Event own = await("DriftSeen", host);
  EXPECT_EQ(own.message.find("networkd"), std::string::npos) << own.message;
  EXPECT_EQ(asked, 6);
}

// ---- networks that are carried by a switch

SetSpec switched_lan(int hosts) {
  SetSpec spec = lan_with_hosts(hosts);
  spec.networks["lan"].driver = "vde";
  return spec;
}

TEST_F(EngineTest, StartAndStopAreEvents) {
  agent.reset();
  agent = std::make_unique<test::AgentWorld>(kernel, directory);
  agent->start_and_run();
  std::vector<std::string> types;
  for (const Event& event : agent->api().recent_events(1000)) types.push_back(event.type);
  EXPECT_EQ(types, (std::vector<std::string>{"Started", "Stopping", "Started"}));
}

// ---- adoption

class AdoptionTest : public EngineTest {
 protected:
  static SetSpec with_uplink() {
    SetSpec set;
    set.name = "default";
    set.networks["lan"].driver = "bridge";
    set.networks["lan"].uplinks.emplace_back().interface = "up0";
    return set;
  }
  void adopt(const SetSpec& set) {
    ApplyRequest request;
    request.set = set;
    request.adopt = true;
    const auto outcome = agent->api().apply(request, soon());
    ASSERT_TRUE(outcome.ok()) << outcome.error().text();
  }
  void restart() {
    agent.reset();
    agent = std::make_unique<test::AgentWorld>(kernel, directory);
    agent->start_and_run();
  }
  // A port of somebody else's bridge, under the name of the uplink.
  void foreign_port_appears() {
    agent->kernel([](MemoryKernel& k) {
      LinkFact bridge;
      bridge.name = "br-foreign";
      bridge.kind = "bridge";
      const int master = k.add_link("", bridge);
      LinkFact port;
      port.name = "up0";
      port.up = port.lower_up = true;
      port.mtu = 1500;
      port.master = master;
      k.add_link("", port);
    });
  }
  bool may_adopt() {
    return agent->on_loop([this] {
      auto objects = agent->store().objects();
      return std::any_of(objects->begin(), objects->end(), [](const auto& object) { return object.adopt; });
    });
  }
};

TEST_F(AdoptionTest, OutlivesARestartUntilThereIsWhatItTakesOver) {
  std::uint64_t seen = 0;
  for (const bool restarted : {false, true}) {
    SCOPED_TRACE(restarted ? "restarted" : "not restarted");
    adopt(with_uplink());
    seen = await("Pending", lan, seen).id;
    if (restarted) restart();
    foreign_port_appears();
    seen = await("Ready", lan, seen).id;
    agent->kernel([](MemoryKernel& k) {
      EXPECT_EQ(k.real().find(LinkName{"", "up0"})->master, k.real().find(LinkName{"", "lw-lan"})->ifindex);
    });
    DeleteRequest request;
    request.set = "default";
    ASSERT_TRUE(agent->api().remove(request, soon()).ok());
    ASSERT_TRUE(agent->api().wait_converged(std::nullopt, 0, soon()));
    agent->kernel([](MemoryKernel& k) {
      k.delete_link({"", "up0"});
      k.delete_link({"", "br-foreign"});
    });
  }
}

TEST_F(AdoptionTest, IsOverOnceItHasHappened) {
  foreign_port_appears();
  adopt(with_uplink());
  ASSERT_TRUE(agent->api().wait_converged("default", 0, soon()));
  EXPECT_EQ(status_of(lan).phase, Phase::ready);
  EXPECT_FALSE(may_adopt());
  restart();
  ASSERT_TRUE(agent->api().wait_converged("default", 0, soon()));
  EXPECT_FALSE(may_adopt());
}

TEST_F(AdoptionTest, WithoutItTheForeignPortIsAConflict) {
  ASSERT_TRUE(apply(with_uplink()).ok());
  await("Pending", lan);
  restart();
  foreign_port_appears();
  await("Conflict", lan);
}

// ---- who asks for what the loop does not answer

TEST_F(EngineTest, ALoopThatMakesNoProgressIsNotAlive) {
  agent.reset();
  service::AgentService::Options options;
  options.stalled_after = 10ms;
  agent = std::make_unique<test::AgentWorld>(kernel, directory, options);
  agent->start_and_run();
  ASSERT_TRUE((*agent->api().snapshot(soon()))->live);
  std::promise<void> end;
  boost::asio::post(agent->io(), [&] { end.get_future().wait(); });
  const auto held_up = agent->api().snapshot(std::chrono::steady_clock::now() + 50ms);
  end.set_value();
  ASSERT_TRUE(held_up.ok()) << held_up.error().text();
  EXPECT_FALSE((*held_up)->live);
  EXPECT_TRUE((*agent->api().snapshot(soon()))->live);
}

// A VLAN link that networks name is nobody's; who declares it while it is not ready yet waits for it alone.
TEST_F(EngineTest, AnObjectThatComesToASetIsCountedThere) {
  SetSpec networks;
  networks.name = "networks";
  networks.networks["office"].driver = "macvlan";
  networks.networks["office"].parent = "eth7.50";
  ASSERT_TRUE(apply(networks).ok());
  const ResourceId vlan{Kind::vlan, "eth7.50"};
  await("Pending", vlan);
  SetSpec vlans;
  vlans.name = "vlans";
  vlans.vlans["eth7.50"].parent = "eth7";
  vlans.vlans["eth7.50"].id = 50;
  const auto outcome = apply(vlans);
  ASSERT_TRUE(outcome.ok()) << outcome.error().text();
  EXPECT_FALSE(
      agent->api().wait_converged("vlans", outcome->generation, std::chrono::steady_clock::now() + 20ms));
  agent->kernel([](MemoryKernel& k) {
    LinkFact parent;
    parent.name = "eth7";
    parent.up = parent.lower_up = true;
    parent.mtu = 1500;
    k.add_link("", parent);
  });
  EXPECT_TRUE(agent->api().wait_converged("vlans", outcome->generation, soon()));
  EXPECT_TRUE(agent->api().wait_converged("networks", 0, soon()));
}

class SwitchEngineTest : public EngineTest {
 protected:
  SwitchFact fact() {
    const auto found = agent->api().switches(soon());
    EXPECT_TRUE(found.ok());
    SwitchFact fact;
    if (!found || found->empty()) return fact;
    fact.pid = found->front().pid;
    fact.plug_pid = found->front().plug_pid;
    return fact;
  }
};

TEST_F(SwitchEngineTest, RunsItAndPlugsIn) {
  apply_and_wait(switched_lan(2));
  EXPECT_NE(fact().pid, 0);
  const auto difference = agent->api().difference(std::nullopt, soon());
  EXPECT_TRUE(difference->empty());
  const auto again = apply(switched_lan(2));
  EXPECT_TRUE(again->plan.empty());
}

TEST_F(SwitchEngineTest, ASwitchThatDiedIsStartedAgain) {
  apply_and_wait(switched_lan(2));
  const SwitchFact before = fact();
  agent->switches([](test::MemorySwitches& switches) { switches.kill("lan"); });
  const Event seen = await("DriftSeen", lan);
  EXPECT_NE(seen.message.find("does not run"), std::string::npos) << seen.message;
  await("Repaired", lan, seen.id);
  EXPECT_NE(fact().pid, before.pid);
  EXPECT_EQ(fact().plug_pid, before.plug_pid);
}

TEST_F(SwitchEngineTest, WhatIsPluggedInWaitsForItsSwitch) {
  agent->switches([](test::MemorySwitches& switches) {
    switches.fail_next(
        {ErrorKind::unsupported, "run switch", "lan", 2, "vde_switch is not installed", "install it"});
  });
  const auto outcome = apply(switched_lan(1));
  ASSERT_TRUE(outcome.ok()) << outcome.error().text();
  const Event failed = await("Failed", lan);
  EXPECT_NE(failed.message.find("not installed"), std::string::npos) << failed.message;
  ASSERT_TRUE(agent->api().wait_converged("default", outcome->generation, soon()));
  EXPECT_EQ(status_of(host).phase, Phase::ready);
}

TEST_F(SwitchEngineTest, OneThatTakesItsTimeToStartHoldsUpNobodyElse) {
  agent->switches([](test::MemorySwitches& switches) { switches.hold("lan"); });
  ASSERT_TRUE(apply(switched_lan(1)).ok());
  apply_and_wait(lan_with_hosts(1, "others", "other"));
  for (const ResourceId& waiting : {lan, host}) {
    EXPECT_EQ(status_of(waiting).phase, Phase::applying) << waiting.text();
    EXPECT_NE(status_of(waiting).message.find("does not answer yet"), std::string::npos) << waiting.text();
  }
  agent->switches([](test::MemorySwitches& switches) { switches.come_up("lan"); });
  EXPECT_TRUE(agent->api().wait_converged(std::nullopt, 0, soon()));
  EXPECT_EQ(status_of(lan).phase, Phase::ready);
  EXPECT_EQ(status_of(host).phase, Phase::ready);
  for (const Event& event : agent->api().recent_events(100)) EXPECT_NE(event.type, "Failed") << event.message;
}

TEST_F(SwitchEngineTest, OtherSettingsStartItAnew) {
  apply_and_wait(switched_lan(1));
  const SwitchFact before = fact();
  SetSpec changed = switched_lan(1);
  changed.networks["lan"].settings["hub"] = false;
  const auto tried = apply(changed, true);
  ASSERT_TRUE(tried.ok()) << tried.error().text();
  const Action& first = tried->plan.actions.front();
  EXPECT_EQ(first.disruption, Disruption::flap) << first.text() << ": " << first.reason;
  apply_and_wait(changed);
  EXPECT_NE(fact().pid, before.pid);
  EXPECT_NE(fact().plug_pid, before.plug_pid);
}

TEST_F(SwitchEngineTest, NothingIsLeftOfIt) {
  apply_and_wait(switched_lan(2));
  DeleteRequest request;
  request.set = "default";
  const auto removed = agent->api().remove(request, soon());
  ASSERT_TRUE(removed.ok()) << removed.error().text();
  ASSERT_TRUE(agent->api().wait_converged("default", removed->generation, soon()));
  EXPECT_TRUE(agent->api().switches(soon())->empty());
}

}  // namespace
}  // namespace lanwright
