// OVSDB's JSON-RPC: where messages end, what they are, and what columns hold.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "reconcilers/ovsdb/framer.h"
#include "reconcilers/ovsdb/message.h"
#include "reconcilers/ovsdb/values.h"

namespace lanwright::ovsdb {
namespace {

constexpr const char* kSomeUuid = "550e8400-e29b-41d4-a716-446655440000";

// As a server sends them: nothing between, blanks, brackets and quotes in strings.
const std::string kStream =
    R"({"id":1,"result":["a}b]","\"{","\\"],"error":null}{"id":null,"method":"update","params":["é",{}]})"
    "\n \t{}";
const std::vector<Json> kMessages{
    {{"id", 1}, {"result", {"a}b]", "\"{", "\\"}}, {"error", nullptr}},
    {{"id", nullptr}, {"method", "update"}, {"params", {"é", Json::object()}}},
    Json::object(),
};

TEST(OvsdbFramer, FindsMessagesWhereverTheStreamIsSplit) {
  for (std::size_t first = 0; first <= kStream.size(); ++first) {
    for (std::size_t second = first; second <= kStream.size(); ++second) {
      Framer framer;
      std::vector<Json> messages;
      ASSERT_TRUE(framer.feed(std::string_view(kStream).substr(0, first), messages));
      ASSERT_TRUE(framer.feed(std::string_view(kStream).substr(first, second - first), messages));
      ASSERT_TRUE(framer.feed(std::string_view(kStream).substr(second), messages));
      ASSERT_EQ(messages, kMessages) << first << ", " << second;
      ASSERT_TRUE(framer.is_between_messages());
    }
  }
}

TEST(OvsdbFramer, FindsMessagesByteByByte) {
  Framer framer;
  std::vector<Json> messages;
  for (const char byte : kStream) ASSERT_TRUE(framer.feed({&byte, 1}, messages));
  EXPECT_EQ(messages, kMessages);
}

TEST(OvsdbFramer, KnowsThatAMessageIsNotWhole) {
  Framer framer;
  std::vector<Json> messages;
  ASSERT_TRUE(framer.feed(R"({"id":1)", messages));
  EXPECT_TRUE(messages.empty());
  EXPECT_FALSE(framer.is_between_messages());
}

std::string refusal_of(const std::string& bytes, FramerLimits limits = {}) {
  Framer framer(limits);
  std::vector<Json> messages;
  const auto fed = framer.feed(bytes, messages);
  EXPECT_FALSE(fed) << bytes;
  if (fed) return {};
  EXPECT_EQ(fed.error().kind, ErrorKind::invalid);
  return fed.error().words;
}

