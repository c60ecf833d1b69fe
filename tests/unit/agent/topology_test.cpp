// Pictures of the topology: made from answers as the agent gives them, without an agent.
#include <gtest/gtest.h>

#include <array>
#include <cctype>
#include <cstdio>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cli/table.h"
#include "agent/cli/topology/topology.h"
#include "tests/unit/agent/cli_fake.h"

namespace lanwright {
namespace {

constexpr const char* kNetworks = R"([
  {"kind": "network", "name": "office", "spec": {"driver": "macvlan", "parent": "eth0.50",
     "subnets": [{"cidr": "10.0.50.0/24"}], "host_interface": {"name": "office-host", "addresses": ["10.0.50.2/32"]}},
   "status": {"phase": "Pending", "message": "waits for eth0"}},
  {"kind": "network", "name": "lab", "spec": {"driver": "bridge",
     "uplinks": ["eth1", {"interface": "eth2.7.8", "vlan": 10, "trunk": [20, 30]}]},
   "status": {"phase": "Ready", "message": ""}}])";

constexpr const char* kVlans = R"([
  {"kind": "vlan", "name": "eth0.50", "spec": {"parent": "eth0", "id": 50}, "status": {"phase": "Pending"}},
  {"kind": "vlan", "name": "eth2.7", "spec": {"parent": "eth2", "id": 7, "protocol": "802.1ad"},
   "status": {"phase": "Ready"}},
  {"kind": "vlan", "name": "eth2.7.8", "spec": {"parent": "eth2.7", "id": 8}, "status": {"phase": "Ready"}},
  {"kind": "vlan", "name": "eth3.9", "spec": {"parent": "eth3", "id": 9}, "status": {"phase": "Ready"}}])";

constexpr const char* kAttachments = R"([
  {"kind": "attachment", "name": "vm", "spec": {"network": "lab", "tap": {"owner": 1000}, "vlan": 10},
   "links": ["lw-vm"], "leases": [], "status": {"phase": "Ready"}},
  {"kind": "attachment", "name": "r1", "spec": {"network": "lab", "netns": "r1", "interface": "eth0",
     "addresses": ["10.0.0.1/24", "fd00::1/64"]}, "links": [], "leases": [], "status": {"phase": "Ready"}},
  {"kind": "attachment", "name": "c1", "spec": {"network": "lab", "interface": "eth0",
     "docker": {"network": "n", "endpoint": "c1", "sandbox": "/run/docker/netns/1"}},
   "links": [], "leases": [], "status": {"phase": "Ready"}},
  {"kind": "attachment", "name": "c2", "spec": {"network": "lab", "docker": {"network": "n", "endpoint": "c2"}},
   "links": ["lwe0"], "leases": [], "status": {"phase": "Ready"}},
  {"kind": "attachment", "name": "r2", "spec": {"network": "office", "netns": "r2", "interface": "eth0"},
   "links": [], "leases": ["10.0.50.7/24"],
   "status": {"phase": "Retrying", "message": "", "lastError": {"text": "no room"}}}])";

constexpr const char* kTree =
    R"(OBJECT                          WHAT                                     ADDRESSES                PHASE      MESSAGE
network lab                     bridge                                   -                        Ready      -
├─ uplink eth1                  -                                        -                        -          -
├─ uplink eth2.7.8              VLAN 8 on eth2.7, vlan 10, trunk 20,30   -                        Ready      -
│  └─ vlan eth2.7               802.1ad VLAN 7 on eth2                   -                        Ready      -
├─ attachment c1                eth0 in /run/docker/netns/1              -                        Ready      -
├─ attachment c2                on its way to a container                -                        Ready      -
├─ attachment r1                eth0 in r1                               10.0.0.1/24,fd00::1/64   Ready      -
└─ attachment vm                tap lw-vm, vlan 10                       -                        Ready      -
network office                  macvlan                                  10.0.50.0/24             Pending    waits for eth0
├─ parent eth0.50               VLAN 50 on eth0                          -                        Pending    -
├─ host interface office-host   -                                        10.0.50.2/32             -          -
└─ attachment r2                eth0 in r2                               10.0.50.7/24             Retrying   no room
vlan eth3.9                     VLAN 9 on eth3                           -                        Ready      -
)";

cli::Topology campus() {
  return cli::topology_of(Json::parse(kNetworks), Json::parse(kVlans), Json::parse(kAttachments));
}

