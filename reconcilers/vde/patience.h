// How long the loop may wait in vain for processes that do not answer, in one of its turns and for all of
// them together: what hangs must not hold up what does not. Waiting that was answered costs nothing. Loop
// thread only.
#pragma once

#include <algorithm>
#include <chrono>

#include "model/base/result.h"

namespace lanwright::vde {

class Patience {
 public:
  using Clock = std::chrono::steady_clock;

  void begin_turn(Clock::duration time) { left_ = time; }
  std::chrono::milliseconds for_one() const {
    return std::max(kLeast, std::chrono::floor<std::chrono::milliseconds>(left_));
  }
  void waited_in_vain(Clock::duration time) { left_ -= std::min(left_, time); }

  // Answers what `ask`, called with the time that it may take, answers.
  template <class Ask>
  auto spend(const Ask& ask) {
    const auto begin = Clock::now();
    auto answer = ask(for_one());
    if (!answer && answer.error().kind == ErrorKind::timeout) waited_in_vain(Clock::now() - begin);
    return answer;
  }

 private:
  static constexpr std::chrono::milliseconds kLeast{5};  // a process that runs commonly takes a tenth of one

  Clock::duration left_{};
};

}  // namespace lanwright::vde
