// The kernel's links as the reconciler sees them: a source of observed state and a doer of actions. One is
// implemented over netlink (reconcilers/netlink/); tests may use others. Switch processes and databases come
// as further sources beside it. Loop thread only.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "model/base/result.h"
#include "model/observed.h"
#include "model/plan.h"

namespace lanwright {

// What moved since the last look. Only says where to look again.
struct ObservedChange {
  std::set<LinkName> links;          // changed, appeared or went (under each name it had)
  std::set<ObjectUid> uids;          // of the marks that those links carried
  std::set<std::string> namespaces;  // appeared, went, or were read anew
  std::set<std::string> switches;    // networks in whose place somebody came or went
  bool full_resync = false;          // a full re-read happened
  bool overrun = false;              // the socket overran: the source is stale until resync()
  std::size_t messages = 0;
  bool empty() const { return links.empty() && namespaces.empty() && !full_resync && !overrun; }
};

class LinkBackend {
 public:
  virtual ~LinkBackend() = default;

  virtual int event_fd() const = 0;  // readable when drain() has something to do

  // Applies all events that are waiting. Never blocks. On an overrun sets `overrun` and observed.complete
  // to false; the caller then waits for quiet and calls resync().
  virtual ObservedChange drain(Observed& observed) = 0;

  // Reads everything anew (the managed namespace and every watched one). On failure observed.complete stays
  // false and what was known before stays as it was.
  virtual Result<ObservedChange> resync(Observed& observed) = 0;

  // Says which namespaces matter, as paths; "" is implied. Newly named ones are read now when they exist;
  // ones that are no longer named are forgotten. A path that is no network namespace is observed as absent.
  virtual ObservedChange watch(const std::set<std::string>& paths, Observed& observed) = 0;

  // Looks again whether this watched path names another namespace than before; reads it if so.
  virtual ObservedChange recheck(const std::string& path, Observed& observed) = 0;

  // Does the actions of one stage, pipelined, in order; answers one result each. Names are resolved against
  // `observed`. Removals are looked at again, then done together by link group, in pieces that hold the
  // kernel's link lock for at most ~0.3 s; may return after some (`ErrorKind::busy` for the rest) so that the
  // loop turns.
  virtual std::vector<Result<void>> execute(std::span<const Action* const> actions,
                                            const Observed& observed) = 0;

  // Changing messages sent so far (not dumps): the proof that nothing was written.
  virtual std::uint64_t writes() const = 0;
};

}  // namespace lanwright
