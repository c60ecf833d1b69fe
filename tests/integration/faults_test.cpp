// What goes wrong around the product, and what it says and does then.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <thread>

#include "tests/integration/event_stream.h"
#include "tests/integration/harness.h"
#include "tests/integration/kernel_facts.h"
#include "tests/integration/product.h"
#include "tests/support/sanitized.h"

namespace lanwright::test {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr const char* kLan = R"(
version: 1
name: lan
networks:
  lan: {driver: bridge}
attachments:
  r1: {network: lan, netns: r1, interface: eth0, addresses: [10.1.0.1/24]}
  r2: {network: lan, netns: r2, interface: eth0, addresses: [10.1.0.2/24]}
)";

std::string bridges(const std::string& set, const std::string& prefix, int count) {
  std::string text = "version: 1\nname: " + set + "\nnetworks:\n";
  for (int i = 0; i < count; ++i) text += "  " + prefix + std::to_string(i) + ": {driver: bridge}\n";
  return text;
}

testing::AssertionResult says(const Finished& result, int status, const std::vector<std::string>& words) {
  if (result.status != status)
    return testing::AssertionFailure() << "expected status " << status << ": " << result.text();
  for (const std::string& word : words) {
    if (result.text().find(word) == std::string::npos)
      return testing::AssertionFailure() << "does not say \"" << word << "\": " << result.text();
  }
  return testing::AssertionSuccess();
}

HttpAnswer post(const AgentProcess& agent, const std::string& target, const std::string& yaml,
                std::vector<std::string> headers = {}) {
  headers.emplace_back("Content-Type: application/yaml");
  return http(agent.socket(), "POST", target, yaml, headers);
}

class Faults : public testing::Test {
 protected:
  Faults() {
    sandbox_.add_netns("r1");
    sandbox_.add_netns("r2");
  }

  Finished apply(const AgentProcess& agent, const std::string& yaml,
                 const std::vector<std::string>& more = {}) const {
    std::vector<std::string> command{"apply", "-f", sandbox_.write_file("given.yaml", yaml)};
    command.insert(command.end(), more.begin(), more.end());
    return agent.cli(command, {.limit = 120s});
  }

  Sandbox sandbox_;
};

// ---- the client and its way to the agent

TEST_F(Faults, WithoutAnAgentTheClientSaysSo) {
  const std::string socket = sandbox_.directory() / "no" / "api.sock";
  for (const auto& command : std::vector<std::vector<std::string>>{
           {"status"}, {"get", "networks"}, {"export"}, {"events"}, {"delete", "set", "lan"}}) {
    std::vector<std::string> line{client_program(), "--socket", socket};
    line.insert(line.end(), command.begin(), command.end());
    EXPECT_TRUE(says(run(line), 1, {socket, "cannot reach the agent", "start it", "lanwrightd"}))
        << command.front();
  }
  // A socket file on which nobody listens any more is the same to a user.
  AgentProcess agent(sandbox_);
  agent.kill();
  ASSERT_TRUE(fs::exists(agent.socket()));
  EXPECT_TRUE(says(agent.cli({"status"}), 1, {"cannot reach the agent", "start it", "lanwrightd"}));
  EXPECT_TRUE(
      says(run({client_program(), "status"}, {.environment = {"LANWRIGHT_SOCKET=" + socket}}), 1, {socket}));
}

TEST_F(Faults, DeniedTheSocketTheClientNamesTheGroup) {
  AgentOptions options;
  options.more = {"--group", "daemon"};  // one that every system has
  const AgentProcess agent(sandbox_, options);
  EXPECT_EQ(fs::status(agent.socket()).permissions(), fs::perms(0660));
  const auto status_as = [&](const std::string& group) {
    return run({"setpriv", "--reuid=65534", "--regid=65534", "--groups=" + group, client_program(),
                "--socket", agent.socket(), "status"});
  };
  EXPECT_TRUE(says(status_as("65534"), 1, {"Permission denied", "group daemon"}));
  EXPECT_TRUE(says(status_as("daemon"), 0, {}));
}

