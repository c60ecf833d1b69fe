// The kernel's links as a source of observed state. One is implemented over netlink (reconcilers/netlink/);
// tests may use others. Loop thread only.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "model/base/loop_thread.h"
#include "model/observed.h"
#include "reconcilers/backends/source.h"

namespace lanwright {

class LinkBackend : public Source {
 public:
  // Says which namespaces matter, as paths; "" is implied. Newly named ones are read now when they exist;
  // ones that are no longer named are forgotten. A path that is no network namespace is observed as absent.
  virtual ObservedChange watch(const std::set<std::string>& paths, Observed& observed) LANWRIGHT_ON_LOOP = 0;

  // Looks again whether this watched path names another namespace than before; reads it if so.
  virtual ObservedChange recheck(const std::string& path, Observed& observed) LANWRIGHT_ON_LOOP = 0;

  // Tells the neighbours of this link which addresses it has, as is done for those that execute() adds: what
  // somebody else has set up. Sent once, not waited for.
  virtual void announce(const LinkName& link, const Observed& observed) LANWRIGHT_ON_LOOP = 0;

  // Changing messages sent so far (not dumps): the proof that nothing was written.
  virtual std::uint64_t writes() const LANWRIGHT_ON_LOOP = 0;

  // See Source. An overrun or a failed dump makes `observed` incomplete until a whole resync() succeeds. The
  // actions of one batch are pipelined. Removals are looked at again, then done together by link group, in
  // pieces that hold the kernel's link lock for at most ~0.3 s.
  bool carries_out(const Step& step) const override LANWRIGHT_ON_LOOP {
    return carrier_of(step) == Carrier::links;
  }
};

}  // namespace lanwright
