#include "model/status.h"

#include <array>
#include <cstdio>

namespace lanwright {

std::string rfc3339(WallTime time) {
  using std::chrono::floor;
  const auto day = floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::array<char, 64> buffer{};
  const int length = std::snprintf(
      buffer.data(), buffer.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return {buffer.data(), static_cast<std::size_t>(length)};
}

const char* name_of(Phase phase) {
  switch (phase) {
    case Phase::pending:
      return "Pending";
    case Phase::applying:
      return "Applying";
    case Phase::ready:
      return "Ready";
    case Phase::retrying:
      return "Retrying";
    case Phase::conflict:
      return "Conflict";
    case Phase::contested:
      return "Contested";
    case Phase::deleting:
      break;
  }
  return "Deleting";
}

}  // namespace lanwright
