// The managed plugin: the directory that systemd/docker-plugin.sh builds, as dockerd itself runs it.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include "tests/docker/dockerd.h"
#include "tests/docker/kathara.h"
#include "tests/docker/pid_namespace.h"
#include "tests/integration/agent_process.h"
#include "tests/integration/product.h"
#include "tests/integration/traffic.h"

namespace lanwright::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kKathara = "kathara/katharanp_vde:amd64";
constexpr const char* kOwn = "lanwright-test:latest";

Finished build_plugin(const fs::path& directory, const std::vector<std::string>& options) {
  std::vector<std::string> command{fs::path(SOURCE_DIR) / "systemd" / "docker-plugin.sh", "--from",
                                   fs::path(agent_program()).parent_path()};
  std::ranges::copy(options, std::back_inserter(command));
  command.push_back(directory);
  return run(command, {.limit = 120s});
}

std::vector<OtherProcess> of_the_agent() {
  auto processes = other_processes();
  std::erase_if(processes, [](const OtherProcess& process) {
    const std::string name = fs::path(process.program).filename();
    return !name.starts_with("lanwright") && !name.starts_with("vde_");
  });
  return processes;
}

std::optional<pid_t> pid_of(const std::string& program) {
  for (const OtherProcess& process : of_the_agent()) {
    if (fs::path(process.program).filename() == program) return process.pid;
  }
  return std::nullopt;
}

std::vector<pid_t> pids_of(const std::string& program) {
  std::vector<pid_t> pids;
  for (const OtherProcess& process : of_the_agent()) {
    if (fs::path(process.program).filename() == program) pids.push_back(process.pid);
  }
  std::ranges::sort(pids);
  return pids;
}

// Answers when another one runs in its place.
testing::AssertionResult comes_back(const std::string& program) {
  const auto killed = pid_of(program);
  if (!killed || ::kill(*killed, SIGKILL) != 0) return testing::AssertionFailure() << "no " << program;
  if (wait_until([&] { return pid_of(program) && pid_of(program) != killed; }, 30s))
    return testing::AssertionSuccess();
  return testing::AssertionFailure() << "no new " << program << " in\n" << list_of(of_the_agent());
}

class ManagedPlugin : public testing::Test {
 protected:
  ManagedPlugin() {
    // As on hosts with systemd: what dockerd mounts there reaches the plugin.
    if (mount("none", "/run", nullptr, MS_SHARED, nullptr) != 0) fail_errno("share /run");
    docker_.emplace(sandbox_);
    docker_->import_busybox();
    fs::create_directory(state());
    before_ = sandbox_.links();
  }

  // Plugins have cgroups that may be beside ours: Docker removes them with the plugin.
  void TearDown() override {
    const Finished listed = docker_->docker({"plugin", "ls", "--quiet"});
    EXPECT_TRUE(listed.ok()) << listed.text();
    std::istringstream names(listed.out);
    for (std::string name; names >> name;) {
      const Finished disabled = docker_->docker({"plugin", "rm", "--force", name});
      EXPECT_TRUE(disabled.ok()) << disabled.text();
    }
  }

  fs::path state() const { return sandbox_.directory() / "state"; }

  fs::path directory() const { return sandbox_.directory() / "plugin"; }

  void enable(const std::string& name, const std::vector<std::string>& options) {
    const Finished built = build_plugin(directory(), options);
    if (!built.ok()) throw HarnessError("docker-plugin.sh: " + built.text());
    create_and_enable(name);
  }

  void create_and_enable(const std::string& name) const {
    docker_->ask({"plugin", "create", name, directory()});
    docker_->ask({"plugin", "set", name, "state.source=" + state().string()});
    docker_->ask({"plugin", "enable", name});
  }

