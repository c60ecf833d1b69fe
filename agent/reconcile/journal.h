// What happened and how often: events for readers and streams, saved to the store soon after, and counters.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/reconcile/event_log.h"
#include "model/base/loop_thread.h"
#include "reconcilers/os/timer.h"
#include "state/store.h"

namespace lanwright::reconcile {

using state::Store;

class Journal {
 public:
  // Goes on where the store's history ends. The store outlives it.
  Journal(boost::asio::io_context& io, Store& store);

  // --- loop thread only ---
  // Told at once, saved within a second.
  void record(Event event) LANWRIGHT_ON_LOOP;
  void record_own(const char* type, std::string message) LANWRIGHT_ON_LOOP;  // of the agent itself
  // What is told and not saved yet. A commit saves it first, so that the store's order is that of things.
  const std::vector<Event>& unsaved() const LANWRIGHT_ON_LOOP { return unsaved_; }
  void save() LANWRIGHT_ON_LOOP;
  // The store has what was unsaved, and after it `events`, which are told now.
  void committed(const std::vector<Event>& events) LANWRIGHT_ON_LOOP;
  // Ends all waiting of readers, for good, and saves. What is recorded later is not saved.
  void close() LANWRIGHT_ON_LOOP;
  void count(const char* counter, std::uint64_t times = 1) LANWRIGHT_ON_LOOP { counters_[counter] += times; }
  const std::map<std::string, std::uint64_t>& counters() const LANWRIGHT_ON_LOOP { return counters_; }

  // --- any thread ---
  EventLog& events() { return log_; }

 private:
  void settled() LANWRIGHT_ON_LOOP;  // nothing is left to save

  Store& store_;
  EventLog log_;
  std::vector<Event> unsaved_;
  os::Timer save_timer_;
  std::map<std::string, std::uint64_t> counters_;
  bool closed_ = false;
};

}  // namespace lanwright::reconcile
