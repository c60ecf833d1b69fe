// Words put together for people. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace lanwright {

// "a, b, c" of any range of strings.
template <class Range>
std::string join(const Range& words, std::string_view between) {
  std::string text;
  for (const auto& word : words) {
    if (!text.empty()) text += between;
    text += word;
  }
  return text;
}

}  // namespace lanwright
