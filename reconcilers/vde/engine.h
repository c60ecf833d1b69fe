// What kind of program a switch is: how it is started and asked. Adding one is a file and a line in
// engine.cpp. Loop thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/result.h"
#include "model/switches.h"
#include "reconcilers/processes/process.h"
#include "reconcilers/switch_port.h"
#include "reconcilers/vde/places.h"

namespace lanwright {

// A question whether a switch is alive, whose answer nobody waits for.
class PendingProbe {
 public:
  enum class Answer : std::uint8_t { none, alive, ended };
  virtual ~PendingProbe() = default;
  // Does not block. After `alive` or `ended` it is over.
  virtual Answer look() = 0;
};

class SwitchEngine {
 public:
  virtual ~SwitchEngine() = default;
  virtual const char* name() const = 0;
  virtual const char* program() const = 0;  // as it is looked for in PATH
  virtual const char* package() const = 0;  // of Debian that has it
  virtual std::uint64_t capabilities() const = 0;
  virtual std::vector<std::string> arguments(const SwitchSpec& spec, const SwitchPlaces& places) const = 0;
  // The running switch, which has answered. It has noticed by then who went before.
  virtual Result<Process> probe(const SwitchPlaces& places, std::chrono::milliseconds patience) const = 0;
  virtual Result<std::unique_ptr<PendingProbe>> begin_probe(const SwitchPlaces& places) const = 0;
  virtual Result<std::vector<SwitchPortReport>> ports(const SwitchPlaces& places,
                                                      std::chrono::milliseconds patience) const = 0;
  // By number of the port.
  virtual Result<std::map<std::uint32_t, PortVlans>> vlans(const SwitchPlaces& places) const = 0;
  // Makes a port that nobody gets who does not name it, in these VLANs only; answers its number. `taken`:
  // numbers of others of ours.
  virtual Result<std::uint32_t> make_port(const SwitchPlaces& places, const std::vector<std::uint32_t>& taken,
                                          const PortVlans& vlans) const = 0;
  virtual Result<void> remove_port(const SwitchPlaces& places, std::uint32_t number) const = 0;
};

// nullptr when there is none of that name.
const SwitchEngine* find_engine(const std::string& name);
const SwitchEngine& default_engine();

}  // namespace lanwright
