#include "agent/reconcile/trouble_log.h"

#include <algorithm>
#include <optional>
#include <string_view>

namespace lanwright::reconcile {
namespace {

// The report by which people are told that an object is in this phase. Without it they are not told yet, as
// of a first failure that mostly passes by itself.
std::optional<std::string_view> report_of(Phase phase) {
  if (phase == Phase::retrying) return "Failed";
  if (phase == Phase::conflict) return "Conflict";
  if (phase == Phase::contested) return "Contested";
  return std::nullopt;
}

const char* words_of(Phase phase) {
  if (phase == Phase::retrying) return " failed, and is tried again: ";
  if (phase == Phase::conflict) return " is in conflict: ";
  return " is contested: ";
}

}  // namespace

void TroubleLog::note(const ResourceId& id, const Transition& transition, const ObjectStatus& status) {
  const auto wanted = report_of(status.phase);
  if (!wanted) return end(id, status);
  const auto& reports = transition.reports;
  const bool told = std::any_of(reports.begin(), reports.end(),
                                [&](const Transition::Report& report) { return report.event == *wanted; });
  if (!told) return;
  const auto [entry, is_new] = troubled_.try_emplace(id, status.phase);
  if (!is_new && entry->second == status.phase) return;
  entry->second = status.phase;
  write_(log::Level::warning, id.text() + words_of(status.phase) + status.message,
         {{"object", id.text()}, {"phase", name_of(status.phase)}});
}

// Between two tries an object is at work: that is not the end.
void TroubleLog::end(const ResourceId& id, const ObjectStatus& status) {
  if (troubled_.empty() || (status.phase != Phase::ready && status.phase != Phase::pending)) return;
  if (troubled_.erase(id) == 0) return;
  const std::string words =
      status.phase == Phase::ready ? " is as declared again" : " waits: " + status.message;
  write_(log::Level::info, id.text() + words, {{"object", id.text()}, {"phase", name_of(status.phase)}});
}

}  // namespace lanwright::reconcile
