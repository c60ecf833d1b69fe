#include "agent/cli/time.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <ctime>
#include <utility>

namespace lanwright::cli {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;

// "3m12s"; the smaller part is left out when it is zero or no longer matters.
std::string parts(std::int64_t big, const char* big_unit, std::int64_t small, const char* small_unit) {
  std::string text = std::to_string(big) + big_unit;
  if (small != 0) text += std::to_string(small) + small_unit;
  return text;
}

}  // namespace

std::optional<milliseconds> parse_duration(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::int64_t>, 6> kUnits{
      {{"", kSecond}, {"s", kSecond}, {"ms", 1}, {"m", kMinute}, {"h", kHour}, {"d", kDay}}};
  std::uint32_t number = 0;
  const auto [rest, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{}) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<std::size_t>(rest - text.data()));
  for (const auto& [name, size] : kUnits) {
    if (unit != name) continue;
    const std::int64_t value = number * size;
    if (value > 365 * kDay) return std::nullopt;
    return milliseconds(value);
  }
  return std::nullopt;
}

std::string age_text(milliseconds age) {
  const std::int64_t ms = age.count() < 0 ? 0 : age.count();  // clocks are set back now and then
  const std::int64_t seconds = ms / kSecond;
  const std::int64_t minutes = ms / kMinute;
  const std::int64_t hours = ms / kHour;
  const std::int64_t days = ms / kDay;
  if (seconds < 120) return std::to_string(seconds) + "s";
  if (minutes < 10) return parts(minutes, "m", seconds % 60, "s");
  if (hours < 3) return std::to_string(minutes) + "m";
  if (hours < 8) return parts(hours, "h", minutes % 60, "m");
  if (hours < 48) return std::to_string(hours) + "h";
  if (days < 8) return parts(days, "d", hours % 24, "h");
  return std::to_string(days) + "d";
}

std::optional<WallTime> parse_rfc3339(const std::string& text) {
  std::tm parsed{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parsed);
  if (rest == nullptr) return std::nullopt;
  std::int64_t fraction = 0;
  if (*rest == '.') {
    ++rest;
    for (std::int64_t unit = 100; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10)
      fraction += (*rest - '0') * unit;
  }
  if (std::string_view(rest) != "Z") return std::nullopt;
  const WallTime::duration whole = std::chrono::seconds(::timegm(&parsed));
  return WallTime(whole + milliseconds(fraction));
}

}  // namespace lanwright::cli
