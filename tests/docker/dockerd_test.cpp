// The harness itself, with Docker's own drivers: what other tests with Docker rely on without looking.
#include "tests/docker/dockerd.h"

#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <memory>
#include <thread>

#include "tests/docker/pid_namespace.h"
#include "tests/integration/agent_process.h"
#include "tests/integration/traffic.h"

namespace lanwright::test {
namespace {

bool runs(const std::string& program) {
  return std::ranges::any_of(other_processes(), [&](const OtherProcess& process) {
    return std::filesystem::path(process.program).filename() == program;
  });
}

// --- what ends when ---

// Waits for the end of the file, which comes when all that hold the other end have ended.
bool is_closed(int fd) {
  char never = 0;
  ssize_t size = 0;
  while ((size = read(fd, &never, 1)) < 0 && errno == EINTR) continue;
  return size == 0;
}

// Runs `work` in a process namespace inside of ours. What it leaves running holds the pipe's other end.
int exit_of_namespace(const std::function<int()>& work, int kept_open) {
  const pid_t pid = fork();
  if (pid < 0) fail_errno("fork");
  if (pid > 0) return wait_exit(pid, 20s).value_or(-1);
  dup2(kept_open, STDERR_FILENO);
  _exit(in_pid_namespace(work));
}

int leave_somebody_behind() {
  if (fork() > 0) return 3;
  setsid();
  execl("/bin/busybox", "busybox", "sleep", "1000", nullptr);
  _exit(127);
}

TEST(PidNamespace, EndsWhatIsLeftInIt) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd reading(ends[0]);
  Fd writing(ends[1]);
  EXPECT_EQ(exit_of_namespace(leave_somebody_behind, writing.get()), 3);
  EXPECT_EQ(exit_of_namespace([]() -> int { abort(); }, writing.get()), 128 + SIGABRT);
  writing = Fd();
  EXPECT_TRUE(is_closed(reading.get()));
}

TEST(PidNamespace, KeepsDockerOutOfTheMachinesOwnNetwork) {
  std::optional<Sandbox> sandbox(std::in_place);
  Fd machine(open("/proc/1/ns/net", O_RDONLY | O_CLOEXEC), "open");
  const Fd own(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), "open");
  ASSERT_EQ(setns(machine.get(), CLONE_NEWNET), 0);
  EXPECT_THROW(Dockerd{*sandbox}, HarnessError);
  EXPECT_EQ(list_of(other_processes()), "");
  ASSERT_EQ(setns(own.get(), CLONE_NEWNET), 0);
}

// --- the daemon ---

void run_two(const Dockerd& docker, const std::string& network) {
  docker.run_container("c1", {.network = network});
  docker.run_container("c2", {.network = network});
}

void expect_both_reach_each_other(const Dockerd& docker, const std::string& network) {
  EXPECT_TRUE(ping(docker.netns_of("c1"), docker.address_of("c2", network)));
  EXPECT_TRUE(ping(docker.netns_of("c2"), docker.address_of("c1", network)));
}

class Docker : public testing::Test {
 protected:
  Docker() { docker_.import_busybox(); }

  Sandbox sandbox_;
  Dockerd docker_{sandbox_};
};

TEST_F(Docker, TellsWhatItsClientSaysAndDoes) {
  EXPECT_EQ(docker_.ask({"version", "--format", "{{.Client.Version}}"}),
            docker_.ask({"version", "--format", "{{.Server.Version}}"}));
  const Finished refused = docker_.docker({"network", "create", "-d", "macvlan", "-o", "parent=lo", "n1"});
  EXPECT_NE(refused.status, 0);
  EXPECT_NE(refused.err.find("loopback interface is not a valid macvlan parent link"), std::string::npos)
      << refused.text();
  EXPECT_THROW(docker_.ask({"network", "inspect", "n1"}), HarnessError);
}

