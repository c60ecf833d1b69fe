// Links that are declared on their own and not through a network's driver.
#pragma once

#include "reconcilers/driver.h"

namespace lanwright {

// `on_demand`: nobody declared it by itself; a link of its name that is there already does as well.
Parts vlan_parts(const Named<VlanSpec>& vlan, bool on_demand);

}  // namespace lanwright
