// What /proc tells about a process.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace lanwright::bench {

struct Memory {
  double pss = 0;  // bytes: shared pages by share (smaps_rollup)
  double rss = 0;  // bytes
};
Memory memory_of(pid_t pid);

struct Activity {
  std::uint64_t switches = 0;  // context switches of all its threads, voluntary or not: wake-ups
  double processor = 0;        // seconds of user and system time
};
Activity activity_of(pid_t pid);

}  // namespace lanwright::bench
