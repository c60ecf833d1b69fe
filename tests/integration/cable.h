// A cable that leaves the host, as pairs of virtual Ethernet links.
#pragma once

#include <string>
#include <vector>

#include "tests/integration/sandbox.h"

namespace lanwright::test {

// A link of the host, up, whose other end is the interface "eth0", up, of a neighbour: a namespace, which is
// made when it is not there, with these addresses ("10.5.0.1/24").
void lay_cable(const Sandbox& sandbox, const std::string& link, const std::string& neighbour,
               const std::vector<std::string>& addresses = {});

// Where VLAN `vid` of the cable to the neighbour ends: the interface "end" of a namespace that is made for
// it, "vlanVID", with this address.
void end_vlan(const Sandbox& sandbox, const std::string& neighbour, const std::string& vid,
              const std::string& address);

// The first kind of VLAN, ipvlan and dummy links that this kernel has not; "" when it has them all.
std::string lacking_kind(const Sandbox& sandbox);

}  // namespace lanwright::test
