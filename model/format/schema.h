// The JSON Schema of the YAML (model/schema.json), with the drivers that exist. Pure; any thread.
#pragma once

#include <string_view>

#include "model/format/grammar.h"
#include "model/format/json.h"

namespace lanwright {

// `text` is that file. What it does not know is added: which drivers there are, that each has its settings
// below its name, and those that it does not describe.
Json yaml_schema(std::string_view text, const Grammar& grammar);

}  // namespace lanwright
