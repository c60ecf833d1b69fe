// What is measured: an agent in a sandbox, driven as its users drive it. Every call verifies what came of it
// and throws HarnessError when that is not what was asked for; times are seconds of wall clock.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "tests/bench/plant.h"
#include "tests/integration/agent_process.h"

namespace lanwright::bench {

double seconds_of(const std::function<void()>& action);
void must(const test::Finished& result, const std::string& what);  // throws with the program's words

class Subject {
 public:
  explicit Subject(const test::Sandbox& sandbox);

  // From fork to READY=1. State is kept over kill() and start().
  double start();
  void kill() { process_->kill(); }
  void stop() { process_->stop(); }

  // `lanwright apply --wait`, from fork to exit.
  double apply(const Plant& plant) const;
  // The two requests that apply makes: the agent without its client.
  double post(const Plant& plant) const;
  // `lanwright delete set --wait` of everything.
  double remove() const;
  void wait_converged() const;

  std::uint64_t writes() const { return process_->metric("netlink_writes_total"); }
  pid_t pid() const { return process_->pid(); }

 private:
  test::Finished client(const std::vector<std::string>& arguments) const;

  const test::Sandbox& sandbox_;
  std::unique_ptr<test::AgentProcess> process_;
};

}  // namespace lanwright::bench
