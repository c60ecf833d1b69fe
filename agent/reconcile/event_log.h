// What happened, kept in memory for readers and streams. Any thread may call everything.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "model/status.h"

namespace lanwright::reconcile {

WallTime wall_now();

class EventLog {
 public:
  // Ids go on after `last_id`; `earlier` (oldest first) is what a former run left in the store.
  EventLog(std::uint64_t last_id, std::vector<Event> earlier);

  Event append(Event event);  // gives it its id and, when it has none, its time; wakes those who wait

  // Oldest first, ids above `after`, at most `limit`; waits until the deadline while there is none.
  std::vector<Event> after(std::uint64_t after, std::size_t limit,
                           std::chrono::steady_clock::time_point deadline);
  std::vector<Event> recent(std::size_t limit) const;
  void close();  // ends all waiting, for good

 private:
  std::vector<Event> take(std::uint64_t after, std::size_t limit) const;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Event> events_;
  std::uint64_t last_id_;
  bool closed_ = false;
};

}  // namespace lanwright::reconcile
