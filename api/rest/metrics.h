// The Prometheus text exposition format, version 0.0.4.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "api/rest/agent_api.h"

namespace lanwright::rest {

inline constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

struct HttpCounts {
  std::map<int, std::uint64_t> answers;  // by status
  std::size_t event_streams = 0;         // open now
};

std::string metrics_text(const Snapshot& snapshot, const std::vector<SwitchView>& switches,
                         const HttpCounts& http);

}  // namespace lanwright::rest
