// A file as a tree of nodes that know their places: what the YAML and JSON parsers leave for the decoder.
// Inside of model/ only. Building is linear in the text and bounded by ReadLimits; nothing is resolved or
// expanded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "model/format/diagnostics.h"
#include "model/format/set_reader.h"

namespace lanwright {

struct TreeNode {
  enum class Type : std::uint8_t {
    null,
    plain,     // a scalar without quotes: number, boolean or text, as the reader of it needs
    quoted,    // a scalar that is text
    sequence,  // children are the items
    mapping,   // children are key, value, key, value, ...
    refused,   // a mistake has been told already (an alias): the decoder is silent about it
  };
  Type type = Type::null;
  std::uint32_t offset = 0;          // of its first byte in the text
  const TreeNode* parent = nullptr;  // the collection that it is in
  const TreeNode* key = nullptr;     // of a mapping's value
  TreeNode* first = nullptr;         // first child
  TreeNode* next = nullptr;          // next sibling
  std::string_view text;             // of a scalar

  bool is_scalar() const { return type == Type::plain || type == Type::quoted; }
  // The value of the first such key of a mapping; nullptr when there is none.
  const TreeNode* find(std::string_view wanted) const;
};

class Tree {
 public:
  Tree() = default;
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  Tree(Tree&&) = default;
  Tree& operator=(Tree&&) = default;
  ~Tree() = default;

  const TreeNode* root() const { return root_; }  // nullptr for a text without any value
  std::size_t size() const { return nodes_.size(); }

  // For builders.
  TreeNode& add(TreeNode::Type type, std::size_t offset);
  std::string_view keep(std::string text);  // gives the text the lifetime of the tree
  void set_root(const TreeNode& node) { root_ = &node; }

 private:
  std::deque<TreeNode> nodes_;
  std::deque<std::string> texts_;
  const TreeNode* root_ = nullptr;
};

// Both parsers: the text must be UTF-8 without control characters and outlive the tree. False when the text
// was not understood to its end, so that decoding it makes no sense. Duplicate keys, aliases and foreign tags
// are mistakes, too, but do not stop the parser.
bool read_yaml(std::string_view text, const ReadLimits& limits, Tree& tree, Diagnostics& diagnostics);

// RFC 8259. Stops at the first mistake of syntax and at a limit.
bool read_json(std::string_view text, const ReadLimits& limits, Tree& tree, Diagnostics& diagnostics);

}  // namespace lanwright
