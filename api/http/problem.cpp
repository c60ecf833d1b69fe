#include "api/http/problem.h"

#include <utility>

namespace lanwright::http {
namespace {

const char* title_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid:
      return "The request is wrong";
    case ErrorKind::conflict:
      return "It conflicts with what is there";
    case ErrorKind::not_found:
      return "There is no such thing";
    case ErrorKind::waiting:
      return "Something that it needs is not there yet";
    case ErrorKind::unsupported:
      return "This system cannot do it";
    case ErrorKind::denied:
      return "A privilege is missing";
    case ErrorKind::busy:
      return "Not now";
    case ErrorKind::exhausted:
      return "There is no room left";
    case ErrorKind::timeout:
      return "It took too long";
    case ErrorKind::internal:
      break;
  }
  return "The agent made a mistake";
}

struct HttpProblem {
  int status;
  const char* name;
  const char* title;
};

constexpr HttpProblem kHttpProblems[] = {
    {400, "bad_request", "The request is not well-formed"},
    {404, "no_route", "There is nothing at this path"},
    {405, "method_not_allowed", "The method does not fit the path"},
    {408, "request_timeout", "The request took too long"},
    {411, "length_required", "The length of the body is not given"},
    {413, "too_large", "The body is too large"},
    {414, "uri_too_long", "The request line is too long"},
    {415, "unsupported_media_type", "The body is of a wrong type"},
    {417, "expectation_failed", "The expectation cannot be met"},
    {431, "header_too_large", "The header is too large"},
    {501, "method_unknown", "The method is not known"},
    {503, "busy", "Not now"},
    {505, "version_not_supported", "The version of HTTP is not spoken"},
};

HttpProblem http_problem(int status) {
  for (const HttpProblem& each : kHttpProblems) {
    if (each.status == status) return each;
  }
  return {status, status < 500 ? "bad_request" : "internal", "The request failed"};
}

Json details(const std::string& name, const std::string& title, int status, const std::string& detail,
             const std::string& hint) {
  Json json = {
      {"type", "urn:lanwright:problem:" + name}, {"title", title}, {"status", status}, {"detail", detail}};
  if (!hint.empty()) json["hint"] = hint;
  return json;
}

Response answer(int status, const Json& json) {
  return {.status = status, .content_type = kProblem, .body = text_of(json) + "\n"};
}

}  // namespace

int status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid:
      return 400;
    case ErrorKind::not_found:
      return 404;
    case ErrorKind::conflict:
    case ErrorKind::waiting:
      return 409;
    case ErrorKind::unsupported:
      return 501;
    case ErrorKind::denied:
      return 403;
    case ErrorKind::busy:
      return 503;
    case ErrorKind::exhausted:
      return 507;
    case ErrorKind::timeout:
      return 504;
    case ErrorKind::internal:
      break;
  }
  return 500;
}

Response problem(const Error& error) {
  Error told = error;
  told.hint.clear();  // has its own member
  const int status = status_of(error.kind);
  Json json = details(name_of(error.kind), title_of(error.kind), status, told.text(), error.hint);
  json["error"] = to_json(error);
  return answer(status, json);
}

Response problem(const ReadOutcome& mistakes) {
  const std::size_t count = mistakes.diagnostics.size() + mistakes.untold;
  Json json = details("invalid_file", "The file has mistakes", 422,
                      "the file has " + std::to_string(count) + (count == 1 ? " mistake" : " mistakes") +
                          "; nothing was changed",
                      {});
  json["untold"] = mistakes.untold;
  Json& errors = json["errors"] = Json::array();
  for (const Diagnostic& diagnostic : mistakes.diagnostics) errors.push_back(to_json(diagnostic));
  return answer(422, json);
}

Response problem(const HttpError& refusal) {
  const HttpProblem known = http_problem(refusal.status);
  return answer(refusal.status,
                details(known.name, known.title, refusal.status, refusal.detail, refusal.hint));
}

Response invalid(const std::string& detail, const std::string& hint) {
  return answer(400, details(name_of(ErrorKind::invalid), title_of(ErrorKind::invalid), 400, detail, hint));
}

Response not_found(const std::string& detail, const std::string& hint) {
  return answer(404,
                details(name_of(ErrorKind::not_found), title_of(ErrorKind::not_found), 404, detail, hint));
}

}  // namespace lanwright::http
