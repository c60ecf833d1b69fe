#include "reconcilers/vde/paths.h"

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <utility>

namespace lanwright::vde {

SwitchPaths switch_paths(const std::filesystem::path& run_dir, const std::string& network) {
  return {(run_dir / "vde" / network).string(), (run_dir / "switches" / network).string()};
}

Result<std::optional<SwitchOwner>> read_switch_owner(const SwitchPaths& paths) {
  errno = 0;
  std::ifstream file(paths.owner());
  if (!file && errno != ENOENT && errno != ENOTDIR) return error_from_errno(errno, "read", paths.owner());
  SwitchOwner owner;
  const bool read = std::getline(file, owner.uid) && std::getline(file, owner.settings);
  if (file.bad()) return error_from_errno(errno, "read", paths.owner());
  if (!read) return std::optional<SwitchOwner>();
  return std::optional(std::move(owner));
}

Result<void> write_switch_owner(const SwitchPaths& paths, const SwitchOwner& owner) {
  const std::string fresh = paths.owner() + ".new";
  std::ofstream file(fresh, std::ios::trunc);
  file << owner.uid << '\n' << owner.settings << '\n';
  file.close();
  if (!file || std::rename(fresh.c_str(), paths.owner().c_str()) != 0)
    return error_from_errno(errno, "write", paths.owner());
  return {};
}

}  // namespace lanwright::vde
