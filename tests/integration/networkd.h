// systemd-networkd, as it is installed on this machine, in a sandbox.
#pragma once

#include <sys/types.h>

#include <string>

#include "tests/integration/daemon.h"
#include "tests/integration/sandbox.h"

namespace lanwright::test {

// Reads the .network files that the product installs, under their names, and those that the test adds. There
// is no udev in a sandbox: what it would know of each link, by the product's rules, is written down for
// networkd when it starts, so that only links which are there by then are its concern. In the sandbox's own
// namespaces; killed with the object.
class Networkd {
 public:
  // Where a test runs a udev, which made /sys the sandbox's own, networkd asks that.
  enum class Udev { kWrittenDown, kReal };
  explicit Networkd(const Sandbox& sandbox, Udev udev = Udev::kWrittenDown);
  ~Networkd();
  Networkd(const Networkd&) = delete;
  Networkd& operator=(const Networkd&) = delete;

  // A file of /run/systemd/network.
  static void configure(const std::string& name, const std::string& text);

  void start();  // what it is at, state_of() tells
  // What networkctl calls SETUP: "unmanaged", "configuring", "configured"; "" when it knows nothing of the
  // link yet.
  std::string state_of(const std::string& link) const;
  std::string log() const { return read_file(log_); }

 private:
  void tell_of_links() const;

  const Sandbox& sandbox_;
  Udev udev_;
  std::filesystem::path log_;
  pid_t pid_ = -1;
};

// Whether this machine has it.
bool has_networkd();

}  // namespace lanwright::test
