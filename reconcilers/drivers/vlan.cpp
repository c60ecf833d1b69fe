// VLAN links (802.1Q, 802.1ad) on a host interface. Source: ip-link(8) "VLAN Type Support", IEEE
// 802.1Q-2018 9.6.
#include "reconcilers/kinds/vlan.h"
#include "reconcilers/drivers/vlan.h"

namespace lanwright::drivers {

Resources vlan_resources(const Named<VlanSpec>& vlan, bool implicit) {
  constexpr std::uint64_t kTpid8021q = 0x8100;
  constexpr std::uint64_t kTpid8021ad = 0x88a8;
  LinkSpec link;
  link.at = {"", vlan.name};
  link.kind = kinds::kVlan.name;
  link.accept_foreign = implicit;
  link.parent = vlan.spec.parent;
  link.mtu = vlan.spec.mtu;
  link.mac = vlan.spec.mac;
  link.attributes = {
      {kinds::vlan::kId, vlan.spec.id},
      {kinds::vlan::kProtocol, vlan.spec.protocol == VlanProtocol::dot1ad ? kTpid8021ad : kTpid8021q},
  };
  return {{link}};
}

}  // namespace lanwright::drivers
