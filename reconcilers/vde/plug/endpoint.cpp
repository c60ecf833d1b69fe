#include "reconcilers/vde/plug/endpoint.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

extern "C" {
#include <libvdeplug.h>
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// libvdeplug loads its modules with RTLD_DEEPBIND, on which the sanitizers give up: their replacements of
// malloc and others would not be seen there.
extern "C" void* dlopen(const char* file, int mode) {
  using Function = void* (*)(const char*, int);
  static const auto next = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "dlopen"));
  return next(file, mode & ~RTLD_DEEPBIND);
}
#endif

namespace lanwright::plug {
namespace {

constexpr std::size_t kMostWaiting = 4096;  // frames, about 6 MB

// Errors after which the interface or the socket is of no use any more.
bool is_gone(int error) {
  return error == EBADFD || error == ENODEV || error == EIO || error == ENXIO;
}

iovec piece(void* data, std::size_t size) {
  return {data, size};
}

iovec piece(const std::uint8_t* data, std::size_t size) {
  return {const_cast<std::uint8_t*>(data), size};  // NOLINT(cppcoreguidelines-pro-type-const-cast): iovec
}

void count_received(PortCounters& counters, const Frame& frame) {
  ++counters.received_frames;
  counters.received_bytes += frame.bytes.size();
}

void count_sent(PortCounters& counters, std::size_t bytes) {
  ++counters.sent_frames;
  counters.sent_bytes += bytes;
}

}  // namespace

Received TapEndpoint::receive(FrameBuffer& buffer, Frame& frame) {
  const std::array pieces{piece(&frame.offload, sizeof frame.offload),
                          piece(static_cast<void*>(buffer.data()), FrameBuffer::size())};
  const ssize_t size = ::readv(device_.get(), pieces.data(), pieces.size());
  if (size < 0) return is_gone(errno) ? Received::gone : Received::nothing;
  if (static_cast<std::size_t>(size) < sizeof frame.offload + kMacHeader) return Received::skip;
  frame.bytes = {buffer.data(), static_cast<std::size_t>(size) - sizeof frame.offload};
  count_received(counters, frame);
  return Received::frame;
}

void TapEndpoint::send(const Frame& frame) {
  virtio_net_hdr offload = frame.offload;
  const std::array pieces{piece(&offload, sizeof offload), piece(frame.bytes.data(), frame.bytes.size())};
  if (::writev(device_.get(), pieces.data(), pieces.size()) < 0)
    ++counters.dropped;
  else
    count_sent(counters, frame.bytes.size());
}

// The same error tells that the interface went down, from which it may come up again, and that it was
// removed.
bool PacketEndpoint::is_removed() const {
  sockaddr_ll address{};
  socklen_t size = sizeof address;
  return ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
         address.sll_ifindex <= 0;
}

Received PacketEndpoint::receive(FrameBuffer& buffer, Frame& frame) {
  std::array pieces{piece(&frame.offload, sizeof frame.offload),
                    piece(static_cast<void*>(buffer.data()), FrameBuffer::size())};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(tpacket_auxdata))> extra{};
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  message.msg_control = extra.data();
  message.msg_controllen = extra.size();
  const ssize_t size = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT);
  if (size < 0) return errno == ENETDOWN && is_removed() ? Received::gone : Received::nothing;
  if (static_cast<std::size_t>(size) < sizeof frame.offload + kMacHeader ||
      (message.msg_flags & MSG_TRUNC) != 0)
    return Received::skip;
  std::span<std::uint8_t> bytes(buffer.data(), static_cast<std::size_t>(size) - sizeof frame.offload);
  for (cmsghdr* each = CMSG_FIRSTHDR(&message); each != nullptr; each = CMSG_NXTHDR(&message, each)) {
    if (each->cmsg_level != SOL_PACKET || each->cmsg_type != PACKET_AUXDATA) continue;
    tpacket_auxdata told{};
    std::memcpy(&told, CMSG_DATA(each), sizeof told);
    if (const auto tag = stripped_tag(told))
      bytes = insert_vlan_tag(frame.offload, buffer.with_headroom(bytes.size()), *tag);
  }
  frame.bytes = bytes;
  count_received(counters, frame);
  return Received::frame;
}

void PacketEndpoint::send(const Frame& frame) {
  virtio_net_hdr offload = frame.offload;
  // That a checksum was found right is a word among receivers; a sender only says what is to be done.
  offload.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
  std::array pieces{piece(&offload, sizeof offload), piece(frame.bytes.data(), frame.bytes.size())};
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  if (::sendmsg(socket_.get(), &message, MSG_DONTWAIT) < 0)
    ++counters.dropped;
  else
    count_sent(counters, frame.bytes.size());
}

std::unique_ptr<SwitchEndpoint> SwitchEndpoint::open(const std::string& directory, int port,
                                                     const std::string& name, std::string& words) {
  std::string url = "vde://" + directory;
  std::string description = name;
  vde_open_args arguments{port, nullptr, 0600};
  vdeconn* connection = vde_open(url.data(), description.data(), &arguments);
  if (connection == nullptr) {
    words = std::string("connect to ") + directory + ": " +
            std::strerror(errno);  // NOLINT(concurrency-mt-unsafe)
    return nullptr;
  }
  const int data = vde_datafd(connection);
  ::fcntl(data, F_SETFL, ::fcntl(data, F_GETFL) | O_NONBLOCK);
  return std::unique_ptr<SwitchEndpoint>(new SwitchEndpoint(connection));
}

SwitchEndpoint::~SwitchEndpoint() {
  vde_close(connection_);
}

int SwitchEndpoint::fd() const {
  return vde_datafd(connection_);
}

int SwitchEndpoint::control_fd() const {
  return vde_ctlfd(connection_);
}

bool SwitchEndpoint::has_ended() const {
  pollfd state{control_fd(), POLLIN, 0};
  return ::poll(&state, 1, 0) > 0;
}

Received SwitchEndpoint::receive(FrameBuffer& buffer, Frame& frame) {
  const ssize_t size = vde_recv(connection_, buffer.data(), FrameBuffer::size(), 0);
  if (size < 0) return Received::nothing;
  if (static_cast<std::size_t>(size) < kMacHeader) return Received::skip;  // 1: the library's "drop it"
  frame.offload = {};
  frame.bytes = {buffer.data(), static_cast<std::size_t>(size)};
  count_received(counters, frame);
  return Received::frame;
}

bool SwitchEndpoint::send_now(std::span<const std::uint8_t> bytes) {
  const ssize_t sent = vde_send(connection_, bytes.data(), bytes.size(), 0);
  if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS)) return false;
  if (sent < 0)
    ++counters.dropped;
  else
    count_sent(counters, bytes.size());
  return true;
}

void SwitchEndpoint::send(const Frame& frame) {
  if (waiting_.empty() && send_now(frame.bytes)) return;
  if (waiting_.size() >= kMostWaiting) {
    ++counters.dropped;
    return;
  }
  waiting_.emplace_back(frame.bytes.begin(), frame.bytes.end());
}

void SwitchEndpoint::flush() {
  while (!waiting_.empty() && send_now(waiting_.front())) waiting_.pop_front();
}

}  // namespace lanwright::plug
