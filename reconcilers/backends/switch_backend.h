// Switch processes as the reconciler sees them: beside LinkBackend, a second source of observed state and
// doer of actions. One is implemented over VDE (reconcilers/vde/); tests may use others. Loop thread only.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "model/base/result.h"
#include "model/observed.h"
#include "model/plan.h"
#include "reconcilers/backends/link_backend.h"

namespace lanwright {

// Interfaces that can be plugged into one switch at the same time: two descriptors each, of those that a
// process may have.
inline constexpr std::size_t kMostPlugs = 4096;

// What a switch and its plug count, asked for at this moment.
struct SwitchReport {
  std::string network;
  std::string socket;  // directory that other programs name to join: vde_plug, QEMU
  SwitchFact fact;
  std::vector<SwitchPortReport> ports;
  std::map<OwnerTag, PortCounters> plugs;
  PortCounters shared;  // by the port of the switch that plugs share; received: from the switch
  // The processes answered; otherwise nothing is told of what they count.
  bool answered = true;
};

class SwitchBackend {
 public:
  virtual ~SwitchBackend() = default;

  virtual int event_fd() const = 0;  // readable when drain() has something to do

  // Takes in which processes ended and which interfaces were lost. Never blocks for long.
  virtual ObservedChange drain(Observed& observed) = 0;

  // Looks at everything anew: finds the processes of an earlier agent. Those that do not answer are found
  // out in the course of the next seconds, through event_fd().
  virtual Result<ObservedChange> resync(Observed& observed) = 0;

  // Does the actions in order; answers one result each. What was done is asked for, and stands in `observed`,
  // when this returns. Interfaces are looked up in `observed`. A process that does not answer soon after it
  // was started is not waited for: ErrorKind::waiting, and event_fd() tells what becomes of it.
  virtual std::vector<Result<void>> execute(std::span<const Action* const> actions, Observed& observed) = 0;

  // Waits a fraction of a second, no longer, for one that does not answer.
  virtual std::vector<SwitchReport> report(const Observed& observed) = 0;
};

}  // namespace lanwright
