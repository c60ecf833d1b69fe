#include "reconcilers/os/packet_socket.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <cerrno>

namespace lanwright::os {
namespace {

// Many frames may come between two turns of who reads them.
constexpr int kBuffer = 4 << 20;  // bytes

bool set(const Descriptor& socket, int option, const auto& value) {
  return ::setsockopt(socket.get(), SOL_PACKET, option, &value, sizeof value) == 0;
}

}  // namespace

Result<Descriptor> open_packet_socket(int ifindex, const std::string& name) {
  const auto failed = [&](const char* tried) { return error_from_errno(errno, tried, name); };
  // Hears nothing until it is bound: it must not get frames of other interfaces.
  Descriptor socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return failed("open packet socket on");
  constexpr int kOn = 1;
  if (!set(socket, PACKET_VNET_HDR, kOn) || !set(socket, PACKET_AUXDATA, kOn) ||
      !set(socket, PACKET_IGNORE_OUTGOING, kOn))
    return failed("prepare packet socket on");
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kBuffer, sizeof kBuffer) != 0 ||
      ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kBuffer, sizeof kBuffer) != 0)
    return failed("size the buffers of packet socket on");
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = ifindex;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return failed("bind packet socket to");
  packet_mreq promiscuous{};
  promiscuous.mr_ifindex = ifindex;
  promiscuous.mr_type = PACKET_MR_PROMISC;
  if (!set(socket, PACKET_ADD_MEMBERSHIP, promiscuous)) return failed("make promiscuous:");
  return socket;
}

}  // namespace lanwright::os