  // As Kathara does it, which has its containers find their addresses themselves.
  void run_silent(const std::string& name, const std::string& mac, const std::string& address) const {
    const Json network{{"DriverOpts", {{"kathara.mac_addr", mac}}}};
    const Json wanted{{"Image", "busybox"},
                      {"StopSignal", "KILL"},
                      {"HostConfig", {{"NetworkMode", "n1"}}},
                      {"NetworkingConfig", {{"EndpointsConfig", {{"n1", network}}}}}};
    const ApiAnswer created = docker_->api("POST", "/containers/create?name=" + name, wanted);
    ASSERT_EQ(created.status, 201) << created.body;
    docker_->ask({"start", name});
    EXPECT_EQ(docker_->ask({"exec", name, "cat", "/sys/class/net/eth0/address"}), mac);
    const Finished given =
        run({"ip", "address", "add", address + "/24", "dev", "eth0"}, {.netns = docker_->netns_of(name)});
    ASSERT_TRUE(given.ok()) << given.text();
  }

  // At the sockets that the plugin has on the host.
  Json networks() const {
    const HttpAnswer answer = http(state() / "run" / "api.sock", "GET", "/v1/networks");
    if (answer.status != 200) throw HarnessError("GET /v1/networks: " + answer.body);
    return Json::parse(answer.body);
  }

  bool all_are_ready(std::size_t count) const {
    try {
      const Json all = networks();
      return all.size() == count && std::ranges::all_of(all, [](const Json& network) {
               return network.at("status").at("phase") == "Ready";
             });
    } catch (const HarnessError&) {
      return false;  // it does not answer yet
    }
  }
  bool is_enabled(const std::string& name) const {
    return docker_->ask({"plugin", "inspect", "--format", "{{.Enabled}}", name}) == "true";
  }

  void expect_nothing_left(const std::string& name) const {
    EXPECT_EQ(sandbox_.links(), before_);
    docker_->ask({"plugin", "disable", name});
    EXPECT_EQ(list_of(of_the_agent()), "");
    docker_->ask({"plugin", "rm", name});
    EXPECT_EQ(docker_->ask({"plugin", "ls", "--quiet"}), "");
  }

  Sandbox sandbox_;
  std::optional<Dockerd> docker_;
  std::vector<std::string> before_;
};

TEST_F(ManagedPlugin, TakesThePlaceOfKatharas) {
  enable(kKathara, {"--driver", "vde"});
  docker_->ask({"network", "create", "-d", kKathara, "--ipam-driver", "null", "n1"});
  ASSERT_EQ(networks().size(), 1U);
  EXPECT_EQ(networks().at(0).at("spec").at("driver"), "vde");
  run_silent("c1", "02:00:00:00:07:01", "10.9.0.1");
  run_silent("c2", "02:00:00:00:07:02", "10.9.0.2");
  EXPECT_TRUE(ping(docker_->netns_of("c1"), "10.9.0.2"));
  docker_->ask({"network", "disconnect", "n1", "c2"});
  docker_->ask({"network", "connect", "--driver-opt", "kathara.mac_addr=02:00:00:00:07:03", "n1", "c2"});
  EXPECT_NE(docker_->ask({"exec", "c2", "ip", "link"}).find("02:00:00:00:07:03"), std::string::npos);
  docker_->ask({"rm", "-f", "c1", "c2"});
  docker_->ask({"network", "rm", "n1"});
  expect_nothing_left(kKathara);
}

TEST_F(ManagedPlugin, KnowsItsNetworksAgain) {
  enable(kKathara, {"--driver", "vde"});
  docker_->ask({"network", "create", "-d", kKathara, "--subnet", "10.9.0.0/24", "n1"});
  docker_->run_container("c1", {.network = "n1"});
  docker_->run_container("c2", {.network = "n1"});
  docker_->ask({"plugin", "disable", "--force", kKathara});
  EXPECT_EQ(list_of(of_the_agent()), "");
  docker_->ask({"plugin", "enable", kKathara});
  docker_->run_container("c3", {.network = "n1"});
  // The switch is another one; everybody is plugged in again.
  EXPECT_TRUE(ping(docker_->netns_of("c1"), docker_->address_of("c2", "n1")));
  EXPECT_TRUE(ping(docker_->netns_of("c3"), docker_->address_of("c1", "n1")));
  docker_->ask({"rm", "-f", "c1", "c2", "c3"});
  docker_->ask({"network", "rm", "n1"});
  expect_nothing_left(kKathara);
}

