// Docker's sandboxes: what Docker makes of an endpoint's link once it has it, and that a sandbox is gone.
// Docker moves the link, renames it, sets it up and lets it lead out or not, in this order, and says nothing
// of it; what is observed is declared, so that a link that is lost is made again as it was. Loop
// thread only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <map>
#include <set>
#include <string>

#include "agent/reconcile/reconciler.h"
#include "model/base/loop_thread.h"
#include "model/desired.h"
#include "reconcilers/os/timer.h"

namespace lanwright::docker_agent {

// Of an attachment that is a Docker endpoint, and is not being deleted; otherwise nullptr.
const AttachmentSpec* endpoint_of(const desired::DesiredObject* object);

// A change of the set `docker` by this author, with nothing in it yet.
reconcile::ChangeRequest change_of(const reconcile::Controller& author);

class Sandboxes {
 public:
  // Declares as `author`. Both outlive it.
  Sandboxes(boost::asio::io_context& io, reconcile::Reconciler& reconciler,
            const reconcile::Controller& author);

  // These were compared with what is observed: declares what has become of them.
  void look_at(const std::set<ResourceId>& objects) LANWRIGHT_ON_LOOP;
  // Whether the endpoint can have the name there that it asks for, if it does.
  Result<void> check_name(const desired::DesiredObject& endpoint, const std::string& sandbox) const
      LANWRIGHT_ON_LOOP;
  // With Docker's network go its endpoints: who made them may not be there any more to take them away. Not
  // from under a container.
  Result<void> admit_deletion(std::set<ResourceId>& objects) const LANWRIGHT_ON_LOOP;

 private:
  struct Seen {
    std::string interface;
    bool default_route = false;
    bool default_route6 = false;
    bool operator==(const Seen&) const = default;
  };
  static Seen seen_of(const AttachmentSpec& spec, const LinkFact& fact);
  void look_at(const ResourceId& id) LANWRIGHT_ON_LOOP;
  void look_at(const ResourceId& id, const AttachmentSpec& spec, const LinkFact& fact) LANWRIGHT_ON_LOOP;
  void tell_other_name(const ResourceId& id, const AttachmentSpec& spec, const std::string& name)
      LANWRIGHT_ON_LOOP;
  void declare() LANWRIGHT_ON_LOOP;
  void declare(const std::map<ResourceId, Seen>& seen, const std::set<ResourceId>& gone) LANWRIGHT_ON_LOOP;
  Result<void> submit(const std::map<ResourceId, Seen>& seen, const std::set<ResourceId>& gone)
      LANWRIGHT_ON_LOOP;
  std::string sandbox_in_use(const desired::DesiredObject& endpoint) const LANWRIGHT_ON_LOOP;
  Result<void> check_unused(const ResourceId& what, const ResourceId& attachment) const LANWRIGHT_ON_LOOP;

  reconcile::Reconciler& reconciler_;
  const reconcile::Controller& author_;
  std::map<ResourceId, Seen> seen_;  // endpoints of which Docker has made something else since
  std::set<ResourceId> deserted_;    // endpoints whose sandbox is gone
  os::Timer retry_timer_;            // while it is set, the store has no room for both
};

}  // namespace lanwright::docker_agent
