// The head of an HTTP/1 request (RFC 9112), read strictly: what two readers could understand differently is
// refused. Pure; any thread may call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace lanwright::http {

struct HeadLimits {
  std::size_t bytes = 64U << 10U;  // of the head
  std::size_t line = 8000;         // of the request line, and of a field
  std::size_t fields = 100;
  std::size_t body = 16U << 20U;
};

// Why a request is not served; the connection ends with it.
struct HttpError {
  int status = 400;
  std::string detail;
  std::string hint;
};

struct RequestHead {
  std::string method;
  std::vector<std::string> path;                           // segments, percent-decoded
  std::vector<std::pair<std::string, std::string>> query;  // percent-decoded, in order
  std::string target_path;                                 // as it came
  std::optional<std::uint64_t> content_length;
  bool keep_alive = true;
  bool expects_continue = false;

  // The field of this name (lower case); the reader has made sure that there is at most one of those that the
  // server looks at. Empty when it is absent.
  const std::string& field(std::string_view name) const;
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case
};

// Where a complete head ends in `bytes` (behind its empty line), or why it will never be one; nothing as long
// as more is to come.
std::optional<std::variant<std::size_t, HttpError>> find_head(std::string_view bytes,
                                                              const HeadLimits& limits);

// `head` is what find_head() found.
std::variant<RequestHead, HttpError> read_head(std::string_view head, const HeadLimits& limits);

// RFC 3986, 2.1; nothing when a percent sign is not followed by two hex digits.
std::optional<std::string> percent_decoded(std::string_view text);
std::string percent_encoded(std::string_view text);

}  // namespace lanwright::http