TEST_F(Docker, AnswersToItsApi) {
  const ApiAnswer created = docker_.api("POST", "/networks/create", {{"Name", "n1"}, {"Driver", "bridge"}});
  EXPECT_EQ(created.status, 201) << created.body;
  EXPECT_EQ(docker_.inspect("n1").at("Id"), created.body.at("Id"));
  EXPECT_EQ(docker_.api("DELETE", "/networks/n1").status, 204);
  EXPECT_EQ(docker_.api("GET", "/networks/n1").status, 404);
  EXPECT_GT(docker_.api("GET", "/info").body.dump().size(), 2048U);  // long answers come in chunks
}

TEST_F(Docker, GivesAContainerTheMacAddressThatTheApiTells) {
  const Json wanted{{"Image", "busybox"}, {"MacAddress", "02:00:00:00:07:01"}};
  ASSERT_EQ(docker_.api("POST", "/containers/create?name=c1", wanted).status, 201);
  docker_.ask({"start", "c1"});
  EXPECT_EQ(docker_.ask({"exec", "c1", "cat", "/sys/class/net/eth0/address"}), "02:00:00:00:07:01");
}

TEST_F(Docker, CarriesTrafficOnABridge) {
  const auto before = sandbox_.links();
  docker_.ask({"network", "create", "n1"});
  docker_.ask({"network", "create", "n2"});
  EXPECT_EQ(sandbox_.links().size(), before.size() + 2);
  run_two(docker_, "n1");
  docker_.run_container("stranger", {.network = "n2"});
  expect_both_reach_each_other(docker_, "n1");
  EXPECT_TRUE(docker_.docker({"exec", "c1", "ping", "-c", "1", "c2"}).ok());  // by name too
  EXPECT_TRUE(no_ping(docker_.netns_of("stranger"), docker_.address_of("c1", "n1")));
  docker_.ask({"rm", "-f", "c1", "c2", "stranger"});
  docker_.ask({"network", "rm", "n1", "n2"});
  EXPECT_EQ(sandbox_.links(), before);
}

TEST_F(Docker, CarriesTrafficOnMacvlan) {
  sandbox_.ip("link add p0 type veth peer name p1");
  for (const char* end : {"p0", "p1"}) sandbox_.ip(std::string("link set up dev ") + end);
  const auto before = sandbox_.links();
  docker_.ask({"network", "create", "-d", "macvlan", "-o", "parent=p0", "--subnet", "10.5.0.0/24", "n1"});
  run_two(docker_, "n1");
  expect_both_reach_each_other(docker_, "n1");
  const std::string last = docker_.address_of("c2", "n1");
  docker_.ask({"stop", "c2"});
  EXPECT_TRUE(no_ping(docker_.netns_of("c1"), last));
  docker_.ask({"rm", "-f", "c1", "c2"});
  docker_.ask({"network", "rm", "n1"});
  EXPECT_EQ(sandbox_.links(), before);
}

TEST_F(Docker, SharesTheSandboxWithTheAgent) {
  sandbox_.add_netns("r1");
  const AgentProcess agent(sandbox_);
  agent.apply(R"(
version: 1
networks:
  lab: {driver: bridge}
attachments:
  r1: {network: lab, netns: r1, interface: eth0, addresses: [10.5.0.200/24]}
)");
  docker_.ask({"network", "create", "-d", "macvlan", "-o", "parent=lw-lab", "--subnet", "10.5.0.0/24", "n1"});
  run_two(docker_, "n1");
  expect_both_reach_each_other(docker_, "n1");
  EXPECT_TRUE(ping(docker_.netns_of("c1"), "10.5.0.200"));
  EXPECT_EQ(agent.get_json("/v1/networks/lab").at("status").at("phase"), "Ready");
}

TEST_F(Docker, StopsWithEverythingThatItStarted) {
  docker_.run_container("c1", {.network = "bridge"});
  for (const char* program : {"dockerd", "containerd", "containerd-shim-runc-v2", "busybox"})
    EXPECT_TRUE(wait_until([&] { return runs(program); })) << program << " is not in\n"
                                                           << list_of(other_processes());
  EXPECT_EQ(docker_.stop(), 0);
  EXPECT_TRUE(wait_until([] { return other_processes().empty(); })) << list_of(other_processes());
}

