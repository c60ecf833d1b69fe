#include "reconcilers/os/offload.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>

#include "reconcilers/os/descriptor.h"

namespace lanwright::os {

int send_whole_checksums(const std::string& interface) {
  const Descriptor any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!any) return errno;
  ethtool_value off{ETHTOOL_STXCSUM, 0};
  ifreq request{};
  if (interface.size() >= sizeof request.ifr_name) return ENODEV;
  interface.copy(request.ifr_name, sizeof request.ifr_name - 1);
  request.ifr_data = reinterpret_cast<char*>(&off);  // NOLINT(cppcoreguidelines-pro-type-reinterpret-cast)
  return ::ioctl(any.get(), SIOCETHTOOL, &request) != 0 ? errno : 0;
}

}  // namespace lanwright::os
