// A session with ovsdb-server: connects, keeps a copy of the rows that matter, sends transactions, and begins
// anew when the connection is lost. Loop thread only. Sources: RFC 7047, ovsdb-server(7).
//
// It never takes a lock: while another client contends for `ovs_vswitchd`, ovs-vswitchd drops all bridges.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/base/loop_thread.h"
#include "model/base/result.h"
#include "reconcilers/os/descriptor.h"
#include "reconcilers/os/path_watch.h"
#include "reconcilers/os/timer.h"
#include "reconcilers/ovsdb/commits.h"
#include "reconcilers/ovsdb/connection.h"
#include "reconcilers/ovsdb/tables.h"
#include "reconcilers/ovsdb/transaction.h"

namespace lanwright::ovsdb {

struct SessionOptions {
  std::string socket = "/run/openvswitch/db.sock";  // absolute
  FramerLimits limits{};
  // Between tries to connect, doubled each time; a socket that is made anew is tried at once.
  std::chrono::milliseconds first_retry{20};
  std::chrono::milliseconds longest_retry{8000};
  // As long as an answer is owed and nothing came, the server is asked for a sign of life; after the same
  // time without one the connection is given up.
  std::chrono::milliseconds probe_after{5000};
  // Until ovs-vswitchd has taken up a transaction. A hundred ports take it 0.1 s.
  std::chrono::milliseconds commit_limit{10000};
};

// Its members are what a connection, the copy of the database and the commits under way need of each other:
// each is lost or kept with the others when the server goes away.
class Session {
 public:
  enum class State : std::uint8_t {
    down,     // no connection; trouble() says why, and it is tried again
    reading,  // connected, and all rows are on their way
    live,     // tables() follows the database
  };
  struct Change {
    RowChanges rows;
    bool state = false;  // came up or was lost
  };

  // Nothing is tried before the first drain(). `io` is the loop, for a timer; it outlives the session.
  static Result<std::unique_ptr<Session>> open(boost::asio::io_context& io, SessionOptions options);

  // Epoll; readable when drain() has something to do. The same one as long as the session lives.
  int event_fd() const { return events_.get(); }
  // Takes in what happened, and calls what commit() was given for what ended. Does not block.
  Change drain() LANWRIGHT_ON_LOOP;

  State state() const { return state_; }
  bool is_live() const { return state_ == State::live; }
  // Why it is not live, or was not the last time.
  const std::optional<Error>& trouble() const { return trouble_; }
  // What was read last; it stays when the connection is lost.
  const Tables& tables() const { return tables_; }

  // Sends it. `waiting` when that cannot be done now: then `done` is never called. Otherwise it is, once, by
  // a later drain(), unless the session ends before: when ovs-vswitchd has taken it up, or with the error of
  // what failed; `timeout` when that does not come, although it may be in the database.
  Result<void> commit(Transaction transaction, Commits::Done done) LANWRIGHT_ON_LOOP;

 private:
  using Time = os::SteadyTime;
  Session(boost::asio::io_context& io, SessionOptions options, os::Descriptor events, os::Descriptor wake,
          os::PathWatch paths);

  void connect(Time now);
  Result<void> begin(Connection connection, Time now);
  void lose(Error why, Time now);
  Result<void> exchange(Time now);
  Result<void> handle(Json json);
  Result<void> handle_reply(const Reply& reply);
  Result<void> handle_request(const Request& request);
  Result<void> take_rows(const Json& updates, bool whole);
  Result<void> probe(Time now);
  void set_timer() LANWRIGHT_ON_LOOP;
  void watch_output();
  bool is_owed_an_answer() const { return state_ == State::reading || !commits_.empty(); }

  SessionOptions options_;
  os::Descriptor events_;
  os::Descriptor wake_;  // eventfd: the timer is due
  os::PathWatch paths_;
  os::Timer timer_;
  std::optional<Connection> connection_;
  State state_ = State::down;
  std::optional<Error> trouble_;
  Tables tables_;
  Change change_;  // for the next drain()
  Commits commits_;
  std::int64_t last_id_ = 0;
  std::int64_t monitor_id_ = 0;
  std::optional<std::int64_t> probe_id_;
  Time begun_{};  // the connection
  Time heard_{};  // when something came last, or was asked after silence
  Time retry_at_{};
  std::chrono::milliseconds retry_{0};
};

}  // namespace lanwright::ovsdb
