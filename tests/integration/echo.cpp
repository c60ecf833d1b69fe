#include "tests/integration/echo.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

namespace lanwright::test {
namespace {

struct Peer {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;

  Peer() = default;
  Peer(const std::string& address, std::uint16_t port) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    if (inet_pton(AF_INET, address.c_str(), &v4->sin_addr) == 1) {
      v4->sin_family = AF_INET;
      v4->sin_port = htons(port);
      size = sizeof *v4;
    } else if (inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) == 1) {
      v6->sin6_family = AF_INET6;
      v6->sin6_port = htons(port);
      size = sizeof *v6;
    } else {
      throw HarnessError("not an address: " + address);
    }
  }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  std::string text() const {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const void* bytes =
        family() == AF_INET
            ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr)
            : &reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr;
    return inet_ntop(family(), bytes, text.data(), text.size()) == nullptr ? "" : text.data();
  }
};

Fd bound(const std::string& netns, int type, const std::string& address, std::uint16_t port) {
  Peer here(address, port);
  Fd made = socket_in(netns, here.family(), type);
  const int on = 1;
  setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const bool v6 = here.family() == AF_INET6;
  setsockopt(made.get(), v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_FREEBIND : IP_FREEBIND, &on, sizeof on);
  if (bind(made.get(), here.get(), here.size) != 0) fail_errno("bind to " + address);
  return made;
}

}  // namespace

EchoServer::EchoServer(const std::string& netns, const std::string& address, std::uint16_t port)
    : stream_(bound(netns, SOCK_STREAM, address, port)),
      datagram_(bound(netns, SOCK_DGRAM, address, port)),
      stop_(eventfd(0, EFD_CLOEXEC), "eventfd") {
  if (listen(stream_.get(), 16) != 0) fail_errno("listen");
  thread_ = std::jthread([this] { serve(); });
}

EchoServer::~EchoServer() {
  eventfd_write(stop_.get(), 1);
}

void EchoServer::serve() {
  for (;;) {
    std::array<pollfd, 3> sources{pollfd{stop_.get(), POLLIN, 0}, pollfd{stream_.get(), POLLIN, 0},
                                  pollfd{datagram_.get(), POLLIN, 0}};
    poll(sources.data(), sources.size(), -1);
    if (sources[0].revents != 0) return;
    if (sources[1].revents != 0) answer_stream();
    if (sources[2].revents != 0) answer_datagram();
  }
}

void EchoServer::answer_stream() const {
  Peer peer;
  const Fd connection(accept4(stream_.get(), peer.get(), &peer.size, SOCK_CLOEXEC));
  const std::string text = peer.text();
  if (connection) send(connection.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

void EchoServer::answer_datagram() const {
  Peer peer;
  char byte = 0;
  if (recvfrom(datagram_.get(), &byte, sizeof byte, 0, peer.get(), &peer.size) < 0) return;
  const std::string text = peer.text();
  sendto(datagram_.get(), text.data(), text.size(), MSG_NOSIGNAL, peer.get(), peer.size);
}

std::string ask(const std::string& netns, Transport transport, const std::string& address, std::uint16_t port,
                Milliseconds limit) {
  Peer server(address, port);
  const Fd client = socket_in(netns, server.family(), transport == Transport::tcp ? SOCK_STREAM : SOCK_DGRAM);
  const timeval time{limit.count() / 1000, limit.count() % 1000 * 1000};
  setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  setsockopt(client.get(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
  if (connect(client.get(), server.get(), server.size) != 0) return {};
  if (transport == Transport::udp && send(client.get(), "?", 1, MSG_NOSIGNAL) != 1) return {};
  std::array<char, 128> answer{};
  const ssize_t size = recv(client.get(), answer.data(), answer.size(), 0);
  return size <= 0 ? std::string() : std::string(answer.data(), static_cast<std::size_t>(size));
}

}  // namespace lanwright::test
