// The packets of networks, by libpcap.
#pragma once

#include <filesystem>
#include <memory>

#include "api/rest/capture.h"

namespace lanwright::capture {

// Captures in the network namespace of the calling threads, which has to be the managed one. Needs
// CAP_NET_RAW. Every driver has a line in the table of source.cpp.
// `run_dir` is where the sockets of switches are.
std::unique_ptr<CaptureSource> open_capture_source(const std::filesystem::path& run_dir);

}  // namespace lanwright::capture
