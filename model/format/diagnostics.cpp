#include "model/format/diagnostics.h"

#include <algorithm>

#include "model/base/utf8.h"
#include "model/format/tree.h"

namespace lanwright {

namespace {

constexpr std::size_t kSourceBytes = 200;
constexpr std::string_view kEllipsis = "...";

bool continues_character(char c) {
  return (static_cast<unsigned char>(c) & 0xc0U) == 0x80;
}

std::size_t characters(std::string_view text) {
  const auto inside = std::count_if(text.begin(), text.end(), continues_character);
  return text.size() - static_cast<std::size_t>(inside);
}

// Where a word begins: at its quote, or nowhere when the place is a bracket.
std::size_t underlined(std::string_view line, std::size_t from) {
  if (from >= line.size()) return 1;
  const char first = line[from];
  if (first == '[' || first == '{') return 1;
  std::size_t end = from + 1;
  if (first == '"' || first == '\'') {
    while (end < line.size() && line[end] != first) end += line[end] == '\\' && first == '"' ? 2 : 1;
    end = std::min(end + 1, line.size());
  } else {
    const auto ends_here = [&](std::size_t i) {
      if (line[i] == ':') return i + 1 == line.size() || line[i + 1] == ' ';
      return std::string_view(" \t,]}").find(line[i]) != std::string_view::npos;
    };
    while (end < line.size() && !ends_here(end)) ++end;
  }
  return characters(line.substr(from, end - from));
}

std::size_t byte_of_character(std::string_view line, std::size_t character) {
  std::size_t at = 0;
  for (; character > 0 && at < line.size(); --character) {
    do {
      ++at;
    } while (at < line.size() && continues_character(line[at]));
  }
  return at;
}

std::string caret_line(const std::string& line, std::size_t caret) {
  const std::size_t from = byte_of_character(line, caret - 1);
  return std::string(caret - 1, ' ') + "^" + std::string(underlined(line, from) - 1, '~');
}

// One piece of a source line as it can be shown, tabs one column wide so that the caret stands right.
std::string shown(std::string_view source) {
  std::string text(source);
  std::replace(text.begin(), text.end(), '\t', ' ');
  return printable(text);
}

}  // namespace

std::string Diagnostic::text() const {
  std::string result = file.empty() ? "" : file + ":";
  if (line > 0) result += std::to_string(line) + ":" + std::to_string(column) + ":";
  if (!result.empty()) result += " ";
  result += message;
  if (!suggestion.empty()) result += "; did you mean " + quote(suggestion) + "?";
  result += "\n";
  if (line == 0 || caret == 0 || source_line.empty()) return result;
  return result + source_line + "\n" + caret_line(source_line, static_cast<std::size_t>(caret)) + "\n";
}

const TreeNode& place_of(const TreeNode& node) {
  return node.type == TreeNode::Type::null && node.key != nullptr ? *node.key : node;
}

std::string path_of(const TreeNode& node) {
  if (node.parent == nullptr) return {};
  std::string path = path_of(*node.parent);
  if (node.parent->type == TreeNode::Type::sequence) {
    std::size_t index = 0;
    for (const TreeNode* item = node.parent->first; item != &node; item = item->next) ++index;
    return path + "[" + std::to_string(index) + "]";
  }
  const TreeNode& key = node.key != nullptr ? *node.key : node;
  if (!path.empty()) path += ".";
  return path + printable(key.text.substr(0, kSourceBytes));
}

Diagnostics::Diagnostics(std::string_view text, std::size_t limit)
    : text_(text), limit_(std::max<std::size_t>(limit, 1)) {}

void Diagnostics::add(const TreeNode& at, std::string message, std::string suggestion) {
  Pending mistake;
  mistake.offset = place_of(at).offset;
  mistake.node = &at;
  mistake.message = std::move(message);
  mistake.suggestion = std::move(suggestion);
  keep(std::move(mistake));
}

void Diagnostics::add_missing(const TreeNode& in, std::string relative, std::string message) {
  Pending mistake;
  mistake.offset = (in.key != nullptr ? *in.key : in).offset;
  mistake.node = &in;
  mistake.relative = std::move(relative);
  mistake.message = std::move(message);
  keep(std::move(mistake));
}

void Diagnostics::add_at(std::size_t offset, std::string message) {
  Pending mistake;
  mistake.offset = std::min(offset, text_.size());
  mistake.message = std::move(message);
  keep(std::move(mistake));
}

void Diagnostics::keep(Pending mistake) {
  mistake.order = count_++;
  if (mistake.offset > last_) return;
  pending_.push_back(std::move(mistake));
  if (pending_.size() < 2 * limit_) return;
  const auto end = pending_.begin() + static_cast<std::ptrdiff_t>(limit_);
  std::nth_element(pending_.begin(), end, pending_.end());
  pending_.erase(end, pending_.end());
  last_ = std::max_element(pending_.begin(), pending_.end())->offset;
}

std::size_t Diagnostics::line(std::size_t offset) const {
  if (line_starts_.empty()) {
    line_starts_.push_back(0);
    for (std::size_t i = text_.find('\n'); i != std::string_view::npos; i = text_.find('\n', i + 1)) {
      line_starts_.push_back(i + 1);
    }
  }
  const auto after = std::upper_bound(line_starts_.begin(), line_starts_.end(), offset);
  return static_cast<std::size_t>(after - line_starts_.begin());
}

std::size_t Diagnostics::line(const TreeNode& node) const {
  return line(place_of(node).offset);
}

void Diagnostics::report(const std::string& file, ReadOutcome& outcome) {
  std::sort(pending_.begin(), pending_.end());
  if (pending_.size() > limit_)
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(limit_), pending_.end());
  for (Pending& mistake : pending_) outcome.diagnostics.push_back(diagnostic(file, mistake));
  outcome.untold = count_ - pending_.size();
}

Diagnostic Diagnostics::diagnostic(const std::string& file, Pending& mistake) const {
  Diagnostic result;
  result.file = file;
  result.message = std::move(mistake.message);
  result.suggestion = std::move(mistake.suggestion);
  if (mistake.node != nullptr) result.path = path_of(*mistake.node);
  if (!mistake.relative.empty()) result.path += (result.path.empty() ? "" : ".") + mistake.relative;

  const std::size_t number = line(mistake.offset);
  const std::size_t start = line_starts_[number - 1];
  std::string_view source = text_.substr(start, text_.find_first_of("\r\n", start) - start);
  const std::size_t at = std::min(mistake.offset - start, source.size());
  result.line = static_cast<int>(number);
  result.column = static_cast<int>(characters(source.substr(0, at)) + 1);

  // A long line is cut so that a third of what is shown stands before the place.
  std::size_t from = 0;
  if (source.size() > kSourceBytes && at > kSourceBytes / 3)
    from = character_start(source, at - kSourceBytes / 3);
  const std::string_view head = from > 0 ? kEllipsis : std::string_view();
  const std::string before = std::string(head) + shown(source.substr(from, at - from));
  const std::size_t room = kSourceBytes - std::min(kSourceBytes, before.size());
  std::string after = shown(source.substr(at, character_start(source, at + room) - at));
  if (after.size() > room) after.resize(character_start(after, room));
  result.caret = static_cast<int>(characters(before) + 1);
  result.source_line = before + after;
  return result;
}

}  // namespace lanwright
