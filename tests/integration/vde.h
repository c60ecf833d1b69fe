// VDE switches of an agent, and other programs that join them.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/integration/agent_process.h"
#include "tests/integration/frames.h"

namespace lanwright::test {

struct SwitchProcesses {
  pid_t pid = 0;  // 0: it does not run
  pid_t plug = 0;
  bool connected = false;
  std::filesystem::path socket;  // directory to join at
  bool operator==(const SwitchProcesses&) const = default;
  bool run() const { return pid != 0 && plug != 0 && connected; }
};

// The switch of a network, as the agent tells.
SwitchProcesses switch_of(const AgentProcess& agent, const std::string& network);

// It is there, and not as one that ended and was not buried.
bool is_alive(pid_t pid);

// vde_plug(1), as somebody else runs it: a program that has joined the switch. What it says is read at once,
// so that it never waits for the test.
class VdeClient : public FramePort {
 public:
  // `under` is a command that becomes vde_plug, such as setpriv with its options.
  explicit VdeClient(const std::filesystem::path& socket, std::vector<std::string> under = {});
  ~VdeClient() override;

  void send(const std::string& frame) override;
  std::optional<std::string> receive(Milliseconds limit) override;
  void kill();  // SIGKILL, and waits: what it made in the directory stays there

 private:
  void read_all();

  pid_t pid_ = -1;
  Fd stream_;
  std::mutex mutex_;
  std::condition_variable news_;
  std::deque<std::string> frames_;
  bool ended_ = false;
  std::jthread reader_;
};

// vde_switch(1), as somebody else runs it at a place of his choice.
class ForeignSwitch {
 public:
  // Returns when it listens.
  explicit ForeignSwitch(const std::filesystem::path& directory);
  ~ForeignSwitch();
  ForeignSwitch(const ForeignSwitch&) = delete;
  ForeignSwitch& operator=(const ForeignSwitch&) = delete;
  pid_t pid() const { return pid_; }
  void end(int signal);  // and waits

 private:
  pid_t pid_ = -1;
  Fd in_;  // it ends when nobody can say anything to it any more
};

}  // namespace lanwright::test
