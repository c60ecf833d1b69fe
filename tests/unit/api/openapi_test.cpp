// api/rest/openapi.json against the routes that there are and the answers that they give.
#include <regex>

#include "api/rest/routes.h"
#include "tests/support/openapi_checker.h"
#include "tests/unit/api/fixture.h"

namespace lanwright {
namespace {

class ApiDocument : public Api {
 protected:
  OpenApiChecker checker() const {
    return OpenApiChecker(OpenApiChecker::Json::parse(get("/openapi.json").body));
  }

  static OpenApiChecker::Observed observed(const std::string& method, const std::string& target,
                                           const httplib::Response& response) {
    OpenApiChecker::Observed out;
    out.method = method;
    out.path = target.substr(0, target.find('?'));
    out.status = response.status;
    out.content_type = response.get_header_value("Content-Type");
    out.body = response.body;
    for (const auto& [name, value] : response.headers) out.headers.insert(name);
    return out;
  }

  // Every answer is held against the document, and counted.
  void expect(const OpenApiChecker& document, const std::string& method, const std::string& target,
              int status, const std::string& body = {}, const httplib::Headers& headers = {}) {
    auto http = client();
    httplib::Result result = method == "POST"     ? http.Post(target, headers, body, "application/yaml")
                             : method == "DELETE" ? http.Delete(target, headers)
                             : method == "PUT"    ? http.Put(target, headers, body, std::string())
                             : method == "HEAD"   ? http.Head(target, headers)
                                                  : http.Get(target, headers);
    const httplib::Response response = taken(result);
    EXPECT_EQ(response.status, status) << method << ' ' << target << ": " << response.body;
    for (const std::string& mistake : document.check(observed(method, target, response)))
      ADD_FAILURE() << mistake;
    if (status == 200) answered.insert(method + ' ' + target.substr(0, target.find('?')));
  }

