// Errors as RFC 9457 problem details. The type is urn:lanwright:problem:NAME and never changes its meaning.
#pragma once

#include <string>

#include "api/answer.h"
#include "api/request_head.h"
#include "model/result.h"
#include "model/set_reader.h"

namespace lanwright::rest {

// 4xx or 5xx by the kind of error.
int status_of(ErrorKind kind);

Answer problem(const Error& error);
// 422, with every diagnostic in `errors`.
Answer problem(const ReadOutcome& mistakes);
// What HTTP itself has to complain of.
Answer problem(const Refusal& refusal);
// A request that is wrong: 400.
Answer invalid(const std::string& detail, const std::string& hint = {});
Answer not_found(const std::string& detail, const std::string& hint = {});

}  // namespace lanwright::rest
