#include "agent/reconcile/event_log.h"

#include <algorithm>

namespace lanwright::reconcile {
namespace {

constexpr std::size_t kKept = 4096;

}  // namespace

WallTime wall_now() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

EventLog::EventLog(std::uint64_t last_id, std::vector<Event> earlier)
    : events_(std::make_move_iterator(earlier.begin()), std::make_move_iterator(earlier.end())),
      last_id_(last_id) {}

Event EventLog::append(Event event) {
  {
    const std::lock_guard lock(mutex_);
    event.id = ++last_id_;
    if (event.time == WallTime{}) event.time = wall_now();
    events_.push_back(event);
    if (events_.size() > kKept) events_.pop_front();
  }
  changed_.notify_all();
  return event;
}

std::vector<Event> EventLog::take(std::uint64_t after, std::size_t limit) const {
  const auto first = std::upper_bound(events_.begin(), events_.end(), after,
                                      [](std::uint64_t id, const Event& event) { return id < event.id; });
  const auto count = std::min(limit, static_cast<std::size_t>(events_.end() - first));
  return {first, first + static_cast<std::ptrdiff_t>(count)};
}

std::vector<Event> EventLog::after(std::uint64_t after, std::size_t limit,
                                   std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, deadline, [&] { return closed_ || last_id_ > after; });
  return take(after, limit);
}

std::vector<Event> EventLog::recent(std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  const auto count = std::min(limit, events_.size());
  return {events_.end() - static_cast<std::ptrdiff_t>(count), events_.end()};
}

void EventLog::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

}  // namespace lanwright::reconcile