TEST_F(Docker, ContinuesAfterItWasKilled) {
  docker_.ask({"network", "create", "n1"});
  run_two(docker_, "n1");
  const std::string network = docker_.inspect("n1").at("Id");
  docker_.kill();
  EXPECT_TRUE(wait_until([] { return !runs("dockerd") && !runs("containerd"); }))
      << list_of(other_processes());
  EXPECT_TRUE(runs("containerd-shim-runc-v2"));
  EXPECT_THROW(docker_.api("GET", "/_ping"), HarnessError);
  docker_.start();
  EXPECT_EQ(docker_.inspect("n1").at("Id"), network);
  EXPECT_FALSE(docker_.is_running("c1"));
  docker_.ask({"start", "c1", "c2"});
  expect_both_reach_each_other(docker_, "n1");
}

TEST_F(Docker, RestartsWithoutItsContainers) {
  docker_.run_container("c1", {.network = "bridge"});
  docker_.restart();
  EXPECT_FALSE(docker_.is_running("c1"));
  docker_.ask({"start", "c1"});
  EXPECT_TRUE(docker_.is_running("c1"));
}

// --- live restore: containers outlive the daemon ---

class LiveRestore : public Docker {
 protected:
  LiveRestore() {
    docker_.stop();
    docker_.start({.live_restore = true});
    docker_.ask({"network", "create", "n1"});
    run_two(docker_, "n1");
    process_ = docker_.inspect("c1").at("State").at("Pid");
    stream_.emplace(docker_.netns_of("c1"), docker_.netns_of("c2"), docker_.address_of("c2", "n1"));
  }

  void expect_untouched() {
    EXPECT_EQ(stream_->stop().lost(), 0U);
    EXPECT_EQ(docker_.inspect("c1").at("State").at("Pid"), process_);
    EXPECT_TRUE(docker_.is_running("c2"));
  }

  pid_t process_ = 0;
  std::optional<Stream> stream_;
};

TEST_F(LiveRestore, KeepsContainersTalkingOverARestart) {
  docker_.restart();
  expect_untouched();
}

TEST_F(LiveRestore, KeepsContainersTalkingWhenTheDaemonIsKilled) {
  docker_.kill();
  docker_.start();
  expect_untouched();
}

// --- the end of the daemon object ---

TEST(DockerdObject, EndsTheContainersWithItself) {
  const Sandbox sandbox;
  {
    const Dockerd docker(sandbox, {.live_restore = true});
    docker.import_busybox();
    docker.run_container("c1", {.network = "bridge"});
    EXPECT_TRUE(wait_until([] { return runs("busybox"); }));
  }
  EXPECT_EQ(list_of(other_processes()), "");
}

TEST(DockerdObject, ContinuesWhereTheOneBeforeStopped) {
  const Sandbox sandbox;
  std::optional<Dockerd> docker(std::in_place, sandbox);
  docker->ask({"network", "create", "n1"});
  const std::string network = docker->inspect("n1").at("Id");
  docker.reset();
  docker.emplace(sandbox);
  EXPECT_EQ(docker->inspect("n1").at("Id"), network);
}

TEST(DockerdObject, TellsWhyItDoesNotStart) {
  const Sandbox sandbox;
  try {
    const Dockerd docker(sandbox, {.config = {{"no-such-key", true}}});
    FAIL() << "did not throw";
  } catch (const HarnessError& error) {
    EXPECT_NE(std::string(error.what()).find("no-such-key"), std::string::npos) << error.what();
  }
}

// --- plugins: whoever listens in the sandbox's plugin directory is the driver of that name ---

class PluginThatRefuses {
 public:
  PluginThatRefuses() {
    answer("/Plugin.Activate", R"({"Implements": ["NetworkDriver"]})");
    answer("/NetworkDriver.GetCapabilities", R"({"Scope": "local"})");
    answer("/NetworkDriver.CreateNetwork", R"({"Err": "not on a Sunday"})");
    std::filesystem::create_directories(Dockerd::plugin_directory());
    server_.set_address_family(AF_UNIX);
    server_.set_keep_alive_max_count(1);  // its end would wait for idle connections
    // The port is not used; zero would have the library ask which one it got.
    if (!server_.bind_to_port((Dockerd::plugin_directory() / "refusing.sock").c_str(), 80))
      throw HarnessError("cannot bind the plugin's socket");
    thread_ = std::jthread([this] { server_.listen_after_bind(); });
  }
  ~PluginThatRefuses() { server_.stop(); }
  PluginThatRefuses(const PluginThatRefuses&) = delete;
  PluginThatRefuses& operator=(const PluginThatRefuses&) = delete;

