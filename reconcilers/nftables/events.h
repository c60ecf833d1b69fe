// The kernel's news of nf_tables: what anybody changes in any table. Of one thread. Source:
// linux/netfilter/nf_tables.h, netlink(7).
#pragma once

#include <linux/netlink.h>

#include <functional>
#include <utility>

#include "model/base/result.h"
#include "reconcilers/netlink/socket.h"

namespace lanwright::nftables {

class Events {
 public:
  // Of this network namespace; with none, of the calling thread's. Fails where the kernel has no nf_tables.
  static Result<Events> open(const os::Descriptor& netns = {});

  int fd() const { return socket_.fd(); }
  // Takes in what came. The messages of a transaction come before its NFT_MSG_NEWGEN. False when news were
  // lost: anything may have changed.
  [[nodiscard]] bool drain(const std::function<void(const nlmsghdr&)>& visit);

 private:
  explicit Events(netlink::Socket socket) : socket_(std::move(socket)) {}
  netlink::Socket socket_;
};

}  // namespace lanwright::nftables
