// `lanwright capture`.
#pragma once

#include <cstdint>
#include <string>

#include "agent/cli/session.h"

namespace lanwright::cli {

struct CaptureOptions {
  std::string network;
  std::string file;         // empty or "-": standard output
  std::string filter;       // pcap-filter(7); empty: all
  std::uint64_t count = 0;  // packets; 0: until it is interrupted
};

// Until SIGINT or SIGTERM, until the reader of standard output is gone, or until `count`; what is written
// then is whole. Answers the exit status.
int capture_packets(Session& session, const CaptureOptions& options);

}  // namespace lanwright::cli
