// What users paste, as it is shipped.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/docker/host.h"
#include "tests/integration/traffic.h"

namespace lanwright::test {
namespace {

std::string docker_host(const DockerHost& host) {
  return "DOCKER_HOST=unix://" + host.docker().socket().string();
}

TEST(DockerExample, ShowsContainersAndANamespaceOnOneLan) {
  const DockerHost host;
  host.docker().import_busybox();
  const Json before = host.inventory();
  RunOptions options;
  options.limit = 120s;
  const auto programs = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const Finished script =
      run({"/usr/bin/env", docker_host(host), "LANWRIGHT_SOCKET=" + host.agent().socket().string(),
           "PATH=" + programs.string() + ":/usr/bin:/bin:/usr/sbin:/sbin",
           std::string(SOURCE_DIR) + "/examples/docker.sh"},
          options);
  EXPECT_TRUE(script.ok()) << script.text();
  EXPECT_NE(script.text().find("0% packet loss"), std::string::npos) << script.text();
  EXPECT_NE(script.text().find("host-on-lab"), std::string::npos) << script.text();
  EXPECT_TRUE(host.is_as_before(before));
}

// --- Compose: two containers on a LAN, one of them on VLAN 50 as well ---

class ComposeExample : public testing::Test {
 protected:
  // Debian's, of before it was a plugin of Docker's client.
  Finished compose(const Words& arguments) const {
    Words command{"/usr/bin/env",
                  docker_host(host_),
                  "PATH=/usr/bin:/bin",
                  "/usr/bin/docker-compose",
                  "-f",
                  std::string(SOURCE_DIR) + "/examples/compose.yml"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return run(command, {.limit = 240s});
  }

  // The container of a service of the file's.
  std::string container(const std::string& service) const {
    for (const Json& each : host_.docker().api("GET", "/containers/json").body) {
      if (each.at("Labels").value("com.docker.compose.service", "") == service) return each.at("Id");
    }
    throw HarnessError("no container of service " + service + " runs");
  }

  // With the host's interface that the file names, or from which it can be made.
  void expect_comes_and_goes() const {
    const Json before = host_.inventory();
    const Finished up = compose({"up", "-d"});
    ASSERT_TRUE(up.ok()) << up.text();
    const std::string client = container("client");
    const auto is_answered = [&] {
      return host_.docker().ask({"logs", client}).find("bytes from 10.41.0.2") != std::string::npos;
    };
    EXPECT_TRUE(wait_until(is_answered, 20s)) << host_.docker().docker({"logs", client}).text();
    EXPECT_TRUE(ping(host_.netns(container("router")), "192.168.50.1"));
    EXPECT_TRUE(no_ping(host_.netns(client), "192.168.50.1"));
    // One that is found needs no eth0.
    const Json vlans = host_.agent().get_json("/v1/vlans");
    for (const Json& vlan : vlans) EXPECT_EQ(vlan.at("status").at("phase"), "Ready") << vlan;
    // What runs in the containers does not listen to SIGTERM.
    const Finished down = compose({"down", "--timeout", "0"});
    EXPECT_TRUE(down.ok()) << down.text();
    EXPECT_TRUE(host_.is_as_before(before));
    EXPECT_EQ(host_.docker().api("GET", "/containers/json?all=1").body, Json::array());
  }

  const DockerHost host_;
};

// As when the administrator made the VLAN: to Docker, any interface of this name.
TEST_F(ComposeExample, StandsOnAnInterfaceThatIsThere) {
  host_.add_parent("eth0.50", "world", {"192.168.50.1/24"});
  expect_comes_and_goes();
}

TEST_F(ComposeExample, HasItsVlanMade) {
  const std::string lacking = lacking_kind(host_.sandbox());
  if (!lacking.empty()) GTEST_SKIP() << "this kernel has no links of kind " << lacking;
  host_.add_parent("eth0", "world");
  host_.sandbox().ip("-n world link add link eth0 name eth0.50 type vlan id 50");
  host_.sandbox().ip("-n world addr add 192.168.50.1/24 dev eth0.50");
  host_.sandbox().ip("-n world link set eth0.50 up");
  expect_comes_and_goes();
}

}  // namespace
}  // namespace lanwright::test