TEST_F(Faults, ASecondAgentOnTheSameStateIsRefused) {
  AgentProcess agent(sandbox_);
  const Finished second = run(
      {agent_program(), "--state-dir", agent.state_directory(), "--run-dir", sandbox_.directory() / "other"});
  EXPECT_TRUE(says(second, 1, {agent.state_directory(), std::to_string(agent.pid())}));
  const Finished same_socket =
      run({agent_program(), "--state-dir", sandbox_.directory() / "elsewhere", "--run-dir",
           sandbox_.directory() / "other", "--api-socket", agent.socket()});
  EXPECT_TRUE(says(same_socket, 1, {agent.socket()}));
  EXPECT_TRUE(agent.running());
  EXPECT_EQ(agent.get("/healthz").status, 200);
}

// Who can replace the files in them can have the agent do things in his place.
TEST_F(Faults, DirectoriesThatOthersMayWriteToAreRefused) {
  AgentOptions careless;
  careless.under = {"sh", "-c", "umask 000; exec \"$@\"", "sh"};
  const AgentProcess agent(sandbox_, careless);
  EXPECT_EQ(fs::status(agent.socket().parent_path()).permissions(), fs::perms(0755));

  const fs::path good = sandbox_.directory() / "good";
  const fs::path bad = sandbox_.directory() / "bad";
  for (const fs::path& each : {good, bad}) fs::create_directory(each);
  const auto both_refused = [&](const std::string& words) {
    EXPECT_TRUE(says(run({agent_program(), "--state-dir", bad, "--run-dir", good}), 1, {bad, words}));
    EXPECT_TRUE(says(run({agent_program(), "--state-dir", good, "--run-dir", bad}), 1, {bad, words}));
  };
  fs::permissions(bad, fs::perms(0775));
  both_refused("others may write to it");
  fs::permissions(bad, fs::perms(0755));
  ASSERT_EQ(::chown(bad.c_str(), 65534, 65534), 0);
  both_refused("it belongs to user 65534");
}

TEST_F(Faults, WrongCommandLinesAreUsageErrors) {
  const auto file = sandbox_.write_file("lan.yaml", kLan);
  for (const auto& command : std::vector<std::vector<std::string>>{
           {client_program()},
           {client_program(), "--bogus"},
           {client_program(), "nosuch"},
           {client_program(), "apply"},
           {client_program(), "apply", "-f", file, "--wait=soon"},
           {client_program(), "apply", "-f", file, "--bogus"},
           {client_program(), "get", "cats"},
           {client_program(), "get"},
           {client_program(), "get", "networks", "-o", "xml"},
           {client_program(), "describe", "network"},
           {client_program(), "delete", "network"},
           {client_program(), "status", "--wait", "ready"},
           {agent_program(), "--bogus"},
           {agent_program(), "--netlink-buffer", "many"},
           {agent_program(), "--log-level", "loud"},
           {agent_program(), "surplus"},
       }) {
    const Finished result = run(command);
    EXPECT_EQ(result.status, 2) << command.back() << ": " << result.text();
    EXPECT_FALSE(result.err.empty()) << command.back();
  }
  EXPECT_EQ(run({client_program(), "--help"}).status, 0);
  EXPECT_EQ(run({client_program(), "apply", "--help"}).status, 0);
  EXPECT_EQ(run({agent_program(), "--version"}).status, 0);
}

// ---- files that are wrong

TEST_F(Faults, ABadFileChangesNothing) {
  const AgentProcess agent(sandbox_);
  const std::string bad =
      "version: 1\nname: lan\nnetworks:\n  good: {driver: bridge}\n"
      "  bad: {driver: bridge, bridge: {stpp: true}}\n  worse: {driver: brigde}\n";
  EXPECT_TRUE(says(apply(agent, bad), 1,
                   {"given.yaml:5:", "stpp", "did you mean", "stp", "given.yaml:6:", "brigde", "^"}));
  const HttpAnswer answer = post(agent, "/v1/apply", bad);
  EXPECT_EQ(answer.status, 422) << answer.body;
  EXPECT_EQ(answer.headers.at("content-type"), "application/problem+json");
  EXPECT_NE(answer.body.find("stpp"), std::string::npos);

  const auto good = sandbox_.write_file("good.yaml", bridges("good", "g", 2));
  const auto wrong = sandbox_.write_file("wrong.yaml", bad);
  EXPECT_EQ(agent.cli({"apply", "-f", good, "-f", wrong}).status, 1);
  EXPECT_EQ(agent.cli({"apply", "-f", good, sandbox_.directory() / "missing.yaml"}).status, 1);
  EXPECT_EQ(agent.get_json("/v1/sets"), Json::array());
  EXPECT_EQ(sandbox_.links(), std::vector<std::string>{});
  EXPECT_EQ(agent.metric("netlink_writes_total"), 0U);
}

