// Errors as RFC 9457 problem details. The type is urn:lanwright:problem:NAME and never changes its meaning.
#pragma once

#include <string>

#include "api/http/head.h"
#include "api/http/response.h"
#include "model/base/result.h"
#include "model/format/set_reader.h"

namespace lanwright::http {

// 4xx or 5xx by the kind of error.
int status_of(ErrorKind kind);

Response problem(const Error& error);
// 422, with every diagnostic in `errors`.
Response problem(const ReadOutcome& mistakes);
// What HTTP itself has to complain of.
Response problem(const HttpError& refusal);
// A request that is wrong: 400.
Response invalid(const std::string& detail, const std::string& hint = {});
Response not_found(const std::string& detail, const std::string& hint = {});

}  // namespace lanwright::http
