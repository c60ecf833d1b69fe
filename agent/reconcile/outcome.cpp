#include "agent/reconcile/outcome.h"

#include <utility>

namespace lanwright::reconcile {
namespace {

constexpr std::uint32_t kToleratedFailures = 3;  // the first ones mostly mean that the kernel is still at it
// A process that does not answer is slow more often than broken, and one turn of the loop waits for none of
// them long (see vde::Patience): with the pauses between, some seconds.
constexpr std::uint32_t kToleratedSilence = 7;

bool has_failed(const ObjectState& state) {
  const auto& error = state.status().last_error;
  const bool silence = error && error->kind == ErrorKind::timeout;
  return state.failures() >= (silence ? kToleratedSilence : kToleratedFailures);
}

Error reason_of(const ResourceId& id, ErrorKind kind, const ObjectStatus& status) {
  if (status.last_error && status.last_error->text() == status.message) return *status.last_error;
  return {kind, {}, id.text(), 0, status.message, {}};
}

// What an object waits for may be ours to make, and have failed.
std::optional<Error> failure_below(const DesiredObject& object, const DesiredState& desired,
                                   const ObjectTable& table) {
  const Resources resources = object.compile();
  for (const ParentUse& use : resources.parents) {
    const DesiredObject* owner = desired.owner_of({"", use.name});
    const ObjectState* state = owner != nullptr ? table.find(owner->object.id) : nullptr;
    if (state != nullptr && state->failures() > 0 && state->status().last_error)
      return *state->status().last_error;
  }
  return std::nullopt;
}

std::optional<Result<void>> outcome_of(const DesiredObject& object, const ObjectState& state,
                                       const DesiredState& desired, const ObjectTable& table) {
  const ResourceId& id = object.object.id;
  const ObjectStatus& status = state.status();
  if (has_failed(state)) return reason_of(id, ErrorKind::busy, status);
  if (object.object.deleting || status.observed_generation != object.object.generation) return std::nullopt;
  switch (status.phase) {
    case Phase::ready:
      return Result<void>();
    case Phase::pending:
      if (state.is_complete())
        return Result<void>();  // a link is made; whether it has a carrier is another matter
      if (status.message.empty()) return std::nullopt;
      if (auto failed = failure_below(object, desired, table)) return std::move(*failed);
      return reason_of(id, ErrorKind::waiting, status);
    case Phase::conflict:
    case Phase::contested:
      return reason_of(id, ErrorKind::conflict, status);
    case Phase::applying:
    case Phase::retrying:
    case Phase::deleting:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Result<void>> outcome_of(const std::set<ResourceId>& objects, const DesiredState& desired,
                                       const ObjectTable& table) {
  for (const ResourceId& id : objects) {
    const DesiredObject* object = desired.find(id);
    const ObjectState* state = table.find(id);
    if (object == nullptr || state == nullptr) continue;
    auto outcome = outcome_of(*object, *state, desired, table);
    if (!outcome || !*outcome) return outcome;
  }
  return Result<void>();
}

}  // namespace lanwright::reconcile
