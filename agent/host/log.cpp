#include "agent/host/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>

// sd_journal_send would otherwise add this file and line to every message.
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstdlib>

namespace lanwright::log {
namespace {

std::atomic<Level> threshold{Level::info};

// systemd.exec(5): $JOURNAL_STREAM is "DEVICE:INODE" of the stream that it connected.
bool journal_is_stderr() {
  const char* stream = std::getenv("JOURNAL_STREAM");  // NOLINT(concurrency-mt-unsafe)
  struct stat status {};
  if (stream == nullptr || fstat(STDERR_FILENO, &status) != 0) return false;
  return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) == stream;
}

int priority_of(Level level) {
  switch (level) {
    case Level::debug:
      return LOG_DEBUG;
    case Level::info:
      return LOG_INFO;
    case Level::warning:
      return LOG_WARNING;
    case Level::error:
      return LOG_ERR;
  }
  return LOG_ERR;
}

spdlog::level::level_enum spdlog_level(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

void to_journal(Level level, const std::string& message, const Fields& fields) {
  std::vector<std::string> entries = {"MESSAGE=" + message, "PRIORITY=" + std::to_string(priority_of(level)),
                                      "SYSLOG_IDENTIFIER=lanwrightd"};
  for (const auto& [key, value] : fields) {
    std::string name = "LANWRIGHT_";
    for (const char c : key) name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    entries.push_back(name.append("=").append(value));
  }
  std::vector<iovec> vectors;
  vectors.reserve(entries.size());
  for (std::string& entry : entries) vectors.push_back({entry.data(), entry.size()});
  sd_journal_sendv(vectors.data(), static_cast<int>(vectors.size()));
}

void to_stderr(Level level, const std::string& message, const Fields& fields) {
  static const auto logger = [] {
    auto made = spdlog::stderr_color_mt("lanwrightd");
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%-7l%$ %v", spdlog::pattern_time_type::utc);
    made->set_level(spdlog::level::trace);
    return made;
  }();
  std::string line = message;
  for (const auto& [key, value] : fields) {
    const bool plain = value.find_first_of(" \"=\n") == std::string::npos && !value.empty();
    line += " " + std::string(key) + "=";
    line += plain ? value : "\"" + value + "\"";
  }
  std::replace(line.begin(), line.end(), '\n', ' ');
  logger->log(spdlog_level(level), "{}", line);
}

}  // namespace

void set_level(Level level) {
  threshold = level;
}

bool parse_level(std::string_view text, Level& level) {
  for (const Level each : {Level::debug, Level::info, Level::warning, Level::error}) {
    const auto name = spdlog::level::to_string_view(spdlog_level(each));
    if (text == std::string_view(name.data(), name.size())) {
      level = each;
      return true;
    }
  }
  return false;
}

void write(Level level, const std::string& message, const Fields& fields) {
  if (level < threshold.load(std::memory_order_relaxed)) return;
  static const bool journal = journal_is_stderr();
  if (journal)
    to_journal(level, message, fields);
  else
    to_stderr(level, message, fields);
}

}  // namespace lanwright::log
