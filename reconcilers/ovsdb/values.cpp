#include "reconcilers/ovsdb/values.h"

#include <algorithm>
#include <cctype>
#include <limits>

namespace lanwright::ovsdb {
namespace {

Error refuse(const Json& json, const std::string& words) {
  return {ErrorKind::invalid, "read", "a value of OVSDB", 0, words + ": " + shown(json), {}};
}

bool is_uuid(const std::string& text) {
  constexpr std::string_view kForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  return std::equal(text.begin(), text.end(), kForm.begin(), kForm.end(), [](char is, char form) {
    return form == '-' ? is == '-' : std::isxdigit(static_cast<unsigned char>(is)) != 0;
  });
}

bool is_pair(const Json& json, const char* tag) {
  return json.is_array() && json.size() == 2 && json[0] == tag;
}

Result<Atom> atom_from(const Json& json) {
  if (json.is_string()) return Atom(json.get<std::string>());
  if (json.is_boolean()) return Atom(json.get<bool>());
  if (json.is_number_unsigned() && json.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max())
    return refuse(json, "an integer has 64 bits with a sign");
  if (json.is_number_integer()) return Atom(json.get<std::int64_t>());
  if (json.is_number_float()) return Atom(json.get<double>());
  if (is_pair(json, "uuid") && json[1].is_string()) {
    auto text = json[1].get<std::string>();
    if (!is_uuid(text)) return refuse(json, "no UUID");
    return Atom(Uuid{std::move(text)});
  }
  if (is_pair(json, "named-uuid") && json[1].is_string()) return Atom(NamedUuid{json[1].get<std::string>()});
  return refuse(json, "no value");
}

Result<Value> set_from(const Json& json) {
  Set members;
  for (const Json& each : json) {
    auto atom = atom_from(each);
    if (!atom) return atom.error();
    members.insert(std::move(*atom));
  }
  return Value(std::move(members));
}

Result<Value> map_from(const Json& json) {
  Map pairs;
  for (const Json& each : json) {
    if (!each.is_array() || each.size() != 2) return refuse(each, "no pair of a map");
    auto key = atom_from(each[0]);
    if (!key) return key.error();
    auto content = atom_from(each[1]);
    if (!content) return content.error();
    if (!pairs.emplace(std::move(*key), std::move(*content)).second)
      return refuse(each, "a key of a map twice");
  }
  return Value(std::move(pairs));
}

}  // namespace

Result<Value> value_from(const Json& json) {
  if (is_pair(json, "set") && json[1].is_array()) return set_from(json[1]);
  if (is_pair(json, "map") && json[1].is_array()) return map_from(json[1]);
  auto atom = atom_from(json);
  if (!atom) return atom.error();
  return value_of(std::move(*atom));
}

Json to_json(const Atom& atom) {
  if (const auto* uuid = std::get_if<Uuid>(&atom)) return Json::array({"uuid", uuid->text});
  if (const auto* named = std::get_if<NamedUuid>(&atom)) return Json::array({"named-uuid", named->name});
  if (const auto* text = std::get_if<std::string>(&atom)) return *text;
  if (const auto* flag = std::get_if<bool>(&atom)) return *flag;
  if (const auto* real = std::get_if<double>(&atom)) return *real;
  return std::get<std::int64_t>(atom);
}

Json to_json(const Value& value) {
  Json members = Json::array();
  if (const auto* pairs = std::get_if<Map>(&value)) {
    for (const auto& [key, content] : *pairs)
      members.push_back(Json::array({to_json(key), to_json(content)}));
    return Json::array({"map", std::move(members)});
  }
  const Set& set = std::get<Set>(value);
  if (set.size() == 1) return to_json(*set.begin());
  for (const Atom& each : set) members.push_back(to_json(each));
  return Json::array({"set", std::move(members)});
}

bool read(const Value& value, StringMap& to) {
  const auto* pairs = std::get_if<Map>(&value);
  if (pairs == nullptr) return false;
  to.clear();
  for (const auto& [key, content] : *pairs) {
    const auto* name = std::get_if<std::string>(&key);
    const auto* text = std::get_if<std::string>(&content);
    if (name == nullptr || text == nullptr) return false;
    to.emplace(*name, *text);
  }
  return true;
}

Value value_of(const StringMap& pairs) {
  return Map(pairs.begin(), pairs.end());
}

}  // namespace lanwright::ovsdb
