#include "reconcilers/netfilter/forward_rules.h"

#include <algorithm>
#include <sstream>
#include <string_view>

namespace lanwright::netfilter {
namespace {

constexpr std::string_view kMark = "lanwright:";  // as the alias of a link

// The words of a line, without the quotes around some.
std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  std::istringstream text(line);
  for (std::string word; text >> word;) {
    std::erase(word, '"');
    words.push_back(std::move(word));
  }
  return words;
}

std::string value_behind(const std::vector<std::string>& words, std::string_view option) {
  const auto at = std::find(words.begin(), words.end(), option);
  return at == words.end() || at + 1 == words.end() ? std::string() : *(at + 1);
}

}  // namespace

bool drops_by_default(const std::string& listing) {
  std::istringstream lines(listing);
  for (std::string line; std::getline(lines, line);) {
    if (line == "-P FORWARD DROP") return true;
  }
  return false;
}

bool can_be_ruled(const std::string& bridge) {
  return bridge.find_first_of("+!\"'\\") == std::string::npos;
}

std::vector<std::string> arguments_of(const ForwardRule& rule) {
  return {"FORWARD", "-i",        rule.bridge,
          "-o",      rule.bridge, "-m",
          "comment", "--comment", std::string(kMark) + rule.uid,
          "-j",      "ACCEPT"};
}

std::vector<ForwardRule> forward_rules_in(const std::string& listing) {
  std::vector<ForwardRule> rules;
  std::istringstream lines(listing);
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string> words = words_of(line);
    const std::string comment = value_behind(words, "--comment");
    if (!comment.starts_with(kMark)) continue;
    ForwardRule rule{value_behind(words, "-i"), comment.substr(kMark.size())};
    std::vector<std::string> exact = arguments_of(rule);
    exact.insert(exact.begin(), "-A");
    if (words == exact) rules.push_back(std::move(rule));
  }
  return rules;
}

std::vector<ForwardChange> forward_changes(const std::set<ForwardRule>& wanted,
                                           const std::set<ObjectUid>& ours,
                                           const std::vector<ForwardRule>& found,
                                           const std::function<bool(const std::string&)>& bridge_exists) {
  std::vector<ForwardChange> changes;
  std::set<ForwardRule> kept;
  for (const ForwardRule& rule : found) {
    const bool good = wanted.contains(rule) && kept.insert(rule).second;
    const bool idle = wanted.contains(rule) || ours.contains(rule.uid) || !bridge_exists(rule.bridge);
    if (!good && idle) changes.push_back({false, rule});
  }
  for (const ForwardRule& rule : wanted) {
    if (!kept.contains(rule)) changes.push_back({true, rule});
  }
  return changes;
}

}  // namespace lanwright::netfilter
