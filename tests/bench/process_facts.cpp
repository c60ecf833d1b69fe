#include "tests/bench/process_facts.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/integration/sandbox.h"

namespace lanwright::bench {
namespace {

constexpr double kKibibyte = 1024;

// The number on the first line that starts with the word.
std::uint64_t number_behind(const std::filesystem::path& file, const std::string& word) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(word)) return std::stoull(line.substr(word.size()));
  }
  throw test::HarnessError("no " + word + " in " + file.string());
}

std::filesystem::path directory_of(pid_t pid) {
  return "/proc/" + std::to_string(pid);
}

}  // namespace

Memory memory_of(pid_t pid) {
  const auto file = directory_of(pid) / "smaps_rollup";
  return {kKibibyte * static_cast<double>(number_behind(file, "Pss:")),
          kKibibyte * static_cast<double>(number_behind(file, "Rss:"))};
}

Activity activity_of(pid_t pid) {
  Activity activity;
  for (const auto& task : std::filesystem::directory_iterator(directory_of(pid) / "task")) {
    const auto status = task.path() / "status";
    activity.switches += number_behind(status, "voluntary_ctxt_switches:") +
                         number_behind(status, "nonvoluntary_ctxt_switches:");
  }
  std::ifstream file(directory_of(pid) / "stat");
  std::string text;
  std::getline(file, text);
  std::istringstream fields(text.substr(text.rfind(')') + 2));  // from the third field on (proc_pid_stat(5))
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  activity.processor = (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
  return activity;
}

std::uint64_t receive_queue_drops() {
  std::ifstream file("/proc/net/softnet_stat");  // a line for each processor, in hexadecimal
  std::uint64_t drops = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::uint64_t processed = 0;
    std::uint64_t dropped = 0;
    if (!(fields >> std::hex >> processed >> dropped)) throw test::HarnessError("softnet_stat: " + line);
    drops += dropped;
  }
  return drops;
}

}  // namespace lanwright::bench
