// One netlink socket, by default of NETLINK_ROUTE: opened inside a namespace, sending many messages at once,
// receiving many at once. One thread.
#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "model/base/result.h"
#include "reconcilers/os/descriptor.h"
#include "reconcilers/os/namespace.h"

namespace lanwright::netlink {

class Socket {
 public:
  // Non-blocking, with extended acks (NETLINK_EXT_ACK), short acks (NETLINK_CAP_ACK) and strict checking of
  // dump requests (NETLINK_GET_STRICT_CHK). `netns` empty: the calling thread's namespace.
  static Result<Socket> open(const os::Descriptor& netns, int receive_buffer, int protocol = NETLINK_ROUTE);

  int fd() const { return descriptor_.get(); }
  // SO_NETNS_COOKIE: names the socket's namespace as long as the machine runs, unlike an inode or a nsid,
  // which the kernel gives away again.
  std::uint64_t cookie() const { return cookie_; }
  std::uint32_t next_sequence() { return ++sequence_; }
  // The index of a link in the socket's namespace, 0 when there is none of that name.
  int ifindex(const std::string& name) const;

  // Hands all parts to the kernel in one sendmsg(2): the kernel has worked through them when this returns,
  // and a signal to this process, SIGKILL too, cannot fall between them. Errno, 0 when taken.
  int send(std::span<const std::span<const std::byte>> parts);

  // Room for one sendmsg(2) of this size, where there is not enough (needs CAP_NET_ADMIN).
  void make_room(std::size_t bytes);

  struct Datagram {
    std::span<const std::byte> bytes;
    int nsid = -1;  // of the namespace that it tells of (NETLINK_LISTEN_ALL_NSID), -1 when not told
    bool truncated = false;
  };
  // Receives what is there now, up to a bounded number of datagrams, without waiting. Errno: 0 when at least
  // one came, EAGAIN when none is there, ENOBUFS when the kernel had to drop some. Datagrams that other
  // processes sent are left out. The bytes live only during the visit; `visit` must not receive on any
  // socket.
  int receive(const std::function<void(const Datagram&)>& visit);

 private:
  Socket() = default;

  os::Descriptor descriptor_;
  std::uint64_t cookie_ = 0;
  std::uint32_t sequence_ = 0;
};

// Calls visit(nlmsghdr) for each whole message of a datagram.
template <class Visit>
void for_each_message(std::span<const std::byte> bytes, Visit&& visit) {
  auto rest = static_cast<unsigned>(bytes.size());
  for (const auto* message = reinterpret_cast<const nlmsghdr*>(bytes.data()); NLMSG_OK(message, rest);
       message = NLMSG_NEXT(message, rest)) {
    visit(*message);
  }
}

}  // namespace lanwright::netlink
