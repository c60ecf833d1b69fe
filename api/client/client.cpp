#include "api/client/client.h"

#include <grp.h>
#include <httplib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

namespace lanwright::client {
namespace {

using Json = nlohmann::json;

std::string words_of(int number) {
  return std::generic_category().message(number);
}

std::string encoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  constexpr std::string_view kUnreserved =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";  // RFC 3986, 2.3
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

std::string target(const std::string& path, const Query& query) {
  std::string out = path;
  char separator = '?';
  for (const auto& [key, value] : query) {
    out += separator + key + '=' + encoded(value);
    separator = '&';
  }
  return out;
}

ErrorKind kind_of_status(int status) {
  switch (status) {
    case 401:
    case 403:
      return ErrorKind::denied;
    case 404:
      return ErrorKind::not_found;
    case 409:
    case 412:
      return ErrorKind::conflict;
    case 501:
      return ErrorKind::unsupported;
    case 503:
      return ErrorKind::busy;
    case 504:
      return ErrorKind::timeout;
    case 507:
      return ErrorKind::exhausted;
    default:
      return status >= 500 ? ErrorKind::internal : ErrorKind::invalid;
  }
}

std::string text_in(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// From problem details (RFC 9457), or from whatever else came.
ClientError error_from_answer(int status, const std::string& body) {
  ClientError error;
  error.kind = kind_of_status(status);
  error.status = status;
  const Json problem = Json::parse(body, nullptr, false);
  if (problem.is_object()) {
    error.message = text_in(problem, "detail");
    if (error.message.empty()) error.message = text_in(problem, "title");
    error.hint = text_in(problem, "hint");
    if (const auto errors = problem.find("errors"); errors != problem.end() && errors->is_array()) {
      for (const Json& each : *errors) {
        if (each.is_object()) error.diagnostics.push_back(text_in(each, "text"));
      }
    }
  }
  if (error.message.empty()) error.message = "the agent answered HTTP status " + std::to_string(status);
  return error;
}

// 0 when somebody listens on the socket, else why it cannot be reached. httplib does not keep that errno.
int probe(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  std::copy(path.begin(), path.end(), std::begin(address.sun_path));
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return errno;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): what connect(2) asks for
  const int failed = ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int number = failed == 0 ? 0 : errno;
  ::close(descriptor);
  return number;
}

std::string name_of_group(gid_t gid) {
  std::array<char, 4096> buffer{};
  group entry{};
  group* found = nullptr;
  if (::getgrgid_r(gid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
    return entry.gr_name;
  return std::to_string(gid);
}

std::string hint_for_denied(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return "only root may look into its directory; try sudo";
  if ((status.st_mode & S_IWGRP) == 0 || status.st_gid == 0) return "the socket is root's alone; try sudo";
  const std::string name = name_of_group(status.st_gid);
  return "the socket belongs to the group " + name + "; join it: sudo usermod -aG " + name +
         " $USER, then log in again";
}

std::string hint_for_unreachable(int number, const std::string& path) {
  switch (number) {
    case EACCES:
    case EPERM:
      return hint_for_denied(path);
    case ENAMETOOLONG:
      return "the path of a Unix socket has at most 107 bytes";
    default:
      return "start it: systemctl start lanwrightd (or lanwrightd --run-dir DIR), or name its socket with "
             "--socket or LANWRIGHT_SOCKET";
  }
}

ClientError unreachable(const std::string& path) {
  const int number = probe(path);
  ClientError error;
  error.kind = number == EACCES || number == EPERM ? ErrorKind::denied : ErrorKind::busy;
  // Nothing wrong any more: it came up, or had no room in its queue, between the request and this look.
  error.message = "cannot reach the agent at " + path + ": " + words_of(number == 0 ? ECONNREFUSED : number);
  error.hint = number == 0 ? "it listens now; try again" : hint_for_unreachable(number, path);
  return error;
}

}  // namespace

struct Client::Impl {
  std::string socket;
  std::chrono::milliseconds patience;
  httplib::Client http;
  std::atomic<bool> ended = false;  // the stream, by this side

  Impl(std::string path, std::chrono::milliseconds time)
      : socket(std::move(path)), patience(time), http(socket, 80) {
    http.set_address_family(AF_UNIX);
    http.set_keep_alive(true);
    http.set_url_encode(false);
    http.set_read_timeout(patience);
    http.set_write_timeout(patience);
    // httplib would send the path of the socket, which is not a valid Host.
    http.set_default_headers({{"Host", "localhost"}});
  }

  // httplib tells a silent agent and a closed connection apart by nothing but the time it took.
  ClientError no_answer(httplib::Error why, std::chrono::steady_clock::time_point began) const {
    if (why == httplib::Error::Connection || why == httplib::Error::ConnectionTimeout)
      return unreachable(socket);
    ClientError error;
    if (why == httplib::Error::Read && std::chrono::steady_clock::now() - began >= patience) {
      error.kind = ErrorKind::timeout;
      error.message = "the agent at " + socket + " did not answer within " +
                      std::to_string(std::chrono::duration_cast<std::chrono::seconds>(patience).count()) +
                      " s";
      error.hint = "what was asked may still happen; look with: lanwright status";
      return error;
    }
    error.kind = ErrorKind::busy;
    error.message = "the agent at " + socket + " closed the connection without a complete answer";
    error.hint = "it may have been stopped; look with: systemctl status lanwrightd";
    return error;
  }

  // Without an error when one of the callbacks, or end_stream(), ended it. `what` is what people call it.
  Reply stream(const std::string& what, const std::string& target, const httplib::Headers& headers,
               const std::function<bool()>& on_begin, const std::function<bool(std::string_view)>& on_data) {
    ended = false;
    int status = 0;
    std::string refusal;
    const auto began = std::chrono::steady_clock::now();
    const httplib::Result result = http.Get(
        target, headers,
        [&](const httplib::Response& response) {
          status = response.status;
          if (status == 200 && !on_begin()) ended = true;
          return !ended;
        },
        [&](const char* data, std::size_t size) {
          if (status == 200) {
            if (!on_data({data, size})) ended = true;
            return !ended;
          }
          refusal.append(data, size);
          return true;
        });
    if (ended) return {};
    if (status == 0) return {.body = {}, .error = no_answer(result.error(), began)};
    if (status != 200) return {.body = {}, .error = error_from_answer(status, refusal)};
    ClientError error;
    error.kind = ErrorKind::busy;
    error.message = "the agent ended the " + what;
    error.hint = "it may have been stopped; look with: systemctl status lanwrightd";
    return {.body = {}, .error = std::move(error)};
  }

  template <class Request>
  Reply send(Request&& request) {
    const auto began = std::chrono::steady_clock::now();
    const httplib::Result result = std::forward<Request>(request)();
    if (!result) return {.body = {}, .error = no_answer(result.error(), began)};
    if (result->status / 100 != 2)
      return {.body = {}, .error = error_from_answer(result->status, result->body)};
    return {.body = result->body, .error = {}};
  }
};

Client::Client(const std::filesystem::path& socket, std::chrono::milliseconds patience)
    : impl_(std::make_unique<Impl>(socket.string(), patience)) {}
Client::~Client() = default;

Reply Client::get(const std::string& path, const Query& query) {
  return impl_->send([&] { return impl_->http.Get(target(path, query)); });
}

Reply Client::post(const std::string& path, const Query& query, const std::string& body,
                   std::optional<std::uint64_t> if_generation) {
  httplib::Headers headers;
  if (if_generation) headers.emplace("If-Match", '"' + std::to_string(*if_generation) + '"');
  return impl_->send(
      [&] { return impl_->http.Post(target(path, query), headers, body, "application/yaml"); });
}

Reply Client::put(const std::string& path, const Query& query) {
  return impl_->send([&] { return impl_->http.Put(target(path, query), std::string(), std::string()); });
}

Reply Client::remove(const std::string& path, const Query& query) {
  return impl_->send([&] { return impl_->http.Delete(target(path, query)); });
}

Reply Client::follow_events(std::uint64_t after, const std::function<bool(std::string_view)>& on_event) {
  EventStreamParser parser;
  return impl_->stream(
      "stream of events", "/v1/events",
      {{"Accept", "text/event-stream"}, {"Last-Event-ID", std::to_string(after)}}, [] { return true; },
      [&](std::string_view piece) { return parser.feed(piece, on_event); });
}

Reply Client::stream(const std::string& path, const Query& query, const std::function<bool()>& on_begin,
                     const std::function<bool(std::string_view)>& on_data) {
  // As long as poll(2) can wait, which takes milliseconds in an int.
  constexpr std::chrono::hours kForever{std::numeric_limits<int>::max() / 3'600'000};
  impl_->http.set_read_timeout(kForever);
  Reply reply = impl_->stream("stream", target(path, query), {}, on_begin, on_data);
  impl_->http.set_read_timeout(impl_->patience);
  return reply;
}

void Client::end_stream() {
  impl_->ended = true;
  impl_->http.stop();
}

std::string path_segment(std::string_view name) {
  return encoded(name);
}

bool EventStreamParser::take_line(std::string_view line,
                                  const std::function<bool(std::string_view)>& on_data) {
  if (line.empty()) {
    const std::string data = std::exchange(data_, {});
    return data.empty() || on_data(std::string_view(data).substr(0, data.size() - 1));
  }
  constexpr std::string_view kField = "data:";
  if (!line.starts_with(kField)) return true;  // id, event, retry and comments
  line.remove_prefix(kField.size());
  if (line.starts_with(' ')) line.remove_prefix(1);
  data_.append(line).append("\n");
  return true;
}

bool EventStreamParser::feed(std::string_view piece, const std::function<bool(std::string_view)>& on_data) {
  for (const char c : piece) {
    const bool pair = std::exchange(after_cr_, c == '\r') && c == '\n';
    if (pair) continue;
    if (c != '\r' && c != '\n') {
      line_ += c;
      continue;
    }
    if (!take_line(std::exchange(line_, {}), on_data)) return false;
  }
  return true;
}

}  // namespace lanwright::client