std::string tree(const cli::Topology& topology) {
  std::ostringstream out;
  cli::print_topology(out, topology, {});
  return out.str();
}

// Whether a document is well-formed as far as our own can go wrong: tags nest, attributes are quoted, markup
// stands nowhere else, entities are the five that XML knows.
class XmlReader {
 public:
  explicit XmlReader(std::string_view text) : rest_(text) {}

  std::string fault() {  // empty when it is
    if (!skip("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")) return "no declaration";
    std::size_t roots = 0;
    while (fault_.empty() && !rest_.empty() && !(open_.empty() && rest_ == "\n")) {
      if (open_.empty()) ++roots;
      rest_.front() == '<' ? tag() : text(rest_.substr(0, rest_.find('<')));
    }
    if (!fault_.empty()) return fault_ + " before: " + std::string(rest_.substr(0, 60));
    return open_.empty() && roots == 1 ? "" : "not one root that is closed";
  }

  const std::set<std::string>& texts() const { return texts_; }

 private:
  bool skip(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  std::string name() {
    const auto is_part = [](char c) {
      return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '-' || c == ':';
    };
    std::size_t size = 0;
    while (size < rest_.size() && is_part(rest_[size])) ++size;
    std::string found(rest_.substr(0, size));
    rest_.remove_prefix(size);
    if (found.empty()) fault_ = "no name";
    return found;
  }

  void text(std::string_view piece) {
    static const std::set<std::string_view> kKnown{"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"};
    if (open_.empty()) fault_ = "text outside of the root";
    for (std::size_t i = 0; i < piece.size(); ++i) {
      const auto byte = static_cast<unsigned char>(piece[i]);
      if (byte < 0x20 && byte != '\n') fault_ = "a control character";
      if (byte == '&' && !kKnown.contains(piece.substr(i, piece.find(';', i) - i + 1)))
        fault_ = "an unknown entity";
    }
    texts_.emplace(piece);
    rest_.remove_prefix(piece.size());
  }

  void tag() {
    skip("<");
    if (skip("/")) return close();
    open_.push_back(name());
    std::set<std::string> seen;
    while (fault_.empty() && skip(" ")) {
      if (!seen.insert(name()).second) fault_ = "an attribute twice";
      if (!skip("=\"")) fault_ = "no quoted value";
      const std::string_view value = rest_.substr(0, rest_.find('"'));
      if (value.find_first_of("<&") != std::string_view::npos) fault_ = "markup in a value";
      rest_.remove_prefix(value.size());
      if (!skip("\"")) fault_ = "an open quote";
    }
    if (skip("/>")) return open_.pop_back();
    if (!skip(">")) fault_ = "no end of a tag";
  }

  void close() {
    const std::string closed = name();
    if (open_.empty() || closed != open_.back()) fault_ = "a tag is closed that is not open";
    if (!skip(">")) fault_ = "no end of a closing tag";
    if (!open_.empty()) open_.pop_back();
  }

  std::string_view rest_;
  std::string fault_;
  std::vector<std::string> open_;
  std::set<std::string> texts_;
};

TEST(Places, OfDockersEndpointsAreWhereTheyAre) {
  Json endpoint{{"spec", {{"interface", "eth0"}, {"docker", {{"sandbox", "/run/docker/netns/1"}}}}}};
  EXPECT_EQ(cli::text_of(cli::place_of(endpoint)), "eth0 in /run/docker/netns/1");
  endpoint["spec"]["docker"]["left"] = true;
  EXPECT_EQ(cli::text_of(cli::place_of(endpoint)), "taken out of its container");
}

TEST(TopologyText, IsATree) {
  EXPECT_EQ(tree(campus()), kTree);
}

TEST(TopologyJson, HasNodesAndEdges) {
  const Json json = cli::topology_json(campus());
  std::set<std::string> ids;
  for (const Json& node : json.at("nodes")) {
    EXPECT_TRUE(ids.insert(node.at("id")).second) << node;
  }
  EXPECT_EQ(ids, (std::set<std::string>{"attachment/c1", "attachment/c2", "attachment/r1", "attachment/r2",
                                        "attachment/vm", "host_interface/office", "link/eth0", "link/eth1",
                                        "link/eth2", "link/eth3", "network/lab", "network/office",
                                        "vlan/eth0.50", "vlan/eth2.7", "vlan/eth2.7.8", "vlan/eth3.9"}));
  std::set<std::string> edges;
  for (const Json& edge : json.at("edges")) {
    edges.insert(std::string(edge.at("from")) + " " + std::string(edge.at("kind")) + " " +
                 std::string(edge.at("to")) + " " + edge.value("vlans", ""));
  }
  EXPECT_EQ(
      edges,
      (std::set<std::string>{
          "link/eth0 parent vlan/eth0.50 ", "link/eth1 uplink network/lab ", "link/eth2 parent vlan/eth2.7 ",
          "link/eth3 parent vlan/eth3.9 ", "network/lab attachment attachment/c1 ",
          "network/lab attachment attachment/c2 ", "network/lab attachment attachment/r1 ",
          "network/lab attachment attachment/vm vlan 10", "network/office attachment attachment/r2 ",
          "network/office host_interface host_interface/office ", "vlan/eth0.50 parent network/office ",
          "vlan/eth2.7 parent vlan/eth2.7.8 ", "vlan/eth2.7.8 uplink network/lab vlan 10, trunk 20,30"}));
  EXPECT_EQ(json.at("nodes").at(0), Json::parse(R"({"id": "network/lab", "kind": "network", "name": "lab",
    "phase": "Ready", "driver": "bridge", "subnets": []})"));
}

TEST(TopologyDot, NamesEveryNodeAndEdge) {
  const std::string dot = cli::topology_dot(campus());
  EXPECT_TRUE(dot.starts_with("graph lanwright {\n") && dot.ends_with("}\n")) << dot;
  for (const char* part : {R"([label="lab\nbridge\nReady", shape=box3d, color="#1a7f37"];)",
                           R"([label="r1\neth0 in r1\n10.0.0.1/24\nfd00::1/64\nReady")",
                           R"([label="vm\ntap lw-vm\nReady")", R"( [label="vlan 10, trunk 20,30"];)"})
    EXPECT_NE(dot.find(part), std::string::npos) << part << " is not in " << dot;
}

TEST(TopologySvg, IsWellFormedAndSaysEverything) {
  const std::string svg = cli::topology_svg(campus());
  XmlReader reader(svg);
  EXPECT_EQ(reader.fault(), "") << svg;
  for (const char* text : {"lab", "bridge", "Ready", "eth1", "VLAN 50", "802.1ad VLAN 7", "r2", "eth0 in r2",
                           "10.0.50.7/24", "Retrying", "office-host", "eth3", "network lab", "vlan 10"})
    EXPECT_TRUE(reader.texts().contains(text)) << text;
}

TEST(TopologySvg, NothingCoversAnything) {
  struct Box {
    int x, y, width, height;
  };
  std::vector<Box> boxes;
  std::istringstream lines(cli::topology_svg(campus()));
  for (std::string line; std::getline(lines, line);) {
    Box box{};
    if (std::sscanf(line.c_str(), R"(  <rect x="%d" y="%d" width="%d" height="%d")", &box.x, &box.y,
                    &box.width, &box.height) == 4)
      boxes.push_back(box);
  }
  ASSERT_EQ(boxes.size(), 16U);
  const auto apart = [](int a, int a_size, int b, int b_size) { return a + a_size <= b || b + b_size <= a; };
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const Box& a = boxes[i];
      const Box& b = boxes[j];
      EXPECT_TRUE(apart(a.x, a.width, b.x, b.width) || apart(a.y, a.height, b.y, b.height)) << i << ' ' << j;
    }
  }
}