TEST_F(ManagedPlugin, IsReplacedByAnotherOfItsName) {
  enable(kKathara, {"--driver", "vde"});
  docker_->ask({"network", "create", "-d", kKathara, "--subnet", "10.9.0.0/24", "n1"});
  docker_->run_container("c1", {.network = "n1"});
  docker_->ask({"plugin", "rm", "--force", kKathara});
  create_and_enable(kKathara);
  docker_->run_container("c2", {.network = "n1"});
  EXPECT_TRUE(ping(docker_->netns_of("c1"), docker_->address_of("c2", "n1")));
  docker_->ask({"rm", "-f", "c1", "c2"});
  docker_->ask({"network", "rm", "n1"});
  expect_nothing_left(kKathara);
}

TEST_F(ManagedPlugin, ComesBackWhenTheAgentIsKilled) {
  enable(kKathara, {"--driver", "vde"});
  docker_->ask({"network", "create", "-d", kKathara, "--subnet", "10.9.0.0/24", "n1"});
  docker_->run_container("c1", {.network = "n1"});
  ASSERT_TRUE(comes_back("lanwrightd"));
  docker_->run_container("c2", {.network = "n1"});
  EXPECT_TRUE(ping(docker_->netns_of("c1"), docker_->address_of("c2", "n1")));
  docker_->ask({"rm", "-f", "c1", "c2"});
  docker_->ask({"network", "rm", "n1"});
  EXPECT_EQ(sandbox_.links(), before_);
}

// The plugin's container goes on without it, and all that it started.
TEST_F(ManagedPlugin, LosesNothingWhileTheAgentIsKilled) {
  enable(kKathara, {"--driver", "vde"});
  docker_->ask({"network", "create", "-d", kKathara, "--subnet", "10.9.0.0/24", "n1"});
  docker_->run_container("c1", {.network = "n1"});
  docker_->run_container("c2", {.network = "n1"});
  const auto switches = pids_of("vde_switch");
  const auto plugs = pids_of("lanwright-plug");
  Stream stream(docker_->netns_of("c1"), docker_->netns_of("c2"), docker_->address_of("c2", "n1"));
  ASSERT_TRUE(comes_back("lanwrightd"));
  EXPECT_TRUE(wait_until([&] { return all_are_ready(1); }, 30s));
  EXPECT_EQ(stream.stop().lost(), 0U);
  EXPECT_EQ(pids_of("vde_switch"), switches);
  EXPECT_EQ(pids_of("lanwright-plug"), plugs);
  docker_->ask({"rm", "-f", "c1", "c2"});
  docker_->ask({"network", "rm", "n1"});
  expect_nothing_left(kKathara);
}

// The plugin does not see Docker's API: what Docker forgot must be known without asking. (The init lets more
// and more time pass between two agents, so that not every step is one of these; and which network Docker was
// removing nobody could tell.)
TEST_F(ManagedPlugin, BuildsAndTakesApartALabWhileTheAgentIsKilled) {
  const std::set<std::string> when{"create network B", "start pc2", "connect pc2 to B", "remove pc2"};
  enable(kKathara, {"--driver", "vde"});
  const Kathara kathara(*docker_, kKathara, small_lab());
  for (const LabStep& step : steps_of_small_lab()) {
    SCOPED_TRACE(step.name);
    const auto strike = [] { EXPECT_TRUE(comes_back("lanwrightd")); };
    const std::string words = when.contains(step.name) ? do_and_strike(step, kathara, state(), strike) : "";
    SCOPED_TRACE(words);
    if (!when.contains(step.name) || !words.empty()) step.work(kathara);
    ASSERT_TRUE(small_lab_works(sandbox_, kathara));
  }
  kathara.lclean();
  EXPECT_TRUE(wait_until([] { return pids_of("vde_switch").empty() && pids_of("lanwright-plug").empty(); }))
      << list_of(of_the_agent());
  EXPECT_TRUE(wait_until([&] { return all_are_ready(0); }));
  expect_nothing_left(kKathara);
}

