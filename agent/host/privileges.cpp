#include "agent/host/privileges.h"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "agent/host/log.h"

namespace lanwright::host {

Result<void> check_privileges() {
  struct Needed {
    unsigned number;
    const char* name;
    const char* what_for;
  };
  constexpr std::array kNeeded{
      Needed{CAP_NET_ADMIN, "CAP_NET_ADMIN", "links, addresses and routes"},
      Needed{CAP_NET_BROADCAST, "CAP_NET_BROADCAST", "events of all network namespaces"},
      Needed{CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "entering network namespaces"},
  };
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  if (syscall(SYS_capget, &header, sets.data()) != 0)
    return error_from_errno(errno, "read", "the capabilities of this process");
  std::string missing;
  for (const Needed& needed : kNeeded) {
    if ((sets[0].effective >> needed.number & 1U) != 0) continue;
    missing += std::string(missing.empty() ? "" : ", ") + needed.name + " (" + needed.what_for + ")";
  }
  if (missing.empty()) return {};
  return Error{ErrorKind::denied,
               "start",
               "lanwrightd",
               EPERM,
               "this process lacks " + missing,
               "run it as root, by systemd, or with these capabilities"};
}

void allow_many_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
    log::warning("the limit of open files stays low", {{"error", std::strerror(errno)}});
}

}  // namespace lanwright::host
