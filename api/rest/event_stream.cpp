#include "api/rest/event_stream.h"

#include <algorithm>

namespace lanwright::rest {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTurn{250};
constexpr std::size_t kBatch = 256;

std::string word(std::string text) {
  std::erase_if(text, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
  return text;
}

}  // namespace

std::string frame_of(const Event& event) {
  // JSON has no line feeds of its own, so that one line of data is enough.
  return "id: " + std::to_string(event.id) + "\nevent: " + word(event.type) +
         "\ndata: " + http::text_of(to_json(event)) + "\n\n";
}

bool wait_in_turns(const http::Connection& connection, Deadline deadline,
                   const std::function<bool(Deadline)>& wait) {
  for (;;) {
    const Deadline turn = std::min(deadline, steady_clock::now() + kTurn);
    if (wait(turn)) return true;
    // An agent that is stopping answers "no" before the time: do not ask it in a tight loop.
    if (connection.pause_until(turn) || steady_clock::now() >= deadline) return false;
  }
}

void stream_events(AgentApi& agent, const http::Connection& connection, const std::vector<Event>& first,
                   std::uint64_t after, std::chrono::milliseconds heartbeat, const http::Write& write) {
  if (!write("retry: 1000\n\n")) return;
  std::vector<Event> events = first;
  for (;;) {
    std::string frames;
    for (const Event& event : events) {
      frames += frame_of(event);
      after = std::max(after, event.id);
    }
    if (!write(frames.empty() ? ":\n\n" : frames)) return;
    events.clear();
    wait_in_turns(connection, steady_clock::now() + heartbeat, [&](Deadline turn) {
      events = agent.events_after(after, kBatch, turn);
      return !events.empty();
    });
    if (connection.cancelled()) return;
  }
}

}  // namespace lanwright::rest
