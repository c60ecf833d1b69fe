// The threads that answer requests. As httplib's pool is, but one that cannot be begun says so: that one ends
// the program when the system has no thread left (RLIMIT_NPROC, pids.max, memory).
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace lanwright::http {

class Workers {
 public:
  // Throws std::system_error when the system has no threads left; none is left behind then.
  explicit Workers(std::size_t count);
  ~Workers();  // stop()
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Done by one of them, in the order of the calls; must not throw. Any thread.
  void enqueue(std::function<void()> job);
  // Once all that was asked for is done. Any thread but theirs; again is harmless.
  void stop();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable news_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace lanwright::http
