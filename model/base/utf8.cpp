#include "model/base/utf8.h"

namespace lanwright {

namespace {

constexpr const char* kReplacement = "\xef\xbf\xbd";  // U+FFFD

unsigned byte(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

bool is_control(std::string_view character) {
  const unsigned first = byte(character, 0);
  if (character.size() == 1) return first < 0x20 || first == 0x7f;
  return first == 0xc2 && byte(character, 1) < 0xa0;
}

bool is_text_control(char c) {
  return c == '\t' || c == '\n' || c == '\r';
}

bool is_plain(char c) {
  return static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f;
}

std::string replaced(std::string_view text, bool hide_controls) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const std::string_view character = text.substr(0, length);
    if (length == 0) {
      result += kReplacement;
    } else if (hide_controls && is_control(character)) {
      result += '?';
    } else {
      result += character;
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return result;
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
  if (text.empty()) return 0;
  const unsigned first = byte(text, 0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(text, i) & 0xc0U) != 0x80) return 0;
  }
  const unsigned second = byte(text, 1);
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool surrogate = first == 0xed && second >= 0xa0;
  const bool too_high = first == 0xf4 && second >= 0x90;
  return overlong || surrogate || too_high ? 0 : length;
}

std::size_t find_untextual(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    if (is_plain(text[i]) || is_text_control(text[i])) {
      ++i;
      continue;
    }
    const std::size_t length = utf8_length(text.substr(i));
    if (length == 0 || is_control(text.substr(i, length))) return i;
    i += length;
  }
  return std::string_view::npos;
}

std::size_t character_start(std::string_view text, std::size_t at) {
  while (at > 0 && at < text.size() && (byte(text, at) & 0xc0U) == 0x80) --at;
  return at;
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_length(text.substr(i));
    if (length == 0) return false;
    i += length;
  }
  return true;
}

std::string printable(std::string_view text) {
  return replaced(text, true);
}

std::string valid_utf8(std::string_view text) {
  return is_utf8(text) ? std::string(text) : replaced(text, false);
}

}  // namespace lanwright
