// lanwright-init, as init of a process namespace of its own.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "tests/integration/harness.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

namespace fs = std::filesystem;

// Processes as the namespace that the test is in knows them.
std::vector<pid_t> children_of(pid_t parent) {
  std::ifstream file("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children");
  std::vector<pid_t> children;
  for (pid_t child = 0; file >> child;) children.push_back(child);
  return children;
}

std::string name_of(pid_t pid) {
  std::string name;
  std::ifstream("/proc/" + std::to_string(pid) + "/comm") >> name;
  return name;
}

class Init : public testing::Test {
 protected:
  ~Init() override {
    if (outer_ > 0) ::kill(outer_, SIGKILL);  // --kill-child ends the init, and that all others
    if (outer_ > 0) wait_exit(outer_, 10s);
  }

  // Begins with a shell script as the program to keep, which writes to the file `said`.
  void start(const std::string& script) {
    outer_ = spawn({.arguments = {"unshare", "--pid", "--fork", "--kill-child", init_program(), "/bin/sh",
                                  "-c", script, "sh", said_},
                    .netns = {},
                    .environment = {},
                    .in = -1,
                    .out = -1,
                    .err = -1});
    ASSERT_TRUE(wait_until([&] { return init() > 0; }));
  }
  static std::string init_program() { return fs::path(agent_program()).parent_path() / "lanwright-init"; }

  pid_t init() const {
    for (const pid_t child : children_of(outer_)) {
      if (name_of(child) == "lanwright-init") return child;
    }
    return 0;
  }
  std::optional<pid_t> child(const std::string& name) const {
    for (const pid_t child : children_of(init())) {
      if (name_of(child) == name) return child;
    }
    return std::nullopt;
  }
  bool has_child(const std::string& name) const {
    return wait_until([&] { return child(name).has_value(); });
  }
  std::size_t starts() const {
    std::istringstream lines(read_file(said_));
    std::size_t count = 0;
    for (std::string line; std::getline(lines, line);) count += line == "start";
    return count;
  }
  int ended() {
    const auto status = wait_exit(outer_, 10s);
    outer_ = -1;
    return status.value_or(-1);
  }

  const Sandbox sandbox_;
  const std::string said_ = sandbox_.directory() / "said";
  pid_t outer_ = -1;
};

TEST_F(Init, StartsAgainWhatWasKilledAndKeepsWhatThatStarted) {
  start("echo start >>$1; [ -p $1.never ] || { mkfifo $1.never; cat $1.never & }; exec tail -f /dev/null");
  ASSERT_TRUE(has_child("tail"));
  const auto first = *child("tail");
  ASSERT_EQ(::kill(first, SIGKILL), 0);
  ASSERT_TRUE(has_child("cat")) << "an orphan comes to the init";
  EXPECT_TRUE(wait_until([&] { return child("tail").value_or(first) != first; }));
  EXPECT_EQ(starts(), 2U);
  EXPECT_TRUE(child("cat"));
  ASSERT_EQ(::kill(*child("cat"), SIGKILL), 0);
  EXPECT_TRUE(wait_until([&] { return children_of(init()).size() == 1; })) << "the dead are buried";
}

TEST_F(Init, PassesOnWhatEndsIt) {
  for (const int number : {SIGTERM, SIGINT}) {
    start("trap 'exit 7' TERM INT; tail -f /dev/null & echo ready >>$1; wait");
    ASSERT_TRUE(wait_until([&] { return read_file(said_).find("ready") != std::string::npos; }));
    ASSERT_EQ(::kill(init(), number), 0);
    EXPECT_EQ(ended(), 7) << number;
    fs::remove(said_);
  }
}

TEST_F(Init, PassesHangupOnAndGoesOn) {
  start("trap 'echo hangup >>$1' HUP; tail -f /dev/null & echo ready >>$1; while :; do wait; done");
  ASSERT_TRUE(wait_until([&] { return read_file(said_).find("ready") != std::string::npos; }));
  ASSERT_EQ(::kill(init(), SIGHUP), 0);
  EXPECT_TRUE(wait_until([&] { return read_file(said_).find("hangup") != std::string::npos; }));
  EXPECT_EQ(starts(), 0U);
  EXPECT_TRUE(child("sh"));
}

TEST_F(Init, WaitsLongerBeforeEachStartOfWhatEndsAtOnce) {
  start("echo start >>$1; exit 1");
  ASSERT_TRUE(wait_until([&] { return starts() >= 4; }));  // after 0, 100, 300 and 700 ms
  const auto begun = std::chrono::steady_clock::now();
  ASSERT_TRUE(wait_until([&] { return starts() >= 5; }));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 600ms);
  ASSERT_TRUE(wait_until([&] { return children_of(init()).empty(); })) << "the last one is still ending";
  ASSERT_EQ(::kill(init(), SIGTERM), 0);
  EXPECT_EQ(ended(), 0) << "it need not wait for the next start";
}

TEST_F(Init, EndsWithAProgramThatDoesNotUnderstandItsOptions) {
  const std::string gate = said_ + ".gate";
  ASSERT_EQ(::mkfifo(gate.c_str(), 0600), 0);
  start("read line <$1.gate; exit 2");
  std::ofstream(gate) << "go\n";
  EXPECT_EQ(ended(), 2);
}

}  // namespace
}  // namespace lanwright::test
