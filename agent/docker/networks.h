// Docker's networks and their endpoints, as objects of the set `docker`: what each of Docker's calls changes
// of what is wanted. Those that answer objects return once the change is stored; it is carried out when the
// objects have settled. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/docker/audit.h"
#include "agent/docker/grace.h"
#include "agent/docker/ipam.h"
#include "agent/docker/records.h"
#include "agent/docker/sandboxes.h"
#include "agent/reconcile/reconciler.h"
#include "model/base/loop_thread.h"
#include "model/docker.h"

namespace lanwright::docker_agent {

class Networks {
 public:
  // Declares as `author`. `on_removed` is called after a network was removed by Docker. What it is given
  // outlives it.
  Networks(reconcile::Reconciler& reconciler, const reconcile::Controller& author, Records& records,
           Ipam& ipam, GracePeriods& grace, const Sandboxes& sandboxes, Audit& audit,
           std::function<void()> on_removed);

  // `is_new`: it was not there. With `uid` it is the one that left this mark.
  Result<std::set<ResourceId>> create(DockerNetwork network, bool& is_new, const ObjectUid& uid = {})
      LANWRIGHT_ON_LOOP;
  // Docker is going to hear that the network is there: from now on it is not removed unless it says so.
  Result<void> promise(const std::string& network) LANWRIGHT_ON_LOOP;
  Result<std::set<ResourceId>> remove(const std::string& network) LANWRIGHT_ON_LOOP;
  // Networks whose making the last agent did not answer, because it ended.
  void remove_unanswered() LANWRIGHT_ON_LOOP;
  // Records of networks whose object somebody else removed.
  Result<void> drop_idle_records() LANWRIGHT_ON_LOOP;

  struct BegunEndpoint {
    DockerEndpointAnswer answer;
    bool is_new = false;
  };
  Result<std::set<ResourceId>> create_endpoint(const DockerEndpoint& endpoint, BegunEndpoint& begun)
      LANWRIGHT_ON_LOOP;
  Result<std::set<ResourceId>> remove_endpoint(const std::string& network, const std::string& endpoint)
      LANWRIGHT_ON_LOOP;
  Result<std::set<ResourceId>> join(const std::string& network, const std::string& endpoint,
                                    const std::string& sandbox, DockerJoin& answer) LANWRIGHT_ON_LOOP;
  Result<std::set<ResourceId>> leave(const std::string& network, const std::string& endpoint)
      LANWRIGHT_ON_LOOP;
  Result<std::map<std::string, std::string>> endpoint_info(const std::string& network,
                                                           const std::string& endpoint) const
      LANWRIGHT_ON_LOOP;

  // The name of an object for what Docker calls by this id.
  std::string free_name(Kind kind, const std::string& id) const LANWRIGHT_ON_LOOP;
  // What would lead out of a namespace that is attached: the network's driver says so, of the subnets that
  // Docker knows.
  std::vector<RouteSpec> default_routes_for(const AttachmentSpec& endpoint, const DockerRecord& record) const
      LANWRIGHT_ON_LOOP;

 private:
  void drop_chosen_gateways(DockerNetwork& network) const LANWRIGHT_ON_LOOP;
  void tell_of_gateways(const DockerNetwork& network, const ResourceId& id) LANWRIGHT_ON_LOOP;
  std::set<ResourceId> stale_beside(const DockerEndpoint& endpoint, const DockerRecord& record) const
      LANWRIGHT_ON_LOOP;

  reconcile::Reconciler& reconciler_;
  const reconcile::Controller& author_;
  Records& records_;
  Ipam& ipam_;
  GracePeriods& grace_;
  const Sandboxes& sandboxes_;
  Audit& audit_;
  std::function<void()> on_removed_;
};

}  // namespace lanwright::docker_agent
