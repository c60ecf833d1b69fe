#include "agent/docker/records.h"

#include <utility>

#include "agent/docker/sandboxes.h"
#include "agent/reconcile/forwarding.h"

namespace lanwright::docker_agent {

ResourceId network_id(const std::string& name) {
  return {Kind::network, name};
}

const DockerRecord* Records::find(const std::string& network) const {
  const auto found = records_.find(network);
  return found == records_.end() ? nullptr : &found->second;
}

const DockerRecord* Records::find_declared(const std::string& network) const {
  const DockerRecord* record = find(network);
  const auto* object = record != nullptr ? reconciler_.desired().find(network_id(record->network)) : nullptr;
  return object != nullptr && !object->object.deleting ? record : nullptr;
}

Error Records::missing(const std::string& network) const {
  const std::string id = network.substr(0, kShortId);
  const DockerRecord* record = find(network);
  if (record == nullptr || !record->view)
    return {ErrorKind::not_found,
            "find",
            "Docker's network " + id,
            0,
            "the agent does not know it",
            "it was made with another database, or removed by `lanwright delete`: remove it with `docker "
            "network rm`, and create it again"};
  return {ErrorKind::not_found,
          "find",
          "network " + record->network,
          0,
          "it is not declared any more, and Docker's network " + id + " is a view of it",
          "declare it again: lanwright apply -f FILE"};
}

std::vector<ResourceId> Records::endpoints_of(const std::string& network) const {
  std::vector<ResourceId> endpoints;
  const DockerRecord* record = find(network);
  if (record == nullptr) return endpoints;
  for (const ResourceId& id : reconciler_.desired().attachments_of(record->network)) {
    const AttachmentSpec* spec = endpoint_of(reconciler_.desired().find(id));
    if (spec != nullptr && spec->endpoint->network == network) endpoints.push_back(id);
  }
  return endpoints;
}

const desired::DesiredObject* Records::find_endpoint(const std::string& network,
                                                     const std::string& endpoint) const {
  for (const ResourceId& id : endpoints_of(network)) {
    const desired::DesiredObject* object = reconciler_.desired().find(id);
    if (endpoint_of(object)->endpoint->endpoint == endpoint) return object;
  }
  return nullptr;
}

std::optional<ForwardRule> Records::bridge_of(const DockerRecord& record) const {
  const auto* object = reconciler_.desired().find(network_id(record.network));
  return object != nullptr ? reconcile::forward_rule_for(*object) : std::nullopt;
}

std::set<ForwardRule> Records::forward_rules() const {
  std::set<ForwardRule> rules;
  for (const auto& [id, record] : records_) {
    if (auto rule = bridge_of(record)) rules.insert(*std::move(rule));
  }
  return rules;
}

std::map<std::string, std::string> Records::switched() const {
  std::map<std::string, std::string> networks;
  for (const auto& [id, record] : records_) {
    const auto* object = reconciler_.desired().find(network_id(record.network));
    if (object != nullptr && !object->object.deleting && object->compile().vswitch)
      networks.emplace(id.substr(0, kShortId), record.network);
  }
  return networks;
}

}  // namespace lanwright::docker_agent
