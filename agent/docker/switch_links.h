// Ways to the switches of Docker's networks by Docker's ids, for programs that know nothing else of them:
// DIRECTORY/kt-ID/ctl leads to the directory that programs name to join, ID being the twelve digits that
// Docker shows. Beside `ctl` others may put files. Source: Kathara's plugin has its switches there.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "model/base/result.h"

namespace lanwright::docker_agent {

class SwitchLinks {
 public:
  // Makes nothing before open().
  SwitchLinks() = default;
  // Makes the directory where it is missing.
  Result<void> open(std::filesystem::path directory);
  // These and no others, from now on: id and directory of the switch. One that is gone, as its network is,
  // takes along what is beside `ctl`. Of several errors the first one; the rest is done.
  Result<void> want(const std::map<std::string, std::string>& switches);

 private:
  std::filesystem::path directory_;            // empty: not open
  std::map<std::string, std::string> linked_;  // as they were made
};

}  // namespace lanwright::docker_agent
