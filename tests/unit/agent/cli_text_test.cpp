// Tables, ages, durations, YAML and event streams: the text side of the client.
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "agent/cli/table.h"
#include "agent/cli/time.h"
#include "api/client/client.h"

namespace lanwright {
namespace {

using namespace std::chrono_literals;

std::string printed(const cli::Table& table, bool colour = false) {
  std::ostringstream out;
  table.print(out, colour);
  return out.str();
}

TEST(DisplayWidth, CountsColumnsOfATerminal) {
  EXPECT_EQ(cli::display_width(""), 0U);
  EXPECT_EQ(cli::display_width("lab"), 3U);
  EXPECT_EQ(cli::display_width("büro"), 4U);
  EXPECT_EQ(cli::display_width("e\u0301"), 1U);       // a combining accent
  EXPECT_EQ(cli::display_width("\u7db2\u8def"), 4U);  // two wide characters
  EXPECT_EQ(cli::display_width("a\xff\xfe"
                               "b"),
            4U);                                  // no UTF-8
  EXPECT_EQ(cli::display_width("\xe7\xb6"), 2U);  // cut in the middle
}

TEST(OneLine, KeepsTheTerminalSafe) {
  EXPECT_EQ(cli::one_line("red \x1b[31m"), "red ?[31m");
  EXPECT_EQ(cli::one_line("two\n  lines\n"), "two   lines");
  EXPECT_EQ(cli::one_line(std::string("a\0b", 3)), "a?b");
  EXPECT_EQ(cli::one_line(std::string{'\xe2', '\x80', '\xae'} + "gnp"), "?gnp");
  EXPECT_EQ(cli::one_line("b\u00fcro"), "b\u00fcro");
}

TEST(TableLayout, AlignsByDisplayWidth) {
  cli::Table table({"NAME", "PHASE", "MESSAGE"});
  table.add({{"\u7db2\u8def"}, {"Ready"}, {""}});
  table.add({{"backbone"}, {"Retrying"}, {"No such device"}});
  EXPECT_EQ(printed(table),
            "NAME       PHASE      MESSAGE\n"
            "\u7db2\u8def       Ready      -\n"
            "backbone   Retrying   No such device\n");
}

TEST(TableLayout, ColoursDoNotMoveColumns) {
  cli::Table table({"PHASE", "AGE"});
  table.add({{"Ready", cli::Colour::green}, {"5s"}});
  EXPECT_EQ(printed(table), "PHASE   AGE\nReady   5s\n");
  EXPECT_EQ(printed(table, true), "PHASE   AGE\n\x1b[32mReady\x1b[0m   5s\n");
}

TEST(TableLayout, KeepsLeastWidths) {
  cli::Table table({"A", "B"});
  table.keep_width({4});
  table.add({{"1"}, {"2"}});
  EXPECT_EQ(printed(table), "A      B\n1      2\n");
}

TEST(Duration, TakesUnitsAndPlainSeconds) {
  EXPECT_EQ(cli::parse_duration("30"), 30s);
  EXPECT_EQ(cli::parse_duration("30s"), 30s);
  EXPECT_EQ(cli::parse_duration("500ms"), 500ms);
  EXPECT_EQ(cli::parse_duration("2m"), 2min);
  EXPECT_EQ(cli::parse_duration("1h"), 1h);
  EXPECT_EQ(cli::parse_duration("0"), 0s);
  for (const char* wrong :
       {"", "s", "-1", "+1", "1.5s", "30 s", "30sec", "99999999999", "4000000000", "366d", "30S"}) {
    EXPECT_FALSE(cli::parse_duration(wrong)) << wrong;
  }
}

TEST(Age, ReadsAsKubectls) {
  const std::vector<std::pair<std::chrono::seconds, std::string>> cases{
      {-5s, "0s"},   {0s, "0s"},     {5s, "5s"},       {119s, "119s"},    {192s, "3m12s"},
      {240s, "4m"},  {17min, "17m"}, {179min, "179m"}, {342min, "5h42m"}, {18h, "18h"},
      {76h, "3d4h"}, {48h, "2d"},    {30 * 24h, "30d"}};
  for (const auto& [age, text] : cases) EXPECT_EQ(cli::age_text(age), text);
}

TEST(Rfc3339, IsTheInverseOfWriting) {
  const WallTime time(std::chrono::milliseconds(1'795'203'456'789));
  EXPECT_EQ(cli::parse_rfc3339(rfc3339(time)), time);
  EXPECT_EQ(cli::parse_rfc3339("1970-01-01T00:01:00Z"), WallTime(1min));
  EXPECT_EQ(cli::parse_rfc3339("1970-01-01T00:00:00.5Z"), WallTime(500ms));
  for (const char* wrong : {"", "now", "1970-01-01", "1970-01-01T00:00:00", "1970-01-01T00:00:00Zx"}) {
    EXPECT_FALSE(cli::parse_rfc3339(wrong)) << wrong;
  }
}

TEST(Yaml, QuotesWhatWouldBeReadAsSomethingElse) {
  const Json value = Json::parse(R"({
    "name": "lab", "none": "null", "yes": "on", "number": "010", "mac": "02:00:00:00:01:01", "real": 1500,
    "flag": true, "nothing": null, "empty": "", "colon": "a: b", "text": "waits for netns r1", "line": "a\nb",
    "list": [{"a": 1, "b": ["x", "y"]}, [1, [2]], {}, []], "deep": {"er": {"key with: colon": "\u00fc"}}})");
  EXPECT_EQ(cli::yaml_text(value),
            "name: lab\n"
            "none: \"null\"\n"
            "\"yes\": \"on\"\n"
            "number: \"010\"\n"
            "mac: \"02:00:00:00:01:01\"\n"
            "real: 1500\n"
            "flag: true\n"
            "nothing: null\n"
            "empty: \"\"\n"
            "colon: \"a: b\"\n"
            "text: waits for netns r1\n"
            "line: \"a\\nb\"\n"
            "list:\n"
            "  - a: 1\n"
            "    b:\n"
            "      - x\n"
            "      - \"y\"\n"
            "  - - 1\n"
            "    - - 2\n"
            "  - {}\n"
            "  - []\n"
            "deep:\n"
            "  er:\n"
            "    \"key with: colon\": \"\u00fc\"\n");
  EXPECT_EQ(cli::yaml_text(Json::array()), "[]\n");
  EXPECT_EQ(cli::yaml_text(Json(3)), "3\n");
}

TEST(EventStream, TakesPiecesCutAnywhere) {
  const std::string stream =
      ": hello\n\nid: 1\nevent: Repaired\ndata: {\"id\":1}\n\ndata:two\r\ndata: lines\r\n\r\nid: 3\n\ndata: "
      "last\n";
  for (std::size_t cut = 1; cut <= stream.size(); ++cut) {
    client::EventStreamParser parser;
    std::vector<std::string> got;
    const auto take = [&](std::string_view data) {
      got.emplace_back(data);
      return true;
    };
    for (std::size_t at = 0; at < stream.size(); at += cut)
      EXPECT_TRUE(parser.feed(stream.substr(at, cut), take));
    EXPECT_EQ(got, (std::vector<std::string>{"{\"id\":1}", "two\nlines"})) << "in pieces of " << cut;
  }
}

TEST(EventStream, StopsWhenToldTo) {
  client::EventStreamParser parser;
  int calls = 0;
  EXPECT_FALSE(parser.feed("data: 1\n\ndata: 2\n\n", [&](std::string_view) {
    ++calls;
    return false;
  }));
  EXPECT_EQ(calls, 1);
}

TEST(PathSegment, EncodesWhatIsNotUnreserved) {
  EXPECT_EQ(client::path_segment("eth0.50"), "eth0.50");
  EXPECT_EQ(client::path_segment("a/../b?c=d&e f%"), "a%2F..%2Fb%3Fc%3Dd%26e%20f%25");
  EXPECT_EQ(client::path_segment("\xc3\xbc"), "%C3%BC");
}

}  // namespace
}  // namespace lanwright
