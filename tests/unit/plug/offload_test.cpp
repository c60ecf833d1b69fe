// Segments and checksums against a naive implementation, which builds every expected frame from scratch.
#include "reconcilers/vde/plug/offload.h"

#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <utility>

namespace lanwright::plug {
namespace {

using Frame = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;

void append(Frame& to, View bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}
void append16(Frame& to, std::size_t number) {
  to.push_back(static_cast<std::uint8_t>(number >> 8));
  to.push_back(static_cast<std::uint8_t>(number));
}
void append32(Frame& to, std::size_t number) {
  append16(to, number >> 16 & 0xffff);
  append16(to, number & 0xffff);
}
void set16(Frame& in, std::size_t at, std::size_t number) {
  in[at] = static_cast<std::uint8_t>(number >> 8);
  in[at + 1] = static_cast<std::uint8_t>(number);
}

// RFC 1071, one 16 bit word after the other.
std::uint32_t naive_sum(View bytes, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    sum += i % 2 == 0 ? bytes[i] * 256U : bytes[i];
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return sum;
}

// A TCP or UDP frame before its payload is known.
struct Spec {
  struct Extension {
    std::uint8_t type;
    std::size_t size;  // a multiple of 8
  };
  std::vector<plug::VlanTag> tags;
  bool ipv6 = false;
  bool tcp = true;
  std::vector<Extension> extensions;  // IPv6
  std::size_t ip_options = 0;         // IPv4, a multiple of 4
  std::size_t tcp_options = 0;        // a multiple of 4
  std::uint32_t sequence = 0;
  std::uint16_t identification = 0;
  std::uint8_t flags = 0x10;
  Frame addresses = Frame(40, 0x5a);  // source, destination, and room for a final destination

