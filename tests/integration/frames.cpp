#include "tests/integration/frames.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
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

std::string frame_saying(const std::string& words) {
  std::string frame(6, '\xff');
  frame += std::string("\x02\x00\x00\x00\x77\x01\x88\xb5", 8) + words;
  frame.resize(60, '\0');  // the shortest that Ethernet knows, without its checksum
  return frame;
}

Fd packet_socket(const std::string& netns, const std::string& interface) {
  Fd result;
  in_netns(netns, [&] {
    result = Fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(kEtherType)), "packet socket");
    sockaddr_ll place{};
    place.sll_family = AF_PACKET;
    place.sll_protocol = htons(kEtherType);
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
  const Fd host = packet_socket(netns, interface);
  const auto deadline = Clock::now() + limit;
  if (!carried(machine, host, frame_saying("from the tap"), deadline))
    return testing::AssertionFailure()
           << "no frame from " << tap << " arrives at " << interface << " in " << netns;
  if (!carried(host, machine, frame_saying("to the tap"), deadline))
    return testing::AssertionFailure()
           << "no frame from " << interface << " in " << netns << " arrives at " << tap;
  return testing::AssertionSuccess();
}

}  // namespace lanwright::test
