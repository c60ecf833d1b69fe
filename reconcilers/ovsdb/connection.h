// A stream to ovsdb-server: messages out and in, never blocking. One thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/base/result.h"
#include "reconcilers/os/descriptor.h"
#include "reconcilers/ovsdb/framer.h"

namespace lanwright::ovsdb {

class Connection {
 public:
  // `not_found` when there is no such socket, `waiting` when no process listens, `timeout` when it does not
  // accept.
  static Result<Connection> open(const std::string& socket, FramerLimits limits);

  int fd() const { return stream_.get(); }

  // What the socket does not take now is kept for flush(), up to a limit.
  Result<void> send(const std::string& message);
  Result<void> flush();
  bool has_unsent() const { return !unsent_.empty(); }

  // Appends what came, and answers whether anything did, be it a part of a message. Returns after some of it:
  // the descriptor stays readable when there is more. On an error, such as `waiting` for the end of the
  // stream, what came before it is appended too.
  Result<bool> receive(std::vector<Json>& messages);

 private:
  Connection(std::string socket, os::Descriptor stream, FramerLimits limits)
      : socket_(std::move(socket)), stream_(std::move(stream)), framer_(limits) {}

  std::string socket_;
  os::Descriptor stream_;
  Framer framer_;
  std::string unsent_;
};

}  // namespace lanwright::ovsdb
