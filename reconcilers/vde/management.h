// The management console of a vde_switch, asked one question at a time. Traps of it: one command a write, the
// prompt has no end of line, what the switch tells by itself comes between. See vde_switch(1).
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "model/result.h"
#include "reconcilers/netlink/descriptor.h"

namespace lanwright {

class Management {
 public:
  // Connects and waits for the prompt. `timeout` when the switch does not answer within the time.
  static Result<Management> open(const std::string& socket, std::chrono::milliseconds patience);

  // The data that a command answers. The switch's refusal is an error with its number and words.
  Result<std::string> ask(const std::string& command);

  Descriptor release() && { return std::move(socket_); }

 private:
  Management(Descriptor socket, std::string path, std::chrono::milliseconds patience)
      : socket_(std::move(socket)), path_(std::move(path)), patience_(patience) {}
  Result<std::string> read_until_prompt(const std::string& tried);

  Descriptor socket_;
  std::string path_;
  std::chrono::milliseconds patience_;
};

}  // namespace lanwright
