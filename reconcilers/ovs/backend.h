// Open vSwitch as a source of observed state, over a session with its database. Loop thread only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "model/base/loop_thread.h"
#include "reconcilers/backends/source.h"
#include "reconcilers/os/descriptor.h"
#include "reconcilers/ovs/steps.h"
#include "reconcilers/ovsdb/session.h"

namespace lanwright::ovs {

class Backend final : public Source {
 public:
  // `io` is the loop, for a timer; it outlives the backend. The database is asked for nothing, and nothing
  // is looked at, before serve() says that somebody has networks of driver `ovs`.
  static Result<std::unique_ptr<Backend>> open(boost::asio::io_context& io, ovsdb::SessionOptions options);

  int event_fd() const override LANWRIGHT_ON_LOOP { return events_.get(); }
  ObservedChange drain(Observed& observed) override LANWRIGHT_ON_LOOP;
  // The session reads everything anew by itself whenever it may have missed something.
  Result<ObservedChange> resync(Observed& observed) override LANWRIGHT_ON_LOOP { return drain(observed); }
  Result<void> serve(const std::set<std::string>& drivers, Observed& observed) override LANWRIGHT_ON_LOOP;
  bool carries_out(const Step& step) const override LANWRIGHT_ON_LOOP {
    return carrier_of(step) == Carrier::ovs;
  }
  // Ports of one bridge go together, a hundred at a time. Waits a moment for all: `waiting` for what takes
  // longer. That goes on, and is not begun twice; it stands in OvsFacts::under_way meanwhile, and
  // an error that came later is answered to the same action the next time.
  std::vector<Result<void>> execute(std::span<const Action* const> actions, Observed& observed) override
      LANWRIGHT_ON_LOOP;

 private:
  // A step under way. Shared with the session, which sets the result.
  struct Work {
    Step asked;
    Step step;  // with what was to be found out when it began
    std::optional<Result<void>> result = {};
    std::chrono::steady_clock::time_point ended = {};
    bool announced = false;              // that it ended
    std::vector<OwnerTag> leaving = {};  // ports that it takes off
  };
  using Group = std::vector<std::shared_ptr<Work>>;  // of one transaction

  Backend(boost::asio::io_context& io, ovsdb::SessionOptions options, os::Descriptor events)
      : io_(io), options_(std::move(options)), events_(std::move(events)) {}

  std::shared_ptr<Work> find_or_add(const Step& step, const Observed& observed,
                                    std::vector<std::shared_ptr<Work>>& fresh);
  void queue(std::vector<std::shared_ptr<Work>> fresh);
  void begin_queued() LANWRIGHT_ON_LOOP;
  void begin(const Group& group) LANWRIGHT_ON_LOOP;
  void end(const Group& group, const Result<ovsdb::Outcome>& done);
  void split(const Group& group);
  void take_in(Observed& observed) LANWRIGHT_ON_LOOP;
  void forget_done();
  void forget_numbers(Work& work, OvsFacts& facts);
  void note_numbers(OvsFacts& facts) const;

  boost::asio::io_context& io_;
  ovsdb::SessionOptions options_;
  os::Descriptor events_;  // epoll
  std::unique_ptr<ovsdb::Session> session_;
  std::vector<std::shared_ptr<Work>> works_;  // not answered yet
  std::deque<Group> queued_;                  // one after the other: see kMostOvsPortsAtOnce
  std::set<OwnerTag> leaving_;                // whose numbers are not to be remembered
  bool busy_ = false;                         // with a transaction of several ports
  ObservedChange change_;                     // for the next drain()
};

}  // namespace lanwright::ovs
