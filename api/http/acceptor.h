// Accepts connections and keeps the idle ones, so that a client which says nothing costs a descriptor and no
// thread; those that have something to say go to a pool of workers.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "api/http/connection.h"
#include "api/http/workers.h"
#include "reconcilers/os/descriptor.h"

namespace lanwright::http {

struct AcceptorOptions {
  std::size_t workers = 8;
  std::size_t connections = 512;
  HeadLimits limits;
  std::chrono::milliseconds patience{10'000};  // for a client in the middle of something
  std::chrono::milliseconds idle{60'000};      // for one between requests
};

class Acceptor {
 public:
  // Serves what has arrived; answers whether the connection stays. Called on a worker.
  using Serve = std::function<bool(Connection&)>;

  // `listeners` are listening and non-blocking and stay the caller's. Throws std::system_error when the
  // system has no descriptors or threads left.
  Acceptor(std::vector<int> listeners, const AcceptorOptions& options, Serve serve);
  ~Acceptor();  // stop()
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Ends every wait of every connection, then joins all threads. Any thread but a worker; again is harmless.
  void stop();

 private:
  struct Idle {
    std::shared_ptr<Connection> connection;
    SteadyTime since;
  };

  void run();
  // One round of poll(2); false when the server stops.
  bool turn();
  int time_to_next() const;
  void accept_some(std::size_t listener);
  void take_back();
  void hand_over(std::list<Idle>::iterator idle);
  void work(const std::shared_ptr<Connection>& connection);
  void wake();
  void drop_expired();

  const std::vector<int> listeners_;
  const AcceptorOptions options_;
  const Serve serve_;
  os::Descriptor stop_;
  os::Descriptor wake_;

  // Of the accepting thread.
  std::list<Idle> idle_;  // oldest first
  std::size_t open_ = 0;
  std::optional<SteadyTime> pause_;  // no accepting before: the system has no descriptors left

  std::mutex mutex_;
  std::vector<std::shared_ptr<Connection>> returned_;  // by workers
  std::size_t ended_ = 0;                              // since the accepting thread looked

  std::mutex stop_mutex_;
  Workers workers_;
  std::thread thread_;
};

}  // namespace lanwright::http
