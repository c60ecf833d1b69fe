#include "api/http/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <variant>

#include "api/http/unix_listener.h"

namespace lanwright::http {
namespace {

constexpr std::size_t kPiece = 64U << 10U;
constexpr std::uint64_t kMostDropped = 64U << 20U;  // of a refused request

int milliseconds_until(SteadyTime end) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

}  // namespace

Connection::Connection(os::Descriptor socket, int stop, const HeadLimits& limits,
                       std::chrono::milliseconds patience, std::size_t listener)
    : socket_(std::move(socket)),
      stop_(stop),
      limits_(limits),
      patience_(patience),
      listener_(listener),
      peer_(peer_of(socket_.get())) {}

Connection::Wait Connection::wait_for(short events, SteadyTime deadline, int other) const {
  for (;;) {
    std::array<pollfd, 3> polled{{{socket_.get(), events, 0}, {stop_, POLLIN, 0}, {other, POLLIN, 0}}};
    const int ready = ::poll(polled.data(), polled.size(), milliseconds_until(deadline));
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0 || polled[1].revents != 0) return Wait::cancelled;
    if (polled[0].revents != 0) return Wait::ready;
    if (polled[2].revents != 0) return Wait::other;
    if (std::chrono::steady_clock::now() >= deadline) return Wait::timeout;
  }
}

std::size_t Connection::fill(std::size_t size, SteadyTime deadline) {
  if (wait_for(POLLIN, deadline) != Wait::ready) return 0;
  const std::size_t before = buffer_.size();
  buffer_.resize(before + size);
  const ssize_t received = ::recv(socket_.get(), buffer_.data() + before, size, 0);
  buffer_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(received, 0)));
  if (received < 0 && (errno == EINTR || errno == EAGAIN)) return fill(size, deadline);
  return buffer_.size() - before;
}

Connection::Intake Connection::refuse(HttpError refusal) {
  refusal_ = std::move(refusal);
  head_ = {};
  head_.method = "GET";
  last_ = true;
  unread_ = kMostDropped;  // nobody knows where the next request would begin
  replay_ = "GET / HTTP/1.1\r\n\r\n";
  return Intake::refused;
}

Connection::Intake Connection::accept_head(std::size_t size) {
  auto read = http::read_head(std::string_view(buffer_).substr(0, size), limits_);
  buffer_.erase(0, size);
  if (auto* refusal = std::get_if<HttpError>(&read)) return refuse(std::move(*refusal));
  head_ = std::move(std::get<RequestHead>(read));
  unread_ = head_.content_length.value_or(0);
  last_ = !head_.keep_alive;
  replay_ = head_.method + " / HTTP/1.1\r\n\r\n";
  return Intake::complete;
}

Connection::Intake Connection::read_head() {
  const SteadyTime deadline = std::chrono::steady_clock::now() + patience_;
  for (;;) {
    while (buffer_.starts_with("\r\n")) buffer_.erase(0, 2);  // RFC 9112, 2.2
    if (auto found = find_head(buffer_, limits_)) {
      if (auto* refusal = std::get_if<HttpError>(&*found)) return refuse(std::move(*refusal));
      return accept_head(std::get<std::size_t>(*found));
    }
    if (fill(kPiece, deadline) != 0) continue;
    if (buffer_.empty() || std::chrono::steady_clock::now() < deadline) return Intake::closed;
    return refuse({.status = 408, .detail = "the request did not arrive in time", .hint = {}});
  }
}

std::optional<HttpError> Connection::read_body(std::string& body) {
  const std::uint64_t whole = unread_;
  if (head_.expects_continue && whole != 0 && buffer_.empty() && !send_all("HTTP/1.1 100 Continue\r\n\r\n"))
    return HttpError{.status = 400, .detail = "the client is gone", .hint = {}};
  while (unread_ != 0) {
    // Silence ends it, not a slow line: each piece has its own time.
    const SteadyTime deadline = std::chrono::steady_clock::now() + patience_;
    if (buffer_.empty() && fill(std::min<std::uint64_t>(unread_, kPiece), deadline) == 0) {
      const std::string had = std::to_string(whole - unread_) + " of " + std::to_string(whole) + " bytes";
      if (std::chrono::steady_clock::now() >= deadline)
        return HttpError{.status = 408, .detail = "the body did not arrive in time: " + had, .hint = {}};
      return HttpError{.status = 400, .detail = "the body ended after " + had, .hint = {}};
    }
    const std::size_t piece = std::min<std::uint64_t>(unread_, buffer_.size());
    body.append(buffer_, 0, piece);
    buffer_.erase(0, piece);
    unread_ -= piece;
  }
  return std::nullopt;
}

void Connection::close_gently() {
  constexpr std::chrono::seconds kLonger{2};
  const SteadyTime deadline = std::chrono::steady_clock::now() + kLonger;
  if (!broken_ && unread_ != 0 && ::shutdown(socket_.get(), SHUT_WR) == 0) {
    unread_ = std::min(unread_, kMostDropped);
    for (;;) {
      unread_ -= std::min<std::uint64_t>(unread_, buffer_.size());
      buffer_.clear();
      if (unread_ == 0 || fill(kPiece, deadline) == 0) break;
    }
  }
  socket_ = {};
}

bool Connection::goes_on_within(std::chrono::milliseconds time) const {
  if (has_buffered()) return !cancelled();
  return wait_for(POLLIN, std::chrono::steady_clock::now() + time) == Wait::ready;
}

bool Connection::peer_is_gone() const {
  pollfd polled{socket_.get(), 0, 0};
  return broken_ || (::poll(&polled, 1, 0) == 1 && (polled.revents & (POLLHUP | POLLERR)) != 0);
}

bool Connection::cancelled() const {
  return pause_until(std::chrono::steady_clock::now());
}

bool Connection::pause_until(SteadyTime end) const {
  // Without events asked for, only the end of both directions is told (POLLHUP, POLLERR).
  return broken_ || wait_for(0, end) != Wait::timeout;
}

bool Connection::pause_for(int readable) const {
  constexpr std::chrono::hours kTurn{1};  // the longest that it waits at a time
  while (!broken_) {
    const Wait woken = wait_for(0, std::chrono::steady_clock::now() + kTurn, readable);
    if (woken != Wait::timeout) return woken != Wait::other;
  }
  return true;
}

bool Connection::send_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = write(text.data(), text.size());
    if (sent < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

ssize_t Connection::read(char* data, std::size_t size) {
  const std::size_t piece = std::min(size, replay_.size());
  replay_.copy(data, piece);
  replay_.erase(0, piece);
  return static_cast<ssize_t>(piece);
}

ssize_t Connection::write(const char* data, std::size_t size) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + patience_;
  while (!broken_) {
    const ssize_t sent = ::send(socket_.get(), data, size, MSG_NOSIGNAL);
    if (sent >= 0) return sent;
    if (errno == EINTR) continue;
    if (errno != EAGAIN || wait_for(POLLOUT, deadline) != Wait::ready) broken_ = true;
  }
  return -1;
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = -1;
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = -1;
}

}  // namespace lanwright::http