  std::size_t network() const { return 14 + 4 * tags.size(); }
  std::size_t transport() const {
    std::size_t at = network() + (ipv6 ? 40 : 20 + ip_options);
    for (const Extension& extension : extensions) {
      at += extension.size;
    }
    return at;
  }
  std::size_t payload() const { return transport() + (tcp ? 20 + tcp_options : 8); }
  std::size_t checksum_offset() const { return tcp ? 16 : 6; }
  bool source_routed() const {
    return std::ranges::any_of(extensions, [](const Extension& e) { return e.type == IPPROTO_ROUTING; });
  }
};

enum class Checksum : std::uint8_t { partial, complete, nonzero, wrong };  // nonzero: complete, TCP's too

View source(const Spec& spec) {
  return View(spec.addresses).first(spec.ipv6 ? 16 : 4);
}
View destination(const Spec& spec) {
  return View(spec.addresses).subspan(16, spec.ipv6 ? 16 : 4);
}
// What is in the pseudo header.
View final_destination(const Spec& spec) {
  return View(spec.addresses).subspan(spec.source_routed() ? 24 : 16, spec.ipv6 ? 16 : 4);
}

void append_ipv4(Frame& frame, const Spec& spec, std::size_t transport_size) {
  Frame header;
  header.push_back(static_cast<std::uint8_t>(0x45 + spec.ip_options / 4));
  header.push_back(0x02);  // ECT(0)
  append16(header, 20 + spec.ip_options + transport_size);
  append16(header, spec.identification);
  append16(header, 0x4000);  // DF
  header.push_back(63);
  header.push_back(spec.tcp ? 6 : 17);
  append16(header, 0);
  append(header, source(spec));
  append(header, destination(spec));
  header.insert(header.end(), spec.ip_options, 1);  // no operation
  set16(header, 10, 0xffff - naive_sum(header));
  append(frame, header);
}

void append_ipv6(Frame& frame, const Spec& spec, std::size_t transport_size) {
  append32(frame, 0x60212345);
  append16(frame, spec.transport() - spec.network() - 40 + transport_size);
  const std::uint8_t last = spec.tcp ? 6 : 17;
  frame.push_back(spec.extensions.empty() ? last : spec.extensions.front().type);
  frame.push_back(62);
  append(frame, source(spec));
  append(frame, destination(spec));
  for (std::size_t i = 0; i < spec.extensions.size(); ++i) {
    const std::size_t size = spec.extensions[i].size;
    frame.push_back(i + 1 < spec.extensions.size() ? spec.extensions[i + 1].type : last);
    frame.push_back(static_cast<std::uint8_t>(size / 8 - 1));
    frame.insert(frame.end(), size - 2, static_cast<std::uint8_t>(size));
  }
}

Frame transport(const Spec& spec, View payload) {
  Frame message;
  append16(message, 40000);
  append16(message, 443);
  if (spec.tcp) {
    append32(message, spec.sequence);
    append32(message, 0x01020304);
    message.push_back(static_cast<std::uint8_t>((5 + spec.tcp_options / 4) << 4));
    message.push_back(spec.flags);
    append16(message, 512);
    append32(message, 0);
    for (std::size_t i = 0; i < spec.tcp_options; ++i) {
      message.push_back(static_cast<std::uint8_t>(i * 37));
    }
  } else {
    append16(message, 8 + payload.size());
    append16(message, 0);
  }
  append(message, payload);
  return message;
}

Frame build(const Spec& spec, View payload, Checksum checksum) {
  Frame message = transport(spec, payload);
  Frame pseudo(source(spec).begin(), source(spec).end());
  append(pseudo, final_destination(spec));
  append32(pseudo, message.size());
  append32(pseudo, spec.tcp ? 6 : 17);
  std::uint32_t sum = naive_sum(pseudo);
  if (checksum == Checksum::complete || checksum == Checksum::nonzero) {
    sum = 0xffff - naive_sum(message, sum);
    sum = sum == 0 && (!spec.tcp || checksum == Checksum::nonzero) ? 0xffff : sum;
  } else if (checksum == Checksum::wrong) {
    sum = 0x1234;
  }
  set16(message, spec.checksum_offset(), sum);

  Frame frame = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
  for (const plug::VlanTag& tag : spec.tags) {
    append16(frame, tag.tpid);
    append16(frame, tag.tci);
  }
  append16(frame, spec.ipv6 ? ETH_P_IPV6 : ETH_P_IP);
  spec.ipv6 ? append_ipv6(frame, spec, message.size()) : append_ipv4(frame, spec, message.size());
  append(frame, message);
  return frame;
}

virtio_net_hdr header_of(const Spec& spec, std::size_t gso_size) {
  virtio_net_hdr header{};
  header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  header.csum_start = static_cast<std::uint16_t>(spec.transport());
  header.csum_offset = static_cast<std::uint16_t>(spec.checksum_offset());
  if (gso_size != 0) {
    header.gso_size = static_cast<std::uint16_t>(gso_size);
    header.hdr_len = static_cast<std::uint16_t>(spec.payload());
    header.gso_type = !spec.tcp   ? plug::kGsoUdpL4
                      : spec.ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6
                                  : VIRTIO_NET_HDR_GSO_TCPV4;
    if (spec.tcp && (spec.flags & 0x80) != 0) {
      header.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
    }
  }
  return header;
}

std::vector<Frame> expected_segments(Spec spec, View payload, std::size_t gso_size) {
  std::vector<Frame> frames;
  const auto flags = spec.flags;
  do {
    const View part = payload.first(std::min(payload.size(), gso_size));
    payload = payload.subspan(part.size());
    spec.flags = flags;
    if (!frames.empty()) {
      spec.flags &= 0x7f;  // CWR
    }
    if (!payload.empty()) {
      spec.flags &= 0xf6;  // FIN, PSH
    }
    frames.push_back(build(spec, part, Checksum::complete));
    spec.sequence += static_cast<std::uint32_t>(part.size());
    ++spec.identification;
  } while (!payload.empty());
  return frames;
}

class PlugOffload : public testing::Test {
 protected:
  // The frame as it is: at the end of a block of memory, so that a sanitizer sees what reads past it.
  plug::Outcome segment(const virtio_net_hdr& header, View frame) {
    emitted_.clear();
    const auto exact = std::make_unique<std::uint8_t[]>(frame.size());
    std::ranges::copy(frame, exact.get());
    return segmenter_.segment(header, View(exact.get(), frame.size()),
                              [this](View bytes) { emitted_.emplace_back(bytes.begin(), bytes.end()); });
  }

  void expect_malformed(const virtio_net_hdr& header, View frame, std::string_view why) {
    EXPECT_EQ(segment(header, frame), plug::Outcome::malformed) << why;
    EXPECT_TRUE(emitted_.empty()) << why;
  }

