// Says when a path may lead elsewhere than before: its last part, or that of a symbolic link that it leads
// through, was made, removed, renamed or replaced. Source: inotify(7). Loop thread only.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/base/result.h"
#include "reconcilers/os/descriptor.h"

namespace lanwright::os {

class PathWatch {
 public:
  static Result<PathWatch> open();

  int fd() const { return events_.get(); }  // readable when drain() has something to say

  // Exactly these, absolute. Of a path whose directory does not exist the nearest one above is watched.
  void watch(const std::set<std::string>& paths);
  // Which of them may lead elsewhere since the last call. Does not block.
  std::set<std::string> drain();
  // What the path leads to is below /proc, where things come and go without a word.
  bool leads_to_proc(const std::string& path) const;

 private:
  using Step = std::pair<int, std::string>;  // a directory's watch descriptor, and a name in it
  struct Way {
    std::vector<Step> steps;
    bool to_proc = false;
  };
  explicit PathWatch(Descriptor events) : events_(std::move(events)) {}

  void follow(const std::string& path);
  void forget(const std::string& path);
  bool add_step(const std::string& path, Way& way, const std::string& directory, const std::string& name);
  void add_all_of(int directory, std::set<std::string>& paths) const;

  Descriptor events_;
  std::map<std::string, Way> ways_;                                      // by path
  std::map<int, std::map<std::string, std::set<std::string>>> passing_;  // paths by directory and name
};

}  // namespace lanwright::os
