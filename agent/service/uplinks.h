// A network with one uplink more or less: what its YAML would say then. Pure; any thread.
#pragma once

#include <string>

#include "model/base/result.h"
#include "model/desired.h"

namespace lanwright::service {

// An uplink of this name that is there already gets the VLANs of the new one. Refuses what the YAML reader
// refuses: what is no name of an interface, and what the driver does not take.
Result<NetworkSpec> with_uplink(const std::string& network, NetworkSpec spec, const Uplink& uplink);
// As it was when there is no such uplink.
Result<NetworkSpec> without_uplink(NetworkSpec spec, const std::string& interface);

}  // namespace lanwright::service
