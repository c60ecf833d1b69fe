#include "tests/integration/traffic.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <numeric>
#include <system_error>
#include <vector>

namespace lanwright::test {
namespace {

using Clock = std::chrono::steady_clock;

struct Endpoint {
  sockaddr_storage storage{};
  socklen_t size = 0;
  int family = AF_UNSPEC;

  explicit Endpoint(const std::string& address, std::uint16_t port = 0) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    if (inet_pton(AF_INET, address.c_str(), &v4->sin_addr) == 1) {
      family = v4->sin_family = AF_INET;
      v4->sin_port = htons(port);
      size = sizeof *v4;
    } else if (inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) == 1) {
      family = v6->sin6_family = AF_INET6;
      v6->sin6_port = htons(port);
      size = sizeof *v6;
    } else {
      throw HarnessError("not an address: " + address);
    }
  }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

// Binds to a free port of the address. IPV6_FREEBIND because the address may still be tentative.
Endpoint bind_to(const Fd& socket, const std::string& address) {
  Endpoint here(address);
  const int on = 1;
  setsockopt(socket.get(), here.family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
             here.family == AF_INET ? IP_FREEBIND : IPV6_FREEBIND, &on, sizeof on);
  if (bind(socket.get(), here.get(), here.size) != 0) fail_errno("bind to " + address);
  if (getsockname(socket.get(), here.get(), &here.size) != 0) fail_errno("getsockname");
  return here;
}

void set_limit(const Fd& socket, Milliseconds limit) {
  const timeval time{limit.count() / 1000, (limit.count() % 1000) * 1000};
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

std::string words_of_errno() {
  return std::generic_category().message(errno);
}

// Connecting fails at once where neighbours cannot be resolved yet: repeated until the deadline.
std::string connect_by(Fd& client, const std::string& from, Endpoint& server, Clock::time_point deadline) {
  while (true) {
    client = socket_in(from, server.family, SOCK_STREAM);
    set_limit(client, std::max(1ms, std::chrono::ceil<Milliseconds>(deadline - Clock::now())));
    if (connect(client.get(), server.get(), server.size) == 0) return {};
    std::string problem = "connect: " + words_of_errno();
    if (Clock::now() >= deadline) return problem;
    std::this_thread::sleep_for(5ms);
  }
}

std::vector<char> pattern(std::size_t bytes, char seed) {
  std::vector<char> data(bytes);
  std::uint32_t state = static_cast<unsigned char>(seed) + 1U;
  for (char& byte : data) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<char>(state >> 24U);
  }
  return data;
}

std::string send_whole(const Fd& socket, const std::vector<char>& data) {
  for (std::size_t done = 0; done < data.size();) {
    const ssize_t size = send(socket.get(), data.data() + done, data.size() - done, MSG_NOSIGNAL);
    if (size <= 0) return "send after " + std::to_string(done) + " bytes: " + words_of_errno();
    done += static_cast<std::size_t>(size);
  }
  return shutdown(socket.get(), SHUT_WR) == 0 ? "" : "shutdown: " + words_of_errno();
}

std::string receive_whole(const Fd& socket, const std::vector<char>& wanted) {
  std::vector<char> data;
  std::vector<char> piece(65536);
  while (true) {
    const ssize_t size = recv(socket.get(), piece.data(), piece.size(), 0);
    if (size < 0) return "receive after " + std::to_string(data.size()) + " bytes: " + words_of_errno();
    if (size == 0) break;
    data.insert(data.end(), piece.begin(), piece.begin() + size);
  }
  return data == wanted ? "" : "received " + std::to_string(data.size()) + " bytes, not those that were sent";
}

// Sends and receives at the same time; answers the first problem.
std::string exchange(const Fd& socket, const std::vector<char>& send_data, const std::vector<char>& wanted) {
  std::string send_problem;
  std::thread sender([&] { send_problem = send_whole(socket, send_data); });
  std::string problem = receive_whole(socket, wanted);
  sender.join();
  return problem.empty() ? send_problem : problem;
}

std::string serve(const Fd& listener, Milliseconds limit, const std::vector<char>& reply,
                  const std::vector<char>& wanted) {
  const Fd connection(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection) return "accept: " + words_of_errno();
  set_limit(connection, limit);
  return exchange(connection, reply, wanted);
}

std::string seconds(Milliseconds time) {
  return std::to_string(std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(time).count()));
}

Finished send_pings(const std::string& from, const std::string& address, Milliseconds limit) {
  return run({"ping", "-n", "-c", "1", "-i", "0.2", "-w", seconds(limit), address},
             {.netns = from, .limit = limit + 5s});
}

}  // namespace