 private:
  void answer(const char* call, const char* body) {
    server_.Post(call, [body](const httplib::Request&, httplib::Response& response) {
      response.set_content(body, "application/vnd.docker.plugins.v1.2+json");
    });
  }

  httplib::Server server_;
  std::jthread thread_;
};

TEST_F(Docker, FindsPluginsInTheSandbox) {
  const PluginThatRefuses plugin;
  const Finished created = docker_.docker({"network", "create", "-d", "refusing", "n1"});
  EXPECT_NE(created.status, 0);
  EXPECT_NE(created.err.find("not on a Sunday"), std::string::npos) << created.text();
}

// --- what needs Debian's kernel; the guest runs it ---

// One daemon and two containers for all: emulated processors take long to start them.
class DockerOnDummy : public testing::Test {
 protected:
  struct Host {
    Sandbox sandbox;
    std::optional<Dockerd> docker;
  };

  static void SetUpTestSuite() {
    host_ = std::make_unique<Host>();
    lacking_ = lacking_kind();
    if (!lacking_.empty()) return;
    const Dockerd& docker = host_->docker.emplace(host_->sandbox);
    docker.import_busybox();
    run_two(docker, "bridge");
    // Its default route would be in the way of that of ipvlan.
    for (const char* container : {"c1", "c2"}) docker.ask({"network", "disconnect", "bridge", container});
  }
  static void TearDownTestSuite() { host_.reset(); }

  void SetUp() override {
    if (!lacking_.empty()) GTEST_SKIP() << "this kernel has no links of kind " << lacking_;
  }

  static std::string lacking_kind() {
    const Sandbox& sandbox = host_->sandbox;
    if (!sandbox.try_ip("link add try0 type dummy")) return "dummy";
    const bool ipvlan = sandbox.try_ip("link add link try0 name try1 type ipvlan");
    sandbox.ip("link del try0");
    return ipvlan ? "" : "ipvlan";
  }

  // Makes n1 with these options, plugs c1 and c2 in with these addresses, and takes all away again.
  static void expect_traffic(std::vector<std::string> options, const std::string& first,
                             const std::string& second) {
    const auto& [sandbox, docker] = *host_;
    const auto before = sandbox.links();
    options.insert(options.begin(), {"network", "create"});
    options.emplace_back("n1");
    docker->ask(options);
    docker->ask({"network", "connect", "--ip", first, "n1", "c1"});
    docker->ask({"network", "connect", "--ip", second, "n1", "c2"});
    EXPECT_EQ(docker->address_of("c2", "n1"), second);
    expect_both_reach_each_other(*docker, "n1");
    for (const char* container : {"c1", "c2"}) docker->ask({"network", "disconnect", "n1", container});
    EXPECT_TRUE(no_ping(docker->netns_of("c1"), second));
    docker->ask({"network", "rm", "n1"});
    EXPECT_EQ(sandbox.links(), before);
  }

  static std::unique_ptr<Host> host_;
  static std::string lacking_;
};

std::unique_ptr<DockerOnDummy::Host> DockerOnDummy::host_;
std::string DockerOnDummy::lacking_;

TEST_F(DockerOnDummy, CarriesTrafficOnMacvlanWithoutParent) {
  expect_traffic({"-d", "macvlan", "--subnet", "10.6.0.0/24"}, "10.6.0.2", "10.6.0.3");
}

TEST_F(DockerOnDummy, CarriesTrafficBetweenSubnetsOnIpvlanL3) {
  expect_traffic(
      {"-d", "ipvlan", "-o", "ipvlan_mode=l3", "--subnet", "10.7.0.0/24", "--subnet", "10.8.0.0/24"},
      "10.7.0.2", "10.8.0.2");
}

}  // namespace
}  // namespace lanwright::test
