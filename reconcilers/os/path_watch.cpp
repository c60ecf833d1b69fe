#include "reconcilers/os/path_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>

namespace lanwright::os {
namespace {

constexpr int kMostLinks = 40;  // on one way, as the kernel has it (MAXSYMLINKS)
constexpr std::uint32_t kEvents =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

std::string name_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// What the symbolic link at `path` leads to; "" when it is none.
std::string target_of(const std::string& path) {
  std::array<char, PATH_MAX> buffer{};
  const ssize_t length = ::readlink(path.c_str(), buffer.data(), buffer.size());
  if (length <= 0) return {};
  const std::string target(buffer.data(), static_cast<std::size_t>(length));
  return target.front() == '/' ? target : directory_of(path) + "/" + target;
}

}  // namespace

Result<PathWatch> PathWatch::open() {
  Descriptor events(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!events) return error_from_errno(errno, "watch", "paths of network namespaces");
  return PathWatch(std::move(events));
}

void PathWatch::watch(const std::set<std::string>& paths) {
  std::vector<std::string> dropped;
  for (const auto& [path, way] : ways_) {
    if (!paths.contains(path)) dropped.push_back(path);
  }
  for (const std::string& path : dropped) forget(path);
  for (const std::string& path : paths) {
    if (!ways_.contains(path)) follow(path);
  }
}

// A directory is watched before what is in it is read: what changes in between is told.
void PathWatch::follow(const std::string& path) {
  Way& way = ways_[path];
  std::string at = path;
  for (int links = 0; links < kMostLinks && !at.empty(); ++links) {
    way.to_proc = at.starts_with("/proc/");
    if (way.to_proc) return;
    if (!add_step(path, way, directory_of(at), name_of(at))) {
      while (at != "/" && !add_step(path, way, directory_of(at), name_of(at))) at = directory_of(at);
      return;
    }
    at = target_of(at);
  }
}

bool PathWatch::add_step(const std::string& path, Way& way, const std::string& directory,
                         const std::string& name) {
  const int watched = ::inotify_add_watch(events_.get(), directory.c_str(), kEvents);
  if (watched < 0) return false;
  way.steps.emplace_back(watched, name);
  passing_[watched][name].insert(path);
  return true;
}

void PathWatch::forget(const std::string& path) {
  const auto way = ways_.find(path);
  if (way == ways_.end()) return;
  for (const auto& [directory, name] : way->second.steps) {
    const auto names = passing_.find(directory);
    if (names == passing_.end()) continue;
    const auto paths = names->second.find(name);
    if (paths == names->second.end()) continue;
    paths->second.erase(path);
    if (paths->second.empty()) names->second.erase(paths);
    if (!names->second.empty()) continue;
    passing_.erase(names);
    ::inotify_rm_watch(events_.get(), directory);  // fails when the directory is gone
  }
  ways_.erase(way);
}

void PathWatch::add_all_of(int directory, std::set<std::string>& paths) const {
  const auto names = passing_.find(directory);
  if (names == passing_.end()) return;
  for (const auto& [name, passing] : names->second) paths.insert(passing.begin(), passing.end());
}

std::set<std::string> PathWatch::drain() {
  std::set<std::string> moved;
  alignas(inotify_event) std::array<char, 16384> bytes{};
  for (;;) {
    const ssize_t length = ::read(events_.get(), bytes.data(), bytes.size());
    if (length <= 0) break;
    for (std::size_t at = 0; at < static_cast<std::size_t>(length);) {
      const auto* event = reinterpret_cast<const inotify_event*>(bytes.data() + at);
      at += sizeof *event + event->len;
      if ((event->mask & IN_Q_OVERFLOW) != 0) {
        for (const auto& [path, way] : ways_) moved.insert(path);
      } else if (event->len == 0) {
        add_all_of(event->wd, moved);  // the directory itself
      } else if (const auto names = passing_.find(event->wd); names != passing_.end()) {
        const auto paths = names->second.find(event->name);
        if (paths != names->second.end()) moved.insert(paths->second.begin(), paths->second.end());
      }
    }
  }
  for (const std::string& path : moved) {
    forget(path);
    follow(path);
  }
  return moved;
}

bool PathWatch::leads_to_proc(const std::string& path) const {
  const auto way = ways_.find(path);
  return way != ways_.end() && way->second.to_proc;
}

}  // namespace lanwright::os
