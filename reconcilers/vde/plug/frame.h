// One Ethernet frame on its way through the plug, with what the kernel says about its unfinished parts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "reconcilers/vde/plug/offload.h"

namespace lanwright::plug {

struct Frame {
  virtio_net_hdr offload{};  // all zero: complete, one frame on the wire
  std::span<const std::uint8_t> bytes;
};

// Where a frame is received: room for a tag that has to be put back in front.
class FrameBuffer {
 public:
  std::uint8_t* data() { return bytes_.data() + kVlanTag; }
  static constexpr std::size_t size() { return kMaxFrame; }
  std::span<std::uint8_t> with_headroom(std::size_t size) { return {bytes_.data(), kVlanTag + size}; }

 private:
  std::array<std::uint8_t, kVlanTag + kMaxFrame> bytes_;
};

}  // namespace lanwright::plug
