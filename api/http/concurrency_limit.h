// Counts those inside and lets no more than a fixed number in. Any thread.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>

namespace lanwright::http {

class ConcurrencyLimit {
 public:
  explicit ConcurrencyLimit(std::size_t places) : places_(places) {}
  ConcurrencyLimit(const ConcurrencyLimit&) = delete;
  ConcurrencyLimit& operator=(const ConcurrencyLimit&) = delete;

  // Inside for as long as the pass lives; empty when there is no place. The gate outlives its passes.
  using Pass = std::shared_ptr<const void>;
  Pass enter() {
    const std::lock_guard lock(mutex_);
    if (inside_ >= places_) return {};
    ++inside_;
    return {this, [this](const void*) { leave(); }};
  }
  std::size_t inside() const {
    const std::lock_guard lock(mutex_);
    return inside_;
  }

 private:
  void leave() {
    const std::lock_guard lock(mutex_);
    --inside_;
  }
  const std::size_t places_;
  mutable std::mutex mutex_;
  std::size_t inside_ = 0;
};

}  // namespace lanwright::http
