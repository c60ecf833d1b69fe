#include "tests/integration/systemd.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include "tests/integration/cgroup.h"
#include "tests/integration/daemon.h"

namespace lanwright::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProgram = "/lib/systemd/systemd";
constexpr const char* kUnits = "/run/systemd/units-of-the-test";
constexpr const char* kGenerators = "/run/systemd/generators-of-the-test";
constexpr std::string_view kCgroupName = "lanwright-systemd-";

const std::array kUnitsOfTheMachine = {"basic.target",
                                       "sysinit.target",
                                       "sockets.target",
                                       "shutdown.target",
                                       "multi-user.target",
                                       "network.target",
                                       "network-pre.target",
                                       "dbus.socket",
                                       "dbus.service",
                                       "systemd-journald.service",
                                       "systemd-journald.socket",
                                       "systemd-journald-dev-log.socket"};

constexpr const char* kDefaultTarget = R"([Unit]
Requires=basic.target systemd-journald.service dbus.service
After=basic.target systemd-journald.service dbus.service
)";

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path);
  if (!(file << text << std::flush)) throw HarnessError("cannot write " + path.string());
}

// --- in the process that becomes systemd: nothing of the machine's may be writable there ---

void mount_or_fail(const char* source, const char* target, const char* type, unsigned long flags,
                   const char* data = nullptr) {
  if (mount(source, target, type, flags, data) != 0) fail_errno(std::string("mount ") + target);
}

void set_read_only(const char* path, bool read_only, unsigned flags) {
  mount_attr change{};
  (read_only ? change.attr_set : change.attr_clr) = MOUNT_ATTR_RDONLY;
  if (mount_setattr(AT_FDCWD, path, flags, &change, sizeof change) != 0)
    fail_errno(std::string("mount_setattr ") + path);
}

void make_device(const std::string& name, unsigned major_number, unsigned minor_number) {
  const std::string path = "/dev/" + name;
  if (mknod(path.c_str(), S_IFCHR | 0666, makedev(major_number, minor_number)) != 0)
    fail_errno("mknod " + path);
}

void make_devices() {
  mount_or_fail("tmpfs", "/dev", "tmpfs", MS_NOSUID, "mode=755");
  make_device("null", 1, 3);
  make_device("zero", 1, 5);
  make_device("full", 1, 7);
  make_device("random", 1, 8);
  make_device("urandom", 1, 9);
  make_device("tty", 5, 0);
  fs::create_directory("/dev/pts");
  mount_or_fail("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=666");
  fs::create_symlink("pts/ptmx", "/dev/ptmx");
  fs::create_directory("/dev/shm");
  fs::create_directory("/dev/net");
  make_device("net/tun", 10, 200);
}

// systemd raises limits of the whole kernel's in there; /proc/sys/net is the network namespace's.
void protect_settings() {
  mount_or_fail("/proc/sys", "/proc/sys", nullptr, MS_BIND);
  mount_or_fail("/proc/sys/net", "/proc/sys/net", nullptr, MS_BIND);
  set_read_only("/proc/sys", true, 0);
}

void make_world(const fs::path& cgroups) {
  set_read_only("/", true, AT_RECURSIVE);
  set_read_only("/run", false, AT_RECURSIVE);
  set_read_only(cgroups.c_str(), true, 0);
  mount_or_fail("tmpfs", "/var/lib", "tmpfs", 0, "mode=755");
  mount_or_fail("proc", "/proc", "proc", 0);
  protect_settings();
  mount_or_fail("sysfs", "/sys", "sysfs", 0);
  mount_or_fail("cgroup2", "/sys/fs/cgroup", "cgroup2", 0);
  make_devices();
}

[[noreturn]] void become_systemd(const fs::path& cgroup) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  write(cgroup / "cgroup.procs", "0");  // who writes
  if (unshare(CLONE_NEWCGROUP) != 0) fail_errno("unshare cgroup namespace");
  make_world(cgroup.parent_path());
  const std::string units = std::string("SYSTEMD_UNIT_PATH=") + kUnits;
  const std::string generators = std::string("SYSTEMD_GENERATOR_PATH=") + kGenerators;
  const std::array environment{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "container=lanwright-test",
                               units.c_str(), generators.c_str(), static_cast<const char*>(nullptr)};
  const std::array arguments{kProgram, "--log-target=journal-or-kmsg", "--show-status=no",
                             static_cast<const char*>(nullptr)};
  if (setsid() < 0) fail_errno("setsid");
  execve(kProgram, const_cast<char* const*>(arguments.data()),  // NOLINT: execve(2)
         const_cast<char* const*>(environment.data()));         // NOLINT: execve(2)
  fail_errno(std::string("execute ") + kProgram);
}

[[noreturn]] void say_and_exit(const char* words) {
  std::cerr << "systemd of the test: " << words << std::endl;
  _exit(125);
}

// The parent of the first process stays outside of its process namespace, and lives as long as that does.
[[noreturn]] void guard(const fs::path& cgroup, const Fd& tells) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC) != 0) say_and_exit("unshare");
  const pid_t first = fork();
  if (first == 0) {
    try {
      become_systemd(cgroup);
    } catch (const HarnessError& error) {
      say_and_exit(error.what());
    }
  }
  if (first < 0 || ::write(tells.get(), &first, sizeof first) != sizeof first) say_and_exit("fork");
  int status = 0;
  while (waitpid(first, &status, 0) < 0 && errno == EINTR) continue;
  _exit(exit_status(status));
}

