// Messages of JSON-RPC 1.0 as OVSDB has them: RFC 7047, 4. Values, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "model/base/result.h"
#include "reconcilers/ovsdb/framer.h"

namespace lanwright::ovsdb {

struct Reply {
  Json id;
  Json result;  // null when there is none
  Json error;   // null when it succeeded
};
struct Request {
  Json id;  // null: a notification
  std::string method;
  Json params;
};
using Message = std::variant<Reply, Request>;

// `invalid` for what is neither.
Result<Message> message_from(Json json);

// The bytes to be sent.
std::string request(std::int64_t id, const char* method, Json params);
std::string reply(const Json& id, Json result);
std::string refusal(const Json& id, const std::string& words);

// What the server says of a request, or an operation, that failed: {"error": WORD, "details": ...}; some
// errors are a mere string. The kind follows from the word (RFC 7047, 3.1, 4.1 and 5.2).
Error error_from(const Json& error, std::string tried, std::string object);

}  // namespace lanwright::ovsdb
