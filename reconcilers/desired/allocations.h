// Addresses for attachments that name none, from the subnets of their network. Pure; any thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model/base/result.h"
#include "reconcilers/desired/desired_state.h"

namespace lanwright::desired {

// The leases that are to change on this network, by attachment; those that are right are kept for good, as
// long as the subnets allow it. One address for each family that the network has subnets of, the lowest free
// one of the first subnet with room. An error when there is none, or when two attachments declare the same
// address.
Result<std::map<ResourceId, std::vector<IpPrefix>>> allocate_addresses(const DesiredState& desired,
                                                                       const std::string& network);

// As the store keeps them: "192.168.50.129/24 fd50::2/64".
std::string text_of_allocations(const std::vector<IpPrefix>& allocations);
std::vector<IpPrefix> allocations_from(const std::string& text);

}  // namespace lanwright::desired
