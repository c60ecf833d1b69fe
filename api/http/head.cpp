#include "api/http/head.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace lanwright::http {
namespace {

constexpr std::string_view kUnreserved =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";  // RFC 3986, 2.3

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

// RFC 9110, 5.6.2
bool is_token(std::string_view text) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  const auto fits = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOthers.find(c) != std::string_view::npos;
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), fits);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

HttpError bad(std::string detail) {
  return {.status = 400, .detail = std::move(detail), .hint = {}};
}

std::optional<HttpError> read_query(std::string_view text, RequestHead& head) {
  if (text.empty()) return std::nullopt;
  for (const std::string_view pair : split(text, '&')) {
    if (pair.empty()) continue;
    std::string spaced(pair);
    std::replace(spaced.begin(), spaced.end(), '+', ' ');
    const std::size_t equals = spaced.find('=');
    const auto key = percent_decoded(std::string_view(spaced).substr(0, equals));
    const auto value = equals == std::string::npos
                           ? std::optional<std::string>("")
                           : percent_decoded(std::string_view(spaced).substr(equals + 1));
    if (!key || !value) return bad("a percent sign in the query is not followed by two hex digits");
    head.query.emplace_back(*key, *value);
  }
  return std::nullopt;
}

// RFC 9112, 3.2: origin-form, or absolute-form as a proxy sends it.
std::optional<HttpError> read_target(std::string_view target, RequestHead& head) {
  if (std::any_of(target.begin(), target.end(),
                  [](char c) { return is_control(c) || static_cast<unsigned char>(c) >= 0x80; })) {
    return bad("the request target contains a byte that has to be percent-encoded");
  }
  if (target.starts_with("http://") || target.starts_with("https://")) {
    const std::size_t path = target.find('/', target.find("://") + 3);
    target = path == std::string_view::npos ? "/" : target.substr(path);
  }
  if (!target.starts_with('/')) return bad("the request target is not a path");
  target = target.substr(0, target.find('#'));
  const std::size_t question = target.find('?');
  const std::string_view path = target.substr(0, question);
  head.target_path = path;
  for (const std::string_view segment : split(path.substr(1), '/')) {
    const auto decoded = percent_decoded(segment);
    if (!decoded) return bad("a percent sign in the path is not followed by two hex digits");
    head.path.push_back(*decoded);
  }
  return question == std::string_view::npos ? std::nullopt : read_query(target.substr(question + 1), head);
}

std::optional<HttpError> read_request_line(std::string_view line, RequestHead& head,
                                           const HeadLimits& limits) {
  if (line.size() > limits.line) {
    return HttpError{.status = 414,
                     .detail = "the request line has more than " + std::to_string(limits.line) + " bytes",
                     .hint = {}};
  }
  const auto words = split(line, ' ');
  if (words.size() != 3 || !is_token(words[0])) return bad("the request line is not METHOD TARGET HTTP/1.1");
  if (words[2] != "HTTP/1.1" && words[2] != "HTTP/1.0") {
    if (!words[2].starts_with("HTTP/")) return bad("the request line is not METHOD TARGET HTTP/1.1");
    return HttpError{.status = 505, .detail = "only HTTP/1.1 and HTTP/1.0 are spoken here", .hint = {}};
  }
  constexpr std::array<std::string_view, 7> kMethods{"GET",    "HEAD",  "POST",   "PUT",
                                                     "DELETE", "PATCH", "OPTIONS"};
  if (std::find(kMethods.begin(), kMethods.end(), words[0]) == kMethods.end())
    return HttpError{
        .status = 501, .detail = "the method " + std::string(words[0]) + " is not known", .hint = {}};
  head.method = words[0];
  head.keep_alive = words[2] == "HTTP/1.1";
  return read_target(words[1], head);
}

std::optional<HttpError> read_field(std::string_view line, RequestHead& head, const HeadLimits& limits) {
  if (line.size() > limits.line) {
    return HttpError{.status = 431,
                     .detail = "a header field has more than " + std::to_string(limits.line) + " bytes",
                     .hint = {}};
  }
  if (line.starts_with(' ') || line.starts_with('\t'))
    return bad("a header field is continued on the next line");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
    return bad("a header field is not NAME: VALUE");
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (std::any_of(value.begin(), value.end(), [](char c) { return is_control(c) && c != '\t'; }))
    return bad("a header field contains a control character");
  if (head.fields.size() == limits.fields) {
    return HttpError{.status = 431,
                     .detail = "there are more than " + std::to_string(limits.fields) + " header fields",
                     .hint = {}};
  }
  head.fields.emplace_back(lower(line.substr(0, colon)), value);
  return std::nullopt;
}

std::size_t count(const RequestHead& head, std::string_view name) {
  return static_cast<std::size_t>(std::count_if(head.fields.begin(), head.fields.end(),
                                                [&](const auto& field) { return field.first == name; }));
}

