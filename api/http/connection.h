// One accepted connection: reads heads and bodies within limits of size and time, writes answers. It is also
// the stream that httplib writes to; what httplib reads from it is a head of our own making, because
// httplib's parser has no bounds and decodes percent signs in header fields.
#pragma once

#include <httplib.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "api/http/head.h"
#include "model/status.h"
#include "reconcilers/os/descriptor.h"

namespace lanwright::http {

using SteadyTime = std::chrono::steady_clock::time_point;

// Used by one thread at a time.
class Connection final : public httplib::Stream {
 public:
  enum class Intake {
    complete,  // head() is there
    refused,   // refusal() says why; the connection must end after the answer
    closed,    // nothing more comes
  };

  // `socket` is non-blocking. `stop` becomes readable when the server stops: every wait ends then. `patience`
  // is how long a client may be silent in the middle of something. `listener` says by which of several
  // sockets it came.
  Connection(os::Descriptor socket, int stop, const HeadLimits& limits, std::chrono::milliseconds patience,
             std::size_t listener);

  int descriptor() const { return socket_.get(); }
  const Peer& peer() const { return peer_; }
  std::size_t listener() const { return listener_; }

  Intake read_head();
  const RequestHead& head() const { return head_; }
  const HttpError& refusal() const { return refusal_; }
  // Appends the body that the head announced.
  std::optional<HttpError> read_body(std::string& body);
  // More of the next request is here already.
  bool has_buffered() const { return !buffer_.empty(); }
  // The same, or it comes within this time, be it the end. Not once the server stops.
  bool goes_on_within(std::chrono::milliseconds time) const;

  // Whether the connection can serve another request after this one.
  bool reusable() const { return !broken_ && !last_ && unread_ == 0; }
  void make_last() { last_ = true; }
  // Ends it so that a client which still sends gets to see the answer.
  void close_gently();

  // The client has closed its socket: nobody hears the answer.
  bool peer_is_gone() const;
  // The client is gone, or the server stops.
  bool cancelled() const;
  // Until then, or until cancelled(); true in the second case.
  bool pause_until(SteadyTime end) const;
  // The same, until the descriptor is readable.
  bool pause_for(int readable) const;

  // httplib::Stream
  bool is_readable() const override { return !replay_.empty(); }
  bool is_writable() const override { return !broken_; }
  ssize_t read(char* data, std::size_t size) override;
  ssize_t write(const char* data, std::size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  // httplib refuses numbers beyond FD_SETSIZE because its own stream calls select(2); this one polls.
  socket_t socket() const override { return INVALID_SOCKET; }

 private:
  enum class Wait { ready, other, timeout, cancelled };
  // For the socket, and for another descriptor to be readable when one is given.
  Wait wait_for(short events, SteadyTime deadline, int other = -1) const;
  // At most `size` bytes more into the buffer; 0 when nothing more comes before the deadline.
  std::size_t fill(std::size_t size, SteadyTime deadline);
  Intake refuse(HttpError refusal);
  Intake accept_head(std::size_t size);
  bool send_all(std::string_view text);

  os::Descriptor socket_;
  int stop_;
  HeadLimits limits_;
  std::chrono::milliseconds patience_;
  std::size_t listener_;
  Peer peer_;
  std::string buffer_;  // received, not used yet
  RequestHead head_;
  HttpError refusal_;
  std::string replay_;        // the head as httplib is to see it
  std::uint64_t unread_ = 0;  // bytes of the body that were not read
  bool last_ = false;
  bool broken_ = false;
};

}  // namespace lanwright::http
