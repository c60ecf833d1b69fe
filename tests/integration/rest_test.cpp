// Every route that the OpenAPI document names, asked of an agent with a real host behind it; each answer is
// held against the document.
// ctest label: tsan
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/integration/event_stream.h"
#include "tests/integration/harness.h"
#include "tests/integration/product.h"
#include "tests/support/openapi_checker.h"

namespace lanwright::test {
namespace {

// Objects in as many phases as a host can bring about at once.
constexpr const char* kCampus = R"(
version: 1
name: campus
vlans:
  up0.5: {parent: up0, id: 5}
  nowhere.6: {parent: nowhere, id: 6, protocol: 802.1ad, mtu: 1400, mac: 02:00:00:00:00:06}
networks:
  lan:
    driver: bridge
    mtu: 1400
    bridge: {name: br-lan, ageing_time: 60}
    subnets: [{cidr: 10.1.0.0/24, gateway: 10.1.0.1, range: 10.1.0.128/25, reserved: {printer: 10.1.0.200}}]
    uplinks: [up1]
  taken: {driver: bridge, bridge: {name: br-taken}}
  a-name-that-is-longer-than-a-link: {driver: bridge, bridge: {flooding: hub}}
  wire: {driver: vde}
attachments:
  r1-lan:
    network: lan
    netns: r1
    interface: eth0
    mac: 02:00:00:00:01:01
    isolated: true
    addresses: [10.1.0.1/24, "fd01::1/64"]
    routes: [{to: default, via: 10.1.0.254}, {to: 10.9.0.0/16, via: 10.1.0.254, metric: 7}]
  absent: {network: lan, netns: absent, interface: eth0}
  vm: {network: lan, tap: {name: tap-vm, owner: 1000, group: 1000}}
  r1-wire: {network: wire, netns: r1, interface: eth1}
)";

class Rest : public testing::Test {
 protected:
  Rest() {
    sandbox_.add_netns("r1");
    for (const char* command :
         {"link add up0 up type veth peer name far0", "link add up1 up type veth peer name far1",
          "link add br-taken type bridge", "link add fp0 master br-taken type veth peer name fp1"})
      sandbox_.ip(command);
    agent_.emplace(sandbox_);
    checker_.emplace(OpenApiChecker::Json::parse(agent_->get("/openapi.json").body));
    const Finished applied = agent_->cli({"apply", "-f", sandbox_.write_file("campus.yaml", kCampus)});
    if (!applied.ok()) throw HarnessError(applied.text());
    for (const auto& [kinds, name, phase] :
         {std::tuple("attachments", "r1-lan", "Ready"), std::tuple("attachments", "r1-wire", "Ready"),
          std::tuple("attachments", "absent", "Pending"), std::tuple("networks", "taken", "Conflict")}) {
      if (auto reached = reaches(*agent_, kinds, name, phase); !reached)
        throw HarnessError(reached.message());
    }
    if (auto ready = reaches(*agent_, "attachments", "vm", "Ready"); !ready)
      throw HarnessError(ready.message());
    EventStream events(*agent_);
    sandbox_.ip("link set tap-vm mtu 1300");
    events.expect("Repaired", "attachment vm");
  }

  // The headers of the answer that the document names, in its spelling.
  std::set<std::string> documented_headers(const HttpAnswer& answer) const {
    std::set<std::string> names;
    find_headers(checker_->document(), names);
    std::erase_if(names, [&](std::string name) {
      std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
      return !answer.headers.contains(name);
    });
    return names;
  }

  static void find_headers(const OpenApiChecker::Json& node, std::set<std::string>& names) {
    if (!node.is_structured()) return;
    for (const auto& [key, value] : node.items()) {
      if (key == "headers") {
        for (const auto& [name, header] : value.items()) names.insert(name);
      }
      find_headers(value, names);
    }
  }

  HttpAnswer ask(const std::string& method, const std::string& target, int status,
                 const std::string& body = {}, const std::vector<std::string>& headers = {}) const {
    HttpAnswer answer = http(agent_->socket(), method, target, body, headers);
    const std::string path = target.substr(0, target.find('?'));
    EXPECT_EQ(answer.status, status) << method << ' ' << target << ": " << answer.body;
    const auto type = answer.headers.find("content-type");
    const auto mistakes =
        checker_->check({method, path, answer.status, type == answer.headers.end() ? "" : type->second,
                         answer.body, documented_headers(answer)});
    for (const std::string& mistake : mistakes) ADD_FAILURE() << mistake;
    return answer;
  }

