// A timer with one handler. Loop thread only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "reconcilers/os/on_loop.h"

namespace lanwright::os {

using SteadyTime = std::chrono::steady_clock::time_point;

class Timer {
 public:
  // `on_due` is called once for each time the timer is set and not cancelled or set anew before; never after
  // the timer is gone.
  Timer(boost::asio::io_context& io, std::function<void()> on_due)
      : timer_(io), state_(std::make_shared<State>(State{io, std::move(on_due), 0, false})) {}

  void set_at(SteadyTime when) LANWRIGHT_ON_LOOP {
    timer_.expires_at(when);
    state_->is_set = true;
    // An expired handler may be queued already when the timer is set again: the generation tells them apart.
    timer_.async_wait([alive = std::weak_ptr<State>(state_),
                       generation = ++state_->generation](const boost::system::error_code& error) {
      const auto state = alive.lock();
      if (error || !state || state->generation != generation) return;
      assert_on_loop(state->io);
      state->is_set = false;
      state->on_due();
    });
  }
  void set_in(std::chrono::steady_clock::duration delay) LANWRIGHT_ON_LOOP {
    set_at(std::chrono::steady_clock::now() + delay);
  }
  void cancel() LANWRIGHT_ON_LOOP {
    ++state_->generation;
    state_->is_set = false;
    timer_.cancel();
  }
  bool is_set() const LANWRIGHT_ON_LOOP { return state_->is_set; }
  SteadyTime due() const LANWRIGHT_ON_LOOP { return timer_.expiry(); }  // while it is set

 private:
  struct State {
    boost::asio::io_context& io;
    std::function<void()> on_due;
    std::uint64_t generation;
    bool is_set;
  };

  boost::asio::steady_timer timer_;
  std::shared_ptr<State> state_;
};

}  // namespace lanwright::os
