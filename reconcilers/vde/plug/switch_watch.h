// Watches a vde_switch through its management socket: whether anybody else is plugged into it, and that it
// never runs out of ports (with all of them taken, whoever plugs in next hangs for ever).
#pragma once

#include <cstddef>
#include <deque>
#include <string>

#include "reconcilers/os/descriptor.h"
#include "reconcilers/vde/plug/poller.h"

namespace lanwright::plug {

class SwitchWatch {
 public:
  // `own_pid` marks endpoints that are ours.
  SwitchWatch(Poller& poller, std::string management_socket, int own_pid);
  ~SwitchWatch();
  SwitchWatch(const SwitchWatch&) = delete;
  SwitchWatch& operator=(const SwitchWatch&) = delete;

  // To a switch that was started anew. Empty, or why it cannot be watched.
  std::string connect();
  bool connected() const { return static_cast<bool>(socket_); }
  // Somebody else may be plugged in: true as long as it is not known.
  bool others() const { return others_; }

 private:
  void on_readable();
  void disconnect();
  void ask(std::string command);
  void take_line(const std::string& line);
  void answered();

  Poller& poller_;
  const std::string path_;
  const std::string own_;
  os::Descriptor socket_;
  std::string text_;                  // not a whole line yet
  std::deque<std::string> commands_;  // one at a time: the switch takes one a write
  bool busy_ = true;                  // until its prompt shows
  bool changed_ = false;              // ports came or went since they were counted
  bool counting_ = false;
  bool others_ = true;
  std::size_t endpoints_ = 0;
  std::size_t strangers_ = 0;
  std::size_t room_ = 0;
};

}  // namespace lanwright::plug
