// The events of an agent as they happen: Server-Sent Events of /v1/events, read here without the product's
// own client.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/integration/agent_process.h"

namespace lanwright::test {

// One thread at a time. Ends with the agent.
class EventStream {
 public:
  // Hears what happens after the construction.
  explicit EventStream(const AgentProcess& agent);

  // The first event since the last pass_over() with an id above `after` that has this type, is about this
  // object ("network lan"; "" = any) and has `text` in its message. Throws with all that came instead when
  // the limit passed or the agent ended first.
  Json expect(const std::string& type, const std::string& object = {}, const std::string& text = {},
              std::uint64_t after = 0, Milliseconds limit = 30s);

  // Forgets what has happened up to now.
  void pass_over();

  // What came since the last pass_over(), as far as it was read.
  const std::vector<Json>& seen() const { return seen_; }

 private:
  bool read_more(std::chrono::steady_clock::time_point deadline);
  void take_lines();
  std::string told() const;

  const AgentProcess& agent_;
  Fd connection_;
  bool head_read_ = false;
  bool chunked_ = false;
  std::string raw_;   // as it came from the socket
  std::string text_;  // the body, without complete lines
  std::uint64_t since_ = 0;
  std::vector<Json> seen_;
};

}  // namespace lanwright::test
