#include "agent/docker/switch_links.h"

#include <string_view>
#include <system_error>
#include <utility>

namespace lanwright::docker_agent {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "kt-";

Error failed(const char* tried, const fs::path& path, const std::error_code& why) {
  return error_from_errno(why.value(), tried, path.string());
}

// In place, for who looks at it meanwhile.
Result<void> link(const fs::path& place, const std::string& target) {
  std::error_code why;
  fs::create_directories(place, why);
  if (why) return failed("create directory", place, why);
  const fs::path ctl = place / "ctl";
  if (fs::read_symlink(ctl, why) == target) return {};
  const fs::path fresh = place / "ctl.new";
  fs::remove(fresh, why);
  fs::create_symlink(target, fresh, why);
  if (!why) fs::rename(fresh, ctl, why);
  return why ? Result<void>(failed("create link", ctl, why)) : Result<void>();
}

Result<void> unlink(const fs::path& place) {
  std::error_code why;
  fs::remove_all(place, why);
  return why ? Result<void>(failed("remove", place, why)) : Result<void>();
}

}  // namespace

Result<void> SwitchLinks::open(fs::path directory) {
  std::error_code why;
  fs::create_directories(directory, why);
  if (why) return failed("create directory", directory, why);
  for (const auto& entry : fs::directory_iterator(directory, why)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(kPrefix)) linked_.emplace(name.substr(kPrefix.size()), std::string());
  }
  if (why) return failed("read directory", directory, why);
  directory_ = std::move(directory);
  return {};
}

Result<void> SwitchLinks::want(const std::map<std::string, std::string>& switches) {
  if (directory_.empty() || switches == linked_) return {};
  Result<void> result;
  const auto keep_first = [&result](Result<void> done) {
    if (result && !done) result = std::move(done);
  };
  const auto place = [this](const std::string& id) { return directory_ / (std::string(kPrefix) + id); };
  for (auto each = linked_.begin(); each != linked_.end();) {
    if (switches.contains(each->first)) {
      ++each;
    } else {
      keep_first(unlink(place(each->first)));
      each = linked_.erase(each);
    }
  }
  for (const auto& [id, target] : switches) {
    const auto known = linked_.find(id);
    if (known != linked_.end() && known->second == target) continue;
    if (auto done = link(place(id), target); done)
      linked_[id] = target;
    else
      keep_first(std::move(done));
  }
  return result;
}

}  // namespace lanwright::docker_agent
