#include "agent/cli/table.h"

#include <clocale>
#include <cwchar>

#include <algorithm>
#include <array>
#include <cctype>
#include <ostream>
#include <utility>

namespace lanwright::cli {
namespace {

// Widths must not depend on the user's locale: in "C" everything beyond ASCII would have none.
class Utf8Locale {
 public:
  Utf8Locale() : before_(::uselocale(shared())) {}
  ~Utf8Locale() { ::uselocale(before_); }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  static locale_t shared() {
    static const locale_t locale = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return locale;  // null (not installed) leaves the current one
  }
  locale_t before_;
};

// Calls visit(bytes, code point) for each character; a code point of -1 is a byte that is no UTF-8.
template <class Visit>
void each_character(std::string_view text, Visit&& visit) {
  const Utf8Locale locale;
  std::mbstate_t state{};
  while (!text.empty()) {
    wchar_t character = 0;
    std::size_t size = std::mbrtowc(&character, text.data(), text.size(), &state);
    const bool broken = size > text.size();
    if (broken) state = {};
    if (broken || size == 0) size = 1;
    visit(text.substr(0, size), broken ? -1 : static_cast<std::int64_t>(character));
    text.remove_prefix(size);
  }
}

std::size_t width_of(std::int64_t character) {
  const int width = character < 0 ? 1 : ::wcwidth(static_cast<wchar_t>(character));
  return width < 0 ? 1 : static_cast<std::size_t>(width);
}

bool is_control(std::int64_t character) {
  // C0, DEL, C1, and what reorders text (Unicode bidirectional controls).
  return character < 0x20 || (character >= 0x7f && character < 0xa0) ||
         (character >= 0x202a && character <= 0x202e) || (character >= 0x2066 && character <= 0x2069);
}

// Whether a YAML reader takes the text, written without quotes, as this very string.
bool is_plain_yaml(const std::string& text) {
  constexpr std::array kWords{"y", "n", "yes", "no", "on", "off", "true", "false", "null"};
  constexpr std::string_view kInside = "_-./+=@()";
  if (text.empty() || text.back() == ' ') return false;
  if (std::isalpha(static_cast<unsigned char>(text.front())) == 0 && text.front() != '/') return false;
  std::string lower;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 || (std::isalnum(byte) == 0 && c != ' ' && kInside.find(c) == std::string_view::npos))
      return false;
    lower += static_cast<char>(std::tolower(byte));
  }
  return std::find(kWords.begin(), kWords.end(), lower) == kWords.end();
}

std::string yaml_scalar(const Json& value) {
  if (value.is_string() && is_plain_yaml(value.get_ref<const std::string&>()))
    return value.get<std::string>();
  // JSON's scalars and quoted strings are YAML.
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void write_yaml(const Json& value, const std::string& indent, std::string& out);

// Behind "key:" or "-": on the same line when it is a scalar or empty.
void write_member(const Json& value, const std::string& indent, std::string& out) {
  if (value.is_structured() && !value.empty()) {
    out += '\n';
    write_yaml(value, indent, out);
    return;
  }
  out += ' ' + (value.is_structured() ? value.dump() : yaml_scalar(value)) + '\n';
}

void write_sequence(const Json& value, const std::string& indent, std::string& out) {
  for (const Json& each : value) {
    if (!each.is_structured() || each.empty()) {
      out += indent + '-';
      write_member(each, indent, out);
      continue;
    }
    // The first line of what is inside goes behind the dash.
    std::string inside;
    write_yaml(each, indent + "  ", inside);
    out += indent + "- " + inside.substr(indent.size() + 2);
  }
}

void write_yaml(const Json& value, const std::string& indent, std::string& out) {
  if (value.is_array()) return write_sequence(value, indent, out);
  for (const auto& [key, member] : value.items()) {
    out += indent + yaml_scalar(key) + ':';
    write_member(member, indent + "  ", out);
  }
}

}  // namespace

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  each_character(text, [&](std::string_view, std::int64_t character) { width += width_of(character); });
  return width;
}

std::string one_line(std::string_view text) {
  std::string out;
  each_character(text, [&](std::string_view bytes, std::int64_t character) {
    if (character == '\n' || character == '\t' || character == '\r') {
      if (!out.empty() && out.back() != ' ') out += ' ';
    } else if (is_control(character)) {
      out += '?';
    } else {
      out += bytes;
    }
  });
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

std::string coloured(std::string_view text, Colour colour) {
  constexpr std::array kBegin{"", "\x1b[32m", "\x1b[33m", "\x1b[31m"};
  if (colour == Colour::none) return std::string(text);
  return kBegin[static_cast<std::size_t>(colour)] + std::string(text) + "\x1b[0m";
}

Table::Table(std::vector<std::string> header) {
  for (std::string& name : header) header_.push_back({std::move(name), Colour::none});
}

void Table::add(Row row) {
  row.resize(header_.size());
  for (Cell& cell : row) {
    cell.text = one_line(cell.text);
    if (cell.text.empty()) cell.text = "-";
  }
  rows_.push_back(std::move(row));
}

void Table::print(std::ostream& out, bool colour) const {
  constexpr std::size_t kGap = 3;
  std::vector<std::size_t> widths = least_;
  widths.resize(header_.size());
  const auto measure = [&](const Row& row) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i].text));
  };
  const auto write = [&](const Row& row) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out << coloured(row[i].text, colour ? row[i].colour : Colour::none);
      if (i + 1 < row.size()) out << std::string(widths[i] - display_width(row[i].text) + kGap, ' ');
    }
    out << '\n';
  };
  measure(header_);
  for (const Row& row : rows_) measure(row);
  write(header_);
  for (const Row& row : rows_) write(row);
}

std::string yaml_text(const Json& value) {
  if (!value.is_structured()) return yaml_scalar(value) + '\n';
  if (value.empty()) return value.dump() + '\n';
  std::string out;
  write_yaml(value, "", out);
  return out;
}

}  // namespace lanwright::cli
