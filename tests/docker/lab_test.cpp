// Labs as Kathara has Docker make them: their traffic goes from end to end, whoever is killed at whatever
// step, and nothing is left of them. Interfaces of the host in a lab are in managed_plugin_test.cpp.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <sstream>

#include "tests/docker/host.h"
#include "tests/docker/kathara.h"
#include "tests/docker/pid_namespace.h"
#include "tests/integration/product.h"
#include "tests/integration/traffic.h"

namespace lanwright::test {
namespace {

namespace fs = std::filesystem;

// Every path below a directory.
Json paths_below(const fs::path& directory) {
  std::set<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) paths.insert(entry.path());
  return paths;
}

// Network namespaces that are kept by a path. The empty files below them Docker removes within a minute.
Json mounted_namespaces() {
  std::set<std::string> paths;
  std::istringstream mounts(read_file("/proc/self/mountinfo"));
  for (std::string line; std::getline(mounts, line);) {
    if (line.find(" - nsfs ") == std::string::npos) continue;
    std::istringstream fields(line);
    std::string path;
    for (int i = 0; i < 5; ++i) fields >> path;
    paths.insert(path);
  }
  return paths;
}

// Docker's own go back and forth, some of them twice, when it makes networks in parallel.
Json rules_of(const char* program) {
  std::multiset<std::string> rules;
  std::istringstream listed(run({program, "-w", "5", "-S"}).out);
  for (std::string line; std::getline(listed, line);) {
    if (line.find("DOCKER") == std::string::npos) rules.insert(line);
  }
  return rules;
}

// Rows of the agent's database that are not history, as text.
Json rows_of(const fs::path& database) {
  sqlite3* opened = nullptr;
  const int failed = sqlite3_open_v2(database.c_str(), &opened, SQLITE_OPEN_READWRITE, nullptr);
  const std::unique_ptr<sqlite3, decltype(&sqlite3_close)> connection(opened, sqlite3_close);
  if (failed != SQLITE_OK) throw HarnessError("open " + database.string() + ": " + sqlite3_errmsg(opened));
  Json rows = Json::array();
  const auto take = [](void* into, int columns, char** values, char** names) {
    Json row;
    for (int i = 0; i < columns; ++i) row[names[i]] = values[i] != nullptr ? values[i] : "";
    static_cast<Json*>(into)->push_back(std::move(row));
    return 0;
  };
  for (const char* query : {"SELECT kind, name, set_name FROM objects", "SELECT uid, link FROM claims",
                            "SELECT controller, id FROM annexes WHERE controller = 'docker'",
                            "SELECT id FROM address_pools", "SELECT pool, address FROM pool_addresses"}) {
    char* words = nullptr;
    if (sqlite3_exec(opened, query, take, &rows, &words) != SQLITE_OK)
      throw HarnessError(std::string(query) + ": " + words);
  }
  return rows;
}

class KatharaLab : public testing::Test {
 protected:
  void SetUp() override {
    if (tests_dockers_own()) GTEST_SKIP() << "Docker's own have no VDE";
    before_ = everything();
  }

  Kathara kathara_of(Lab lab) const { return {host_.docker(), driver("vde"), std::move(lab)}; }

  // What a lab could leave behind, on the host and in the agent.
  Json everything() const {
    Json now = host_.inventory();
    now["files"] = paths_below(host_.agent().socket().parent_path());
    now["namespaces"] = mounted_namespaces();
    for (const char* program : {"iptables", "ip6tables"}) now[program] = rules_of(program);
    now["rows"] = rows_of(host_.agent().state_directory() / "lanwright.db");
    return now;
  }
  testing::AssertionResult nothing_is_left(Milliseconds limit = 10s) const {
    Json now;
    if (wait_until([&] { return (now = everything()) == before_; }, limit))
      return testing::AssertionSuccess();
    return testing::AssertionFailure() << "before: " << before_.dump(1) << "\nnow: " << now.dump(1);
  }
  const Sandbox& sandbox() const { return host_.sandbox(); }
  static std::string ip_name(const Kathara& kathara, const std::string& device) {
    return "../docker/netns/" + fs::path(kathara.netns_of(device)).filename().string();
  }
  bool all_are_ready(std::size_t networks) const {
    const Json all = host_.agent().get_json("/v1/networks");
    return all.size() == networks && std::ranges::all_of(all, [](const Json& network) {
             return network.at("status").at("phase") == "Ready";
           });
  }

