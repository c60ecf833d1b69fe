// Holds HTTP answers against an OpenAPI 3.1 document. A small JSON Schema checker: it knows the keywords that
// api/rest/openapi.json uses and reports every other one, so that nothing in the document goes unchecked.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lanwright {

class OpenApiChecker {
 public:
  using Json = nlohmann::json;

  // What is wrong, one sentence each; empty when all is well.
  using Diagnostics = std::vector<std::string>;

  struct Observed {
    std::string method;  // "GET"
    std::string path;    // without the query
    int status = 0;
    std::string content_type;
    std::string body;
    std::set<std::string> headers;  // names
  };

  explicit OpenApiChecker(Json document) : document_(std::move(document)) {}

  const Json& document() const { return document_; }

  // Every "GET /v1/networks/{name}" of the document.
  std::set<std::string> operations() const {
    std::set<std::string> all;
    for (const auto& [path, item] : document_.at("paths").items()) {
      for (const auto& [method, operation] : item.items()) {
        if (method == "parameters") continue;
        std::string upper = method;
        std::transform(upper.begin(), upper.end(), upper.begin(),
                       [](char c) { return static_cast<char>(c & ~0x20); });
        all.insert(upper + ' ' + path);
      }
    }
    return all;
  }

  // The names of the query parameters of an operation, as in operations().
  std::set<std::string> query_parameters(const std::string& operation) const {
    std::set<std::string> names;
    const auto [method, path] = cut(operation);
    const Json& found = document_.at("paths").at(path).at(method);
    for (const Json& each : found.value("parameters", Json::array())) {
      const Json& parameter = resolved(each);
      if (parameter.at("in") == "query") names.insert(parameter.at("name"));
    }
    return names;
  }

  // The status has to be documented for the operation; only what HTTP itself forbids may be the default.
  Diagnostics check(const Observed& observed) const {
    const std::string path = template_of(observed.path);
    const std::string where = observed.method + ' ' + observed.path + ' ' + std::to_string(observed.status);
    if (path.empty()) return {where + ": no such path in the document"};
    const std::string method = observed.method == "HEAD" ? "get" : lower(observed.method);
    const Json& item = document_.at("paths").at(path);
    if (!item.contains(method)) return {where + ": no such method in the document"};
    const Json& responses = item.at(method).at("responses");
    static const std::set<int> kOfHttp{405, 408, 414, 417, 431, 501, 505};
    std::string key = std::to_string(observed.status);
    if (!responses.contains(key) && kOfHttp.count(observed.status) != 0) key = "default";
    if (!responses.contains(key)) return {where + ": the status is not documented"};
    Diagnostics mistakes;
    const Json& response = resolved(responses.at(key));
    const Json headers = response.value("headers", Json::object());
    for (const auto& [name, header] : headers.items()) {
      if (resolved(header).value("required", false) && observed.headers.count(name) == 0)
        mistakes.push_back(where + ": the header " + name + " is missing");
    }
    check_content(response.at("content"), observed, where, mistakes);
    return mistakes;
  }

  // Holds a value against a schema of the document, by name.
  Diagnostics check_value(const Json& value, const std::string& schema) const {
    Diagnostics mistakes;
    check_schema(value, document_.at("components").at("schemas").at(schema), schema, mistakes);
    return mistakes;
  }

 private:
  static std::string lower(std::string text) {
    for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    return text;
  }

  static std::pair<std::string, std::string> cut(const std::string& operation) {
    const std::size_t space = operation.find(' ');
    return {lower(operation.substr(0, space)), operation.substr(space + 1)};
  }

  static std::vector<std::string> segments(const std::string& path) {
    std::vector<std::string> parts;
    std::size_t begin = 0;
    while (begin <= path.size()) {
      const std::size_t end = std::min(path.find('/', begin), path.size());
      parts.push_back(path.substr(begin, end - begin));
      begin = end + 1;
    }
    return parts;
  }

  std::string template_of(const std::string& path) const {
    const auto wanted = segments(path);
    for (const auto& [pattern, item] : document_.at("paths").items()) {
      const auto parts = segments(pattern);
      if (parts.size() == wanted.size() && std::equal(parts.begin(), parts.end(), wanted.begin(),
                                                      [](const std::string& part, const std::string& have) {
                                                        return part == have ||
                                                               (part.starts_with('{') && !have.empty());
                                                      })) {
        return pattern;
      }
    }
    return {};
  }

  const Json& resolved(const Json& value) const {
    const Json* here = &value;
    while (here->is_object() && here->contains("$ref")) {
      const std::string target = here->at("$ref");
      here = &document_.at(Json::json_pointer(target.substr(1)));
    }
    return *here;
  }

