// examples/quickstart.sh as a reader of the README runs it, with the programs that this test was built with.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <sstream>

#include "tests/integration/harness.h"
#include "tests/integration/kernel_facts.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_program(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << "#!/bin/sh\n" << text;
  fs::permissions(path, fs::perms::owner_all);
}

// A checkout in which everything is installed and built: the script's own steps for that only say that they
// were asked. Not below /run, of which the script has its own.
class Quickstart : public testing::Test {
 protected:
  Quickstart() : checkout_(fs::temp_directory_path() / ("lanwright-quickstart-" + std::to_string(getpid()))) {
    fs::create_directories("/run/mount");  // mount(8) keeps its notes there, on every host
    fs::create_directories(checkout_ / "build" / "release");
    fs::copy(fs::path(SOURCE_DIR) / "examples", checkout_ / "examples");
    fs::create_symlink(fs::path(agent_program()).parent_path(), checkout_ / "build" / "release" / "bin");
    write_program(checkout_ / "tests" / "packages.sh", "echo \"packages.sh $*\"\n");
    write_program(checkout_ / "tools" / "cmake", "echo \"cmake $*\"\n");
  }
  ~Quickstart() override { fs::remove_all(checkout_); }

  Finished start() const {
    return run({"env", "PATH=" + (checkout_ / "tools").string() + ":/usr/sbin:/usr/bin:/sbin:/bin", mark(),
                checkout_ / "examples" / "quickstart.sh"},
               {.limit = 120s});
  }

  // Everything that the script starts inherits it.
  std::string mark() const { return "LANWRIGHT_TEST_MARK=" + checkout_.string(); }

  // Processes of the script that are still there.
  std::vector<std::string> processes() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator("/proc")) {
      if (text_of(entry.path() / "environ").find(mark()) != std::string::npos)
        names.push_back(text_of(entry.path() / "comm"));
    }
    return names;
  }

  // What the script finds around it, and must leave so.
  Json surroundings() const {
    std::set<std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator("/run")) files.insert(entry.path());
    Json found{
        {"facts", facts_of(sandbox_)}, {"mounts", text_of("/proc/thread-self/mounts")}, {"run", files}};
    return found;
  }

  const Sandbox sandbox_;
  const fs::path checkout_;
};

TEST_F(Quickstart, ShowsAllThatItPromisesAndLeavesNothing) {
  const Json before = surroundings();
  const Finished shown = start();
  EXPECT_EQ(shown.status, 0) << shown.text();
  for (const char* words :
       {"packages.sh build test", "cmake --build --preset release --target lanwrightd lanwright",
        "Converged:    yes", " 0% packet loss", "nothing to do", "Repaired", "lw-office",
        "Done. Nothing is left of it."})
    EXPECT_NE(shown.out.find(words), std::string::npos)
        << "it does not show \"" << words << "\": " << shown.text();
  EXPECT_EQ(shown.err, "");
  EXPECT_EQ(differences(before, surroundings()), "");
  EXPECT_EQ(processes(), std::vector<std::string>{});
}

TEST_F(Quickstart, FailsWhenAStepFailsAndLeavesNothing) {
  std::ofstream(checkout_ / "examples" / "quickstart.yaml", std::ios::app) << "no-such-key: 1\n";
  const Json before = surroundings();
  const Finished shown = start();
  EXPECT_NE(shown.status, 0) << shown.text();
  EXPECT_FALSE(shown.timed_out);
  EXPECT_NE(shown.text().find("no-such-key"), std::string::npos) << shown.text();
  EXPECT_EQ(shown.out.find("Done."), std::string::npos) << shown.text();
  EXPECT_EQ(differences(before, surroundings()), "");
  EXPECT_TRUE(wait_until([&] { return processes().empty(); })) << "the agent survives the script";
}

}  // namespace
}  // namespace lanwright::test
