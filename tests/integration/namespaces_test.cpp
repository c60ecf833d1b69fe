// Network namespaces come and go; attachments follow them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <iostream>
#include <thread>

#include "tests/integration/event_stream.h"
#include "tests/integration/harness.h"
#include "tests/integration/kernel_facts.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kLan = R"(
version: 1
name: lan
networks:
  lan: {driver: bridge}
attachments:
  here: {network: lan, netns: r1, interface: eth0, addresses: [10.1.0.1/24]}
  there:
    network: lan
    netns: r2
    interface: eth0
    addresses: [10.1.0.2/24, "fd01::2/64"]
    routes: [{to: default, via: 10.1.0.1}, {to: "fd99::/64", via: "fd01::1"}]
)";

std::string attachment(const std::string& name, const std::string& netns, const std::string& interface,
                       const std::string& address) {
  return "  " + name + ": {network: lan, netns: " + netns + ", interface: " + interface + ", addresses: [" +
         address + "]}\n";
}

std::string lan(const std::string& attachments) {
  return "version: 1\nname: lan\nnetworks:\n  lan: {driver: bridge}\nattachments:\n" + attachments;
}

Milliseconds since(Clock::time_point when) {
  return std::chrono::duration_cast<Milliseconds>(Clock::now() - when);
}

class Namespaces : public testing::Test {
 protected:
  void apply(const std::string& yaml) const {
    const Finished applied = agent_.cli({"apply", "-f", sandbox_.write_file("set.yaml", yaml)});
    ASSERT_TRUE(applied.ok()) << applied.text();
  }

  Sandbox sandbox_;
  AgentProcess agent_{sandbox_};
};

// Somebody waits at a FIFO for a reader: to look whether it is a namespace is not to read it.
TEST_F(Namespaces, WhatIsNoneIsNotOpened) {
  const std::string fifo = sandbox_.directory() / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  std::promise<int> opened;
  auto descriptor = opened.get_future();
  std::jthread writer([&] { opened.set_value(::open(fifo.c_str(), O_WRONLY | O_CLOEXEC)); });
  apply(lan(attachment("here", fifo, "eth0", "10.1.0.1/24")));
  EXPECT_TRUE(reaches(agent_, "attachments", "here", "Pending"));
  EXPECT_NE(message_of(agent_, "attachments", "here").find("there is no network namespace"),
            std::string::npos)
      << message_of(agent_, "attachments", "here");
  agent_.signal(SIGHUP);
  ASSERT_TRUE(agent_.wait_notified("RELOADING=1"));
  ASSERT_TRUE(agent_.wait_notified("READY=1"));
  EXPECT_EQ(descriptor.wait_for(0s), std::future_status::timeout) << "the writer was let through";
  const Fd reader(::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC), fifo);
  ::close(descriptor.get());
}

TEST_F(Namespaces, AreWaitedForAndComeBack) {
  sandbox_.add_netns("r1");
  EventStream events(agent_);
  apply(kLan);
  events.expect("Pending", "attachment there", "/run/netns/r2");
  EXPECT_EQ(phase_of(agent_, "attachments", "there"), "Pending");
  EXPECT_NE(message_of(agent_, "attachments", "there").find("no network namespace /run/netns/r2"),
            std::string::npos);
  EXPECT_TRUE(reaches(agent_, "attachments", "here", "Ready")) << "only what needs it waits";
  EXPECT_FALSE(sandbox_.link("lw-there"));
  EXPECT_TRUE(converges(agent_)) << "what waits for something outside does not hold up the host";

  events.pass_over();
  sandbox_.ip("netns add r2");
  auto began = Clock::now();
  events.expect("Ready", "attachment there");
  std::cout << "  attached " << since(began).count() << " ms after the namespace appeared\n";
  EXPECT_LT(since(began), 1s);
  EXPECT_TRUE(ping("r1", "10.1.0.2"));
  EXPECT_TRUE(tcp("r2", "r1", "10.1.0.1"));
  const Json before = without_indexes(facts_of(sandbox_, "r2"));
  EXPECT_EQ(before.at("links").at("eth0").at("addr_info").size(), 2U) << before.dump(2);

  for (int round = 0; round < 3; ++round) {
    events.pass_over();
    LinkWatcher watcher;
    sandbox_.delete_netns("r2");
    events.expect("Pending", "attachment there", "/run/netns/r2");
    const std::vector<std::string> rest{"lw-here",
                                        "lw-lan"};  // the kernel takes a namespace down in its own time
    EXPECT_TRUE(watcher.wait_until([&] { return sandbox_.links() == rest; }, 30s));
    EXPECT_EQ(phase_of(agent_, "attachments", "here"), "Ready");

    events.pass_over();
    sandbox_.ip("netns add r2");
    began = Clock::now();
    events.expect("Ready", "attachment there");
    EXPECT_LT(since(began), 1s);
    EXPECT_TRUE(ping("r1", "10.1.0.2"));
    const auto same = [&] { return without_indexes(facts_of(sandbox_, "r2")) == before; };
    EXPECT_TRUE(wait_until(same)) << differences(before, without_indexes(facts_of(sandbox_, "r2")));
  }
}

