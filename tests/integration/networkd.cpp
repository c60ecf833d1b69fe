#include "tests/integration/networkd.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/mount.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>

namespace lanwright::test {
namespace {

constexpr const char* kProgram = "/lib/systemd/systemd-networkd";
constexpr const char* kOwnGroup = "27767";

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path);
  if (!(file << text << std::flush)) throw HarnessError("cannot write " + path.string());
}

// 70-lanwright.rules
bool is_marked(const Json& link) {
  return link.value("group", "") == kOwnGroup || link.value("ifname", "").starts_with("lw-");
}

}  // namespace

bool has_networkd() {
  return access(kProgram, X_OK) == 0;
}

Networkd::Networkd(const Sandbox& sandbox, Udev udev)
    : sandbox_(sandbox), udev_(udev), log_(sandbox.directory() / "networkd.log") {
  std::filesystem::create_directories("/run/systemd/network");
  if (udev_ == Udev::kWrittenDown) {
    // The sandbox's own; and writable, which is what says that there is a udev.
    if (mount("sysfs", "/sys", "sysfs", 0, nullptr) != 0) fail_errno("mount /sys");
    std::filesystem::create_directories("/run/udev/data");
  }
  const passwd* user = getpwnam("systemd-network");
  if (user == nullptr) throw HarnessError("there is no user systemd-network");
  for (const char* name : {"", "links", "leases", "lldp"}) {
    const auto path = std::filesystem::path("/run/systemd/netif") / name;
    std::filesystem::create_directories(path);
    if (chown(path.c_str(), user->pw_uid, user->pw_gid) != 0) fail_errno("chown " + path.string());
  }
  for (const auto& file : std::filesystem::directory_iterator(std::string(SOURCE_DIR) + "/systemd")) {
    if (file.path().extension() == ".network")
      std::filesystem::copy_file(file.path(), "/run/systemd/network" / file.path().filename());
  }
}

Networkd::~Networkd() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  wait_exit(pid_, 10s);
}

void Networkd::configure(const std::string& name, const std::string& text) {
  write("/run/systemd/network/" + name, text);
}

// The database of udev, one file for each device (sd-device).
void Networkd::tell_of_links() const {
  for (const Json& link : sandbox_.ip_json("link show")) {
    const std::string mark = is_marked(link) ? "E:LANWRIGHT=1\n" : "";
    write("/run/udev/data/n" + std::to_string(link.at("ifindex").get<int>()), "I:1\n" + mark);
  }
}

void Networkd::start() {
  if (udev_ == Udev::kWrittenDown) tell_of_links();
  const Fd output(open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), "open networkd's log");
  Spawn what;
  what.arguments = {kProgram};
  what.environment = {"SYSTEMD_LOG_LEVEL=info", "SYSTEMD_LOG_TARGET=console"};
  what.out = what.err = output.get();
  pid_ = spawn(what);
}

std::string Networkd::state_of(const std::string& link) const {
  const auto found = sandbox_.link(link);
  if (!found) throw HarnessError("there is no link " + link);
  std::ifstream file("/run/systemd/netif/links/" + std::to_string(found->at("ifindex").get<int>()));
  constexpr const char* kKey = "ADMIN_STATE=";
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(kKey)) return line.substr(std::string(kKey).size());
  }
  return {};
}

}  // namespace lanwright::test
