#include "agent/reconcile/forwarding.h"

#include "reconcilers/kinds/bridge.h"

namespace lanwright::reconcile {

std::optional<ForwardRule> forward_rule_for(const desired::DesiredObject& network) {
  if (network.object.deleting) return std::nullopt;
  const drivers::Resources resources = network.compile();
  for (const LinkSpec& link : resources.links) {
    if (link.kind == kinds::kBridge.name) return ForwardRule{link.at.name, network.object.uid};
  }
  return std::nullopt;
}

Forwarding::Forwarding(const desired::DesiredState& desired, FirewallBackend& firewall)
    : desired_(desired), firewall_(firewall) {
  std::set<ResourceId> all;
  for (const auto& [id, entry] : desired_.entries()) all.insert(all.end(), id);
  look_at(all);
}

void Forwarding::look_at(const std::set<ResourceId>& objects) {
  for (const ResourceId& id : objects) {
    const desired::DesiredObject* object = id.kind == Kind::network ? desired_.find(id) : nullptr;
    if (object != nullptr) firewall_.want_where_dropped(object->object.uid, forward_rule_for(*object));
  }
}

}  // namespace lanwright::reconcile
