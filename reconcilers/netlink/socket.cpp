#include "reconcilers/netlink/socket.h"

#include <linux/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

namespace lanwright::netlink {

namespace {

constexpr std::size_t kDatagrams = 32;            // received by one system call
constexpr std::size_t kDatagramSize = 1U << 15U;  // the kernel makes dump parts no larger than this
constexpr std::size_t kControlSize = CMSG_SPACE(sizeof(int));
constexpr int kSendBuffer = 1 << 20;

// Where datagrams are received; one for all sockets of a thread. Only pages that were used take memory.
struct ReceiveArea {
  std::unique_ptr<std::byte[]> bytes{new std::byte[kDatagrams * kDatagramSize]};
  std::array<mmsghdr, kDatagrams> messages{};
  std::array<iovec, kDatagrams> parts{};
  std::array<sockaddr_nl, kDatagrams> senders{};
  struct alignas(cmsghdr) Control {
    std::array<std::byte, kControlSize> bytes{};
  };
  std::array<Control, kDatagrams> controls{};

  void prepare() {
    for (std::size_t i = 0; i < kDatagrams; ++i) {
      parts[i] = {bytes.get() + i * kDatagramSize, kDatagramSize};
      msghdr& header = messages[i].msg_hdr;
      header = {};
      header.msg_name = &senders[i];
      header.msg_namelen = sizeof senders[i];
      header.msg_iov = &parts[i];
      header.msg_iovlen = 1;
      header.msg_control = &controls[i];
      header.msg_controllen = kControlSize;
    }
  }
};

ReceiveArea& receive_area() {
  thread_local ReceiveArea area;
  return area;
}

int nsid_of(msghdr& header) {
  for (cmsghdr* each = CMSG_FIRSTHDR(&header); each != nullptr; each = CMSG_NXTHDR(&header, each)) {
    if (each->cmsg_level != SOL_NETLINK || each->cmsg_type != NETLINK_LISTEN_ALL_NSID) continue;
    int nsid = -1;
    std::memcpy(&nsid, CMSG_DATA(each), sizeof nsid);
    return nsid;
  }
  return -1;
}

// The privileged option goes beyond net.core.rmem_max; without privilege the other one does what it can.
void set_buffer(int fd, int forced, int plain, int size) {
  if (::setsockopt(fd, SOL_SOCKET, forced, &size, sizeof size) != 0) {
    ::setsockopt(fd, SOL_SOCKET, plain, &size, sizeof size);
  }
}

os::Descriptor make_socket(const os::Descriptor& netns, int protocol, int* error) {
  const auto make = [&] {
    os::Descriptor made(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
    *error = made ? 0 : errno;
    return made;
  };
  if (!netns) return make();
  const os::NamespaceVisit visit(netns);
  if (visit.error() == 0) return make();
  *error = visit.error();
  return {};
}

}  // namespace

Result<Socket> Socket::open(const os::Descriptor& netns, int receive_buffer, int protocol) {
  Socket socket;
  int error = 0;
  socket.descriptor_ = make_socket(netns, protocol, &error);
  if (error != 0) return error_from_errno(error, "open", "a netlink socket");
  const int fd = socket.fd();
  set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, receive_buffer);
  set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, kSendBuffer);
  const int on = 1;
  for (const int option : {NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK}) {
    if (::setsockopt(fd, SOL_NETLINK, option, &on, sizeof on) != 0) {
      return error_from_errno(errno, "set options of", "a netlink socket", "Linux 5.14 or later is needed");
    }
  }
  sockaddr_nl any{};
  any.nl_family = AF_NETLINK;
  socklen_t size = sizeof socket.cookie_;
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0 ||
      ::getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &socket.cookie_, &size) != 0) {
    return error_from_errno(errno, "bind", "a netlink socket");
  }
  return socket;
}

int Socket::ifindex(const std::string& name) const {
  ifreq request{};
  if (name.size() >= sizeof request.ifr_name) return 0;
  std::memcpy(request.ifr_name, name.data(), name.size());
  return ::ioctl(fd(), SIOCGIFINDEX, &request) == 0 ? request.ifr_ifindex : 0;
}

int Socket::send(std::span<const std::span<const std::byte>> parts) {
  std::vector<iovec> vector;
  vector.reserve(parts.size());
  for (const auto& part : parts) vector.push_back({const_cast<std::byte*>(part.data()), part.size()});
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  msghdr header{};
  header.msg_name = &kernel;
  header.msg_namelen = sizeof kernel;
  header.msg_iov = vector.data();
  header.msg_iovlen = vector.size();
  while (::sendmsg(fd(), &header, 0) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

void Socket::make_room(std::size_t bytes) {
  if (bytes > kSendBuffer) set_buffer(fd(), SO_SNDBUFFORCE, SO_SNDBUF, static_cast<int>(bytes));
}

int Socket::receive(const std::function<void(const Datagram&)>& visit) {
  ReceiveArea& area = receive_area();
  area.prepare();
  int count = 0;
  do {
    count = ::recvmmsg(fd(), area.messages.data(), kDatagrams, MSG_DONTWAIT, nullptr);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return errno;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    mmsghdr& message = area.messages[i];
    if (area.senders[i].nl_pid != 0) continue;
    visit({{area.bytes.get() + i * kDatagramSize, message.msg_len},
           nsid_of(message.msg_hdr),
           (message.msg_hdr.msg_flags & MSG_TRUNC) != 0});
  }
  return 0;
}

}  // namespace lanwright::netlink
