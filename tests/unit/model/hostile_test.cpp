// What hostile text does to the reader: nothing, in bounded time and memory.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <random>

#include "model/base/utf8.h"
#include "model/format/json.h"
#include "tests/unit/model/fixture.h"

namespace lanwright {
namespace {

using model_test::read;
using model_test::texts;

const std::size_t kLargest = ReadLimits().bytes;

// CPU time, so that a busy machine matters little: the other thread of a core still halves its speed. What is
// not linear takes minutes. Sanitizers and debug builds are many times slower.
#ifdef NDEBUG
constexpr double kSeconds = 5.0;
#else
constexpr double kSeconds = 20.0;
#endif

double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

std::string repeated(const std::string& piece, std::size_t bytes = kLargest) {
  std::string text;
  text.reserve(bytes);
  while (text.size() + piece.size() <= bytes) text += piece;
  return text;
}

std::string numbered(const std::function<std::string(int)>& piece, const std::string& head = {}) {
  std::string text = head;
  for (int i = 0; text.size() + 200 < kLargest; ++i) text += piece(i);
  return text;
}

struct Hostile {
  const char* name;
  std::function<std::string()> text;
};

void PrintTo(const Hostile& hostile, std::ostream* out) {
  *out << hostile.name;
}

class HostileText : public testing::TestWithParam<Hostile> {};

TEST_P(HostileText, IsRefusedInBoundedTime) {
  const std::string text = GetParam().text();
  ASSERT_LE(text.size(), kLargest);
  const double before = cpu_seconds();
  const ReadOutcome outcome = read(text);
  EXPECT_LT(cpu_seconds() - before, kSeconds);
  EXPECT_FALSE(outcome.ok());
  EXPECT_LE(outcome.diagnostics.size(), ReadLimits().diagnostics);
}

constexpr const char* kLab = "version: 1\nnetworks: {lab: {driver: bridge}}\n";

INSTANTIATE_TEST_SUITE_P(
    All, HostileText,
    testing::Values(
        Hostile{"OpenBrackets", [] { return repeated("["); }},
        Hostile{"OpenBraces", [] { return repeated("{"); }},
        Hostile{"OpenJsonObjects", [] { return repeated("{\"\":"); }},
        Hostile{"OpenBoth", [] { return repeated("[{"); }}, Hostile{"Dashes", [] { return repeated("- "); }},
        Hostile{"Questions", [] { return repeated("? "); }}, Hostile{"Colons", [] { return repeated(": "); }},
        Hostile{"FlowItems", [] { return "[" + repeated("a,", kLargest - 1); }},
        Hostile{"FlowKeys", [] { return "{" + repeated("a: ", kLargest - 1); }},
        Hostile{"JsonItems", [] { return "{\"a\":[" + repeated("1,", kLargest - 9) + "1]}"; }},
        Hostile{"Items", [] { return repeated("- a\n"); }},
        Hostile{"ComplexKeys", [] { return repeated("? a\n"); }},
        Hostile{"Anchors", [] { return repeated("- &a x\n"); }},
        Hostile{"ManyAnchors",
                [] { return numbered([](int i) { return "- &a" + std::to_string(i) + " x\n"; }); }},
        Hostile{"Aliases", [] { return "a: &a x\nb:\n" + repeated("- *a\n", kLargest - 99); }},
        Hostile{"Tags", [] { return repeated("- !a x\n"); }}, Hostile{"Quotes", [] { return repeated("'"); }},
        Hostile{"OpenQuote", [] { return "a: \"" + repeated("b\n ", kLargest - 9); }},
        Hostile{"PlainLines", [] { return repeated("a\n"); }},
        Hostile{"BlankLines", [] { return "a: b" + repeated("\n", kLargest - 9) + " c"; }},
        Hostile{"ManyBlankLines", [] { return repeated("- a" + std::string(900'000, '\n') + " b\n"); }},
        Hostile{"Comments", [] { return repeated("#\n"); }}, Hostile{"OneLine", [] { return repeated("a"); }},
        Hostile{"LongLiteral", [] { return "a: |\n" + repeated(" b\n", kLargest - 9); }},
        Hostile{"Documents", [] { return repeated("---\n"); }},
        Hostile{"SameKeys", [] { return repeated("a: b\n"); }},
        Hostile{"UnknownKeys",
                [] { return numbered([](int i) { return "a" + std::to_string(i) + ": b\n"; }); }},
        Hostile{"DuplicateUplinks",
                [] {
                  return "version: 1\nnetworks:\n  lab:\n    driver: bridge\n    uplinks:\n" +
                         repeated("    - eth0\n", kLargest - 99);
                }},
        Hostile{"DuplicateAddresses",
                [] {
                  return std::string(kLab) +
                         "attachments:\n  a:\n    network: lab\n    netns: n\n    interface: e\n" +
                         "    addresses:\n" + repeated("    - 10.0.0.1/8\n", kLargest - 199);
                }},
        Hostile{"DanglingReferences",
                [] {
                  std::string networks = "version: 1\nnetworks:\n";
                  for (int i = 0; i < 60'000; ++i)
                    networks += "  n" + std::to_string(i) + ": {driver: vde}\n";
                  return numbered(
                      [](int i) {
                        return "  a" + std::to_string(i) + ": {network: m" + std::to_string(i) +
                               ", tap: {}}\n";
                      },
                      networks + "attachments:\n");
                }},
        Hostile{"ParentsInACircle",
                [] {
                  const auto vlan = [](int i) {
                    return "  v" + std::to_string(i) + ": {parent: v" + std::to_string(i + 1) + ", id: 1}\n";
                  };
                  return numbered(vlan, "version: 1\nvlans:\n") + "  w: {parent: w, id: 1}\n";
                }}),
    [](const auto& test) { return test.param.name; });

TEST(HostileSize, IsRefusedWithoutReading) {
  const ReadOutcome outcome = read(std::string(16U << 20U, 'a'));
  ASSERT_EQ(outcome.diagnostics.size(), 1U);
  EXPECT_EQ(outcome.diagnostics[0].message, "the file is larger than 6 MiB");
}

TEST(HostileDepth, IsTheLimitsAndNoMore) {
  const auto nested = [](std::size_t depth) {
    return "version: 1\nname: " + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "\n";
  };
  EXPECT_EQ(read(nested(32)).diagnostics.at(0).message, "name must be the name of the set, not a list");
  EXPECT_EQ(read(nested(33)).diagnostics.at(0).message, "values are nested more than 32 deep");
  EXPECT_EQ(read("{\"a\":" + std::string(100'000, '[')).diagnostics.at(0).message,
            "values are nested more than 32 deep");
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(HostileMemory, StaysBelowHalfAGigabyte) {
  for (const char* piece : {"[{", "- a\n", "- !a x\n", "a\n"}) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const rlimit limit{512U << 20U, 512U << 20U};
      if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(2);
      try {
        _exit(read(repeated(piece)).ok() ? 1 : 0);
      } catch (const std::bad_alloc&) {
        _exit(3);
      }
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << piece << " status " << status;
  }
}
#endif

// ---- mutations of a good file

constexpr const char* kSeed = R"(version: 1
name: campus
vlans:
  eth0.50: {parent: eth0, id: 50, protocol: 802.1ad, mac: 02:00:00:00:00:0a}
networks:
  lab:
    driver: bridge
    mtu: 1500   # bytes
    bridge: {stp: false, ageing_time: 30, name: "br\x300"}
    subnets:
      - {cidr: 10.20.0.0/24, gateway: 10.20.0.1, reserved: {printer: 10.20.0.9}}
      - cidr: fd50::/64
    uplinks: [eth0.50, {interface: 'ä1', vlan: 10, trunk: [20, 30]}]
  sdn: {driver: ovs, ovs: {controllers: ["tcp:127.0.0.1:6653"], datapath_id: 0x1}}
attachments:
  r1:
    network: lab
    netns: r1
    interface: eth0
    addresses: [10.0.0.1/24, "fd00::1/64"]
    routes: [{to: default, via: 10.0.0.254, metric: 5}]
  vm: {network: sdn, tap: {name: tap0, owner: 1000}, isolated: true}
)";

class Mutator {
 public:
  explicit Mutator(std::uint32_t seed) : random_(seed) {}

  std::string mutate(std::string text) {
    for (std::size_t i = below(4) + 1; i > 0; --i) once(text);
    return text;
  }

 private:
  std::size_t below(std::size_t end) {
    return std::uniform_int_distribution<std::size_t>(0, end - 1)(random_);
  }

  void once(std::string& text) {
    static const std::vector<std::string> kPieces = {": ",
                                                     "- ",
                                                     "? ",
                                                     "[",
                                                     "]",
                                                     "{",
                                                     "}",
                                                     ",",
                                                     "\n",
                                                     "\t",
                                                     "\"",
                                                     "'",
                                                     "|\n",
                                                     ">\n",
                                                     "&a ",
                                                     "*a",
                                                     "!!int ",
                                                     "!x ",
                                                     "#",
                                                     "---\n",
                                                     "...\n",
                                                     "%",
                                                     "@",
                                                     "\\",
                                                     "\xff",
                                                     "\xc3",
                                                     "\r\n",
                                                     "~",
                                                     "-1",
                                                     "010",
                                                     "1e9",
                                                     std::string(1, '\0'),
                                                     "<<: ",
                                                     "\\u0000",
                                                     "\xef\xbb\xbf",
                                                     "ä",
                                                     "99999999999999999999",
                                                     "{\"a\": 1}",
                                                     "  ",
                                                     "null",
                                                     "true"};
    const std::size_t at = below(text.size() + 1);
    const std::size_t length = std::min(below(30), text.size() - at);
    switch (below(5)) {
      case 0:
        text.erase(at, length);
        break;
      case 1:
        text.insert(below(text.size() + 1), text.substr(at, length));
        break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(below(256));
        break;
      default:
        text.insert(at, kPieces[below(kPieces.size())]);
    }
  }

  std::mt19937 random_;
};

std::size_t lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
}

void expect_sound(const std::string& text) {
  const ReadOutcome outcome = read(text);
  for (const Diagnostic& d : outcome.diagnostics) {
    EXPECT_GE(d.line, 1) << text;
    EXPECT_LE(static_cast<std::size_t>(d.line), lines(text)) << text;
    EXPECT_GE(d.column, 1) << text;
    EXPECT_LE(d.source_line.size(), 200U) << text;
    EXPECT_LE(static_cast<std::size_t>(d.caret), d.source_line.size() + 1) << text;
    EXPECT_FALSE(d.message.empty()) << text;
    EXPECT_TRUE(is_utf8(d.text())) << text;
  }
  EXPECT_TRUE(std::is_sorted(
      outcome.diagnostics.begin(), outcome.diagnostics.end(),
      [](const auto& a, const auto& b) { return std::pair(a.line, a.column) < std::pair(b.line, b.column); }))
      << texts(outcome);
  if (outcome.ok()) {
    EXPECT_EQ(read(to_yaml(outcome.set)).set, outcome.set) << text;
    EXPECT_EQ(read(to_json(outcome.set).dump()).set, outcome.set) << text;
  }
}

TEST(Mutations, OfAYamlFileNeverConfuseTheReader) {
  ASSERT_TRUE(read(kSeed).ok()) << texts(read(kSeed));
  Mutator mutator(1);
  const double before = cpu_seconds();
  for (int round = 0; round < 5000 && !testing::Test::HasFailure(); ++round)
    expect_sound(mutator.mutate(kSeed));
  EXPECT_LT(cpu_seconds() - before, 10 * kSeconds);
}

TEST(Mutations, OfAJsonFileNeverConfuseTheReader) {
  const std::string seed = to_json(read(kSeed).set).dump(1);
  ASSERT_TRUE(read(seed).ok());
  Mutator mutator(2);
  for (int round = 0; round < 5000 && !testing::Test::HasFailure(); ++round)
    expect_sound(mutator.mutate(seed));
}

TEST(Mutations, OfAStoredRowNeverConfuseTheDecoder) {
  const Grammar grammar = model_test::grammar();
  const SetSpec set = read(kSeed).set;
  const std::string network = to_json(set.networks.at("lab")).dump();
  const std::string attachment = to_json(set.attachments.at("r1")).dump();
  Mutator mutator(3);
  int refused = 0;
  for (int round = 0; round < 5000; ++round) {
    refused += spec_from_json(Kind::network, "lab", mutator.mutate(network), grammar).ok() ? 0 : 1;
    refused += spec_from_json(Kind::attachment, "r1", mutator.mutate(attachment), grammar).ok() ? 0 : 1;
  }
  EXPECT_GT(refused, 5000);
}

// ---- and a large good file is no trouble

TEST(LargeFile, OfTwelveThousandObjectsIsReadQuickly) {
  std::string text = "version: 1\nnetworks:\n";
  for (int i = 0; i < 200; ++i)
    text += "  net" + std::to_string(i) + ":\n    driver: bridge\n    bridge: {stp: false}\n";
  text += "attachments:\n";
  for (int i = 0; i < 11'800; ++i) {
    const std::string n = std::to_string(i);
    const std::string subnet = std::to_string(i % 200);
    text += "  host" + n + ":\n    network: net" + subnet + "\n    netns: ns" + n +
            "\n    interface: eth0\n" + "    addresses: [10." + subnet + "." + std::to_string(i / 200) +
            ".1/16, \"fd00::" + std::to_string(i / 1000) + ":" + std::to_string(i % 1000) + "/64\"]\n" +
            "    routes: [{to: default, via: 10." + subnet + ".0.2}]\n";
  }
  const double before = cpu_seconds();
  const ReadOutcome outcome = read(text);
  EXPECT_LT(cpu_seconds() - before, kSeconds / 2);
  ASSERT_TRUE(outcome.ok()) << texts(outcome);
  EXPECT_EQ(outcome.set.attachments.size(), 11'800U);
  EXPECT_EQ(read(to_json(outcome.set).dump()).set, outcome.set);
}

}  // namespace
}  // namespace lanwright
