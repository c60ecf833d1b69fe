#include "reconcilers/netfilter/rule_record.h"

#include <cerrno>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>

namespace lanwright::netfilter {

Result<RuleRecord> RuleRecord::open(std::filesystem::path file) {
  RuleRecord record(std::move(file));
  errno = 0;
  std::ifstream lines(record.file_);
  if (!lines && errno != ENOENT) return error_from_errno(errno, "read", record.file_.string());
  for (ObjectUid network; std::getline(lines, network);) {
    if (!network.empty()) record.networks_.insert(network);
  }
  if (lines.bad()) return error_from_errno(errno, "read", record.file_.string());
  return record;
}

// A line that was cut off by the end of its writer names no network, and its rule was not made.
Result<void> RuleRecord::add(const ObjectUid& network) {
  if (networks_.contains(network)) return {};
  errno = 0;
  std::ofstream lines(file_, std::ios::app);
  if (!(lines << network << '\n' << std::flush)) return error_from_errno(errno, "write", file_.string());
  networks_.insert(network);
  return {};
}

Result<void> RuleRecord::clear() {
  if (networks_.empty()) return {};
  std::error_code failed;
  std::filesystem::remove(file_, failed);
  if (failed) return error_from_errno(failed.value(), "remove", file_.string());
  networks_.clear();
  return {};
}

}  // namespace lanwright::netfilter
