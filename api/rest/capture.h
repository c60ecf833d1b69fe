// What the REST server needs to capture the packets of a network. The agent implements it (agent/); a test
// may too. Nothing here says where packets come from: a link of the kernel, or a switch process that frames
// are read from.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/rest/agent_api.h"
#include "model/base/result.h"

namespace lanwright {

// An Ethernet frame.
struct Packet {
  std::chrono::sys_time<std::chrono::microseconds> time;
  std::uint32_t length = 0;  // bytes that it had; `bytes` may be fewer
  std::string_view bytes;    // until the next call of next()
};

// One that is going on. One thread at a time. The destructor ends it and leaves nothing behind.
class Capture {
 public:
  virtual ~Capture() = default;

  // Becomes readable when next() may have a packet.
  virtual int descriptor() const = 0;
  // The next packet that passes the filter, nothing when there is none now; does not wait. After an error
  // nothing more comes: what the packets came from is gone.
  virtual Result<std::optional<Packet>> next() = 0;
};

class CaptureSource {
 public:
  virtual ~CaptureSource() = default;

  // Begins a capture of all packets of the network, each once, that pass the filter (pcap-filter(7); empty:
  // all). Any thread. A wrong filter is ErrorKind::invalid, a network that is not there now
  // ErrorKind::waiting.
  virtual Result<std::unique_ptr<Capture>> open(const Description& network, const std::string& filter) = 0;
};

}  // namespace lanwright