bool has_ended(pid_t child) {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0;
}

std::string command_of(pid_t pid) {
  std::string command = read_file("/proc/" + std::to_string(pid) + "/cmdline");
  std::ranges::replace(command, '\0', ' ');
  while (command.ends_with(' ')) command.pop_back();
  return command;
}

}  // namespace

bool has_systemd() {
  return access(kProgram, X_OK) == 0 && access("/usr/bin/dbus-daemon", X_OK) == 0;
}

Systemd::Systemd(const Sandbox& sandbox)
    : cgroups_(sandbox.directory() / "cgroup"),
      cgroup_(cgroups_ / (std::string(kCgroupName) + std::to_string(getpid()))) {
  fs::create_directory(cgroups_);
  mount_or_fail("cgroup2", cgroups_.c_str(), "cgroup2", 0);
  remove_cgroups_of_the_dead(cgroups_, kCgroupName);
  fs::create_directory(cgroup_);
  fs::create_directories(kGenerators);
  fs::create_directories(kUnits);
  for (const char* name : kUnitsOfTheMachine)
    fs::create_symlink(std::string("/lib/systemd/system/") + name, fs::path(kUnits) / name);
  write(fs::path(kUnits) / "default.target", kDefaultTarget);
  // So that namespaces which the test makes are seen by what systemd starts, and the other way round.
  mount_or_fail("none", "/run", nullptr, MS_SHARED);
  try {
    start();
  } catch (const HarnessError&) {
    clean_up();
    throw;
  }
}

void Systemd::start() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) fail_errno("pipe");
  const Fd hears(ends[0]);
  Fd tells(ends[1]);
  guard_ = fork();
  if (guard_ < 0) fail_errno("fork");
  if (guard_ == 0) guard(cgroup_, tells);
  tells = Fd();
  if (read(hears.get(), &first_, sizeof first_) != sizeof first_ ||
      !wait_until([this] { return is_running() || has_ended(guard_); }) || has_ended(guard_))
    throw HarnessError("systemd does not come up; what it said is above, and this its state: " +
                       run({"systemctl", "list-units", "--all"}).text());
}

Systemd::~Systemd() {
  clean_up();
}

void Systemd::clean_up() const {
  ::kill(guard_, SIGKILL);  // the first process goes with it, and all others with that
  wait_exit(guard_, 10s);
  // The last ones leave their cgroups a moment after they are gone.
  if (!wait_until([this] { return remove_cgroup(cgroup_); }, 5s))
    std::cerr << "cannot remove the cgroup " << cgroup_ << std::endl;
  umount2(cgroups_.c_str(), MNT_DETACH);
}

bool Systemd::is_running() const {
  return run({"systemctl", "is-system-running"}).out == "running\n";
}

void Systemd::install(const std::string& name, const std::string& text) const {
  write(fs::path(kUnits) / name, text);
  systemctl({"daemon-reload"});
}

Finished Systemd::run(std::vector<std::string> command, Milliseconds limit) const {
  const std::array<std::string, 7> there{"nsenter",
                                         "--target",
                                         std::to_string(first_),
                                         "--all",
                                         "env",
                                         "LC_ALL=C",
                                         std::string("SYSTEMD_UNIT_PATH=") + kUnits};
  command.insert(command.begin(), there.begin(), there.end());
  return test::run(command, {.limit = limit});
}

void Systemd::systemctl(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), "systemctl");
  const Finished finished = run(arguments);
  if (!finished.ok()) throw HarnessError("systemctl " + arguments.at(1) + ": " + finished.text() + journal());
}

std::string Systemd::property(const std::string& unit, const std::string& name) const {
  std::string value = run({"systemctl", "show", "--value", "--property=" + name, unit}).out;
  while (value.ends_with('\n')) value.pop_back();
  return value;
}

std::string Systemd::journal(const std::vector<std::string>& matches) const {
  // Waits until journald has written what was told to it before.
  if (const Finished written = run({"journalctl", "--sync"}); !written.ok())
    throw HarnessError("journalctl --sync: " + written.text());
  std::vector<std::string> command{"journalctl", "--no-pager", "--quiet", "--output=short-monotonic"};
  std::ranges::copy(matches, std::back_inserter(command));
  return run(command).out;
}

fs::path Systemd::members_of(const std::string& unit) const {
  const std::string path = property(unit, "ControlGroup");
  return path.empty() ? fs::path() : cgroup_ / path.substr(1) / "cgroup.procs";
}

std::map<pid_t, std::string> Systemd::processes_of(const std::string& unit) const {
  std::map<pid_t, std::string> commands;
  std::istringstream pids(read_file(members_of(unit)));
  for (pid_t pid = 0; pids >> pid;) commands[pid] = command_of(pid);
  return commands;
}

void Systemd::move(pid_t pid, const std::string& unit) const {
  write(members_of(unit), std::to_string(pid));
}

}  // namespace lanwright::test
