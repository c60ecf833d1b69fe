// MAC and IP addresses as plain comparable values. Parsing is strict: what `ip` would not print is refused.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lanwright {

struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};
  auto operator<=>(const MacAddress&) const = default;
  bool is_multicast() const { return (bytes[0] & 1U) != 0; }
  std::string text() const;  // "02:00:00:00:01:01"
  static std::optional<MacAddress> parse(std::string_view text);
};

// An IPv4 or IPv6 address; `family` is AF_INET or AF_INET6. IPv4 uses the first four bytes, the others are 0.
struct IpAddress {
  std::uint8_t family = 0;
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(const IpAddress&) const = default;  // NOLINT(modernize-use-nullptr): misled by <=>
  std::size_t size() const;                            // 4 or 16
  std::string text() const;
  IpAddress next() const;  // the one behind it; behind the last of all comes the first
  static std::optional<IpAddress> parse(std::string_view text);
};

// An address with a prefix length: "10.0.0.1/24". Host bits are kept (see network()).
struct IpPrefix {
  IpAddress address;
  std::uint8_t length = 0;
  auto operator<=>(const IpPrefix&) const = default;  // NOLINT(modernize-use-nullptr): misled by <=>
  IpPrefix network() const;                           // host bits cleared
  bool contains(const IpAddress& other) const;        // false when the families differ
  bool overlaps(const IpPrefix& other) const;
  IpAddress last() const;  // host bits set
  // Whether nobody may have this address of the prefix: the network and the broadcast address of IPv4, the
  // routers' anycast address of IPv6 (RFC 4291, 2.6.1). Pairs (RFC 3021, RFC 6164) and single addresses have
  // none.
  bool is_special(const IpAddress& other) const;
  std::string text() const;
  static std::optional<IpPrefix> parse(std::string_view text);  // the length is required
};

// What keeps interfaces from having an address of this prefix, if anything of it does: "multicast",
// "loopback", "unspecified" or "broadcast"; nullptr otherwise. Sources: RFC 6890, RFC 4291, 2.4.
const char* unusable_kind(const IpPrefix& prefix);
const char* unusable_kind(const IpAddress& address);

}  // namespace lanwright
