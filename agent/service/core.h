// The agent behind its doors: store, sources, reconciler and service, wired together. Loop thread only, but
// where a part says otherwise.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>

#include "agent/reconcile/reconciler.h"
#include "agent/service/agent_service.h"
#include "reconcilers/backends/link_backend.h"
#include "reconcilers/backends/switch_backend.h"
#include "state/store.h"

namespace lanwright::service {

class Core {
 public:
  Core(boost::asio::io_context& io, std::unique_ptr<state::Store> store, std::unique_ptr<LinkBackend> links,
       std::unique_ptr<SwitchBackend> switches, std::unique_ptr<Source> open_vswitch,
       AgentService::Options options);

  state::Store& store() { return *store_; }
  reconcile::Reconciler& reconciler() { return reconciler_; }
  AgentService& service() { return service_; }

 private:
  std::unique_ptr<state::Store> store_;
  SwitchBackend& switches_;  // owned by `sources_`
  reconcile::Sources sources_;
  reconcile::Journal journal_;
  reconcile::Reconciler reconciler_;
  AgentService service_;
};

}  // namespace lanwright::service
