// What a route answers, before it becomes HTTP.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/format/json.h"

namespace lanwright::http {

class Connection;

inline constexpr const char* kJson = "application/json";
inline constexpr const char* kProblem = "application/problem+json";

// Writes some of a stream; false when the client is gone.
using Write = std::function<bool(std::string_view)>;

struct Response {
  int status = 200;
  std::string content_type = kJson;
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
  // When given, it is called once instead of `body`, and the connection ends after it.
  std::function<void(const Write&)> stream = {};
};

// Bytes that are not UTF-8 (names from the kernel, from a path) become U+FFFD instead of an exception.
inline std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

inline Response json_answer(const Json& json) {
  return {.body = text_of(json) + "\n"};
}

}  // namespace lanwright::http
