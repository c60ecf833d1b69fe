#include "model/base/names.h"

#include <algorithm>

namespace lanwright {

namespace {

constexpr std::size_t kInterfaceName = 15;     // IFNAMSIZ - 1
constexpr std::size_t kAlternativeName = 127;  // ALTIFNAMSIZ - 1
constexpr std::size_t kObjectName = 63;

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// The kernel's isspace() knows Latin-1: the byte of U+00A0 is a blank to it, inside of a UTF-8 character,
// too.
bool is_kernel_blank(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= 0x20 || byte == 0x7f || byte == 0xa0;
}

}  // namespace

namespace {

const char* fault_of(std::string_view text) {
  if (text.empty()) return "must not be empty";
  if (text == "." || text == "..") return "is not allowed by the kernel";
  // /proc/sys/net/ipv4/conf has directories of these names (sysctl_dev_name_is_allowed()).
  if (text == "all" || text == "default")
    return "is not allowed by the kernel: sysctl has it for all interfaces";
  if (std::any_of(text.begin(), text.end(), is_kernel_blank)) return "has a blank or control character in it";
  if (text.find('/') != std::string_view::npos) return "has a `/` in it";
  if (text.find(':') != std::string_view::npos) return "has a `:` in it";
  if (text.find('%') != std::string_view::npos) return "has a `%` in it";
  return nullptr;
}

}  // namespace

const char* interface_name_fault(std::string_view text) {
  return text.size() > kInterfaceName ? "is longer than 15 bytes" : fault_of(text);
}

const char* interface_reference_fault(std::string_view text) {
  return text.size() > kAlternativeName ? "is longer than 127 bytes" : fault_of(text);
}

bool is_object_name(std::string_view text) {
  if (text.empty() || text.size() > kObjectName || !is_alphanumeric(text.front())) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

}  // namespace lanwright
