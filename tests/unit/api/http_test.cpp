// What goes over the wire: limits, broken and hostile clients, parallel ones.
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <system_error>

#include "tests/unit/api/fixture.h"

namespace lanwright {
namespace {

using std::chrono::steady_clock;

class ApiHttp : public Api {
 protected:
  int status_of(const std::string& answer) { return answer.size() < 12 ? 0 : std::stoi(answer.substr(9, 3)); }

  // Sends it, expects the answer and then the end of the connection.
  std::string last_answer_to(const std::string& text) {
    RawClient raw(options.socket);
    raw.send(text);
    bool closed = false;
    std::string answer = raw.read_to_end(&closed);
    EXPECT_TRUE(closed) << text.substr(0, 60);
    return answer;
  }
  void expect_problem(const std::string& answer, int status) {
    EXPECT_EQ(status_of(answer), status) << answer;
    EXPECT_NE(answer.find("Content-Type: application/problem+json"), std::string::npos) << answer;
    EXPECT_NE(answer.find("Connection: close"), std::string::npos) << answer;
    const Json problem = Json::parse(answer.substr(answer.find("\r\n\r\n") + 4), nullptr, false);
    ASSERT_TRUE(problem.is_object()) << answer;
    EXPECT_EQ(problem.value("status", 0), status);
  }
  void expect_alive() { EXPECT_EQ(get("/healthz").status, 200); }
};

TEST_F(ApiHttp, RefusesTransferEncoding) {
  expect_problem(
      last_answer_to(
          "POST /v1/apply HTTP/1.1\r\nHost: l\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
      411);
  EXPECT_EQ(agent.changes(), 0U);
  expect_alive();
}

TEST_F(ApiHttp, ASmuggledRequestIsNeverServed) {
  // A reader of the chunks would take the second request for the next one.
  const std::string inner = "DELETE /v1/sets/campus HTTP/1.1\r\nHost: l\r\n\r\n";
  apply_campus();
  const std::size_t before = agent.changes();
  const std::string answer = last_answer_to(
      "POST /v1/plan HTTP/1.1\r\nHost: l\r\nContent-Length: 4\r\nTransfer-Encoding: "
      "chunked\r\n\r\n0\r\n\r\n" +
      inner);
  expect_problem(answer, 411);
  EXPECT_EQ(answer.find("HTTP/1.1", 8), std::string::npos) << "one answer only: " << answer;
  // A line feed alone ends no line.
  expect_problem(last_answer_to("GET /healthz HTTP/1.1\r\nHost: l\nX: y\r\n\r\n" + inner), 400);
  expect_problem(
      last_answer_to("GET /healthz HTTP/1.1\r\nHost: l\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n" +
                     inner),
      400);
  EXPECT_EQ(agent.changes(), before);
}

TEST_F(ApiHttp, HeadersAreBoundedBeforeTheyAreComplete) {
  // Neither ever ends its line: the answer must come without the end of the request.
  expect_problem(last_answer_to("GET /" + std::string(100'000, 'a')), 414);
  expect_problem(last_answer_to("GET / HTTP/1.1\r\nHost: l\r\nX: " + std::string(200'000, 'a')), 431);
  expect_problem(last_answer_to("GET / HTTP/1.1\r\nHost: l\r\nX: " + std::string(9'000, 'a') + "\r\n\r\n"),
                 431);
  std::string many = "GET / HTTP/1.1\r\nHost: l\r\n";
  for (int i = 0; i < 200; ++i) many += "X: y\r\n";
  expect_problem(last_answer_to(many + "\r\n"), 431);
  expect_alive();
}

TEST_F(ApiHttp, NonsenseIsAnsweredAndTheServerGoesOn) {
  expect_problem(last_answer_to(std::string("\x16\x03\x01\x02\x00\x01\r\n\r\n", 10)), 400);
  expect_problem(last_answer_to("BREW /pot HTTP/1.1\r\nHost: l\r\n\r\n"), 501);
  expect_problem(last_answer_to("GET / HTTP/3\r\nHost: l\r\n\r\n"), 505);
  expect_alive();
}

TEST_F(ApiHttp, ABodyTooLargeIsRefusedBeforeItIsRead) {
  options.body_limit = 1000;
  server.reset();
  start();
  expect_problem(last_answer_to("POST /v1/apply HTTP/1.1\r\nHost: l\r\nContent-Length: 1001\r\n\r\n"), 413);
  // A client that sends it all the same gets to see the answer.
  EXPECT_EQ(post("/v1/apply", std::string(4'000'000, 'a')).status, 413);
  EXPECT_EQ(post("/v1/apply", std::string(1000, '#')).status, 422) << "within the limit, it is read";
}

TEST_F(ApiHttp, TheWholeBodyIsAskedForWhenItIsExpected) {
  RawClient raw(options.socket);
  const std::string body = kCampus;
  raw.send("POST /v1/plan HTTP/1.1\r\nHost: l\r\nExpect: 100-continue\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n");
  EXPECT_EQ(raw.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  raw.send(body);
  EXPECT_EQ(status_of(raw.read_answer()), 200);
  raw.send("POST /nowhere HTTP/1.1\r\nHost: l\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n");
  EXPECT_EQ(status_of(raw.read_answer()), 404) << "what is refused is not asked for";
}

TEST_F(ApiHttp, PipelinedRequestsAreAnsweredInOrder) {
  RawClient raw(options.socket);
  raw.send(
      "\r\nGET /healthz HTTP/1.1\r\nHost: l\r\n\r\nHEAD /readyz HTTP/1.1\r\nHost: l\r\n\r\nGET /v1/sets "
      "HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n");
  const std::string first = raw.read_answer();
  EXPECT_NE(first.find("{\"live\":true}"), std::string::npos) << first;
  const std::string second = raw.read_until("\r\n\r\n");
  EXPECT_EQ(status_of(second), 200);
  EXPECT_NE(second.find("Content-Length: 15"), std::string::npos) << second;
  bool closed = false;
  const std::string third = raw.read_to_end(&closed);
  EXPECT_TRUE(third.ends_with("\r\n\r\n[]\n")) << third;
  EXPECT_TRUE(closed);
}

TEST_F(ApiHttp, OldClientsGetAnAnswerAndTheEnd) {
  const std::string answer = last_answer_to("GET /healthz HTTP/1.0\r\n\r\n");
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
}

TEST_F(ApiHttp, HalfARequestIsGivenUp) {
  options.patience = std::chrono::milliseconds(200);
  server.reset();
  start();
  expect_problem(last_answer_to("GET /healthz HTT"), 408);
  expect_problem(
      last_answer_to("POST /v1/apply HTTP/1.1\r\nHost: l\r\nContent-Length: 100\r\n\r\nversion: 1"), 408);
  EXPECT_EQ(agent.changes(), 0U);
}

TEST_F(ApiHttp, AClientThatLeavesInTheMiddleChangesNothing) {
  {
    RawClient raw(options.socket);
    raw.send("POST /v1/apply HTTP/1.1\r\nHost: l\r\nContent-Length: 1000\r\n\r\n" + std::string(kCampus));
    raw.end_of_input();
    expect_problem(raw.read_to_end(), 400);
  }
  { RawClient(options.socket).send("GET /v1/se"); }
  expect_alive();
  EXPECT_EQ(agent.changes(), 0U);
}

TEST_F(ApiHttp, SilentClientsCostNoThreads) {
  options.threads = 2;
  server.reset();
  start();
  std::vector<std::unique_ptr<RawClient>> silent;
  for (int i = 0; i < 100; ++i) silent.push_back(std::make_unique<RawClient>(options.socket));
  for (int i = 0; i < 50; ++i) {  // used once, then idle
    silent[static_cast<std::size_t>(i)]->send("GET /healthz HTTP/1.1\r\nHost: l\r\n\r\n");
    EXPECT_EQ(status_of(silent[static_cast<std::size_t>(i)]->read_answer()), 200);
  }
  expect_alive();
  const auto before = steady_clock::now();
  server->stop();
  EXPECT_LT(steady_clock::now() - before, std::chrono::seconds(2));
}

TEST_F(ApiHttp, MoreClientsThanThereIsRoomForAreServedAllTheSame) {
  std::vector<std::unique_ptr<RawClient>> many;
  for (int i = 0; i < 700; ++i) many.push_back(std::make_unique<RawClient>(options.socket));
  expect_alive();
  many.back()->send("GET /healthz HTTP/1.1\r\nHost: l\r\n\r\n");
  EXPECT_EQ(status_of(many.back()->read_answer()), 200);
}

TEST_F(ApiHttp, HeadersDoNotSayWhoAsks) {
  apply_campus();
  ASSERT_EQ(remove("/v1/networks/lab", {{"REMOTE_ADDR", "10.9.9.9"}, {"X-Forwarded-For", "10.9.9.9"}}).status,
            200);
  const Peer peer = agent.last_peer();
  EXPECT_EQ(peer.pid, ::getpid());
  EXPECT_EQ(peer.uid, ::geteuid());
  EXPECT_EQ(peer.gid, ::getegid());
}

TEST_F(ApiHttp, WhatAClientSendsNeverReachesAHeader) {
  for (const char* target : {"/v1/sets/a%0d%0aX-Evil:%20yes", "/a%0d%0aX-Evil:%20yes",
                             "/v1/sets?set=a%0d%0aX-Evil:%20yes", "/v1/sets?a%0d%0aX-Evil:%20yes=1"}) {
    RawClient raw(options.socket);
    raw.send("GET " + std::string(target) + " HTTP/1.1\r\nHost: l\r\nX-Y: %0d%0aX-Evil: yes\r\n\r\n");
    const std::string answer = raw.read_answer();
    EXPECT_GE(status_of(answer), 400) << target;
    EXPECT_EQ(answer.substr(0, answer.find("\r\n\r\n")).find("X-Evil"), std::string::npos) << answer;
  }
  apply_campus();
  RawClient raw(options.socket);  // a query that comes back in a Link field
  raw.send("GET /v1/networks?limit=1&set=campus&phase=Pending HTTP/1.1\r\nHost: l\r\n\r\n");
  EXPECT_NE(raw.read_answer().find(
                "Link: </v1/networks?limit=1&set=campus&phase=Pending&offset=1>; rel=\"next\"\r\n"),
            std::string::npos);
}

TEST_F(ApiHttp, BytesThatAreNotUtf8AreAnsweredAsJson) {
  const httplib::Response response = get("/v1/networks/%ff%fe");
  EXPECT_EQ(response.status, 404);
  EXPECT_NE(json_of(response).at("detail").get<std::string>().find("\xef\xbf\xbd"), std::string::npos);
}

TEST_F(ApiHttp, ExceptionsBecomeAnAnswer) {
  agent.throw_next(std::make_exception_ptr(std::runtime_error("out of order")));
  const httplib::Response response = post("/v1/apply", kCampus);
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(json_of(response).at("type"), "urn:lanwright:problem:internal");
  EXPECT_NE(json_of(response).at("detail").get<std::string>().find("out of order"), std::string::npos);

  // As std::thread says that there is none left.
  const auto exhausted = std::make_error_code(std::errc::resource_unavailable_try_again);
  agent.throw_next(std::make_exception_ptr(std::system_error(exhausted)));
  const httplib::Response refused = post("/v1/apply", kCampus);
  EXPECT_EQ(refused.status, 503);
  EXPECT_NE(json_of(refused).at("detail").get<std::string>().find("Resource temporarily unavailable"),
            std::string::npos)
      << refused.body;

  agent.throw_next(nullptr);
  EXPECT_EQ(post("/v1/apply", kCampus).status, 200);
}

TEST_F(ApiHttp, ManyAtTheSameTime) {
  apply_campus();
  std::atomic<int> fine = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 24; ++i) {
    threads.emplace_back([&, i] {
      auto http = client();
      for (int round = 0; round < 20; ++round) {
        const auto result = i % 6 == 0 ? http.Post("/v1/apply", {}, kCampus, "application/yaml")
                                       : http.Get(i % 2 == 0 ? "/v1/networks" : "/metrics");
        if (result && result->status == 200) ++fine;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(fine, 24 * 20);
  EXPECT_EQ(agent.changes(), 4U * 20 + 1);
}

TEST_F(ApiHttp, OfTwoDeletesAtOnceOneFindsNothing) {
  for (int round = 0; round < 20; ++round) {
    apply_campus();
    std::array<int, 2> statuses{};
    std::array<std::thread, 2> threads;
    for (std::size_t i = 0; i < threads.size(); ++i)
      threads[i] = std::thread([&, i] { statuses[i] = remove("/v1/networks/lab").status; });
    for (auto& thread : threads) thread.join();
    std::sort(statuses.begin(), statuses.end());
    EXPECT_EQ(statuses, (std::array<int, 2>{200, 404}));
  }
}

TEST_F(ApiHttp, StopDoesNotWaitForHalfRequestsNorForWaitingOnes) {
  apply_campus();
  RawClient half(options.socket);
  half.send("GET /v1/se");
  RawClient body(options.socket);
  body.send("POST /v1/apply HTTP/1.1\r\nHost: l\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n");
  ASSERT_NE(body.read_until("\r\n\r\n").find("100 Continue"), std::string::npos);
  RawClient waiting(options.socket);
  waiting.send("GET /v1/sets/campus?wait=1h HTTP/1.1\r\nHost: l\r\n\r\n");
  agent.await_waiting(1);
  const auto before = steady_clock::now();
  server->stop();
  EXPECT_LT(steady_clock::now() - before, std::chrono::seconds(2));
  EXPECT_FALSE(std::filesystem::exists(options.socket));
}

}  // namespace
}  // namespace lanwright
