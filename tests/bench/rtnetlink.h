// Just enough rtnetlink(7) to watch links, to change one, and to be the bare program that repairs a bridge.
// Errors are thrown as HarnessError with the kernel's errno.
#pragma once

#include <linux/rtnetlink.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/integration/sandbox.h"

namespace lanwright::bench {

using Clock = std::chrono::steady_clock;

// One RTM_NEWLINK or RTM_DELLINK request, put together attribute by attribute.
class LinkRequest {
 public:
  LinkRequest(std::uint16_t type, std::uint16_t flags, int ifindex, bool up = false);

  LinkRequest& put(std::uint16_t attribute, std::string_view bytes);
  LinkRequest& put_text(std::uint16_t attribute, const std::string& text);  // with its final zero
  template <class Integer>
  LinkRequest& put_number(std::uint16_t attribute, Integer value) {
    return put(attribute, {reinterpret_cast<const char*>(&value), sizeof value});
  }
  std::size_t begin(std::uint16_t attribute);  // of a nest
  void end(std::size_t nest);

  const std::vector<char>& bytes() const { return bytes_; }

 private:
  std::vector<char> bytes_;
};

// What the kernel tells of one link.
struct LinkEvent {
  bool removed = false;
  int ifindex = 0;
  int master = 0;  // ifindex, 0 = none
  std::string name;
};

// A socket in the calling thread's namespace. One thread at a time.
class RouteSocket {
 public:
  enum class Hear { answers, links };
  explicit RouteSocket(Hear what);

  int fd() const { return socket_.get(); }
  void send(const std::vector<char>& requests) const;  // one message to the kernel, however many requests
  void change(const LinkRequest& request);             // waits for the kernel's acknowledgement
  // Events that are there, in order; none when there are none. Throws when the kernel had to drop some, or
  // answers a request with an error.
  std::vector<LinkEvent> take();
  bool wait(Clock::time_point deadline) const;

 private:
  test::Fd socket_;
};

// The floor of a repair: a thread that waits for the deletion of one of its bridges and makes it again, with
// its ports, by the fewest messages: one creation with a chosen ifindex and one change for each port, in one
// send.
class BareRepairer {
 public:
  using Bridges = std::map<std::string, std::vector<int>>;  // ports by name of the bridge
  explicit BareRepairer(Bridges bridges);
  ~BareRepairer();
  BareRepairer(const BareRepairer&) = delete;
  BareRepairer& operator=(const BareRepairer&) = delete;

 private:
  void run(const std::stop_token& stop);
  void repair(const std::string& name, const std::vector<int>& ports);

  Bridges bridges_;
  RouteSocket socket_{RouteSocket::Hear::links};
  test::Fd wake_;
  int next_ifindex_ = 1 << 24;  // far above what the kernel gives by itself
  std::jthread thread_;
};

// Another user of the host: changes the MTU of a link of its own over and over, and notes how long each
// change takes while somebody else holds the kernel's link lock.
class Bystander {
 public:
  Bystander();   // makes its link
  ~Bystander();  // removes it
  Bystander(const Bystander&) = delete;
  Bystander& operator=(const Bystander&) = delete;

  double stop();  // seconds that the longest change took

 private:
  void run(const std::stop_token& stop);

  RouteSocket socket_{RouteSocket::Hear::answers};
  int ifindex_ = 0;
  double longest_ = 0;
  std::jthread thread_;
};

// The kernel goes on removing a namespace's links long after its last process, with the link lock held: waits
// until changes of a link are quick for a while, so that nobody else's end is measured. Gives up after two
// minutes.
void wait_for_quiet_kernel();

int ifindex_of(const std::string& name);  // in the calling thread's namespace

}  // namespace lanwright::bench