TEST(TopologyPictures, DoNotDependOnTheOrderOfTheAnswers) {
  const auto reversed = [](const char* text) {
    const Json list = Json::parse(text);
    Json out = Json::array();
    for (auto each = list.rbegin(); each != list.rend(); ++each) out.push_back(*each);
    return out;
  };
  const cli::Topology other = cli::topology_of(reversed(kNetworks), reversed(kVlans), reversed(kAttachments));
  EXPECT_EQ(cli::topology_json(other), cli::topology_json(campus()));
  EXPECT_EQ(cli::topology_dot(other), cli::topology_dot(campus()));
  EXPECT_EQ(cli::topology_svg(other), cli::topology_svg(campus()));
  EXPECT_EQ(tree(other), tree(campus()));
}

// What stands outside of quoted strings; "open" when the last of them does not end.
std::string outside_of_quotes(const std::string& line) {
  std::string outside;
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (quoted && line[i] == '\\') {
      ++i;
    } else if (line[i] == '"') {
      quoted = !quoted;
    } else if (!quoted) {
      outside += line[i];
    }
  }
  return quoted ? "open" : outside;
}

TEST(TopologyPictures, HostileNamesBreakNothing) {
  const std::string hostile = "</text>\"]; } -- \\\" & <!-- &quot; \x1b[31m\n\xef\xbf\xbf\xe2\x80\xae";
  Json attachments = Json::parse(kAttachments);
  attachments[1]["name"] = hostile;
  attachments[1]["spec"]["netns"] = hostile;
  attachments[1]["spec"]["interface"] = "\\";
  attachments[1]["status"]["phase"] = hostile;
  Json vlans = Json::parse(kVlans);
  vlans[0]["spec"]["parent"] = hostile;
  const cli::Topology topology = cli::topology_of(Json::parse(kNetworks), vlans, attachments);

  const std::string svg = cli::topology_svg(topology);
  EXPECT_EQ(XmlReader(svg).fault(), "") << svg;
  EXPECT_EQ(svg.find("\xef\xbf\xbf"), std::string::npos) << "XML has no such character";

  const std::string dot = cli::topology_dot(topology);
  std::istringstream hostile_lines(dot);
  std::istringstream lines(cli::topology_dot(campus()));
  std::string ours;
  for (std::string line; std::getline(hostile_lines, line);) {
    ASSERT_TRUE(std::getline(lines, ours));
    EXPECT_EQ(outside_of_quotes(line), outside_of_quotes(ours)) << line;
  }
  EXPECT_NE(dot.find(R"(\\ in </text>\"]; } -- \\\" &amp; <!-- &amp;quot; ?[31m)"), std::string::npos) << dot;

  EXPECT_EQ(tree(topology).find('\x1b'), std::string::npos);
  EXPECT_EQ(Json::parse(cli::topology_json(topology).dump()).at("nodes").size(), 16U);
}

