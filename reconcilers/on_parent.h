// What macvlan and ipvlan networks have in common: no switch and no ports, but links that stand on one link
// of the host, their parent, and live in the namespaces that are attached.
#pragma once

#include <string>

#include "reconcilers/driver.h"

namespace lanwright {

// How a driver's links differ from another's.
struct OnParent {
  std::string kind;       // IFLA_INFO_KIND
  LinkAttrs attributes;   // mode and flags
  bool own_mac = true;    // otherwise all have the parent's
  bool broadcast = true;  // otherwise there is no neighbour to ask for a gateway: routes name the device only
};

// A network without `parent` gets a dummy of its own, which leads nowhere.
Parts network_on_parent(const Named<NetworkSpec>& network, const OnParent& how);
Parts attachment_on_parent(const Named<AttachmentSpec>& attachment, const Named<NetworkSpec>& network,
                           const OnParent& how);

// What both refuse.
void check_network_on_parent(const NetworkSpec& spec, const Complain& complain);
void check_attachment_on_parent(const AttachmentSpec& spec, const NetworkSpec& network,
                                const std::string& driver, const Complain& complain);

}  // namespace lanwright
