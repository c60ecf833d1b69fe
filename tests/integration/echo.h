// A server that tells each client as whom it sees it, and a client that asks: what addresses are translated
// to, and which ports lead where.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "tests/integration/sandbox.h"

namespace lanwright::test {

enum class Transport { tcp, udp };

// Listens at the address and port, with TCP and UDP, in the namespace ("" is the sandbox's own).
class EchoServer {
 public:
  EchoServer(const std::string& netns, const std::string& address, std::uint16_t port);
  ~EchoServer();
  EchoServer(const EchoServer&) = delete;
  EchoServer& operator=(const EchoServer&) = delete;

 private:
  void serve();
  void answer_stream() const;
  void answer_datagram() const;

  Fd stream_;
  Fd datagram_;
  Fd stop_;
  std::jthread thread_;
};

// The client's address as the server says it; empty when no answer comes within the limit, or the connection
// is refused.
std::string ask(const std::string& netns, Transport transport, const std::string& address, std::uint16_t port,
                Milliseconds limit = 3s);

}  // namespace lanwright::test
