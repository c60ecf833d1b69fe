// A scenario as text. At the start of a line stands a command; indented by four spaces, what belongs to it.
// Empty lines and those that begin with # are for people.
#pragma once

#include <string>
#include <vector>

namespace lanwright::test {

struct Command {
  int line = 0;  // 1-based
  std::vector<std::string> words;
  std::string body;     // without the indentation
  std::string between;  // empty lines and comments after it
};

struct Script {
  std::string head;  // what stands before the first command
  std::vector<Command> commands;
};

Script parse_script(const std::string& text);
std::string text_of(const Script& script);

// A line for each line of both: "  " of both, "- " of `expected` only, "+ " of `actual` only.
std::string difference(const std::string& expected, const std::string& actual);

}  // namespace lanwright::test
