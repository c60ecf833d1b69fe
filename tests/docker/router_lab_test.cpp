// A lab whose routers run FRR, as labs about routing do: OSPF finds its neighbours over our LANs, and what is
// killed below it, it does not notice.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "tests/docker/host.h"
#include "tests/docker/kathara.h"
#include "tests/docker/pid_namespace.h"
#include "tests/integration/traffic.h"

namespace lanwright::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kZebra = "/usr/lib/frr/zebra";
constexpr const char* kOspfd = "/usr/lib/frr/ospfd";
constexpr const char* kVtysh = "/usr/bin/vtysh";
constexpr const char* kLog = "/var/tmp/frr/ospfd.log";

// The module of PAM that asks nothing.
fs::path pam_permit() {
  for (const auto& entry : fs::directory_iterator("/usr/lib")) {
    const fs::path module = entry.path() / "security" / "pam_permit.so";
    if (fs::exists(module)) return module;
  }
  throw HarnessError("there is no pam_permit.so in /usr/lib/*/security");
}

// FRR runs as a user of its own, and vtysh asks PAM who may ask.
Image frr() {
  const std::string permit = pam_permit();
  return {.name = "frr",
          .programs = {kZebra, kOspfd, kVtysh, permit},
          .files = {{"/etc/passwd", "root:x:0:0::/root:/bin/sh\nfrr:x:100:100::/:/bin/false\n"},
                    {"/etc/group", "root:x:0:\nfrr:x:100:\nfrrvty:x:101:frr\n"},
                    {"/etc/pam.d/frr", "auth sufficient " + permit + "\naccount sufficient " + permit + "\n"},
                    {"/etc/frr/vtysh.conf", ""}}};
}

// A neighbour is dead that was not heard for four seconds.
std::string ospf_on(const std::string& interface) {
  return "interface " + interface +
         "\n ip ospf hello-interval 1\n ip ospf dead-interval 4\n ip ospf retransmit-interval 1\n";
}

// On its two LANs it is 10.NET.0.NUMBER. It says at once what is new, and believes at once.
LabDevice router(const std::string& number, const Words& lans, const Words& nets) {
  const std::string config = "log file " + std::string(kLog) + "\n" + ospf_on("eth0") + ospf_on("eth1") +
                             "router ospf\n ospf router-id 10.0.0." + number +
                             "\n log-adjacency-changes detail\n network 10.0.0.0/8 area 0\n"
                             " timers throttle lsa all 0\n timers lsa min-arrival 0\n";
  std::string startup;
  for (std::size_t i = 0; i < nets.size(); ++i)
    startup += "ip addr add 10." + nets[i] + ".0." + number + "/24 dev eth" + std::to_string(i) + "\n";
  startup += "mkdir -p /var/run/frr /var/tmp/frr\nchown frr /var/run/frr /var/tmp/frr\n";
  startup += "cat >/etc/frr/ospfd.conf <<END\n" + config + "END\n";
  startup += std::string(kZebra) + " -d -f /dev/null\n" + kOspfd + " -d -f /etc/frr/ospfd.conf\n";
  return {"r" + number, lans, startup, "frr"};
}

LabDevice host(const std::string& name, const std::string& lan, const std::string& net,
               const std::string& router) {
  return {name,
          {lan},
          "ip addr add 10." + net + ".0.9/24 dev eth0; ip route add default via 10." + net + ".0." + router};
}

// pc1 -A- r1 -B- r2 -C- r3 -D- pc2, where only OSPF knows the way from A to D.
Lab routers() {
  return {{host("pc1", "A", "1", "1"), host("pc2", "D", "4", "3"), router("1", {"A", "B"}, {"1", "2"}),
           router("2", {"B", "C"}, {"2", "3"}), router("3", {"C", "D"}, {"3", "4"})}};
}

class RouterLab : public testing::Test {
 protected:
  // Time until a neighbour is dead, by router and its neighbour's id.
  using DeadTimes = std::map<std::string, int>;

  void SetUp() override {
    if (tests_dockers_own()) GTEST_SKIP() << "Docker's own have no VDE";
    host_.docker().import_image(frr());
    kathara_.emplace(host_.docker(), driver("vde"), routers());
    before_ = host_.inventory();
    kathara_->lstart();
  }

