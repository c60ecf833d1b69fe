// Does the actions of one stage: translates them to messages, sends those pipelined, namespace by namespace,
// and turns the kernel's replies into results.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/base/result.h"
#include "model/observed.h"
#include "model/plan.h"
#include "reconcilers/netlink/observer.h"
#include "reconcilers/netlink/removal.h"

namespace lanwright::netlink {

class Executor {
 public:
  explicit Executor(Observer& observer) : observer_(observer) {}

  // As LinkBackend says.
  std::vector<Result<void>> execute(std::span<const Action* const> actions, const Observed& observed);
  std::uint64_t writes() const { return writes_ + remover_.writes(); }

 private:
  Observer& observer_;
  Remover remover_;
  std::uint64_t writes_ = 0;
};

}  // namespace lanwright::netlink