  std::size_t any(std::size_t least, std::size_t most) {
    return std::uniform_int_distribution<std::size_t>(least, most)(random_);
  }

  Frame any_bytes(std::size_t size) {
    Frame bytes(size);
    std::ranges::generate(bytes, [this] { return static_cast<std::uint8_t>(random_()); });
    return bytes;
  }

  Spec any_spec() {
    Spec spec;
    for (std::size_t i = any(0, 6); i < 3; ++i) {
      spec.tags.push_back({static_cast<std::uint16_t>(any(0, 1) == 0 ? ETH_P_8021Q : ETH_P_8021AD),
                           static_cast<std::uint16_t>(random_())});
    }
    spec.ipv6 = any(0, 1) == 0;
    spec.tcp = any(0, 2) != 0;
    constexpr std::array<std::uint8_t, 3> kTypes{IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS};
    for (std::size_t i = any(0, 5); spec.ipv6 && i < 3; ++i) {
      spec.extensions.push_back({kTypes.at(any(0, 2)), 8 * any(1, 9)});
    }
    spec.ip_options = spec.ipv6 || any(0, 2) != 0 ? 0 : 4 * any(0, 10);
    spec.tcp_options = spec.tcp ? 4 * any(0, 10) : 0;
    spec.sequence = static_cast<std::uint32_t>(random_());
    spec.identification = static_cast<std::uint16_t>(random_());
    spec.flags = static_cast<std::uint8_t>(random_());
    spec.addresses = any_bytes(40);
    return spec;
  }

