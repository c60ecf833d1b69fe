#include "reconcilers/kinds/table.h"

#include <algorithm>
#include <array>

#include "reconcilers/kinds/bridge.h"
#include "reconcilers/kinds/dummy.h"
#include "reconcilers/kinds/ipvlan.h"
#include "reconcilers/kinds/macvlan.h"
#include "reconcilers/kinds/tun.h"
#include "reconcilers/kinds/veth.h"
#include "reconcilers/kinds/vlan.h"
#include "reconcilers/kinds/vrf.h"

namespace lanwright::kinds {
namespace {

// In the order in which two are named together.
constexpr std::array kKinds{
    &kBridge, &kVlan, &kVeth, &kTun, &kMacvlan, &kMacvtap, &kIpvlan, &kIpvtap, &kDummy, &kVrf,
};

}  // namespace

std::span<const LinkKind* const> all() {
  return kKinds;
}

const LinkKind& kind_of(std::string_view name) {
  static constexpr LinkKind kOther;
  const auto* const found = std::ranges::find(kKinds, name, &LinkKind::name);
  return found == kKinds.end() ? kOther : **found;
}

}  // namespace lanwright::kinds
