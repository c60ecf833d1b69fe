// Transactions on their way: sent, then in the database, then taken up by ovs-vswitchd. No I/O and no clock.
// One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "reconcilers/os/timer.h"
#include "reconcilers/ovsdb/message.h"
#include "reconcilers/ovsdb/ports.h"
#include "reconcilers/ovsdb/tables.h"
#include "reconcilers/ovsdb/transaction.h"

namespace lanwright::ovsdb {

class Commits {
 public:
  using Done = std::function<void(Result<Outcome>)>;

  // One that was sent as request `id`.
  void begin(std::int64_t id, Transaction transaction, Done done, os::SteadyTime due);
  // The server's answer; false when it is to none of these.
  bool take(std::int64_t id, const Reply& reply);
  // Ends those that ovs-vswitchd has taken up, and those that are due (`timeout`).
  void advance(const Tables& tables, os::SteadyTime now);
  // The connection is gone: whether what was not answered was done shows when all is read anew.
  void fail(const Error& why);

  bool empty() const { return commits_.empty(); }
  std::optional<os::SteadyTime> next_due() const;
  // Calls `done` of those that ended since. These may begin others.
  void deliver();

 private:
  struct Commit {
    Transaction transaction;
    Done done;
    os::SteadyTime due;
    std::optional<std::int64_t> number;  // of the configuration, once it is in the database
  };
  void end(std::map<std::int64_t, Commit>::iterator commit, Result<Outcome> result);

  std::map<std::int64_t, Commit> commits_;  // by request
  std::set<std::int64_t> late_;             // given up, and the answer may still come
  std::vector<std::pair<Done, Result<Outcome>>> ended_;
};

}  // namespace lanwright::ovsdb