  std::mt19937 random_{20240229};
  plug::Segmenter segmenter_;
  std::vector<Frame> emitted_;
};

Frame bytes_of(std::string_view hex) {
  Frame bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

// Sequence number and identification wrap, CWR, FIN and PSH are set, there is a tag. Made with Python.
TEST_F(PlugOffload, SegmentsAreTheseBytes) {
  const std::string_view before =
      "02000000000202000000000181000064080045000031ffff40004006b6c3c0000201c0000202"
      "9c400050fffffffe0102030450990200842700006c616e777269676874";
  const std::vector<std::string_view> after = {
      "0200000000020200000000018100006408004500002cffff40004006b6c8c0000201c0000202"
      "9c400050fffffffe0102030450900200adde00006c616e77",
      "0200000000020200000000018100006408004500002c000040004006b6c8c0000201c0000202"
      "9c400050000000020102030450100200af62000072696768",
      "02000000000202000000000181000064080045000029000140004006b6cac0000201c0000202"
      "9c400050000000060102030450190200152a000074"};
  virtio_net_hdr header{};
  header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  header.gso_type = VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN;
  header.gso_size = 4;
  header.csum_start = 38;
  header.csum_offset = 16;
  ASSERT_EQ(segment(header, bytes_of(before)), plug::Outcome::emitted);
  ASSERT_EQ(emitted_.size(), after.size());
  for (std::size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(emitted_[i], bytes_of(after[i])) << i;
  }
}

TEST_F(PlugOffload, AFrameThatNeedsNothingIsNotCopied) {
  const Frame frame = any_bytes(60);
  View seen;
  EXPECT_EQ(segmenter_.segment(virtio_net_hdr{}, frame, [&](View bytes) { seen = bytes; }),
            plug::Outcome::emitted);
  EXPECT_EQ(seen.data(), frame.data());
  EXPECT_EQ(seen.size(), frame.size());
}

TEST_F(PlugOffload, CompletesChecksums) {
  for (int i = 0; i < 3000; ++i) {
    const Spec spec = any_spec();
    const Frame payload = any_bytes(any(0, 1600));
    const Frame frame = build(spec, payload, Checksum::partial);
    ASSERT_EQ(segment(header_of(spec, 0), frame), plug::Outcome::emitted);
    ASSERT_EQ(emitted_.size(), 1U);
    EXPECT_EQ(emitted_[0], build(spec, payload, Checksum::nonzero));

    Frame in_place = frame;
    EXPECT_TRUE(plug::complete_checksum(header_of(spec, 0), in_place));
    EXPECT_EQ(in_place, emitted_[0]);
  }
}

// A payload whose checksum comes out as zero, which in UDP would mean that there is none.
TEST_F(PlugOffload, ZeroBecomesAllOnesInUdp) {
  for (const bool ipv6 : {false, true}) {
    Spec spec;
    spec.tcp = false;
    spec.ipv6 = ipv6;
    Frame payload(10, 0);
    const Frame without = build(spec, payload, Checksum::complete);
    const std::size_t at = spec.transport() + 6;
    set16(payload, 8, without[at] * 256U + without[at + 1]);
    for (const std::size_t gso_size : {std::size_t{0}, std::size_t{10}}) {
      ASSERT_EQ(segment(header_of(spec, gso_size), build(spec, payload, Checksum::partial)),
                plug::Outcome::emitted);
      EXPECT_EQ(emitted_[0][at], 0xff);
      EXPECT_EQ(emitted_[0][at + 1], 0xff);
    }
  }
}

TEST_F(PlugOffload, SegmentsOfAnyFrame) {
  for (int i = 0; i < 3000; ++i) {
    const Spec spec = any_spec();
    const std::size_t most = 65535 - (spec.payload() - spec.network());
    const Frame payload = any_bytes(any(0, 9) == 0 ? any(0, most) : any(0, 5000));
    const std::size_t gso_size = any(0, 3) == 0 ? any(1 + payload.size() / 50, 65535) : any(500, 1460);
    virtio_net_hdr header = header_of(spec, gso_size);
    if (any(0, 1) == 0) {
      header.hdr_len = static_cast<std::uint16_t>(any(0, spec.payload()));  // a hint only
    }
    ASSERT_EQ(segment(header, build(spec, payload, Checksum::partial)), plug::Outcome::emitted);
    ASSERT_EQ(emitted_, expected_segments(spec, payload, gso_size));

    Frame again;
    for (const Frame& frame : emitted_) {
      again.insert(again.end(), frame.begin() + static_cast<std::ptrdiff_t>(spec.payload()), frame.end());
    }
    ASSERT_EQ(again, payload);
  }
}

TEST_F(PlugOffload, TheLargestFrameOfIpv6) {
  Spec spec;
  spec.ipv6 = true;
  spec.tags.assign(8, plug::VlanTag{ETH_P_8021Q, 5});
  const Frame payload = any_bytes(65535 - 20);
  const Frame frame = build(spec, payload, Checksum::partial);
  EXPECT_EQ(frame.size(), plug::kMaxFrame);
  for (const std::size_t gso_size : {1, 1440, 65515, 65535}) {
    ASSERT_EQ(segment(header_of(spec, gso_size), frame), plug::Outcome::emitted);
    EXPECT_EQ(emitted_, expected_segments(spec, payload, gso_size));
  }
}

// As from a network card with LRO: the checksum was right in each of the frames that it put together.
TEST_F(PlugOffload, SegmentsWithoutAPartialChecksum) {
  for (int i = 0; i < 1000; ++i) {
    Spec spec = any_spec();
    spec.ip_options = 0;
    spec.extensions.clear();
    const Frame payload = any_bytes(any(0, 5000));
    virtio_net_hdr header = header_of(spec, 1000);
    header.flags = VIRTIO_NET_HDR_F_DATA_VALID;
    header.csum_start = header.csum_offset = 0;
    ASSERT_EQ(segment(header, build(spec, payload, Checksum::wrong)), plug::Outcome::emitted);
    ASSERT_EQ(emitted_, expected_segments(spec, payload, 1000));
  }
}

TEST_F(PlugOffload, RefusesContradictions) {
  const Frame payload = any_bytes(3000);
  Spec ipv4;
  ipv4.tags.push_back({ETH_P_8021Q, 7});
  Spec ipv6 = ipv4;
  ipv6.ipv6 = true;
  Spec udp = ipv4;
  udp.tcp = false;
  const auto refused = [&](const Spec& spec, std::string_view why, const auto& change) {
    virtio_net_hdr header = header_of(spec, 1000);
    Frame frame = build(spec, payload, Checksum::partial);
    ASSERT_EQ(segment(header, frame), plug::Outcome::emitted) << why;
    change(header, frame);
    expect_malformed(header, frame, why);
  };
  using Header = virtio_net_hdr;
  const std::size_t network = ipv4.network();
  for (const Spec& spec : {ipv4, ipv6, udp}) {
    refused(spec, "gso_size", [](Header& header, Frame&) { header.gso_size = 0; });
    refused(spec, "gso_type", [](Header& header, Frame&) { header.gso_type = VIRTIO_NET_HDR_GSO_UDP; });
    refused(spec, "unknown gso_type", [](Header& header, Frame&) { header.gso_type |= 0x20; });
    refused(spec, "hdr_len", [](Header& header, Frame&) { header.hdr_len = 0xffff; });
    refused(spec, "csum_start", [](Header& header, Frame&) { header.csum_start += 4; });
    refused(spec, "csum_offset", [](Header& header, Frame&) { header.csum_offset += 2; });
    refused(spec, "shorter than its headers say", [](Header&, Frame& frame) { frame.pop_back(); });
    refused(spec, "longer than its headers say", [](Header&, Frame& frame) { frame.push_back(0); });
    refused(spec, "IP version", [=](Header&, Frame& frame) { frame[network] ^= 0x10; });
    refused(spec, "nothing behind the tags", [=](Header& header, Frame& frame) {
      frame.resize(network);
      header.hdr_len = 0;
    });
  }
  refused(ipv4, "short IPv4 header", [=](Header&, Frame& frame) { frame[network] = 0x44; });
  refused(ipv4, "a fragment", [=](Header&, Frame& frame) { frame[network + 6] = 0x20; });
  refused(ipv4, "the other protocol", [=](Header&, Frame& frame) { frame[network + 9] = 17; });
  refused(ipv4, "the other version",
          [](Header& header, Frame&) { header.gso_type = VIRTIO_NET_HDR_GSO_TCPV6; });
  refused(ipv6, "the other version",
          [](Header& header, Frame&) { header.gso_type = VIRTIO_NET_HDR_GSO_TCPV4; });
  refused(ipv6, "a fragment", [=](Header&, Frame& frame) { frame[network + 6] = IPPROTO_FRAGMENT; });
  refused(ipv6, "extensions to the end",
          [=](Header&, Frame& frame) { frame[network + 6] = IPPROTO_DSTOPTS; });
  refused(ipv4, "short TCP header", [&](Header&, Frame& frame) { frame[ipv4.transport() + 12] = 0x40; });
  refused(udp, "UDP length", [&](Header&, Frame& frame) { frame[udp.transport() + 5] ^= 1; });
  refused(udp, "ECN", [](Header& header, Frame&) { header.gso_type |= VIRTIO_NET_HDR_GSO_ECN; });
}

TEST_F(PlugOffload, RefusesWhatIsBeyondTheFrame) {
  virtio_net_hdr header{};
  expect_malformed(header, any_bytes(13), "no MAC header");
  expect_malformed(header, any_bytes(plug::kMaxFrame + 1), "too long");
  header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  header.csum_start = 34;
  header.csum_offset = 16;
  EXPECT_EQ(segment(header, any_bytes(52)), plug::Outcome::emitted);
  expect_malformed(header, any_bytes(51), "the checksum is past the end");
  header.csum_start = 13;
  expect_malformed(header, any_bytes(52), "it begins among the MAC addresses");
  header.csum_start = header.csum_offset = 0xffff;
  expect_malformed(header, any_bytes(plug::kMaxFrame), "the sum of both does not wrap");
}

// Whatever is in it: no more comes out than went in, headers aside, and nothing from a malformed frame.
TEST_F(PlugOffload, SurvivesHostileHeaders) {
  std::array<std::size_t, 2> outcomes{};
  for (int i = 0; i < 200000; ++i) {
    const Spec spec = any_spec();
    Frame frame = build(spec, Frame(any(0, 300), 0xa5), Checksum::partial);
    virtio_net_hdr header = header_of(spec, any(0, 3) == 0 ? 0 : any(1, 400));
    for (std::size_t changes = any(0, 3); changes != 0; --changes) {
      const auto value = static_cast<std::uint16_t>(any(0, 1) == 0 ? any(0, 80) : random_());
      switch (any(0, 9)) {
        case 0:
          header.flags = static_cast<std::uint8_t>(value);
          break;
        case 1:
          header.gso_type = static_cast<std::uint8_t>(value);
          break;
        case 2:
          header.hdr_len = value;
          break;
        case 3:
          header.gso_size = value;
          break;
        case 4:
          header.csum_start = value;
          break;
        case 5:
          header.csum_offset = value;
          break;
        case 6:
          frame.resize(any(0, frame.size()));
          break;
        default:
          if (!frame.empty()) {
            frame[any(0, std::min<std::size_t>(frame.size() - 1, 160))] = static_cast<std::uint8_t>(value);
          }
      }
    }
    const plug::Outcome outcome = segment(header, frame);
    ++outcomes.at(outcome == plug::Outcome::emitted ? 0 : 1);
    ASSERT_EQ(emitted_.empty(), outcome == plug::Outcome::malformed);
    for (const Frame& segment : emitted_) {
      ASSERT_LE(segment.size(), frame.size());
      ASSERT_GE(segment.size(), plug::kMacHeader);
    }
    ASSERT_LE(emitted_.size(), std::max<std::size_t>(frame.size(), 1));
  }
  EXPECT_GT(outcomes[0], 20000U);
  EXPECT_GT(outcomes[1], 20000U);
}

TEST_F(PlugOffload, PutsAStrippedTagBack) {
  for (int i = 0; i < 1000; ++i) {
    Spec spec = any_spec();
    spec.tags.insert(spec.tags.begin(), plug::VlanTag{ETH_P_8021AD, static_cast<std::uint16_t>(random_())});
    const Frame payload = any_bytes(any(0, 3000));
    const Frame whole = build(spec, payload, Checksum::partial);
    Frame buffer(plug::kVlanTag, 0xee);
    buffer.insert(buffer.end(), whole.begin(), whole.begin() + 12);
    buffer.insert(buffer.end(), whole.begin() + 16, whole.end());
    virtio_net_hdr header = header_of(spec, 1000);
    header.csum_start -= 4;
    header.hdr_len -= 4;

    const auto frame = plug::insert_vlan_tag(header, buffer, spec.tags.front());
    ASSERT_EQ(frame.data(), buffer.data());
    ASSERT_EQ(buffer, whole);
    EXPECT_EQ(header.csum_start, spec.transport());
    EXPECT_EQ(header.hdr_len, spec.payload());
    ASSERT_EQ(segment(header, frame), plug::Outcome::emitted);
    ASSERT_EQ(emitted_, expected_segments(spec, payload, 1000));
  }
}

TEST_F(PlugOffload, ATagHasNoPlaceInARunt) {
  for (const std::size_t size : {0, 3, 4, 17}) {
    Frame buffer = any_bytes(size);
    const Frame before = buffer;
    virtio_net_hdr header{};
    EXPECT_EQ(plug::insert_vlan_tag(header, buffer, {ETH_P_8021Q, 1}).size(),
              size - std::min<std::size_t>(size, 4));
    EXPECT_EQ(buffer, before);
  }
}

TEST_F(PlugOffload, ATagLeavesUnusedFieldsAlone) {
  Frame buffer = any_bytes(plug::kVlanTag + 60);
  virtio_net_hdr header{};
  EXPECT_EQ(plug::insert_vlan_tag(header, buffer, {ETH_P_8021Q, 1}).size(), 64U);
  EXPECT_EQ(header.csum_start, 0);
  EXPECT_EQ(header.hdr_len, 0);
}

TEST_F(PlugOffload, TellsStrippedTags) {
  tpacket_auxdata auxiliary{};
  auxiliary.tp_vlan_tci = 0x2064;
  auxiliary.tp_vlan_tpid = ETH_P_8021AD;
  EXPECT_FALSE(plug::stripped_tag(auxiliary));
  auxiliary.tp_status = TP_STATUS_VLAN_VALID;
  ASSERT_TRUE(plug::stripped_tag(auxiliary));
  EXPECT_EQ(plug::stripped_tag(auxiliary)->tpid, ETH_P_8021Q);
  auxiliary.tp_status |= TP_STATUS_VLAN_TPID_VALID;
  EXPECT_EQ(plug::stripped_tag(auxiliary)->tpid, ETH_P_8021AD);
  EXPECT_EQ(plug::stripped_tag(auxiliary)->tci, 0x2064);
}

}  // namespace
}  // namespace lanwright::plug
