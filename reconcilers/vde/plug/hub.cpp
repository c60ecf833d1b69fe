#include "reconcilers/vde/plug/hub.h"

#include <linux/if_ether.h>
#include <sys/epoll.h>

#include <utility>

namespace lanwright::plug {
namespace {

constexpr int kFramesInARow = 64;  // of one port, before the others have their turn

// Length on the wire of the longest frame that this one stands for.
std::size_t wire_length(const Frame& frame) {
  const auto& offload = frame.offload;
  if (offload.gso_type == VIRTIO_NET_HDR_GSO_NONE) return frame.bytes.size();
  const std::size_t transport = offload.csum_start;
  constexpr std::size_t kTcpOffset = 12;
  constexpr std::size_t kUdpHeader = 8;
  if (offload.gso_type == kGsoUdpL4) return transport + kUdpHeader + offload.gso_size;
  if (transport + kTcpOffset >= frame.bytes.size()) return frame.bytes.size();
  const std::size_t header = static_cast<std::size_t>(frame.bytes[transport + kTcpOffset] >> 4U) * 4;
  return transport + header + offload.gso_size;
}

bool is_tagged(const Frame& frame) {
  const unsigned type =
      static_cast<unsigned>(frame.bytes[kMacHeader - 2]) << 8U | frame.bytes[kMacHeader - 1];
  return type == ETH_P_8021Q || type == ETH_P_8021AD;
}

}  // namespace

Hub::Hub(Poller& poller, Options options, std::function<bool()> alone)
    : poller_(poller), options_(options), alone_(std::move(alone)), buffer_(std::make_unique<FrameBuffer>()) {
  if (options_.shared) segments_.emplace_back();
}

// Only a tagged frame may be longer by its tag: the switch cuts off what is longer than 1518 bytes, and what
// is left of it must not pass for a whole frame.
bool Hub::is_too_long(const Frame& frame) const {
  const std::size_t tag = is_tagged(frame) ? kVlanTag : 0;
  return wire_length(frame) > options_.mtu + kMacHeader + tag;
}

void Hub::add(const PlugFact& plug, std::unique_ptr<Endpoint> endpoint,
              std::unique_ptr<SwitchEndpoint> to_switch) {
  remove(plug.mark);
  Segment& segment = options_.shared ? segments_.front() : segments_.emplace_back();
  plugs_[plug.mark] = {plug, &segment};
  watch(segment, plug.mark, *endpoint);
  segment.ports[plug.mark] = std::move(endpoint);
  if (!to_switch) return;
  segment.to_switch = std::move(to_switch);
  watch_switch(segment);
}

void Hub::remove(const OwnerTag& mark) {
  const auto found = plugs_.find(mark);
  if (found == plugs_.end()) return;
  Segment& segment = *found->second.second;
  poller_.forget(segment.ports.at(mark)->fd());
  segment.ports.erase(mark);
  plugs_.erase(found);
  if (options_.shared) return;
  drop_switch(segment);
  segments_.remove_if([&](const Segment& each) { return &each == &segment; });
}

void Hub::connect(std::unique_ptr<SwitchEndpoint> to_switch) {
  Segment& segment = segments_.front();
  drop_switch(segment);
  segment.to_switch = std::move(to_switch);
  watch_switch(segment);
}

SharedLine Hub::shared() const {
  SharedLine line;
  line.connected = true;
  for (const Segment& segment : segments_) {
    if (!segment.to_switch) line.connected = false;
    if (segment.to_switch && options_.shared) line.counters = segment.to_switch->counters;
  }
  return line;
}

void Hub::watch(Segment& segment, const OwnerTag& mark, Endpoint& endpoint) {
  poller_.watch(endpoint.fd(), EPOLLIN,
                [this, &segment, mark, &endpoint](std::uint32_t) { on_frames(segment, &mark, endpoint); });
}

void Hub::watch_switch(Segment& segment) {
  SwitchEndpoint& endpoint = *segment.to_switch;
  poller_.watch(endpoint.fd(), EPOLLIN, [this, &segment, &endpoint](std::uint32_t events) {
    if ((events & EPOLLOUT) != 0) {
      endpoint.flush();
      if (!endpoint.wants_to_flush()) poller_.change(endpoint.fd(), EPOLLIN);
    }
    if ((events & EPOLLIN) != 0) on_frames(segment, nullptr, endpoint);
  });
  if (endpoint.control_fd() < 0) return;
  // Nothing is ever said there: that it is readable is the end of the connection.
  poller_.watch(endpoint.control_fd(), EPOLLIN | EPOLLRDHUP, [this, &segment](std::uint32_t) {
    drop_switch(segment);
    if (on_lost) on_lost();
  });
}

void Hub::drop_switch(Segment& segment) {
  if (!segment.to_switch) return;
  poller_.forget(segment.to_switch->fd());
  poller_.forget(segment.to_switch->control_fd());
  segment.to_switch.reset();
}

void Hub::on_frames(Segment& segment, const OwnerTag* mark, Endpoint& from) {
  for (int i = 0; i < kFramesInARow; ++i) {
    Frame frame;
    switch (from.receive(*buffer_, frame)) {
      case Received::frame:
        forward(segment, from, frame);
        break;
      case Received::skip:
        break;
      case Received::nothing:
        return;
      case Received::gone: {
        if (mark == nullptr) return;
        const OwnerTag gone = *mark;
        remove(gone);
        if (on_gone) on_gone(gone);
        return;
      }
    }
  }
}

void Hub::forward(Segment& segment, Endpoint& from, const Frame& frame) {
  if (is_too_long(frame)) {
    ++from.counters.too_long;
    return;
  }
  for (const auto& [mark, port] : segment.ports) {
    if (port.get() != &from) port->send(frame);
  }
  if (segment.to_switch && segment.to_switch.get() != &from && !(options_.shared && alone_()))
    to_switch(segment, from, frame);
}

void Hub::to_switch(Segment& segment, Endpoint& from, const Frame& frame) {
  SwitchEndpoint& endpoint = *segment.to_switch;
  const bool waited = endpoint.wants_to_flush();
  const auto outcome =
      segmenter_.segment(frame.offload, frame.bytes, [&](std::span<const std::uint8_t> bytes) {
        endpoint.send({{}, bytes});
      });
  if (outcome == Outcome::malformed) ++from.counters.dropped;
  if (!waited && endpoint.wants_to_flush()) poller_.change(endpoint.fd(), EPOLLIN | EPOLLOUT);
}

std::vector<PortLine> Hub::list() const {
  std::vector<PortLine> lines;
  for (const auto& [mark, known] : plugs_) {
    const auto& [plug, segment] = known;
    PortLine line{plug, segment->ports.at(mark)->counters};
    line.plug.connected = segment->to_switch != nullptr;
    if (!options_.shared && segment->to_switch) {
      // What got lost on its own port of the switch, got lost for it.
      line.counters.dropped += segment->to_switch->counters.dropped;
      line.counters.too_long += segment->to_switch->counters.too_long;
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace lanwright::plug
