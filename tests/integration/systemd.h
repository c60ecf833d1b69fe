// A systemd of the test's own, as it is installed on this machine.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/integration/sandbox.h"

namespace lanwright::test {

// The first process of a process namespace, with a journal and a system bus, and no other units of the
// machine's than those need. Network and /run are the sandbox's; the machine's files can be read there and
// not written, and /var/lib is empty. Its control groups are below one of its own. When the object is gone,
// or the test, all of its processes have ended. Up within a second.
class Systemd {
 public:
  explicit Systemd(const Sandbox& sandbox);  // returns when it is running
  ~Systemd();
  Systemd(const Systemd&) = delete;
  Systemd& operator=(const Systemd&) = delete;

  // A unit, or "UNIT.d/NAME.conf": known when this returns.
  void install(const std::string& name, const std::string& text) const;
  // Among its processes, which have other numbers there than for the test.
  Finished run(std::vector<std::string> command, Milliseconds limit = 30s) const;
  // `systemctl ARGUMENTS`; throws with its words, and the journal, when it fails.
  void systemctl(std::vector<std::string> arguments) const;
  std::string property(const std::string& unit, const std::string& name) const;
  // What the journal has of it, a line each: of all, or of those that `matches` (journalctl(1)) say.
  std::string journal(const std::vector<std::string>& matches = {}) const;
  // Of the processes in the control group of a unit: command lines by number, which is the test's.
  std::map<pid_t, std::string> processes_of(const std::string& unit) const;
  // Moves one into that of a unit, as systemd itself would not.
  void move(pid_t pid, const std::string& unit) const;

 private:
  void start();
  void clean_up() const;
  bool is_running() const;
  std::filesystem::path members_of(const std::string& unit) const;  // cgroup.procs

  std::filesystem::path cgroups_;  // the whole hierarchy
  std::filesystem::path cgroup_;   // its own
  pid_t guard_ = -1;               // parent of the first process
  pid_t first_ = -1;
};

// Whether this machine has it.
bool has_systemd();

}  // namespace lanwright::test
