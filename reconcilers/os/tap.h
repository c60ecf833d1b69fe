// Taps are made and changed by ioctl, not by netlink. Source: Documentation/networking/tuntap.rst,
// <linux/if_tun.h>.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "reconcilers/os/descriptor.h"

namespace lanwright::os {

struct TapOptions {
  bool multi_queue = false;  // several programs, or one several times, each for a queue
};

struct TapUsers {
  std::optional<std::uint32_t> owner;  // uid that may open it
  std::optional<std::uint32_t> group;  // gid that may open it
};

// Both answer errno, 0 when done. `netns` is where the tap is.
// Makes a persistent tap; EBUSY or EEXIST when a link of that name exists.
int make_tap(const Descriptor& netns, const std::string& name, const TapUsers& users,
             const TapOptions& options);
// Sets whose the tap is. EBUSY while a program has it open, but for one with several queues: there it is a
// queue of its own for a moment. Makes no event.
int set_tap_users(const Descriptor& netns, const std::string& name, const TapUsers& users);
// Opens a tap that is there, to carry its frames: without blocking, each behind a virtio_net_hdr, checksums
// and TCP segments unfinished. ENODEV when there is none. EBUSY while another program has it open.
int open_tap_for_frames(const Descriptor& netns, const std::string& name, Descriptor& tap);

}  // namespace lanwright::os