testing::AssertionResult ping(const std::string& from, const std::string& address, Milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  Finished result = send_pings(from, address, limit);
  // Without a route yet ping ends at once.
  while (!result.ok() && Clock::now() < deadline) {
    std::this_thread::sleep_for(5ms);
    result = send_pings(from, address, 1s);
  }
  if (result.ok()) return testing::AssertionSuccess() << address << " answers to " << from;
  return testing::AssertionFailure() << address << " does not answer to " << from << ": " << result.text();
}

testing::AssertionResult no_ping(const std::string& from, const std::string& address, Milliseconds during) {
  const Finished result = send_pings(from, address, during);
  if (result.status == 126 || result.status == 127 || result.timed_out) {
    return testing::AssertionFailure() << "ping was not run: " << result.text();
  }
  if (!result.ok()) return testing::AssertionSuccess() << address << " does not answer to " << from;
  return testing::AssertionFailure() << address << " answers to " << from << ": " << result.text();
}

testing::AssertionResult tcp(const std::string& from, const std::string& to, const std::string& address,
                             std::size_t bytes, Milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  const Fd listener = socket_in(to, Endpoint(address).family, SOCK_STREAM);
  Endpoint server = bind_to(listener, address);
  if (listen(listener.get(), 1) != 0) fail_errno("listen");
  set_limit(listener, limit);
  const auto request = pattern(bytes, 'q');
  const auto reply = pattern(bytes, 'r');

  std::string server_problem;
  std::thread serving([&] { server_problem = serve(listener, limit, reply, request); });
  Fd client;
  std::string client_problem = connect_by(client, from, server, deadline);
  if (client_problem.empty()) {
    client_problem = exchange(client, request, reply);
  } else {
    shutdown(listener.get(), SHUT_RDWR);  // ends the waiting in accept
  }
  serving.join();
  if (client_problem.empty() && server_problem.empty()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "TCP from " << from << " to " << address << ": client "
                                     << client_problem << "; server " << server_problem;
}

Stream::Stream(const std::string& from, const std::string& to, const std::string& address,
               Milliseconds interval, Milliseconds limit) {
  const int family = Endpoint(address).family;
  receiver_ = socket_in(to, family, SOCK_DGRAM);
  Endpoint target = bind_to(receiver_, address);
  set_limit(receiver_, 20ms);
  const int buffer = 16 << 20;
  setsockopt(receiver_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
  sender_ = socket_in(from, family, SOCK_DGRAM | SOCK_NONBLOCK);

  const auto deadline = Clock::now() + limit;
  const std::uint64_t hello = ~0ULL;
  std::uint64_t heard = 0;
  do {
    if (Clock::now() >= deadline) throw HarnessError("no packet of a stream from " + from + " to " + address);
    if (connect(sender_.get(), target.get(), target.size) == 0) {
      send(sender_.get(), &hello, sizeof hello, MSG_NOSIGNAL);
    }
  } while (recv(receiver_.get(), &heard, sizeof heard, 0) != sizeof heard);

  receive_thread_ = std::jthread([this] { receive_all(); });
  send_thread_ = std::jthread([this, interval] { send_all(interval); });
}

Stream::~Stream() {
  stopping_ = true;
}

void Stream::send_all(Milliseconds interval) {
  auto next = Clock::now();
  while (!stopping_) {
    const std::uint64_t number = sent_ + refused_;
    if (send(sender_.get(), &number, sizeof number, MSG_NOSIGNAL) == sizeof number) {
      ++sent_;
    } else {
      ++refused_;
    }
    next += interval;
    std::this_thread::sleep_until(next);
  }
  all_sent_ = true;
}

void Stream::receive_all() {
  std::vector<bool> seen;
  auto last = Clock::now();
  Clock::time_point patience = Clock::time_point::max();
  while (Clock::now() < patience && !(all_sent_ && received_ >= sent_)) {
    std::uint64_t number = 0;
    const bool got = recv(receiver_.get(), &number, sizeof number, 0) == sizeof number;
    if (all_sent_ && patience == Clock::time_point::max()) patience = Clock::now() + 1s;
    if (!got || number == ~0ULL) continue;
    if (number >= seen.size()) seen.resize(number + 1);
    if (seen[number]) {
      ++count_.duplicates;
      continue;
    }
    seen[number] = true;
    const auto now = Clock::now();
    count_.longest_gap = std::max(count_.longest_gap, std::chrono::duration_cast<Milliseconds>(now - last));
    last = now;
    ++received_;
  }
}

StreamCount Stream::stop() {
  stopping_ = true;
  if (send_thread_.joinable()) send_thread_.join();
  if (receive_thread_.joinable()) receive_thread_.join();
  count_.sent = sent_;
  count_.refused = refused_;
  count_.received = received_;
  return count_;
}

}  // namespace lanwright::test
