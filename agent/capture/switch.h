// The packets of a network that is carried by a VDE switch, come by as any other program that is plugged in.
#pragma once

#include <pcap/pcap.h>

#include <memory>
#include <string>

#include "api/rest/capture.h"
#include "reconcilers/vde/paths.h"

namespace lanwright::capture {

// A filter that was compiled by libpcap.
struct FilterProgram {
  bpf_program code{};
  FilterProgram() = default;
  ~FilterProgram() { pcap_freecode(&code); }
  FilterProgram(const FilterProgram&) = delete;
  FilterProgram& operator=(const FilterProgram&) = delete;
};

// `timeout` when the switch does not answer within some seconds, for which this blocks: not for the loop's
// thread.
Result<std::unique_ptr<Capture>> capture_switch(const vde::SwitchPaths& paths, const std::string& filter);

}  // namespace lanwright::capture
