// What the agent and a plug say to each other: lines of words on a stream socket (unix(7)) that only root may
// use. The agent asks, the plug answers with lines of data and one last line, "ok" or "error WORDS". What
// happens meanwhile is told at any time between lines.
//
//   connect                   connects the plug to the switch (one that shares a port among all)
//   add PORT                  plugs in the tap or packet socket that came along, in place of the same mark
//   remove MARK               unplugs
//   watch                     listens to the switch, so that it always has a port for who comes next
//   list                      a line for each port, and one for the port of the switch that they share
//   ping                      is answered "alive" and nothing else, at any time
//
//   told: "gone MARK"         the interface behind it was removed
//         "lost"              the switch closed a connection
//
// "list" and "ping" are answered also while a connection is being made, which takes as long as the switch
// likes; all else waits for its turn.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/switches.h"

namespace lanwright::plug {

struct PortLine {
  PlugFact plug;
  PortCounters counters;
};

// "port MARK tap|packet IFINDEX NETNS PORT CONNECTED COUNTER..." without the end of the line.
std::string text_of(const PortLine& line);
std::optional<PortLine> port_line_from(const std::string& text);

// The port of the switch that all share: where each has its own, whether all of them are connected.
struct SharedLine {
  bool connected = false;
  PortCounters counters;  // received: from the switch
  bool operator==(const SharedLine&) const = default;
};

// "shared CONNECTED COUNTER..."
std::string text_of(const SharedLine& line);
std::optional<SharedLine> shared_line_from(const std::string& text);

std::vector<std::string> words_of(const std::string& line);

}  // namespace lanwright::plug
