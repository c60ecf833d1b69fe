// What a column of OVSDB holds: RFC 7047, 5.1. Values, any thread.
#pragma once

#include <compare>
#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>

#include "model/base/result.h"
#include "reconcilers/ovsdb/framer.h"

namespace lanwright::ovsdb {

// A row that there is: "550e8400-e29b-41d4-a716-446655440000".
struct Uuid {
  std::string text;
  auto operator<=>(const Uuid&) const = default;
};
// A row that the same transaction inserts, by the name that it gives it there.
struct NamedUuid {
  std::string name;
  auto operator<=>(const NamedUuid&) const = default;
};

using Atom = std::variant<std::int64_t, double, bool, std::string, Uuid, NamedUuid>;
using Set = std::set<Atom>;
using Map = std::map<Atom, Atom>;
// A lone atom is a set of one: on the wire the two are the same.
using Value = std::variant<Set, Map>;

// `invalid` for what is no value, with the part that is wrong.
Result<Value> value_from(const Json& json);
Json to_json(const Value& value);
Json to_json(const Atom& atom);

using StringMap = std::map<std::string, std::string>;

template <class T>
concept AtomType = std::same_as<T, std::int64_t> || std::same_as<T, bool> || std::same_as<T, std::string> ||
    std::same_as<T, Uuid>;

// A value as the type that its column has: exactly one, at most one, any number, pairs of strings. False when
// it is another.
template <AtomType T>
bool read(const Value& value, std::set<T>& to) {
  const auto* members = std::get_if<Set>(&value);
  if (members == nullptr) return false;
  to.clear();
  for (const Atom& each : *members) {
    const T* atom = std::get_if<T>(&each);
    if (atom == nullptr) return false;
    to.insert(*atom);
  }
  return true;
}
template <AtomType T>
bool read(const Value& value, std::optional<T>& to) {
  std::set<T> members;
  if (!read(value, members) || members.size() > 1) return false;
  to = members.empty() ? std::nullopt : std::optional<T>(*members.begin());
  return true;
}
template <AtomType T>
bool read(const Value& value, T& to) {
  std::optional<T> member;
  if (!read(value, member) || !member) return false;
  to = std::move(*member);
  return true;
}
bool read(const Value& value, StringMap& to);

inline Value value_of(Atom atom) {
  return Set{std::move(atom)};
}
template <AtomType T>
Value value_of(const std::set<T>& members) {
  return Set(members.begin(), members.end());
}
template <AtomType T>
Value value_of(const std::optional<T>& member) {
  return member ? Set{*member} : Set{};
}
Value value_of(const StringMap& pairs);

}  // namespace lanwright::ovsdb
