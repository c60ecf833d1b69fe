#include "api/rest/parameters.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace lanwright::rest {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongest = std::chrono::hours(1);

std::optional<std::uint64_t> number_from(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// "a, b, c" of what `text` makes of each.
template <class List, class Text>
std::string joined(const List& list, Text&& text) {
  std::string out;
  for (const auto& each : list) {
    if (!out.empty()) out += ", ";
    out += text(each);
  }
  return out;
}

std::string known_names(const std::vector<Parameter>& known) {
  if (known.empty()) return "none are known here";
  return "known here: " + joined(known, [](const Parameter& each) { return each.name; });
}

// What a value of this type would be, when `value` is none.
std::optional<std::string> wanted_instead(ParameterType type, const std::string& value,
                                          const Grammar& grammar) {
  switch (type) {
    case ParameterType::text:
      if (!value.empty() && !has_control(value)) return std::nullopt;
      return "a text without control characters, not empty";
    case ParameterType::flag:
      if (value.empty() || value == "true" || value == "false") return std::nullopt;
      return "true or false";
    case ParameterType::count:
      if (number_from(value)) return std::nullopt;
      return "a number from 0 on";
    case ParameterType::limit:
      if (number_from(value).value_or(0) > 0) return std::nullopt;
      return "a number from 1 on";
    case ParameterType::duration:
      if (value.empty() || duration_from(value)) return std::nullopt;
      return "a time of at most an hour such as 30s, 500ms or 2m";
    case ParameterType::phase:
      if (phase_from(value)) return std::nullopt;
      return "one of " + joined(all_phases(), [](Phase phase) { return name_of(phase); });
    case ParameterType::driver:
      if (std::any_of(grammar.begin(), grammar.end(),
                      [&](const DriverSchema& each) { return each.name == value; }))
        return std::nullopt;
      return "one of " + joined(grammar, [](const DriverSchema& each) { return each.name; });
    case ParameterType::condition:
      if (value == "converged") return std::nullopt;
      return "converged";
  }
  return std::nullopt;
}

}  // namespace

std::optional<milliseconds> duration_from(std::string_view text) {
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
  const auto number = number_from(text.substr(0, digits));
  const std::string_view unit = text.substr(digits);
  milliseconds one(0);
  if (unit == "ms") one = milliseconds(1);
  if (unit == "s" || unit.empty()) one = std::chrono::seconds(1);
  if (unit == "m") one = std::chrono::minutes(1);
  if (unit == "h") one = std::chrono::hours(1);
  if (!number || one.count() == 0 || *number > static_cast<std::uint64_t>(kLongest / one))
    return std::nullopt;
  return one * static_cast<std::int64_t>(*number);
}

const std::vector<Phase>& all_phases() {
  static const std::vector<Phase> kAll{Phase::pending,  Phase::applying,  Phase::ready,   Phase::retrying,
                                       Phase::conflict, Phase::contested, Phase::deleting};
  return kAll;
}

std::optional<Phase> phase_from(std::string_view name) {
  for (const Phase phase : all_phases()) {
    if (name == name_of(phase)) return phase;
  }
  return std::nullopt;
}

std::variant<Parameters, Parameters::Mistake> Parameters::read(const Pairs& pairs,
                                                               const std::vector<Parameter>& known,
                                                               const Grammar& grammar) {
  Parameters read;
  for (const auto& [name, value] : pairs) {
    const std::string what = "the query parameter `" + name + "`";
    const auto found = std::find_if(known.begin(), known.end(),
                                    [&, &key = name](const Parameter& each) { return each.name == key; });
    if (found == known.end()) return Mistake{what + " is unknown", known_names(known)};
    if (const auto wanted = wanted_instead(found->type, value, grammar)) {
      std::string is = what + " is `";
      is.append(value).append("`");
      return Mistake{std::move(is), "it has to be " + *wanted};
    }
    if (!read.values_.emplace(name, value).second)
      return Mistake{what + " is given more than once", "give it once"};
  }
  return read;
}

std::optional<std::string> Parameters::text(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::nullopt : std::optional(found->second);
}

bool Parameters::flag(std::string_view name, bool otherwise) const {
  const auto value = text(name);
  return value ? *value != "false" : otherwise;
}

std::optional<std::uint64_t> Parameters::count(std::string_view name) const {
  const auto value = text(name);
  return value ? number_from(*value) : std::nullopt;
}

std::optional<milliseconds> Parameters::duration(std::string_view name) const {
  const auto value = text(name);
  if (!value) return std::nullopt;
  return value->empty() ? milliseconds(30'000) : duration_from(*value);
}

std::optional<Phase> Parameters::phase(std::string_view name) const {
  const auto value = text(name);
  return value ? phase_from(*value) : std::nullopt;
}

}  // namespace lanwright::rest
