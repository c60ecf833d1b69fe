#include "tests/integration/frames.h"

#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <functional>

namespace lanwright::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint16_t kEtherType = 0x88b5;  // IEEE Std 802: local experimental
constexpr std::size_t kHeader = 14;

const std::string kReservedGroups("\x01\x80\xc2\x00\x00",
                                  5);  // IEEE 802.1D, table 7-10; one more byte follows
const std::string kOneStation("\x02\x00\x00\x00\x77\x01", 6);

constexpr std::size_t kShortest = 60;      // that Ethernet knows, without its checksum
constexpr std::size_t kLongest = 1 << 17;  // that the kernel hands over at once

std::string frame_from(const std::string& station, const std::string& words,
                       const std::string& to = kEverybody) {
  std::string frame = to + station + "\x88\xb5" + words;
  frame.resize(std::max(kShortest, frame.size()), '\0');
  return frame;
}

std::string two_bytes(unsigned value) {
  return {static_cast<char>(value >> 8U), static_cast<char>(value)};
}

unsigned number_at(const std::string& bytes, std::size_t place) {
  return static_cast<unsigned char>(bytes.at(place)) << 8U | static_cast<unsigned char>(bytes.at(place + 1));
}

// The sum of RFC 1071, without the complement.
unsigned sum_of(const std::string& bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += number_at(bytes, i);
  if (bytes.size() % 2 == 1) sum += static_cast<unsigned>(static_cast<unsigned char>(bytes.back())) << 8U;
  while (sum >> 16U != 0) sum = (sum & 0xffff) + (sum >> 16U);
  return static_cast<unsigned>(sum);
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

// What the kernel tells beside a frame.
std::optional<tpacket_auxdata> told_beside(msghdr& message) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_PACKET || part->cmsg_type != PACKET_AUXDATA) continue;
    tpacket_auxdata beside{};
    std::memcpy(&beside, CMSG_DATA(part), sizeof beside);
    return beside;
  }
  return std::nullopt;
}

void want_told(const Fd& socket) {
  const int on = 1;
  if (setsockopt(socket.get(), SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) != 0) fail_errno("PACKET_AUXDATA");
}

bool is_readable(const Fd& fd, Milliseconds limit) {
  pollfd entry{fd.get(), POLLIN, 0};
  return poll(&entry, 1, static_cast<int>(limit.count())) > 0;
}

void write_whole(const Fd& fd, const std::string& frame) {
  if (write(fd.get(), frame.data(), frame.size()) != static_cast<ssize_t>(frame.size()))
    fail_errno("send a frame");
}

}  // namespace

std::string frame_saying(const std::string& words, const std::string& to, const std::optional<VlanTag>& tag) {
  std::string frame = frame_from(kOneStation, words, to);
  if (tag)
    frame.insert(kHeader - 2, "\x81" + std::string(1, '\0') + two_bytes(tag->priority << 13U | tag->vid));
  return frame;
}

std::string frame_of_length(std::size_t payload, const std::string& words) {
  std::string frame = frame_saying(words);
  for (std::size_t i = frame.size(); i < kHeader + payload; ++i) frame += static_cast<char>(i);
  frame.resize(kHeader + payload);
  return frame;
}

std::string frame_to(Group group) {
  std::string frame = kReservedGroups + static_cast<char>(group) + kOneStation;
  frame += group == Group::stp ? stp_message() : lldp_message();
  frame.resize(kShortest, '\0');
  return frame;
}

void TapPort::send(const std::string& frame) {
  write_whole(tap_, frame);
}

std::optional<std::string> TapPort::receive(Milliseconds limit) {
  if (!is_readable(tap_, limit)) return std::nullopt;
  std::string frame(kLongest, '\0');
  const ssize_t size = read(tap_.get(), frame.data(), frame.size());
  if (size < 0) fail_errno("read from the tap");
  frame.resize(static_cast<std::size_t>(size));
  return frame;
}

InterfacePort::InterfacePort(const std::string& netns, const std::string& interface)
    : socket_(packet_socket(netns, interface, ETH_P_ALL)) {
  want_told(socket_);
  const int on = 1;
  if (setsockopt(socket_.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0)
    fail_errno("PACKET_IGNORE_OUTGOING");
  const int room = 64 << 20;
  setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
}

void InterfacePort::send(const std::string& frame) {
  write_whole(socket_, frame);
}

std::optional<std::string> InterfacePort::receive(Milliseconds limit) {
  if (!is_readable(socket_, limit)) return std::nullopt;
  std::string frame(kLongest, '\0');
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(tpacket_auxdata))> control{};
  iovec data{frame.data(), frame.size()};
  msghdr message{nullptr, 0, &data, 1, control.data(), control.size(), 0};
  const ssize_t size = recvmsg(socket_.get(), &message, 0);
  if (size < 0) fail_errno("receive a frame");
  frame.resize(static_cast<std::size_t>(size));
  const auto beside = told_beside(message).value();
  unfinished_ = (beside.tp_status & TP_STATUS_CSUMNOTREADY) != 0;
  if ((beside.tp_status & TP_STATUS_VLAN_VALID) != 0)
    frame.insert(kHeader - 2, two_bytes(beside.tp_vlan_tpid) + two_bytes(beside.tp_vlan_tci));
  return frame;
}

std::string summary(const std::string& frame) {
  std::string words;
  for (const char letter : frame) {
    if (std::isalpha(static_cast<unsigned char>(letter)) != 0 || letter == ' ') words += letter;
  }
  return std::to_string(frame.size()) + " bytes, " + words.substr(0, 40) + ", hash " +
         std::to_string(std::hash<std::string>()(frame));
}

