#include "tests/integration/cgroup.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <system_error>

namespace lanwright::test {
namespace {

namespace fs = std::filesystem;

bool is_of_the_dead(const std::string& name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return false;
  const pid_t pid = std::atoi(name.c_str() + prefix.size());
  return pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH;
}

}  // namespace

// rmdir(2) is what removes one; its files are the kernel's.
bool remove_cgroup(const fs::path& cgroup) {
  std::error_code gone;
  bool removed = true;
  for (const auto& entry : fs::directory_iterator(cgroup, gone)) {
    if (entry.is_directory() && !entry.is_symlink()) removed = remove_cgroup(entry.path()) && removed;
  }
  return (rmdir(cgroup.c_str()) == 0 || errno == ENOENT) && removed;
}

void remove_cgroups_of_the_dead(const fs::path& hierarchy, std::string_view prefix) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(hierarchy, none)) {
    if (is_of_the_dead(entry.path().filename(), prefix)) remove_cgroup(entry.path());
  }
}

}  // namespace lanwright::test
