// Links that are declared on their own and not through a network's driver.
#pragma once

#include "reconcilers/driver.h"

namespace lanwright {

Parts vlan_parts(const Named<VlanSpec>& vlan);

}  // namespace lanwright
