#include "reconcilers/vde/places.h"

#include <cerrno>
#include <cstdio>
#include <fstream>

namespace lanwright {

SwitchPlaces switch_places(const std::filesystem::path& run_dir, const std::string& network) {
  return {(run_dir / "vde" / network).string(), (run_dir / "switches" / network).string()};
}

std::optional<SwitchOwner> read_switch_owner(const SwitchPlaces& places) {
  std::ifstream file(places.owner());
  SwitchOwner owner;
  if (!std::getline(file, owner.uid) || !std::getline(file, owner.settings)) return std::nullopt;
  return owner;
}

Result<void> write_switch_owner(const SwitchPlaces& places, const SwitchOwner& owner) {
  const std::string fresh = places.owner() + ".new";
  std::ofstream file(fresh, std::ios::trunc);
  file << owner.uid << '\n' << owner.settings << '\n';
  file.close();
  if (!file || std::rename(fresh.c_str(), places.owner().c_str()) != 0)
    return error_from_errno(errno, "write", places.owner());
  return {};
}

}  // namespace lanwright
