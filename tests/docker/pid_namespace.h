// A process namespace of the test program's own. A container outlives the daemons that made it, has a mount
// namespace of its own and is nobody's child, so that only the end of a process namespace is sure to end all
// of them.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace lanwright::test {

// Does `work` in a process of a fresh process namespace that has its own /proc, and answers its exit status,
// or 128 + signal. Whatever runs in the namespace has ended then, also when `work` crashed; it ends as well
// when the caller is killed. Orphans in it are buried. To be called once in a process and before it has
// threads: what it starts afterwards would belong to the namespace that has ended.
int in_pid_namespace(const std::function<int()>& work);

// The cgroup (of every hierarchy) below which `work` may make others: removed, with those, when it has ended.
const std::string& own_cgroup();

// Moves a process into a cgroup there (of every hierarchy): what it starts stays below, too.
void move_into_own_cgroup(pid_t pid);

struct OtherProcess {
  int pid = 0;
  std::string program;  // its executable; "" of a process that is just ending
  std::string command;  // with arguments
};

// What runs in the process namespace beside the test program and its forks. The dead that are not buried do
// not count.
std::vector<OtherProcess> other_processes();

// The same as text, a line each.
std::string list_of(const std::vector<OtherProcess>& processes);

}  // namespace lanwright::test
