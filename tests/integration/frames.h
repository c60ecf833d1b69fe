// Ethernet frames by hand: what a virtual machine at the other side of a tap would send and receive.
#pragma once

#include <gtest/gtest.h>

#include <compare>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "tests/integration/sandbox.h"

namespace lanwright::test {

// Opens the tap as a virtual machine does; its queue (and with it the carrier) lasts as long as the
// descriptor.
Fd open_tap(const std::string& name);

// Frames of an EtherType of ours go both ways between the tap in the sandbox and an interface of a namespace,
// each broadcast and received byte by byte. The tap is opened for that and closed again.
testing::AssertionResult tap_talks_to(const std::string& tap, const std::string& netns,
                                      const std::string& interface, Milliseconds limit = 10s);

// Groups that IEEE 802.1D keeps between neighbours: the last byte of 01:80:c2:00:00:xx.
enum class Group : std::uint8_t { stp = 0x00, lldp = 0x0e };

// Whether a frame to the group goes from one tap to the other. Throws when not even a broadcast does within
// the limit.
bool crosses(Group group, const std::string& from, const std::string& to, Milliseconds limit = 10s);

// Whether a third tap receives what `from` sends to an address that has been heard at `to`. Throws as above.
bool overhears(const std::string& third, const std::string& from, const std::string& to,
               Milliseconds limit = 10s);

// A tag as it was on the wire: the kernel takes the outer one off the frame and tells it beside it
// (packet(7)).
struct Tag {
  int protocol = 0;  // 0: untagged
  int vid = 0;
  int inner_protocol = 0;  // what follows in the frame
  auto operator<=>(const Tag&) const = default;
};

// Listens to what comes in on one interface of a namespace, from its construction.
class Wire {
 public:
  Wire(const std::string& netns, const std::string& interface);

  // The tags of the traffic that came in since the last call. IPv6 is left out: neighbours talk whenever they
  // like.
  std::set<Tag> tags() const;

 private:
  std::optional<Tag> receive() const;

  Fd socket_;
};

}  // namespace lanwright::test
