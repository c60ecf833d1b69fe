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

namespace lanwright::os {

namespace {

constexpr const char* kOwnNamespace = "/proc/thread-self/ns/net";

bool is_network_namespace(int fd) {
  struct statfs filesystem {};
  if (::fstatfs(fd, &filesystem) != 0 || filesystem.f_type != NSFS_MAGIC) return false;
  return ::ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET;
}

}  // namespace

Result<NamespaceFile> open_namespace(const std::string& path) {
  const char* file = path.empty() ? kOwnNamespace : path.c_str();
  // O_NONBLOCK: whatever else has this path (a FIFO) must not stop the loop.
  Descriptor descriptor(::open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!descriptor || ::fstat(descriptor.get(), &status) != 0) {
    Error error = error_from_errno(errno, "open network namespace", file);
    if (error.number == ENOENT || error.number == ENOTDIR) error.kind = ErrorKind::waiting;
    return error;
  }
  if (!is_network_namespace(descriptor.get())) {
    return Error{
        ErrorKind::waiting,           "open network namespace", file, 0, "this file is no network namespace",
        "make it with `ip netns add`"};
  }
  return NamespaceFile{std::move(descriptor), status.st_ino};
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
