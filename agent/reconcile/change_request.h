// What somebody wants changed of what is desired.
#pragma once

#include <map>
#include <set>
#include <string>

#include "model/base/ids.h"
#include "model/base/result.h"
#include "reconcilers/desired/changeset.h"
#include "reconcilers/desired/desired_state.h"
#include "state/store.h"

namespace lanwright::reconcile {

using desired::Changeset;
using desired::DesiredState;
using state::StoreChange;

class Controller;

// Checked, committed and queued together, or not at all.
struct ChangeRequest {
  struct Wanted {
    ObjectSpec spec;
    bool adopt = false;  // may take over foreign links with its names
    ObjectUid uid = {};  // of a new object that left its mark already; empty: one that nobody has
  };
  std::string set;  // of what is declared; made when missing
  std::map<ResourceId, Wanted> upsert;
  std::set<ResourceId> remove;         // unknown ones are ignored
  std::set<ResourceId> unchanged;      // declared as it is; a preview looks at it all the same
  StoreChange beside;                  // committed with it
  const Controller* author = nullptr;  // nullptr: people

  bool changes_objects() const { return !upsert.empty() || !remove.empty(); }
};

// Makes of it a change of this desired state, complete and checked: what is not so already. With the facts of
// the managed namespace (see DesiredState::check). Moves what the request declares out of it. Any thread.
Result<void> declare(ChangeRequest& request, const DesiredState& desired, const NamespaceFacts* host,
                     Changeset& changes);

ObjectUid new_uid();  // random

}  // namespace lanwright::reconcile
