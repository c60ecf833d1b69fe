// Does in software what a receiver without offloads leaves to its sender: completes checksums, cuts large
// frames into wire frames, puts back a VLAN tag that the kernel took off. Pure: no I/O, no allocation per
// frame, no exception. One thread per object; the functions are reentrant.
//
// A frame starts at its destination MAC address and has no FCS. Lengths and offsets are bytes, offsets count
// from the frame's start. The header in front of it is the kernel's of IFF_VNET_HDR and PACKET_VNET_HDR: 10
// bytes in native byte order.
//
// Nothing in a header or a frame is trusted: whatever they hold, nothing outside of the given spans is read
// or written.
//
// Sources: virtio 1.3, section 5.1.6 (meaning of the header), Documentation/networking/
// segmentation-offloads.rst of Linux (what a segment looks like), RFC 1071 (the checksum), RFC 768 (UDP),
// RFC 9293 (TCP), RFC 3168 section 6.1.2 (CWR), RFC 8200 section 8.1 (the pseudo header of IPv6).
#pragma once

#include <linux/if_packet.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "reconcilers/vde/plug/virtio_net.h"

namespace lanwright::plug {

inline constexpr std::size_t kMacHeader = 14;  // IEEE 802.3: two addresses, an EtherType
inline constexpr std::size_t kVlanTag = 4;     // IEEE 802.1Q, 802.1ad: TPID and TCI
// The largest payload that an IPv6 header can tell of (16 bits), the header, and eight VLAN tags, as many as
// Linux looks behind (VLAN_MAX_DEPTH). Longer frames are malformed.
inline constexpr std::size_t kMaxFrame = kMacHeader + 8 * kVlanTag + 40 + 65535;
// VIRTIO_NET_HDR_GSO_UDP_L4 of virtio 1.3; older kernel headers have no name for it.
inline constexpr std::uint8_t kGsoUdpL4 = 5;

enum class Outcome : std::uint8_t {
  emitted,    // every frame was handed on
  malformed,  // none was: the header and the frame contradict each other, or ask for what is not offered
};

// Completes the checksum of a frame without GSO where it lies (VIRTIO_NET_HDR_F_NEEDS_CSUM); the header's
// flag is then out of date. Zero is written as 0xffff, as UDP demands and as is the same to TCP. False, and
// nothing written, when the checksum is not inside of the frame.
bool complete_checksum(const virtio_net_hdr& header, std::span<std::uint8_t> frame);

class Segmenter {
 public:
  Segmenter() : buffer_(kMaxFrame) {}

  // Calls emit(std::span<const std::uint8_t>) with each wire frame, in order, checksums complete:
  //  - the frame itself, not copied, when it needs nothing;
  //  - a copy with its checksum complete (VIRTIO_NET_HDR_F_NEEDS_CSUM);
  //  - its segments of gso_size bytes of payload, the last one shorter (VIRTIO_NET_HDR_GSO_TCPV4, _TCPV6,
  //    either with _ECN, and kGsoUdpL4). They have the frame's VLAN tags (802.1Q and 802.1ad, any number), IP
  //    options, IPv6 extension headers (hop-by-hop, routing, destination options) and TCP options. Sequence
  //    number and IPv4 identification count up, CWR is on the first segment only, FIN and PSH are on the
  //    last.
  //
  // Malformed, before anything is emitted:
  //  - a frame that is shorter than a MAC header or longer than kMaxFrame;
  //  - csum_start and csum_offset beyond the frame, or other than what the headers say (GSO);
  //  - gso_type unknown, among them UFO; gso_size 0; hdr_len beyond the frame. Otherwise hdr_len is not used:
  //    it is a hint (virtio 1.3, 5.1.6.2), in which the kernel tells how much of its buffer was linear;
  //  - GSO of a fragment, of another protocol than gso_type says, or with lengths in the headers of IP or UDP
  //    that are not the frame's.
  //
  // Segments of a frame with NEEDS_CSUM have its pseudo header's sum, less the difference in length, so that
  // source routes need no attention. GSO without NEEDS_CSUM, which network cards with LRO produce, has it
  // from the addresses, if there are no IP options and no extension headers; else it is malformed.
  //
  // The bytes live only during the call of emit, which must not call this object.
  template <class Emit>
  Outcome segment(const virtio_net_hdr& header, std::span<const std::uint8_t> frame, Emit&& emit) {
    using Callee = std::remove_reference_t<Emit>;
    const Sink sink{
        const_cast<void*>(static_cast<const void*>(std::addressof(emit))),
        [](void* callee, std::span<const std::uint8_t> bytes) { (*static_cast<Callee*>(callee))(bytes); }};
    return run(header, frame, sink);
  }

 private:
  struct Sink {  // a reference to any callable
    void* callee;
    void (*call)(void*, std::span<const std::uint8_t>);
    void operator()(std::span<const std::uint8_t> frame) const { call(callee, frame); }
  };

  Outcome run(const virtio_net_hdr& header, std::span<const std::uint8_t> frame, const Sink& emit);
  Outcome cut(const virtio_net_hdr& header, std::span<const std::uint8_t> frame, const Sink& emit);

  std::vector<std::uint8_t> buffer_;  // kMaxFrame bytes, for the frame that is being made
};

struct VlanTag {
  std::uint16_t tpid;  // host byte order
  std::uint16_t tci;   // host byte order: priority, DEI, VLAN id
};

// The tag that the kernel took off a received frame (PACKET_AUXDATA, packet(7)), none when it had none. A
// kernel that does not tell the TPID means 802.1Q.
std::optional<VlanTag> stripped_tag(const tpacket_auxdata& auxiliary);

// Puts a tag behind the MAC addresses. `buffer` is kVlanTag bytes of headroom with the frame behind them;
// only the addresses move, forward. Returns the frame, which is now all of `buffer`. `header` is made to fit:
// csum_start, if it is in use, and hdr_len. A frame that is shorter than a MAC header stays as it is, and
// where it is.
std::span<std::uint8_t> insert_vlan_tag(virtio_net_hdr& header, std::span<std::uint8_t> buffer, VlanTag tag);

}  // namespace lanwright::plug
