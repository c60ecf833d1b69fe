// `lanwright topology` of an example that is at work.
#include <gtest/gtest.h>

#include "tests/integration/harness.h"
#include "tests/integration/product.h"

namespace lanwright::test {
namespace {

TEST(Topology, ShowsAnExampleAtWork) {
  const Sandbox sandbox;
  for (const char* netns : {"alice", "router", "carol"}) sandbox.add_netns(netns);
  const AgentProcess agent(sandbox);
  const Finished applied = agent.cli({"apply", "-f", SOURCE_DIR "/examples/quickstart.yaml", "--wait"});
  ASSERT_TRUE(applied.ok()) << applied.text();

  const Finished tree = agent.cli({"topology"});
  ASSERT_TRUE(tree.ok()) << tree.text();
  EXPECT_NE(tree.out.find("\n├─ attachment alice           eth0 in alice"), std::string::npos) << tree.out;
  EXPECT_NE(tree.out.find("\n└─ attachment vm1             tap tap-vm1"), std::string::npos) << tree.out;

  const Json graph = agent.cli_json({"topology"});
  EXPECT_EQ(graph.at("nodes").size(), 7U);
  EXPECT_EQ(graph.at("edges").size(), 5U);
  for (const Json& node : graph.at("nodes")) EXPECT_EQ(node.at("phase"), "Ready") << node;

  const Finished svg = agent.cli({"topology", "-o", "svg"});
  EXPECT_TRUE(svg.ok() && svg.out.starts_with("<?xml") && svg.out.ends_with("</svg>\n")) << svg.text();
  const Finished dot = agent.cli({"topology", "-o", "dot"});
  EXPECT_TRUE(dot.ok() && dot.out.starts_with("graph lanwright {")) << dot.text();
}

}  // namespace
}  // namespace lanwright::test
