// A LAN of frames alone is silent: what nobody sent, nobody hears. Takes a minute.
// ctest label: waits
#include <gtest/gtest.h>

#include "tests/integration/frames.h"
#include "tests/integration/harness.h"
#include "tests/integration/vde.h"

namespace lanwright::test {
namespace {

TEST(VdeSilence, NothingIsHeardThatNobodySent) {
  using Clock = std::chrono::steady_clock;
  const Sandbox sandbox;
  for (const char* netns : {"r1", "r2"}) sandbox.add_netns(netns);
  const AgentProcess agent(sandbox);
  std::string text = "version: 1\nname: silence\nnetworks:\n";
  for (const std::string network : {"hub", "learning"})
    text += "  " + network + ": {driver: vde, vde: {hub: " + (network == "hub" ? "true" : "false") + "}}\n";
  text += "attachments:\n";
  for (const std::string network : {"hub", "learning"}) {
    for (const std::string netns : {"r1", "r2"})
      text += "  " + netns + "-" + network + ": {network: " + network + ", netns: " + netns +
              ", interface: " + network + "}\n";
    text += "  vm-" + network + ": {network: " + network + ", tap: {name: tap-" + network + "}}\n";
  }
  // Who is there before the interfaces are hears their first words as well.
  agent.apply(text.substr(0, text.find("attachments:")));
  std::vector<std::unique_ptr<FramePort>> ports;
  for (const char* network : {"hub", "learning"})
    ports.push_back(std::make_unique<VdeClient>(switch_of(agent, network).socket));
  agent.apply(text);
  for (const std::string network : {"hub", "learning"}) {
    for (const std::string netns : {"r1", "r2"})
      ports.push_back(std::make_unique<InterfacePort>(netns, network));
    ports.push_back(std::make_unique<TapPort>("tap-" + network));
  }
  const auto end = Clock::now() + 60s;
  for (const auto& port : ports) {
    const auto left = std::max(0ms, std::chrono::ceil<Milliseconds>(end - Clock::now()));
    const auto heard = port->receive(left);
    EXPECT_FALSE(heard) << summary(*heard);
  }
  // They were not deaf.
  EXPECT_TRUE(talk(*ports[0], *ports[2]));
  EXPECT_TRUE(talk(*ports[4], *ports[3]));
  EXPECT_TRUE(talk(*ports[1], *ports[5]));
  EXPECT_TRUE(talk(*ports[7], *ports[6]));
}

}  // namespace
}  // namespace lanwright::test
