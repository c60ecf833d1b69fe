// Words of users in messages: quoted, and what was probably meant by one. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lanwright {

// In backticks, cut to a readable length and without control characters.
std::string quote(std::string_view text);

// Of `words` the one that `word` was probably meant to be; empty when none is near. Linear in the words.
class Nearest {
 public:
  explicit Nearest(std::string_view word);
  void offer(std::string_view candidate);
  std::string take() const { return std::string(best_); }

 private:
  std::string_view word_;
  std::string_view best_;
  std::size_t best_distance_;
};

}  // namespace lanwright
