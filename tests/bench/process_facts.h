// What /proc tells about a process, and about the whole machine.
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

// Packets of anybody on the machine that the kernel dropped because a processor's receive queue was full
// (/proc/net/softnet_stat): a loss that no user of the network is to blame for.
std::uint64_t receive_queue_drops();

}  // namespace lanwright::bench
