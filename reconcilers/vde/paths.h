// The files of switches in the run directory. Any thread.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "model/base/ids.h"
#include "model/base/result.h"

namespace lanwright::vde {

// The files of one switch.
struct SwitchPaths {
  std::string socket;       // directory that other programs name to join
  std::string private_dir;  // only root's
  std::string management() const { return private_dir + "/management"; }
  std::string plug() const { return private_dir + "/plug"; }
  std::string owner() const { return private_dir + "/owner"; }
  std::string switch_log() const { return private_dir + "/switch.log"; }
  std::string plug_log() const { return private_dir + "/plug.log"; }
};

SwitchPaths switch_paths(const std::filesystem::path& run_dir, const std::string& network);

// Whose the switch is, and how it was started: written before it is.
struct SwitchOwner {
  ObjectUid uid;
  std::string settings;  // the engine's name first
};
// Nothing when it is nobody's; an error when that cannot be told.
Result<std::optional<SwitchOwner>> read_switch_owner(const SwitchPaths& paths);
Result<void> write_switch_owner(const SwitchPaths& paths, const SwitchOwner& owner);

}  // namespace lanwright::vde
