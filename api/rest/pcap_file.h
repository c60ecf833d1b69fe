// The classic pcap format (draft-ietf-opsawg-pcap), in the byte order of this machine, with microseconds and
// Ethernet frames. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "api/rest/capture.h"

namespace lanwright::rest {

inline constexpr const char* kPcapType = "application/vnd.tcpdump.pcap";  // of the IANA registry
inline constexpr std::uint32_t kSnapLength = 262'144;  // bytes of a packet at most; as tcpdump has it

std::string pcap_header();
void append_record(std::string& out, const Packet& packet);

// Takes a stream of pcap apart, in pieces cut anywhere, so that whatever is written of it is whole.
class PcapCutter {
 public:
  // Calls `on_part` with the header, then with each record, when it has come in whole. Stops and answers
  // false when that does, or when it is no pcap: see fault().
  bool feed(std::string_view piece, const std::function<bool(std::string_view part)>& on_part);

  std::uint64_t records() const { return records_; }  // handed over, the refused one included
  const std::string& fault() const { return fault_; }

 private:
  std::size_t size_of_next(std::string_view left);

  std::string rest_;
  std::string fault_;
  bool began_ = false;
  std::uint64_t records_ = 0;
};

}  // namespace lanwright::rest
