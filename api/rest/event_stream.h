// Events as Server-Sent Events (HTML Living Standard, 9.2).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "api/http/connection.h"
#include "api/http/response.h"
#include "api/rest/agent_api.h"

namespace lanwright::rest {

std::string frame_of(const Event& event);

// Writes `first`, then every event with an id above `after` as it happens, and a comment whenever nothing was
// written for `heartbeat`. Returns when the client is gone or the server stops.
void stream_events(AgentApi& agent, const http::Connection& connection, const std::vector<Event>& first,
                   std::uint64_t after, std::chrono::milliseconds heartbeat, const http::Write& write);

// Calls `wait` with deadlines so near that the end of the client or of the server is seen in time, until it
// answers true or `deadline` is there. The agent is waited for, and the connection at the same time, but they
// cannot wake the same thread.
bool wait_in_turns(const http::Connection& connection, Deadline deadline,
                   const std::function<bool(Deadline)>& wait);

}  // namespace lanwright::rest
