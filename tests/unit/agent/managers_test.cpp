// What the files of systemd-networkd and NetworkManager say of an uplink.
#include "agent/host/managers.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <string>

namespace lanwright::host {
namespace {

namespace fs = std::filesystem;

class Managers : public testing::Test {
 protected:
  Managers() {
    std::string place = (fs::temp_directory_path() / "managersXXXXXX").string();
    run_ = mkdtemp(place.data());
  }
  ~Managers() override { fs::remove_all(run_); }

  fs::path write(const std::string& name, const std::string& text) const {
    const fs::path path = run_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path;
  }
  // As systemd-networkd 252 writes it.
  void networkd_has(const std::string& state, const std::string& file) const {
    write("systemd/netif/links/7", "# This is private data. Do not parse.\nADMIN_STATE=" + state +
                                       "\nOPER_STATE=enslaved\n" +
                                       (file.empty() ? "" : "NETWORK_FILE=" + file + "\n"));
  }
  std::string remedy() const { return remedy_for_uplink("eth7", 7, run_); }

  fs::path run_;
};

bool names(const std::string& text, const std::string& word) {
  return text.find(word) != std::string::npos;
}

TEST_F(Managers, AreNotNamedWhereThereAreNone) {
  EXPECT_EQ(remedy(), "");
}

TEST_F(Managers, NetworkdIsNamedWithItsFileAndTheRemedy) {
  const fs::path file = write("05-all.network", "[Match]\nName=*\n[Network]\nDHCP=yes\n");
  for (const char* state : {"configuring", "configured"}) {
    networkd_has(state, file);
    for (const std::string word : {"systemd-networkd", "eth7", file.c_str(), "KeepMaster=yes", "DHCP=no",
                                   "LinkLocalAddressing=no", "RequiredForOnline=no", "Unmanaged=yes"})
      EXPECT_TRUE(names(remedy(), word)) << word << " in: " << remedy();
  }
}

TEST_F(Managers, NetworkdIsNotNamedForWhatItLeaves) {
  const fs::path file = write("05-all.network", "[Match]\nName=*\n[Network]\nDHCP=yes\n");
  networkd_has("unmanaged", "");
  EXPECT_EQ(remedy(), "");
  networkd_has("unmanaged", file);
  EXPECT_EQ(remedy(), "");
  networkd_has("configured", file);
  write("05-all.network", "[Match]\nName=eth7\n[Network]\nKeepMaster=yes\n");
  EXPECT_EQ(remedy(), "");
  write("05-all.network", "[Match]\nName=eth7\n[Network]\nKeepMaster=no\n");
  EXPECT_NE(remedy(), "");
}

TEST_F(Managers, NetworkManagerIsNamedWithTheCommand) {
  write("NetworkManager/devices/7", "[device]\nmanaged=true\nconnection-uuid=0-1-2\n");
  EXPECT_TRUE(names(remedy(), "nmcli device set eth7 managed no")) << remedy();
  write("NetworkManager/devices/7", "[device]\nmanaged=false\n");
  EXPECT_EQ(remedy(), "");
  write("NetworkManager/devices/7", "");
  EXPECT_EQ(remedy(), "");
}

}  // namespace
}  // namespace lanwright::host
