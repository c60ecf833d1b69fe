#include "reconcilers/ovsdb/connection.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "reconcilers/os/process.h"

namespace lanwright::ovsdb {
namespace {

constexpr std::size_t kPiece = 65536;
constexpr std::size_t kPiecesPerTurn = 16;  // then others have the loop
// A server that asks and asks, and reads no answer, does not fill the memory.
constexpr std::size_t kMostUnsent = std::size_t{64} << 20U;

}  // namespace

Result<Connection> Connection::open(const std::string& socket, FramerLimits limits) {
  auto stream = os::connect_unix(socket);
  if (!stream) return stream.error();
  return Connection(socket, std::move(*stream), limits);
}

Result<void> Connection::send(const std::string& message) {
  if (unsent_.size() + message.size() > kMostUnsent)
    return Error{
        ErrorKind::exhausted, "send to", socket_, 0, "ovsdb-server does not read what it is sent", {}};
  unsent_ += message;
  return flush();
}

Result<void> Connection::flush() {
  std::size_t sent = 0;
  while (sent < unsent_.size()) {
    const ssize_t size =
        ::send(stream_.get(), unsent_.data() + sent, unsent_.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) break;
    if (size < 0) {
      Error error = error_from_errno(errno, "send to", socket_);
      if (error.number == EPIPE || error.number == ECONNRESET) error.kind = ErrorKind::waiting;
      return error;
    }
    sent += static_cast<std::size_t>(size);
  }
  unsent_.erase(0, sent);
  return {};
}

Result<bool> Connection::receive(std::vector<Json>& messages) {
  bool came = false;
  for (std::size_t i = 0; i < kPiecesPerTurn; ++i) {
    std::array<char, kPiece> piece{};
    const ssize_t size = ::recv(stream_.get(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return came;
    if (size == 0 || (size < 0 && errno == ECONNRESET))
      return Error{ErrorKind::waiting,
                   "read from",
                   socket_,
                   0,
                   framer_.is_between_messages() ? "ovsdb-server ended the connection"
                                                 : "ovsdb-server ended the connection within a message",
                   {}};
    if (size < 0) return error_from_errno(errno, "read from", socket_);
    if (auto fed = framer_.feed({piece.data(), static_cast<std::size_t>(size)}, messages); !fed)
      return fed.error();
    came = true;
  }
  return came;
}

}  // namespace lanwright::ovsdb
