// Bridges of Open vSwitch as a source of observed state, and what is done to them, over a session with its
// database. Loop thread only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/base/loop_thread.h"
#include "reconcilers/ovs/bridges.h"
#include "reconcilers/ovs/steps.h"
#include "reconcilers/ovsdb/session.h"

namespace lanwright::ovs {

class Backend {
 public:
  struct Change {
    std::set<std::string> bridges;  // came, changed or went
    bool state = false;             // the database came, was initialised, or was lost
    bool empty() const { return bridges.empty() && !state; }
  };

  // `io` is the loop, for a timer; it outlives the backend. Nothing is looked at before the first drain().
  static Result<std::unique_ptr<Backend>> open(boost::asio::io_context& io, ovsdb::SessionOptions options);

  int event_fd() const { return session_->event_fd(); }
  // Does not block.
  Change drain(Observed& observed) LANWRIGHT_ON_LOOP;
  // Why the database does not answer, or did not the last time.
  const std::optional<Error>& trouble() const { return session_->trouble(); }

  // Does actions of one stage, each in a transaction; answers one result each. Waits a fraction of a second
  // for all together: `waiting` for what takes longer. That goes on, and is not begun twice; event_fd() says
  // when there is news, and an error that came later is answered to the same action the next time.
  std::vector<Result<void>> execute(std::span<const Action* const> actions, Observed& observed)
      LANWRIGHT_ON_LOOP;

 private:
  // A step under way. Shared with the session, which sets the result.
  struct Work {
    Step step;
    std::optional<Result<void>> result = {};
    std::chrono::steady_clock::time_point ended = {};
    bool announced = false;  // that there is a late error
  };
  explicit Backend(std::unique_ptr<ovsdb::Session> session) : session_(std::move(session)) {}

  std::shared_ptr<Work> begin(const Step& step) LANWRIGHT_ON_LOOP;
  void take_in(Observed& observed) LANWRIGHT_ON_LOOP;
  void forget_done();

  std::unique_ptr<ovsdb::Session> session_;
  std::vector<std::shared_ptr<Work>> works_;  // not answered yet
  Change change_;                             // for the next drain()
};

}  // namespace lanwright::ovs
