#include "model/link.h"

#include <string_view>

namespace lanwright {

namespace {

constexpr std::string_view kMarkPrefix = "lanwright:";
constexpr std::size_t kUidDigits = 16;

bool is_uid(std::string_view text) {
  return text.size() == kUidDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

std::string LinkName::text() const {
  return netns.empty() ? name : name + " in " + netns;
}

std::string OwnerTag::text() const {
  std::string text(kMarkPrefix);
  text += uid;
  if (!role.empty()) text += "/" + role;
  return text;
}

std::optional<OwnerTag> OwnerTag::parse(const std::string& alias) {
  std::string_view rest = alias;
  if (rest.substr(0, kMarkPrefix.size()) != kMarkPrefix) return std::nullopt;
  rest.remove_prefix(kMarkPrefix.size());
  const std::size_t slash = rest.find('/');
  const std::string_view uid = rest.substr(0, slash);
  if (!is_uid(uid)) return std::nullopt;
  OwnerTag mark{std::string(uid), {}};
  if (slash == std::string_view::npos) return mark;
  mark.role = rest.substr(slash + 1);
  // "UID/" is not what text() writes for any mark.
  return mark.role.empty() ? std::nullopt : std::optional(mark);
}

}  // namespace lanwright
