#include "tests/bench/flow.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "tests/bench/report.h"

namespace lanwright::bench {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using test::Fd;
using test::HarnessError;
using test::Milliseconds;

constexpr std::size_t kWrite = 1U << 18U;
constexpr auto kWarmUp = 200ms;
constexpr auto kStallTimeout = 5s;         // of a TCP connection without progress
constexpr auto kSilence = 100ms;           // nothing is on its way any more
constexpr std::size_t kBatch = 64;         // datagrams a system call
constexpr std::size_t kLeastPayload = 18;  // of UDP over IPv4 in a frame of 60 bytes
constexpr int kReceiveBuffer = 16 << 20;
constexpr std::uint16_t kEtherType = 0x88b5;  // IEEE 802: for local experiments
constexpr std::uint64_t kMagic = 0x6c616e7772696768;

double seconds(Clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

sockaddr_in address_of(const std::string& text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  if (inet_pton(AF_INET, text.c_str(), &address.sin_addr) != 1) throw HarnessError("no address: " + text);
  return address;
}

sockaddr* generic(sockaddr_in& address) {
  return reinterpret_cast<sockaddr*>(&address);
}

void limit_waiting(const Fd& socket, std::chrono::microseconds limit) {
  const timeval time{limit.count() / 1'000'000, limit.count() % 1'000'000};
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    if (setsockopt(socket.get(), SOL_SOCKET, option, &time, sizeof time) != 0) test::fail_errno("setsockopt");
  }
}

// A socket of the namespace on which the address receives, with a port of its own, which is put in.
Fd bound(const std::string& netns, int type, sockaddr_in& address) {
  Fd socket = test::socket_in(netns, AF_INET, type);
  socklen_t size = sizeof address;
  if (bind(socket.get(), generic(address), size) != 0 ||
      getsockname(socket.get(), generic(address), &size) != 0)
    test::fail_errno("bind in " + netns);
  return socket;
}

Fd connected(const std::string& netns, int type, sockaddr_in address) {
  Fd socket = test::socket_in(netns, AF_INET, type);
  limit_waiting(socket, kStallTimeout);
  if (connect(socket.get(), generic(address), sizeof address) != 0) test::fail_errno("connect from " + netns);
  return socket;
}

struct UdpPair {
  explicit UdpPair(const Ends& ends) : UdpPair(ends, address_of(ends.address)) {}
  Fd receiver;
  Fd sender;

 private:
  UdpPair(const Ends& ends, sockaddr_in address)
      : receiver(bound(ends.to, SOCK_DGRAM, address)), sender(connected(ends.from, SOCK_DGRAM, address)) {}
};

// The same datagram many times over.
class Batch {
 public:
  Batch() {
    piece_.iov_base = payload_.data();
    piece_.iov_len = payload_.size();
    for (mmsghdr& each : messages_) {
      each.msg_hdr.msg_iov = &piece_;
      each.msg_hdr.msg_iovlen = 1;
    }
  }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  std::uint64_t send(const Fd& socket) { return taken(sendmmsg(socket.get(), messages_.data(), kBatch, 0)); }
  std::uint64_t receive(const Fd& socket) {
    return taken(recvmmsg(socket.get(), messages_.data(), kBatch, MSG_WAITFORONE, nullptr));
  }

 private:
  static std::uint64_t taken(int count) { return count > 0 ? static_cast<std::uint64_t>(count) : 0; }

  std::array<std::uint8_t, kLeastPayload> payload_{};
  iovec piece_{};
  std::array<mmsghdr, kBatch> messages_{};
};

// One datagram; false when it did not arrive in time.
bool pass(const Fd& from, sockaddr_in to, const Fd& receiver, sockaddr_in& sender) {
  std::array<std::uint8_t, kLeastPayload> payload{};
  if (sendto(from.get(), payload.data(), payload.size(), 0, generic(to), sizeof to) < 0) return false;
  socklen_t size = sizeof sender;
  return recvfrom(receiver.get(), payload.data(), payload.size(), 0, generic(sender), &size) > 0;
}

void drain(const Fd& socket) {
  std::array<std::uint8_t, kLeastPayload> payload{};
  while (recv(socket.get(), payload.data(), payload.size(), MSG_DONTWAIT) >= 0) {
  }
}

struct Frame {
  ether_header head;
  std::uint64_t magic;
  std::uint64_t number;
  std::array<std::uint8_t, 30> rest;  // up to the least size of a frame
} __attribute__((packed));
static_assert(sizeof(Frame) == 60);

Fd packet_socket(const std::string& netns, const std::string& interface) {
  Fd socket;
  test::in_netns(netns, [&] {
    socket = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "packet socket");
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(kEtherType);
    address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
    if (address.sll_ifindex == 0) test::fail_errno("find " + interface + " in " + netns);
    if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      test::fail_errno("bind to " + interface);
  });
  return socket;
}

}  // namespace

void await_path(const Ends& ends, Milliseconds limit) {
  sockaddr_in to = address_of(ends.address);
  const Fd receiver = bound(ends.to, SOCK_DGRAM, to);
  const Fd sender = test::socket_in(ends.from, AF_INET, SOCK_DGRAM);
  limit_waiting(receiver, 10ms);
  const auto deadline = Clock::now() + limit;
  for (sockaddr_in from{}; !pass(sender, to, receiver, from);) {
    if (Clock::now() >= deadline)
      throw HarnessError("nothing from " + ends.from + " reaches " + ends.address);
  }
}

