// Listening Unix sockets: made so that nobody who may not connect can, at any moment.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "model/base/result.h"
#include "model/status.h"
#include "reconcilers/os/descriptor.h"

namespace lanwright::http {

// A listening socket and its file. The file is removed with it, unless somebody put another one in its place.
class UnixListener {
 public:
  // Errors: `conflict` when somebody listens there already, `invalid` for a path that is too long or that is
  // something else than a socket. A socket file on which nobody listens is replaced.
  // A `group` that does not exist, or may not be given, is told in notice() and is no error.
  static Result<UnixListener> listen(const std::filesystem::path& path, const std::string& group,
                                     unsigned mode);

  UnixListener(UnixListener&& other) noexcept;
  UnixListener& operator=(UnixListener&&) = delete;
  UnixListener(const UnixListener&) = delete;
  UnixListener& operator=(const UnixListener&) = delete;
  ~UnixListener();

  // Stops listening and removes the file; again is harmless.
  void close();
  int descriptor() const { return descriptor_.get(); }
  const std::string& notice() const { return notice_; }

 private:
  UnixListener(os::Descriptor descriptor, std::filesystem::path path);
  os::Descriptor descriptor_;
  std::filesystem::path path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  std::string notice_;
};

// Who is at the other end, as the kernel remembers it from connect(2) (unix(7), SO_PEERCRED).
Peer peer_of(int descriptor);

}  // namespace lanwright::http
