// Values as YAML: the JSON encoding laid out for people. Blocks down to the keys of an object, flow style
// inside.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

#include "model/base/addresses.h"
#include "model/format/json.h"

namespace lanwright {

namespace {

bool consists_of(std::string_view text, std::string_view characters) {
  return text.find_first_not_of(characters) == std::string_view::npos;
}

bool is_prefixed(std::string_view text, std::string_view prefix, std::string_view digits) {
  return text.starts_with(prefix) && consists_of(text.substr(prefix.size()), digits);
}

// Whether any YAML reader, also one of YAML 1.1, could take this for something else than text.
bool is_ambiguous(const std::string& text) {
  static constexpr std::array<std::string_view, 10> kWords = {"true", "false", "yes", "no", "on",
                                                              "off",  "y",     "n",   "~",  "null"};
  std::string lower = text;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (std::find(kWords.begin(), kWords.end(), lower) != kWords.end()) return true;
  const auto address = IpAddress::parse(text);
  if (address && address->size() == 4) return false;
  // Numbers in base 10 and 60, and dates.
  if (consists_of(text, "0123456789+-._:")) return true;
  // Digits may have underscores between them (YAML 1.1, Integer Language-Independent Type).
  std::erase(lower, '_');
  char* end = nullptr;
  std::strtod(lower.c_str(), &end);
  return end == lower.c_str() + lower.size() || is_prefixed(lower, "0b", "01") ||
         is_prefixed(lower, "0o", "01234567");
}

bool is_plain(const std::string& text) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  constexpr std::string_view kDigits = "0123456789";
  if (text.empty() || text.back() == ':') return false;
  const auto is_one_of = [&](char c, std::string_view others) {
    return kLetters.find(c) != kLetters.npos || kDigits.find(c) != kDigits.npos ||
           others.find(c) != others.npos;
  };
  if (!is_one_of(text.front(), "/_")) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) { return is_one_of(c, "/_.:-+"); }) &&
         !is_ambiguous(text);
}

// JSON's quoting is YAML's.
std::string scalar(const std::string& text) {
  return is_plain(text) ? text : Json(text).dump();
}

std::string flow(const Json& value) {
  if (value.is_string()) return scalar(value.get<std::string>());
  if (!value.is_structured()) return value.dump();
  std::string inside;
  for (const auto& item : value.items()) {
    if (!inside.empty()) inside += ", ";
    if (value.is_object()) inside += scalar(item.key()) + ": ";
    inside += flow(item.value());
  }
  return value.is_object() ? "{" + inside + "}" : "[" + inside + "]";
}

// Short objects (VLAN links) stay in one line.
void object(std::string& out, const std::string& name, const Json& spec, bool in_one_line) {
  out += "  " + scalar(name) + ":";
  if (in_one_line) {
    out += " " + flow(spec) + "\n";
    return;
  }
  out += "\n";
  for (const auto& field : spec.items()) out += "    " + field.key() + ": " + flow(field.value()) + "\n";
}

template <class Spec>
void section(std::string& out, Kind kind, const std::map<std::string, Spec>& objects) {
  if (objects.empty()) return;
  out += "\n" + std::string(plural_of(kind)) + ":\n";
  for (const auto& [name, spec] : objects) object(out, name, to_json(spec), kind == Kind::vlan);
}

}  // namespace

std::string to_yaml(const SetSpec& set) {
  std::string out = "version: 1\nname: " + scalar(set.name) + "\n";
  section(out, Kind::vlan, set.vlans);
  section(out, Kind::network, set.networks);
  section(out, Kind::attachment, set.attachments);
  return out;
}

}  // namespace lanwright
