// Traffic between network namespaces of a sandbox, as proof that a LAN carries it or does not.
// Namespaces are names under /run/netns; "" is the sandbox's own.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "tests/integration/sandbox.h"

namespace lanwright::test {

// One echo comes back within the limit (requests are repeated until then).
testing::AssertionResult ping(const std::string& from, const std::string& address, Milliseconds limit = 10s);

// No echo comes back within the time; requests that the kernel refuses to send count as none.
testing::AssertionResult no_ping(const std::string& from, const std::string& address,
                                 Milliseconds during = 1s);

// A TCP connection is made to `address` (of `to`), carries this many bytes each way unharmed, and closes.
testing::AssertionResult tcp(const std::string& from, const std::string& to, const std::string& address,
                             std::size_t bytes = 1U << 20U, Milliseconds limit = 20s);

struct StreamCount {
  std::uint64_t sent = 0;
  std::uint64_t refused = 0;   // by the sender's kernel: no route, link down, no buffer
  std::uint64_t received = 0;  // different numbers
  std::uint64_t duplicates = 0;
  Milliseconds longest_gap{0};  // between two arrivals
  std::uint64_t lost() const { return sent - received; }
};

// Sends numbered UDP packets from `from` to `address` (of `to`) until it is stopped, and counts what arrives.
// The constructor returns after the first one arrived, so that every later loss is a loss.
class Stream {
 public:
  Stream(const std::string& from, const std::string& to, const std::string& address,
         Milliseconds interval = 1ms, Milliseconds limit = 10s);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  StreamCount stop();  // ends the sending, waits up to 1 s for what is on its way

 private:
  void send_all(Milliseconds interval);
  void receive_all();

  Fd sender_;
  Fd receiver_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> all_sent_ = false;
  std::atomic<std::uint64_t> sent_ = 0;
  std::atomic<std::uint64_t> refused_ = 0;
  std::atomic<std::uint64_t> received_ = 0;
  StreamCount count_;  // the receiver's own until it is joined
  std::jthread send_thread_;
  std::jthread receive_thread_;
};

}  // namespace lanwright::test
