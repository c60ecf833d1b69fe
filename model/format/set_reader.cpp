#include "model/format/set_reader.h"

#include "model/base/utf8.h"
#include "model/format/decoder.h"
#include "model/format/diagnostics.h"
#include "model/format/tree.h"

namespace lanwright {

namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

ReadOutcome refused(std::string_view text, const std::string& file, std::size_t offset, std::string message) {
  ReadOutcome outcome;
  Diagnostics diagnostics(text, 1);
  diagnostics.add_at(offset, std::move(message));
  diagnostics.report(file, outcome);
  return outcome;
}

std::string untextual_message(std::string_view text, std::size_t at) {
  constexpr char kDigits[] = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(text[at]);
  const std::string hex = std::string("0x") + kDigits[byte >> 4U] + kDigits[byte & 0xfU];
  if (byte == 0) return "a NUL byte is not text";
  const bool is_character = utf8_length(text.substr(at)) > 0;
  return is_character ? "a control character (" + hex + ") is not allowed"
                      : "byte " + hex + " is not UTF-8 text";
}

// A mapping whose first key is in quotes, or an empty one.
bool looks_like_json(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t brace = text.find_first_not_of(kBlank);
  if (brace == std::string_view::npos || text[brace] != '{') return false;
  const std::size_t next = text.find_first_not_of(kBlank, brace + 1);
  return next != std::string_view::npos && (text[next] == '"' || text[next] == '}');
}

ReadOutcome decoded(const Tree& tree, bool complete, const std::string& file, const Grammar& grammar,
                    const CheckSet& check, Diagnostics& diagnostics) {
  ReadOutcome outcome;
  if (tree.root() == nullptr && complete) {
    diagnostics.add_at(0, "the file declares nothing; it must begin with `version: 1`");
  } else if (complete) {
    outcome.set = Decoder(grammar, diagnostics).set(*tree.root(), check);
  }
  diagnostics.report(file, outcome);
  return outcome;
}

}  // namespace

ReadOutcome read_set(std::string_view text, const std::string& file, const Grammar& grammar,
                     const ReadLimits& limits, const CheckSet& check) {
  if (text.size() > limits.bytes) {
    return refused({}, file, 0, "the file is larger than " + std::to_string(limits.bytes >> 20U) + " MiB");
  }
  if (text.substr(0, kByteOrderMark.size()) == kByteOrderMark) text.remove_prefix(kByteOrderMark.size());
  const std::size_t untextual = find_untextual(text);
  if (untextual != std::string_view::npos) {
    return refused(text, file, untextual, untextual_message(text, untextual));
  }
  // JSON is YAML, but its own parser is many times faster and has better words for its mistakes. What it
  // refuses may still be YAML.
  const bool json = looks_like_json(text);
  Tree json_tree;
  Diagnostics json_mistakes(text, limits.diagnostics);
  if (json && read_json(text, limits, json_tree, json_mistakes)) {
    return decoded(json_tree, true, file, grammar, check, json_mistakes);
  }
  Tree tree;
  Diagnostics diagnostics(text, limits.diagnostics);
  const bool complete = read_yaml(text, limits, tree, diagnostics);
  return decoded(tree, complete, file, grammar, check, json && !complete ? json_mistakes : diagnostics);
}

}  // namespace lanwright
