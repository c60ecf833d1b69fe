// The client's commands, run in-process against an agent that answers recorded JSON.
#include <cstdlib>

#include "model/format/json.h"
#include "tests/unit/agent/cli_fake.h"

namespace lanwright {
namespace {

constexpr const char* kLab = R"(version: 1
name: campus
networks:
  lab: {driver: bridge}
attachments:
  r1: {network: lab, netns: r1, interface: eth0}
)";

constexpr const char* kNetworks = R"([{
  "kind": "network", "name": "lab", "set": "campus", "uid": "00000000000000aa", "generation": 7,
  "created": "2026-11-20T11:56:48.000Z", "deleting": false,
  "spec": {"driver": "bridge", "uplinks": ["eth1"], "subnets": [{"cidr": "10.0.0.0/24"}]},
  "status": {"phase": "Ready", "message": "", "observedGeneration": 7, "since": "2026-11-20T11:56:49.000Z",
             "repairs": 2},
  "links": [{"netns": "", "name": "lw-lab"}], "driver": "bridge"}])";

constexpr const char* kAttachments = R"([{
  "kind": "attachment", "name": "r1", "set": "campus", "uid": "00000000000000ab", "generation": 7,
  "created": "2026-11-20T11:59:55.000Z", "deleting": false,
  "spec": {"network": "lab", "netns": "r1", "interface": "eth0", "addresses": ["10.0.0.1/24", "fd00::1/64"]},
  "status": {"phase": "Pending", "message": "waits for the network namespace r1", "observedGeneration": 7,
             "since": "2026-11-20T11:59:55.000Z", "repairs": 0},
  "links": [{"netns": "/run/netns/r1", "name": "eth0"}], "driver": "bridge", "network": "lab"}])";

constexpr const char* kPlan = R"({"actions": [{
  "object": {"kind": "network", "name": "lab"}, "verb": "create", "target": {"netns": "", "name": "lw-lab"}, "stage": 1,
  "reason": "missing", "disruption": "none", "differences": [], "text": "create bridge lw-lab"}], "blocked": [{
  "object": {"kind": "attachment", "name": "r1"}, "kind": "waiting", "message": "no such namespace"}]})";

constexpr const char* kApplied = R"({"generation": 7, "objects": [
  {"kind": "network", "name": "lab", "result": "created"}, {"kind": "attachment", "name": "r1", "result": "unchanged"}],
  "plan": {"actions": [], "blocked": []}})";

class Cli : public testing::Test {
 protected:
  void SetUp() override { ::unsetenv("LANWRIGHT_SOCKET"); }
  void TearDown() override { ::unsetenv("LANWRIGHT_SOCKET"); }

  RunResult run_with_agent(std::vector<std::string> arguments, const std::string& input = {}) {
    arguments.insert(arguments.end(), {"--socket", agent.socket()});
    return run(arguments, input);
  }

  TemporaryDirectory directory;
  FakeAgent agent{directory.file("api.sock")};
};

// ---- the command line itself

TEST_F(Cli, HelpIsThereForEveryCommand) {
  const RunResult all = run({"--help"});
  EXPECT_EQ(all.status, cli::kDone);
  for (const char* command : {"validate", "plan", "diff", "apply", "delete", "get", "describe", "export",
                              "events", "status", "topology", "capture", "uplink"}) {
    EXPECT_NE(all.out.find(std::string("\n  ") + command), std::string::npos) << command;
    const RunResult one = run({command, "--help"});
    EXPECT_EQ(one.status, cli::kDone) << command;
    EXPECT_NE(one.out.find(std::string("Example: lanwright ") + command), std::string::npos) << one.out;
  }
}

TEST_F(Cli, VersionIsPrinted) {
  const RunResult result = run({"--version"});
  EXPECT_EQ(result.status, cli::kDone);
  EXPECT_EQ(result.out, "lanwright " LANWRIGHT_VERSION "\n");
}

