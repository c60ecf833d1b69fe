// What systemd wants to know (sd_notify(3)): ready, reloading, stopping, alive, and a line of status.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <optional>
#include <string>

#include "model/base/loop_thread.h"

namespace lanwright::host {

// Loop thread only. Does nothing where there is no NOTIFY_SOCKET.
class Service {
 public:
  explicit Service(boost::asio::io_context& io);

  void ready(const std::string& status) LANWRIGHT_ON_LOOP;
  void status(const std::string& status) LANWRIGHT_ON_LOOP;
  void reloading() LANWRIGHT_ON_LOOP;
  void stopping() LANWRIGHT_ON_LOOP;
  // Feeds the watchdog from the loop, twice per interval that systemd asks for, so that a loop that hangs is
  // restarted. `each_time` is called with every beat, which saves the agent timers of its own; without a
  // watchdog it is called every `unwatched` (0: never).
  void keep_alive(std::chrono::microseconds unwatched, std::function<void()> each_time) LANWRIGHT_ON_LOOP;
  void cancel() LANWRIGHT_ON_LOOP { timer_.cancel(); }

 private:
  void beat(std::chrono::microseconds interval) LANWRIGHT_ON_LOOP;

  boost::asio::steady_timer timer_;
  std::optional<std::chrono::microseconds> interval_;
  std::function<void()> each_time_;
  bool ready_ = false;
};

}  // namespace lanwright::host