  DockerHost host_;
  Json before_;
};

// pc1 and pc2 on LANs of their own, with two routers between that know the way.
Lab routed_lab() {
  return {{
      {"pc1", {"A"}, "ip addr add 10.1.0.9/24 dev eth0; ip route add default via 10.1.0.1"},
      {"pc2", {"C"}, "ip addr add 10.3.0.9/24 dev eth0; ip route add default via 10.3.0.2"},
      {"r1",
       {"A", "B"},
       "ip addr add 10.1.0.1/24 dev eth0; ip addr add 10.2.0.1/24 dev eth1;"
       "ip route add 10.3.0.0/24 via 10.2.0.2"},
      {"r2",
       {"C", "B"},
       "ip addr add 10.3.0.2/24 dev eth0; ip addr add 10.2.0.2/24 dev eth1;"
       "ip route add 10.1.0.0/24 via 10.2.0.1"},
  }};
}

TEST_F(KatharaLab, TwoDevicesTalk) {
  const Kathara kathara = kathara_of({{{"pc1", {"A"}, "ip addr add 10.0.0.1/24 dev eth0"},
                                       {"pc2", {"A"}, "ip addr add 10.0.0.2/24 dev eth0"}}});
  kathara.lstart();
  EXPECT_TRUE(ping(kathara.netns_of("pc1"), "10.0.0.2"));
  EXPECT_TRUE(ping(kathara.netns_of("pc2"), "10.0.0.1"));
  EXPECT_EQ(
      host_.docker().ask({"exec", Kathara::container_name("pc1"), "cat", "/sys/class/net/eth0/address"}),
      kathara.mac("pc1", 0));
  kathara.lclean();
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(KatharaLab, RoutersForward) {
  const Kathara kathara = kathara_of(routed_lab());
  kathara.lstart();
  ASSERT_TRUE(ping(kathara.netns_of("pc1"), "10.3.0.9"));
  Stream stream(kathara.netns_of("pc1"), kathara.netns_of("pc2"), "10.3.0.9");
  host_.restart_killed_agent();
  EXPECT_TRUE(wait_until([&] { return all_are_ready(3); }));
  EXPECT_EQ(stream.stop().lost(), 0U);
  EXPECT_TRUE(tcp(kathara.netns_of("pc1"), kathara.netns_of("pc2"), "10.3.0.9"));
  kathara.lclean();
  EXPECT_TRUE(nothing_is_left());
}

// Three bridges in devices, each with a cable to both others: without spanning tree no frame would come to
// rest.
TEST_F(KatharaLab, BridgesInDevicesSpanATree) {
  const Kathara kathara = kathara_of({{{"pc1", {"P"}, "ip addr add 10.0.0.1/24 dev eth0"},
                                       {"pc2", {"Q"}, "ip addr add 10.0.0.2/24 dev eth0"},
                                       {"s1", {"A", "C", "P"}, ":"},
                                       {"s2", {"A", "B", "Q"}, ":"},
                                       {"s3", {"B", "C"}, ":"}}});
  kathara.lstart();
  const auto ip_in = [&](const std::string& device) { return "-n " + ip_name(kathara, device) + " "; };
  const Words switches{"s1", "s2", "s3"};
  for (const std::string& device : switches) {
    // In hundredths of a second; the priority has s1 be the root.
    sandbox().ip(ip_in(device) + "link add br0 up type bridge stp_state 1 forward_delay 200 priority " +
                 (device == "s1" ? "4096" : "32768"));
    for (const std::string& interface : sandbox().links(ip_name(kathara, device))) {
      if (interface != "br0") sandbox().ip(ip_in(device) + "link set " + interface + " master br0");
    }
  }
  EXPECT_TRUE(ping(kathara.netns_of("pc1"), "10.0.0.2", 30s));
  std::map<std::string, int> ports;  // how many are in each state, of all three
  for (const std::string& device : switches) {
    for (const Json& link : sandbox().ip_json(ip_in(device) + "link show master br0"))
      ++ports[link.at("linkinfo").at("info_slave_data").at("state")];
  }
  EXPECT_EQ(ports, (std::map<std::string, int>{{"blocking", 1}, {"forwarding", 7}}));
  Stream stream(kathara.netns_of("pc1"), kathara.netns_of("pc2"), "10.0.0.2");
  host_.restart_killed_agent();
  EXPECT_TRUE(wait_until([&] { return all_are_ready(5); }));
  const StreamCount count = stream.stop();
  EXPECT_EQ(count.lost(), 0U);
  EXPECT_EQ(count.duplicates, 0U);
  kathara.lclean();
  EXPECT_TRUE(nothing_is_left());
}

// A row of five devices with ten LANs between neighbours: ten ways from the first to the last.
Lab wide_lab() {
  constexpr int kDevices = 5;
  constexpr int kWays = 10;
  const auto lan = [](int place, int way) { return "L" + std::to_string(place) + "w" + std::to_string(way); };
  const auto net = [](int place, int way) {
    return "10." + std::to_string(place) + "." + std::to_string(way) + ".";
  };
  Lab lab;
  for (int place = 1; place <= kDevices; ++place) {
    LabDevice device{"d" + std::to_string(place), {}, {}};
    const auto plug_in = [&](int left, int way, const char* address) {
      device.startup += "ip addr add " + net(left, way) + address + "/24 dev eth" +
                        std::to_string(device.lans.size()) + ";";
      device.lans.push_back(lan(left, way));
    };
    for (int way = 0; way < kWays; ++way) {
      if (place > 1) plug_in(place - 1, way, "2");
      if (place < kDevices) plug_in(place, way, "1");
    }
    // To the last LAN of each way by that way, and back to the first.
    for (int way = 0; way < kWays; ++way) {
      if (place < kDevices - 1)
        device.startup += "ip route add " + net(kDevices - 1, way) + "0/24 via " + net(place, way) + "2;";
      if (place > 2)
        device.startup += "ip route add " + net(1, way) + "0/24 via " + net(place - 1, way) + "1;";
    }
    lab.devices.push_back(std::move(device));
  }
  return lab;
}

TEST_F(KatharaLab, FortyLansCarryOnWhileTheAgentIsKilled) {
  const Kathara kathara = kathara_of(wide_lab());
  ASSERT_EQ(kathara.lab().lans().size(), 40U);
  kathara.lstart();
  const std::string first = kathara.netns_of("d1");
  const std::string last = kathara.netns_of("d5");
  for (int way = 0; way < 10; ++way)
    ASSERT_TRUE(ping(first, "10.4." + std::to_string(way) + ".2")) << "way " << way;
  const Json running = host_.inventory();
  Stream there(first, last, "10.4.0.2");
  Stream back(last, first, "10.1.9.1");
  host_.restart_killed_agent();
  EXPECT_TRUE(wait_until([&] { return all_are_ready(40); }, 30s));
  EXPECT_EQ(there.stop().lost(), 0U);
  EXPECT_EQ(back.stop().lost(), 0U);
  EXPECT_TRUE(host_.is_as_before(running));
  kathara.lclean();
  EXPECT_TRUE(nothing_is_left());
}

// ---- killed at each step

// What is gone of the lab is started again, as its user does, and what failed is asked for again.
class KilledAtEachStep : public KatharaLab {
 protected:
  void build_and_take_apart(const std::function<void()>& strike) {
    const Kathara kathara = kathara_of(small_lab());
    for (const LabStep& step : steps_of_small_lab()) {
      SCOPED_TRACE(step.name);
      const Words running = devices_that_run(kathara);
      const std::string words = do_and_strike(step, kathara, host_.agent().state_directory(), strike);
      SCOPED_TRACE(words);
      if (step.name != "stop pc1" && !step.name.starts_with("remove")) start(kathara, running);
      if (!words.empty()) step.work(kathara);
      ASSERT_TRUE(small_lab_works(sandbox(), kathara));
      // An agent that is killed once more before it has asked Docker does not know what was lost with the
      // last.
      if (step.name == "remove network A") {
        ASSERT_TRUE(wait_until([&] { return host_.objects("networks").size() <= 1; }));
      }
    }
    kathara.lclean();
    EXPECT_TRUE(nothing_is_left());
  }
  static Words devices_that_run(const Kathara& kathara) {
    Words names;
    for (const LabDevice& device : kathara.lab().devices) {
      if (kathara.runs(device.name)) names.push_back(device.name);
    }
    return names;
  }
  static void start(const Kathara& kathara, const Words& devices) {
    for (const std::string& device : devices) kathara.start_device(device);
  }
};

TEST_F(KilledAtEachStep, TheAgent) {
  build_and_take_apart([this] { host_.restart_killed_agent(); });
}

// Of containers that Docker was about to start. One that begins them before it asks for their links, and was
// killed meanwhile, takes their end, of which it hears late, for that of the container that it starts in
// their place.
void end_what_was_begun() {
  const auto is_begun = [](const OtherProcess& process) { return process.command.starts_with("runc init"); };
  EXPECT_TRUE(wait_until([&] {
    const auto processes = other_processes();
    for (const OtherProcess& process : processes) {
      if (is_begun(process)) ::kill(process.pid, SIGKILL);
    }
    return std::ranges::none_of(processes, is_begun);
  }));
}

// When it is about to be answered.
TEST_F(KilledAtEachStep, Dockerd) {
  const bool begins_early = host_.engine().has_sandbox_first;
  build_and_take_apart([this, begins_early] {
    host_.agent().signal(SIGSTOP);
    host_.docker().kill();
    if (begins_early) end_what_was_begun();
    host_.agent().signal(SIGCONT);
    host_.docker().start();
  });
}

}  // namespace
}  // namespace lanwright::test