TEST_F(Cli, WrongUsageIsStatusTwoAndSaysWhat) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases{
      {{}, "subcommand"},
      {{"frobnicate"}, "frobnicate"},
      {{"get"}, "KIND"},
      {{"get", "routers"}, "no kind `routers`"},
      {{"get", "networks", "-o", "xml"}, "no format `xml`"},
      {{"get", "networks", "lab", "more"}, "more"},
      {{"get", "networks", "--colour"}, "--colour"},
      {{"apply"}, "--file"},
      {{"apply", "-f", "x", "--wait=soon"}, "`soon` is no duration"},
      {{"apply", "-f", "x", "--if-generation", "new"}, "new"},
      {{"apply", "-f", "x", "y", "--if-generation", "3"}, "one file"},
      {{"apply", "-f", "x", "--dry-run", "--wait"}, "--dry-run"},
      {{"delete"}, "-f FILE"},
      {{"uplink"}, "subcommand"},
      {{"uplink", "add", "lab"}, "INTERFACE"},
      {{"uplink", "add", "lab", "eth1", "--vlan", "4095"}, "4095"},
      {{"uplink", "remove", "lab", "eth1", "--vlan", "5"}, "--vlan"},
      {{"uplink", "add", "lab", "eth1", "--dry-run", "--wait"}, "nothing to wait for"},
      {{"delete", "network"}, "NAME"},
      {{"delete", "switch", "s"}, "delete the network"},
      {{"delete", "network", "lab", "-f", "x"}, "either"},
      {{"describe", "network"}, "NAME"},
      {{"status", "--wait", "ready"}, "no condition `ready`"},
      {{"status", "--wait", "converged=soon"}, "`soon` is no duration"},
      {{"events", "--limit", "0"}, "0"},
      {{"topology", "-o", "png"}, "no format `png`; known are text, dot, svg, json"},
      {{"capture"}, "NETWORK"},
      {{"capture", "lab", "--count", "0"}, "--count"},
      {{"hub", "lab"}, "hub"},
  };
  for (const auto& [arguments, word] : cases) {
    const RunResult result = run(arguments);
    EXPECT_EQ(result.status, cli::kUsage) << word;
    EXPECT_NE(result.err.find(word), std::string::npos) << word << " is not in: " << result.err;
    EXPECT_EQ(result.out, "") << word;
  }
}

TEST_F(Cli, ANameMayBeThatOfACommand) {
  agent.on_get("/v1/networks/status", "{}", 404);
  EXPECT_EQ(run_with_agent({"get", "network", "status"}).status, cli::kFailed);
  EXPECT_EQ(agent.seen().at(0).line, "GET /v1/networks/status");
}

// ---- the way to the agent

TEST_F(Cli, WithoutAnAgentSaysHowToStartIt) {
  const std::string nowhere = directory.file("none.sock");
  const RunResult result = run({"get", "networks", "--socket", nowhere});
  EXPECT_EQ(result.status, cli::kFailed);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err,
            "error: cannot reach the agent at " + nowhere +
                ": No such file or directory; start it: systemctl start lanwrightd (or lanwrightd "
                "--run-dir DIR), or name its socket with --socket or LANWRIGHT_SOCKET\n");
}

TEST_F(Cli, ASocketWithoutListenerIsRefused) {
  const std::string dead = directory.write("dead.sock", "");
  const RunResult result = run({"status", "--socket", dead});
  EXPECT_EQ(result.status, cli::kFailed);
  EXPECT_NE(result.err.find("Connection refused; start it"), std::string::npos) << result.err;
  const std::string overlong = "/" + std::string(200, 'x');
  EXPECT_NE(run({"status", "--socket", overlong}).err.find("at most 107 bytes"), std::string::npos);
}

TEST_F(Cli, TheSocketComesFromTheEnvironmentAndTheOptionWins) {
  agent.on_get("/v1/networks", kNetworks);
  agent.on_get("/v1/attachments", kAttachments);
  ::setenv("LANWRIGHT_SOCKET", agent.socket().c_str(), 1);
  EXPECT_EQ(run({"get", "networks"}).status, cli::kDone);
  ::setenv("LANWRIGHT_SOCKET", "/nonexistent/api.sock", 1);
  EXPECT_EQ(run({"get", "networks"}).status, cli::kFailed);
  EXPECT_EQ(run({"--socket", agent.socket(), "get", "networks"}).status, cli::kDone);
  EXPECT_EQ(run({"get", "networks", "--socket", agent.socket()}).status, cli::kDone);
}

TEST_F(Cli, WhatIsNoAgentIsToldApart) {
  agent.on_get("/v1/status", "<html>");
  const RunResult result = run_with_agent({"status"});
  EXPECT_EQ(result.status, cli::kFailed);
  EXPECT_NE(result.err.find("did not answer with JSON"), std::string::npos) << result.err;
}

TEST_F(Cli, ProblemDetailsBecomeOneLineWithTheHint) {
  agent.on_get("/v1/networks/lab", R"({"type": "about:blank", "title": "Not Found", "status": 404,
    "detail": "there is no network lab", "hint": "see: lanwright get networks"})",
               404);
  const RunResult result = run_with_agent({"get", "net", "lab"});
  EXPECT_EQ(result.status, cli::kFailed);
  EXPECT_EQ(result.err, "error: there is no network lab; see: lanwright get networks\n");
}

