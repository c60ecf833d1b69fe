// Captures as streams of pcap, and pcap itself.
#include <chrono>

#include "api/client/client.h"
#include "api/rest/pcap_file.h"
#include "tests/unit/api/fixture.h"

namespace lanwright {
namespace {

using std::chrono::steady_clock;

Packet packet(std::string_view bytes) {
  return {std::chrono::sys_time<std::chrono::microseconds>{std::chrono::microseconds(1'500'000)},
          static_cast<std::uint32_t>(bytes.size()), bytes};
}

std::string record(std::string_view bytes) {
  std::string out;
  rest::append_record(out, packet(bytes));
  return out;
}

TEST(PcapFile, IsTheClassicFormat) {
  const auto bytes = [](std::initializer_list<int> values) {
    return std::string(values.begin(), values.end());
  };
  EXPECT_EQ(rest::pcap_header(),
            bytes({0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0}));
  Packet cut = packet("abc");
  cut.length = 1500;
  std::string out;
  rest::append_record(out, cut);
  EXPECT_EQ(out, bytes({1, 0, 0, 0, 0x20, 0xa1, 7, 0, 3, 0, 0, 0, 0xdc, 5, 0, 0, 'a', 'b', 'c'}));
}

TEST(PcapFile, IsCutIntoWholeRecordsHoweverItCame) {
  const std::vector<std::string> parts{rest::pcap_header(), record("one"), record(""),
                                       record(std::string(70'000, 'x'))};
  std::string all;
  for (const std::string& part : parts) all += part;
  for (const std::size_t size : {std::size_t{1}, std::size_t{7}, std::size_t{40}, all.size()}) {
    rest::PcapCutter cutter;
    std::vector<std::string> cut;
    for (std::size_t at = 0; at < all.size(); at += size) {
      EXPECT_TRUE(cutter.feed(std::string_view(all).substr(at, size), [&](std::string_view part) {
        cut.emplace_back(part);
        return true;
      }));
    }
    EXPECT_EQ(cut, parts) << size;
    EXPECT_EQ(cutter.records(), 3U);
  }
}

TEST(PcapFile, TheCutterStopsWhenItIsToldTo) {
  rest::PcapCutter cutter;
  std::size_t parts = 0;
  EXPECT_FALSE(cutter.feed(rest::pcap_header() + record("a") + record("b"),
                           [&](std::string_view) { return ++parts < 2; }));
  EXPECT_EQ(parts, 2U);
  EXPECT_EQ(cutter.fault(), "");
}

TEST(PcapFile, TheCutterRefusesWhatIsNoPcap) {
  const auto fault_of = [](const std::string& text) {
    rest::PcapCutter cutter;
    EXPECT_FALSE(cutter.feed(text, [](std::string_view) { return true; }));
    return cutter.fault();
  };
  EXPECT_NE(fault_of("{\"nodes\": []}"), "");
  std::string huge = record("a");
  huge[10] = 0x7f;
  EXPECT_NE(fault_of(rest::pcap_header() + huge), "");
}

class ApiCapture : public Api {
 protected:
  void SetUp() override {
    start();
    apply_campus();
  }
  std::unique_ptr<RawClient> open(const std::string& query = {}) {
    auto raw = std::make_unique<RawClient>(options.socket);
    raw->send("GET /v1/networks/lab/capture" + query + " HTTP/1.1\r\nHost: l\r\n\r\n");
    head = raw->read_until("\r\n\r\n");
    return raw;
  }

  std::string head;
};

TEST_F(ApiCapture, PacketsComeAsTheyHappen) {
  const auto raw = open("?filter=icmp%20or%20arp");
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200 OK\r\n")) << head;
  EXPECT_NE(head.find("Content-Type: application/vnd.tcpdump.pcap\r\n"), std::string::npos);
  EXPECT_EQ(packets.last_filter(), "icmp or arp");
  EXPECT_EQ(raw->read_until(rest::pcap_header()), rest::pcap_header()) << "before the first packet";
  packets.give("first");
  EXPECT_EQ(raw->read_until("first"), record("first"));
  packets.give("second");
  packets.give("third");
  EXPECT_EQ(raw->read_until("third"), record("second") + record("third"));
  packets.end();
  bool closed = false;
  EXPECT_EQ(raw->read_to_end(&closed), "");
  EXPECT_TRUE(closed);
}

TEST_F(ApiCapture, ManyPacketsComeWhole) {
  std::string all = rest::pcap_header();
  for (int i = 0; i < 500; ++i) {
    const std::string frame(2000, static_cast<char>('a' + i % 26));
    packets.give(frame);
    all += record(frame);
  }
  packets.end();
  EXPECT_TRUE(open()->read_to_end() == all);
}

TEST_F(ApiCapture, WhatIsWrongIsAProblem) {
  const httplib::Response wrong = get("/v1/networks/lab/capture?filter=rubbish");
  EXPECT_EQ(wrong.status, 400);
  EXPECT_NE(json_of(wrong).at("detail").get<std::string>().find("syntax error"), std::string::npos);
  EXPECT_EQ(get("/v1/networks/lab/capture?filter=").status, 400);
  EXPECT_EQ(get("/v1/networks/lab/capture?filtre=x").status, 400);
  EXPECT_EQ(get("/v1/networks/none/capture").status, 404);
  agent.edit({Kind::network, "lab"}, [](ObjectView& object) { object.status.phase = Phase::conflict; });
  EXPECT_EQ(get("/v1/networks/lab/capture").status, 409);
}

TEST_F(ApiCapture, EndsWhenTheClientGoesWithoutAPacket) {
  auto raw = open();
  packets.await_open(1);
  raw.reset();
  packets.await_open(0);
}

TEST_F(ApiCapture, OnlySoManyAreServedAndTheRestIsNotStarved) {
  options.captures = 2;
  options.threads = 2;
  server.reset();
  start();
  auto first = open();
  const auto second = open();
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200")) << head;
  const httplib::Response refused = get("/v1/networks/lab/capture");
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.get_header_value("Retry-After"), "1");
  EXPECT_EQ(get("/healthz").status, 200);
  first.reset();
  packets.await_open(1);
  // Its place is free a moment after what it captured from; there is no event for that outside of the server.
  const auto deadline = steady_clock::now() + std::chrono::seconds(10);
  do {
    first = open();
  } while (!head.starts_with("HTTP/1.1 200") && steady_clock::now() < deadline);
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200")) << head;
}

TEST_F(ApiCapture, StopEndsThemAtOnce) {
  const auto raw = open();
  packets.await_open(1);
  const auto before = steady_clock::now();
  server->stop();
  EXPECT_LT(steady_clock::now() - before, std::chrono::seconds(2));
  bool closed = false;
  raw->read_to_end(&closed);
  EXPECT_TRUE(closed);
  packets.await_open(0);
}

TEST_F(ApiCapture, AClientEndsItsStreamFromAnotherThread) {
  client::Client own(options.socket);
  std::jthread ender;
  const client::Reply reply = own.stream(
      "/v1/networks/lab/capture", {},
      [&] {
        ender = std::jthread([&] { own.end_stream(); });
        return true;
      },
      [](std::string_view) { return true; });
  EXPECT_TRUE(reply) << reply.error->message;
  packets.await_open(0);
}

TEST_F(ApiCapture, AnEndThatTheAgentMadeIsAnErrorOfTheClient) {
  packets.end();
  client::Client own(options.socket);
  const client::Reply reply = own.stream(
      "/v1/networks/lab/capture", {}, [] { return true; }, [](std::string_view) { return true; });
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error->message, "the agent ended the stream");
}

}  // namespace
}  // namespace lanwright
