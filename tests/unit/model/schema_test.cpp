// Holds model/schema.json against the reader: the same keys, the same drivers, the same verdict on examples.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "model/format/format_keys.h"
#include "model/format/json.h"
#include "model/format/schema.h"
#include "reconcilers/drivers/registry.h"
#include "tests/unit/model/fixture.h"

namespace lanwright {
namespace {

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

const Json& schema() {
  static const Json kSchema = yaml_schema(content_of(std::filesystem::path(SOURCE_DIR) / "model/schema.json"),
                                          drivers::driver_grammar());
  return kSchema;
}

const Json& definition(const std::string& name) {
  return schema().at("$defs").at(name);
}

// As much of JSON Schema 2020-12 as the schema uses; any other keyword is an error of the test.
class Validator {
 public:
  bool accepts(const Json& schema_of, const Json& value) const {
    if (schema_of.is_boolean()) return schema_of.get<bool>();
    bool good = true;
    for (const auto& [keyword, rule] : schema_of.items())
      good = holds(keyword, rule, schema_of, value) && good;
    return good;
  }

 private:
  static bool is_type(const Json& value, const std::string& type) {
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_boolean();
    if (type == "null") return value.is_null();
    if (type == "integer") return value.is_number_integer();
    ADD_FAILURE() << "unknown type " << type;
    return false;
  }

  bool holds(const std::string& keyword, const Json& rule, const Json& all, const Json& value) const {
    static const std::set<std::string> kNotes = {"$schema", "$id",         "$defs",
                                                 "title",   "description", "default"};
    if (kNotes.contains(keyword)) return true;
    if (keyword == "$ref") return accepts(definition(rule.get<std::string>().substr(8)), value);
    if (keyword == "const") return value == rule;
    if (keyword == "enum") return std::find(rule.begin(), rule.end(), value) != rule.end();
    if (keyword == "not") return !accepts(rule, value);
    if (keyword == "anyOf") return matches(rule, value) > 0;
    if (keyword == "oneOf") return matches(rule, value) == 1;
    if (keyword == "type") {
      if (rule.is_string()) return is_type(value, rule.get<std::string>());
      return std::any_of(rule.begin(), rule.end(),
                         [&](const Json& one) { return is_type(value, one.get<std::string>()); });
    }
    if (keyword == "minimum") return !value.is_number() || value >= rule;
    if (keyword == "maximum") return !value.is_number() || value <= rule;
    if (keyword == "minLength") return !value.is_string() || value.get<std::string>().size() >= rule;
    if (keyword == "maxLength") return !value.is_string() || value.get<std::string>().size() <= rule;
    if (keyword == "pattern") {
      return !value.is_string() ||
             std::regex_search(value.get<std::string>(), std::regex(rule.get<std::string>()));
    }
    if (keyword == "items" || keyword == "uniqueItems")
      return !value.is_array() || array_holds(keyword, rule, value);
    return !value.is_object() || object_holds(keyword, rule, all, value);
  }

  std::size_t matches(const Json& rules, const Json& value) const {
    return std::count_if(rules.begin(), rules.end(), [&](const Json& one) { return accepts(one, value); });
  }

  bool array_holds(const std::string& keyword, const Json& rule, const Json& value) const {
    if (keyword == "items") {
      return std::all_of(value.begin(), value.end(), [&](const Json& item) { return accepts(rule, item); });
    }
    std::set<std::string> seen;
    return std::all_of(value.begin(), value.end(),
                       [&](const Json& item) { return seen.insert(item.dump()).second; });
  }