std::vector<std::string> received_before(FramePort& port, const std::string& last, Milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  std::vector<std::string> frames;
  while (true) {
    const auto left = std::chrono::ceil<Milliseconds>(deadline - Clock::now());
    auto frame = port.receive(std::max(0ms, left));
    if (!frame && left <= 0ms)
      throw HarnessError("the last frame does not arrive, after " + std::to_string(frames.size()) +
                         " others");
    if (frame && *frame == last) return frames;
    if (frame) frames.push_back(summary(*frame));
  }
}

testing::AssertionResult hears(FramePort& port, FramePort& from, Milliseconds limit) {
  static unsigned number = 0;
  const std::string frame = frame_saying("do you hear me " + std::to_string(++number));
  const auto deadline = Clock::now() + limit;
  while (Clock::now() < deadline) {
    from.send(frame);
    for (auto heard = port.receive(20ms); heard; heard = port.receive(0ms)) {
      if (*heard == frame) return testing::AssertionSuccess();
    }
  }
  return testing::AssertionFailure() << "it hears nothing for " << limit.count() << " ms";
}

testing::AssertionResult talk(FramePort& one, FramePort& other, Milliseconds limit) {
  if (auto there = hears(other, one, limit); !there) return there;
  return hears(one, other, limit);
}

testing::AssertionResult has_right_checksums(const std::string& frame, bool unfinished) {
  constexpr std::size_t kIpHeader = 20;
  std::size_t ip = kHeader;
  if (frame.size() >= ip && number_at(frame, kHeader - 2) == ETH_P_8021Q) ip += 4;
  if (frame.size() < ip + kIpHeader || number_at(frame, ip - 2) != ETH_P_IP)
    return testing::AssertionSuccess();
  const std::size_t header = static_cast<std::size_t>(static_cast<unsigned char>(frame[ip]) & 0xfU) * 4;
  if (sum_of(frame.substr(ip, header)) != 0xffff) return testing::AssertionFailure() << "of the IP header";
  const auto protocol = static_cast<unsigned char>(frame[ip + 9]);
  if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) return testing::AssertionSuccess();
  const std::size_t length = number_at(frame, ip + 2);
  if (frame.size() < ip + length)
    return testing::AssertionFailure()
           << "a packet of " << length << " bytes is cut off in a frame of " << frame.size();
  const std::string segment = frame.substr(ip + header, length - header);
  const std::string pseudo =
      frame.substr(ip + 12, 8) + two_bytes(protocol) + two_bytes(segment.size() & 0xffff);
  const std::size_t place = protocol == IPPROTO_TCP ? 16 : 6;
  const bool right = unfinished ? number_at(segment, place) == sum_of(pseudo)
                                : sum_of(pseudo + segment) == 0xffff ||
                                      (protocol == IPPROTO_UDP && number_at(segment, place) == 0);
  if (right) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "of protocol " << int{protocol} << " in a frame of " << frame.size()
                                     << " bytes" << (unfinished ? ", unfinished" : "");
}

Fd open_tap(const std::string& name, bool one_of_its_queues) {
  Fd tap(open("/dev/net/tun", O_RDWR | O_CLOEXEC), "open /dev/net/tun");
  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  const auto attach = [&](int more_flags) {
    request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | more_flags);
    return ioctl(tap.get(), TUNSETIFF, &request) == 0;
  };
  if (!one_of_its_queues && attach(0)) return tap;
  if (!one_of_its_queues && errno != EINVAL) fail_errno("open the tap " + name);
  if (!attach(IFF_MULTI_QUEUE)) fail_errno("open the tap " + name + " for a queue");
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
  const std::string hello = frame_from(station, "here I am");
  for (const Fd* other : {&sender, &listener}) {
    if (!carried(receiver, *other, hello, Clock::now() + limit))
      throw HarnessError("not even a broadcast goes from " + to + " to the others");
  }
  return passes(sender, listener, frame_saying("to one", station), limit);
}

Wire::Wire(const std::string& netns, const std::string& interface)
    : socket_(packet_socket(netns, interface, ETH_P_ALL)) {
  want_told(socket_);
}

std::set<Tag> Wire::tags(const std::string& sender) const {
  std::set<Tag> seen;
  for (pollfd ready{socket_.get(), POLLIN, 0}; poll(&ready, 1, 0) == 1;) {
    if (const auto tag = receive(sender)) seen.insert(*tag);
  }
  return seen;
}

std::optional<Tag> Wire::receive(const std::string& sender) const {
  std::array<std::uint8_t, 2048> frame{};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(tpacket_auxdata))> control{};
  sockaddr_ll from{};
  iovec data{frame.data(), frame.size()};
  msghdr message{&from, sizeof from, &data, 1, control.data(), control.size(), 0};
  if (recvmsg(socket_.get(), &message, 0) < ETH_HLEN) fail_errno("receive a frame");
  if (from.sll_pkttype == PACKET_OUTGOING) return std::nullopt;
  ether_addr source{};
  std::memcpy(&source, frame.data() + ETH_ALEN, sizeof source);
  const ether_addr* wanted = sender.empty() ? &source : ether_aton(sender.c_str());
  if (wanted == nullptr) throw HarnessError("no MAC address: " + sender);
  if (std::memcmp(&source, wanted, sizeof source) != 0) return std::nullopt;
  Tag tag;
  tag.inner_protocol = frame[12] << 8 | frame[13];
  const auto beside = told_beside(message);
  if (beside && (beside->tp_status & TP_STATUS_VLAN_VALID) != 0) {
    tag.vid = beside->tp_vlan_tci & 0xfff;
    tag.protocol = beside->tp_vlan_tpid;
  }
  if (tag.inner_protocol == ETH_P_IPV6) return std::nullopt;
  return tag;
}

}  // namespace lanwright::test
