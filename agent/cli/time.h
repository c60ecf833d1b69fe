// Durations and ages as the command line reads and shows them. Pure; any thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "model/status.h"

namespace lanwright::cli {

// "30s", "500ms", "2m", "1h"; a plain number is seconds. Nothing else, and nothing above a year.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// As kubectl shows ages: "5s", "3m12s", "17m", "5h42m", "18h", "3d4h", "30d".
std::string age_text(std::chrono::milliseconds age);

// The inverse of rfc3339() (RFC 3339 in UTC, with or without a fraction).
std::optional<WallTime> parse_rfc3339(const std::string& text);

}  // namespace lanwright::cli
