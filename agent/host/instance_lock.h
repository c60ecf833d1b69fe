// One agent per state directory.
#pragma once

#include <filesystem>

#include "model/base/result.h"

namespace lanwright::host {

// Holds DIR/lock (flock(2)) for its lifetime; the kernel lets go of it however the process ends.
class InstanceLock {
 public:
  // conflict, naming the pid of the holder, when somebody else has it. Waits for a second when that process
  // is dead: one that it was about to start holds the lock too, until it has executed its program.
  static Result<InstanceLock> take(const std::filesystem::path& directory);
  InstanceLock(InstanceLock&& other) noexcept;
  InstanceLock& operator=(InstanceLock&&) = delete;
  InstanceLock(const InstanceLock&) = delete;
  InstanceLock& operator=(const InstanceLock&) = delete;
  ~InstanceLock();

 private:
  explicit InstanceLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace lanwright::host
