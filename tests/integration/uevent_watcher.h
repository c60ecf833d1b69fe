// What the kernel tells udev of the links of a network namespace, as it happens.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/integration/sandbox.h"

namespace lanwright::test {

// One message to udev: ACTION=, DEVPATH=, INTERFACE=, IFINDEX=, DEVPATH_OLD= and more.
using Uevent = std::map<std::string, std::string>;

// Listens from its construction. The kernel queues the message before it answers whoever made the change. One
// thread at a time.
class UeventWatcher {
 public:
  explicit UeventWatcher(const std::string& netns = "");

  // Of network links, what came since the last call; does not wait. Throws when the kernel had to drop some.
  std::vector<Uevent> take();

 private:
  Fd socket_;
};

}  // namespace lanwright::test
