// Where work arrives on the loop's thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cassert>

#include "model/base/loop_thread.h"

namespace lanwright::os {

// To be called first by what is handed to the loop: handlers of events and timers, work that other threads
// post.
inline void assert_on_loop([[maybe_unused]] boost::asio::io_context& io) LANWRIGHT_ASSERTS(loop_thread) {
  assert(io.get_executor().running_in_this_thread());
}

// Once, by the thread that is going to run the loop: what it does before is the loop's as well.
inline void claim_loop_thread() LANWRIGHT_ASSERTS(loop_thread) {}

}  // namespace lanwright::os