// ---- get, describe, export

TEST_F(Cli, GetShowsATable) {
  agent.on_get("/v1/networks", kNetworks);
  agent.on_get("/v1/attachments", kAttachments);
  EXPECT_EQ(run_with_agent({"get", "networks"}).out,
            "NAME   SET      DRIVER   PHASE   PORTS   SUBNETS       AGE     MESSAGE\n"
            "lab    campus   bridge   Ready   2       10.0.0.0/24   3m12s   -\n");
  EXPECT_EQ(
      run_with_agent({"get", "att"}).out,
      "NAME   SET      NETWORK   DRIVER   INTERFACE    PHASE     ADDRESSES                AGE   MESSAGE\n"
      "r1     campus   lab       bridge   eth0 in r1   Pending   10.0.0.1/24,fd00::1/64   5s    "
      "waits for the network namespace r1\n");
  const std::string wide = run_with_agent({"get", "networks", "-o", "wide"}).out;
  for (const char* word : {"LINKS", "lw-lab", "UID", "00000000000000aa", "REPAIRS"}) {
    EXPECT_NE(wide.find(word), std::string::npos) << wide;
  }
}

TEST_F(Cli, GetPrintsTheAnswerAsData) {
  agent.on_get("/v1/networks", kNetworks);
  EXPECT_EQ(Json::parse(run_with_agent({"get", "networks", "-o", "json"}).out), Json::parse(kNetworks));
  EXPECT_NE(run_with_agent({"get", "networks", "-o", "yaml"}).out.find("- kind: network\n  name: lab\n"),
            std::string::npos);
}

TEST_F(Cli, GetOfOneObjectPrintsIt) {
  const std::string lab = Json::parse(kNetworks)[0].dump();
  agent.on_get("/v1/networks/lab", lab);
  agent.on_get("/v1/attachments", "[]");
  EXPECT_EQ(Json::parse(run_with_agent({"get", "network", "lab", "-o", "json"}).out), Json::parse(lab));
  EXPECT_NE(run_with_agent({"get", "network", "lab"}).out.find("lab    campus   bridge"), std::string::npos);
}

constexpr const char* kSet = R"({"name": "campus", "generation": 7, "applied": "2026-11-20T11:59:30.000Z",
  "deleting": false, "objects": 2, "phases": {"Ready": 1, "Pending": 1}, "converged": false})";

TEST_F(Cli, SetsAreListedAndDescribed) {
  agent.on_get("/v1/sets", '[' + std::string(kSet) + ']');
  agent.on_get("/v1/sets/campus", kSet);
  agent.on_get("/v1/vlans", "[]");
  agent.on_get("/v1/networks", kNetworks);
  agent.on_get("/v1/attachments", kAttachments);
  const std::string line =
      "NAME     GENERATION   OBJECTS   READY   CONVERGED   APPLIED\n"
      "campus   7            2         1       no          30s\n";
  EXPECT_EQ(run_with_agent({"get", "sets"}).out, line);
  const RunResult result = run_with_agent({"describe", "set", "campus"});
  EXPECT_EQ(result.status, cli::kDone) << result.err;
  EXPECT_EQ(result.out.find(line + "\nNAME   SET      DRIVER"), 0U) << result.out;
  EXPECT_NE(result.out.find("eth0 in r1"), std::string::npos) << result.out;
}

TEST_F(Cli, AnEmptyListIsSaidOnStandardError) {
  agent.on_get("/v1/switches", "[]");
  const RunResult result = run_with_agent({"get", "switches", "--set", "campus"});
  EXPECT_EQ(result.status, cli::kDone);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, "no switches in the set campus\n");
  EXPECT_EQ(run_with_agent({"get", "switches", "-o", "json"}).out, "[]\n");
}

TEST_F(Cli, DescribeShowsAllOfAnObject) {
  Json description;
  description["object"] = Json::parse(kNetworks)[0];
  description["links"] =
      Json::parse(R"([{"wanted": {"where": {"netns": "", "name": "lw-lab"}, "kind": "bridge"},
    "found": null, "master": "", "parent": ""}])");
  description["ports"] = {"eth1", "foreign0"};
  description["differences"] = Json::parse(kPlan)["actions"];
  description["history"] = Json::parse(R"([{"id": 3, "time": "2026-11-20T11:58:00.000Z", "type": "Repaired",
    "object": {"kind": "network", "name": "lab"}, "set": "campus", "message": "mtu was 1400"}])");
  agent.on_get("/v1/networks/lab/describe", description.dump());
  const RunResult result = run_with_agent({"describe", "network", "lab"});
  EXPECT_EQ(result.status, cli::kDone);
  for (const char* part :
       {"Name:         lab\n", "Phase:        Ready\n", "(3m12s ago)", "Desired:\n  driver: bridge\n",
        "lw-lab   bridge   missing", "Ports:        eth1, foreign0\n",
        "create bridge lw-lab   network lab   missing", "Repaired", "mtu was 1400"}) {
    EXPECT_NE(result.out.find(part), std::string::npos) << part << "\nis not in\n" << result.out;
  }
}

