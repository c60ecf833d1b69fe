// Answers about what is desired and observed, put together for people. Loop thread only.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/reconcile/reconciler.h"
#include "api/rest/agent_api.h"
#include "model/base/loop_thread.h"
#include "reconcilers/backends/switch_backend.h"

namespace lanwright::service {

using desired::DesiredObject;
using desired::DesiredState;
using drivers::Resources;
using state::Store;
using state::StoredSet;

// What there is to look at.
struct View {
  Store& store;
  reconcile::Journal& journal;
  reconcile::Sources& sources;
  SwitchBackend& switches;
};

// What of this set, or of all, can be compared with what is observed now.
LANWRIGHT_ON_LOOP Result<std::set<ResourceId>> scope_of(const reconcile::Reconciler& reconciler,
                                                        const Store& store,
                                                        const std::optional<std::string>& set);
LANWRIGHT_ON_LOOP Result<Description> describe(reconcile::Reconciler& reconciler, const View& view,
                                               const ResourceId& id);
LANWRIGHT_ON_LOOP std::vector<SwitchView> switches(const reconcile::Reconciler& reconciler, const View& view);
// Without what is the server's own: the notice and the time of the start.
LANWRIGHT_ON_LOOP Snapshot snapshot(reconcile::Reconciler& reconciler, const View& view);

}  // namespace lanwright::service