TEST(TopologyPictures, AreMadeOfHalfAnswersToo) {
  const Json odd =
      Json::parse(R"([{}, {"name": 5, "spec": []}, {"name": "a", "spec": {"network": "gone", "tap": {}}}])");
  const cli::Topology topology = cli::topology_of(odd, odd, odd);
  EXPECT_EQ(XmlReader(cli::topology_svg(topology)).fault(), "");
  EXPECT_NE(tree(topology).find("network gone"), std::string::npos);
  const cli::Topology nothing = cli::topology_of(Json::array(), Json::array(), Json::array());
  EXPECT_EQ(tree(nothing), "");
  EXPECT_EQ(XmlReader(cli::topology_svg(nothing)).fault(), "");
  EXPECT_EQ(cli::topology_json(nothing), Json::parse(R"({"nodes": [], "edges": []})"));
}

TEST(TopologyPictures, ACircleOfVlansEnds) {
  const Json vlans = Json::parse(R"([{"name": "a.1", "spec": {"parent": "b.1", "id": 1}},
                                     {"name": "b.1", "spec": {"parent": "a.1", "id": 1}}])");
  const cli::Topology topology = cli::topology_of(Json::array(), vlans, Json::array());
  EXPECT_NE(tree(topology).find("vlan a.1"), std::string::npos);
  EXPECT_EQ(XmlReader(cli::topology_svg(topology)).fault(), "");
}

TEST(TopologyCommand, AsksForTheThreeLists) {
  const TemporaryDirectory directory;
  FakeAgent agent(directory.file("api.sock"));
  agent.on_get("/v1/networks", kNetworks);
  agent.on_get("/v1/vlans", kVlans);
  agent.on_get("/v1/attachments", kAttachments);
  const auto out = [&](const std::string& format) {
    const RunResult result = run({"topology", "-o", format, "--socket", agent.socket()});
    EXPECT_EQ(result.status, cli::kDone) << result.err;
    return result.out;
  };
  EXPECT_EQ(out("text"), kTree);
  EXPECT_EQ(out("dot"), cli::topology_dot(campus()));
  EXPECT_EQ(out("svg"), cli::topology_svg(campus()));
  EXPECT_EQ(Json::parse(out("json")), cli::topology_json(campus()));
}

}  // namespace
}  // namespace lanwright
