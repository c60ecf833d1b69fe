// Where systemd has the processes that outlive the agent: in lanwright-switches.scope, a unit of their own.
//
// Among those of the agent's service they would be what an earlier agent left over: systemd warns of each of
// them at every start and stop, and limits and measures both together. A scope ends with the last process in
// it; at shutdown it is stopped after the agent.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "model/base/loop_thread.h"
#include "model/base/result.h"
#include "reconcilers/os/timer.h"

namespace lanwright::host {

class SystemBus;

// Loop thread only; nothing here waits. Where the agent is no service of systemd's, or cannot talk to it,
// processes stay where they are: the log says why, once.
class SwitchScope {
 public:
  explicit SwitchScope(boost::asio::io_context& io);
  ~SwitchScope();
  SwitchScope(const SwitchScope&) = delete;
  SwitchScope& operator=(const SwitchScope&) = delete;

  // Has systemd move a process that is in the agent's own service; it is asked again until it has, or until
  // the process has ended. One that somebody moved elsewhere stays there.
  void take(pid_t pid) LANWRIGHT_ON_LOOP;

 private:
  void ask() LANWRIGHT_ON_LOOP;
  void attach() LANWRIGHT_ON_LOOP;
  void asked() LANWRIGHT_ON_LOOP;
  void failed(const Error& error) LANWRIGHT_ON_LOOP;
  void hang_up() LANWRIGHT_ON_LOOP;
  void forget_those_moved();
  bool is_ours(pid_t pid) const;
  std::vector<std::uint32_t> pids() const;

  boost::asio::io_context& io_;
  std::string unit_;     // the agent's own; empty when it has none
  std::string slice_;    // that it is in
  std::string why_not_;  // not said yet
  std::set<pid_t> waiting_;
  std::shared_ptr<SystemBus> bus_;  // while systemd is being asked
  os::Timer ask_timer_;
  os::Timer patience_;
  std::chrono::milliseconds pause_;
  bool has_asked_ = false;  // for all that wait
  unsigned failures_ = 0;   // since all had been moved
};

}  // namespace lanwright::host
