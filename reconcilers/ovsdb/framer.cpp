#include "reconcilers/ovsdb/framer.h"

#include <array>
#include <cstdio>
#include <utility>

#include "model/base/utf8.h"

namespace lanwright::ovsdb {
namespace {

constexpr std::size_t kShown = 200;  // bytes

std::string shown(char byte) {
  if (byte > ' ' && byte < '\x7f') return std::string("`") + byte + "`";
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "0x%02x", static_cast<unsigned char>(byte));
  return text.data();
}

bool is_blank(char byte) {
  return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

}  // namespace

std::string shown(const Json& json) {
  const std::string text = json.dump();
  return text.size() > kShown ? text.substr(0, character_start(text, kShown)) + "..." : text;
}

Error Framer::refuse(std::string words) const {
  return {ErrorKind::invalid,
          "read a message of",
          "ovsdb-server",
          0,
          std::move(words) + " (byte " + std::to_string(taken_) + " of the connection)",
          "see what listens at the socket: it does not speak JSON-RPC as in RFC 7047"};
}

// Whether the message is whole with this byte. Only what is needed to find its end is looked at.
Result<bool> Framer::take(char byte) {
  if (depth_ == 0 && is_blank(byte)) return false;
  if (depth_ == 0 && byte != '{') return refuse(shown(byte) + " where a message begins with `{`");
  message_ += byte;
  if (message_.size() > limits_.bytes)
    return refuse("a message is longer than " + std::to_string(limits_.bytes) + " bytes");
  if (in_string_) {
    if (escaped_)
      escaped_ = false;
    else if (byte == '\\')
      escaped_ = true;
    else if (byte == '"')
      in_string_ = false;
    return false;
  }
  if (byte == '"') in_string_ = true;
  if ((byte == '{' || byte == '[') && ++depth_ > limits_.depth)
    return refuse("a message is nested deeper than " + std::to_string(limits_.depth));
  return (byte == '}' || byte == ']') && --depth_ == 0;
}

Result<void> Framer::feed(std::string_view bytes, std::vector<Json>& messages) {
  for (const char byte : bytes) {
    ++taken_;
    const auto whole = take(byte);
    if (!whole) return whole.error();
    if (!*whole) continue;
    try {
      messages.push_back(Json::parse(message_));
    } catch (const Json::exception& failed) {
      return refuse(printable(failed.what()));
    }
    message_ = {};  // the first one may be large, and none after it
  }
  return {};
}

}  // namespace lanwright::ovsdb
