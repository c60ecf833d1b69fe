// Links that are declared on their own and not through a network's driver.
#pragma once

#include "reconcilers/drivers/driver.h"

namespace lanwright::drivers {

// `implicit`: nobody declared it by itself; a link of its name that is there already does as well.
Resources vlan_resources(const Named<VlanSpec>& vlan, bool implicit);

}  // namespace lanwright::drivers
