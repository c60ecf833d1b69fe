// Of which networks there may be rules, in a file that is to live as long as rules do: until the next boot.
// Who was killed before he could take one away finds it there. One thread at a time.
#pragma once

#include <filesystem>
#include <set>

#include "model/base/ids.h"
#include "model/base/result.h"

namespace lanwright::netfilter {

class RuleRecord {
 public:
  // Reads what an earlier agent left; no file is an empty one. The directory is there.
  static Result<RuleRecord> open(std::filesystem::path file);

  const std::set<ObjectUid>& networks() const { return networks_; }
  // Before its rule is made.
  Result<void> add(const ObjectUid& network);
  // Once there is no rule of any.
  Result<void> clear();

 private:
  explicit RuleRecord(std::filesystem::path file) : file_(std::move(file)) {}

  std::filesystem::path file_;
  std::set<ObjectUid> networks_;
};

}  // namespace lanwright::netfilter
