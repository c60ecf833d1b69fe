#include "reconcilers/vde/plug/offload.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace lanwright::plug {
namespace {

using Bytes = std::span<const std::uint8_t>;
using Room = std::span<std::uint8_t>;

constexpr std::size_t kIpv4Header = 20;
constexpr std::size_t kIpv6Header = 40;
constexpr std::size_t kTcpHeader = 20;
constexpr std::size_t kUdpHeader = 8;
// Where the fields are in their headers.
constexpr std::size_t kIpv4Length = 2;
constexpr std::size_t kIpv4Identification = 4;
constexpr std::size_t kIpv4Fragment = 6;
constexpr std::size_t kIpv4Protocol = 9;
constexpr std::size_t kIpv4Checksum = 10;
constexpr std::size_t kIpv4Addresses = 12;
constexpr std::size_t kIpv6Length = 4;
constexpr std::size_t kIpv6Next = 6;
constexpr std::size_t kIpv6Addresses = 8;
constexpr std::size_t kTcpSequence = 4;
constexpr std::size_t kTcpOffset = 12;
constexpr std::size_t kTcpFlags = 13;
constexpr std::size_t kTcpChecksum = 16;
constexpr std::size_t kUdpLength = 4;
constexpr std::size_t kUdpChecksum = 6;

constexpr unsigned kFin = 0x01;
constexpr unsigned kPsh = 0x08;
constexpr unsigned kCwr = 0x80;

// Unaligned, in the byte order of the machine.
template <class Number>
Number load(const std::uint8_t* at) {
  Number number{};
  std::memcpy(&number, at, sizeof number);
  return number;
}

template <class Number>
void store(std::uint8_t* at, Number number) {
  std::memcpy(at, &number, sizeof number);
}

// `to` has the room.
void copy(Bytes from, std::uint8_t* to) {
  if (!from.empty()) {
    std::memcpy(to, from.data(), from.size());
  }
}

std::uint16_t net16(Bytes bytes, std::size_t at) {
  return ntohs(load<std::uint16_t>(bytes.data() + at));
}

void put_net16(Room bytes, std::size_t at, std::size_t number) {
  store(bytes.data() + at, htons(static_cast<std::uint16_t>(number)));
}

// RFC 1071 section 2: the sum may be made in any byte order and of wider words; carries come back in below.
std::uint64_t add(std::uint64_t sum, std::uint64_t word) {
  sum += word;
  return sum + static_cast<std::uint64_t>(sum < word);
}

std::uint64_t sum_of(Bytes bytes, std::uint64_t sum = 0) {
  constexpr std::size_t kWord = sizeof(std::uint64_t);
  const std::uint8_t* at = bytes.data();
  std::size_t left = bytes.size();
  std::array<std::uint64_t, 4> lanes{sum};  // independent of each other, so that the additions overlap
  for (; left >= lanes.size() * kWord; left -= lanes.size() * kWord) {
    for (std::uint64_t& lane : lanes) {
      lane = add(lane, load<std::uint64_t>(at));
      at += kWord;
    }
  }
  sum = add(add(lanes[0], lanes[1]), add(lanes[2], lanes[3]));
  for (; left >= kWord; left -= kWord, at += kWord) {
    sum = add(sum, load<std::uint64_t>(at));
  }
  std::uint64_t last = 0;
  if (left != 0) {
    std::memcpy(&last, at, left);
  }
  return add(sum, last);
}

std::uint16_t folded(std::uint64_t sum) {
  sum = (sum >> 32) + (sum & 0xffffffff);
  sum = (sum >> 16) + (sum & 0xffff);
  sum = (sum >> 16) + (sum & 0xffff);
  sum = (sum >> 16) + (sum & 0xffff);
  return static_cast<std::uint16_t>(sum);
}

std::uint16_t complement(std::uint16_t sum) {
  return static_cast<std::uint16_t>(~sum);
}

// A 16 bit number as it counts in a sum.
std::uint64_t term(std::size_t number) {
  return htons(static_cast<std::uint16_t>(number));
}

// Where the headers of a frame with GSO are, and what they are.
struct Headers {
  std::size_t network = 0;    // IPv4 or IPv6
  std::size_t transport = 0;  // TCP or UDP
  std::size_t payload = 0;
  std::size_t checksum = 0;  // of the transport
  std::uint8_t protocol = 0;
  bool ipv6 = false;
};

// The EtherType behind all VLAN tags; its payload's place in `network`.
std::optional<std::uint16_t> find_network(Bytes frame, Headers& headers) {
  for (std::size_t at = kMacHeader; at <= frame.size(); at += kVlanTag) {
    const std::uint16_t type = net16(frame, at - sizeof type);
    if (type != ETH_P_8021Q && type != ETH_P_8021AD) {
      headers.network = at;
      return type;
    }
  }
  return std::nullopt;
}

bool parse_ipv4(Bytes frame, Headers& headers) {
  const Bytes packet = frame.subspan(headers.network);
  if (packet.size() < kIpv4Header || packet[0] >> 4 != 4) {
    return false;
  }
  constexpr unsigned kOffsetOrMore = 0x3fff;  // the fragment's offset, and that more will follow
  const std::size_t length = (packet[0] & 0xfU) * std::size_t{4};
  headers.transport = headers.network + length;
  headers.protocol = packet[kIpv4Protocol];
  return length >= kIpv4Header && length <= packet.size() && net16(packet, kIpv4Length) == packet.size() &&
         (net16(packet, kIpv4Fragment) & kOffsetOrMore) == 0;
}

bool parse_ipv6(Bytes frame, Headers& headers) {
  const Bytes packet = frame.subspan(headers.network);
  if (packet.size() < kIpv6Header || packet[0] >> 4 != 6 ||
      net16(packet, kIpv6Length) != packet.size() - kIpv6Header) {
    return false;
  }
  headers.protocol = packet[kIpv6Next];
  std::size_t at = kIpv6Header;
  while (headers.protocol == IPPROTO_HOPOPTS || headers.protocol == IPPROTO_ROUTING ||
         headers.protocol == IPPROTO_DSTOPTS) {
    if (packet.size() - at < 8) {
      return false;
    }
    const std::size_t length = (packet[at + 1] + std::size_t{1}) * 8;
    if (packet.size() - at < length) {
      return false;
    }
    headers.protocol = packet[at];
    at += length;
  }
  headers.transport = headers.network + at;
  return true;
}

bool parse_transport(Bytes frame, Headers& headers) {
  const Bytes message = frame.subspan(headers.transport);
  std::size_t length = kUdpHeader;
  std::size_t checksum = kUdpChecksum;
  if (headers.protocol == IPPROTO_TCP) {
    if (message.size() < kTcpHeader) {
      return false;
    }
    length = (message[kTcpOffset] >> 4U) * std::size_t{4};
    checksum = kTcpChecksum;
    if (length < kTcpHeader || length > message.size()) {
      return false;
    }
  } else if (message.size() < kUdpHeader || net16(message, kUdpLength) != message.size()) {
    return false;
  }
  headers.payload = headers.transport + length;
  headers.checksum = headers.transport + checksum;
  return true;
}

// What gso_type says the frame is.
bool is_of_type(const Headers& headers, std::uint8_t gso_type) {
  switch (gso_type) {
    case VIRTIO_NET_HDR_GSO_TCPV4:
    case VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN:
      return headers.protocol == IPPROTO_TCP && !headers.ipv6;
    case VIRTIO_NET_HDR_GSO_TCPV6:
    case VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN:
      return headers.protocol == IPPROTO_TCP && headers.ipv6;
    case kGsoUdpL4:
      return headers.protocol == IPPROTO_UDP;
    default:
      return false;
  }
}

bool has_checksum_place(const virtio_net_hdr& header, const Headers& headers) {
  if ((header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0) {
    return header.csum_start == headers.transport &&
           header.csum_offset == headers.checksum - headers.transport;
  }
  return headers.transport == headers.network + (headers.ipv6 ? kIpv6Header : kIpv4Header);
}

std::optional<Headers> parse(const virtio_net_hdr& header, Bytes frame) {
  Headers headers;
  const auto type = find_network(frame, headers);
  headers.ipv6 = type == ETH_P_IPV6;
  const bool sound = headers.ipv6       ? parse_ipv6(frame, headers)
                     : type == ETH_P_IP ? parse_ipv4(frame, headers)
                                        : false;
  if (!sound || !is_of_type(headers, header.gso_type) || !parse_transport(frame, headers) ||
      !has_checksum_place(header, headers)) {
    return std::nullopt;
  }
  return headers;
}

// The sum of the pseudo header without the length, which is what differs between segments.
std::uint64_t pseudo_sum(const virtio_net_hdr& header, Bytes frame, const Headers& headers) {
  if ((header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0) {
    const auto length = static_cast<std::uint16_t>(term(frame.size() - headers.transport));
    return std::uint64_t{load<std::uint16_t>(frame.data() + headers.checksum)} + complement(length);
  }
  const Bytes addresses = headers.ipv6 ? frame.subspan(headers.network + kIpv6Addresses, 32)
                                       : frame.subspan(headers.network + kIpv4Addresses, 8);
  return sum_of(addresses, term(headers.protocol));
}

// Makes the headers of one segment after the other, at the start of a buffer that holds those of the frame.
class HeaderWriter {
 public:
  HeaderWriter(const Headers& headers, Room buffer, std::uint64_t pseudo)
      : headers_(headers),
        buffer_(buffer),
        pseudo_(pseudo),
        identification_(headers.ipv6 ? 0U : net16(buffer, headers.network + kIpv4Identification)) {
    if (headers.protocol == IPPROTO_TCP) {
      sequence_ = ntohl(load<std::uint32_t>(buffer.data() + headers.transport + kTcpSequence));
      flags_ = buffer[headers.transport + kTcpFlags];
    }
  }

  // The next segment is the first `size` bytes of the buffer, payload included.
  void write(std::size_t size, bool last) {
    const Room segment = buffer_.first(size);
    if (headers_.ipv6) {
      put_net16(segment, headers_.network + kIpv6Length, size - headers_.network - kIpv6Header);
    } else {
      write_ipv4(segment);
    }
    if (headers_.protocol == IPPROTO_TCP) {
      write_tcp(segment, last);
    } else {
      put_net16(segment, headers_.transport + kUdpLength, size - headers_.transport);
    }
    write_checksum(segment);
  }

 private:
  void write_ipv4(Room segment) {
    const Room header = segment.subspan(headers_.network, headers_.transport - headers_.network);
    put_net16(header, kIpv4Length, segment.size() - headers_.network);
    put_net16(header, kIpv4Identification, identification_);
    put_net16(header, kIpv4Checksum, 0);
    store(header.data() + kIpv4Checksum, complement(folded(sum_of(header))));
    ++identification_;
  }

  void write_tcp(Room segment, bool last) {
    std::uint8_t* header = segment.data() + headers_.transport;
    store(header + kTcpSequence, htonl(sequence_));
    header[kTcpFlags] = static_cast<std::uint8_t>(last ? flags_ : flags_ & ~(kFin | kPsh));
    flags_ &= ~kCwr;
    sequence_ += static_cast<std::uint32_t>(segment.size() - headers_.payload);
  }

  void write_checksum(Room segment) {
    std::uint8_t* checksum = segment.data() + headers_.checksum;
    store(checksum, folded(pseudo_ + term(segment.size() - headers_.transport)));
    const std::uint16_t sum = complement(folded(sum_of(segment.subspan(headers_.transport))));
    const bool none = sum == 0 && headers_.protocol == IPPROTO_UDP;  // which to UDP means: no checksum
    store(checksum, none ? std::uint16_t{0xffff} : sum);
  }

  Headers headers_;
  Room buffer_;
  std::uint64_t pseudo_;
  std::uint16_t identification_;
  std::uint32_t sequence_ = 0;
  unsigned flags_ = 0;
};

}  // namespace

bool complete_checksum(const virtio_net_hdr& header, Room frame) {
  const std::size_t start = header.csum_start;
  const std::size_t place = start + header.csum_offset;
  if (start < kMacHeader || place + sizeof(std::uint16_t) > frame.size()) {
    return false;
  }
  const std::uint16_t sum = complement(folded(sum_of(frame.subspan(start))));
  store(frame.data() + place, sum == 0 ? std::uint16_t{0xffff} : sum);
  return true;
}

Outcome Segmenter::run(const virtio_net_hdr& header, Bytes frame, const Sink& emit) {
  if (frame.size() < kMacHeader || frame.size() > kMaxFrame) {
    return Outcome::malformed;
  }
  if (header.gso_type != VIRTIO_NET_HDR_GSO_NONE) {
    return cut(header, frame, emit);
  }
  if ((header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0) {
    emit(frame);
    return Outcome::emitted;
  }
  copy(frame, buffer_.data());
  const Room completed = Room(buffer_).first(frame.size());
  if (!complete_checksum(header, completed)) {
    return Outcome::malformed;
  }
  emit(completed);
  return Outcome::emitted;
}

Outcome Segmenter::cut(const virtio_net_hdr& header, Bytes frame, const Sink& emit) {
  if (header.gso_size == 0 || header.hdr_len > frame.size()) {
    return Outcome::malformed;
  }
  const auto headers = parse(header, frame);
  if (!headers) {
    return Outcome::malformed;
  }
  const std::span buffer(buffer_);
  copy(frame.first(headers->payload), buffer.data());
  HeaderWriter writer(*headers, buffer, pseudo_sum(header, frame, *headers));
  Bytes rest = frame.subspan(headers->payload);
  do {
    const Bytes part = rest.first(std::min<std::size_t>(rest.size(), header.gso_size));
    rest = rest.subspan(part.size());
    copy(part, buffer.data() + headers->payload);
    const std::size_t size = headers->payload + part.size();
    writer.write(size, rest.empty());
    emit(buffer.first(size));
  } while (!rest.empty());
  return Outcome::emitted;
}

std::optional<VlanTag> stripped_tag(const tpacket_auxdata& auxiliary) {
  if ((auxiliary.tp_status & TP_STATUS_VLAN_VALID) == 0) {
    return std::nullopt;
  }
  const bool told = (auxiliary.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0;
  return VlanTag{told ? auxiliary.tp_vlan_tpid : std::uint16_t{ETH_P_8021Q}, auxiliary.tp_vlan_tci};
}

Room insert_vlan_tag(virtio_net_hdr& header, Room buffer, VlanTag tag) {
  constexpr std::size_t kAddresses = 12;
  if (buffer.size() < kVlanTag + kMacHeader) {
    return buffer.subspan(std::min(buffer.size(), kVlanTag));
  }
  std::memmove(buffer.data(), buffer.data() + kVlanTag, kAddresses);
  put_net16(buffer, kAddresses, tag.tpid);
  put_net16(buffer, kAddresses + 2, tag.tci);
  if ((header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0) {
    // Past 16 bits it falls among the MAC addresses, where it is as wrong as it was beyond the frame.
    header.csum_start = static_cast<std::uint16_t>(header.csum_start + kVlanTag);
  }
  if (header.hdr_len != 0) {
    header.hdr_len = static_cast<std::uint16_t>(std::min<std::size_t>(header.hdr_len + kVlanTag, 0xffff));
  }
  return buffer;
}

}  // namespace lanwright::plug
