// What the agent tells, as the JSON that REST answers. The schemas stand in api/openapi.json.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/rest/agent_api.h"
#include "model/format/json.h"

namespace lanwright::rest {

using Objects = std::vector<std::shared_ptr<const ObjectView>>;

// A set, together with what became of its objects. Exists as long as one of them does: those of a set that
// was deleted are still there while they are being removed.
struct SetState {
  SetView view;
  std::map<Phase, std::size_t> phases;
  bool deleting = false;
  bool converged = true;  // every object was compared with the kernel at its generation and is Ready
};

std::vector<SetState> sets_of(const Snapshot& snapshot);  // by name

const ObjectView* find(const Snapshot& snapshot, const ResourceId& id);

// `snapshot` gives an attachment the driver of its network.
Json object_json(const ObjectView& object, const Snapshot& snapshot);
Json set_json(const SetState& set);
Json description_json(const Description& description, const Snapshot& snapshot);
Json switch_json(const SwitchView& view);
Json status_json(const Snapshot& snapshot);
// `after`, when given, adds what became of the objects.
Json outcome_json(const std::string& set, const ApplyOutcome& outcome, bool dry_run, const Snapshot* after);

}  // namespace lanwright::rest
