#include "api/docker/fields.h"

#include <utility>

namespace lanwright::docker {
namespace {

Error wrong(const std::string& field, std::string words) {
  return {ErrorKind::invalid, "read the field", field, 0, std::move(words), {}};
}

// nullptr when it is absent.
const Json* find(const Json& request, const char* name) {
  const auto found = request.find(name);
  return found == request.end() || found->is_null() ? nullptr : &*found;
}

}  // namespace

Result<std::string> text_field(const Json& request, const char* name) {
  auto text = optional_text(request, name);
  if (text && text->empty()) return wrong(name, "it is missing");
  return text;
}

Result<std::string> optional_text(const Json& request, const char* name) {
  const Json* value = find(request, name);
  if (value == nullptr) return std::string();
  if (!value->is_string()) return wrong(name, std::string("it must be a text, not ") + value->type_name());
  return value->get<std::string>();
}

Result<bool> optional_flag(const Json& request, const char* name) {
  const Json* value = find(request, name);
  if (value == nullptr) return false;
  if (!value->is_boolean())
    return wrong(name, std::string("it must be true or false, not ") + value->type_name());
  return value->get<bool>();
}

Result<std::map<std::string, std::string>> optional_texts(const Json& request, const char* name) {
  std::map<std::string, std::string> texts;
  const Json* value = find(request, name);
  if (value == nullptr) return texts;
  if (!value->is_object())
    return wrong(name, std::string("it must be an object of texts, not ") + value->type_name());
  for (const auto& [key, each] : value->items()) {
    if (!each.is_string())
      return wrong(std::string(name) + "." + key, std::string("it must be a text, not ") + each.type_name());
    texts.emplace(key, each.get<std::string>());
  }
  return texts;
}

}  // namespace lanwright::docker
