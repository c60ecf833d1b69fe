// A socket that receives and sends the frames of one interface. Source: packet(7), <linux/if_packet.h>.
#pragma once

#include <string>

#include "model/base/result.h"
#include "reconcilers/os/descriptor.h"

namespace lanwright::os {

// Of the namespace that the calling thread is in; needs CAP_NET_RAW. Promiscuous as long as it is open. Hears
// what comes in, not what this host sends. Each frame is behind a virtio_net_hdr, and a VLAN tag that the
// kernel took off is told as auxiliary data. Does not block.
Result<Descriptor> open_packet_socket(int ifindex, const std::string& name);

}  // namespace lanwright::os