  std::string netns(const std::string& device) const { return kathara_->netns_of(device); }
  // A client of Docker's for each question would keep the processors from the traffic.
  std::string run_in(const std::string& router, const Words& arguments) const {
    const Json state = host_.docker().inspect(Kathara::container_name(router)).at("State");
    Words command{"nsenter", "--target", std::to_string(state.at("Pid").get<pid_t>()), "--mount", "--net"};
    std::ranges::copy(arguments, std::back_inserter(command));
    const Finished result = run(command);
    if (!result.ok()) throw HarnessError(router + ": " + result.text());
    return result.out;
  }
  Json neighbours_of(const std::string& router) const {
    return Json::parse(run_in(router, {kVtysh, "-c", "show ip ospf neighbor detail json"})).at("neighbors");
  }

  // Each has as many neighbours as routers are beside it, and the same view of the network as they.
  bool are_adjacent() const {
    return std::ranges::all_of(
        std::map<std::string, std::size_t>{{"r1", 1}, {"r2", 2}, {"r3", 1}}, [this](const auto& expected) {
          const Json found = neighbours_of(expected.first);
          return found.size() == expected.second && std::ranges::all_of(found, [](const Json& one) {
                   return one.at(0).at("nbrState").get<std::string>().starts_with("Full/");
                 });
        });
  }
  DeadTimes dead_times() const {
    DeadTimes times;
    for (const std::string router : {"r1", "r2", "r3"}) {
      const Json neighbours = neighbours_of(router);
      for (const auto& [id, neighbour] : neighbours.items())
        times[router + " " + id] = neighbour.at(0).at("routerDeadIntervalTimerDueMsec");
    }
    return times;
  }
  // Everybody has heard every neighbour of theirs since this was called.
  bool hear_each_other() const {
    DeadTimes last = dead_times();
    std::set<std::string> silent;
    for (const auto& [who, time] : last) silent.insert(who);
    return silent.size() == 4 && wait_until([&] {
             DeadTimes now = dead_times();
             std::erase_if(silent, [&](const std::string& who) { return now[who] > last[who]; });
             last = std::move(now);
             return silent.empty();
           });
  }
  // All changes of what the routers are to each other, since they began.
  Json adjacency_changes() const {
    Json changes;
    for (const std::string router : {"r1", "r2", "r3"})
      changes[router] = run_in(router, {"grep", "AdjChg", kLog});
    return changes;
  }
  // How the kernel of the first router gets to the LAN behind the last.
  Json way_to_the_last_lan() const {
    return host_.ip_in(Kathara::container_name("r1"), "route show 10.4.0.0/24");
  }

  bool all_are_ready() const {
    return std::ranges::all_of(kathara_->lab().lans(), [this](const std::string& lan) {
      return host_.phase_of_network(Kathara::network_name(lan)) == "Ready";
    });
  }
  std::optional<pid_t> switch_of(const std::string& lan) const {
    const std::string id = host_.network_id(Kathara::network_name(lan));
    for (const OtherProcess& process : other_processes()) {
      if (fs::path(process.program).filename() == "vde_switch" &&
          process.command.find(id) != std::string::npos)
        return process.pid;
    }
    return std::nullopt;
  }

  DockerHost host_;
  std::optional<Kathara> kathara_;
  Json before_;
};

TEST_F(RouterLab, DoesNotNoticeThatTheAgentOrASwitchIsKilled) {
  ASSERT_TRUE(wait_until([&] { return are_adjacent(); }, 30s)) << neighbours_of("r2").dump(1);
  ASSERT_TRUE(wait_until([&] { return !way_to_the_last_lan().empty(); }));
  EXPECT_EQ(way_to_the_last_lan().at(0).at("protocol"), "ospf");
  EXPECT_EQ(way_to_the_last_lan().at(0).at("gateway"), "10.2.0.2");
  ASSERT_TRUE(ping(netns("pc1"), "10.4.0.9"));
  const Json changes = adjacency_changes();

  Stream stream(netns("pc1"), netns("pc2"), "10.4.0.9");
  host_.restart_killed_agent();
  EXPECT_TRUE(wait_until([&] { return all_are_ready(); }));
  EXPECT_TRUE(hear_each_other());
  EXPECT_EQ(stream.stop().lost(), 0U);
  EXPECT_EQ(adjacency_changes(), changes);

  const auto killed = switch_of("B");
  ASSERT_TRUE(killed);
  ASSERT_EQ(::kill(*killed, SIGKILL), 0);
  EXPECT_TRUE(ping(netns("pc1"), "10.4.0.9"));
  EXPECT_TRUE(hear_each_other());
  EXPECT_TRUE(switch_of("B") && switch_of("B") != killed);
  EXPECT_EQ(adjacency_changes(), changes);
  EXPECT_EQ(way_to_the_last_lan().size(), 1U);

  kathara_->lclean();
  EXPECT_TRUE(host_.is_as_before(before_));
}

}  // namespace
}  // namespace lanwright::test
