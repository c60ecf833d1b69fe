// Heads of requests: what is understood, and what is refused because two readers could understand it
// differently.
#include <gtest/gtest.h>

#include "api/http/head.h"

namespace lanwright::rest {
namespace {

http::RequestHead accepted(const std::string& text) {
  auto read = http::read_head(text, http::HeadLimits());
  if (auto* refusal = std::get_if<http::HttpError>(&read)) throw std::runtime_error(refusal->detail);
  return std::get<http::RequestHead>(std::move(read));
}

int refused(const std::string& text) {
  const auto read = http::read_head(text, http::HeadLimits());
  const auto* refusal = std::get_if<http::HttpError>(&read);
  if (refusal == nullptr) return 0;
  EXPECT_FALSE(refusal->detail.empty());
  return refusal->status;
}

std::string get_with(const std::string& fields) {
  return "GET / HTTP/1.1\r\nHost: l\r\n" + fields + "\r\n\r\n";
}

TEST(RequestHead, IsTakenApart) {
  const http::RequestHead head = accepted(
      "GET /v1/networks/a%20b?set=x+y&wait&set2=%2F#part HTTP/1.1\r\nHost: l\r\nACCEPT:  text/event-stream "
      "\r\n"
      "Content-Length: 7\r\n\r\n");
  EXPECT_EQ(head.method, "GET");
  EXPECT_EQ(head.path, (std::vector<std::string>{"v1", "networks", "a b"}));
  EXPECT_EQ(head.query,
            (std::vector<std::pair<std::string, std::string>>{{"set", "x y"}, {"wait", ""}, {"set2", "/"}}));
  EXPECT_EQ(head.field("accept"), "text/event-stream");
  EXPECT_EQ(head.field("absent"), "");
  EXPECT_EQ(head.content_length, 7U);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_EQ(accepted("GET http://localhost/v1/sets HTTP/1.1\r\nHost: l\r\n\r\n").target_path, "/v1/sets");
  EXPECT_EQ(accepted("GET http://localhost HTTP/1.1\r\nHost: l\r\n\r\n").target_path, "/");
  EXPECT_EQ(accepted("GET https://localhost/healthz HTTP/1.1\r\nHost: l\r\n\r\n").target_path, "/healthz");
  EXPECT_EQ(refused("GET httpx://localhost/healthz HTTP/1.1\r\nHost: l\r\n\r\n"), 400);
}

TEST(RequestHead, TheConnectionEndsWhenTheClientSaysSoOrIsOld) {
  EXPECT_FALSE(accepted(get_with("Connection: TE, Close")).keep_alive);
  EXPECT_FALSE(accepted("GET / HTTP/1.0\r\n\r\n").keep_alive);
  EXPECT_TRUE(accepted(get_with("Connection: keep-alive")).keep_alive);
}

TEST(RequestHead, ASlashInANameIsNoSegment) {
  EXPECT_EQ(accepted("GET /v1/networks/a%2Fb HTTP/1.1\r\nHost: l\r\n\r\n").path.back(), "a/b");
}

TEST(RequestHead, WrongRequestLinesAreRefused) {
  for (const char* line : {"GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "G\x01T / HTTP/1.1",
                           "GET x HTTP/1.1", "GET /%zz HTTP/1.1", "GET /%4 HTTP/1.1", "GET /?a=%x HTTP/1.1",
                           "GET /\xc3\xa4 HTTP/1.1", "GET /a\tb HTTP/1.1", "", "GET / http/1.1"}) {
    EXPECT_EQ(refused(std::string(line) + "\r\nHost: l\r\n\r\n"), 400) << line;
  }
  EXPECT_EQ(refused("GET / HTTP/2.0\r\nHost: l\r\n\r\n"), 505);
  EXPECT_EQ(refused("BREW / HTTP/1.1\r\nHost: l\r\n\r\n"), 501);
  EXPECT_EQ(refused("GET /" + std::string(8000, 'a') + " HTTP/1.1\r\nHost: l\r\n\r\n"), 414);
}

TEST(RequestHead, WrongFieldsAreRefused) {
  for (const char* field :
       {"no colon", "Name : space", " folded: line", "\tfolded: line", ": empty", "A\x7f: x", "A: b\rc",
        "A: \x01", "Host: twice", "If-Match: \"1\"\r\nIf-Match: \"2\""}) {
    EXPECT_EQ(refused(get_with(field)), 400) << field;
  }
  EXPECT_EQ(refused(get_with(std::string("A: b\0c", 6))), 400);
  EXPECT_EQ(refused("GET / HTTP/1.1\r\n\r\n"), 400) << "no Host";
  EXPECT_EQ(refused(get_with("Expect: miracle")), 417);
  EXPECT_EQ(refused(get_with("Content-Encoding: gzip")), 415);
  EXPECT_EQ(refused(get_with("Content-Type: Multipart/form-data; boundary=x")), 415);
  EXPECT_EQ(refused(get_with("A: " + std::string(8000, 'a'))), 431);
  std::string many;
  for (int i = 0; i < 100; ++i) many += "A: b\r\n";
  EXPECT_EQ(refused(get_with(many + "A: b")), 431);
}

TEST(RequestHead, WhatSmugglesIsRefused) {
  EXPECT_EQ(refused(get_with("Transfer-Encoding: chunked")), 411);
  EXPECT_EQ(refused(get_with("transfer-encoding: identity")), 411);
  EXPECT_EQ(refused(get_with("Content-Length: 5\r\nTransfer-Encoding: chunked")), 411);
  EXPECT_EQ(refused(get_with("Content-Length: 5\r\nContent-Length: 5")), 400);
  for (const char* length : {"+5", "-1", "5, 5", "0x5", "5 5", "", "five"}) {
    EXPECT_EQ(refused(get_with(std::string("Content-Length: ") + length)), 400) << length;
  }
  EXPECT_EQ(refused(get_with("Content-Length: 16777217")), 413);
  EXPECT_EQ(refused(get_with("Content-Length: 99999999999999999999999")), 413);
}

TEST(RequestHead, EndsAtTheEmptyLine) {
  const http::HeadLimits limits{.bytes = 100, .line = 40, .fields = 3, .body = 10};
  const auto end_of = [&](const std::string& text) -> int {
    const auto found = http::find_head(text, limits);
    if (!found) return 0;
    const auto* refusal = std::get_if<http::HttpError>(&*found);
    return refusal != nullptr ? -refusal->status : static_cast<int>(std::get<std::size_t>(*found));
  };
  EXPECT_EQ(end_of(""), 0);
  EXPECT_EQ(end_of("GET / HTTP/1.1\r\nA: b\r\n"), 0);
  EXPECT_EQ(end_of("GET / HTTP/1.1\r\nA: b\r\n\r\nmore\n"), 24);
  EXPECT_EQ(end_of("GET / HTTP/1.1\nA: b"), -400) << "a bare line feed";
  EXPECT_EQ(end_of(std::string(41, 'a')), -414);
  EXPECT_EQ(end_of("GET /\r\n" + std::string(93, 'a')), -431);
  EXPECT_EQ(end_of("GET /\r\n" + std::string(92, 'a') + "\r\n\r\n"), -431) << "complete, but too long";
}

TEST(Percent, GoesThereAndBack) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(http::percent_decoded(http::percent_encoded(all)), all);
  EXPECT_EQ(http::percent_encoded("a b/\r\n"), "a%20b%2F%0D%0A");
}

}  // namespace
}  // namespace lanwright::rest
