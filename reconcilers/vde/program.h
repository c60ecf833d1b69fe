// What kind of program a switch is: how it is started and asked. Adding one is a file and a line in
// program.cpp. Loop thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/base/result.h"
#include "model/switches.h"
#include "reconcilers/backends/switch_backend.h"
#include "reconcilers/os/process.h"
#include "reconcilers/vde/paths.h"

namespace lanwright::vde {

// A question whether a switch is alive, whose answer nobody waits for.
class PendingProbe {
 public:
  enum class Answer : std::uint8_t { none, alive, ended };
  virtual ~PendingProbe() = default;
  // Does not block. After `alive` or `ended` it is over.
  virtual Answer look() = 0;
  // To the switch; readable when look() has something to do.
  virtual const os::Descriptor& connection() const = 0;
};

// `patience` is for each answer of the switch; ErrorKind::timeout when there is none.
class SwitchProgram {
 public:
  virtual ~SwitchProgram() = default;
  virtual const char* name() const = 0;
  virtual const char* program() const = 0;  // as it is looked for in PATH
  virtual const char* package() const = 0;  // of Debian that has it
  virtual std::uint64_t capabilities() const = 0;
  virtual std::vector<std::string> arguments(const SwitchSpec& spec, const SwitchPaths& paths) const = 0;
  // The running switch, which has answered. It has noticed by then who went before.
  virtual Result<os::Process> probe(const SwitchPaths& paths, std::chrono::milliseconds patience) const = 0;
  virtual Result<std::unique_ptr<PendingProbe>> begin_probe(const SwitchPaths& paths) const = 0;
  virtual Result<std::vector<SwitchPortReport>> ports(const SwitchPaths& paths,
                                                      std::chrono::milliseconds patience) const = 0;
  // By number of the port.
  virtual Result<std::map<std::uint32_t, PortVlans>> vlans(const SwitchPaths& paths,
                                                           std::chrono::milliseconds patience) const = 0;
  // Makes a port that nobody gets who does not name it, in these VLANs only; answers its number. `taken`:
  // numbers of others of ours.
  virtual Result<std::uint32_t> make_port(const SwitchPaths& paths, const std::vector<std::uint32_t>& taken,
                                          const PortVlans& vlans,
                                          std::chrono::milliseconds patience) const = 0;
  virtual Result<void> remove_port(const SwitchPaths& paths, std::uint32_t number,
                                   std::chrono::milliseconds patience) const = 0;
};

// nullptr when there is none of that name.
const SwitchProgram* find_switch_program(const std::string& name);
const SwitchProgram& default_switch_program();

}  // namespace lanwright::vde