double tcp_throughput(const Ends& ends, Milliseconds during) {
  sockaddr_in address = address_of(ends.address);
  const Fd listener = bound(ends.to, SOCK_STREAM, address);
  if (listen(listener.get(), 1) != 0) test::fail_errno("listen");
  const Fd sender = connected(ends.from, SOCK_STREAM, address);
  const Fd receiver(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept");
  limit_waiting(receiver, kStallTimeout);
  std::jthread sending([&] {
    const std::vector<std::uint8_t> bytes(kWrite);
    while (send(sender.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0) {
    }
  });
  std::vector<std::uint8_t> bytes(kWrite);
  double received = 0;
  auto start = Clock::now() + kWarmUp;
  const auto end = start + during;
  bool warm = false;
  bool stuck = false;
  auto now = Clock::now();
  for (; now < end && !stuck; now = Clock::now()) {
    const ssize_t size = recv(receiver.get(), bytes.data(), bytes.size(), 0);
    stuck = size <= 0;
    if (warm && !stuck) received += static_cast<double>(size);
    if (!warm && Clock::now() >= start) {
      warm = true;
      start = Clock::now();
    }
  }
  shutdown(sender.get(), SHUT_RDWR);  // ends a send() that waits
  if (stuck) throw HarnessError("TCP from " + ends.from + " to " + ends.address + " is stuck");
  constexpr double kBits = 8;
  return kBits * received / seconds(now - start);
}

Flood flood(const Ends& ends, Milliseconds during) {
  const UdpPair pair(ends);
  limit_waiting(pair.receiver, kSilence);
  setsockopt(pair.receiver.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer);
  std::atomic<bool> stopping = false;
  std::uint64_t sent = 0;
  std::jthread sending([&] {
    Batch batch;
    while (!stopping) sent += batch.send(pair.sender);
  });
  Batch batch;
  std::uint64_t all = 0;
  const auto warm = Clock::now() + kWarmUp;
  while (Clock::now() < warm) all += batch.receive(pair.receiver);
  std::uint64_t counted = 0;
  const auto start = Clock::now();
  auto now = start;
  for (; now < start + during; now = Clock::now()) counted += batch.receive(pair.receiver);
  stopping = true;
  sending.join();
  all += counted;
  for (std::uint64_t late = 1; late > 0; all += late) late = batch.receive(pair.receiver);
  if (counted == 0) throw HarnessError("no frame of a flood reaches " + ends.address);
  return {static_cast<double>(counted) / seconds(now - start),
          1 - static_cast<double>(all) / static_cast<double>(sent)};
}

double round_trip(const Ends& ends, Milliseconds during) {
  sockaddr_in there = address_of(ends.address);
  const Fd far = bound(ends.to, SOCK_DGRAM, there);
  const Fd near = test::socket_in(ends.from, AF_INET, SOCK_DGRAM);
  limit_waiting(far, kSilence);
  limit_waiting(near, kSilence);
  Series times;
  const auto end = Clock::now() + during;
  for (auto start = Clock::now(); start < end; start = Clock::now()) {
    sockaddr_in here{};
    sockaddr_in ignored{};
    if (pass(near, there, far, here) && pass(far, here, near, ignored)) {
      times.add(seconds(Clock::now() - start));
    } else {
      drain(far);  // one that is late must not answer for the next
      drain(near);
    }
  }
  if (times.empty()) throw HarnessError("no packet came back from " + ends.address);
  return times.median();
}

FrameSender::FrameSender(const std::string& netns, const std::string& interface)
    : socket_(packet_socket(netns, interface)) {}

std::uint64_t FrameSender::send() {
  Frame frame{};
  std::fill_n(frame.head.ether_dhost, ETH_ALEN, 0xff);
  constexpr std::array<std::uint8_t, ETH_ALEN> kSource{0x02, 0, 0, 0, 0, 0x01};
  std::ranges::copy(kSource, frame.head.ether_shost);
  frame.head.ether_type = htons(kEtherType);
  frame.magic = kMagic;
  frame.number = ++last_;
  const ssize_t sent = ::send(socket_.get(), &frame, sizeof frame, 0);
  if (sent < 0 && errno != ENOBUFS && errno != EAGAIN && errno != ENETDOWN) test::fail_errno("send a frame");
  return last_;
}

std::uint64_t number_of(const void* frame, std::size_t size) {
  Frame found{};
  if (size < sizeof found) return 0;
  std::memcpy(&found, frame, sizeof found);
  return found.head.ether_type == htons(kEtherType) && found.magic == kMagic ? found.number : 0;
}

FrameReceiver::FrameReceiver(const std::string& netns, const std::string& interface)
    : socket_(packet_socket(netns, interface)) {}

std::uint64_t FrameReceiver::receive() {
  pollfd state{socket_.get(), POLLIN, 0};
  poll(&state, 1, 1);
  std::array<std::uint8_t, 2 * sizeof(Frame)> bytes{};
  std::uint64_t highest = 0;
  for (ssize_t size = 0; (size = recv(socket_.get(), bytes.data(), bytes.size(), 0)) >= 0;)
    highest = std::max(highest, number_of(bytes.data(), static_cast<std::size_t>(size)));
  return highest;
}

}  // namespace lanwright::bench
