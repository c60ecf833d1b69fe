// Work that other threads have the loop's thread do for them.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <functional>
#include <future>
#include <memory>
#include <utility>

#include "api/rest/agent_api.h"
#include "model/base/result.h"
#include "reconcilers/os/on_loop.h"

namespace lanwright::reconcile {

// What becomes of work that the deadline overtakes: it may still be done when the loop comes to it, or it is
// certain that it will never be. What has begun is waited for in the second case.
enum class OnTimeout { may_run, never_runs };

// Runs `work` on the thread that runs `io`, and waits for its answer; ErrorKind::timeout when the deadline
// passes. Any thread but that one; `io` must be turning.
template <class T>
Result<T> on_loop(boost::asio::io_context& io, Deadline deadline, const char* what,
                  std::function<Result<T>()> work, OnTimeout overtaken = OnTimeout::may_run) {
  struct Task {
    std::packaged_task<Result<T>()> work;
    std::atomic<bool> taken = false;  // by the loop, or by the caller who gave it up
  };
  auto task = std::make_shared<Task>();
  task->work = std::packaged_task<Result<T>()>(std::move(work));
  auto answer = task->work.get_future();
  boost::asio::post(io, [&io, task] {
    os::assert_on_loop(io);
    if (!task->taken.exchange(true)) task->work();
  });
  if (answer.wait_until(deadline) == std::future_status::ready) return answer.get();
  const bool never = overtaken == OnTimeout::never_runs;
  if (never && task->taken.exchange(true)) return answer.get();
  return Error{ErrorKind::timeout,
               what,
               "the agent",
               0,
               "the agent is busy and did not answer in time",
               never ? "nothing was done: try again" : "it may still happen: look at `lanwright status`"};
}

}  // namespace lanwright::reconcile
