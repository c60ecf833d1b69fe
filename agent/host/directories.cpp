#include "agent/host/directories.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

namespace lanwright::host {
namespace {

Error refused(const std::filesystem::path& directory, std::string words, std::string hint) {
  return {ErrorKind::conflict, "use directory", directory, 0, std::move(words), std::move(hint)};
}

}  // namespace

Result<void> take_directory(const std::filesystem::path& directory, mode_t mode) {
  std::error_code failed;
  if (directory.has_parent_path()) std::filesystem::create_directories(directory.parent_path(), failed);
  if (failed) return error_from_errno(failed.value(), "create directory", directory.parent_path());
  if (::mkdir(directory.c_str(), mode) == 0) {
    if (::chmod(directory.c_str(), mode) != 0)
      return error_from_errno(errno, "change the mode of", directory);
    return {};
  }
  if (errno != EEXIST) return error_from_errno(errno, "create directory", directory);
  struct stat found {};
  if (::stat(directory.c_str(), &found) != 0) return error_from_errno(errno, "look at", directory);
  if (!S_ISDIR(found.st_mode))
    return refused(directory, "it is no directory", "remove it, or choose another path");
  if (found.st_uid != ::geteuid())
    return refused(directory, "it belongs to user " + std::to_string(found.st_uid),
                   "chown it to root, or choose another path");
  if ((found.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return refused(directory, "others may write to it", "chmod go-w " + directory.string());
  return {};
}

}  // namespace lanwright::host
