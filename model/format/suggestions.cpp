#include "model/format/suggestions.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "model/base/utf8.h"

namespace lanwright {

namespace {

constexpr std::size_t kQuotedBytes = 64;
constexpr std::size_t kWordBytes = 64;  // longer words get no suggestion

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_but_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

// Optimal string alignment: insertion, deletion, substitution and the swap of neighbours cost one each.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  using Row = std::array<std::size_t, kWordBytes + 1>;
  Row before{};
  Row last{};
  Row row{};
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0U : 1U;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = last;
    last = row;
  }
  return last[b.size()];
}

}  // namespace

std::string quote(std::string_view text) {
  if (text.size() <= kQuotedBytes) return "`" + printable(text) + "`";
  return "`" + printable(text.substr(0, character_start(text, kQuotedBytes))) + "..." + "`";
}

// A third of the word may be wrong: `stpp` is near `stp`, `foo` is not near `mtu`.
Nearest::Nearest(std::string_view word)
    : word_(word),
      best_distance_(word.size() > kWordBytes ? 0 : std::clamp<std::size_t>(word.size() / 3, 1, 3) + 1) {}

void Nearest::offer(std::string_view candidate) {
  if (best_distance_ == 0 || candidate.empty() || candidate.size() > kWordBytes) return;
  const std::size_t longer = std::max(candidate.size(), word_.size());
  const std::size_t shorter = std::min(candidate.size(), word_.size());
  std::size_t distance = 0;
  if (!same_but_case(candidate, word_)) {
    if (longer - shorter >= best_distance_) return;
    distance = edit_distance(word_, candidate);
    if (distance >= shorter) return;  // nothing in common
  }
  if (distance >= best_distance_) return;
  best_ = candidate;
  best_distance_ = distance;
}

}  // namespace lanwright