TEST_F(Namespaces, ThatAreReplacedAreNotTakenForTheOldOnes) {
  sandbox_.add_netns("r1");
  sandbox_.add_netns("r2");
  agent_.apply(kLan);
  EventStream events(agent_);
  sandbox_.ip("-batch " + sandbox_.write_file("batch", "netns del r2\nnetns add r2\n").string());
  EXPECT_TRUE(wait_until([&] { return sandbox_.link("eth0", "r2").has_value(); }));
  ASSERT_TRUE(converges(agent_));
  EXPECT_TRUE(ping("r1", "10.1.0.2"));
}

TEST_F(Namespaces, OfAProcessAreFoundByPath) {
  sandbox_.add_netns("r1");
  const auto own = [](const std::string& path) {
    struct stat info {};
    return stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
  };
  const pid_t process = spawn({{"unshare", "--net", "sleep", "600"}, "", {}, -1, -1, -1});
  const std::string path = "/proc/" + std::to_string(process) + "/ns/net";
  ASSERT_TRUE(wait_until([&] { return own(path) != own("/proc/thread-self/ns/net"); }));

  agent_.apply(lan(attachment("here", "r1", "eth0", "10.1.0.1/24") +
                   attachment("process", path, "eth0", "10.1.0.2/24")));
  EXPECT_TRUE(ping("r1", "10.1.0.2"));
  EXPECT_TRUE(tcp("r1", path, "10.1.0.2"));

  kill(process, SIGKILL);
  ASSERT_TRUE(wait_exit(process, 10s));
  EXPECT_TRUE(reaches(agent_, "attachments", "process", "Pending"));
  EXPECT_NE(message_of(agent_, "attachments", "process").find(path), std::string::npos);
  EXPECT_TRUE(wait_until([&] { return !sandbox_.link("lw-process"); }))
      << "the port of the dead process is left";
  EXPECT_EQ(phase_of(agent_, "attachments", "here"), "Ready");
}

TEST_F(Namespaces, AreTheSameByWhicheverPath) {
  sandbox_.add_netns("r1");
  const pid_t process = spawn({{"sleep", "600"}, "r1", {}, -1, -1, -1});
  const std::string of_process = "/proc/" + std::to_string(process) + "/ns/net";
  ASSERT_EQ(symlink("/run/netns/r1", "/run/link"), 0);
  const auto is_in_r1 = [&] {
    return run({"ip", "netns", "identify", std::to_string(process)}).out == "r1\n";
  };
  ASSERT_TRUE(wait_until(is_in_r1));
  agent_.apply(lan(attachment("a", "r1", "eth0", "10.1.0.1/24")));
  const Json before = *sandbox_.link("eth0", "r1");
  for (const std::string& path :
       {std::string("/var/run/netns/r1"), std::string("/run/link"), of_process, std::string("r1")}) {
    SCOPED_TRACE(path);
    const std::string text = lan(attachment("a", path, "eth0", "10.1.0.1/24"));
    agent_.apply(text);
    EXPECT_EQ(*sandbox_.link("eth0", "r1"), before);
    EXPECT_EQ(agent_.cli({"plan", "-f", sandbox_.write_file("again.yaml", text)}).out, "nothing to do\n");
  }
  // Two by two paths.
  const std::string route = "10.1.0.2/24], routes: [{to: default, via: 10.1.0.9}";
  apply(lan(attachment("a", "r1", "eth0", "10.1.0.1/24], routes: [{to: default, via: 10.1.0.8}") +
            attachment("b", of_process, "eth1", route)));
  ASSERT_TRUE(reaches(agent_, "attachments", "a", "Ready"));
  ASSERT_TRUE(reaches(agent_, "attachments", "b", "Conflict"));
  EXPECT_NE(message_of(agent_, "attachments", "b").find("attachment a declares the route"),
            std::string::npos);
  apply(lan(attachment("a", "r1", "eth0", "10.1.0.1/24") + attachment("b", of_process, "eth1", route)));
  EXPECT_TRUE(reaches(agent_, "attachments", "b", "Ready")) << "what stood in its way is gone";
}

