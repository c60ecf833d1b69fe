#include "tests/integration/frames.h"

#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <array>
#include <cstring>

namespace lanwright::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint16_t kEtherType = 0x88b5;  // IEEE Std 802: local experimental
constexpr std::size_t kHeader = 14;

const std::string kEverybody(6, '\xff');
const std::string kReservedGroups("\x01\x80\xc2\x00\x00",
                                  5);  // IEEE 802.1D, table 7-10; one more byte follows
const std::string kOneStation("\x02\x00\x00\x00\x77\x01", 6);

std::string frame_saying(const std::string& words, const std::string& to = kEverybody,
                         const std::string& from = kOneStation) {
  std::string frame = to + from + "\x88\xb5" + words;
  frame.resize(60, '\0');  // the shortest that Ethernet knows, without its checksum
  return frame;
}

Fd packet_socket(const std::string& netns, const std::string& interface, std::uint16_t protocol) {
  Fd result;
  in_netns(netns, [&] {
    result = Fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(protocol)), "packet socket");
    sockaddr_ll place{};
    place.sll_family = AF_PACKET;
    place.sll_protocol = htons(protocol);
    place.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
    if (place.sll_ifindex == 0) fail_errno("no interface " + interface + " in " + netns);
    if (bind(result.get(), reinterpret_cast<sockaddr*>(&place), sizeof place) != 0)
      fail_errno("bind to " + interface);
  });
  return result;
}

// Repeats the frame until it arrives: a port may still be coming up.
bool carried(const Fd& from, const Fd& to, const std::string& frame, Clock::time_point deadline) {
  std::array<char, 2048> buffer{};
  while (Clock::now() < deadline) {
    if (write(from.get(), frame.data(), frame.size()) < 0 && errno != ENETDOWN && errno != EIO) return false;
    pollfd entry{to.get(), POLLIN, 0};
    while (poll(&entry, 1, 20) > 0) {
      const ssize_t size = read(to.get(), buffer.data(), buffer.size());
      if (size < 0 && errno != ENETDOWN) return false;
      if (size >= static_cast<ssize_t>(frame.size()) &&
          frame.compare(kHeader, std::string::npos, buffer.data() + kHeader, frame.size() - kHeader) == 0)
        return true;
    }
  }
  return false;
}

// A configuration message (IEEE 802.1D, 9.3.1) of a bridge that nobody prefers as the root, in an LLC frame.
std::string stp_message() {
  const std::string bridge = std::string("\xf0\x00", 2) + kOneStation;
  return std::string("\x00\x26\x42\x42\x03", 5) + std::string(5, '\0') + bridge + std::string(4, '\0') +
         bridge + std::string("\x80\x01\x00\x00\x14\x00\x02\x00\x0f\x00", 10);
}

// The chassis, the port, and for how long that is so (IEEE 802.1AB, 8.5).
std::string lldp_message() {
  return std::string("\x88\xcc\x02\x07\x04", 5) + kOneStation +
         std::string("\x04\x02\x07\x31\x06\x02\x00\x78\x00\x00", 10);
}

std::string frame_to(Group group) {
  std::string frame = kReservedGroups + static_cast<char>(group) + kOneStation;
  frame += group == Group::stp ? stp_message() : lldp_message();
  frame.resize(60, '\0');
  return frame;
}

// An address that no bridge has heard of: what they know of a port is forgotten some time after its carrier
// went.
std::string new_station() {
  static unsigned char last = 1;
  return kOneStation.substr(0, 5) + static_cast<char>(++last);
}

// What waits at the tap, without waiting for it.
bool read_frame(const Fd& tap, std::string& frame) {
  pollfd entry{tap.get(), POLLIN, 0};
  if (poll(&entry, 1, 0) <= 0) return false;
  frame.resize(2048);
  const ssize_t size = read(tap.get(), frame.data(), frame.size());
  if (size < 0) fail_errno("read from the tap");
  frame.resize(static_cast<std::size_t>(size));
  return true;
}

