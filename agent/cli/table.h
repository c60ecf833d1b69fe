// Text for people: tables aligned by display width, colours, JSON as YAML. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/format/json.h"

namespace lanwright::cli {

enum class Colour : std::uint8_t { none, green, yellow, red };

// Columns of a terminal that the text takes (wide characters two, combining ones none; Unicode by the C.UTF-8
// locale's tables). Bytes that are no UTF-8 count one each.
std::size_t display_width(std::string_view text);

// The text on one line and without control characters: names and the words of others must not steer a
// terminal.
std::string one_line(std::string_view text);

std::string coloured(std::string_view text, Colour colour);  // SGR sequences (ECMA-48) around it

class Table {
 public:
  struct Cell {
    std::string text;
    Colour colour = Colour::none;
  };
  using Row = std::vector<Cell>;

  explicit Table(std::vector<std::string> header);
  void add(Row row);  // as many cells as the header; an empty one is shown as "-"
  // The first columns are at least so wide, whatever is in them.
  void keep_width(std::vector<std::size_t> widths) { least_ = std::move(widths); }
  bool empty() const { return rows_.empty(); }
  // Columns are three blanks apart, the last one is not padded.
  void print(std::ostream& out, bool colour) const;

 private:
  Row header_;
  std::vector<Row> rows_;
  std::vector<std::size_t> least_;
};

// The value as YAML 1.1 in block style, keys in their order; any YAML reader gives the same value back.
std::string yaml_text(const Json& value);

}  // namespace lanwright::cli
