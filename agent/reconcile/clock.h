// The moment that an input of an object's state happens at. Loop thread only.
#pragma once

#include <random>

#include "agent/reconcile/event_log.h"
#include "agent/reconcile/object_state.h"

namespace lanwright::reconcile {

inline Now now() {
  static std::mt19937_64 random(std::random_device{}());
  return {std::chrono::steady_clock::now(), wall_now(), std::uniform_real_distribution<double>(0, 1)(random)};
}

}  // namespace lanwright::reconcile
