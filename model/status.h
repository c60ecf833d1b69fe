// What the agent says about an object and about what happened.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/base/ids.h"
#include "model/base/result.h"

namespace lanwright {

using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;
std::string rfc3339(WallTime time);  // "2026-11-20T19:46:56.123Z"

enum class Phase : std::uint8_t {
  pending,  // waits for something: `message` says for what
  applying,
  ready,      // verified: its difference is empty
  retrying,   // failed; tried again at `next_try`
  conflict,   // somebody else owns what it wants
  contested,  // somebody else keeps changing it back
  deleting,
};
const char* name_of(Phase phase);  // "Ready"

struct ObjectStatus {
  Phase phase = Phase::pending;
  std::string message;                      // for people: what it waits for, who owns it, what differs
  std::uint64_t observed_generation = 0;    // the generation that was last compared with the kernel
  std::shared_ptr<const Error> last_error;  // the last one, also after it was overcome; rarely there
  std::optional<WallTime> next_try;         // when retrying
  WallTime since{};                         // of the phase
  std::uint32_t repairs = 0;                // times that drift was repaired
  bool orphaned = false;                    // Docker made it, and does not know it any more
};

// Who asked: read from the socket (SO_PEERCRED), never from a header.
struct Peer {
  std::int64_t pid = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  bool operator==(const Peer&) const = default;
};

// What an event may be about; the OpenAPI document lists the same.
inline constexpr std::array<std::string_view, 16> kEventTypes{
    "Applied",  "Deleted",   "DriftSeen", "Repaired", "Ready",    "Removed",  "Failed", "Pending",
    "Conflict", "Contested", "Resync",    "Started",  "Stopping", "Orphaned", "Found",  "Warning"};

// What happened. `type` is one word for machines.
struct Event {
  std::uint64_t id = 0;  // ascending
  WallTime time{};
  std::string type;  // one of kEventTypes
  std::optional<ResourceId> object;
  std::string set;
  std::string message;
  std::optional<Peer> peer;
  bool operator==(const Event&) const = default;
};

}  // namespace lanwright