// Each has two processes: more than containerd hears of at a time.
TEST_F(ManagedPlugin, StaysEnabledWithManyNetworks) {
  constexpr std::size_t kCount = 20;
  enable(kKathara, {"--driver", "vde"});
  for (std::size_t i = 0; i < kCount; ++i) {
    const ApiAnswer made = docker_->api(
        "POST", "/networks/create",
        {{"Name", "n" + std::to_string(i)}, {"Driver", kKathara}, {"IPAM", {{"Driver", "null"}}}});
    ASSERT_EQ(made.status, 201) << made.body;
  }
  const auto switches = pids_of("vde_switch");
  EXPECT_EQ(switches.size(), kCount);
  ASSERT_TRUE(comes_back("lanwrightd"));
  EXPECT_TRUE(wait_until([&] { return all_are_ready(kCount); }, 8s));
  EXPECT_EQ(pids_of("vde_switch"), switches);
  docker_->stop(15s);
  docker_->start();
  EXPECT_TRUE(is_enabled(kKathara));
  EXPECT_TRUE(wait_until([&] { return all_are_ready(kCount); }, 30s));
}

// As Docker leaves the host's firewall.
TEST_F(ManagedPlugin, LetsBridgedFramesThroughTheFirewall) {
  for (const std::string program : {"iptables", "ip6tables"}) {
    ASSERT_TRUE(run({program, "-w", "5", "-P", "FORWARD", "DROP"}).ok());
    std::ofstream("/proc/sys/net/bridge/bridge-nf-call-" + program) << '1';
  }
  enable(kOwn, {"--driver", "bridge"});
  docker_->ask(
      {"network", "create", "-d", kOwn, "--ipv6", "--subnet", "10.9.0.0/24", "--subnet", "fd09::/64", "n1"});
  docker_->run_container("c1", {.network = "n1"});
  docker_->run_container("c2", {.network = "n1"});
  EXPECT_TRUE(ping(docker_->netns_of("c1"), docker_->address_of("c2", "n1")));
  EXPECT_TRUE(
      ping(docker_->netns_of("c1"),
           docker_->inspect("c2").at("NetworkSettings").at("Networks").at("n1").at("GlobalIPv6Address")));
  docker_->ask({"rm", "-f", "c1", "c2"});
  docker_->ask({"network", "rm", "n1"});
  EXPECT_TRUE(wait_until([] {
    return run({"iptables", "-w", "5", "-S", "FORWARD"}).out.find("lanwright:") == std::string::npos;
  }));
}

// What Kathara does for interfaces of the host, by what Docker says of the plugin: in the namespaces and the
// root of its init it starts a program, and later has it end by its process id.
class KatharaExternal : public ManagedPlugin {
 protected:
  KatharaExternal() {
    sandbox_.add_netns("far");
    enable(kKathara, {"--driver", "vde"});
  }

  void add_cable(const std::string& interface, const std::string& far, const std::string& address) const {
    sandbox_.ip("link add " + interface + " up type veth peer name " + far + " netns far");
    sandbox_.ip("-n far addr add " + address + "/24 dev " + far);
    sandbox_.ip("-n far link set " + far + " up");
  }

  Json plugin() const {
    return Json::parse(docker_->ask({"plugin", "inspect", "--format", "{{json .}}", kKathara}));
  }
  std::string store() const {
    const Json about = plugin();
    for (const Json& mount : about.at("Settings").at("Mounts")) {
      if (mount.at("Name") == "tmp") return mount.at("Destination").get<std::string>() + "/katharanp";
    }
    throw HarnessError("the plugin has no mount `tmp`: " + about.dump());
  }
  std::string pid_of_init() const {
    const std::string id = plugin().at("Id");
    const Json state = Json::parse(read_file("/run/docker/runtime-runc/plugins.moby/" + id + "/state.json"));
    return std::to_string(state.at("init_process_pid").get<pid_t>());
  }
  Finished in_plugin(const std::string& script) const {
    const std::string pid = pid_of_init();
    return run(
        {"nsenter", "--target", pid, "--ipc", "--net", "--pid", "--uts", "--root", "/bin/sh", "-c", script},
        {.environment = {"PATH=/usr/local/bin:/usr/bin:/bin"}});
  }