TEST(OvsdbFramer, SaysWhatIsWrongWithHostileInput) {
  const auto says = [](const std::string& words, const char* what) {
    EXPECT_NE(words.find(what), std::string::npos) << words;
  };
  says(refusal_of("{}[]"), "`[` where a message begins with `{` (byte 3 ");
  says(refusal_of("HTTP/1.1 400"), "`H` where a message begins");
  says(refusal_of(std::string(1, '\0')), "0x00 where a message begins");
  says(refusal_of("{]"), "parse error");
  says(refusal_of(R"({"a":1,})"), "parse error");
  says(refusal_of("{\"a\":\"\xff\"}"), "UTF-8");
  says(refusal_of(R"({"a":1e999})"), "number overflow");
  says(refusal_of(R"({"a":)" + std::string(40, '[')), "nested deeper than 32");
  says(refusal_of(R"({"a":")" + std::string(100, 'x'), {50, 32}), "longer than 50 bytes");
}

TEST(OvsdbFramer, TakesWhatIsJustWithinTheLimits) {
  Framer framer({12, 3});
  std::vector<Json> messages;
  EXPECT_FALSE(framer.feed(R"({"a":[[1,2]]})", messages)) << "13 bytes";
  Framer another({13, 3});
  EXPECT_TRUE(another.feed(R"({"a":[[1,2]]}{"a":[[1,2]]})", messages)) << "each message by itself";
  EXPECT_EQ(messages.size(), 2U);
}

TEST(OvsdbFramer, GivesTheMessagesBeforeWhatIsWrong) {
  Framer framer;
  std::vector<Json> messages;
  EXPECT_FALSE(framer.feed("{}{}x", messages));
  EXPECT_EQ(messages.size(), 2U);
}

Value value(const char* json) {
  auto read = value_from(Json::parse(json));
  EXPECT_TRUE(read) << json << ": " << (read ? "" : read.error().text());
  return read ? *read : Value();
}

TEST(OvsdbValues, ALoneAtomIsASetOfOne) {
  EXPECT_EQ(value("5"), value(R"(["set",[5]])"));
  EXPECT_EQ(to_json(value(R"(["set",[5]])")), Json(5));
  EXPECT_EQ(to_json(value(R"(["set",[]])")), Json::parse(R"(["set",[]])"));
  EXPECT_EQ(to_json(value(R"(["set",["b","a"]])")), Json::parse(R"(["set",["a","b"]])"));
}

TEST(OvsdbValues, ReadWhatTheyWrite) {
  for (
      const char* json :
      {"1", "-9223372036854775808", "9223372036854775807", "true", "2.5", R"("x")",
       R"(["uuid","550e8400-e29b-41d4-a716-446655440000"])", R"(["named-uuid","row1"])",
       R"(["set",[["uuid","550e8400-e29b-41d4-a716-446655440000"],["uuid","650e8400-e29b-41d4-a716-446655440000"]]])",
       R"(["map",[]])", R"(["map",[["a","b"],["c","d"]]])",
       R"(["map",[[1,["uuid","550e8400-e29b-41d4-a716-446655440000"]]]])"})
    EXPECT_EQ(to_json(value(json)), Json::parse(json));
}

TEST(OvsdbValues, RefusesWhatIsNone) {
  for (const char* json :
       {"null", "{}", "[]", R"(["set"])", R"(["set",5])", R"(["set",[null]])", R"(["set",[["set",[1]]]])",
        R"(["map",[["a"]]])", R"(["map",[["a","b"],["a","c"]]])", R"(["uuid",5])", R"(["uuid","550e8400"])",
        R"(["uuid","550e8400-e29b-41d4-a716-44665544000g"])",
        R"(["uuid","550e8400xe29b-41d4-a716-446655440000"])", R"(["other","x"])", "9223372036854775808"}) {
    const auto read = value_from(Json::parse(json));
    EXPECT_FALSE(read) << json;
    if (!read) {
      EXPECT_NE(read.error().text().find(": "), std::string::npos);
      EXPECT_EQ(read.error().kind, ErrorKind::invalid);
    }
  }
}

TEST(OvsdbValues, AreReadAsTheTypeOfTheirColumn) {
  std::int64_t number = 0;
  EXPECT_TRUE(read(value("7"), number));
  EXPECT_EQ(number, 7);
  EXPECT_FALSE(read(value(R"("7")"), number));
  EXPECT_FALSE(read(value(R"(["set",[]])"), number)) << "exactly one";
  EXPECT_FALSE(read(value(R"(["set",[1,2]])"), number));

  std::optional<std::string> text = "before";
  EXPECT_TRUE(read(value(R"(["set",[]])"), text));
  EXPECT_EQ(text, std::nullopt);
  EXPECT_TRUE(read(value(R"("x")"), text));
  EXPECT_EQ(text, "x");
  EXPECT_FALSE(read(value(R"(["set",["x","y"]])"), text));
  EXPECT_FALSE(read(value(R"(["map",[]])"), text));

  std::set<Uuid> rows;
  EXPECT_TRUE(read(value(R"(["uuid","550e8400-e29b-41d4-a716-446655440000"])"), rows));
  EXPECT_EQ(rows, std::set<Uuid>{Uuid{kSomeUuid}});
  EXPECT_FALSE(read(value(R"(["set",["x"]])"), rows));

  StringMap pairs{{"old", "x"}};
  EXPECT_TRUE(read(value(R"(["map",[["a","b"]]])"), pairs));
  EXPECT_EQ(pairs, (StringMap{{"a", "b"}}));
  EXPECT_FALSE(read(value(R"(["map",[["a",1]]])"), pairs));
  EXPECT_FALSE(read(value(R"("a")"), pairs));
}

TEST(OvsdbValues, AreMadeOfTypes) {
  EXPECT_EQ(to_json(value_of(StringMap{{"a", "b"}})), Json::parse(R"(["map",[["a","b"]]])"));
  EXPECT_EQ(to_json(value_of(std::optional<std::string>())), Json::parse(R"(["set",[]])"));
  EXPECT_EQ(to_json(value_of(Atom(NamedUuid{"row1"}))), Json::parse(R"(["named-uuid","row1"])"));
}

TEST(OvsdbMessages, AreRequestsOrReplies) {
  const auto answer = message_from({{"id", 3}, {"result", Json::array({1})}, {"error", nullptr}});
  ASSERT_TRUE(answer);
  EXPECT_EQ(std::get<Reply>(*answer).result, Json::array({1}));
  // As ovsdb-server refuses `steal`: without a result.
  const auto refused = message_from({{"id", 3}, {"error", {{"error", "syntax error"}}}});
  ASSERT_TRUE(refused);
  EXPECT_TRUE(std::get<Reply>(*refused).result.is_null());
  const auto update = message_from({{"id", nullptr}, {"method", "update"}, {"params", {"m", 1}}});
  ASSERT_TRUE(update);
  EXPECT_EQ(std::get<Request>(*update).method, "update");

  for (const char* json : {"{}", R"({"id":1})", R"({"result":1})", R"({"method":1,"params":[]})",
                           R"({"id":1,"method":"echo"})", R"({"id":1,"method":"echo","params":{}})"}) {
    const auto message = message_from(Json::parse(json));
    EXPECT_FALSE(message) << json;
    if (!message) {
      EXPECT_NE(message.error().words.find(json), std::string::npos);
    }
  }
}

TEST(OvsdbMessages, ErrorsKeepTheServersWords) {
  const Error failed = error_from({{"error", "constraint violation"}, {"details", "identical values (br0)"}},
                                  "create bridge", "br0");
  EXPECT_EQ(failed.kind, ErrorKind::conflict);
  EXPECT_EQ(failed.words, "constraint violation: identical values (br0)");
  EXPECT_EQ(error_from("canceled", "read", "x").kind, ErrorKind::busy);
  EXPECT_EQ(error_from({{"error", "not owner"}}, "x", "y").kind, ErrorKind::denied);
  EXPECT_EQ(error_from({{"error", "no such word"}}, "x", "y").words, "no such word");
  EXPECT_EQ(error_from(Json::array({1, 2}), "x", "y").words, "[1,2]");
}

TEST(OvsdbMessages, RequestsAreWhatTheRfcSays) {
  EXPECT_EQ(Json::parse(request(4, "echo", Json::array({"x"}))),
            Json::parse(R"({"id":4,"method":"echo","params":["x"]})"));
  EXPECT_EQ(Json::parse(reply("echo", Json::array())),
            Json::parse(R"({"id":"echo","result":[],"error":null})"));
  EXPECT_NO_THROW(request(1, "transact", Json::array({"\xff"}))) << "a name that is no UTF-8";
}

}  // namespace
}  // namespace lanwright::ovsdb
