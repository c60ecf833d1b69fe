// Which packets of a capture are wanted, as people write it: pcap-filter(7). Any thread but the loop's.
#pragma once

#include <pcap/pcap.h>

#include <memory>
#include <string>

#include "model/base/result.h"

namespace lanwright::capture {

// A filter that was compiled by libpcap.
struct FilterProgram {
  bpf_program code{};
  FilterProgram() = default;
  ~FilterProgram() { pcap_freecode(&code); }
  FilterProgram(const FilterProgram&) = delete;
  FilterProgram& operator=(const FilterProgram&) = delete;
};

// For packets of this handle, which come from `place`. `invalid` for what libpcap does not understand, for
// more than 1 KiB (which it compiles within 0.3 s; four times of that take 20 s), and for names of hosts and
// networks: libpcap would ask the resolver for them, and so the DNS, as root, for as long as that takes.
// Services and protocols may be named behind `port`, `portrange`, `proto` and `protochain`: these are in
// files.
Result<std::unique_ptr<FilterProgram>> compile_filter(pcap_t* handle, const std::string& place,
                                                      const std::string& filter);

}  // namespace lanwright::capture
