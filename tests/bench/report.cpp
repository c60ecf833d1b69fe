#include "tests/bench/report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <ostream>

namespace lanwright::bench {
namespace {

std::string number(double value, int digits) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

std::string three_digits(double value) {
  if (value >= 100) return number(value, 0);
  return number(value, value >= 10 ? 1 : 2);
}

std::string spread(const Series& series, Unit unit) {
  std::string text = text_of(series.median(), unit);
  if (series.min() == series.max()) return text;
  return text + " (" + text_of(series.min(), unit) + " .. " + text_of(series.max(), unit) + ")";
}

std::vector<std::string> cells(const Row& row) {
  const bool comparable = row.floor && !row.floor->empty() && row.floor->median() > 0 && !row.ours.empty();
  return {row.figure,
          row.what,
          row.floor ? spread(*row.floor, row.unit) : "-",
          row.ours.empty() ? "-" : spread(row.ours, row.unit),
          comparable ? number(row.ours.median() / row.floor->median(), 2) : "-",
          row.target.empty() ? "-" : row.target,
          row.reached ? (*row.reached ? "reached" : "missed") : "-"};
}

}  // namespace

double Series::percentile(double percent) const {
  if (values_.empty()) return 0;
  std::vector<double> sorted = values_;
  std::ranges::sort(sorted);
  const double place = percent / 100 * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

std::string text_of(double value, Unit unit) {
  if (unit == Unit::count) return number(value, value == std::floor(value) ? 0 : 1);
  if (unit == Unit::bytes) return number(value / (1 << 20), 1) + " MiB";
  if (unit == Unit::bits_per_second) return three_digits(value / 1e9) + " Gbit/s";
  if (unit == Unit::per_second) return three_digits(value / 1e3) + " k/s";
  if (unit == Unit::share) return number(value * 100, 1) + " %";
  if (value >= 1) return three_digits(value) + " s";
  if (value >= 1e-3) return three_digits(value * 1e3) + " ms";
  return three_digits(value * 1e6) + " us";
}

Row with_ratio(Row row, double limit) {
  row.target = "<= " + number(limit, 1) + " x floor";
  if (row.floor && !row.ours.empty()) row.reached = row.ours.median() <= limit * row.floor->median();
  return row;
}

Row with_limit(Row row, double limit) {
  row.target = "<= " + text_of(limit, row.unit);
  if (!row.ours.empty()) row.reached = row.ours.median() <= limit;
  return row;
}

Row with_at_least(Row row, double limit) {
  row.target = ">= " + number(limit, 1) + " x floor";
  if (row.floor && !row.ours.empty()) row.reached = row.ours.median() >= limit * row.floor->median();
  return row;
}

void print(std::ostream& out, const std::vector<Row>& rows) {
  std::vector<std::vector<std::string>> lines = {
      {"", "what", "floor: median (min .. max)", "ours: median (min .. max)", "ratio", "target", ""}};
  for (const Row& row : rows) lines.push_back(cells(row));
  std::vector<std::size_t> widths(lines.front().size());
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  for (const auto& line : lines) {
    std::string text;
    for (std::size_t i = 0; i < line.size(); ++i) {
      text += line[i] + std::string(widths[i] - line[i].size() + 2, ' ');
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out << text << '\n';
  }
  out.flush();
}

}  // namespace lanwright::bench
