// What frames come from and go to: a tap, the wire of an interface, or a port of the switch. Each owns its
// descriptor. One thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "model/switches.h"
#include "reconcilers/os/descriptor.h"
#include "reconcilers/vde/plug/frame.h"
#include "reconcilers/vde/plug/offload.h"

struct vdeconn;

namespace lanwright::plug {

enum class Received : std::uint8_t { frame, nothing, skip, gone };

class Endpoint {
 public:
  Endpoint() = default;
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;
  virtual ~Endpoint() = default;

  virtual int fd() const = 0;
  // The next frame, in `buffer`. Never blocks. `gone`: there is nothing behind it any more.
  virtual Received receive(FrameBuffer& buffer, Frame& frame) = 0;
  // Takes frames whose checksums and segmentation are unfinished.
  virtual bool finishes_frames() const = 0;
  // Never blocks: what is not taken at once is dropped and counted, or kept until flush().
  virtual void send(const Frame& frame) = 0;
  virtual bool wants_to_flush() const { return false; }
  virtual void flush() {}

  PortCounters counters;
};

// A tap whose device file was opened with IFF_VNET_HDR (Documentation/networking/tuntap.rst).
class TapEndpoint final : public Endpoint {
 public:
  explicit TapEndpoint(os::Descriptor device) : device_(std::move(device)) {}
  int fd() const override { return device_.get(); }
  Received receive(FrameBuffer& buffer, Frame& frame) override;
  bool finishes_frames() const override { return true; }
  void send(const Frame& frame) override;

 private:
  os::Descriptor device_;
};

// A packet socket with PACKET_VNET_HDR and PACKET_AUXDATA, bound to one interface (packet(7)).
class PacketEndpoint final : public Endpoint {
 public:
  explicit PacketEndpoint(os::Descriptor socket) : socket_(std::move(socket)) {}
  int fd() const override { return socket_.get(); }
  Received receive(FrameBuffer& buffer, Frame& frame) override;
  bool finishes_frames() const override { return true; }
  void send(const Frame& frame) override;

 private:
  bool is_removed() const;

  os::Descriptor socket_;
};

// A port of the switch.
class SwitchEndpoint final : public Endpoint {
 public:
  // Connects; may block for long, and is to be called on a thread of its own. `port` 0: any. Answers nullptr
  // and says why in `words`.
  static std::unique_ptr<SwitchEndpoint> open(const std::string& directory, int port, const std::string& name,
                                              std::string& words);
  ~SwitchEndpoint() override;
  int fd() const override;
  int control_fd() const;  // readable: the switch has gone
  bool has_ended() const;
  Received receive(FrameBuffer& buffer, Frame& frame) override;
  bool finishes_frames() const override { return false; }
  void send(const Frame& frame) override;
  bool wants_to_flush() const override { return !waiting_.empty(); }
  void flush() override;

 private:
  explicit SwitchEndpoint(vdeconn* connection) : connection_(connection) {}
  bool send_now(std::span<const std::uint8_t> bytes);

  vdeconn* connection_;
  // The switch takes ten frames at a time, and one write of a TCP sender is cut into 45: the rest waits.
  std::deque<std::vector<std::uint8_t>> waiting_;
};

}  // namespace lanwright::plug