TEST_F(Faults, WhatCannotBeTogetherIsRefusedAsAWhole) {
  const AgentProcess agent(sandbox_);
  agent.apply(bridges("first", "x", 2));
  const Json before = facts_of(sandbox_);
  // An object of another set, a link that another object wants, a network that does not exist.
  EXPECT_TRUE(says(apply(agent, bridges("second", "x", 1)), 1, {"network x0", "first"}));
  EXPECT_TRUE(says(apply(agent,
                         "version: 1\nname: second\nnetworks:\n  free: {driver: bridge}\n"
                         "  y: {driver: bridge, bridge: {name: lw-x0}}\n"),
                   1, {"lw-x0", "network x0"}));
  EXPECT_TRUE(says(apply(agent, "version: 1\nname: second\nattachments:\n  a: {network: nosuch, tap: {}}\n"),
                   1, {"nosuch"}));
  EXPECT_EQ(agent.get_json("/v1/sets").size(), 1U);
  EXPECT_EQ(differences(before, facts_of(sandbox_)), "");
}

TEST_F(Faults, HostileFilesAreRefusedInBoundedTime) {
  AgentProcess agent(sandbox_);
  std::string bomb = "version: 1\na: &a [x, x, x, x, x, x, x, x, x, x]\n";
  for (char name = 'b'; name < 'k'; ++name) {
    const std::string before(1, static_cast<char>(name - 1));
    bomb += std::string(1, name) + ": &" + name + " [";
    for (int i = 0; i < 10; ++i) bomb += (i == 0 ? "*" : ", *") + before;
    bomb += "]\n";
  }
  const std::vector<std::pair<std::string, std::string>> files{
      {"alias bomb", bomb},
      {"cycle", "version: 1\nnetworks: &n {lan: *n}\n"},
      {"deep", "version: 1\nnetworks: " + std::string(100'000, '[')},
      {"deep and closed", "version: 1\nnetworks: " + std::string(50'000, '[') + std::string(50'000, ']')},
      {"huge", "version: 1\nname: " + std::string(9U << 20U, 'x')},
      {"not text", std::string("\x00\x01\xff\xfe", 4)},
      {"not YAML", "version: 1\n\tnetworks: {: [}\n"},
      {"two documents", "version: 1\n---\nversion: 1\n"},
      {"empty", " "},
      {"many mistakes",
       [] {
         std::string text = "version: 1\nnetworks:\n";
         for (int i = 0; i < 20'000; ++i) text += "  n" + std::to_string(i) + ": {drivr: bridge}\n";
         return text;
       }()},
  };
  for (const auto& [name, text] : files) {
    SCOPED_TRACE(name);
    const auto began = Clock::now();
    const Finished refused = apply(agent, text);
    EXPECT_EQ(refused.status, 1);
    EXPECT_NE(refused.err.find("given.yaml"), std::string::npos) << refused.err.substr(0, 1000);
    EXPECT_LT(refused.err.size(), 200'000U) << "nobody reads that";
    const HttpAnswer answer = post(agent, "/v1/apply", text);
    EXPECT_GE(answer.status, 400);
    EXPECT_LT(answer.status, 500) << answer.body.substr(0, 1000);
    EXPECT_LT(Clock::now() - began, 10s);
  }
  EXPECT_TRUE(agent.running());
  EXPECT_EQ(agent.get_json("/v1/sets"), Json::array());
}

// ---- requests against each other

TEST_F(Faults, AStaleGenerationIsAConflict) {
  const AgentProcess agent(sandbox_);
  agent.apply(bridges("fleet", "x", 1));
  const auto generation = agent.get_json("/v1/sets/fleet").at("generation").get<std::uint64_t>();
  agent.apply(bridges("fleet", "x", 2));
  const auto if_match = [&](std::uint64_t wanted) {
    return post(agent, "/v1/apply", bridges("fleet", "x", 3),
                {"If-Match: \"" + std::to_string(wanted) + "\""});
  };
  const HttpAnswer stale = if_match(generation);
  EXPECT_EQ(stale.status, 409) << stale.body;
  EXPECT_EQ(agent.get_json("/v1/networks").size(), 2U);
  EXPECT_TRUE(says(apply(agent, bridges("fleet", "x", 3), {"--if-generation", std::to_string(generation)}), 1,
                   {"generation"}));
  EXPECT_TRUE(says(apply(agent, bridges("fleet", "x", 3), {"--if-generation", "0"}), 1, {"generation"}));
  EXPECT_EQ(if_match(agent.get_json("/v1/sets/fleet").at("generation")).status, 200);
  EXPECT_EQ(agent.get_json("/v1/networks").size(), 3U);
}

TEST_F(Faults, TwoAppliesAtOnceDoNotMix) {
  const AgentProcess agent(sandbox_);
  std::vector<Finished> results(4);
  {
    const auto odd = sandbox_.write_file("odd.yaml", bridges("same", "odd", 30));
    const auto even = sandbox_.write_file("even.yaml", bridges("same", "even", 30));
    const auto other = sandbox_.write_file("other.yaml", bridges("other", "z", 10));
    const std::vector<fs::path> files{odd, even, other, odd};
    std::vector<std::jthread> clients;
    for (std::size_t i = 0; i < files.size(); ++i) {
      clients.emplace_back([&, i] { results[i] = agent.cli({"apply", "-f", files.at(i)}, {.limit = 60s}); });
    }
  }
  for (const Finished& result : results) EXPECT_TRUE(result.ok()) << result.text();
  ASSERT_TRUE(converges(agent, "60s"));
  int odd = 0;
  int even = 0;
  for (const std::string& name : sandbox_.links()) {
    odd += name.starts_with("lw-odd") ? 1 : 0;
    even += name.starts_with("lw-even") ? 1 : 0;
  }
  EXPECT_EQ(odd + even, 30);
  EXPECT_TRUE(odd == 0 || even == 0) << odd << " and " << even;
  EXPECT_EQ(agent.get_json("/v1/networks?set=other").size(), 10U);
}

// ---- the database

TEST_F(Faults, ADamagedDatabaseIsSetAsideAndNothingIsRemoved) {
  AgentProcess agent(sandbox_);
  agent.apply(kLan);
  ASSERT_EQ(agent.stop(), 0);
  const fs::path database = agent.state_directory() / "lanwright.db";
  {
    std::fstream file(database, std::ios::in | std::ios::out | std::ios::binary);
    const auto size = static_cast<std::streamoff>(fs::file_size(database));
    ASSERT_GT(size, 8192);
    file.seekp(100);
    file << std::string(static_cast<std::size_t>(size - 100), '\x5a');
  }
  const Json before = facts_of_all(sandbox_, {"", "r1", "r2"});
  {
    const AgentProcess again(sandbox_);
    EXPECT_NE(again.log().find("damaged"), std::string::npos) << again.log();
    const Json status = again.get_json("/v1/status");
    EXPECT_NE(status.value("storeNotice", "").find("--adopt"), std::string::npos) << status.dump(2);
    EXPECT_EQ(status.at("orphans"), 3);  // on the host; it does not know yet that r1 and r2 concern it
    EXPECT_EQ(again.metric("netlink_writes_total"), 0U);
    EXPECT_EQ(differences(before, facts_of_all(sandbox_, {"", "r1", "r2"})), "");
    EXPECT_TRUE(ping("r1", "10.1.0.2"));

    EXPECT_TRUE(apply(again, kLan).ok());
    EXPECT_TRUE(reaches(again, "networks", "lan", "Conflict"));
    EXPECT_EQ(differences(before, facts_of_all(sandbox_, {"", "r1", "r2"})), "");

    EXPECT_TRUE(says(apply(again, kLan, {"--adopt", "--wait"}), 0, {"Ready"}));
    EXPECT_EQ(sandbox_.link("lw-lan")->at("ifindex"),
              before.at("host").at("links").at("lw-lan").at("ifindex"));
    EXPECT_EQ(sandbox_.link("eth0", "r1")->at("ifindex"),
              before.at("r1").at("links").at("eth0").at("ifindex"));
    EXPECT_EQ(again.get_json("/v1/status").at("orphans"), 0);
    EXPECT_TRUE(ping("r1", "10.1.0.2"));
  }
  int kept = 0;
  for (const auto& entry : fs::directory_iterator(agent.state_directory()))
    kept += entry.path().filename().string().find("damaged") != std::string::npos ? 1 : 0;
  EXPECT_GE(kept, 1);
}

// Takes all room of the file system.
void fill_up(const fs::path& ballast) {
  const Fd file(open(ballast.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600), "open ballast");
  const std::string block(4096, 'x');
  while (write(file.get(), block.data(), block.size()) > 0) {
  }
  if (errno != ENOSPC) fail_errno("fill " + ballast.string());
}

TEST_F(Faults, AFullDiskRefusesChangesAndNothingElse) {
  const fs::path state = sandbox_.directory() / "agent" / "state";
  fs::create_directories(state);
  ASSERT_EQ(mount("tmpfs", state.c_str(), "tmpfs", 0, "size=2m,mode=0700"), 0);
  const AgentProcess agent(sandbox_);
  agent.apply(kLan);
  EventStream events(agent);

  const fs::path ballast = state / "ballast";
  fill_up(ballast);
  const std::string more = bridges("more", "m", 2000);
  const HttpAnswer answer = post(agent, "/v1/apply", more);
  EXPECT_EQ(answer.status, 507) << answer.body;
  EXPECT_NE(answer.body.find("full"), std::string::npos) << answer.body;
  EXPECT_TRUE(says(apply(agent, more), 1, {"full"}));
  EXPECT_EQ(agent.get_json("/v1/sets").size(), 1U);
  EXPECT_FALSE(sandbox_.link("lw-m0"));

  sandbox_.ip("link set lw-r1 mtu 1400");
  sandbox_.ip("-n r2 link del eth0");
  events.expect("Repaired", "attachment r1");
  events.expect("Repaired", "attachment r2");
  EXPECT_TRUE(ping("r1", "10.1.0.2"));

  fs::remove(ballast);
  EXPECT_TRUE(says(apply(agent, bridges("more", "m", 3), {"--wait"}), 0, {"Ready"}));
  EXPECT_TRUE(sandbox_.link("lw-m0"));
  EXPECT_TRUE(agent.running());
}

// Where Docker put a link cannot be written down while there is no room, and is not forgotten.
TEST_F(Faults, WhereDockersLinksWentIsStoredWhenTheDiskHasRoomAgain) {
  const fs::path state = sandbox_.directory() / "agent" / "state";
  fs::create_directories(state);
  ASSERT_EQ(mount("tmpfs", state.c_str(), "tmpfs", 0, "size=2m,mode=0700"), 0);
  const AgentProcess agent(sandbox_);
  const std::string network(64, 'a');
  const std::string endpoint(64, 'e');
  const auto docker = [&](const std::string& call, Json body) {
    body["NetworkID"] = network;
    return Json::parse(
        http(agent.docker_socket("lanwright-bridge"), "POST", "/NetworkDriver." + call, body.dump()).body);
  };
  ASSERT_EQ(docker("CreateNetwork", {{"Options", Json::object()}}), Json::object());
  docker("CreateEndpoint", {{"EndpointID", endpoint}, {"Interface", {{"Address", "10.5.0.2/24"}}}});
  const Json joined = docker("Join", {{"EndpointID", endpoint}, {"SandboxKey", "/run/netns/r1"}});
  const std::string link = joined.at("InterfaceName").at("SrcName");

  fill_up(state / "ballast");
  for (int i = 0; apply(agent, bridges("s" + std::to_string(i), "s" + std::to_string(i) + "-", 1)).ok(); ++i)
    ASSERT_LT(i, 1000) << "the log of the database has room";
  sandbox_.ip("link set " + link + " netns r1 name eth7");
  sandbox_.ip("-n r1 link set eth7 up");
  ASSERT_TRUE(wait_until([&] { return agent.log().find("is not stored") != std::string::npos; }));
  const auto interface = [&] {
    return object_of(agent, "attachments", endpoint.substr(0, 12)).at("spec").value("interface", "");
  };
  EXPECT_EQ(interface(), "");
  fs::remove(state / "ballast");
  EXPECT_TRUE(wait_until([&] { return interface() == "eth7"; }));
  sandbox_.ip("-n r1 link del eth7");
  EXPECT_TRUE(wait_until([&] { return sandbox_.link("eth7", "r1").has_value(); }));
}

// ---- the kernel

// What makes taps is hidden from the agent, on any kernel: a tmpfs over its directory, in the sandbox's own
// mounts.
class NoTun {
 public:
  NoTun() {
    if (mount("tmpfs", "/dev/net", "tmpfs", 0, nullptr) != 0) fail_errno("hide /dev/net");
  }
  ~NoTun() { umount("/dev/net"); }
  NoTun(const NoTun&) = delete;
  NoTun& operator=(const NoTun&) = delete;
};

TEST_F(Faults, AHostWithoutTapsHoldsUpOnlyWhatNeedsThem) {
  std::optional<NoTun> missing(std::in_place);
  const AgentProcess agent(sandbox_);
  EventStream events(agent);
  ASSERT_TRUE(apply(agent, std::string(kLan) + "  vm: {network: lan, tap: {name: tap-vm}}\n").ok());
  events.expect("Failed", "attachment vm");
  EXPECT_TRUE(reaches(agent, "attachments", "r2", "Ready"));
  EXPECT_TRUE(reaches(agent, "networks", "lan", "Ready"));
  EXPECT_TRUE(ping("r1", "10.1.0.2"));

  const Json vm = object_of(agent, "attachments", "vm");
  EXPECT_EQ(vm.at("status").at("phase"), "Retrying") << vm.dump(2);
  EXPECT_TRUE(vm.at("status").contains("nextTry"));
  const Json& error = vm.at("status").at("lastError");
  EXPECT_EQ(error.at("errno"), EOPNOTSUPP);
  for (const char* word : {"/dev/net/tun", "tap-vm"})
    EXPECT_NE(error.dump().find(word), std::string::npos) << error;
  EXPECT_TRUE(says(agent.cli({"status", "--wait", "converged=300ms"}), 4, {}));

  missing.reset();
  events.expect("Ready", "attachment vm");
  EXPECT_TRUE(sandbox_.link("tap-vm"));
  EXPECT_TRUE(converges(agent));
}

TEST_F(Faults, RepeatedFailuresBackOff) {
  const NoTun missing;
  const AgentProcess agent(sandbox_);
  const std::string tap = "networks:\n  lan: {driver: bridge}\nattachments:\n  vm: {network: lan, tap: {}}\n";
  ASSERT_TRUE(apply(agent, "version: 1\n" + tap).ok());
  const auto failures = [&] { return agent.metric("action_failures_total"); };
  ASSERT_TRUE(wait_until([&] { return phase_of(agent, "attachments", "vm") == "Retrying"; }));
  ASSERT_TRUE(wait_until([&] { return failures() >= 5; }, 20s));
  const auto began = Clock::now();
  const auto before = failures();
  ASSERT_TRUE(wait_until([&] { return failures() > before; }, 30s));
  EXPECT_GT(Clock::now() - began, 500ms) << "the sixth try comes 0.8 to 1.6 s after the fifth";
}

// ---- signals

TEST_F(Faults, SighupReadsEverythingAnew) {
  AgentProcess agent(sandbox_);
  agent.apply(kLan);
  const auto resyncs = [&] {
    const Json counters = agent.get_json("/v1/status").at("counters");
    return counters.value("resyncs_total", std::uint64_t{0});
  };
  const auto before = resyncs();
  const auto writes = agent.metric("netlink_writes_total");
  agent.signal(SIGHUP);
  EXPECT_TRUE(agent.wait_notified("RELOADING=1"));
  EXPECT_TRUE(agent.wait_notified("READY=1"));
  EXPECT_EQ(resyncs(), before + 1);
  ASSERT_TRUE(converges(agent));
  EXPECT_EQ(agent.metric("netlink_writes_total"), writes);
  EXPECT_EQ(phase_of(agent, "attachments", "r1"), "Ready");
}

// Whoever listens to sd_notify(3) may be slow or stopped; the kernel then queues a few messages and no more.
TEST_F(Faults, ASupervisorThatDoesNotListenHoldsUpNothing) {
  AgentProcess agent(sandbox_);
  agent.apply(kLan);
  EventStream events(agent);
  for (int round = 1; round <= 40; ++round) {
    agent.signal(SIGHUP);
    const HttpAnswer answer = http(agent.socket(), "GET", "/v1/status", {}, {}, 5s);
    ASSERT_EQ(answer.status, 200) << "after " << round << " reloads: " << answer.body;
  }
  sandbox_.ip("link set lw-r1 mtu 1400");
  events.expect("Repaired", "attachment r1");
}

TEST_F(Faults, SighupReadsTheConfigurationAnew) {
  const auto config = sandbox_.write_file("lanwrightd.conf", "audit-minutes = 5\n");
  AgentOptions options;
  options.more = {"--config", config};
  AgentProcess agent(sandbox_, options);
  sandbox_.write_file("lanwrightd.conf", "no-such-option = 5\n");
  agent.signal(SIGHUP);
  EXPECT_TRUE(agent.wait_notified("RELOADING=1"));
  EXPECT_TRUE(agent.wait_notified("READY=1"));
  EXPECT_NE(agent.log().find("no-such-option"), std::string::npos) << agent.log();
  EXPECT_TRUE(agent.running());
}

TEST_F(Faults, AWrongConfigurationIsAUsageError) {
  const auto config = sandbox_.write_file("lanwrightd.conf", "no-such-option = 5\n");
  EXPECT_TRUE(says(run({agent_program(), "--config", config}), 2, {"no-such-option"}));
}

TEST_F(Faults, SigtermLeavesTheDataPath) {
  AgentProcess agent(sandbox_);
  agent.apply(kLan);
  const Json before = facts_of_all(sandbox_, {"", "r1", "r2"});
  EventStream events(agent);  // an open stream must not hold it up
  Stream stream("r1", "r2", "10.1.0.2");
  const auto began = Clock::now();
  agent.signal(SIGTERM);
  EXPECT_TRUE(agent.wait_notified("STOPPING=1"));
  EXPECT_EQ(agent.wait(20s), 0);
  EXPECT_LT(Clock::now() - began, 5s);
  EXPECT_FALSE(fs::exists(agent.socket()));
  const AgentProcess again(sandbox_);
  ASSERT_TRUE(converges(again));
  const StreamCount count = stream.stop();
  EXPECT_EQ(count.lost(), 0U);
  EXPECT_GT(count.sent, 0U);
  EXPECT_EQ(differences(before, facts_of_all(sandbox_, {"", "r1", "r2"})), "");
}

// As many threads as there is room for, each with a stack of a GiB: none of the steps of the start may end
// the agent otherwise than with words.
TEST(Threads, ThatCannotBeMadeAreToldAtTheStart) {
  if (kAddressSanitized) GTEST_SKIP() << "its shadow needs more addresses than are left";
  const Sandbox sandbox;
  int refused = 0;
  bool ready = false;
  for (int room = 1; !ready; room += 2) {
    ASSERT_LT(room, 64) << "it has fewer threads";
    AgentOptions options;
    options.name = "agent" + std::to_string(room);
    options.under = {"prlimit", "--stack=" + std::to_string(1ULL << 30U),
                     "--as=" + std::to_string((2ULL * static_cast<unsigned>(room) + 1) << 29U)};
    options.wait_ready = false;
    AgentProcess agent(sandbox, options);
    ready = agent.wait_notified("READY=1");
    if (ready) {
      EXPECT_EQ(agent.stop(), 0);
      break;
    }
    EXPECT_EQ(agent.wait(10s), 1) << "room for " << room << "\n" << agent.log();
    EXPECT_NE(agent.log().find("Resource temporarily unavailable"), std::string::npos) << agent.log();
    ++refused;
  }
  EXPECT_GT(refused, 3);
}

}  // namespace
}  // namespace lanwright::test
