#include "model/format/tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <initializer_list>
#include <istream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <streambuf>

#include "model/base/utf8.h"

namespace lanwright {

namespace {

// What one value, one flow collection or one run of comments may take. yaml-cpp holds all tokens of a flow
// collection before it tells the first, so that this bounds its memory, too. JSON does not come here.
constexpr std::size_t kLookahead = 1U << 20U;

// Thrown through a parser to stop it, after the mistake was told.
struct Stop : std::exception {};

class Builder {
 public:
  Builder(std::string_view text, const ReadLimits& limits, Tree& tree, Diagnostics& diagnostics)
      : text_(text), limits_(limits), tree_(tree), diagnostics_(diagnostics) {}

  TreeNode& add(TreeNode::Type type, std::size_t offset) {
    if (tree_.size() >= limits_.nodes) {
      stop(offset, "the file has more than " + std::to_string(limits_.nodes) + " values");
    }
    TreeNode& node = tree_.add(type, std::min(offset, text_.size()));
    if (open_.empty()) {
      tree_.set_root(node);
    } else {
      open_.back().append(node);
    }
    return node;
  }

  void scalar(TreeNode::Type type, std::size_t offset, const std::string& value) {
    TreeNode& node = add(type, offset);
    // Most scalars stand in the text as they are, behind their quote if they have one.
    const std::size_t from = node.offset + (type == TreeNode::Type::quoted ? 1 : 0);
    const std::string_view source =
        from < text_.size() ? text_.substr(from, value.size()) : std::string_view();
    node.text = source == value ? source : tree_.keep(value);
    check_closed(node);
  }

  TreeNode& open(TreeNode::Type type, std::size_t offset) {
    TreeNode& node = add(type, offset);
    if (open_.size() >= limits_.depth) {
      stop(offset, "values are nested more than " + std::to_string(limits_.depth) + " deep");
    }
    open_.push_back({&node});
    return node;
  }

  // The collection opened last will be passed over.
  void refuse() { open_.back().refused = true; }

  void close() {
    const Open& last = open_.back();
    if (last.node->type == TreeNode::Type::mapping) find_duplicates(*last.node, last.count / 2);
    if (last.refused) last.node->type = TreeNode::Type::refused;
    open_.pop_back();
  }

  [[noreturn]] void stop(std::size_t offset, std::string message) {
    diagnostics_.add_at(offset, std::move(message));
    throw Stop();
  }

  void mistake(const TreeNode& node, std::string message) { diagnostics_.add(node, std::move(message)); }

 private:
  struct Open {
    TreeNode* node = nullptr;
    TreeNode* last = nullptr;
    std::size_t count = 0;
    bool refused = false;

    void append(TreeNode& child) {
      child.parent = node;
      if (node->type == TreeNode::Type::mapping && count % 2 == 1) child.key = last;
      (last == nullptr ? node->first : last->next) = &child;
      last = &child;
      ++count;
    }
  };

  // yaml-cpp takes the end of the file for the end of a quoted scalar when it follows a line break.
  void check_closed(const TreeNode& node) {
    const char quote = text_.empty() ? '\0' : text_[std::min<std::size_t>(node.offset, text_.size() - 1)];
    if (quote != '"' && quote != '\'') return;
    std::size_t end = node.offset + 1;
    while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' && quote == '"' ? 2 : 1;
    if (end >= text_.size()) stop(node.offset, "the quoted text that begins here has no end");
  }

  void duplicate(const TreeNode& key, const TreeNode& first) {
    diagnostics_.add(key, "duplicate key " + quote(key.text) + "; the first one is in line " +
                              std::to_string(diagnostics_.line(first)));
  }

  void find_duplicates(const TreeNode& mapping, std::size_t keys) {
    constexpr std::size_t kFew = 16;
    if (keys <= kFew) {
      find_duplicates_of_few(mapping);
      return;
    }
    keys_.clear();
    for (const TreeNode* key = mapping.first; key != nullptr; key = key->next->next) {
      if (key->is_scalar()) keys_.push_back(key);
    }
    std::sort(keys_.begin(), keys_.end(), [](const TreeNode* a, const TreeNode* b) {
      const int order = a->text.compare(b->text);
      return order != 0 ? order < 0 : a->offset < b->offset;
    });
    const TreeNode* first = nullptr;
    for (const TreeNode* key : keys_) {
      if (first != nullptr && first->text == key->text) {
        duplicate(*key, *first);
      } else {
        first = key;
      }
    }
  }

