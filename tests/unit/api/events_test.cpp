// Event streams.
#include <chrono>

#include "tests/unit/api/fixture.h"

namespace lanwright {
namespace {

using std::chrono::steady_clock;

class ApiEvents : public Api {
 protected:
  static constexpr const char* kStream =
      "GET /v1/events HTTP/1.1\r\nHost: l\r\nAccept: text/event-stream\r\n";

  // An open stream, of which the head has been read.
  std::unique_ptr<RawClient> open(const std::string& fields = {}) {
    auto raw = std::make_unique<RawClient>(options.socket);
    raw->send(kStream + fields + "\r\n");
    head = raw->read_until("\r\n\r\n");
    return raw;
  }
  static std::vector<std::uint64_t> ids(RawClient& raw, std::size_t count) {
    std::vector<std::uint64_t> found;
    while (found.size() < count) {
      const std::string frame = raw.read_until("\n\n");
      if (frame.empty()) break;  // the end
      if (frame.starts_with("id: ")) found.push_back(std::stoull(frame.substr(4)));
    }
    return found;
  }
  void say(int count) {
    for (int i = 0; i < count; ++i) agent.say("DriftSeen", "event " + std::to_string(i));
  }

  std::string head;
};

TEST_F(ApiEvents, ComeAsTheyHappen) {
  say(3);
  const auto raw = open();
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200 OK\r\n")) << head;
  EXPECT_NE(head.find("Content-Type: text/event-stream"), std::string::npos);
  EXPECT_NE(head.find("Connection: close"), std::string::npos);
  EXPECT_EQ(raw->read_until("\n\n"), "retry: 1000\n\n");
  agent.await_waiting(1);  // what was before is not told
  agent.say("Repaired", "two\nlines");
  EXPECT_EQ(raw->read_until("\n\n"), ":\n\n");
  const std::string frame = raw->read_until("\n\n");
  EXPECT_TRUE(frame.starts_with("id: 4\nevent: Repaired\ndata: {")) << frame;
  const Json data = Json::parse(frame.substr(frame.find("data: ") + 6));
  EXPECT_EQ(data.at("message"), "two\nlines");
  EXPECT_EQ(data.at("id"), 4);
}

TEST_F(ApiEvents, AStreamContinuesWhereItEnded) {
  say(5);
  {
    const auto raw = open("Last-Event-ID: 2\r\n");
    EXPECT_EQ(ids(*raw, 2), (std::vector<std::uint64_t>{3, 4}));
  }
  say(2);
  const auto again = open("Last-Event-ID: 4\r\n");
  EXPECT_EQ(ids(*again, 3), (std::vector<std::uint64_t>{5, 6, 7}));
}

TEST_F(ApiEvents, LastEventIdWinsOverTheQuery) {
  say(5);
  RawClient raw(options.socket);
  raw.send("GET /v1/events?follow&after=1 HTTP/1.1\r\nHost: l\r\nLast-Event-ID: 4\r\n\r\n");
  EXPECT_EQ(ids(raw, 1), (std::vector<std::uint64_t>{5}));
  RawClient other(options.socket);
  other.send("GET /v1/events?follow=true&after=1 HTTP/1.1\r\nHost: l\r\n\r\n");
  EXPECT_EQ(ids(other, 4), (std::vector<std::uint64_t>{2, 3, 4, 5}));
}

TEST_F(ApiEvents, AStreamCanBeginWithTheLastOnes) {
  say(5);
  RawClient raw(options.socket);
  raw.send("GET /v1/events?follow&limit=2 HTTP/1.1\r\nHost: l\r\n\r\n");
  EXPECT_EQ(ids(raw, 2), (std::vector<std::uint64_t>{4, 5}));
  say(1);
  EXPECT_EQ(ids(raw, 1), (std::vector<std::uint64_t>{6}));
}

TEST_F(ApiEvents, AWrongLastEventIdIsRefused) {
  const httplib::Response response = get("/v1/events?follow", {{"Last-Event-ID", "four"}});
  EXPECT_EQ(response.status, 400);
}

TEST_F(ApiEvents, AnIdleStreamIsKeptAlive) {
  options.heartbeat = std::chrono::milliseconds(20);
  server.reset();
  start();
  const auto raw = open();
  EXPECT_EQ(raw->read_until("\n\n"), "retry: 1000\n\n");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(raw->read_until("\n\n"), ":\n\n");
}

TEST_F(ApiEvents, OnlySoManyStreamsAreServedAndAPlaceComesBack) {
  options.event_streams = 2;
  options.threads = 2;
  server.reset();
  start();
  auto first = open();
  const auto second = open();
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200")) << head;
  const httplib::Response refused = get("/v1/events?follow");
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.get_header_value("Retry-After"), "1");
  EXPECT_EQ(get("/healthz").status, 200) << "streams do not starve the rest";
  EXPECT_NE(get("/metrics").body.find("\nlanwright_event_streams 2\n"), std::string::npos);
  first.reset();
  // The place is free as soon as the server has seen the client go; there is no event for that outside of it.
  const auto deadline = steady_clock::now() + std::chrono::seconds(10);
  do {
    first = open();
  } while (!head.starts_with("HTTP/1.1 200") && steady_clock::now() < deadline);
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200")) << head;
}

TEST_F(ApiEvents, StopEndsOpenStreamsAtOnce) {
  std::vector<std::unique_ptr<RawClient>> streams;
  for (std::size_t i = 0; i < options.event_streams; ++i) streams.push_back(open());
  agent.await_waiting(options.event_streams);
  const auto before = steady_clock::now();
  server->stop();
  EXPECT_LT(steady_clock::now() - before, std::chrono::seconds(2));
  for (const auto& stream : streams) {
    bool closed = false;
    stream->read_to_end(&closed);
    EXPECT_TRUE(closed);
  }
}

TEST_F(ApiEvents, AClientThatDoesNotReadDoesNotKeepTheServerFromStopping) {
  const auto raw = open();
  const std::string long_message(100'000, 'x');
  for (int i = 0; i < 100; ++i) agent.say("DriftSeen", long_message);  // more than the socket's buffer
  const auto before = steady_clock::now();
  server->stop();
  EXPECT_LT(steady_clock::now() - before, std::chrono::seconds(2));
}

TEST_F(ApiEvents, AListIsOldestFirst) {
  say(5);
  const auto ids_of = [&](const std::string& target) {
    std::vector<int> found;
    for (const Json& event : json_of(get(target))) found.push_back(event.at("id"));
    return found;
  };
  EXPECT_EQ(ids_of("/v1/events"), (std::vector<int>{1, 2, 3, 4, 5}));
  EXPECT_EQ(ids_of("/v1/events?limit=2"), (std::vector<int>{4, 5}));
  EXPECT_EQ(ids_of("/v1/events?after=1&limit=2"), (std::vector<int>{2, 3}));
  EXPECT_EQ(ids_of("/v1/events?after=5"), (std::vector<int>{}));
}

}  // namespace
}  // namespace lanwright
