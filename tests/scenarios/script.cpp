#include "tests/scenarios/script.h"

#include <algorithm>
#include <cstddef>
#include <sstream>

namespace lanwright::test {
namespace {

constexpr const char* kIndent = "    ";
constexpr std::size_t kIndentWidth = 4;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// How many lines are common to what is left of both, from each pair of places on.
std::vector<std::vector<std::size_t>> common_lines(const std::vector<std::string>& a,
                                                   const std::vector<std::string>& b) {
  std::vector<std::vector<std::size_t>> common(a.size() + 1, std::vector<std::size_t>(b.size() + 1, 0));
  for (std::size_t i = a.size(); i-- > 0;) {
    for (std::size_t j = b.size(); j-- > 0;)
      common[i][j] = a[i] == b[j] ? common[i + 1][j + 1] + 1 : std::max(common[i + 1][j], common[i][j + 1]);
  }
  return common;
}

}  // namespace

Script parse_script(const std::string& text) {
  Script script;
  int number = 0;
  for (const std::string& line : lines_of(text)) {
    ++number;
    if (line.empty() || line.front() == '#')
      (script.commands.empty() ? script.head : script.commands.back().between) += line + "\n";
    else if (line.starts_with(kIndent) && !script.commands.empty())
      script.commands.back().body += line.substr(kIndentWidth) + "\n";
    else
      script.commands.push_back({number, words_of(line), {}, {}});
  }
  return script;
}

std::string text_of(const Script& script) {
  std::string text = script.head;
  for (const Command& command : script.commands) {
    text += joined(command.words) + "\n";
    for (const std::string& line : lines_of(command.body)) text += kIndent + line + "\n";
    text += command.between;
  }
  return text;
}

std::string difference(const std::string& expected, const std::string& actual) {
  const auto a = lines_of(expected);
  const auto b = lines_of(actual);
  const auto common = common_lines(a, b);
  std::string text;
  for (std::size_t i = 0, j = 0; i < a.size() || j < b.size();) {
    if (i < a.size() && j < b.size() && a[i] == b[j]) {
      text += "  " + a[i++] + "\n";
      ++j;
    } else if (j == b.size() || (i < a.size() && common[i + 1][j] >= common[i][j + 1])) {
      text += "- " + a[i++] + "\n";
    } else {
      text += "+ " + b[j++] + "\n";
    }
  }
  return text;
}

}  // namespace lanwright::test
