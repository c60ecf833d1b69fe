// The networks that Docker made, by Docker's id, and what is declared for them. Loop thread only.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/docker/record.h"
#include "agent/reconcile/reconciler.h"
#include "model/base/loop_thread.h"
#include "reconcilers/backends/firewall_backend.h"

namespace lanwright::docker_agent {

inline constexpr std::size_t kShortId = 12;  // digits, as Docker shows ids

ResourceId network_id(const std::string& name);

class Records {
 public:
  explicit Records(const reconcile::Reconciler& reconciler) : reconciler_(reconciler) {}

  void put(const std::string& network, DockerRecord record) LANWRIGHT_ON_LOOP {
    records_[network] = std::move(record);
  }
  void erase(const std::string& network) LANWRIGHT_ON_LOOP { records_.erase(network); }
  const std::map<std::string, DockerRecord>& all() const LANWRIGHT_ON_LOOP { return records_; }
  const DockerRecord* find(const std::string& network) const LANWRIGHT_ON_LOOP;
  // Whose network is declared, and is not being deleted.
  const DockerRecord* find_declared(const std::string& network) const LANWRIGHT_ON_LOOP;
  Error missing(const std::string& network) const LANWRIGHT_ON_LOOP;  // when there is no find_declared() it

  // Attachments that are endpoints of this network of Docker's.
  std::vector<ResourceId> endpoints_of(const std::string& network) const LANWRIGHT_ON_LOOP;
  const desired::DesiredObject* find_endpoint(const std::string& network, const std::string& endpoint) const
      LANWRIGHT_ON_LOOP;
  // Of the bridges that carry these networks.
  std::set<ForwardRule> forward_rules() const LANWRIGHT_ON_LOOP;
  std::optional<ForwardRule> bridge_of(const DockerRecord& record) const
      LANWRIGHT_ON_LOOP;  // when one carries it
  // By Docker's short id, the declared network of each that a switch carries.
  std::map<std::string, std::string> switched() const LANWRIGHT_ON_LOOP;

 private:
  const reconcile::Reconciler& reconciler_;
  std::map<std::string, DockerRecord> records_;
};

}  // namespace lanwright::docker_agent