TEST_F(Cli, ANetworkThatDockerForgotIsShownWithTheCommandThatRemovesIt) {
  const std::string advice = "Docker does not know it any more; to remove it: lanwright delete network lab";
  Json forgotten = Json::parse(kNetworks);
  forgotten[0]["status"]["orphaned"] = true;
  agent.on_get("/v1/networks", forgotten.dump());
  agent.on_get("/v1/attachments", "[]");
  agent.on_get("/v1/networks/lab/describe", Json{{"object", forgotten[0]}}.dump());
  const RunResult listed = run_with_agent({"get", "networks"});
  EXPECT_NE(listed.out.find(advice + "\n"), std::string::npos) << listed.out;
  const RunResult described = run_with_agent({"describe", "network", "lab"});
  EXPECT_NE(described.out.find("Message:      " + advice + "\n"), std::string::npos) << described.out;
}

TEST_F(Cli, AForgottenNetworkStillTellsWhatElseItHas) {
  Json forgotten = Json::parse(kNetworks);
  forgotten[0]["status"]["orphaned"] = true;
  forgotten[0]["status"]["phase"] = "Pending";
  forgotten[0]["status"]["message"] = "waits for eth1";
  agent.on_get("/v1/networks", forgotten.dump());
  agent.on_get("/v1/attachments", "[]");
  const RunResult result = run_with_agent({"get", "networks"});
  EXPECT_NE(result.out.find("delete network lab; waits for eth1\n"), std::string::npos) << result.out;
}

TEST_F(Cli, ExportIsVerbatim) {
  agent.on_get("/v1/export", "version: 1\nname: campus\n");
  const RunResult result = run_with_agent({"export", "--set", "campus"});
  EXPECT_EQ(result.out, "version: 1\nname: campus\n");
  EXPECT_EQ(agent.seen().at(0).line, "GET /v1/export?set=campus");
}

TEST_F(Cli, ControlCharactersOfOthersDoNotReachTheTerminal) {
  agent.on_get("/v1/networks/lab", R"({"detail": "no \u001b]0;owned\u0007 network"})", 404);
  EXPECT_EQ(run_with_agent({"get", "network", "lab"}).err, "error: no ?]0;owned? network\n");
}

// ---- validate, plan, diff

TEST_F(Cli, ValidateNeedsNoAgent) {
  const std::string good = directory.write("good.yaml", kLab);
  const RunResult result = run({"validate", "-f", good});
  EXPECT_EQ(result.status, cli::kDone) << result.err;
  EXPECT_EQ(result.out, good + ": ok: 1 network, 1 attachment\n");
  EXPECT_EQ(run({"validate", "-f", "-"}, kLab).out, "standard input: ok: 1 network, 1 attachment\n");
}

