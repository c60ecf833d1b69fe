#include "reconcilers/ovsdb/message.h"

#include <array>
#include <utility>

namespace lanwright::ovsdb {
namespace {

Json member(Json& json, const char* name) {
  const auto found = json.find(name);
  return found == json.end() ? Json() : std::move(*found);
}

// JSON is UTF-8, names in the kernel are any bytes: what is none does not name the same thing any more, and
// the server's answer shows that.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

ErrorKind kind_of(const std::string& word) {
  struct Row {
    const char* word;
    ErrorKind kind;
  };
  constexpr std::array kRows{
      Row{"timed out", ErrorKind::conflict},  // of a `wait` that is not to wait: what was expected is not so
      Row{"constraint violation", ErrorKind::conflict},
      Row{"referential integrity violation", ErrorKind::conflict},
      Row{"not owner", ErrorKind::denied},
      Row{"permission error", ErrorKind::denied},
      Row{"not allowed", ErrorKind::denied},
      Row{"resources exhausted", ErrorKind::exhausted},
      Row{"I/O error", ErrorKind::exhausted},
      Row{"unknown database", ErrorKind::waiting},
      Row{"canceled", ErrorKind::busy},
      Row{"unknown table", ErrorKind::unsupported},
      Row{"unknown column", ErrorKind::unsupported},
      Row{"syntax error", ErrorKind::invalid},
      Row{"range error", ErrorKind::invalid},
      Row{"domain error", ErrorKind::invalid},
  };
  for (const Row& row : kRows) {
    if (word == row.word) return row.kind;
  }
  return ErrorKind::internal;
}

}  // namespace

Result<Message> message_from(Json json) {
  const auto refuse = [&](const char* words) {
    return Error{ErrorKind::invalid,
                 "read a message of",
                 "ovsdb-server",
                 0,
                 std::string(words) + ": " + shown(json),
                 "see what listens at the socket: it does not speak JSON-RPC as in RFC 7047"};
  };
  if (json.contains("method")) {
    if (!json["method"].is_string()) return refuse("a method that is no string");
    if (!json.contains("params") || !json["params"].is_array()) return refuse("params that are no array");
    return Message(Request{member(json, "id"), json["method"].get<std::string>(), member(json, "params")});
  }
  if (!json.contains("result") && !json.contains("error")) return refuse("neither a request nor a reply");
  if (!json.contains("id")) return refuse("a reply without an id");
  return Message(Reply{member(json, "id"), member(json, "result"), member(json, "error")});
}

std::string request(std::int64_t id, const char* method, Json params) {
  return dump({{"id", id}, {"method", method}, {"params", std::move(params)}});
}

std::string reply(const Json& id, Json result) {
  return dump({{"id", id}, {"result", std::move(result)}, {"error", nullptr}});
}

std::string refusal(const Json& id, const std::string& words) {
  return dump({{"id", id}, {"result", nullptr}, {"error", words}});
}

Error error_from(const Json& error, std::string tried, std::string object) {
  const bool named = error.is_object() && error.contains("error") && error["error"].is_string();
  std::string words = named ? error["error"].get<std::string>() : shown(error);
  if (error.is_string()) words = error.get<std::string>();
  const ErrorKind kind = kind_of(words);
  if (named && error.contains("details") && error["details"].is_string())
    words += ": " + error["details"].get<std::string>();
  return {kind, std::move(tried), std::move(object), 0, std::move(words), {}};
}

}  // namespace lanwright::ovsdb
