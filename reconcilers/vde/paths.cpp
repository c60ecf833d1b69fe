#include "reconcilers/vde/paths.h"

#include <cerrno>
#include <cstdio>
#include <fstream>

namespace lanwright::vde {

SwitchPaths switch_paths(const std::filesystem::path& run_dir, const std::string& network) {
  return {(run_dir / "vde" / network).string(), (run_dir / "switches" / network).string()};
}

std::optional<SwitchOwner> read_switch_owner(const SwitchPaths& paths) {
  std::ifstream file(paths.owner());
  SwitchOwner owner;
  if (!std::getline(file, owner.uid) || !std::getline(file, owner.settings)) return std::nullopt;
  return owner;
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
