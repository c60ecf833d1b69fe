// Values as JSON: what REST answers, what the store keeps and what `-o json` prints. Encoding is total;
// decoding of specs goes through the one reader of the format (model/format/set_reader.h), so that no second
// set of rules exists.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/base/result.h"
#include "model/desired.h"
#include "model/format/set_reader.h"
#include "model/plan.h"
#include "model/status.h"

namespace lanwright {

using Json = nlohmann::ordered_json;

// Ascending VLAN ids as `trunk` has them: [10, "20-29"], so that all of them are one word.
Json vlan_ids_json(const std::vector<std::uint16_t>& ids);
Json to_json(const VlanSpec& spec);  // the same keys as the YAML; what has its default value is left out
Json to_json(const NetworkSpec& spec);
Json to_json(const AttachmentSpec& spec);
Json to_json(const ObjectSpec& spec);
Json to_json(const SetSpec& set);  // {"version": 1, "name": ..., "networks": {...}}: read_set() accepts it
Json to_json(const Plan& plan);    // {"actions": [...], "blocked": [...]}
Json to_json(const ObjectStatus& status);
Json to_json(const Event& event);
Json to_json(const Diagnostic& diagnostic);
Json to_json(const Error& error);

// One object's spec, as to_json(ObjectSpec) wrote it. Used on the store's own rows: references to other
// objects are not checked here.
Result<ObjectSpec> spec_from_json(Kind kind, const std::string& name, std::string_view json,
                                  const Grammar& grammar);

// The set as YAML in the documented order of keys; read_set() gives the same set back.
std::string to_yaml(const SetSpec& set);

}  // namespace lanwright
