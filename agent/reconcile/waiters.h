// Who waits for something to become true of the objects, and is called when it is. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include "model/base/loop_thread.h"
#include "model/base/result.h"

namespace lanwright::reconcile {

class Waiters {
 public:
  // What became of it; absent while it is open.
  using Condition = std::function<std::optional<Result<void>>()>;
  using Done = std::function<void(Result<void>)>;
  using Ticket = std::uint64_t;  // takes the question back

  // Calls `done` once: now when the answer is known, otherwise from check() or dismiss().
  Ticket wait_for(Condition condition, Done done) LANWRIGHT_ON_LOOP;
  void cancel(Ticket ticket) LANWRIGHT_ON_LOOP;
  // Answers those whose condition is decided. They may wait for something else, or cancel, from there.
  void check() LANWRIGHT_ON_LOOP;
  // Answers everybody with this, now and from now on.
  void dismiss(const Error& why) LANWRIGHT_ON_LOOP;
  const std::optional<Error>& dismissed() const LANWRIGHT_ON_LOOP { return dismissed_; }

 private:
  struct Waiter {
    Condition condition;
    Done done;
  };
  std::map<Ticket, Waiter> waiting_;
  Ticket last_ = 0;
  std::optional<Error> dismissed_;
};

}  // namespace lanwright::reconcile
