// Switch processes as a source of observed state. One is implemented over VDE (reconcilers/vde/); tests may
// use others. Loop thread only.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model/base/loop_thread.h"
#include "model/observed.h"
#include "reconcilers/backends/source.h"

namespace lanwright {

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

// See Source. On resync() the processes of an earlier agent are found; those that do not answer are found out
// in the course of the next seconds, through event_fd(). What execute() did is asked for, and stands in
// `observed`, when it returns. A process that does not answer soon after it was started is not waited for:
// ErrorKind::waiting, and event_fd() says what becomes of it.
class SwitchBackend : public Source {
 public:
  bool carries_out(const Step& step) const override LANWRIGHT_ON_LOOP {
    return carrier_of(step) == Carrier::switches;
  }

  // Waits a fraction of a second for all together that do not answer, and not at all for those that did not
  // answer before.
  virtual std::vector<SwitchReport> report(const Observed& observed) LANWRIGHT_ON_LOOP = 0;
};

}  // namespace lanwright
