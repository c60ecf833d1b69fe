// LANs to be measured side by side: those of driver vde, and what else carries frames between two namespaces.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/bench/flow.h"
#include "tests/integration/agent_process.h"

namespace lanwright::bench {

// A program that lives as long as this object: it ends when its input does, and is killed if not.
class Companion {
 public:
  explicit Companion(const std::vector<std::string>& arguments);
  ~Companion();
  Companion(Companion&& other) noexcept
      : input_(std::move(other.input_)), pid_(std::exchange(other.pid_, -1)) {}
  Companion& operator=(Companion&&) = delete;
  Companion(const Companion&) = delete;
  Companion& operator=(const Companion&) = delete;

 private:
  test::Fd input_;
  pid_t pid_ = -1;
};

// One agent in a sandbox, and what was declared to it. Its switches outlive the agent: they are taken away at
// the end.
class VdeHost {
 public:
  explicit VdeHost(const test::Sandbox& sandbox);
  ~VdeHost();
  VdeHost(const VdeHost&) = delete;
  VdeHost& operator=(const VdeHost&) = delete;

  void declare(const std::string& networks, const std::string& attachments) const;  // YAML below these words
  void remove() const;
  void wait_converged() const;

  struct Processes {
    pid_t of_switch = 0;
    pid_t of_plug = 0;
    std::string socket;  // directory to join
  };
  Processes processes_of(const std::string& network) const;
  // Returns when another program is plugged into the switch.
  void await_stranger(const std::string& network) const;

 private:
  test::AgentProcess agent_;
};

// The namespaces h0, h1, ... of a sandbox with IPv6 off: nobody speaks who is not asked to.
void add_silent_namespaces(const test::Sandbox& sandbox, std::size_t count);

// Two taps of a vde_switch, in h<first> and h<first + 1>, with addresses; and the switch.
Companion native_switch(const test::Sandbox& sandbox, const std::vector<std::string>& options,
                        std::size_t first);
// The same with a Linux bridge and two veths.
void kernel_bridge(const test::Sandbox& sandbox, std::size_t first);

Ends ends_of(std::size_t first);
std::string address_of_namespace(std::size_t index);  // "10.78.0.1"

}  // namespace lanwright::bench
