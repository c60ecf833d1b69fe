#include "tests/docker/pid_namespace.h"

#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "tests/integration/cgroup.h"
#include "tests/integration/daemon.h"

namespace lanwright::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCgroups = "/sys/fs/cgroup";
constexpr std::string_view kCgroupName = "lanwright-test-";

std::string cgroup_of;  // set before there are two processes of it

// --- processes ---

[[noreturn]] void give_up(const char* what) {
  std::cerr << "process namespace of the tests: " << what << ": " << std::generic_category().message(errno)
            << std::endl;
  _exit(125);
}

[[noreturn]] void work_and_exit(const std::function<int()>& work) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::exit(work());  // what runs at exit belongs to the work
}

// The first process of the namespace: the kernel ends all others with it.
[[noreturn]] void be_init(const std::function<int()>& work) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (mount("proc", "/proc", "proc", 0, nullptr) != 0) give_up("mount /proc");
  const pid_t worker = fork();
  if (worker < 0) give_up("fork");
  if (worker == 0) work_and_exit(work);
  while (true) {
    int status = 0;
    const pid_t ended = waitpid(-1, &status, 0);
    if (ended == worker) _exit(exit_status(status));
    if (ended < 0 && errno != EINTR) give_up("wait");
  }
}

bool is_ours(const OtherProcess& process, const fs::path& own_program) {
  return process.pid == 1 || process.pid == getpid() || process.program == own_program;
}

bool is_dead(const fs::path& directory) {
  const std::string text = read_file(directory / "stat");
  const std::size_t name_end = text.rfind(')');  // the name before may contain anything
  return name_end == std::string::npos || text.substr(name_end + 2, 1) == "Z" ||
         text.substr(name_end + 2, 1) == "X";
}

OtherProcess process_at(const fs::path& directory) {
  std::error_code gone;
  OtherProcess process;
  process.pid = std::atoi(directory.filename().c_str());
  process.program = fs::read_symlink(directory / "exe", gone);
  process.command = read_file(directory / "cmdline");
  std::ranges::replace(process.command, '\0', ' ');
  return process;
}

// --- cgroups ---

// Beside the hierarchies of the first version there may be directories that are none.
bool is_of_cgroups(const fs::path& directory) {
  struct statfs about {};
  return statfs(directory.c_str(), &about) == 0 &&
         (about.f_type == CGROUP_SUPER_MAGIC || about.f_type == CGROUP2_SUPER_MAGIC);
}

std::vector<fs::path> hierarchies() {
  std::vector<fs::path> result;
  if (is_of_cgroups(kCgroups)) result.emplace_back(kCgroups);
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(kCgroups, none)) {
    if (entry.is_directory() && !entry.is_symlink() && is_of_cgroups(entry.path()))
      result.push_back(entry.path());
  }
  return result;
}

void write_or_fail(const fs::path& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  if (!file) fail_errno("write " + path.string());
}

void make_cgroup(const fs::path& cgroup) {
  fs::create_directory(cgroup);
  // Of the first version, a fresh one has no processors and may have no processes.
  for (const char* name : {"cpuset.cpus", "cpuset.mems"}) {
    const std::string inherited = read_file(cgroup.parent_path() / name);
    if (!inherited.empty() && read_file(cgroup / name) == "\n") write_or_fail(cgroup / name, inherited);
  }
}

// Of this run, and of runs that were killed before they could.
bool remove_cgroups() {
  bool removed = true;
  for (const fs::path& hierarchy : hierarchies()) {
    removed = remove_cgroup(hierarchy / cgroup_of) && removed;
    remove_cgroups_of_the_dead(hierarchy, kCgroupName);
  }
  return removed;
}

}  // namespace

int in_pid_namespace(const std::function<int()>& work) {
  cgroup_of = std::string(kCgroupName) + std::to_string(getpid());
  if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0)
    throw HarnessError("these tests make namespaces: run them as root");
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) fail_errno("mount / private");
  const pid_t init = fork();
  if (init < 0) fail_errno("fork");
  if (init == 0) be_init(work);
  int status = 0;
  while (waitpid(init, &status, 0) < 0 && errno == EINTR) continue;
  // The last ones of the namespace leave their cgroups a moment after they are gone.
  if (!wait_until(remove_cgroups, 5s)) throw HarnessError("cannot remove the cgroups " + cgroup_of);
  return exit_status(status);
}

const std::string& own_cgroup() {
  if (cgroup_of.empty()) throw HarnessError("this is no process of in_pid_namespace()");
  return cgroup_of;
}

void move_into_own_cgroup(pid_t pid) {
  const bool one_hierarchy = fs::exists(fs::path(kCgroups) / "cgroup.procs");
  for (const fs::path& hierarchy : hierarchies()) {
    if (!fs::exists(hierarchy / "cgroup.procs") || (one_hierarchy && hierarchy != kCgroups)) continue;
    // One further down: of the second version, one with others below has no processes itself.
    const fs::path own = hierarchy / own_cgroup();
    make_cgroup(own);
    make_cgroup(own / "moved");
    write_or_fail(own / "moved" / "cgroup.procs", std::to_string(pid));
  }
}

std::vector<OtherProcess> other_processes() {
  const fs::path own_program = fs::read_symlink("/proc/self/exe");
  std::vector<OtherProcess> others;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const bool is_process = std::atoi(entry.path().filename().c_str()) > 0;
    if (!is_process || is_dead(entry.path())) continue;
    OtherProcess process = process_at(entry.path());
    if (!is_ours(process, own_program)) others.push_back(std::move(process));
  }
  return others;
}

std::string list_of(const std::vector<OtherProcess>& processes) {
  std::string text;
  for (const auto& process : processes) text += std::to_string(process.pid) + " " + process.command + "\n";
  return text;
}

}  // namespace lanwright::test
