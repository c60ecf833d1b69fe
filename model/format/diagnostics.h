// The mistakes of one text, as they are found, and the diagnostics that are made of them. Inside of model/
// only. Bounded: of any number of mistakes the first ones of the file are kept, the others are counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/format/set_reader.h"
#include "model/format/suggestions.h"

namespace lanwright {

struct TreeNode;

class Diagnostics {
 public:
  // The text, and every node that is named, must live until report().
  Diagnostics(std::string_view text, std::size_t limit);

  void add(const TreeNode& at, std::string message, std::string suggestion = {});
  // About something that should be in `in` and is not; `relative` is the rest of the path, "mtu".
  void add_missing(const TreeNode& in, std::string relative, std::string message);
  void add_at(std::size_t offset, std::string message);

  std::size_t count() const { return count_; }
  // Whether a further mistake is likely to be counted only, so that it deserves no dear suggestion.
  bool full() const { return pending_.size() >= limit_; }
  std::size_t line(std::size_t offset) const;  // 1-based
  std::size_t line(const TreeNode& node) const;

  // In the order of the file.
  void report(const std::string& file, ReadOutcome& outcome);

 private:
  struct Pending {
    std::size_t offset = 0;
    std::size_t order = 0;  // of being found
    const TreeNode* node = nullptr;
    std::string relative;
    std::string message;
    std::string suggestion;
    bool operator<(const Pending& other) const {
      return offset != other.offset ? offset < other.offset : order < other.order;
    }
  };

  void keep(Pending mistake);
  Diagnostic diagnostic(const std::string& file, Pending& mistake) const;

  std::string_view text_;
  std::size_t limit_;
  std::size_t count_ = 0;
  std::vector<Pending> pending_;
  std::size_t last_ = std::string_view::npos;     // mistakes behind this place will not be told
  mutable std::vector<std::size_t> line_starts_;  // made when first needed
};

// Where people look for this node: a value that was left out is at its key.
const TreeNode& place_of(const TreeNode& node);

// "networks.lab.subnets[0].cidr"
std::string path_of(const TreeNode& node);

}  // namespace lanwright