TEST_F(Cli, ValidateTellsTheMistakesOfAllFiles) {
  const std::string bad = directory.write("bad.yaml", "version: 1\nnetworks:\n  lab: {drivr: bridge}\n");
  const std::string good = directory.write("good.yaml", kLab);
  const std::string missing = directory.file("missing.yaml");
  const std::string folder = directory.file("");
  const RunResult result = run({"validate", "-f", bad, good, missing, folder});
  EXPECT_EQ(result.status, cli::kFailed);
  EXPECT_NE(result.err.find(bad + ":3:"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("drivr"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find(missing + ": cannot read: No such file or directory"), std::string::npos)
      << result.err;
  EXPECT_NE(result.err.find(folder + ": cannot read: Is a directory"), std::string::npos) << result.err;
  EXPECT_EQ(result.out, good + ": ok: 1 network, 1 attachment\n");
  const Json data = Json::parse(run({"validate", "-f", bad, "-o", "json"}).out);
  EXPECT_EQ(data[0]["ok"], false);
  EXPECT_EQ(data[0]["errors"][0]["line"], 3);
}

TEST_F(Cli, WhatObjectsCannotBeTogetherHasAPlaceToo) {
  const std::string file = directory.write("lab.yaml",
                                           "version: 1\nnetworks:\n  a: {driver: macvlan, parent: eth0}\n"
                                           "  b.1: {driver: ipvlan, parent: eth0}\n");
  const Json data = Json::parse(run({"validate", "-f", file, "-o", "json"}).out);
  ASSERT_EQ(data[0]["errors"].size(), 2U) << data;
  EXPECT_EQ(data[0]["errors"][1]["line"], 4);
  EXPECT_EQ(data[0]["errors"][1]["column"], 3);
  EXPECT_EQ(data[0]["errors"][1]["path"], "networks.b.1");
}

TEST_F(Cli, PlanShowsTheOrderedActions) {
  agent.on_post("/v1/plan", kPlan);
  const RunResult result = run_with_agent({"plan", "--no-prune", "-f", "-"}, kLab);
  EXPECT_EQ(result.status, cli::kDone) << result.err;
  EXPECT_EQ(result.out,
            "ACTION                 OBJECT        REASON    DISRUPTION\n"
            "create bridge lw-lab   network lab   missing   none\n"
            "\nCannot be done now:\n"
            "  OBJECT          WHY\n"
            "  attachment r1   no such namespace\n");
  EXPECT_EQ(agent.seen().at(0).line, "POST /v1/plan?file=standard%20input&prune=false");
  EXPECT_EQ(agent.seen().at(0).body, kLab);
}

TEST_F(Cli, DiffHasAStatusOfItsOwn) {
  agent.on_get("/v1/plan", kPlan);
  const RunResult result = run_with_agent({"diff", "--set", "campus", "-o", "json"});
  EXPECT_EQ(result.status, cli::kDiffers);
  EXPECT_EQ(Json::parse(result.out), Json::parse(kPlan));
  EXPECT_EQ(agent.seen().at(0).line, "GET /v1/plan?set=campus");
}

TEST_F(Cli, DiffOfNothingIsDone) {
  agent.on_get("/v1/plan", R"({"actions": [], "blocked": []})");
  const RunResult result = run_with_agent({"diff"});
  EXPECT_EQ(result.status, cli::kDone);
  EXPECT_EQ(result.out, "nothing to do\n");
}

// ---- apply

TEST_F(Cli, ApplyPrintsTheResults) {
  agent.on_post("/v1/apply", kApplied);
  const std::string file = directory.write("lab.yaml", kLab);
  const RunResult result = run_with_agent({"apply", "-f", file, "--adopt", "--if-generation", "6"});
  EXPECT_EQ(result.status, cli::kDone) << result.err;
  EXPECT_EQ(result.out, "network lab created\nattachment r1 unchanged\n");
  EXPECT_EQ(agent.seen().at(0).if_match, "\"6\"");
  EXPECT_NE(agent.seen().at(0).line.find("adopt=true"), std::string::npos);
}

TEST_F(Cli, ApplySendsNothingWhenAnyFileIsWrong) {
  agent.on_post("/v1/apply", kApplied);
  const std::string good = directory.write("good.yaml", kLab);
  const std::string bad = directory.write("bad.yaml", "version: 2\n");
  EXPECT_EQ(run_with_agent({"apply", "-f", good, bad}).status, cli::kFailed);
  const std::string same = directory.write("same.yaml", kLab);
  const RunResult result = run_with_agent({"apply", "-f", good, same});
  EXPECT_EQ(result.status, cli::kFailed);
  EXPECT_NE(result.err.find("declares the set `campus`"), std::string::npos) << result.err;
  EXPECT_TRUE(agent.seen().empty());
}

TEST_F(Cli, ApplyDryRunShowsResultsAndPlan) {
  Json outcome = Json::parse(kApplied);
  outcome["plan"] = Json::parse(kPlan);
  agent.on_post("/v1/apply", outcome.dump());
  const RunResult result = run_with_agent({"apply", "-f", "-", "--dry-run", "--if-generation", "6"}, kLab);
  EXPECT_EQ(result.status, cli::kDone) << result.err;
  EXPECT_EQ(result.out.find("network lab created (dry run)\nattachment r1 unchanged (dry run)\n\nACTION"), 0U)
      << result.out;
  EXPECT_NE(result.out.find("create bridge lw-lab"), std::string::npos) << result.out;
  ASSERT_EQ(agent.seen().size(), 1U);
  EXPECT_NE(agent.seen()[0].line.find("dry_run=true"), std::string::npos);
  EXPECT_EQ(agent.seen()[0].if_match, "\"6\"");
}

TEST_F(Cli, ApplyShowsTheAgentsDiagnostics) {
  agent.on_post("/v1/apply", R"({"title": "Unprocessable Content", "status": 422, "detail": "1 mistake",
    "errors": [{"text": "lab.yaml:4:3: unknown driver `vde`\n    lab: {driver: vde}\n"}]})",
                422);
  const RunResult result = run_with_agent({"apply", "-f", "-"}, kLab);
  EXPECT_EQ(result.status, cli::kFailed);
  EXPECT_EQ(result.err,
            "lab.yaml:4:3: unknown driver `vde`\n    lab: {driver: vde}\nerror: standard input: 1 mistake\n");
}

