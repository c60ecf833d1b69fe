// Ways to the switches of Docker's networks, as files.
#include "agent/docker/switch_links.h"

#include <fstream>

#include "tests/unit/agent/docker_fixture.h"

namespace lanwright {
namespace {

namespace fs = std::filesystem;
using docker_agent::SwitchLinks;

std::set<std::string> names_in(const fs::path& directory) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) names.insert(entry.path().filename());
  return names;
}

class SwitchWays : public testing::Test {
 protected:
  Directory directory_;
  fs::path place_ = directory_.path() / "katharanp";
};

TEST_F(SwitchWays, AreThoseThatAreWanted) {
  SwitchLinks links;
  ASSERT_TRUE(links.want({{"a1", "/run/vde/a1"}})) << "before it is open";
  ASSERT_TRUE(links.open(place_));
  ASSERT_TRUE(links.want({{"a1", "/run/vde/a1"}, {"b2", "/run/vde/b2"}}));
  EXPECT_EQ(fs::read_symlink(place_ / "kt-a1" / "ctl"), "/run/vde/a1");
  EXPECT_EQ(fs::read_symlink(place_ / "kt-b2" / "ctl"), "/run/vde/b2");
  std::ofstream(place_ / "kt-a1" / "pid_eth1") << "7";
  ASSERT_TRUE(links.want({{"b2", "/run/vde/other"}}));
  EXPECT_EQ(names_in(place_), std::set<std::string>{"kt-b2"});
  EXPECT_EQ(fs::read_symlink(place_ / "kt-b2" / "ctl"), "/run/vde/other");
}

TEST_F(SwitchWays, AreTakenOverFromTheAgentBefore) {
  {
    SwitchLinks links;
    ASSERT_TRUE(links.open(place_));
    ASSERT_TRUE(links.want({{"a1", "/run/vde/a1"}, {"b2", "/run/vde/b2"}}));
  }
  std::ofstream(place_ / "kt-a1" / "pid_eth1") << "7";
  std::ofstream(place_ / "somebody") << "else";
  SwitchLinks links;
  ASSERT_TRUE(links.open(place_));
  ASSERT_TRUE(links.want({{"a1", "/run/vde/a1"}}));
  EXPECT_EQ(names_in(place_), (std::set<std::string>{"kt-a1", "somebody"}));
  EXPECT_EQ(names_in(place_ / "kt-a1"), (std::set<std::string>{"ctl", "pid_eth1"}));
}

TEST_F(SwitchWays, TellWhatCannotBeMadeAndMakeTheRest) {
  SwitchLinks links;
  ASSERT_TRUE(links.open(place_));
  std::ofstream(place_ / "kt-a1") << "a file";
  const auto failed = links.want({{"a1", "/run/vde/a1"}, {"b2", "/run/vde/b2"}});
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().text().find("kt-a1"), std::string::npos) << failed.error().text();
  EXPECT_EQ(fs::read_symlink(place_ / "kt-b2" / "ctl"), "/run/vde/b2");
  fs::remove(place_ / "kt-a1");
  EXPECT_TRUE(links.want({{"a1", "/run/vde/a1"}, {"b2", "/run/vde/b2"}})) << "it is tried again";
}

class SwitchWaysOfDocker : public DockerNetworks {
 protected:
  void link_switches() {
    on_loop([this] {
      must(docker_->link_switches(place_, [](const std::string& network) { return "/run/vde/" + network; }));
    });
  }
  fs::path place_ = directory_.path() / "katharanp";
};

TEST_F(SwitchWaysOfDocker, AreThereFromTheAnswerOnUntilTheNetworkIsRemoved) {
  link_switches();
  must(docker_->create_network(network_of("vde"), soon()));
  must(docker_->create_network(network_of("bridge", kOther), soon()));
  const std::string name = std::string("kt-") + kName;
  EXPECT_EQ(names_in(place_), std::set<std::string>{name}) << "a bridge has none";
  EXPECT_EQ(fs::read_symlink(place_ / name / "ctl"), std::string("/run/vde/") + kName);
  close();
  fs::remove_all(place_);  // as with another container of the plugin
  open();
  link_switches();
  EXPECT_EQ(names_in(place_), std::set<std::string>{name});
  must(docker_->delete_network(kNetwork, soon()));
  EXPECT_EQ(names_in(place_), std::set<std::string>{});
}

}  // namespace
}  // namespace lanwright
