// A client of the REST API over the agent's Unix socket. Blocking, one request at a time, one thread.
// Errors are values: what was asked, what the agent (or the system) said of it, and what to do next.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/base/result.h"

namespace lanwright::client {

// Why a request did not succeed.
struct ClientError {
  ErrorKind kind = ErrorKind::internal;
  int status = 0;                        // of HTTP; 0 when the agent did not answer
  std::string message;                   // one line, for people
  std::string hint;                      // what to do next; may be empty
  std::vector<std::string> diagnostics;  // the mistakes of a refused file, each as Diagnostic::text()
};

struct Reply {
  std::string body;                  // of a 2xx answer
  std::optional<ClientError> error;  // instead of it
  explicit operator bool() const { return !error; }
};

using Query = std::vector<std::pair<std::string, std::string>>;  // not yet encoded

class Client {
 public:
  // `patience`: how long the agent may stay silent before a request fails with ErrorKind::timeout.
  explicit Client(const std::filesystem::path& socket,
                  std::chrono::milliseconds patience = std::chrono::seconds(60));
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // `path` is encoded already (path_segment()).
  Reply get(const std::string& path, const Query& query = {});
  // `if_generation` is sent as If-Match: the agent answers a conflict when the set has another one by now.
  Reply post(const std::string& path, const Query& query, const std::string& body,
             std::optional<std::uint64_t> if_generation = {});
  Reply put(const std::string& path, const Query& query);  // without a body
  Reply remove(const std::string& path, const Query& query = {});

  // Calls `on_event` with the data of every event after `after` (JSON, RFC 8259) as it happens, until it
  // returns false (then the reply has no error) or the stream ends (then it has one). The agent sends
  // comments while nothing happens, so that its silence is an error here too.
  Reply follow_events(std::uint64_t after, const std::function<bool(std::string_view data)>& on_event);

  // Calls `on_begin` when the agent begins to stream (a refusal is an error as with get()), then `on_data`
  // with every piece as it comes, until one of both returns false or end_stream() is called (then the reply
  // has no error) or the agent ends it (then it has one). The agent may be silent as long as it likes.
  Reply stream(const std::string& path, const Query& query, const std::function<bool()>& on_begin,
               const std::function<bool(std::string_view piece)>& on_data);
  // From `on_begin` on; any thread.
  void end_stream();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A name as one segment of a path, percent-encoded (RFC 3986, 2.1).
std::string path_segment(std::string_view name);

// Takes a stream of Server-Sent Events (HTML Living Standard, 9.2.6) apart, in pieces cut anywhere.
class EventStreamParser {
 public:
  // Calls `on_data` once for each event that carries data; stops and answers false when it does.
  bool feed(std::string_view piece, const std::function<bool(std::string_view data)>& on_data);

 private:
  bool take_line(std::string_view line, const std::function<bool(std::string_view data)>& on_data);
  std::string line_;
  std::string data_;
  bool after_cr_ = false;
};

}  // namespace lanwright::client