TEST_F(Cli, ApplyWaitsAndShowsThePhases) {
  agent.on_post("/v1/apply", kApplied);
  int asked = 0;
  agent.on_get("/v1/sets/campus", [&](const httplib::Request& request, httplib::Response& response) {
    EXPECT_EQ(request.get_param_value("generation"), "7");
    response.set_content(++asked < 3 ? R"({"phases": {"Ready": 1, "Applying": 1}, "converged": false})"
                                     : R"({"phases": {"Ready": 2}, "converged": true})",
                         "application/json");
  });
  const RunResult result = run_with_agent({"apply", "-f", "-", "--wait"}, kLab);
  EXPECT_EQ(result.status, cli::kDone) << result.err;
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(result.out,
            "OBJECT          RESULT      PHASE   MESSAGE\n"
            "network lab     created     Ready   -\n"
            "attachment r1   unchanged   Ready   -\n")
      << "a converged set needs no further questions";
}

TEST_F(Cli, ATerminalGetsColoursAndOneLineOfProgress) {
  agent.on_post("/v1/apply", kApplied);
  int asked = 0;
  agent.on_get("/v1/sets/campus", [&](const httplib::Request&, httplib::Response& response) {
    response.set_content(++asked < 3 ? R"({"phases": {"Ready": 1, "Applying": 1}, "converged": false})"
                                     : R"({"phases": {"Ready": 2}, "converged": true})",
                         "application/json");
  });
  agent.on_get("/v1/vlans", "[]");
  agent.on_get("/v1/networks", kNetworks);
  agent.on_get("/v1/attachments", "[]");
  std::istringstream in(kLab);
  std::ostringstream out;
  std::ostringstream err;
  cli::CliIo io{in, out, err, true, true, {}};
  EXPECT_EQ(cli::run_cli({"apply", "-f", "-", "--wait", "--socket", agent.socket()}, io), cli::kDone);
  const std::string line = "\r\x1b[Kcampus: 1 of 2 Ready, 1 Applying";
  EXPECT_EQ(err.str(), line + line + "\r\x1b[K");
  EXPECT_NE(out.str().find("\x1b[32mReady\x1b[0m"), std::string::npos) << out.str();
}

TEST_F(Cli, ApplyThatIsNotReadyInTimeNamesWhatIsNot) {
  agent.on_post("/v1/apply", kApplied);
  agent.on_get("/v1/sets/campus", R"({"phases": {"Ready": 1, "Pending": 1}, "converged": false})");
  agent.on_get("/v1/vlans", "[]");
  agent.on_get("/v1/networks", kNetworks);
  agent.on_get("/v1/attachments", kAttachments);
  const RunResult result = run_with_agent({"apply", "-f", "-", "--wait=0"}, kLab);
  EXPECT_EQ(result.status, cli::kTimedOut);
  EXPECT_NE(result.err.find("attachment r1: Pending: waits for the network namespace r1\n"),
            std::string::npos)
      << result.err;
  EXPECT_EQ(result.err.find("network lab"), std::string::npos) << result.err;
}

TEST_F(Cli, ABusyAgentIsAskedAgainWhileThereIsTime) {
  agent.on_post("/v1/apply", kApplied);
  int asked = 0;
  agent.on_get("/v1/sets/campus", [&](const httplib::Request&, httplib::Response& response) {
    response.status = ++asked < 2 ? 503 : 200;
    response.set_content(R"({"phases": {"Ready": 2}, "converged": true})", "application/json");
  });
  agent.on_get("/v1/vlans", "[]");
  agent.on_get("/v1/networks", kNetworks);
  agent.on_get("/v1/attachments", "[]");
  EXPECT_EQ(run_with_agent({"apply", "-f", "-", "--wait"}, kLab).status, cli::kDone);
  EXPECT_EQ(asked, 2);
}

TEST_F(Cli, AMovedGenerationIsAFailure) {
  agent.on_post("/v1/apply", R"({"title": "Conflict", "detail": "set campus is at generation 9, not 6"})",
                409);
  const RunResult result = run_with_agent({"apply", "-f", "-", "--if-generation", "6", "--wait"}, kLab);
  EXPECT_EQ(result.status, cli::kFailed);
  EXPECT_NE(result.err.find("generation 9"), std::string::npos);
}

// ---- uplink

