// UTF-8, as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lanwright {

// The length of the well-formed sequence at the start of `text`; 0 when there is none.
std::size_t utf8_length(std::string_view text);

// The first byte that is not UTF-8, or a control character that a text file does not have (anything below
// U+0020 but tab and line ends, and U+007F to U+009F); npos when all is well.
std::size_t find_untextual(std::string_view text);

bool is_utf8(std::string_view text);

// The nearest start of a character at or before `at`.
std::size_t character_start(std::string_view text, std::size_t at);

// For people's terminals and for JSON: every byte that is not UTF-8 becomes U+FFFD, every control character
// `?`.
std::string printable(std::string_view text);

// The same for JSON, which escapes control characters by itself.
std::string valid_utf8(std::string_view text);

}  // namespace lanwright
