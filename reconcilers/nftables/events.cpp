#include "reconcilers/nftables/events.h"

#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include <cerrno>

namespace lanwright::nftables {
namespace {

constexpr int kReceiveBuffer = 4 << 20;  // what a thousand networks are, that somebody flushes

}  // namespace

Result<Events> Events::open(const os::Descriptor& netns) {
  auto socket = netlink::Socket::open(netns, kReceiveBuffer, NETLINK_NETFILTER);
  if (!socket) return socket.error();
  constexpr int kGroup = NFNLGRP_NFTABLES;
  if (::setsockopt(socket->fd(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &kGroup, sizeof kGroup) != 0)
    return error_from_errno(errno, "listen to", "the kernel's news of firewall rules");
  return Events(std::move(*socket));
}

bool Events::drain(const std::function<void(const nlmsghdr&)>& visit) {
  bool whole = true;
  for (;;) {
    const int error = socket_.receive([&](const netlink::Socket::Datagram& datagram) {
      whole = whole && !datagram.truncated;
      netlink::for_each_message(datagram.bytes, visit);
    });
    if (error == ENOBUFS) whole = false;
    if (error != 0 && error != ENOBUFS) return whole;
  }
}

}  // namespace lanwright::nftables