std::optional<HttpError> check_framing(RequestHead& head, const HeadLimits& limits) {
  if (count(head, "transfer-encoding") != 0) {
    return HttpError{.status = 411,
                     .detail = "Transfer-Encoding is not accepted",
                     .hint = "send the whole body with a Content-Length"};
  }
  if (count(head, "content-length") == 0) return std::nullopt;
  const std::string& text = head.field("content-length");
  std::uint64_t length = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (failed == std::errc::result_out_of_range) {
    length = limits.body + 1;
  } else if (failed != std::errc() || end != text.data() + text.size()) {
    return bad("Content-Length is not a number");
  }
  head.content_length = length;
  if (length <= limits.body) return std::nullopt;
  return HttpError{.status = 413,
                   .detail = "the body has more than " + std::to_string(limits.body) + " bytes",
                   .hint = "cut the set into several sets"};
}

std::optional<HttpError> check_fields(RequestHead& head, bool needs_host) {
  for (const char* name : {"host", "content-length", "content-type", "content-encoding", "expect", "if-match",
                           "if-none-match", "last-event-id"}) {
    if (count(head, name) > 1) return bad(std::string("there is more than one field ") + name);
  }
  if (needs_host && count(head, "host") == 0) return bad("HTTP/1.1 needs the field Host");
  if (const std::string coding = lower(head.field("content-encoding"));
      !coding.empty() && coding != "identity") {
    return HttpError{
        .status = 415, .detail = "Content-Encoding is not accepted", .hint = "send the plain text"};
  }
  if (lower(head.field("content-type")).starts_with("multipart/")) {
    return HttpError{.status = 415,
                     .detail = "a multipart body is not accepted",
                     .hint = "send the file itself, for curl with --data-binary @FILE"};
  }
  if (const std::string expected = lower(head.field("expect")); !expected.empty()) {
    if (expected != "100-continue")
      return HttpError{.status = 417, .detail = "only 100-continue can be expected", .hint = {}};
    head.expects_continue = true;
  }
  return std::nullopt;
}

void check_connection(RequestHead& head) {
  for (const auto& [name, value] : head.fields) {
    if (name != "connection") continue;
    for (const std::string_view option : split(value, ',')) {
      if (lower(trimmed(option)) == "close") head.keep_alive = false;
    }
  }
}

}  // namespace

const std::string& RequestHead::field(std::string_view name) const {
  static const std::string kNone;
  const auto found =
      std::find_if(fields.begin(), fields.end(), [&](const auto& each) { return each.first == name; });
  return found == fields.end() ? kNone : found->second;
}

std::optional<std::variant<std::size_t, HttpError>> find_head(std::string_view bytes,
                                                              const HeadLimits& limits) {
  const std::size_t end = bytes.find("\r\n\r\n");
  const std::string_view seen = bytes.substr(0, end);
  // A bare line feed would make it another request for a reader that takes it for the end of a line.
  for (std::size_t i = seen.find('\n'); i != std::string_view::npos; i = seen.find('\n', i + 1)) {
    if (i == 0 || seen[i - 1] != '\r') return bad("a line ends without a carriage return");
  }
  if (end != std::string_view::npos && end + 4 <= limits.bytes) return end + 4;
  if (seen.find("\r\n") == std::string_view::npos && seen.size() > limits.line) {
    return HttpError{.status = 414,
                     .detail = "the request line has more than " + std::to_string(limits.line) + " bytes",
                     .hint = {}};
  }
  if (end != std::string_view::npos || seen.size() >= limits.bytes) {
    return HttpError{.status = 431,
                     .detail = "the header has more than " + std::to_string(limits.bytes) + " bytes",
                     .hint = {}};
  }
  return std::nullopt;
}

std::variant<RequestHead, HttpError> read_head(std::string_view text, const HeadLimits& limits) {
  RequestHead head;
  text.remove_suffix(4);  // the end of the last line and the empty line
  std::size_t end = text.find("\r\n");
  if (auto refusal = read_request_line(text.substr(0, end), head, limits)) return *std::move(refusal);
  const bool needs_host = head.keep_alive;  // HTTP/1.1
  while (end != std::string_view::npos) {
    text.remove_prefix(end + 2);
    end = text.find("\r\n");
    if (auto refusal = read_field(text.substr(0, end), head, limits)) return *std::move(refusal);
  }
  if (auto refusal = check_fields(head, needs_host)) return *std::move(refusal);
  if (auto refusal = check_framing(head, limits)) return *std::move(refusal);
  check_connection(head);
  return head;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const auto high = hex_digit(text[i + 1]);
    const auto low = hex_digit(text[i + 2]);
    if (!high || !low) return std::nullopt;
    out += static_cast<char>(*high * 16 + *low);
    i += 2;
  }
  return out;
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (kUnreserved.find(c) != std::string_view::npos) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kDigits[byte >> 4U];
    out += kDigits[byte & 0xfU];
  }
  return out;
}

}  // namespace lanwright::http
