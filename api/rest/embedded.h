// Files of the repository that are part of the program (api/CMakeLists.txt writes the source).
#pragma once

#include <string_view>

namespace lanwright::rest {

extern const std::string_view kOpenApi;     // api/rest/openapi.json
extern const std::string_view kYamlSchema;  // model/schema.json

}  // namespace lanwright::rest
