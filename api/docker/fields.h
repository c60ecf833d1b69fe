// Reads fields of a call's JSON. Pure; any thread. Go writes an absent value as null: it counts as absent.
// Errors are `invalid` and name the field.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "model/base/addresses.h"

#include "model/base/result.h"
#include "model/format/json.h"

namespace lanwright::docker {

Result<std::string> text_field(const Json& request, const char* name);     // must be there, not empty
Result<std::string> optional_text(const Json& request, const char* name);  // "" when absent
Result<bool> optional_flag(const Json& request, const char* name);         // false when absent
Result<std::map<std::string, std::string>> optional_texts(const Json& request,
                                                          const char* name);  // empty when absent
Result<std::string> id_field(const Json& request, const char* name);  // must be there: hex, or an object name

// A part of the request, which holds it; nullptr when absent.
Result<const Json*> optional_object(const Json& request, const char* name);
Result<const Json*> optional_list(const Json& request, const char* name);

// An address with its prefix length; absent when the text is absent or empty.
Result<std::optional<IpPrefix>> optional_prefix(const Json& request, const char* name);

// The same error about a field that is a part of another one: "Interface" makes "Interface.Address" of
// "Address".
Error inside(const std::string& where, Error error);

// About a field.
Error wrong_field(const std::string& field, std::string words);

}  // namespace lanwright::docker