  std::string create_network() const {
    const ApiAnswer made = docker_->api(
        "POST", "/networks/create", {{"Name", "n1"}, {"Driver", kKathara}, {"IPAM", {{"Driver", "null"}}}});
    if (made.status != 201) throw HarnessError(made.body.dump());
    return store() + "/kt-" + made.body.at("Id").get<std::string>().substr(0, 12);
  }
  // Its words go where this can read them: it stays.
  Finished plug_in(const std::string& network, const std::string& interface) const {
    return in_plugin("[ -d " + network + "/ctl/ ] && { vde_ext -s " + network + "/ctl -p " + network +
                     "/pid_" + interface + " " + interface + " >" + network + "/words 2>&1 & }");
  }
  Finished unplug(const std::string& network, const std::string& interface) const {
    return in_plugin("kill -2 $(cat " + network + "/pid_" + interface + ")");
  }
  testing::AssertionResult talks(const std::string& far_address) const {
    if (auto there = ping(docker_->netns_of("c1"), far_address); !there) return there;
    return ping("far", "10.9.0.1");
  }
};

TEST_F(KatharaExternal, InterfacesArePluggedInUntilTheyAreTakenOut) {
  add_cable("ext0", "eth0", "10.9.0.9");
  add_cable("ext0.10", "eth1", "10.9.0.10");
  const std::string network = create_network();
  for (const std::string interface : {"ext0", "ext0.10"}) {
    const Finished started = plug_in(network, interface);
    ASSERT_TRUE(started.ok()) << started.text();
  }
  run_silent("c1", "02:00:00:00:07:01", "10.9.0.1");
  for (const std::string address : {"10.9.0.9", "10.9.0.10"})
    EXPECT_TRUE(talks(address)) << in_plugin("cat " + network + "/words").text();
  ASSERT_TRUE(comes_back("lanwrightd"));
  EXPECT_TRUE(talks("10.9.0.9"));
  EXPECT_TRUE(wait_until([&] { return all_are_ready(1); }, 30s));
  EXPECT_EQ(pids_of("vde_ext").size(), 2U);
  for (const std::string interface : {"ext0", "ext0.10"}) {
    const Finished ended = unplug(network, interface);
    ASSERT_TRUE(ended.ok()) << ended.text();
  }
  EXPECT_TRUE(wait_until([] { return pids_of("vde_ext").empty(); }))
      << in_plugin("cat " + network + "/words").text();
  EXPECT_TRUE(no_ping(docker_->netns_of("c1"), "10.9.0.9"));
  EXPECT_FALSE(networks().at(0).at("spec").contains("uplinks")) << networks();
  docker_->ask({"rm", "-f", "c1"});
  docker_->ask({"network", "rm", "n1"});
  EXPECT_FALSE(in_plugin("[ -e " + network + " ]").ok());
  for (const std::string interface : {"ext0", "ext0.10"}) sandbox_.ip("link del " + interface);
  expect_nothing_left(kKathara);
}

// Process ids of its container are nobody's in the next one: what would be sent a signal by them is a switch.
TEST_F(KatharaExternal, InterfacesStayWhereTheyAreOverANewContainerOfThePlugin) {
  add_cable("ext0", "eth0", "10.9.0.9");
  const std::string network = create_network();
  ASSERT_TRUE(plug_in(network, "ext0").ok());
  run_silent("c1", "02:00:00:00:07:01", "10.9.0.1");
  EXPECT_TRUE(talks("10.9.0.9"));
  docker_->ask({"plugin", "disable", "--force", kKathara});
  docker_->ask({"plugin", "enable", kKathara});
  EXPECT_TRUE(talks("10.9.0.9"));
  EXPECT_TRUE(in_plugin("[ -d " + network + "/ctl/ ]").ok());
  EXPECT_FALSE(in_plugin("[ -e " + network + "/pid_ext0 ]").ok());
  docker_->ask({"rm", "-f", "c1"});
  docker_->ask({"network", "rm", "n1"});
  EXPECT_EQ(sandbox_.link("ext0")->at("promiscuity"), 0);
  sandbox_.ip("link del ext0");
  expect_nothing_left(kKathara);
}