  std::set<std::string> answered;
};

TEST_F(ApiDocument, HasEveryRouteAndNoOther) {
  std::set<std::string> routes;
  for (const rest::Route& route : rest::Routes::table())
    routes.insert(std::string(route.method) + ' ' + std::string(route.path));
  EXPECT_EQ(checker().operations(), routes);
}

TEST_F(ApiDocument, HasEveryParameterAndNoOther) {
  const OpenApiChecker document = checker();
  for (const rest::Route& route : rest::Routes::table()) {
    std::set<std::string> names;
    for (const rest::Parameter& parameter : route.parameters) names.emplace(parameter.name);
    const std::string operation = std::string(route.method) + ' ' + std::string(route.path);
    EXPECT_EQ(document.query_parameters(operation), names) << operation;
  }
}

TEST_F(ApiDocument, DescribesTheAnswers) {
  const OpenApiChecker document = checker();
  const auto check = [&](const std::string& method, const std::string& target, int status,
                         const std::string& body = {}, const httplib::Headers& headers = {}) {
    expect(document, method, target, status, body, headers);
  };
  check("GET", "/readyz", 200);
  check("GET", "/healthz", 200);
  check("GET", "/v1/sets", 200);
  check("GET", "/v1/export", 404);
  check("POST", "/v1/plan", 200, kCampus);
  check("POST", "/v1/apply?dry_run", 200, kCampus);
  check("POST", "/v1/apply?wait=1ms", 200, kCampus);
  agent.edit({Kind::network, "lab"}, [](ObjectView& object) {
    object.status.phase = Phase::retrying;
    object.status.last_error = std::make_shared<const Error>(Error{.kind = ErrorKind::unsupported,
                                                                   .tried = "create link",
                                                                   .object = "lw-lab",
                                                                   .number = 95,
                                                                   .words = "Unknown device type",
                                                                   .hint = "load the module"});
    object.status.next_try = object.created;
    object.status.repairs = 4;
    object.status.orphaned = true;
  });
  agent.set_switches({example_switch()});
  check("GET", "/v1/switches/lab", 200);
  check("GET", "/v1/switches/none", 404);
  for (const char* kind : {"vlans", "networks", "attachments", "switches", "sets"})
    check("GET", std::string("/v1/") + kind + "?limit=1", 200);
  for (const char* name :
       {"vlans/eth0.50", "networks/lab", "networks/office", "attachments/r1", "attachments/vm1"}) {
    check("GET", std::string("/v1/") + name, 200);
    check("HEAD", std::string("/v1/") + name, 200);
    check("GET", std::string("/v1/") + name + "/describe", 200);
  }
  packets.give("a frame");
  packets.end();
  check("GET", "/v1/networks/lab/capture?filter=icmp", 200);
  check("GET", "/v1/networks/lab/capture?filter=rubbish", 400);
  check("GET", "/v1/networks/none/capture", 404);
  check("GET", "/v1/sets/campus", 200);
  check("GET", "/v1/sets/campus?wait=1ms&generation=1", 200);
  check("GET", "/v1/plan", 200);
  check("GET", "/v1/plan?set=campus", 200);
  check("GET", "/v1/export", 200);
  check("GET", "/v1/events", 200);
  check("GET", "/v1/events?after=0&limit=1", 200);
  agent.edit([](Snapshot& state) { state.store_notice = "set aside"; });
  check("GET", "/v1/status", 200);
  check("GET", "/v1/status?wait=converged&timeout=1ms", 200);
  check("GET", "/v1/schema", 200);
  check("GET", "/metrics", 200);
  check("GET", "/openapi.json", 200);
  check("GET", "/v1/networks/none", 404);
  check("GET", "/v1/networks/none/describe", 404);
  check("GET", "/v1/networks?colour=red", 400);
  check("POST", "/v1/apply", 422, "version: 2\n");
  check("POST", "/v1/apply", 409, kCampus, {{"If-None-Match", "*"}});
  check("POST", "/v1/plan", 415, kCampus, {{"Content-Encoding", "gzip"}});
  check("POST", "/v1/apply", 413, std::string(options.body_limit + 1, '#'));
  check("PUT", "/v1/networks/lab/uplinks/eth2?vlan=100&wait=1ms", 200);
  check("PUT", "/v1/networks/lab/uplinks/eth2?vlan=4095", 400);
  check("PUT", "/v1/networks/none/uplinks/eth2", 404);
  check("DELETE", "/v1/networks/lab/uplinks/eth2?dry_run", 200);
  check("DELETE", "/v1/networks/none/uplinks/eth2", 404);
  check("DELETE", "/v1/vlans/eth0.50?wait=1ms", 200);
  check("DELETE", "/v1/networks/lab", 200);
  check("DELETE", "/v1/attachments/r1", 200);
  check("GET", "/v1/networks/lab", 200);
  check("DELETE", "/v1/sets/campus", 200);
  check("DELETE", "/v1/sets/campus", 404);
  check("GET", "/v1/sets/campus", 200);
  for (const ErrorKind kind : {ErrorKind::denied, ErrorKind::busy, ErrorKind::exhausted, ErrorKind::timeout,
                               ErrorKind::internal, ErrorKind::conflict}) {
    const Error error{
        .kind = kind, .tried = "write", .object = "the store", .number = 0, .words = "no", .hint = "do"};
    agent.fail_with(error);
    const int status = std::map<ErrorKind, int>{{ErrorKind::denied, 403},    {ErrorKind::busy, 503},
                                                {ErrorKind::exhausted, 507}, {ErrorKind::timeout, 504},
                                                {ErrorKind::internal, 500},  {ErrorKind::conflict, 409}}
                           .at(kind);
    check("POST", "/v1/apply", status, kCampus);
    check("POST", "/v1/plan", status, kCampus);
  }
  // Every operation has been seen to succeed.
  for (const rest::Route& route : rest::Routes::table()) {
    std::string pattern(route.path);
    const auto fits = [&](const std::string& each) {
      const std::string path = each.substr(each.find(' ') + 1);
      if (each.substr(0, each.find(' ')) != route.method) return false;
      return std::regex_match(path,
                              std::regex(std::regex_replace(pattern, std::regex(R"(\{[a-z]+\})"), "[^/]+")));
    };
    EXPECT_TRUE(std::any_of(answered.begin(), answered.end(), fits)) << route.method << ' ' << route.path;
  }
}

TEST_F(ApiDocument, ListsEveryTypeOfEvent) {
  const auto document = OpenApiChecker::Json::parse(get("/openapi.json").body);
  const std::string listed =
      document.at("components").at("schemas").at("Event").at("properties").at("type").at("description");
  std::string types;
  for (const std::string_view type : kEventTypes)
    types.append(types.empty() ? "" : type == kEventTypes.back() ? " or " : ", ").append(type);
  EXPECT_NE(listed.find(": " + types + ";"), std::string::npos) << listed << "\n" << types;
}

TEST_F(ApiDocument, DescribesEventsInAStream) {
  apply_campus();
  RawClient raw(options.socket);
  raw.send("GET /v1/events?follow&after=0 HTTP/1.1\r\nHost: l\r\n\r\n");
  raw.read_until("\r\n\r\n");
  std::string frame;
  do {
    frame = raw.read_until("\n\n");
  } while (!frame.empty() && !frame.starts_with("id: "));
  const auto data = OpenApiChecker::Json::parse(frame.substr(frame.find("data: ") + 6));
  EXPECT_EQ(checker().check_value(data, "Event"), OpenApiChecker::Diagnostics());
}

// The checker itself: it has to see what is wrong.
TEST_F(ApiDocument, TheCheckerFailsOnWhatIsNotDocumented) {
  apply_campus();
  const OpenApiChecker document = checker();
  const httplib::Response response = get("/v1/networks/lab");
  const auto mistakes = [&](const std::function<void(OpenApiChecker::Json&)>& spoil) {
    OpenApiChecker::Json body = OpenApiChecker::Json::parse(response.body);
    spoil(body);
    auto spoilt = observed("GET", "/v1/networks/lab", response);
    spoilt.body = body.dump();
    return document.check(spoilt).size();
  };
  using Body = OpenApiChecker::Json;
  EXPECT_EQ(mistakes([](Body&) {}), 0U);
  EXPECT_EQ(mistakes([](Body& body) { body["colour"] = "red"; }), 1U) << "an undocumented property";
  EXPECT_EQ(mistakes([](Body& body) { body["status"]["colour"] = "red"; }), 1U) << "deep inside";
  EXPECT_EQ(mistakes([](Body& body) { body.erase("uid"); }), 1U) << "a missing one";
  EXPECT_EQ(mistakes([](Body& body) { body["generation"] = "1"; }), 1U) << "a wrong type";
  EXPECT_EQ(mistakes([](Body& body) { body["generation"] = -1; }), 1U) << "too small";
  EXPECT_EQ(mistakes([](Body& body) { body["status"]["phase"] = "Fine"; }), 1U) << "none of the enum";
  EXPECT_EQ(mistakes([](Body& body) { body["links"] = {1}; }), 1U) << "a wrong item";
  EXPECT_EQ(mistakes([](Body& body) { body["spec"]["uplinks"] = {{{"interface", 5}}}; }), 1U) << "oneOf";
  EXPECT_EQ(mistakes([](Body& body) { body["created"] = "yesterday"; }), 1U) << "no time";
  auto other = observed("GET", "/v1/networks/lab", response);
  other.status = 418;
  EXPECT_EQ(document.check(other).size(), 1U);
  other = observed("PUT", "/v1/networks/lab", response);
  EXPECT_EQ(document.check(other).size(), 1U);
  other = observed("GET", "/v1/hubs", response);
  EXPECT_EQ(document.check(other).size(), 1U);
  other = observed("GET", "/v1/networks/lab", response);
  other.headers.erase("ETag");
  EXPECT_EQ(document.check(other).size(), 1U);
  other = observed("GET", "/v1/networks/lab", response);
  other.content_type = "text/html";
  EXPECT_EQ(document.check(other).size(), 1U);
}

TEST_F(ApiDocument, TheCheckerKnowsEveryKeywordOfTheDocument) {
  OpenApiChecker::Json document = OpenApiChecker::Json::parse(get("/openapi.json").body);
  document["components"]["schemas"]["ObjectId"]["patternProperties"] = {{"^x", true}};
  const OpenApiChecker spoilt(document);
  EXPECT_EQ(spoilt.check_value({{"kind", "vlan"}, {"name", "x"}}, "ObjectId").size(), 1U);
}

}  // namespace
}  // namespace lanwright
