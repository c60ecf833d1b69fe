#include "model/base/addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace lanwright {

namespace {

std::optional<std::uint8_t> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<std::uint8_t>(c - 'A' + 10);
  return std::nullopt;
}

constexpr std::size_t kMacText = 17;

// The bits of byte `index` that belong to the first `length` bits of an address.
std::uint8_t mask_byte(std::size_t index, unsigned length) {
  const unsigned from = static_cast<unsigned>(index) * 8;
  if (length >= from + 8) return 0xff;
  if (length <= from) return 0;
  return static_cast<std::uint8_t>(0xff00U >> (length - from));
}

bool same_bits(const IpAddress& a, const IpAddress& b, unsigned length) {
  if (a.family != b.family) return false;
  for (std::size_t i = 0; i < a.size() && i * 8 < length; ++i) {
    if (((a.bytes[i] ^ b.bytes[i]) & mask_byte(i, length)) != 0) return false;
  }
  return true;
}

}  // namespace

std::string MacAddress::text() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(kMacText, ':');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    text[i * 3] = kDigits[bytes[i] >> 4U];
    text[i * 3 + 1] = kDigits[bytes[i] & 0xfU];
  }
  return text;
}

std::optional<MacAddress> MacAddress::parse(std::string_view text) {
  if (text.size() != kMacText) return std::nullopt;
  MacAddress mac;
  for (std::size_t i = 0; i < mac.bytes.size(); ++i) {
    const auto high = hex_digit(text[i * 3]);
    const auto low = hex_digit(text[i * 3 + 1]);
    if (!high || !low) return std::nullopt;
    if (i > 0 && text[i * 3 - 1] != ':') return std::nullopt;
    mac.bytes[i] = static_cast<std::uint8_t>(*high << 4U | *low);
  }
  return mac;
}

std::size_t IpAddress::size() const {
  return family == AF_INET6 ? sizeof(in6_addr) : sizeof(in_addr);
}

std::string IpAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  const int family_number = family == AF_INET6 ? AF_INET6 : AF_INET;
  return inet_ntop(family_number, bytes.data(), buffer.data(), buffer.size());
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (text.size() >= buffer.size()) return std::nullopt;
  if (text.find('\0') != std::string_view::npos) return std::nullopt;  // inet_pton() would stop there
  std::copy(text.begin(), text.end(), buffer.begin());
  IpAddress address;
  address.family = text.find(':') == std::string_view::npos ? AF_INET : AF_INET6;
  if (inet_pton(address.family, buffer.data(), address.bytes.data()) != 1) return std::nullopt;
  return address;
}

IpAddress IpAddress::next() const {
  IpAddress result = *this;
  for (std::size_t i = size(); i-- > 0;) {
    if (++result.bytes[i] != 0) break;
  }
  return result;
}

IpPrefix IpPrefix::network() const {
  IpPrefix result = *this;
  for (std::size_t i = 0; i < address.size(); ++i) result.address.bytes[i] &= mask_byte(i, length);
  return result;
}

bool IpPrefix::contains(const IpAddress& other) const {
  return same_bits(address, other, length);
}

bool IpPrefix::overlaps(const IpPrefix& other) const {
  return same_bits(address, other.address, std::min(length, other.length));
}

IpAddress IpPrefix::last() const {
  IpAddress result = address;
  for (std::size_t i = 0; i < address.size(); ++i)
    result.bytes[i] = static_cast<std::uint8_t>(result.bytes[i] | (0xffU & ~mask_byte(i, length)));
  return result;
}

bool IpPrefix::is_special(const IpAddress& other) const {
  if (length + 1U >= address.size() * 8) return false;
  const bool broadcast = other.family == AF_INET && other == last();
  return broadcast || other == network().address;
}

std::string IpPrefix::text() const {
  return address.text() + "/" + std::to_string(length);
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = IpAddress::parse(text.substr(0, slash));
  const std::string_view digits = text.substr(slash + 1);
  if (!address || digits.empty() || digits.size() > 3) return std::nullopt;
  if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
  unsigned length = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  if (length > address->size() * 8) return std::nullopt;
  return IpPrefix{*address, static_cast<std::uint8_t>(length)};
}

const char* unusable_kind(const IpPrefix& prefix) {
  struct Range {
    const char* prefix;
    const char* kind;
  };
  static constexpr std::array<Range, 7> kRanges{{{"224.0.0.0/4", "multicast"},
                                                 {"ff00::/8", "multicast"},
                                                 {"127.0.0.0/8", "loopback"},
                                                 {"::1/128", "loopback"},
                                                 {"0.0.0.0/8", "unspecified"},
                                                 {"::/128", "unspecified"},
                                                 {"255.255.255.255/32", "broadcast"}}};
  static const auto kParsed = [] {
    std::array<IpPrefix, kRanges.size()> parsed;
    std::transform(kRanges.begin(), kRanges.end(), parsed.begin(),
                   [](const Range& range) { return IpPrefix::parse(range.prefix).value(); });
    return parsed;
  }();
  for (std::size_t i = 0; i < kRanges.size(); ++i) {
    if (kParsed[i].address.family == prefix.address.family && kParsed[i].overlaps(prefix))
      return kRanges[i].kind;
  }
  return nullptr;
}

const char* unusable_kind(const IpAddress& address) {
  return unusable_kind(IpPrefix{address, static_cast<std::uint8_t>(address.size() * 8)});
}

}  // namespace lanwright
