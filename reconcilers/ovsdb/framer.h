// JSON values back to back on a stream, without anything between them: how OVSDB's JSON-RPC is framed
// (RFC 7047, 4). One thread.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "model/base/result.h"

namespace lanwright::ovsdb {

// Not the ordered one of model/format/: that takes quadratic time for a table with thousands of rows.
using Json = nlohmann::json;

// Its beginning, for messages to people.
std::string shown(const Json& json);

struct FramerLimits {
  std::size_t bytes = std::size_t{64} << 20U;  // of one message; a row with its columns takes about 1 KiB
  std::size_t depth = 32;                      // of arrays and objects in each other; OVSDB needs nine
};

class Framer {
 public:
  explicit Framer(FramerLimits limits = {}) : limits_(limits) {}

  // Takes in what came next on the stream, however it was split, and appends each message that is whole now.
  // What is no JSON object, is above a limit or is no UTF-8 is an error (`invalid`) that says what was wrong
  // and where; messages before it are appended. After an error the stream is of no use any more.
  Result<void> feed(std::string_view bytes, std::vector<Json>& messages);

  bool is_between_messages() const { return depth_ == 0; }

 private:
  Result<bool> take(char byte);
  Error refuse(std::string words) const;

  FramerLimits limits_;
  std::string message_;  // as far as it came
  std::size_t depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
  std::size_t taken_ = 0;  // bytes of the whole stream
};

}  // namespace lanwright::ovsdb
