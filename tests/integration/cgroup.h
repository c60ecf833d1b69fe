// Control groups that tests make, of either version.
#pragma once

#include <filesystem>
#include <string_view>

namespace lanwright::test {

// With those below it; false when there are still processes in one of them.
bool remove_cgroup(const std::filesystem::path& cgroup);

// Those in `hierarchy` that are called PREFIX and the number of a process that is gone: of tests that were
// killed before they could.
void remove_cgroups_of_the_dead(const std::filesystem::path& hierarchy, std::string_view prefix);

}  // namespace lanwright::test
