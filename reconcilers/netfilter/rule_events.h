// The kernel's news of rules that went away (nf_tables). Source: linux/netfilter/nf_tables.h
#pragma once

#include <utility>

#include "model/base/result.h"
#include "reconcilers/nftables/events.h"

namespace lanwright::netfilter {

// Of one thread.
class RuleEvents {
 public:
  // Of the calling thread's network namespace. Fails where the kernel has no nf_tables.
  static Result<RuleEvents> open();
  int fd() const { return events_.fd(); }
  // Takes in what came: whether the chain FORWARD may have lost a rule, or have another policy. True as well
  // when news were lost.
  bool is_to_be_read();

 private:
  explicit RuleEvents(nftables::Events events) : events_(std::move(events)) {}
  nftables::Events events_;
};

}  // namespace lanwright::netfilter
