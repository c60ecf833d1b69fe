// The kernel's news of rules that went away (nf_tables). Source: linux/netfilter/nf_tables.h
#pragma once

#include "model/base/result.h"
#include "reconcilers/os/descriptor.h"

namespace lanwright::netfilter {

// Of one thread.
class RuleEvents {
 public:
  // Of the calling thread's network namespace. Fails where the kernel has no nf_tables.
  static Result<RuleEvents> open();
  int fd() const { return socket_.get(); }
  // Takes in what came: whether the chain FORWARD may have lost a rule, or have another policy. True as well
  // when news were lost.
  bool is_to_be_read() const;

 private:
  explicit RuleEvents(os::Descriptor socket) : socket_(std::move(socket)) {}
  os::Descriptor socket_;
};

}  // namespace lanwright::netfilter
