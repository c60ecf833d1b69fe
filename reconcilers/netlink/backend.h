// The kernel's links over rtnetlink: the LinkBackend of the running agent.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "model/base/result.h"
#include "reconcilers/backends/link_backend.h"

namespace lanwright::netlink {

struct NetlinkOptions {
  std::string netns;              // path of the managed namespace; "" = the calling thread's
  int receive_buffer = 32 << 20;  // bytes, of the event socket; taken from memory only while events wait
};

// Opens the sockets; nothing is read yet: the first call is resync(). Needs CAP_NET_ADMIN. The port must be
// used by the thread that opened it, and from the network namespace that this thread was in.
Result<std::unique_ptr<LinkBackend>> open_netlink_backend(const NetlinkOptions& options);

}  // namespace lanwright::netlink