// As container tools show the namespaces of their processes.
TEST_F(Namespaces, AreFoundBySymbolicLinks) {
  EventStream events(agent_);
  apply(lan(attachment("a", "lab-r1", "eth0", "10.1.0.1/24")));
  events.expect("Pending", "attachment a", "lab-r1");
  const auto another = [] {
    const pid_t process = spawn({{"unshare", "--net", "sleep", "600"}, "", {}, -1, -1, -1});
    return "/proc/" + std::to_string(process) + "/ns/net";
  };
  const auto links_in = [&](const std::string& path) {
    return run({"nsenter", "--net=" + path, "ip", "-brief", "link"}).out;
  };
  const std::string first = another();
  const std::string second = another();
  const auto is_apart = [&](const std::string& path) {
    return std::filesystem::read_symlink(path) != std::filesystem::read_symlink("/proc/self/ns/net");
  };
  ASSERT_TRUE(wait_until([&] { return is_apart(first) && is_apart(second); }));

  ASSERT_EQ(symlink(first.c_str(), "/run/netns/lab-r1"), 0);
  events.expect("Ready", "attachment a", {}, 0, 5s);
  EXPECT_NE(links_in(first).find("eth0"), std::string::npos);

  ASSERT_EQ(symlink(second.c_str(), "/run/netns/new"), 0);
  std::filesystem::rename("/run/netns/new", "/run/netns/lab-r1");
  EXPECT_TRUE(wait_until([&] { return links_in(second).find("eth0") != std::string::npos; }));
  EXPECT_EQ(links_in(first).find("eth0"), std::string::npos) << "and it is gone from where it was";

  events.pass_over();
  std::filesystem::remove("/run/netns/lab-r1");
  events.expect("Pending", "attachment a", "lab-r1");
}

TEST_F(Namespaces, HoldSeveralAttachments) {
  sandbox_.add_netns("r1");
  sandbox_.add_netns("router");
  std::string text =
      "version: 1\nname: lan\nnetworks:\n  lan: {driver: bridge}\n  wan: {driver: bridge}\nattachments:\n" +
      attachment("r1", "r1", "eth0", "10.1.0.1/24") +
      attachment("router-lan", "router", "eth0", "10.1.0.2/24") +
      attachment("router-lan2", "router", "eth1", "10.2.0.2/24");
  text += "  router-wan: {network: wan, netns: router, interface: eth2, addresses: [10.3.0.2/24]}\n";
  agent_.apply(text);
  EXPECT_EQ(sandbox_.links("router"), (std::vector<std::string>{"eth0", "eth1", "eth2"}));
  EXPECT_TRUE(ping("r1", "10.1.0.2"));

  EventStream events(agent_);
  sandbox_.ip("-n router link del eth1");
  events.expect("Repaired", "attachment router-lan2");
  EXPECT_EQ(sandbox_.links("router"), (std::vector<std::string>{"eth0", "eth1", "eth2"}));

  events.pass_over();
  sandbox_.delete_netns("router");
  for (const char* name : {"router-lan", "router-lan2", "router-wan"})
    events.expect("Pending", std::string("attachment ") + name);
  sandbox_.add_netns("router");
  ASSERT_TRUE(converges(agent_));
  EXPECT_TRUE(wait_until([&] { return sandbox_.links("router").size() == 3; }));
  EXPECT_TRUE(ping("r1", "10.1.0.2"));
}

