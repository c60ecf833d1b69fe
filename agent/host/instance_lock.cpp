#include "agent/host/instance_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <utility>

namespace lanwright::host {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

std::string holder_of(int descriptor) {
  std::array<char, 32> text{};
  const ssize_t size = pread(descriptor, text.data(), text.size() - 1, 0);
  return {text.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

bool is_dead(const std::string& pid) {
  const long number = std::strtol(pid.c_str(), nullptr, 10);
  return number > 0 && kill(static_cast<pid_t>(number), 0) != 0 && errno == ESRCH;
}

// flock(2) has no time limit, and what the dead one's child does makes no event here.
bool lock_within(int descriptor, Clock::duration limit) {
  const auto end = Clock::now() + limit;
  while (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK || !is_dead(holder_of(descriptor)) || Clock::now() > end) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

}  // namespace

Result<InstanceLock> InstanceLock::take(const std::filesystem::path& directory) {
  const std::string path = directory / "lock";
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return error_from_errno(error.value(), "create directory", directory);
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return error_from_errno(errno, "open", path);
  InstanceLock lock(descriptor);
  if (!lock_within(descriptor, 1s)) {
    if (errno != EWOULDBLOCK) return error_from_errno(errno, "lock", path);
    const std::string pid = holder_of(descriptor);
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