constexpr const char* kUplinked = R"({"set": "docker", "generation": 8, "objects": [
  {"kind": "network", "name": "lab", "result": "changed"}], "plan": {"actions": [], "blocked": []}})";

TEST_F(Cli, UplinksAreAddedAndTakenAway) {
  agent.on_put("/v1/networks/lab/uplinks/eth0.7", kUplinked);
  agent.on_delete("/v1/networks/lab/uplinks/eth0.7", kUplinked);
  const RunResult added = run_with_agent({"uplink", "add", "lab", "eth0.7", "--vlan", "100"});
  EXPECT_EQ(added.status, cli::kDone) << added.err;
  EXPECT_EQ(added.out, "network lab changed\n");
  const RunResult planned = run_with_agent({"uplink", "add", "lab", "eth0.7", "--dry-run"});
  EXPECT_NE(planned.out.find("network lab changed (dry run)\n"), std::string::npos) << planned.out;
  const RunResult removed = run_with_agent({"uplink", "remove", "lab", "eth0.7", "-o", "json"});
  EXPECT_EQ(removed.status, cli::kDone) << removed.err;
  EXPECT_EQ(Json::parse(removed.out), Json::parse(kUplinked));
  const auto seen = agent.seen();
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_EQ(seen[0].line, "PUT /v1/networks/lab/uplinks/eth0.7?vlan=100");
  EXPECT_EQ(seen[1].line, "PUT /v1/networks/lab/uplinks/eth0.7?dry_run=true");
  EXPECT_EQ(seen[2].line, "DELETE /v1/networks/lab/uplinks/eth0.7");
}

TEST_F(Cli, AnUplinkThatIsRefusedIsTold) {
  agent.on_put("/v1/networks/lab/uplinks/eth1",
               R"({"detail": "eth1 is the uplink of office", "hint": "choose"})", 409);
  const RunResult result = run_with_agent({"uplink", "add", "lab", "eth1"});
  EXPECT_EQ(result.status, cli::kFailed);
  EXPECT_NE(result.err.find("eth1 is the uplink of office"), std::string::npos) << result.err;
}

// ---- delete

TEST_F(Cli, DeleteOneObject) {
  agent.on_delete("/v1/networks/lab", R"({"generation": 8, "objects": [
    {"kind": "network", "name": "lab", "result": "removed"}]})");
  const RunResult result = run_with_agent({"delete", "network", "lab"});
  EXPECT_EQ(result.status, cli::kDone) << result.err;
  EXPECT_EQ(result.out, "network lab removed\n");
}

TEST_F(Cli, DeleteOfASetWaitsUntilItIsGone) {
  agent.on_delete("/v1/sets/campus", R"({"generation": 8, "objects": [
    {"kind": "network", "name": "lab", "result": "removed"}]})");
  int asked = 0;
  agent.on_get("/v1/sets/campus", [&](const httplib::Request&, httplib::Response& response) {
    response.status = ++asked < 2 ? 200 : 404;
    response.set_content(R"({"phases": {"Deleting": 1}, "converged": false})", "application/json");
  });
  const RunResult result = run_with_agent({"delete", "set", "campus", "--wait"});
  EXPECT_EQ(result.status, cli::kDone) << result.err;
  EXPECT_EQ(asked, 2);
}

TEST_F(Cli, DeleteOfAFileTakesTheWholeSetWhenThatIsAll) {
  agent.on_get("/v1/vlans", "[]");
  agent.on_get("/v1/networks", kNetworks);
  agent.on_get("/v1/attachments", kAttachments);
  agent.on_delete("/v1/sets/campus", R"({"generation": 8, "objects": []})");
  EXPECT_EQ(run_with_agent({"delete", "-f", "-"}, kLab).status, cli::kDone);
  EXPECT_EQ(agent.seen().back().line, "DELETE /v1/sets/campus");
}

TEST_F(Cli, DeleteOfAFileLeavesWhatItDoesNotDeclare) {
  agent.on_get("/v1/vlans", R"([{"kind": "vlan", "name": "eth0.5", "set": "campus"}])");
  agent.on_get("/v1/networks", kNetworks);
  agent.on_get("/v1/attachments", kAttachments);
  agent.on_delete("/v1/networks/lab", R"({"generation": 9, "objects": []})");
  agent.on_delete("/v1/attachments/r1", R"({"generation": 8, "objects": []})");
  EXPECT_EQ(run_with_agent({"delete", "-f", "-"}, kLab).status, cli::kDone);
  const auto seen = agent.seen();
  ASSERT_EQ(seen.size(), 5U);
  EXPECT_EQ(seen[3].line, "DELETE /v1/attachments/r1");
  EXPECT_EQ(seen[4].line, "DELETE /v1/networks/lab");
}