  void find_duplicates_of_few(const TreeNode& mapping) {
    for (const TreeNode* key = mapping.first; key != nullptr; key = key->next->next) {
      if (!key->is_scalar()) continue;
      const TreeNode* first = mapping.first;
      while (first != key && !(first->is_scalar() && first->text == key->text)) first = first->next->next;
      if (first != key) duplicate(*key, *first);
    }
  }

  std::string_view text_;
  const ReadLimits& limits_;
  Tree& tree_;
  Diagnostics& diagnostics_;
  std::vector<Open> open_;
  std::vector<const TreeNode*> keys_;  // of the mapping being closed
};

// The text as a stream that runs dry when the parser reads far ahead of what it tells.
class Source : public std::streambuf {
 public:
  explicit Source(std::string_view text) : text_(text) {}

  void progress() { told_ = at_; }
  bool ran_ahead() const { return ran_ahead_; }
  std::size_t told() const { return told_; }

 protected:
  std::streamsize xsgetn(char* to, std::streamsize wanted) override {
    if (at_ - told_ > kLookahead) {
      ran_ahead_ = true;
      return 0;
    }
    const std::size_t count = text_.copy(to, static_cast<std::size_t>(wanted), at_);
    at_ += count;
    return static_cast<std::streamsize>(count);
  }

  int_type underflow() override {
    return at_ < text_.size() ? traits_type::to_int_type(text_[at_]) : traits_type::eof();
  }

  int_type uflow() override {
    const int_type next = underflow();
    if (!traits_type::eq_int_type(next, traits_type::eof())) ++at_;
    return next;
  }

  int_type pbackfail(int_type) override {
    if (at_ == 0) return traits_type::eof();
    --at_;
    return traits_type::to_int_type(text_[at_]);
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t told_ = 0;
  bool ran_ahead_ = false;
};

class YamlHandler : public YAML::EventHandler {
 public:
  YamlHandler(Builder& builder, Source& source) : builder_(builder), source_(source) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) {
      builder_.stop(offset(mark), "a second document begins here; a file is one document, one set");
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    progress();
    builder_.add(TreeNode::Type::null, offset(mark));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    progress();
    builder_.mistake(builder_.add(TreeNode::Type::refused, offset(mark)),
                     "aliases are not supported; write the value itself");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    progress();
    const bool text = tag == "!" || tag == "tag:yaml.org,2002:str";
    if (text || tag == "?" || tag.empty() || is_core(tag, {"int", "bool", "float"})) {
      builder_.scalar(text ? TreeNode::Type::quoted : TreeNode::Type::plain, offset(mark), value);
    } else if (is_core(tag, {"null"})) {
      builder_.add(TreeNode::Type::null, offset(mark));
    } else {
      refuse_tag(builder_.add(TreeNode::Type::refused, offset(mark)), tag);
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    open(TreeNode::Type::sequence, mark, tag, "seq");
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    open(TreeNode::Type::mapping, mark, tag, "map");
  }
  void OnMapEnd() override { close(); }

  static std::size_t offset(const YAML::Mark& mark) {
    return mark.is_null() ? 0 : static_cast<std::size_t>(std::max(mark.pos, 0));
  }

 private:
  void progress() {
    // Nothing of a text that was cut off is believed.
    if (source_.ran_ahead()) throw Stop();
    source_.progress();
  }

  void open(TreeNode::Type type, const YAML::Mark& mark, const std::string& tag, const char* core) {
    progress();
    const TreeNode& node = builder_.open(type, offset(mark));
    if (tag == "!" || tag == "?" || tag.empty() || is_core(tag, {core})) return;
    refuse_tag(node, tag);
    builder_.refuse();
  }

  void close() {
    progress();
    builder_.close();
  }

  void refuse_tag(const TreeNode& node, const std::string& tag) {
    builder_.mistake(node, "the tag " + quote(tag) + " is not supported; leave it out");
  }

  static bool is_core(std::string_view tag, std::initializer_list<std::string_view> names) {
    constexpr std::string_view kCore = "tag:yaml.org,2002:";
    if (tag.substr(0, kCore.size()) != kCore) return false;
    tag.remove_prefix(kCore.size());
    return std::find(names.begin(), names.end(), tag) != names.end();
  }

  Builder& builder_;
  Source& source_;
  int documents_ = 0;
};

// yaml-cpp's own words, and the usual cause where they do not name it.
std::string explained(const YAML::ParserException& error, std::string_view text, std::size_t at) {
  const std::size_t start = text.rfind('\n', at == 0 ? 0 : at - 1);
  const std::string_view line = text.substr(start == std::string_view::npos ? 0 : start + 1);
  const std::size_t indentation = std::min(line.find_first_not_of(" \t"), line.size());
  const bool tab = line.substr(0, indentation).find('\t') != std::string_view::npos;
  std::string message = error.msg == "bad file" ? "values are nested too deep" : error.msg;
  return tab ? message + " (the line is indented with a tab; use spaces)" : message;
}

// What the JSON lexer has consumed is where the token that it tells ends.
class CountingIterator {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, const char** consumed) : at_(at), consumed_(consumed) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    *consumed_ = ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    const CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** consumed_;
};

class JsonHandler {
 public:
  JsonHandler(std::string_view text, Builder& builder)
      : text_(text), builder_(builder), consumed_(text.data()) {}

