// What the kernel tells about the links, addresses and routes of a network namespace, as it happens: evidence
// for what somebody else did there, and for what nobody did.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/integration/sandbox.h"

namespace lanwright::test {

// One notification of rtnetlink(7).
struct Notice {
  std::uint16_t type = 0;  // RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, ...
  std::uint8_t family = 0;
  int ifindex = 0;   // links and addresses
  std::string name;  // links: IFLA_IFNAME
};

// Listens from its construction. The kernel queues a notification before it answers whoever made the change,
// so what has been done is there when take() is called. One thread at a time.
class LinkWatcher {
 public:
  explicit LinkWatcher(const std::string& netns = "");

  // What came since the last call; does not wait. Throws when the kernel had to drop some.
  std::vector<Notice> take();

  // Takes notices until one fulfils the condition; false when the limit passed first.
  bool wait_for(const std::function<bool(const Notice&)>& condition, Milliseconds limit = 10s);

  // Looks at the condition now and after every notification; false when the limit passed first.
  bool wait_until(const std::function<bool()>& condition, Milliseconds limit = 10s);

 private:
  bool wait_readable(std::chrono::steady_clock::time_point deadline) const;
  Fd socket_;
};

}  // namespace lanwright::test
