// Where Docker runs, what a bridge forwards passes iptables (br_netfilter), and is dropped there unless the
// bridge is Docker's own. A rule for each bridge that carries a network of Docker's lets its frames pass, and
// nothing else: no policy and no sysctl is touched. Blocks for some milliseconds; any thread.
#pragma once

#include <string>

#include "model/result.h"

namespace lanwright {

// Of IPv4 and IPv6, where the host has the tools. Again is harmless.
Result<void> let_bridge_forward(const std::string& bridge);
Result<void> forget_bridge(const std::string& bridge);

}  // namespace lanwright
