// Measured values and the table that shows them. Values only.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace lanwright::bench {

// Several measurements of one thing.
class Series {
 public:
  void add(double value) { values_.push_back(value); }
  bool empty() const { return values_.empty(); }
  double median() const { return percentile(50); }
  double min() const { return percentile(0); }
  double max() const { return percentile(100); }
  double percentile(double percent) const;  // interpolated between neighbours; of an empty series 0

 private:
  std::vector<double> values_;
};

enum class Unit : std::uint8_t { seconds, bytes, count, bits_per_second, per_second, share };

std::string text_of(double value, Unit unit);  // "12.3 ms", "28.0 MiB", "0"

struct Row {
  std::string figure;  // "F1"
  std::string what;    // with sizes
  Unit unit = Unit::seconds;
  std::optional<Series> floor;
  Series ours;
  std::string target;           // for people; "" where the row is for information
  std::optional<bool> reached;  // nullopt where there is no target
};

// Targets of the common forms; they fill in `target` and `reached` from the medians.
Row with_ratio(Row row, double limit);     // ours <= limit x floor
Row with_limit(Row row, double limit);     // ours <= limit, in the row's unit
Row with_at_least(Row row, double limit);  // ours >= limit x floor: more is better

void print(std::ostream& out, const std::vector<Row>& rows);

}  // namespace lanwright::bench
