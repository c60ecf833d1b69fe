// The directories that are the agent's own.
#pragma once

#include <sys/types.h>

#include <filesystem>

#include "model/base/result.h"

namespace lanwright::host {

// Makes the directory with this mode, whatever the umask, when it is not there. One that somebody else owns
// or may write to is refused: who can replace the files in it can have the agent do things in his place.
Result<void> take_directory(const std::filesystem::path& directory, mode_t mode);

}  // namespace lanwright::host
