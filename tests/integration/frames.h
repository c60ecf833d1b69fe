// Ethernet frames by hand: what a virtual machine at the other side of a tap would send and receive.
#pragma once

#include <gtest/gtest.h>

#include <compare>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/integration/sandbox.h"

namespace lanwright::test {

// Opens the tap as a virtual machine does; its queue (and with it the carrier) lasts as long as the
// descriptor. Whichever tap it is; or only one with several queues.
Fd open_tap(const std::string& name, bool one_of_its_queues = false);

// Frames of an EtherType of ours go both ways between the tap in the sandbox and an interface of a namespace,
// each broadcast and received byte by byte. The tap is opened for that and closed again.
testing::AssertionResult tap_talks_to(const std::string& tap, const std::string& netns,
                                      const std::string& interface, Milliseconds limit = 10s);

// Groups that IEEE 802.1D keeps between neighbours: the last byte of 01:80:c2:00:00:xx.
enum class Group : std::uint8_t { stp = 0x00, lldp = 0x0e };

// 802.1Q; who reads a frame finds it behind the addresses.
struct VlanTag {
  std::uint16_t vid = 0;
  std::uint8_t priority = 0;
};

inline const std::string kEverybody(6, '\xff');

// A frame of an EtherType of ours, as long as Ethernet wants it at least. Addresses are six bytes.
std::string frame_saying(const std::string& words, const std::string& to = kEverybody,
                         const std::optional<VlanTag>& tag = std::nullopt);
// The same with a payload of exactly this many bytes.
std::string frame_of_length(std::size_t payload, const std::string& words);
// What a bridge, or a station, tells its neighbours.
std::string frame_to(Group group);

// A place where frames are sent and received, whole and with their tags.
class FramePort {
 public:
  FramePort() = default;
  FramePort(const FramePort&) = delete;
  FramePort& operator=(const FramePort&) = delete;
  virtual ~FramePort() = default;

  virtual void send(const std::string& frame) = 0;
  // What came in, in its order; nullopt when the limit passed first.
  virtual std::optional<std::string> receive(Milliseconds limit) = 0;
};

// A virtual machine at a tap of the sandbox.
class TapPort : public FramePort {
 public:
  explicit TapPort(const std::string& name) : tap_(open_tap(name)) {}
  void send(const std::string& frame) override;
  std::optional<std::string> receive(Milliseconds limit) override;

 private:
  Fd tap_;
};

// Somebody at an interface, beside the kernel. What the kernel sends there is not heard.
class InterfacePort : public FramePort {
 public:
  InterfacePort(const std::string& netns, const std::string& interface);
  void send(const std::string& frame) override;
  std::optional<std::string> receive(Milliseconds limit) override;
  // The checksum of the frame that came last is the sum of its pseudo header alone: as the kernel hands a
  // frame from one of its interfaces to another.
  bool is_unfinished() const { return unfinished_; }

 private:
  Fd socket_;
  bool unfinished_ = false;
};

// A frame in a few words that tell it from others, for messages and comparisons.
std::string summary(const std::string& frame);

// Summaries of everything that comes in up to the frame `last`, without it. Throws when that does not come.
std::vector<std::string> received_before(FramePort& port, const std::string& last, Milliseconds limit = 10s);

// A broadcast of `from` arrives; it is repeated until then.
testing::AssertionResult hears(FramePort& port, FramePort& from, Milliseconds limit = 10s);

// Both hear each other.
testing::AssertionResult talk(FramePort& one, FramePort& other, Milliseconds limit = 10s);

// The sums of the IPv4 header and of TCP or UDP in it, computed here. `unfinished` as in InterfacePort. What
// carries no such packet is right.
testing::AssertionResult has_right_checksums(const std::string& frame, bool unfinished = false);

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
  // like. With the MAC address of a sender: of its frames alone.
  std::set<Tag> tags(const std::string& sender = "") const;

 private:
  std::optional<Tag> receive(const std::string& sender) const;

  Fd socket_;
};

}  // namespace lanwright::test
