// The packets of networks, by libpcap.
#pragma once

#include <filesystem>
#include <memory>

#include "api/rest/capture.h"
#include "model/format/grammar.h"

namespace lanwright::capture {

// Captures in the network namespace of the calling threads, which has to be the managed one. Needs
// CAP_NET_RAW. `drivers` say where the packets of their networks pass,
// and must outlive it; `run_dir` is where the sockets of switches are.
std::unique_ptr<CaptureSource> open_capture_source(const std::filesystem::path& run_dir,
                                                   const Grammar& drivers);

}  // namespace lanwright::capture
