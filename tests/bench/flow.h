// How well a LAN carries: between an address of one namespace and one of another. Both ends are this
// program's. Everything here throws HarnessError when nothing comes through.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "tests/integration/sandbox.h"

namespace lanwright::bench {

// Two ends of a LAN: names of namespaces, and the IPv4 address of the second.
struct Ends {
  std::string from;
  std::string to;
  std::string address;
};

// Waits until a packet comes through.
void await_path(const Ends& ends, test::Milliseconds limit = std::chrono::seconds(10));

// One connection with large writes; bits of payload per second, after it has got up to speed.
double tcp_throughput(const Ends& ends, test::Milliseconds during);

struct Flood {
  double received = 0;  // frames per second
  double lost = 0;      // share of those sent
};
// UDP in frames of the least size there is (60 bytes), as fast as the sender can.
Flood flood(const Ends& ends, test::Milliseconds during);

// Median time of a packet there and back, seconds. One at a time, both ends on one thread.
double round_trip(const Ends& ends, test::Milliseconds during);

// Frames of an EtherType of our own, broadcast by one interface. Numbered, so that it is known when one that
// arrives was sent.
class FrameSender {
 public:
  FrameSender(const std::string& netns, const std::string& interface);
  // Sends one and answers its number. That there is no carrier is no error.
  std::uint64_t send();

 private:
  test::Fd socket_;
  std::uint64_t last_ = 0;
};

// Answers the number of a frame of a FrameSender, 0 when it is none.
std::uint64_t number_of(const void* frame, std::size_t size);

class FrameReceiver {
 public:
  FrameReceiver(const std::string& netns, const std::string& interface);
  // Waits up to 1 ms. Highest number that has arrived since the last call; 0 when none did.
  std::uint64_t receive();

 private:
  test::Fd socket_;
};

}  // namespace lanwright::bench
