#include "reconcilers/os/namespace.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

namespace lanwright::os {

namespace {

constexpr const char* kOwnNamespace = "/proc/thread-self/ns/net";

// Opens what O_PATH found, once it is known to be a namespace: anything else with this path (a FIFO, a
// device) would feel it.
Result<Descriptor> open_found(const Descriptor& found, const std::string& path) {
  const Error none{
      ErrorKind::waiting,           "open network namespace", path, 0, "this file is no network namespace",
      "make it with `ip netns add`"};
  struct statfs filesystem {};
  if (::fstatfs(found.get(), &filesystem) != 0 || filesystem.f_type != NSFS_MAGIC) return none;
  const std::string same = "/proc/thread-self/fd/" + std::to_string(found.get());
  Descriptor opened(::open(same.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened) return error_from_errno(errno, "open network namespace", path);
  if (::ioctl(opened.get(), NS_GET_NSTYPE) != CLONE_NEWNET) return none;
  return opened;
}

}  // namespace

Result<NamespaceFile> open_namespace(const std::string& path) {
  const char* file = path.empty() ? kOwnNamespace : path.c_str();
  const Descriptor found(::open(file, O_PATH | O_CLOEXEC));
  struct stat status {};
  if (!found || ::fstat(found.get(), &status) != 0) {
    Error error = error_from_errno(errno, "open network namespace", file);
    if (error.number == ENOENT || error.number == ENOTDIR) error.kind = ErrorKind::waiting;
    return error;
  }
  auto descriptor = open_found(found, file);
  if (!descriptor) return descriptor.error();
  return NamespaceFile{std::move(*descriptor), status.st_ino};
}

NamespaceVisit::NamespaceVisit(const Descriptor& netns) : home_(::open(kOwnNamespace, O_RDONLY | O_CLOEXEC)) {
  if (!home_ || ::setns(netns.get(), CLONE_NEWNET) != 0) {
    error_ = errno;
    return;
  }
  inside_ = true;
}

NamespaceVisit::~NamespaceVisit() {
  if (!inside_ || ::setns(home_.get(), CLONE_NEWNET) == 0) return;
  std::fprintf(stderr, "cannot return to the thread's network namespace: %s\n", std::strerror(errno));
  std::abort();
}

}  // namespace lanwright::os
