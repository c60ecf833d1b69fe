#include "api/rest/pcap_file.h"

#include <array>
#include <cstring>

namespace lanwright::rest {
namespace {

constexpr std::uint32_t kMagic = 0xa1b2c3d4;  // microseconds
constexpr std::uint16_t kMajor = 2;
constexpr std::uint16_t kMinor = 4;
constexpr std::uint32_t kEthernet = 1;  // LINKTYPE_ETHERNET
constexpr std::size_t kHeaderSize = 24;
constexpr std::size_t kRecordHeaderSize = 16;
constexpr std::size_t kCapturedAt = 8;  // where a record says how much of the packet follows

template <class Number>
void append(std::string& out, Number number) {
  std::array<char, sizeof number> bytes{};
  std::memcpy(bytes.data(), &number, sizeof number);
  out.append(bytes.data(), bytes.size());
}

std::uint32_t number_in(std::string_view bytes) {
  std::uint32_t number = 0;
  std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}

}  // namespace

std::string pcap_header() {
  std::string out;
  append(out, kMagic);
  append(out, kMajor);
  append(out, kMinor);
  append(out, std::uint32_t{0});  // reserved
  append(out, std::uint32_t{0});  // reserved
  append(out, kSnapLength);
  append(out, kEthernet);
  return out;
}

void append_record(std::string& out, const Packet& packet) {
  const auto since = packet.time.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  append(out, static_cast<std::uint32_t>(seconds.count()));
  append(out, static_cast<std::uint32_t>((since - seconds).count()));
  append(out, static_cast<std::uint32_t>(packet.bytes.size()));
  append(out, packet.length);
  out += packet.bytes;
}

std::size_t PcapCutter::size_of_next(std::string_view left) {
  if (!began_) {
    if (left.size() >= sizeof kMagic && number_in(left) != kMagic) fault_ = "it is no pcap of this machine";
    return kHeaderSize;
  }
  if (left.size() < kRecordHeaderSize) return kRecordHeaderSize;
  const std::uint32_t captured = number_in(left.substr(kCapturedAt));
  if (captured > kSnapLength) fault_ = "a packet is longer than the header allows";
  return kRecordHeaderSize + captured;
}

bool PcapCutter::feed(std::string_view piece, const std::function<bool(std::string_view)>& on_part) {
  rest_ += piece;
  std::string_view left = rest_;
  bool goes_on = true;
  while (goes_on) {
    const std::size_t size = size_of_next(left);
    if (!fault_.empty() || left.size() < size) break;
    if (began_) ++records_;
    began_ = true;
    goes_on = on_part(left.substr(0, size));
    left.remove_prefix(size);
  }
  rest_.erase(0, rest_.size() - left.size());
  return goes_on && fault_.empty();
}

}  // namespace lanwright::rest
