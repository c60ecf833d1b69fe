#include "tests/guest/managers.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <sstream>

namespace lanwright::test {
namespace {

namespace fs = std::filesystem;

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path);
  if (!(file << text << std::flush)) throw HarnessError("cannot write " + path.string());
}

std::string shipped(const std::string& name) {
  std::string text = read_file(std::string(SOURCE_DIR) + "/systemd/" + name);
  if (text.empty()) throw HarnessError("there is no systemd/" + name);
  return text;
}

Finished succeed(const std::vector<std::string>& arguments) {
  Finished finished = run(arguments);
  if (!finished.ok()) throw HarnessError(arguments.front() + ": " + finished.text());
  return finished;
}

}  // namespace

Manager::Manager(const Sandbox& sandbox, const std::string& name, const std::vector<std::string>& arguments)
    : log_(sandbox.directory() / (name + ".log")) {
  const Fd output(open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600),
                  "open " + log_.string());
  Spawn what;
  what.arguments = arguments;
  what.environment = {"SYSTEMD_LOG_LEVEL=info", "SYSTEMD_LOG_TARGET=console"};
  what.out = what.err = output.get();
  pid_ = spawn(what);
}

Manager::~Manager() {
  ::kill(pid_, SIGKILL);
  wait_exit(pid_, 10s);
}

void Manager::wait_until_it(const std::function<bool()>& works) const {
  if (!wait_until(works, 30s)) throw HarnessError("does not come up: " + last_lines(log(), 20));
}

Udevd::Udevd(const Sandbox& sandbox, const std::map<std::string, std::string>& link_files)
    : Manager(sandbox, "udevd", [&]() -> std::vector<std::string> {
        if (mount("sysfs", "/sys", "sysfs", 0, nullptr) != 0) fail_errno("mount /sys");
        write("/run/udev/rules.d/70-lanwright.rules", shipped("70-lanwright.rules"));
        write("/run/systemd/network/00-lanwright.link", shipped("00-lanwright.link"));
        for (const auto& [name, text] : link_files) write("/run/systemd/network/" + name, text);
        return {"/lib/systemd/systemd-udevd"};
      }()) {
  wait_until_it([] { return run({"udevadm", "control", "--ping"}).ok(); });
  succeed({"udevadm", "trigger", "--settle", "--action=add", "--subsystem-match=net"});
}

void Udevd::settle() {
  succeed({"udevadm", "settle", "--timeout=20"});
}

std::map<std::string, std::string> Udevd::properties_of(const std::string& link) {
  std::map<std::string, std::string> properties;
  std::istringstream lines(
      succeed({"udevadm", "info", "--query=property", "--path=/sys/class/net/" + link}).out);
  for (std::string line; std::getline(lines, line);) {
    const auto equals = line.find('=');
    properties[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return properties;
}

NetworkManager::Bus::Bus(const Sandbox& sandbox)
    : Manager(sandbox, "dbus", [&]() -> std::vector<std::string> {
        fs::create_directories("/run/dbus");
        return {"dbus-daemon", "--system", "--nofork", "--nopidfile"};
      }()) {
  wait_until_it([] { return fs::exists("/run/dbus/system_bus_socket"); });
}

NetworkManager::Daemon::Daemon(const Sandbox& sandbox)
    : Manager(sandbox, "NetworkManager", {"NetworkManager", "--no-daemon"}) {
  wait_until_it([] { return run({"nmcli", "-t", "-f", "RUNNING", "general"}).out == "running\n"; });
}

NetworkManager::NetworkManager(const Sandbox& sandbox)
    : bus_(sandbox),
      daemon_((configure("10-lanwright.conf", shipped("10-lanwright-networkmanager.conf")), sandbox)) {}

void NetworkManager::configure(const std::string& name, const std::string& text) {
  write("/run/NetworkManager/conf.d/" + name, text);
}

void NetworkManager::reload() {
  succeed({"nmcli", "general", "reload"});
}

std::string NetworkManager::state_of(const std::string& link) {
  std::istringstream lines(succeed({"nmcli", "-t", "-f", "DEVICE,STATE", "device"}).out);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(link + ":")) return line.substr(link.size() + 1);
  }
  return {};
}

}  // namespace lanwright::test
