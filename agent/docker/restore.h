// Networks that Docker has and this database does not know: made again under the marks that they left in the
// kernel and on their switches, so that what is there is the agent's own again, untouched. Loop thread only.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/docker/ipam.h"
#include "agent/docker/lost.h"
#include "agent/docker/networks.h"
#include "agent/docker/records.h"
#include "agent/reconcile/reconciler.h"
#include "model/base/loop_thread.h"

namespace lanwright::docker_agent {

class Restoration {
 public:
  // `plugins`: by name, the driver of the networks that Docker makes through each. Declares as `author`. What
  // it is given outlives it.
  Restoration(reconcile::Reconciler& reconciler, const reconcile::Controller& author, const Records& records,
              Ipam& ipam, Networks& networks, std::map<std::string, std::string> plugins);

  // What the search found, and is not known: all of it, each by itself. Whether all of it is there.
  bool restore(const std::vector<LostNetwork>& lost) LANWRIGHT_ON_LOOP;

 private:
  Result<void> restore(const LostNetwork& lost) LANWRIGHT_ON_LOOP;
  Result<void> restore_pools(const LostNetwork& lost) LANWRIGHT_ON_LOOP;
  Result<void> restore(const LostEndpoint& lost) LANWRIGHT_ON_LOOP;
  ObjectUid trace_of(const DockerNetwork& network) const LANWRIGHT_ON_LOOP;

  reconcile::Reconciler& reconciler_;
  const reconcile::Controller& author_;
  const Records& records_;
  Ipam& ipam_;
  Networks& networks_;
  std::map<std::string, std::string> plugins_;
};

}  // namespace lanwright::docker_agent
