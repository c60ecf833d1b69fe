#include "model/format/schema.h"

#include <string>

namespace lanwright {

namespace {

Json rule_of(const SettingField& field) {
  using Type = SettingField::Type;
  Json rule;
  switch (field.type) {
    case Type::boolean:
      rule = {{"type", "boolean"}};
      break;
    case Type::integer:
      rule = {{"type", "integer"}, {"minimum", field.min}, {"maximum", field.max}};
      break;
    case Type::text:
      rule = {{"type", "string"}};
      break;
    case Type::choice:
      rule = {{"enum", field.choices}};
      break;
    case Type::text_list:
      rule = {{"type", "array"}, {"items", {{"type", "string"}}}};
      break;
  }
  rule["description"] = field.help;
  return rule;
}

Json settings_of(const DriverSchema& driver) {
  Json properties = Json::object();
  for (const SettingField& field : driver.settings) properties[field.name] = rule_of(field);
  return {{"type", "object"},
          {"description", "settings of driver " + driver.name},
          {"additionalProperties", false},
          {"properties", std::move(properties)}};
}

}  // namespace

Json yaml_schema(std::string_view text, const Grammar& grammar) {
  Json schema = Json::parse(text);
  Json& definitions = schema.at("$defs");
  Json names = Json::array();
  for (const DriverSchema& driver : grammar) {
    names.push_back(driver.name);
    definitions.at("network").at("properties")[driver.name] = {{"$ref", "#/$defs/" + driver.name}};
    if (!definitions.contains(driver.name)) definitions[driver.name] = settings_of(driver);
  }
  definitions.at("network").at("properties").at("driver") = {{"enum", std::move(names)}};
  return schema;
}

}  // namespace lanwright
