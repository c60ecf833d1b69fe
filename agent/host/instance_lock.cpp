#include "agent/host/instance_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>

namespace lanwright::host {

Result<InstanceLock> InstanceLock::take(const std::filesystem::path& directory) {
  const std::string path = directory / "lock";
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return error_from_errno(error.value(), "create directory", directory);
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return error_from_errno(errno, "open", path);
  InstanceLock lock(descriptor);
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return error_from_errno(errno, "lock", path);
    std::array<char, 32> text{};
    const ssize_t size = pread(descriptor, text.data(), text.size() - 1, 0);
    const std::string pid(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
    return Error{ErrorKind::conflict,
                 "lock",
                 path,
                 0,
                 "another lanwrightd runs on this state directory, pid " + pid,
                 "stop it, or give this one a --state-dir of its own"};
  }
  const std::string pid = std::to_string(getpid());
  if (ftruncate(descriptor, 0) != 0 || pwrite(descriptor, pid.data(), pid.size(), 0) < 0)
    return error_from_errno(errno, "write", path);
  return lock;
}

InstanceLock::InstanceLock(InstanceLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

InstanceLock::~InstanceLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace lanwright::host