  void check_content(const Json& content, const Observed& observed, const std::string& where,
                     Diagnostics& mistakes) const {
    const std::string type = observed.content_type.substr(0, observed.content_type.find(';'));
    if (!content.contains(type)) {
      mistakes.push_back(where + ": the type `" + type + "` is not documented");
      return;
    }
    if (observed.method == "HEAD") return;
    const bool is_json = type.ends_with("json");
    const Json value = is_json ? Json::parse(observed.body, nullptr, false) : Json(observed.body);
    if (value.is_discarded()) {
      mistakes.push_back(where + ": the body is not JSON");
      return;
    }
    check_schema(value, content.at(type).at("schema"), where + ": $", mistakes);
  }

  static bool has_type(const Json& value, const std::string& type) {
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_boolean();
    if (type == "integer") return value.is_number_integer();
    if (type == "number") return value.is_number();
    if (type == "null") return value.is_null();
    return false;
  }

  void check_schema(const Json& value, const Json& given, const std::string& where,
                    Diagnostics& mistakes) const {
    const Json& schema = resolved(given);
    static const std::set<std::string> kKnown{"type",    "required",  "properties",  "additionalProperties",
                                              "enum",    "items",     "oneOf",       "minimum",
                                              "maximum", "minLength", "description", "format"};
    for (const auto& [keyword, content] : schema.items()) {
      if (kKnown.count(keyword) == 0)
        mistakes.push_back(where + ": the checker does not know `" + keyword + "`");
    }
    if (!check_type(value, schema, where, mistakes)) return;
    check_scalar(value, schema, where, mistakes);
    if (value.is_object()) check_object(value, schema, where, mistakes);
    if (value.is_array() && schema.contains("items")) {
      for (std::size_t i = 0; i < value.size(); ++i)
        check_schema(value[i], schema.at("items"), where + '[' + std::to_string(i) + ']', mistakes);
    }
    if (schema.contains("oneOf")) check_one_of(value, schema.at("oneOf"), where, mistakes);
  }

  static bool check_type(const Json& value, const Json& schema, const std::string& where,
                         Diagnostics& mistakes) {
    if (!schema.contains("type")) return true;
    const Json types = schema.at("type").is_array() ? schema.at("type") : Json::array({schema.at("type")});
    if (std::any_of(types.begin(), types.end(), [&](const Json& type) { return has_type(value, type); }))
      return true;
    mistakes.push_back(where + ": " + value.dump() + " is not of type " + types.dump());
    return false;
  }

  static void check_scalar(const Json& value, const Json& schema, const std::string& where,
                           Diagnostics& mistakes) {
    if (schema.contains("enum")) {
      const Json& allowed = schema.at("enum");
      if (std::find(allowed.begin(), allowed.end(), value) == allowed.end())
        mistakes.push_back(where + ": " + value.dump() + " is none of " + allowed.dump());
    }
    if (schema.contains("minimum") && value.is_number() && value < schema.at("minimum"))
      mistakes.push_back(where + ": " + value.dump() + " is too small");
    if (schema.contains("maximum") && value.is_number() && value > schema.at("maximum"))
      mistakes.push_back(where + ": " + value.dump() + " is too large");
    if (schema.contains("minLength") && value.is_string() &&
        value.get_ref<const std::string&>().size() < schema.at("minLength").get<std::size_t>())
      mistakes.push_back(where + ": too short");
    if (schema.value("format", "") == "date-time" && value.is_string()) check_time(value, where, mistakes);
  }

  // RFC 3339 in UTC, as the agent writes it.
  static void check_time(const std::string& text, const std::string& where, Diagnostics& mistakes) {
    constexpr std::string_view kForm = "0000-00-00T00:00:00.000Z";
    const bool fits = text.size() == kForm.size() &&
                      std::equal(text.begin(), text.end(), kForm.begin(), [](char have, char form) {
                        return form == '0' ? have >= '0' && have <= '9' : have == form;
                      });
    if (!fits) mistakes.push_back(where + ": `" + text + "` is not a time");
  }

  void check_object(const Json& value, const Json& schema, const std::string& where,
                    Diagnostics& mistakes) const {
    for (const Json& name : schema.value("required", Json::array())) {
      if (!value.contains(name)) mistakes.push_back(where + ": `" + name.get<std::string>() + "` is missing");
    }
    const Json properties = schema.value("properties", Json::object());
    const Json others = schema.value("additionalProperties", Json(true));
    for (const auto& [name, member] : value.items()) {
      const std::string place = where + '.' + name;
      if (properties.contains(name)) {
        check_schema(member, properties.at(name), place, mistakes);
      } else if (others.is_object()) {
        check_schema(member, others, place, mistakes);
      } else if (others == false) {
        mistakes.push_back(place + ": is not documented");
      }
    }
  }

  void check_one_of(const Json& value, const Json& schemas, const std::string& where,
                    Diagnostics& mistakes) const {
    std::size_t fitting = 0;
    for (const Json& schema : schemas) {
      Diagnostics of_this;
      check_schema(value, schema, where, of_this);
      fitting += of_this.empty() ? 1 : 0;
    }
    if (fitting != 1)
      mistakes.push_back(where + ": " + std::to_string(fitting) +
                         " of the schemas in oneOf fit: " + value.dump());
  }

  Json document_;
};

}  // namespace lanwright
