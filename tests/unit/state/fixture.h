// What the tests of the store share: a directory of their own, and short ways to say what is put.
#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "state/store.h"

namespace lanwright {

// A directory that ends with the test.
class Directory {
 public:
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "lanwright-state-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    path_ = name;
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path database() const { return path_ / "lanwright.db"; }
  // The names in it that begin like this.
  std::vector<std::string> files(const std::string& prefix) const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      std::string name = entry.path().filename().string();
      if (name.rfind(prefix, 0) == 0) names.push_back(std::move(name));
    }
    return names;
  }

 private:
  std::filesystem::path path_;
};

// Opens a store that must open.
inline state::Store::Opened must_open(const std::filesystem::path& directory) {
  auto opened = state::Store::open(directory);
  if (!opened) throw std::runtime_error(opened.error().text());
  return std::move(opened).value();
}

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().text());
  return std::move(result).value();
}
inline void must(const Result<void>& result) {
  if (!result) throw std::runtime_error(result.error().text());
}

inline state::StoredObject network(const std::string& name, std::string spec = R"({"driver":"bridge"})",
                                   const std::string& set = "default") {
  state::StoredObject object;
  object.id = {Kind::network, name};
  object.set = set;
  object.spec = std::move(spec);
  return object;
}

inline state::StoreChange put(std::vector<state::StoredObject> objects) {
  state::StoreChange change;
  for (const auto& object : objects) change.put_sets.push_back(object.set);
  change.put_objects = std::move(objects);
  return change;
}

inline Event event(std::string type, std::string message = {}) {
  Event made;
  made.type = std::move(type);
  made.message = std::move(message);
  return made;
}

// SQL past the store, as a person with the sqlite3 shell would run it. Returns the first column of the last
// row.
class Shell {
 public:
  explicit Shell(const std::filesystem::path& path) {
    if (sqlite3_open(path.c_str(), &handle_) != SQLITE_OK) throw std::runtime_error("open " + path.string());
  }
  ~Shell() { sqlite3_close(handle_); }
  Shell(const Shell&) = delete;
  Shell& operator=(const Shell&) = delete;

  std::string run(const std::string& sql) {
    std::string last;
    const auto take = [](void* to, int columns, char** values, char**) {
      std::string& row = *static_cast<std::string*>(to);
      row.clear();
      for (int at = 0; at < columns; ++at) {
        if (at > 0) row += '|';
        if (values[at] != nullptr) row += values[at];
      }
      return 0;
    };
    if (sqlite3_exec(handle_, sql.c_str(), take, &last, nullptr) != SQLITE_OK) {
      throw std::runtime_error(sqlite3_errmsg(handle_));
    }
    return last;
  }

 private:
  sqlite3* handle_ = nullptr;
};

}  // namespace lanwright
