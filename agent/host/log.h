// Structured logs: a message and fields. To the journal with native fields when the journal is where standard
// error goes (systemd sets JOURNAL_STREAM), otherwise to standard error as text with key=value. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lanwright::log {

enum class Level { debug, info, warning, error };

using Fields = std::vector<std::pair<std::string_view, std::string>>;  // {"object", "network lab"}

void set_level(Level level);
bool parse_level(std::string_view text, Level& level);  // "debug", "info", "warning", "error"
void write(Level level, const std::string& message, const Fields& fields = {});

inline void debug(const std::string& message, const Fields& fields = {}) {
  write(Level::debug, message, fields);
}
inline void info(const std::string& message, const Fields& fields = {}) {
  write(Level::info, message, fields);
}
inline void warning(const std::string& message, const Fields& fields = {}) {
  write(Level::warning, message, fields);
}
inline void error(const std::string& message, const Fields& fields = {}) {
  write(Level::error, message, fields);
}

}  // namespace lanwright::log
