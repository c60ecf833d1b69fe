// `lanwright capture` against an agent that sends recorded packets.
#include <fstream>
#include <iterator>
#include <sstream>

#include "api/rest/pcap_file.h"
#include "tests/unit/agent/cli_fake.h"

namespace lanwright {
namespace {

std::string record(std::string_view bytes) {
  std::string out;
  rest::append_record(out, {{}, static_cast<std::uint32_t>(bytes.size()), bytes});
  return out;
}

class CliCapture : public testing::Test {
 protected:
  void answer_with(const std::string& body) {
    agent.on_get("/v1/networks/lab/capture", [body](const httplib::Request&, httplib::Response& response) {
      response.set_content(body, rest::kPcapType);
    });
  }
  RunResult capture(std::vector<std::string> more) {
    more.insert(more.begin(), {"capture", "lab", "--socket", agent.socket(), "-w", file});
    return run(more);
  }
  std::string written() const {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  TemporaryDirectory directory;
  FakeAgent agent{directory.file("api.sock")};
  std::string file = directory.file("lab.pcap");
};

TEST_F(CliCapture, WritesSoManyPacketsAsAreWanted) {
  answer_with(rest::pcap_header() + record("one") + record("two") + record("three"));
  const RunResult result = capture({"--count", "2", "--filter", "host 10.0.0.1"});
  EXPECT_EQ(result.status, cli::kDone) << result.err;
  EXPECT_EQ(result.err, "2 packets in " + file + "\n");
  EXPECT_EQ(written(), rest::pcap_header() + record("one") + record("two"));
  EXPECT_EQ(agent.seen().at(0).line, "GET /v1/networks/lab/capture?filter=host%2010.0.0.1");
}

TEST_F(CliCapture, AnEndBeforeThatIsAnErrorAndTheFileIsWhole) {
  answer_with(rest::pcap_header() + record("one") + record("two").substr(0, 18));
  const RunResult result = capture({});
  EXPECT_EQ(result.status, cli::kFailed);
  EXPECT_NE(result.err.find("lanwright describe network lab"), std::string::npos) << result.err;
  EXPECT_EQ(written(), rest::pcap_header() + record("one"));
}

TEST_F(CliCapture, WhatIsNoPcapIsRefused) {
  answer_with("<html>");
  const RunResult result = capture({});
  EXPECT_EQ(result.status, cli::kFailed);
  EXPECT_NE(result.err.find("is not understood"), std::string::npos) << result.err;
}

TEST_F(CliCapture, ARefusalIsToldAndTheFileIsNotTouched) {
  agent.on_get("/v1/networks/lab/capture",
               R"({"detail": "capture lw-lab: syntax error", "hint": "see man pcap-filter", "status": 400})",
               400);
  directory.write("lab.pcap", "precious");
  const RunResult result = capture({"--filter", "rubbish"});
  EXPECT_EQ(result.status, cli::kFailed);
  EXPECT_EQ(result.err, "error: capture of network lab: capture lw-lab: syntax error; see man pcap-filter\n");
  EXPECT_EQ(written(), "precious");
}

TEST_F(CliCapture, AFileThatCannotBeWrittenIsNamed) {
  answer_with(rest::pcap_header());
  file = "/dev/full";
  const RunResult result = capture({});
  EXPECT_EQ(result.status, cli::kFailed);
  EXPECT_EQ(result.err, "error: cannot write to /dev/full: No space left on device\n");
}

TEST_F(CliCapture, ATerminalIsSpared) {
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  cli::CliIo io{in, out, err, false, false, {}, 1, true};
  EXPECT_EQ(cli::run_cli({"capture", "lab", "--socket", agent.socket()}, io), cli::kUsage);
  EXPECT_NE(err.str().find("-w FILE"), std::string::npos);
  EXPECT_NE(err.str().find("lanwright capture lab | wireshark -k -i -"), std::string::npos);
  EXPECT_TRUE(agent.seen().empty());
}

}  // namespace
}  // namespace lanwright
