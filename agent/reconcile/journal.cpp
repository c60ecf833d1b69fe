#include "agent/reconcile/journal.h"

#include <algorithm>
#include <utility>

#include "agent/host/log.h"

namespace lanwright::reconcile {
namespace {

using namespace std::chrono_literals;

constexpr auto kSaveDelay = 1s;
constexpr std::size_t kEventsRemembered = 1000;

LANWRIGHT_ON_LOOP std::vector<Event> history_of(const Store& store) {
  auto history = store.history(std::nullopt, kEventsRemembered);
  if (!history) {
    log::warning("history is not read", {{"error", history.error().text()}});
    return {};
  }
  std::reverse(history->begin(), history->end());
  return std::move(*history);
}

}  // namespace

Journal::Journal(boost::asio::io_context& io, Store& store)
    : store_(store),
      log_(store.last_event_id(), history_of(store)),
      save_timer_(io, [this]() LANWRIGHT_ON_LOOP { save(); }) {
  // A counter that is not there yet cannot be told from one that is gone.
  for (const char* name : {"actions_total", "action_failures_total", "events_total", "netlink_messages_total",
                           "netlink_overruns_total", "plans_total", "repairs_total", "resyncs_total"})
    counters_[name] = 0;
}

void Journal::record(Event event) {
  count("events_total");
  if (event.type == "Repaired") count("repairs_total");
  Event recorded = log_.append(std::move(event));
  log::debug(recorded.message,
             {{"event", recorded.type}, {"object", recorded.object ? recorded.object->text() : "-"}});
  unsaved_.push_back(std::move(recorded));
  if (!save_timer_.is_set() && !closed_) save_timer_.set_in(kSaveDelay);
}

void Journal::record_own(const char* type, std::string message) {
  record({0, {}, type, std::nullopt, {}, std::move(message), std::nullopt});
}

void Journal::committed(const std::vector<Event>& events) {
  settled();
  for (const Event& event : events) log_.append(event);
}

void Journal::settled() {
  save_timer_.cancel();
  unsaved_.clear();
}

void Journal::save() {
  save_timer_.cancel();
  if (unsaved_.empty()) return;
  auto saved = store_.record(unsaved_);
  if (!saved) log::warning("history is not written", {{"error", saved.error().text()}});
  if (saved || unsaved_.size() > kEventsRemembered) settled();
}

void Journal::close() {
  closed_ = true;
  log_.close();
  save();
}

}  // namespace lanwright::reconcile
