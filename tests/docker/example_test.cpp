// The script that users paste, as it is shipped.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/docker/host.h"

namespace lanwright::test {
namespace {

TEST(DockerExample, ShowsContainersAndANamespaceOnOneLan) {
  const DockerHost host;
  host.docker().import_busybox();
  const Json before = host.inventory();
  RunOptions options;
  options.limit = 120s;
  const auto programs = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const Finished script =
      run({"/usr/bin/env", "DOCKER_HOST=unix://" + host.docker().socket().string(),
           "LANWRIGHT_SOCKET=" + host.agent().socket().string(),
           "PATH=" + programs.string() + ":/usr/bin:/bin:/usr/sbin:/sbin", SOURCE_DIR "/examples/docker.sh"},
          options);
  EXPECT_TRUE(script.ok()) << script.text();
  EXPECT_NE(script.text().find("0% packet loss"), std::string::npos) << script.text();
  EXPECT_NE(script.text().find("host-on-lab"), std::string::npos) << script.text();
  EXPECT_TRUE(host.is_as_before(before));
}

}  // namespace
}  // namespace lanwright::test