TEST_F(Namespaces, AnAttachmentMovesBetweenThem) {
  for (const char* netns : {"r1", "r2", "r3"}) sandbox_.add_netns(netns);
  agent_.apply(lan(attachment("fixed", "r1", "eth0", "10.1.0.1/24") +
                   attachment("nomad", "r2", "eth0", "10.1.0.2/24")));
  const Json before = *sandbox_.link("eth0", "r2");
  EXPECT_TRUE(ping("r1", "10.1.0.2"));
  agent_.apply(lan(attachment("fixed", "r1", "eth0", "10.1.0.1/24") +
                   attachment("nomad", "r3", "eth9", "10.1.0.2/24")));
  EXPECT_EQ(sandbox_.links("r2"), std::vector<std::string>{});
  EXPECT_EQ(sandbox_.links("r3"), std::vector<std::string>{"eth9"});
  EXPECT_EQ(sandbox_.link("eth9", "r3")->at("address"), before.at("address")) << "it is the same attachment";
  EXPECT_TRUE(ping("r1", "10.1.0.2"));
}

TEST_F(Namespaces, ThatAreNoneAreToldApart) {
  sandbox_.write_file("file", "no namespace");
  const std::string path = (sandbox_.directory() / "file").string();
  apply(lan(attachment("odd", path, "eth0", "10.1.0.1/24")));
  EXPECT_TRUE(reaches(agent_, "attachments", "odd", "Pending"));
  EXPECT_NE(message_of(agent_, "attachments", "odd").find(path), std::string::npos);
  EXPECT_TRUE(reaches(agent_, "networks", "lan", "Ready"));
}

// Plugged into, it would have both ends of the cable in one place.
TEST_F(Namespaces, ThatAreTheAgentsOwnAreAConflict) {
  for (const std::string& path :
       {"/proc/" + std::to_string(agent_.pid()) + "/ns/net", std::string("/run/netns/self")}) {
    SCOPED_TRACE(path);
    if (path.starts_with("/run/")) {
      std::ofstream(path).close();
      ASSERT_TRUE(run({"mount", "--bind", "/proc/thread-self/ns/net", path}).ok());
    }
    apply(lan(attachment("self", path, "eth0", "10.1.0.1/24")));
    ASSERT_TRUE(reaches(agent_, "attachments", "self", "Conflict"));
    const std::string words = message_of(agent_, "attachments", "self");
    EXPECT_NE(words.find(path + " is the namespace that the agent itself manages"), std::string::npos)
        << words;
    EXPECT_TRUE(reaches(agent_, "networks", "lan", "Ready"));
    EXPECT_EQ(sandbox_.links(), std::vector<std::string>{"lw-lan"});
  }
}

TEST(ManagedNamespace, IsTheOneThatWasNamed) {
  const Sandbox sandbox;
  for (const char* netns : {"managed", "r1", "r2"}) sandbox.add_netns(netns);
  AgentOptions options;
  options.netns = "managed";
  const AgentProcess agent(sandbox, options);
  agent.apply(lan(attachment("a1", "r1", "eth0", "10.1.0.1/24") +
                  attachment("a2", "r2", "eth0", "10.1.0.2/24") + "  vm: {network: lan, tap: {}}\n"));
  EXPECT_EQ(sandbox.links(), std::vector<std::string>{});
  EXPECT_EQ(sandbox.links("managed"), (std::vector<std::string>{"lw-a1", "lw-a2", "lw-lan", "lw-vm"}));
  EXPECT_TRUE(ping("r1", "10.1.0.2"));

  EventStream events(agent);
  sandbox.ip("-n managed link del lw-a1");
  events.expect("Repaired", "attachment a1");
  EXPECT_TRUE(ping("r1", "10.1.0.2"));
  ASSERT_TRUE(agent.cli({"delete", "set", "lan", "--wait"}).ok());
  EXPECT_EQ(sandbox.links("managed"), std::vector<std::string>{});
  EXPECT_EQ(sandbox.links("r1"), std::vector<std::string>{});
}

TEST(ManagedNamespace, ThatDoesNotExistIsRefused) {
  const Sandbox sandbox;
  const Finished result = run({agent_program(), "--netns", "/run/netns/nosuch", "--state-dir",
                               sandbox.directory() / "s", "--run-dir", sandbox.directory() / "r"});
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.text().find("/run/netns/nosuch"), std::string::npos) << result.text();
  EXPECT_NE(result.text().find("No such file"), std::string::npos) << result.text();
}

}  // namespace
}  // namespace lanwright::test