  std::vector<std::string> names(const std::string& list) const {
    std::vector<std::string> all;
    for (const Json& each : agent_->get_json(list)) all.push_back(each.at("name"));
    return all;
  }

  // The paths that a pattern of the document stands for on this host.
  std::vector<std::string> paths_of(const std::string& pattern) const {
    const std::size_t brace = pattern.find("{name}");
    if (brace == std::string::npos) return {pattern};
    std::vector<std::string> paths;
    for (const std::string& name : names(pattern.substr(0, brace - 1)))
      paths.push_back(pattern.substr(0, brace) + name + pattern.substr(brace + 6));
    return paths;
  }

  static std::string sample_of(const std::string& parameter) {
    static const std::map<std::string, std::string> kSamples{
        {"set", "campus"}, {"phase", "Ready"},  {"driver", "bridge"}, {"limit", "2"},     {"offset", "1"},
        {"wait", "10ms"},  {"timeout", "10ms"}, {"generation", "1"},  {"after", "1"},     {"file", "x.yaml"},
        {"prune", "true"}, {"adopt", "false"},  {"dry_run", "true"},  {"follow", "false"}};
    return kSamples.at(parameter);
  }

  // Without those that answer a stream that does not end: they have tests of their own.
  std::vector<std::string> reading_operations() const {
    std::vector<std::string> patterns;
    for (const std::string& operation : checker_->operations()) {
      if (operation.starts_with("GET ") && !operation.ends_with("/capture"))
        patterns.push_back(operation.substr(4));
    }
    return patterns;
  }

