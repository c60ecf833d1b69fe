// Where observed facts come from and actions go to: the kernel's links (LinkBackend), switch processes
// (SwitchBackend), Open vSwitch. The reconciler has a list of these and knows none by name. Loop thread only.
#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "model/base/loop_thread.h"
#include "model/base/result.h"
#include "model/observed.h"
#include "model/plan.h"

namespace lanwright {

class Source {
 public:
  virtual ~Source() = default;

  virtual int event_fd() const LANWRIGHT_ON_LOOP = 0;  // readable when drain() has something to do

  // Takes in what happened since. Never blocks for long. On an overrun sets `overrun` and observed.complete
  // to false; the caller then waits for quiet and calls resync().
  virtual ObservedChange drain(Observed& observed) LANWRIGHT_ON_LOOP = 0;

  // Reads everything anew. On failure what was known before stays as it was.
  virtual Result<ObservedChange> resync(Observed& observed) LANWRIGHT_ON_LOOP = 0;

  // Says which drivers have networks, or have left something: a source may rest while none of these is its
  // own, and what it observed is forgotten then.
  virtual Result<void> serve(const std::set<std::string>& /*drivers*/, Observed& /*observed*/)
      LANWRIGHT_ON_LOOP {
    return {};
  }

  // Whether this step is carried out here; each is by exactly one source.
  virtual bool carries_out(const Step& step) const LANWRIGHT_ON_LOOP = 0;

  // Does actions of one stage, in order; answers one result each. Names are resolved against `observed`. May
  // leave some undone so that the loop turns: ErrorKind::busy with number 0.
  virtual std::vector<Result<void>> execute(std::span<const Action* const> actions, Observed& observed)
      LANWRIGHT_ON_LOOP = 0;
};

}  // namespace lanwright
