// Reads fields of a call's JSON. Pure; any thread. Go writes an absent value as null: it counts as absent.
// Errors are `invalid` and name the field.
#pragma once

#include <map>
#include <string>

#include "model/json.h"
#include "model/result.h"

namespace lanwright::docker {

Result<std::string> text_field(const Json& request, const char* name);     // must be there, not empty
Result<std::string> optional_text(const Json& request, const char* name);  // "" when absent
Result<bool> optional_flag(const Json& request, const char* name);         // false when absent
Result<std::map<std::string, std::string>> optional_texts(const Json& request,
                                                          const char* name);  // empty when absent

}  // namespace lanwright::docker