  Sandbox sandbox_;
  std::optional<AgentProcess> agent_;
  std::optional<OpenApiChecker> checker_;
};

TEST_F(Rest, EveryReadingRouteAnswersAsDocumented) {
  int asked = 0;
  for (const std::string& pattern : reading_operations()) {
    const auto paths = paths_of(pattern);
    EXPECT_FALSE(paths.empty()) << "nothing to ask " << pattern << " for";
    for (const std::string& path : paths) {
      ask("GET", path, 200);
      ++asked;
      for (const std::string& parameter : checker_->query_parameters("GET " + pattern)) {
        // These two go together.
        const bool pair = path == "/v1/status" && (parameter == "wait" || parameter == "timeout");
        const std::string query =
            pair ? "wait=converged&timeout=10ms" : parameter + "=" + sample_of(parameter);
        ask("GET", path + "?" + query, 200);
      }
    }
  }
  EXPECT_GE(asked, 30);
}

TEST_F(Rest, EveryReadingRouteRefusesAsDocumented) {
  for (const std::string& pattern : reading_operations()) {
    SCOPED_TRACE(pattern);
    std::string unknown = pattern;
    if (const std::size_t brace = unknown.find("{name}"); brace != std::string::npos) {
      unknown.replace(brace, 6, "nosuch");
      ask("GET", unknown, 404);
    }
    ask("GET", unknown + "?nosuch=1", 400);
    const HttpAnswer answer = http(agent_->socket(), "PATCH", unknown, "{}");
    EXPECT_EQ(answer.status, 405) << answer.body;
  }
}

TEST_F(Rest, EveryWritingRouteAnswersAsDocumented) {
  const std::string yaml =
      "version: 1\nname: more\nnetworks:\n  m1: {driver: bridge}\n  m2: {driver: bridge}\n";
  const std::vector<std::string> type{"Content-Type: application/yaml"};
  ask("POST", "/v1/plan", 200, yaml, type);
  ask("POST", "/v1/apply?dry_run=true", 200, yaml, type);
  EXPECT_EQ(names("/v1/sets"), std::vector<std::string>{"campus"}) << "neither of these changes anything";
  const HttpAnswer applied = ask("POST", "/v1/apply?wait=10s", 200, yaml, type);
  EXPECT_TRUE(sandbox_.link("lw-m1"));
  ask("POST", "/v1/apply", 422, "version: 1\nnetworks: 5\n", type);
  ask("POST", "/v1/apply", 409, yaml, {type.front(), "If-Match: \"1\""});
  ask("POST", "/v1/apply", 409, yaml, {type.front(), "If-None-Match: *"});
  ask("POST", "/v1/apply", 400, yaml, {type.front(), "If-Match: five"});
  ask("DELETE", "/v1/networks/m1", 200);
  ask("DELETE", "/v1/networks/nosuch", 404);
  ask("DELETE", "/v1/networks/lan", 409);  // attachments hang on it
  ask("DELETE", "/v1/attachments/vm", 200);
  ask("DELETE", "/v1/vlans/nowhere.6", 200);
  ask("DELETE", "/v1/sets/more?wait=10s", 200);
  EXPECT_FALSE(sandbox_.link("lw-m2"));
}

TEST_F(Rest, ObjectsAreTruthful) {
  const Json network = agent_->get_json("/v1/networks/lan");
  EXPECT_EQ(network.at("spec").at("mtu"), 1400);
  EXPECT_EQ(network.at("links"), Json::array({"br-lan"}));
  const Json description = agent_->get_json("/v1/networks/lan/describe");
  const Json bridge = *sandbox_.link("br-lan");
  EXPECT_EQ(description.at("links").at(0).at("found").at("ifindex"), bridge.at("ifindex"));
  EXPECT_EQ(description.at("links").at(0).at("found").at("mtu"), bridge.at("mtu"));
  std::vector<std::string> ports = description.at("ports");
  std::ranges::sort(ports);
  EXPECT_EQ(ports, (std::vector<std::string>{"lw-r1-lan", "tap-vm", "up1"}));
  const Json attachment = agent_->get_json("/v1/attachments/r1-lan/describe");
  EXPECT_EQ(attachment.at("links").size(), 2U);
  EXPECT_EQ(attachment.at("differences"), Json::array());
  EXPECT_FALSE(attachment.at("history").empty());
  EXPECT_EQ(names("/v1/attachments?phase=Pending"), std::vector<std::string>{"absent"});
  EXPECT_EQ(names("/v1/networks?phase=Conflict"), std::vector<std::string>{"taken"});
  EXPECT_EQ(agent_->get_json("/v1/networks?limit=2").size(), 2U);
  EXPECT_EQ(agent_->get_json("/v1/networks?limit=2&offset=2").size(), 2U);
}

TEST_F(Rest, EventsNameWhoAsked) {
  EventStream events(*agent_);
  agent_->apply("version: 1\nname: more\nnetworks:\n  m1: {driver: bridge}\n");
  const Json applied = events.expect("Applied");
  EXPECT_EQ(applied.at("set"), "more");
  EXPECT_EQ(applied.at("peer").at("uid"), 0);
  EXPECT_GT(applied.at("peer").at("pid").get<int>(), 1);
  for (const Json& event : events.seen()) {
    for (const std::string& mistake :
         checker_->check_value(OpenApiChecker::Json::parse(event.dump()), "Event"))
      ADD_FAILURE() << mistake;
  }
}

TEST_F(Rest, MetricsAreWellFormed) {
  std::istringstream lines(agent_->get("/metrics").body);
  std::set<std::string> families;
  int samples = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string hash;
    std::string keyword;
    std::string name;
    if (line.starts_with('#')) {
      words >> hash >> keyword >> name;
      if (keyword != "TYPE") continue;
      EXPECT_TRUE(families.insert(name).second) << "twice: " << line;
      continue;
    }
    ++samples;
    const std::string family = line.substr(0, line.find_first_of("{ "));
    EXPECT_TRUE(families.contains(family)) << line;
    EXPECT_NO_THROW((void)std::stod(line.substr(line.rfind(' ') + 1))) << line;
  }
  EXPECT_GT(samples, 20);
  for (const char* name :
       {"netlink_writes_total", "resyncs_total", "netlink_overruns_total", "repairs_total"})
    EXPECT_TRUE(families.contains(std::string("lanwright_") + name)) << name << " is there from the start";
}

}  // namespace
}  // namespace lanwright::test
