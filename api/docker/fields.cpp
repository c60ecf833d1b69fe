#include "api/docker/fields.h"

#include <utility>

#include "model/base/names.h"
#include "model/format/suggestions.h"

namespace lanwright::docker {
namespace {

// nullptr when it is absent.
const Json* find(const Json& request, const char* name) {
  const auto found = request.find(name);
  return found == request.end() || found->is_null() ? nullptr : &*found;
}

bool is_hex(const std::string& text) {
  constexpr std::size_t kLongest = 64;
  return !text.empty() && text.size() <= kLongest &&
         text.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
}

}  // namespace

Error wrong_field(const std::string& field, std::string words) {
  return {ErrorKind::invalid, "read the field", field, 0, std::move(words), {}};
}

Error inside(const std::string& where, Error error) {
  error.object = where + "." + error.object;
  return error;
}

Result<std::string> text_field(const Json& request, const char* name) {
  auto text = optional_text(request, name);
  if (text && text->empty()) return wrong_field(name, "it is missing");
  return text;
}

Result<std::string> optional_text(const Json& request, const char* name) {
  const Json* value = find(request, name);
  if (value == nullptr) return std::string();
  if (!value->is_string())
    return wrong_field(name, std::string("it must be a text, not ") + value->type_name());
  return value->get<std::string>();
}

Result<bool> optional_flag(const Json& request, const char* name) {
  const Json* value = find(request, name);
  if (value == nullptr) return false;
  if (!value->is_boolean())
    return wrong_field(name, std::string("it must be true or false, not ") + value->type_name());
  return value->get<bool>();
}

Result<std::map<std::string, std::string>> optional_texts(const Json& request, const char* name) {
  std::map<std::string, std::string> texts;
  const Json* value = find(request, name);
  if (value == nullptr) return texts;
  if (!value->is_object())
    return wrong_field(name, std::string("it must be an object of texts, not ") + value->type_name());
  for (const auto& [key, each] : value->items()) {
    if (!each.is_string())
      return wrong_field(std::string(name) + "." + key,
                         std::string("it must be a text, not ") + each.type_name());
    texts.emplace(key, each.get<std::string>());
  }
  return texts;
}

Result<std::string> id_field(const Json& request, const char* name) {
  auto text = text_field(request, name);
  if (text && !is_hex(*text) && !is_object_name(*text)) return wrong_field(name, quote(*text) + " is no id");
  return text;
}

Result<const Json*> optional_object(const Json& request, const char* name) {
  const Json* value = find(request, name);
  if (value != nullptr && !value->is_object())
    return wrong_field(name, std::string("it must be an object, not ") + value->type_name());
  return value;
}

Result<const Json*> optional_list(const Json& request, const char* name) {
  const Json* value = find(request, name);
  if (value != nullptr && !value->is_array())
    return wrong_field(name, std::string("it must be a list, not ") + value->type_name());
  return value;
}

Result<std::optional<IpPrefix>> optional_prefix(const Json& request, const char* name) {
  const auto text = optional_text(request, name);
  if (!text) return text.error();
  if (text->empty()) return std::optional<IpPrefix>();
  const auto prefix = IpPrefix::parse(*text);
  if (!prefix) return wrong_field(name, quote(*text) + " is no IP address with a prefix length");
  return prefix;
}

}  // namespace lanwright::docker