  CountingIterator begin() { return {text_.data(), &consumed_}; }
  CountingIterator end() { return {text_.data() + text_.size(), &consumed_}; }

  bool null() {
    builder_.add(TreeNode::Type::null, next());
    return true;
  }
  bool boolean(bool value) { return plain(value ? "true" : "false"); }
  bool number_integer(std::int64_t value) { return plain(std::to_string(value)); }
  bool number_unsigned(std::uint64_t value) { return plain(std::to_string(value)); }
  bool number_float(double, const std::string& source) { return plain(source); }
  bool string(const std::string& value) {
    builder_.scalar(TreeNode::Type::quoted, next(), value);
    return true;
  }
  bool key(const std::string& value) { return string(value); }
  bool binary(const nlohmann::json::binary_t&) { return false; }  // JSON text has none
  bool start_object(std::size_t) {
    builder_.open(TreeNode::Type::mapping, next());
    return true;
  }
  bool start_array(std::size_t) {
    builder_.open(TreeNode::Type::sequence, next());
    return true;
  }
  bool end_object() { return end_array(); }
  bool end_array() {
    next();
    builder_.close();
    return true;
  }
  bool parse_error(std::size_t position, const std::string& token, const nlohmann::detail::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while ...": the place
    // is told by us. `position` counts the bytes up to the end of the token.
    const std::string_view words = error.what();
    const std::size_t colon = words.find(": ");
    builder_.stop(
        position - std::min(position, std::max<std::size_t>(token.size(), 1)),
        "not JSON: " + printable(colon == std::string_view::npos ? words : words.substr(colon + 2)));
  }

 private:
  // Where the token that was just told begins. After a number the lexer is one character ahead, which is a
  // separator, a bracket or a blank, and so never the begin of the next scalar.
  std::size_t next() {
    const std::size_t start = text_.find_first_not_of(" \t\r\n,:", end_);
    end_ = static_cast<std::size_t>(consumed_ - text_.data());
    return std::min(start, text_.size());
  }

  bool plain(const std::string& value) {
    builder_.scalar(TreeNode::Type::plain, next(), value);
    return true;
  }

  std::string_view text_;
  Builder& builder_;
  const char* consumed_;
  std::size_t end_ = 0;  // of the last token
};

}  // namespace

const TreeNode* TreeNode::find(std::string_view wanted) const {
  if (type != Type::mapping) return nullptr;
  for (const TreeNode* entry = first; entry != nullptr; entry = entry->next->next) {
    if (entry->is_scalar() && entry->text == wanted) return entry->next;
  }
  return nullptr;
}

TreeNode& Tree::add(TreeNode::Type type, std::size_t offset) {
  TreeNode& node = nodes_.emplace_back();
  node.type = type;
  node.offset = static_cast<std::uint32_t>(offset);
  return node;
}

std::string_view Tree::keep(std::string text) {
  return texts_.emplace_back(std::move(text));
}

bool read_yaml(std::string_view text, const ReadLimits& limits, Tree& tree, Diagnostics& diagnostics) {
  Builder builder(text, limits, tree, diagnostics);
  Source source(text);
  YamlHandler handler(builder, source);
  const auto ran_ahead = [&] {
    if (source.ran_ahead()) {
      diagnostics.add_at(source.told(),
                         "a value, flow collection or run of comments near here is longer than 1 MiB");
    }
    return source.ran_ahead();
  };
  try {
    std::istream stream(&source);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(handler)) {
    }
  } catch (const Stop&) {
    ran_ahead();
    return false;
  } catch (const YAML::ParserException& error) {
    const std::size_t at = YamlHandler::offset(error.mark);
    if (!ran_ahead()) diagnostics.add_at(at, explained(error, text, at));
    return false;
  }
  return !ran_ahead();
}

bool read_json(std::string_view text, const ReadLimits& limits, Tree& tree, Diagnostics& diagnostics) {
  Builder builder(text, limits, tree, diagnostics);
  JsonHandler handler(text, builder);
  try {
    return nlohmann::json::sax_parse(handler.begin(), handler.end(), &handler);
  } catch (const Stop&) {
    return false;
  }
}

}  // namespace lanwright
