// What the agent and a plug say to each other: lines of words on a stream socket (unix(7)) that only root may
// use. The agent asks, the plug answers with lines of data and one last line, "ok" or "error WORDS". What
// happens meanwhile is told at any time between lines.
//
//   connect                   connects the plug to the switch (one that shares a port among all)
//   add PORT                  plugs in the tap or packet socket that came along, in place of the same mark
//   remove MARK               unplugs
//   list                      a line for each port, and whether the switch is connected
//
//   told: "gone MARK"         the interface behind it was removed
//         "lost"              the switch closed a connection
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

std::vector<std::string> words_of(const std::string& line);

}  // namespace lanwright::plug
