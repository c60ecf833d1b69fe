// What the routes answer.
#include <regex>
#include <sstream>

#include "api/rest/parameters.h"
#include "model/format/set_reader.h"
#include "tests/unit/api/fixture.h"

namespace lanwright {
namespace {

class ApiRoutes : public Api {
 protected:
  static std::vector<std::string> names(const httplib::Response& response) {
    std::vector<std::string> found;
    for (const Json& each : json_of(response)) found.push_back(each.at("name"));
    return found;
  }
  using Names = std::vector<std::string>;
};

TEST_F(ApiRoutes, ListsFilterAndPage) {
  apply_campus();
  agent.edit({Kind::network, "office"}, [](ObjectView& object) { object.status.phase = Phase::ready; });
  EXPECT_EQ(names(get("/v1/networks")), (Names{"lab", "office"}));
  EXPECT_EQ(names(get("/v1/networks?phase=Ready")), (Names{"office"}));
  EXPECT_EQ(names(get("/v1/networks?driver=bridge&set=campus")), (Names{"lab", "office"}));
  EXPECT_EQ(names(get("/v1/networks?set=other")), (Names{}));
  EXPECT_EQ(names(get("/v1/vlans")), (Names{"eth0.50"}));
  const httplib::Response first = get("/v1/attachments?limit=1");
  EXPECT_EQ(names(first), (Names{"r1"}));
  EXPECT_EQ(first.get_header_value("X-Total-Count"), "2");
  EXPECT_EQ(first.get_header_value("Link"), "</v1/attachments?limit=1&offset=1>; rel=\"next\"");
  const httplib::Response second = get("/v1/attachments?limit=1&offset=1");
  EXPECT_EQ(names(second), (Names{"vm1"}));
  EXPECT_FALSE(second.has_header("Link"));
  EXPECT_EQ(names(get("/v1/attachments?offset=99999999999")), (Names{}));
  EXPECT_EQ(names(get("/v1/switches?set=campus&limit=1000&offset=0")), (Names{}));
  EXPECT_EQ(names(get("/v1/sets")), (Names{"campus"}));
}

TEST_F(ApiRoutes, SwitchesTellWhatTheirPortsCounted) {
  agent.set_switches({example_switch()});
  EXPECT_EQ(names(get("/v1/switches")), (Names{"lab"}));
  EXPECT_EQ(names(get("/v1/switches?set=other")), (Names{}));
  const Json found = Json::parse(get("/v1/switches/lab").body);
  EXPECT_EQ(found["pid"], 4711);
  EXPECT_EQ(found["ports"][0]["object"]["name"], "r1");
  EXPECT_EQ(found["ports"][0]["tooLong"], 4);
  EXPECT_EQ(found["ports"][1]["program"], "QEMU user=teacher pid=99");
  EXPECT_EQ(get("/v1/switches/none").status, 404);
  const std::string metrics = get("/metrics").body;
  EXPECT_NE(metrics.find("\nlanwright_switch_up{network=\"lab\"} 1\n"), std::string::npos);
  EXPECT_NE(metrics.find("\nlanwright_switch_too_long_frames_total{network=\"lab\"} 4\n"), std::string::npos);
}

TEST_F(ApiRoutes, UplinksAreAddedAndTakenAway) {
  apply_campus();
  const httplib::Response added =
      put("/v1/networks/lab/uplinks/eth0.7?vlan=100&wait=1ms", {{"If-Match", "\"1\""}});
  ASSERT_EQ(added.status, 200) << added.body;
  EXPECT_EQ(json_of(added).at("objects").at(0).at("result"), "changed");
  EXPECT_EQ(json_of(added).at("set"), "campus");
  ASSERT_TRUE(agent.last_uplink());
  EXPECT_EQ(agent.last_uplink()->network, "lab");
  EXPECT_EQ(agent.last_uplink()->uplink.interface, "eth0.7");
  EXPECT_EQ(agent.last_uplink()->uplink.vlans.pvid, 100);
  EXPECT_FALSE(agent.last_uplink()->remove);
  EXPECT_EQ(agent.last_if_generation(), 1U);
  EXPECT_NE(agent.last_peer().pid, 0);
  const std::size_t changes = agent.changes();
  ASSERT_EQ(remove("/v1/networks/lab/uplinks/eth1?dry_run").status, 200);
  EXPECT_TRUE(agent.last_uplink()->remove);
  EXPECT_EQ(agent.changes(), changes);
  EXPECT_EQ(put("/v1/networks/none/uplinks/eth1").status, 404);
  EXPECT_EQ(put("/v1/networks/lab/uplinks/eth1?vlan=0").status, 400);
  EXPECT_EQ(put("/v1/networks/lab/uplinks/eth1?dry_run&wait").status, 400);
  EXPECT_EQ(remove("/v1/networks/lab/uplinks/eth1?vlan=5").status, 400);
  EXPECT_EQ(get("/v1/networks/lab/uplinks/eth1").status, 405);
  EXPECT_EQ(put("/v1/networks/lab/uplinks/").status, 404);
}

TEST_F(ApiRoutes, WhatIsMadeOnDemandIsOfNoSet) {
  apply_campus();
  agent.edit({Kind::vlan, "eth0.50"}, [](ObjectView& object) { object.set.clear(); });
  EXPECT_EQ(names(get("/v1/sets")), (Names{"campus"}));
  EXPECT_EQ(names(get("/v1/vlans")), (Names{"eth0.50"}));
  const httplib::Response exported = get("/v1/export");
  EXPECT_EQ(exported.status, 200) << "there is one set: nobody has to say which";
  EXPECT_EQ(exported.body.find("vlans:"), std::string::npos) << exported.body;
}

TEST_F(ApiRoutes, AnObjectIsWhatWasDeclared) {
  apply_campus();
  const httplib::Response response = get("/v1/networks/lab");
  EXPECT_EQ(response.get_header_value("ETag"), "\"1\"");
  const Json lab = json_of(response);
  EXPECT_EQ(lab.at("driver"), "bridge");
  EXPECT_EQ(
      lab.at("spec"),
      Json::parse(
          R"({"driver": "bridge", "mtu": 9000, "bridge": {"stp": false}, "uplinks": ["eth1", "eth0.50"]})"));
  EXPECT_EQ(lab.at("links"), Json::parse(R"(["lw-lab"])"));
  const Json r1 = json_of(get("/v1/attachments/r1"));
  EXPECT_EQ(r1.at("network"), "lab");
  EXPECT_EQ(r1.at("driver"), "bridge");
  EXPECT_EQ(json_of(get("/v1/vlans/eth0.50")).at("spec").at("id"), 50);
}

TEST_F(ApiRoutes, WhatIsNotThereIsSaidByName) {
  for (const char* target : {"/v1/networks/none", "/v1/networks/none/describe", "/v1/sets/none",
                             "/v1/vlans/none", "/v1/plan?set=none", "/v1/export?set=none", "/v1/export"}) {
    const httplib::Response response = get(target);
    EXPECT_EQ(response.status, 404) << target;
    EXPECT_EQ(response.get_header_value("Content-Type"), "application/problem+json");
    EXPECT_EQ(json_of(response).at("type"), "urn:lanwright:problem:not_found") << target;
  }
  EXPECT_EQ(json_of(get("/v1/networks/none")).at("detail"), "there is no network none");
  EXPECT_EQ(remove("/v1/networks/none").status, 404);
  EXPECT_EQ(remove("/v1/sets/none").status, 404);
}

TEST_F(ApiRoutes, UnknownPathsAndMethods) {
  for (const char* target :
       {"/", "/v1", "/v1/", "/v1/networks/", "/v1/networks/a/b", "/v2/sets", "/v1/networks/a%2Fdescribe/x"}) {
    EXPECT_EQ(json_of(get(target)).at("type"), "urn:lanwright:problem:no_route") << target;
  }
  auto http = client();
  const httplib::Response put = taken(http.Put("/v1/sets/x", "", "text/plain"));
  EXPECT_EQ(put.status, 405);
  EXPECT_EQ(put.get_header_value("Allow"), "DELETE, GET, HEAD");
  EXPECT_EQ(json_of(put).at("type"), "urn:lanwright:problem:method_not_allowed");
  EXPECT_EQ(taken(http.Get("/v1/apply")).get_header_value("Allow"), "POST");
  EXPECT_EQ(taken(http.Options("/healthz")).status, 405);
}

TEST_F(ApiRoutes, WrongParametersAreRefusedBeforeAnythingHappens) {
  const std::vector<std::pair<const char*, const char*>> cases{
      {"/v1/networks?colour=red", "known here: set, phase, driver, limit, offset"},
      {"/v1/vlans?driver=bridge", "the query parameter `driver` is unknown"},
      {"/v1/networks?phase=ready", "Pending, Applying, Ready"},
      {"/v1/networks?driver=token-ring", "one of bridge"},
      {"/v1/networks?limit=0", "from 1 on"},
      {"/v1/networks?limit=-1", "from 1 on"},
      {"/v1/networks?offset=1.5", "from 0 on"},
      {"/v1/networks?set=", "not empty"},
      {"/v1/networks?set=a&set=b", "more than once"},
      {"/v1/networks?set=a&set=a", "more than once"},
      {"/v1/sets/x?wait=soon", "30s"},
      {"/v1/sets/x?wait=2h", "at most an hour"},
      {"/v1/status?wait=ready", "converged"},
      {"/v1/status?timeout=3s", "wait=converged"},
      {"/healthz?verbose", "none are known here"},
      {"/v1/events?follow=perhaps", "true or false"},
  };
  for (const auto& [target, words] : cases) {
    const httplib::Response response = get(target);
    EXPECT_EQ(response.status, 400) << target;
    EXPECT_NE(response.body.find(words), std::string::npos) << target << ": " << response.body;
  }
  EXPECT_EQ(post("/v1/apply?dry-run=true", kCampus).status, 400);
  EXPECT_EQ(post("/v1/apply?dry_run&wait", kCampus).status, 400);
  EXPECT_EQ(agent.changes(), 0U);
}

TEST_F(ApiRoutes, ApplyTellsWhatItDid) {
  const Json first = json_of(post("/v1/apply?file=campus.yaml", kCampus));
  EXPECT_EQ(first.at("set"), "campus");
  EXPECT_EQ(first.at("generation"), 1);
  EXPECT_EQ(first.at("objects").size(), 5U);
  EXPECT_EQ(first.at("objects")[0],
            Json::parse(R"({"kind": "vlan", "name": "eth0.50", "result": "created"})"));
  EXPECT_EQ(first.at("plan").at("actions").size(), 5U);
  EXPECT_FALSE(first.contains("converged"));
  const Json dry = json_of(post("/v1/apply?dry_run=true", kCampus));
  EXPECT_EQ(dry.at("dryRun"), true);
  EXPECT_EQ(agent.changes(), 1U);
  EXPECT_TRUE(json_of(post("/v1/plan?prune=false&adopt", kCampus)).contains("blocked"));
  EXPECT_EQ(agent.changes(), 1U);
}

TEST_F(ApiRoutes, JsonIsTakenToo) {
  EXPECT_EQ(
      post("/v1/apply", R"({"version": 1, "name": "j", "networks": {"n": {"driver": "bridge"}}})").status,
      200);
  EXPECT_EQ(names(get("/v1/networks?set=j")), (Names{"n"}));
}

TEST_F(ApiRoutes, AFileWithMistakesChangesNothingAndTellsThemAll) {
  const httplib::Response response =
      post("/v1/apply?file=lab.yaml",
           "version: 1\nnetworks:\n  lab: {driver: bridge, mtv: 1500}\n  x: {driver: bridg}\n");
  EXPECT_EQ(response.status, 422);
  const Json problem = json_of(response);
  EXPECT_EQ(problem.at("type"), "urn:lanwright:problem:invalid_file");
  ASSERT_EQ(problem.at("errors").size(), 2U) << problem.dump(2);
  EXPECT_EQ(problem.at("errors")[0].at("line"), 3);
  EXPECT_EQ(problem.at("errors")[0].at("suggestion"), "mtu");
  EXPECT_TRUE(problem.at("errors")[0].at("text").get<std::string>().starts_with("lab.yaml:3:"));
  EXPECT_EQ(agent.changes(), 0U);
}

TEST_F(ApiRoutes, AnEmptyBodyIsNoSet) {
  EXPECT_EQ(post("/v1/apply", "").status, 400);
  RawClient raw(options.socket);
  raw.send("POST /v1/apply HTTP/1.1\r\nHost: l\r\n\r\n");
  EXPECT_TRUE(raw.read_answer().starts_with("HTTP/1.1 411"));
  EXPECT_EQ(agent.changes(), 0U);
}

TEST_F(ApiRoutes, AChangeHoldsToTheGenerationThatItNames) {
  const httplib::Response created = post("/v1/apply", kCampus, {{"If-None-Match", "*"}});
  EXPECT_EQ(created.status, 200);
  EXPECT_EQ(agent.last_if_generation(), 0U);
  EXPECT_EQ(created.get_header_value("ETag"), "\"1\"");
  EXPECT_EQ(post("/v1/apply", kCampus, {{"If-None-Match", "*"}}).status, 409);
  EXPECT_EQ(post("/v1/apply", kCampus, {{"If-Match", "\"1\""}}).status, 200);
  const httplib::Response moved = post("/v1/apply", kCampus, {{"If-Match", "\"1\""}});
  EXPECT_EQ(moved.status, 409);
  EXPECT_EQ(json_of(moved).at("type"), "urn:lanwright:problem:conflict");
  EXPECT_EQ(remove("/v1/networks/lab", {{"If-Match", "\"1\""}}).status, 409);
  EXPECT_EQ(remove("/v1/networks/lab", {{"If-Match", "\"2\""}}).status, 200);
  for (const char* wrong : {"1", "*", "W/\"1\"", "\"1\", \"2\"", "\"one\"", "\"\""}) {
    EXPECT_EQ(post("/v1/apply", kCampus, {{"If-Match", wrong}}).status, 400) << wrong;
  }
  EXPECT_EQ(post("/v1/apply", kCampus, {{"If-None-Match", "\"1\""}}).status, 400);
  EXPECT_EQ(post("/v1/apply", kCampus, {{"If-None-Match", "*"}, {"If-Match", "\"1\""}}).status, 400);
  EXPECT_EQ(remove("/v1/networks/lab", {{"If-None-Match", "*"}}).status, 400);
}

TEST_F(ApiRoutes, WaitingTellsWhenItIsDone) {
  Json answer;
  std::thread waiting([&] { answer = json_of(post("/v1/apply?wait=20s", kCampus)); });
  agent.await_waiting(1);
  agent.set_ready("campus");
  waiting.join();
  EXPECT_EQ(answer.at("converged"), true);
  EXPECT_EQ(answer.at("objects")[0].at("phase"), "Ready");
  const Json set = json_of(get("/v1/sets/campus?wait=20s&generation=1"));
  EXPECT_EQ(set.at("converged"), true);
  EXPECT_EQ(set.at("phases"), Json::parse(R"({"Ready": 5})"));
  EXPECT_EQ(set.at("objects"), 5);
}

TEST_F(ApiRoutes, ATimeThatRunsOutIsNoError) {
  const Json applied = json_of(post("/v1/apply?wait=1ms", kCampus));
  EXPECT_EQ(applied.at("converged"), false);
  EXPECT_EQ(applied.at("objects")[0].at("phase"), "Pending");
  EXPECT_EQ(json_of(get("/v1/sets/campus?wait=0s")).at("converged"), false);
  EXPECT_EQ(json_of(get("/v1/sets/campus")).at("converged"), false);
  EXPECT_EQ(json_of(get("/v1/status?wait=converged&timeout=1ms")).at("converged"), false);
  agent.set_ready("campus");
  EXPECT_EQ(json_of(get("/v1/sets/campus")).at("converged"), true);
  EXPECT_EQ(json_of(get("/v1/status?wait=converged&timeout=20s")).at("converged"), true);
}

TEST_F(ApiRoutes, ADeletedSetIsThereUntilItsObjectsAreGone) {
  apply_campus();
  EXPECT_EQ(json_of(remove("/v1/sets/campus")).at("objects").size(), 5U);
  const Json set = json_of(get("/v1/sets/campus"));
  EXPECT_EQ(set.at("deleting"), true);
  EXPECT_EQ(set.at("converged"), false);
  EXPECT_EQ(set.at("phases"), Json::parse(R"({"Deleting": 5})"));
  int status = 0;
  std::thread waiting([&] { status = get("/v1/sets/campus?wait=20s").status; });
  agent.await_waiting(1);
  agent.set_ready("campus");
  waiting.join();
  EXPECT_EQ(status, 404) << "gone while it was waited for";
}

TEST_F(ApiRoutes, SomeoneCanAlwaysAskForTheHealthWhileOthersWait) {
  options.threads = 3;
  server.reset();
  start();
  apply_campus();
  std::vector<std::unique_ptr<RawClient>> waiting;
  for (int i = 0; i < 2; ++i) {
    waiting.push_back(std::make_unique<RawClient>(options.socket));
    waiting.back()->send("GET /v1/sets/campus?wait=1h HTTP/1.1\r\nHost: l\r\n\r\n");
  }
  agent.await_waiting(2);
  EXPECT_EQ(get("/v1/status?wait=converged").status, 503);
  const std::size_t before = agent.changes();
  EXPECT_EQ(post("/v1/apply?wait=1s", kCampus).status, 503);
  EXPECT_EQ(agent.changes(), before) << "refused before anything is changed";
  EXPECT_EQ(get("/healthz").status, 200);
}

TEST_F(ApiRoutes, ExportIsWhatWasApplied) {
  apply_campus();
  const httplib::Response exported = get("/v1/export?set=campus");
  EXPECT_EQ(exported.get_header_value("Content-Type"), "application/yaml");
  const ReadOutcome declared = read_set(kCampus, "a", drivers::driver_grammar());
  const ReadOutcome back = read_set(exported.body, "b", drivers::driver_grammar());
  ASSERT_TRUE(back.ok()) << back.diagnostics.front().text();
  EXPECT_EQ(back.set, declared.set);
  EXPECT_EQ(get("/v1/export").body, exported.body) << "there is one only";
  ASSERT_EQ(post("/v1/apply", "version: 1\nname: other\nnetworks: {o: {driver: bridge}}\n").status, 200);
  const httplib::Response which = get("/v1/export");
  EXPECT_EQ(which.status, 400);
  EXPECT_NE(which.body.find("campus, other"), std::string::npos);
}

TEST_F(ApiRoutes, DescribeTellsBothSides) {
  apply_campus();
  const Json lab = json_of(get("/v1/networks/lab/describe"));
  EXPECT_EQ(lab.at("object").at("name"), "lab");
  EXPECT_EQ(lab.at("links")[0].at("wanted").at("mtu"), 9000);
  EXPECT_EQ(lab.at("links")[0].at("found").at("mtu"), 1500);
  EXPECT_FALSE(lab.at("links")[1].contains("found"));
  EXPECT_EQ(lab.at("differences")[0].at("verb"), "create");
  EXPECT_EQ(lab.at("history")[0].at("type"), "Applied");
  EXPECT_EQ(lab.at("history")[0].at("peer").at("pid"), ::getpid());
}

TEST_F(ApiRoutes, HealthAndReadiness) {
  EXPECT_EQ(get("/readyz").status, 200);
  agent.edit([](Snapshot& state) { state.ready = false; });
  EXPECT_EQ(get("/readyz").status, 503);
  EXPECT_EQ(get("/healthz").status, 200);
  agent.edit([](Snapshot& state) { state.live = false; });
  EXPECT_EQ(get("/healthz").status, 503);
  agent.fail_with(
      Error{.kind = ErrorKind::timeout, .tried = "ask", .object = "the loop", .words = {}, .hint = {}});
  EXPECT_EQ(get("/healthz").status, 504);
}

TEST_F(ApiRoutes, EveryKindOfErrorHasItsStatus) {
  const std::vector<std::pair<ErrorKind, int>> cases{
      {ErrorKind::invalid, 400}, {ErrorKind::conflict, 409},    {ErrorKind::not_found, 404},
      {ErrorKind::waiting, 409}, {ErrorKind::unsupported, 501}, {ErrorKind::denied, 403},
      {ErrorKind::busy, 503},    {ErrorKind::exhausted, 507},   {ErrorKind::timeout, 504},
      {ErrorKind::internal, 500}};
  for (const auto& [kind, status] : cases) {
    agent.fail_with(Error{.kind = kind,
                          .tried = "write",
                          .object = "the store",
                          .number = 28,
                          .words = "disk is full",
                          .hint = "make room"});
    const httplib::Response response = post("/v1/apply", kCampus);
    EXPECT_EQ(response.status, status);
    const Json problem = json_of(response);
    EXPECT_EQ(problem.at("type"), std::string("urn:lanwright:problem:") + name_of(kind));
    EXPECT_EQ(problem.at("detail"), "write the store: No space left on device (errno 28): disk is full");
    EXPECT_EQ(problem.at("hint"), "make room");
    EXPECT_EQ(problem.at("error").at("errno"), 28);
  }
}

TEST_F(ApiRoutes, StatusCounts) {
  apply_campus();
  agent.edit([](Snapshot& state) { state.store_notice = "set aside"; });
  const Json status = json_of(get("/v1/status"));
  EXPECT_EQ(status.at("objects").at("networks"), Json::parse(R"({"Pending": 2})"));
  EXPECT_EQ(status.at("objects").at("vlans"), Json::parse(R"({"Pending": 1})"));
  EXPECT_EQ(status.at("sets"), 1);
  EXPECT_EQ(status.at("counters").at("repairs_total"), 3);
  EXPECT_EQ(status.at("storeNotice"), "set aside");
}

TEST_F(ApiRoutes, MetricsAreWhatPrometheusReads) {
  apply_campus();
  agent.edit([](Snapshot& state) {
    state.counters["drops_total{reason=\"x\"}"] = 1;
    state.counters["drops_total{reason=\"y\"}"] = 2;
    state.counters["drops_seen"] = 3;
  });
  const httplib::Response response = get("/metrics");
  EXPECT_EQ(response.get_header_value("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  for (const char* line :
       {"lanwright_objects{kind=\"network\",phase=\"Pending\"} 2",
        "lanwright_objects{kind=\"network\",phase=\"Ready\"} 0", "# TYPE lanwright_repairs_total counter",
        "lanwright_repairs_total 3", "lanwright_ready 1", "lanwright_drops_total{reason=\"y\"} 2",
        "# TYPE lanwright_drops_seen gauge", "lanwright_http_answers_total{code=\"200\"} 1",
        "lanwright_sets 1"}) {
    EXPECT_NE(response.body.find(std::string("\n") + line + '\n'), std::string::npos) << line << "\n"
                                                                                      << response.body;
  }
  // Every sample stands below the HELP and TYPE of its family, and no family comes twice.
  static const std::regex kSample(
      R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [0-9]+(\.[0-9]+)?)re");
  std::istringstream lines(response.body);
  std::set<std::string> families;
  std::string family;
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (line.starts_with("# HELP ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_TRUE(families.insert(family).second) << family;
    } else if (line.starts_with("# TYPE ")) {
      EXPECT_EQ(line.substr(7, line.find(' ', 7) - 7), family);
    } else {
      ASSERT_TRUE(std::regex_match(line, match, kSample)) << line;
      EXPECT_EQ(match[1].str(), family);
    }
  }
}

TEST_F(ApiRoutes, DocumentsAreServed) {
  EXPECT_EQ(json_of(get("/openapi.json")).at("openapi"), "3.1.0");
  EXPECT_TRUE(json_of(get("/v1/schema")).contains("$schema"));
}

TEST(Durations, AreRead) {
  using std::chrono::milliseconds;
  EXPECT_EQ(rest::duration_from("500ms"), milliseconds(500));
  EXPECT_EQ(rest::duration_from("30s"), milliseconds(30'000));
  EXPECT_EQ(rest::duration_from("30"), milliseconds(30'000));
  EXPECT_EQ(rest::duration_from("1h"), milliseconds(3'600'000));
  for (const char* wrong : {"", "s", "1 s", "-1s", "1d", "61m", "99999999999999999999s", "1.5s"}) {
    EXPECT_FALSE(rest::duration_from(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace lanwright