// Whether the frame arrives, told without waiting for what does not come: the broadcast that is sent after it
// arrives, and a bridge does not let one frame overtake another.
bool passes(const Fd& from, const Fd& to, const std::string& asked, Milliseconds limit) {
  const std::string last = frame_saying("after");
  for (const std::string& frame : {asked, last}) {
    if (write(from.get(), frame.data(), frame.size()) < 0) fail_errno("write to the tap");
  }
  bool passed = false;
  const auto all_read = [&] {
    for (std::string frame; read_frame(to, frame);) {
      if (frame == asked) passed = true;
      if (frame == last) return true;
    }
    return false;
  };
  if (!wait_until(all_read, limit)) throw HarnessError("the broadcast after the frame is lost");
  return passed;
}

}  // namespace

Fd open_tap(const std::string& name) {
  Fd tap(open("/dev/net/tun", O_RDWR | O_CLOEXEC), "open /dev/net/tun");
  ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  if (ioctl(tap.get(), TUNSETIFF, &request) != 0) fail_errno("open the tap " + name);
  return tap;
}

testing::AssertionResult tap_talks_to(const std::string& tap, const std::string& netns,
                                      const std::string& interface, Milliseconds limit) {
  const Fd machine = open_tap(tap);
  const Fd host = packet_socket(netns, interface, kEtherType);
  const auto deadline = Clock::now() + limit;
  if (!carried(machine, host, frame_saying("from the tap"), deadline))
    return testing::AssertionFailure()
           << "no frame from " << tap << " arrives at " << interface << " in " << netns;
  if (!carried(host, machine, frame_saying("to the tap"), deadline))
    return testing::AssertionFailure()
           << "no frame from " << interface << " in " << netns << " arrives at " << tap;
  return testing::AssertionSuccess();
}

bool crosses(Group group, const std::string& from, const std::string& to, Milliseconds limit) {
  const Fd sender = open_tap(from);
  const Fd receiver = open_tap(to);
  if (!carried(sender, receiver, frame_saying("before"), Clock::now() + limit))
    throw HarnessError("not even a broadcast goes from " + from + " to " + to);
  return passes(sender, receiver, frame_to(group), limit);
}

bool overhears(const std::string& third, const std::string& from, const std::string& to, Milliseconds limit) {
  const Fd listener = open_tap(third);
  const Fd sender = open_tap(from);
  const Fd receiver = open_tap(to);
  const std::string station = new_station();
  const std::string hello = frame_saying("here I am", kEverybody, station);
  for (const Fd* other : {&sender, &listener}) {
    if (!carried(receiver, *other, hello, Clock::now() + limit))
      throw HarnessError("not even a broadcast goes from " + to + " to the others");
  }
  return passes(sender, listener, frame_saying("to one", station), limit);
}

Wire::Wire(const std::string& netns, const std::string& interface)
    : socket_(packet_socket(netns, interface, ETH_P_ALL)) {
  const int on = 1;
  if (setsockopt(socket_.get(), SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) != 0)
    fail_errno("listen on " + interface);
}

std::set<Tag> Wire::tags() const {
  std::set<Tag> seen;
  for (pollfd ready{socket_.get(), POLLIN, 0}; poll(&ready, 1, 0) == 1;) {
    if (const auto tag = receive()) seen.insert(*tag);
  }
  return seen;
}

std::optional<Tag> Wire::receive() const {
  std::array<std::uint8_t, 2048> frame{};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(tpacket_auxdata))> control{};
  sockaddr_ll from{};
  iovec data{frame.data(), frame.size()};
  msghdr message{&from, sizeof from, &data, 1, control.data(), control.size(), 0};
  if (recvmsg(socket_.get(), &message, 0) < ETH_HLEN) fail_errno("receive a frame");
  if (from.sll_pkttype == PACKET_OUTGOING) return std::nullopt;
  Tag tag;
  tag.inner_protocol = frame[12] << 8 | frame[13];
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_PACKET || part->cmsg_type != PACKET_AUXDATA) continue;
    tpacket_auxdata beside{};
    std::memcpy(&beside, CMSG_DATA(part), sizeof beside);
    if ((beside.tp_status & TP_STATUS_VLAN_VALID) == 0) continue;
    tag.vid = beside.tp_vlan_tci & 0xfff;
    tag.protocol = beside.tp_vlan_tpid;
  }
  if (tag.inner_protocol == ETH_P_IPV6) return std::nullopt;
  return tag;
}

}  // namespace lanwright::test