  bool object_holds(const std::string& keyword, const Json& rule, const Json& all, const Json& value) const {
    bool good = true;
    if (keyword == "required") {
      return std::all_of(rule.begin(), rule.end(),
                         [&](const Json& key) { return value.contains(key.get<std::string>()); });
    }
    for (const auto& [key, member] : value.items()) {
      const bool known = all.contains("properties") && all["properties"].contains(key);
      if (keyword == "properties") {
        good = (!known || accepts(rule.at(key), member)) && good;
      } else if (keyword == "additionalProperties") {
        good = (known || accepts(rule, member)) && good;
      } else if (keyword == "propertyNames") {
        good = accepts(rule, key) && good;
      } else {
        ADD_FAILURE() << "unknown keyword " << keyword;
      }
    }
    return good;
  }
};

bool valid(const std::string& json) {
  return Validator().accepts(schema(), Json::parse(json));
}

std::set<std::string> property_names(const Json& object) {
  std::set<std::string> names;
  for (const auto& [name, rule] : object.at("properties").items()) names.insert(name);
  EXPECT_EQ(object.value("additionalProperties", true), false);
  return names;
}

template <class Keys>
std::set<std::string> names_of(const Keys& keys) {
  return {keys.begin(), keys.end()};
}

TEST(Schema, HasTheReadersKeys) {
  EXPECT_EQ(property_names(schema()), names_of(keys::kSet));
  EXPECT_EQ(property_names(definition("vlan")), names_of(keys::kVlan));
  EXPECT_EQ(property_names(definition("subnet")), names_of(keys::kSubnet));
  EXPECT_EQ(property_names(definition("uplink")["anyOf"][1]), names_of(keys::kUplink));
  EXPECT_EQ(property_names(definition("hostInterface")), names_of(keys::kHostInterface));
  EXPECT_EQ(property_names(definition("route")), names_of(keys::kRoute));
  EXPECT_EQ(property_names(definition("attachment")), names_of(keys::kAttachment));
  EXPECT_EQ(property_names(definition("tap")), names_of(keys::kTap));
  std::set<std::string> network = names_of(keys::kNetwork);
  for (const DriverSchema& driver : drivers::driver_grammar()) network.insert(driver.name);
  EXPECT_EQ(property_names(definition("network")), network);
}

void expect_same(const SettingField& field, const Json& rule) {
  switch (field.type) {
    case SettingField::Type::boolean:
      EXPECT_EQ(rule.at("type"), "boolean") << field.name;
      return;
    case SettingField::Type::integer:
      EXPECT_EQ(rule.at("type"), "integer") << field.name;
      EXPECT_EQ(rule.at("minimum"), field.min) << field.name;
      EXPECT_EQ(rule.at("maximum"), field.max) << field.name;
      return;
    case SettingField::Type::text:
      EXPECT_TRUE(rule.value("type", "") == "string" || rule.contains("$ref")) << field.name;
      return;
    case SettingField::Type::choice:
      EXPECT_EQ(rule.at("enum"), Json(field.choices)) << field.name;
      return;
    case SettingField::Type::text_list:
      EXPECT_EQ(rule.at("items").at("type"), "string") << field.name;
      return;
  }
}

TEST(Schema, HasTheDriversAndTheirSettings) {
  std::vector<std::string> drivers;
  for (const DriverSchema& driver : drivers::driver_grammar()) {
    drivers.push_back(driver.name);
    const Json& settings = definition(driver.name);
    std::set<std::string> names;
    for (const SettingField& field : driver.settings) {
      names.insert(field.name);
      ASSERT_TRUE(settings["properties"].contains(field.name)) << field.name;
      expect_same(field, settings["properties"][field.name]);
    }
    EXPECT_EQ(property_names(settings), names);
  }
  EXPECT_EQ(definition("network")["properties"]["driver"]["enum"], Json(drivers));
}

TEST(Schema, DescribesASettingOfADriverThatTheFileDoesNot) {
  DriverSchema driver;
  driver.name = "tunnel";
  driver.settings = {{"id", SettingField::Type::integer, "of the tunnel", 1, 100, {}},
                     {"mode", SettingField::Type::choice, "of the tunnel", 0, 0, {"near", "far"}}};
  const Json known =
      yaml_schema(content_of(std::filesystem::path(SOURCE_DIR) / "model/schema.json"), {driver});
  const Json& network = known.at("$defs").at("network").at("properties");
  EXPECT_EQ(network.at("driver"), Json::parse(R"({"enum": ["tunnel"]})"));
  EXPECT_EQ(network.at("tunnel"), Json::parse(R"({"$ref": "#/$defs/tunnel"})"));
  EXPECT_EQ(known.at("$defs").at("tunnel"), Json::parse(R"({
    "type": "object", "description": "settings of driver tunnel", "additionalProperties": false,
    "properties": {
      "id": {"type": "integer", "minimum": 1, "maximum": 100, "description": "of the tunnel"},
      "mode": {"enum": ["near", "far"], "description": "of the tunnel"}
    }})"));
}

TEST(Schema, AcceptsEveryExampleThatTheReaderAccepts) {
  const std::filesystem::path folder = std::filesystem::path(SOURCE_DIR) / "examples";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".yaml") continue;
    const ReadOutcome outcome =
        read_set(content_of(entry.path()), entry.path().filename(), drivers::driver_grammar());
    EXPECT_TRUE(outcome.ok()) << model_test::texts(outcome);
    EXPECT_TRUE(valid(to_json(outcome.set).dump())) << entry.path();
  }
}

constexpr const char* kNetworks = R"("networks": {"lab": {"driver": "bridge"}})";

std::string with_attachment(const std::string& fields) {
  return std::string("{\"version\": 1, ") + kNetworks + ", \"attachments\": {\"a\": {\"network\": \"lab\", " +
         fields + "}}}";
}
std::string with_network(const std::string& fields) {
  return "{\"version\": 1, \"networks\": {\"lab\": {\"driver\": \"bridge\"" + fields + "}}}";
}
std::string with_vlan(const std::string& fields) {
  return "{\"version\": 1, \"vlans\": {\"eth0.5\": {\"parent\": \"eth0\", \"id\": 5" + fields + "}}}";
}

TEST(Schema, AndReaderAgreeOnWhatIsRight) {
  for (const std::string& good :
       {std::string(R"({"version": 1})"), std::string(R"({"version": 1, "name": "a.b", "vlans": null})"),
        with_vlan(R"(, "protocol": "802.1ad", "mtu": 68, "mac": "02:00:00:00:00:0F")"), with_network(""),
        with_network(R"(, "bridge": {"stp": true, "ageing_time": 0, "name": "br0"}, "mtu": 65535)"),
        with_network(R"(, "uplinks": ["eth0", {"interface": "eth1"}])"),
        with_network(
            R"(, "subnets": [{"cidr": "fd00::/64", "gateway": "fd00::1", "reserved": {"a": "fd00::2"}}])"),
        with_attachment(R"("tap": {})"),
        with_attachment(R"("tap": {"name": "t", "owner": 0, "group": 4294967294})"),
        with_attachment(R"("netns": "/run/netns/a", "interface": "eth0", "addresses": ["10.0.0.1/8"])"),
        with_attachment(
            R"("netns": "a", "interface": "eth0", "routes": [{"to": "default", "via": "10.0.0.1"}])")}) {
    const ReadOutcome outcome = read_set(good, "good.json", drivers::driver_grammar());
    EXPECT_TRUE(outcome.ok()) << model_test::texts(outcome);
    EXPECT_TRUE(valid(good)) << good;
  }
}

TEST(Schema, AndReaderAgreeOnWhatIsWrong) {
  for (const std::string& bad :
       {std::string("{}"),
        std::string("[]"),
        std::string(R"({"version": 2})"),
        std::string(R"({"version": "1"})"),
        std::string(R"({"version": 1, "name": ""})"),
        std::string(R"({"version": 1, "nmae": "a"})"),
        std::string(R"({"version": 1, "vlans": {"a/b": {"parent": "eth0", "id": 1}}})"),
        std::string(R"({"version": 1, "vlans": {"v": {"parent": "eth0"}}})"),
        with_vlan(R"(, "mtu": 67)"),
        with_vlan(R"(, "mac": "01:00:00:00:00:01")"),
        with_vlan(R"(, "mac": "00:00:00:00:00:00")"),
        with_vlan(R"(, "protocol": "802.1q")"),
        std::string(R"({"version": 1, "networks": {"a": {}}})"),
        std::string(R"({"version": 1, "networks": {"a": {"driver": "token-ring"}}})"),
        with_network(R"(, "internal": 1)"),
        with_network(R"(, "bridge": {"stp": "yes"})"),
        with_network(R"(, "bridge": {"ageing_time": -1})"),
        with_network(R"(, "bridge": {"flooding": "flood"})"),
        with_network(R"(, "uplinks": ["a b"])"),
        with_network(R"(, "uplinks": [{"vlan": 1}])"),
        with_network(R"(, "subnets": [{"cidr": "10.0.0.0"}])"),
        with_network(R"(, "host_interface": {})"),
        with_attachment(R"("mtu": 1500)"),
        with_attachment(R"("tap": {}, "netns": "a", "interface": "b")"),
        with_attachment(R"("netns": "a")"),
        with_attachment(R"("netns": "a/b", "interface": "c")"),
        with_attachment(R"("netns": "..", "interface": "c")"),
        with_attachment(R"("tap": {}, "addresses": [])"),
        with_attachment(R"("tap": {"owner": "root"})"),
        with_attachment(R"("tap": {}, "vlan": 0)"),
        with_attachment(R"("tap": {}, "vlan": 4095)"),
        with_attachment(R"("tap": {}, "trunk": [1, 1])"),
        with_attachment(R"("tap": {}, "trunk": ["every"])"),
        with_attachment(R"("tap": {}, "trunk": ["20-"])"),
        with_attachment(R"("netns": "a", "interface": "..", "routes": [])"),
        with_attachment(R"("netns": "a", "interface": "b", "routes": [{"to": "defualt"}])")}) {
    EXPECT_FALSE(read_set(bad, "bad.json", drivers::driver_grammar()).ok()) << bad;
    EXPECT_FALSE(valid(bad)) << bad;
  }
}

}  // namespace
}  // namespace lanwright
