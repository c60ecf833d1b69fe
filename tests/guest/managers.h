// The programs of this machine that configure links by themselves, in a sandbox, each with the files that the
// product installs for it: udev and NetworkManager. (systemd-networkd: tests/integration/networkd.h.) For
// guests only: udev hears of all devices of a machine, and NetworkManager writes below /var/lib.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "tests/integration/daemon.h"
#include "tests/integration/sandbox.h"

namespace lanwright::test {

// A daemon of the test's, with its log in the sandbox; killed with the object.
class Manager {
 public:
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;
  std::string log() const { return read_file(log_); }

 protected:
  Manager(const Sandbox& sandbox, const std::string& name, const std::vector<std::string>& arguments);
  ~Manager();
  // Until it does what it is for; throws with the end of its log when it does not within 30 s.
  void wait_until_it(const std::function<bool()>& works) const;

 private:
  std::filesystem::path log_;
  pid_t pid_ = -1;
};

// systemd-udevd with Debian's rules and .link files and the product's. /sys becomes the sandbox's own.
class Udevd : public Manager {
 public:
  // `link_files` are further .link files, text by name. The links that there are become known to it.
  explicit Udevd(const Sandbox& sandbox, const std::map<std::string, std::string>& link_files = {});

  // Until all that the kernel has told of is done.
  static void settle();
  // What it knows of a link: properties by name.
  static std::map<std::string, std::string> properties_of(const std::string& link);
};

// NetworkManager as Debian has it, with the product's file, and the system bus that it needs. It leaves no
// link alone but those that it is told of. Needs Udevd.
class NetworkManager {
 public:
  explicit NetworkManager(const Sandbox& sandbox);

  // A file of /run/NetworkManager/conf.d; reload() has it read.
  static void configure(const std::string& name, const std::string& text);
  static void reload();
  // What nmcli calls the state of a device: "unmanaged", "connecting (getting IP configuration)" ...; "" when
  // it knows nothing of the link.
  static std::string state_of(const std::string& link);
  std::string log() const { return daemon_.log(); }

 private:
  struct Bus : Manager {
    explicit Bus(const Sandbox& sandbox);
  };
  struct Daemon : Manager {
    explicit Daemon(const Sandbox& sandbox);
  };
  Bus bus_;
  Daemon daemon_;
};

}  // namespace lanwright::test
