// A kernel without a kind of link: 802.1Q, as kernels of container hosts are. Where it is a module, loading
// modules is forbidden meanwhile, which only a machine of our own (the guest) is asked to bear.
#include <gtest/gtest.h>

#include <cerrno>
#include <fstream>

#include "tests/integration/event_stream.h"
#include "tests/integration/harness.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

constexpr const char* kModprobe = "/proc/sys/kernel/modprobe";

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The program that the kernel calls for a module that it lacks.
class NoModules {
 public:
  NoModules() : before_(first_line(kModprobe)) { write("/bin/false"); }
  ~NoModules() { write(before_); }
  NoModules(const NoModules&) = delete;
  NoModules& operator=(const NoModules&) = delete;

 private:
  static void write(const std::string& program) { std::ofstream(kModprobe) << program << std::endl; }
  std::string before_;
};

bool in_the_guest() {
  return std::filesystem::exists("/run/lanwright-guest");
}

bool loaded(const std::string& module) {
  return std::filesystem::exists("/sys/module/" + module);
}

constexpr const char* kLan = R"(
version: 1
name: lan
networks:
  lan: {driver: bridge}
attachments:
  r1: {network: lan, netns: r1, interface: eth0, addresses: [10.1.0.1/24]}
  r2: {network: lan, netns: r2, interface: eth0, addresses: [10.1.0.2/24]}
vlans:
  up0.5: {parent: up0, id: 5}
)";

class MissingKind : public testing::Test {
 protected:
  void SetUp() override {
    if (in_the_guest()) {  // seen from here, before the sandbox has a /run of its own
      ASSERT_TRUE(run({"modprobe", "-a", "bridge", "veth"}).ok());
      modules_.emplace();
      ASSERT_TRUE(wait_until([] { return !loaded("8021q") || run({"rmmod", "8021q"}).ok(); }));
    }
    sandbox_.emplace();
    for (const char* netns : {"r1", "r2"}) sandbox_->add_netns(netns);
    sandbox_->ip("link add up0 up type veth peer name up1");
    if (!modules_ && sandbox_->try_ip("link add link up0 name try0 type vlan id 9"))
      GTEST_SKIP() << "this kernel has VLAN links; the guest runs this too";
  }

  std::optional<NoModules> modules_;
  std::optional<Sandbox> sandbox_;
};

TEST_F(MissingKind, HoldsUpOnlyWhatNeedsItUntilItIsThere) {
  const AgentProcess agent(*sandbox_);
  EventStream events(agent);
  ASSERT_TRUE(agent.cli({"apply", "-f", sandbox_->write_file("lan.yaml", kLan)}).ok());
  events.expect("Failed", "vlan up0.5");
  EXPECT_TRUE(reaches(agent, "attachments", "r2", "Ready"));
  EXPECT_TRUE(ping("r1", "10.1.0.2"));

  const Json vlan = object_of(agent, "vlans", "up0.5");
  EXPECT_EQ(vlan.at("status").at("phase"), "Retrying") << vlan.dump(2);
  EXPECT_TRUE(vlan.at("status").contains("nextTry"));
  const std::string words = vlan.at("status").at("lastError").dump();
  for (const char* word : {"Unknown device type", "up0.5", "8021q"})
    EXPECT_NE(words.find(word), std::string::npos) << words;
  EXPECT_EQ(vlan.at("status").at("lastError").at("errno"), EOPNOTSUPP);
  EXPECT_EQ(agent.cli({"status", "--wait", "converged=300ms"}).status, 4);

  if (modules_) {  // the administrator does what the hint says
    modules_.reset();
    ASSERT_TRUE(run({"modprobe", "8021q"}).ok());
    events.expect("Ready", "vlan up0.5");
    EXPECT_TRUE(sandbox_->link("up0.5"));
  }
  ASSERT_TRUE(agent.cli({"delete", "vlan", "up0.5", "--wait"}).ok());
  EXPECT_TRUE(converges(agent));
}

}  // namespace
}  // namespace lanwright::test
