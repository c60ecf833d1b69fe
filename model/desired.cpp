#include "model/desired.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "model/base/names.h"

namespace lanwright {
namespace {

// Taken off `text` when it begins so.
template <std::size_t N>
bool take_one(std::string_view& text, const std::array<std::string_view, N>& words) {
  const auto found =
      std::ranges::find_if(words, [&](std::string_view word) { return text.starts_with(word); });
  if (found == words.end()) return false;
  text.remove_prefix(found->size());
  return true;
}

bool is_of_setting(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_printable(char c) {
  return c > ' ' && c <= '~';
}

}  // namespace

std::optional<Sysctl> interface_sysctl(std::string_view text) {
  using std::literals::operator""sv;
  const std::size_t equals = std::min(text.find('='), text.size());
  std::string_view rest = text.substr(0, equals);
  if (!take_one(rest, std::array{"net.ipv4."sv, "net.ipv6."sv, "net.mpls."sv}) ||
      !take_one(rest, std::array{"conf."sv, "neigh."sv}))
    return std::nullopt;
  const std::string_view head = text.substr(0, equals - rest.size());
  if (!take_one(rest, std::array{"IFNAME."sv, "ifname."sv})) return std::nullopt;
  if (rest.empty() || !std::ranges::all_of(rest, is_of_setting)) return std::nullopt;
  const std::string_view value = text.substr(std::min(equals + 1, text.size()));
  if (value.empty() || !std::ranges::all_of(value, is_printable)) return std::nullopt;
  return Sysctl{std::string(head) + "IFNAME." + std::string(rest), std::string(value)};
}

Sysctl without_ipv6() {
  return {"net.ipv6.conf.IFNAME.disable_ipv6", "1"};
}

std::uint32_t effective_metric(const RouteSpec& route) {
  constexpr std::uint32_t kIpv6Default = 1024;
  const std::uint32_t said = route.metric.value_or(0);
  return said == 0 && route.to.address.family == AF_INET6 ? kIpv6Default : said;
}

bool has_same_place(const RouteSpec& a, const RouteSpec& b) {
  return a.to.network() == b.to.network() && effective_metric(a) == effective_metric(b);
}

std::optional<std::uint16_t> vid_of(std::string_view digits) {
  std::uint16_t vid = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), vid);
  const bool number = error == std::errc{} && end == digits.data() + digits.size() && digits.front() != '0';
  return number && vid <= kLastVid ? std::optional(vid) : std::nullopt;
}

std::string VlanRange::text() const {
  return first == last ? std::to_string(first) : std::to_string(first) + "-" + std::to_string(last);
}

std::vector<VlanRange> ranges_of(const std::vector<std::uint16_t>& vids) {
  std::vector<VlanRange> ranges;
  for (const std::uint16_t vid : vids) {
    if (!ranges.empty() && ranges.back().last + 1 == vid)
      ranges.back().last = vid;
    else
      ranges.push_back({vid, vid});
  }
  return ranges;
}

std::optional<VlanSpec> vlan_named(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string::npos || dot == 0 || interface_name_fault(name) != nullptr) return std::nullopt;
  const std::string parent = name.substr(0, dot);
  const auto vid = vid_of(std::string_view(name).substr(dot + 1));
  if (!vid || (parent.find('.') != std::string::npos && !vlan_named(parent))) return std::nullopt;
  VlanSpec vlan;
  vlan.parent = parent;
  vlan.id = *vid;
  return vlan;
}

std::string netns_path(const std::string& netns) {
  if (netns.empty() || netns.front() == '/') return netns;
  return "/run/netns/" + netns;
}

}  // namespace lanwright