// ---- events, status

constexpr const char* kEvents = R"([{"id": 4, "time": "2026-11-20T11:58:00.000Z", "type": "DriftSeen",
  "object": {"kind": "network", "name": "lab"}, "set": "campus", "message": "mtu is 1400, wanted 1500"}])";

TEST_F(Cli, EventsAreATable) {
  agent.on_get("/v1/events", kEvents);
  const RunResult result = run_with_agent({"events", "--limit", "5"});
  EXPECT_EQ(result.status, cli::kDone);
  EXPECT_EQ(result.out,
            "TIME                       TYPE        OBJECT                     SET        MESSAGE\n"
            "2026-11-20T11:58:00.000Z   DriftSeen   network lab                campus     mtu is 1400, "
            "wanted 1500\n");
  EXPECT_EQ(agent.seen().at(0).line, "GET /v1/events?limit=5");
}

TEST_F(Cli, FollowedEventsComeAsTheyHappenUntilTheAgentGoes) {
  agent.on_get("/v1/events", [](const httplib::Request& request, httplib::Response& response) {
    if (request.get_header_value("Accept") != "text/event-stream") {
      response.set_content(kEvents, "application/json");
      return;
    }
    EXPECT_EQ(request.get_header_value("Last-Event-ID"), "4");
    response.set_chunked_content_provider("text/event-stream", [](std::size_t, httplib::DataSink& sink) {
      const std::string text = "id: 5\nevent: Repaired\ndata: {\"id\": 5, \"type\": \"Repaired\"}\n\n";
      sink.write(text.data(), text.size());
      sink.done();
      return true;
    });
  });
  const RunResult result = run_with_agent({"events", "--follow", "-o", "json"});
  EXPECT_EQ(result.status, cli::kFailed);
  EXPECT_NE(result.err.find("ended the stream of events"), std::string::npos) << result.err;
  std::istringstream lines(result.out);
  std::vector<int> ids;
  for (std::string line; std::getline(lines, line);) ids.push_back(Json::parse(line)["id"]);
  EXPECT_EQ(ids, (std::vector<int>{4, 5}));
}

TEST_F(Cli, StatusWaitsForConvergence) {
  agent.on_get("/v1/status",
               R"({"version": "0.1.0", "ready": true, "converged": false,
    "objects": {"networks": {}, "attachments": {"Pending": 1}}, "counters": {"repairs": 3}})");
  agent.on_get("/v1/vlans", "[]");
  agent.on_get("/v1/networks", "[]");
  agent.on_get("/v1/attachments", kAttachments);
  const RunResult now = run_with_agent({"status"});
  EXPECT_EQ(now.status, cli::kDone);
  EXPECT_EQ(now.out,
            "Version:      0.1.0\nReady:        yes\nConverged:    no\nNetworks:     none\n"
            "Attachments:  1 Pending\nCounters:\n  COUNTER   VALUE\n  repairs   3\n");
  const RunResult result = run_with_agent({"status", "--wait", "converged=50ms"});
  EXPECT_EQ(result.status, cli::kTimedOut);
  EXPECT_NE(agent.seen().at(1).line.find("wait=converged&timeout="), std::string::npos);
  EXPECT_NE(result.err.find("attachment r1: Pending"), std::string::npos) << result.err;
}

TEST_F(Cli, StatusOfABusyAgentIsAskedForAgainWhileThereIsTime) {
  int asked = 0;
  agent.on_get("/v1/status", [&](const httplib::Request&, httplib::Response& response) {
    response.status = ++asked < 2 ? 504 : 200;
    response.set_content(R"({"converged": true, "detail": "the agent is busy"})", "application/json");
  });
  EXPECT_EQ(run_with_agent({"status", "--wait", "converged=10s"}).status, cli::kDone);
  EXPECT_EQ(asked, 2);
  asked = 0;
  EXPECT_EQ(run_with_agent({"status"}).status, cli::kFailed) << "nobody waits";
  EXPECT_EQ(asked, 1);
}

// ---- standard output

TEST_F(Cli, AFullDiskIsAFailure) {
  agent.on_get("/v1/networks", kNetworks);
  std::istringstream in;
  std::ofstream full("/dev/full");
  std::ostringstream err;
  cli::CliIo io{in, full, err, false, false, {}};
  EXPECT_EQ(cli::run_cli({"get", "networks", "-o", "json", "--socket", agent.socket()}, io), cli::kFailed);
  EXPECT_NE(err.str().find("cannot write to standard output"), std::string::npos) << err.str();
}

}  // namespace
}  // namespace lanwright
