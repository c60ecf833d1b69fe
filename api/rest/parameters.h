// Query parameters: each route declares those it takes, so that a wrong one is refused before anything
// happens.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "model/format/grammar.h"
#include "model/status.h"

namespace lanwright::rest {

enum class ParameterType {
  text,       // no control characters, not empty
  flag,       // true, false; without a value: true
  count,      // 0 and above
  limit,      // 1 and above
  duration,   // 30s, 500ms, 2m, 1h, at most an hour; without a unit: seconds; without a value: 30s
  phase,      // Ready, Pending, ...
  driver,     // one of the grammar's
  condition,  // converged
};

struct Parameter {
  std::string_view name;
  ParameterType type;
};

class Parameters {
 public:
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  // What is wrong, with what would be right.
  struct Mistake {
    std::string what;
    std::string hint;
  };
  static std::variant<Parameters, Mistake> read(const Pairs& pairs, const std::vector<Parameter>& known,
                                                const Grammar& grammar);

  bool has(std::string_view name) const { return values_.count(name) != 0; }
  std::optional<std::string> text(std::string_view name) const;
  bool flag(std::string_view name, bool otherwise) const;
  std::optional<std::uint64_t> count(std::string_view name) const;
  std::optional<std::chrono::milliseconds> duration(std::string_view name) const;
  std::optional<Phase> phase(std::string_view name) const;

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

std::optional<std::chrono::milliseconds> duration_from(std::string_view text);
std::optional<Phase> phase_from(std::string_view name);
// In the order in which they are told to users.
const std::vector<Phase>& all_phases();

}  // namespace lanwright::rest
