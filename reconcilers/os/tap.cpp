#include "reconcilers/os/tap.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "reconcilers/os/namespace.h"

namespace lanwright::os {

namespace {

// The namespace of a tap is the one in which the device file was opened.
int open_tap(const Descriptor& netns, const std::string& name, int more_flags, Descriptor& tap) {
  ifreq request{};
  if (name.size() >= sizeof request.ifr_name) return ENAMETOOLONG;
  std::memcpy(request.ifr_name, name.data(), name.size());
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | more_flags);
  const NamespaceVisit visit(netns);
  if (visit.error() != 0) return visit.error();
  tap = Descriptor(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (!tap) return errno;
  if (::ioctl(tap.get(), TUNSETIFF, &request) == 0) return 0;
  // It must be said that one with several queues is such.
  if (errno != EINVAL || (more_flags & IFF_TUN_EXCL) != 0) return errno;
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_MULTI_QUEUE);
  return ::ioctl(tap.get(), TUNSETIFF, &request) == 0 ? 0 : errno;
}

int set_users(const Descriptor& tap, const TapUsers& users) {
  if (users.owner && ::ioctl(tap.get(), TUNSETOWNER, static_cast<unsigned long>(*users.owner)) != 0)
    return errno;
  if (users.group && ::ioctl(tap.get(), TUNSETGROUP, static_cast<unsigned long>(*users.group)) != 0)
    return errno;
  return 0;
}

}  // namespace

int make_tap(const Descriptor& netns, const std::string& name, const TapUsers& users,
             const TapOptions& options) {
  Descriptor tap;
  const int queues = options.multi_queue ? IFF_MULTI_QUEUE : 0;
  if (const int error = open_tap(netns, name, IFF_TUN_EXCL | queues, tap)) return error;
  if (const int error = set_users(tap, users)) return error;  // not persistent yet: closing takes it away
  return ::ioctl(tap.get(), TUNSETPERSIST, 1UL) == 0 ? 0 : errno;
}

int set_tap_users(const Descriptor& netns, const std::string& name, const TapUsers& users) {
  Descriptor tap;
  if (const int error = open_tap(netns, name, 0, tap)) return error;
  return set_users(tap, users);
}

int open_tap_for_frames(const Descriptor& netns, const std::string& name, Descriptor& tap) {
  Descriptor opened;
  if (const int error = open_tap(netns, name, IFF_VNET_HDR, opened)) return error;
  // One that went in this moment was made anew by opening it, and goes again with the descriptor.
  ifreq found{};
  if (::ioctl(opened.get(), TUNGETIFF, &found) != 0) return errno;
  if ((static_cast<unsigned short>(found.ifr_flags) & IFF_PERSIST) == 0) return ENODEV;
  constexpr unsigned long kOffloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  if (::ioctl(opened.get(), TUNSETOFFLOAD, kOffloads) != 0) return errno;
  if (::fcntl(opened.get(), F_SETFL, O_RDWR | O_NONBLOCK) != 0) return errno;
  tap = std::move(opened);
  return 0;
}

}  // namespace lanwright::os
