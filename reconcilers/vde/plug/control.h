// The agent's side door into a running plug: see protocol.h for what is said. One thread, but for connecting
// to the switch, which may block and is done on another.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <thread>

#include "reconcilers/vde/plug/hub.h"
#include "reconcilers/vde/plug/switch_watch.h"

namespace lanwright::plug {

class Control {
 public:
  // `listener` is a listening stream socket. `directory` is the switch's.
  Control(Poller& poller, Hub& hub, SwitchWatch& watch, os::Descriptor listener, std::string directory);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

 private:
  // A command that waits for a connection to the switch.
  struct Connecting {
    std::thread thread;
    std::unique_ptr<SwitchEndpoint> made;
    std::string words;
    std::unique_ptr<Endpoint> endpoint;  // of the port that it is for, otherwise the shared one
    PlugFact plug;
  };

  static bool is_answered_at_once(const std::string& line);
  void accept_agent();
  void drop_agent();
  void on_readable();
  void carry_out();
  void obey(const std::string& line);
  void add(const std::string& line);
  void list();
  void watch();
  void begin_connecting(int port);
  void on_connected();
  void say(const std::string& line);

  Poller& poller_;
  Hub& hub_;
  SwitchWatch& watch_;
  os::Descriptor listener_;
  const std::string directory_;
  os::Descriptor agent_;
  std::string text_;
  std::deque<os::Descriptor> descriptors_;  // that came with commands
  os::Descriptor done_;                     // written when a connection was made, or was not
  std::unique_ptr<Connecting> connecting_;
  bool awaited_ = false;  // the agent that asked for this connection is still there
};

}  // namespace lanwright::plug
