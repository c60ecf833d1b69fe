// The management console of a vde_switch, asked one question at a time. Traps of it: one command a write, the
// prompt has no end of line, what the switch tells by itself comes between. See vde_switch(1).
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "model/base/result.h"
#include "reconcilers/os/descriptor.h"
#include "reconcilers/vde/program.h"

namespace lanwright::vde {

// Ends a connection to a console: the switch has closed its end when this returns, unless it does not answer
// within a fraction of a second. Only for one that has just answered. vde_switch (2.3.2+r586) mixes up its
// connections when one ends between the moment it accepts another and the moment it reads that one's request:
// the new port is then noted under somebody else's connection, stays when its client is gone, and the switch
// spins or closes the wrong one once that other connection ends. So what the agent closes is closed before
// anybody of its own joins.
void say_goodbye(const os::Descriptor& console);

// A connection to a console at which nobody waits for the greeting, nor for the switch to close its end.
class PendingGreeting final : public PendingProbe {
 public:
  PendingGreeting(os::Descriptor socket, std::string path)
      : socket_(std::move(socket)), path_(std::move(path)) {}
  Answer look() override;
  const os::Descriptor& connection() const override { return socket_; }

 private:
  os::Descriptor socket_;
  std::string path_;
  std::string text_;
  bool leaving_ = false;
};

class Management {
 public:
  // Connects and waits for the prompt. `timeout` when the switch does not answer within the time.
  static Result<Management> open(const std::string& socket, std::chrono::milliseconds patience);

  // The data that a command answers. The switch's refusal is an error with its number and words.
  Result<std::string> ask(const std::string& command);

  Management(Management&&) = default;
  Management& operator=(Management&&) = delete;
  // Takes its leave, and waits until the switch has closed its end: see say_goodbye(). One that does not
  // answer is not waited for.
  ~Management();

  const os::Descriptor& connection() const { return socket_; }

 private:
  Management(os::Descriptor socket, std::string path, std::chrono::milliseconds patience)
      : socket_(std::move(socket)), path_(std::move(path)), patience_(patience) {}
  Result<std::string> read_until_prompt(const std::string& tried);

  os::Descriptor socket_;
  std::string path_;
  std::chrono::milliseconds patience_;
  bool answers_ = false;  // the last time
};

}  // namespace lanwright::vde