// The containers are younger than the plugin: it must see what Docker mounts later, by Docker's names for it.
TEST_F(ManagedPlugin, PlugsContainersInAgain) {
  enable(kKathara, {"--driver", "vde"});
  docker_->ask({"network", "create", "-d", kKathara, "--subnet", "10.9.0.0/24", "n1"});
  docker_->run_container("c1", {.network = "n1"});
  docker_->run_container("c2", {.network = "n1"});
  const std::string address = docker_->address_of("c2", "n1");
  for (const char* program : {"vde_switch", "lanwright-plug"}) {
    ASSERT_TRUE(comes_back(program));
    EXPECT_TRUE(ping(docker_->netns_of("c1"), address)) << program;
  }
}

TEST_F(ManagedPlugin, IsThereAfterAReboot) {
  enable(kKathara, {"--driver", "vde"});
  docker_->ask({"network", "create", "-d", kKathara, "--subnet", "10.9.0.0/24", "n1"});
  docker_->run_container("c1", {.network = "n1", .more = {"--restart", "always"}});
  docker_->stop();
  ASSERT_TRUE(wait_until([] { return other_processes().empty(); })) << list_of(other_processes());
  for (const auto& link : sandbox_.links()) sandbox_.ip("link del " + link);
  umount2("/run/docker/netns/default", MNT_DETACH);
  fs::remove_all("/run/docker");
  docker_->start();
  EXPECT_TRUE(wait_until([&] { return docker_->is_running("c1"); }, 30s));
  docker_->run_container("c2", {.network = "n1"});
  EXPECT_TRUE(ping(docker_->netns_of("c1"), docker_->address_of("c2", "n1")));
}

TEST_F(ManagedPlugin, MakesNetworksOfAnyDriver) {
  enable(kOwn, {});
  docker_->ask({"network", "create", "-d", kOwn, "--subnet", "10.10.0.0/24", "n2"});
  EXPECT_EQ(networks().at(0).at("spec").at("driver"), "bridge");
  docker_->ask({"network", "rm", "n2"});
  // Its addresses are the agent's, too.
  docker_->ask({"network", "create", "-d", kOwn, "--ipam-driver", kOwn, "-o", "driver=vde", "n1"});
  EXPECT_EQ(networks().at(0).at("spec").at("driver"), "vde");
  docker_->run_container("c1", {.network = "n1"});
  docker_->run_container("c2", {.network = "n1"});
  EXPECT_TRUE(docker_->address_of("c2", "n1").starts_with("10.210.192.")) << docker_->address_of("c2", "n1");
  EXPECT_TRUE(ping(docker_->netns_of("c1"), docker_->address_of("c2", "n1")));
  docker_->ask({"rm", "-f", "c1", "c2"});
  docker_->ask({"network", "rm", "n1"});
  expect_nothing_left(kOwn);
}

TEST(ManagedPluginScript, TellsWhatItCannotBuild) {
  const Sandbox sandbox;
  const fs::path directory = sandbox.directory() / "plugin";
  const Finished misspelled = build_plugin(directory, {"--driver", "vdee"});
  EXPECT_EQ(misspelled.status, 1);
  EXPECT_NE(misspelled.err.find("did you mean `vde`?"), std::string::npos) << misspelled.text();
  EXPECT_FALSE(fs::exists(directory));
  fs::create_directory(directory);
  sandbox.write_file("plugin/mine", "");
  const Finished blind = build_plugin(directory, {"--driver", "ovs"});
  EXPECT_EQ(blind.status, 1);
  EXPECT_NE(blind.err.find("Open vSwitch"), std::string::npos) << blind.err;
  const Finished occupied = build_plugin(directory, {});
  EXPECT_EQ(occupied.status, 1);
  EXPECT_NE(occupied.err.find("is not empty"), std::string::npos) << occupied.text();
  EXPECT_FALSE(fs::exists(directory / "config.json"));
}

}  // namespace
}  // namespace lanwright::test
