// A port of a running switch that only listens, as any other program has that joins. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "model/base/result.h"
#include "reconcilers/os/descriptor.h"
#include "reconcilers/vde/paths.h"

namespace lanwright::plug {
class SwitchEndpoint;
class FrameBuffer;
}  // namespace lanwright::plug

namespace lanwright::vde {

class Listener {
 public:
  // `name` is what the switch lists the port under. Blocks for some seconds at most when the switch does not
  // answer (`timeout`); `waiting` when there is none.
  static Result<std::unique_ptr<Listener>> open(const SwitchPaths& paths, const std::string& name);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener();

  int descriptor() const { return events_.get(); }  // readable: a frame, or the end of the switch
  // The next frame, valid until the next call; empty when there is none now. Never blocks.
  std::optional<std::span<const std::uint8_t>> next();
  bool has_ended() const;  // the switch

 private:
  Listener(std::unique_ptr<plug::SwitchEndpoint> port, os::Descriptor events);

  std::unique_ptr<plug::SwitchEndpoint> port_;
  os::Descriptor events_;  // epoll
  std::unique_ptr<plug::FrameBuffer> buffer_;
};

}  // namespace lanwright::vde
