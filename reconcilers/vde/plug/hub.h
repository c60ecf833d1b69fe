// The plug itself: interfaces on one side, the switch on the other.
//
// In a hub every frame goes to every other port. Ports of the plug get it from the plug, whole, as the kernel
// left it; the switch gets it only while somebody else is plugged in there, in pieces that it can carry. With
// a switch that learns addresses each interface has a port of the switch to itself. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/switches.h"
#include "reconcilers/vde/plug/endpoint.h"
#include "reconcilers/vde/plug/poller.h"
#include "reconcilers/vde/plug/protocol.h"

namespace lanwright::plug {

class Hub {
 public:
  struct Options {
    bool shared = true;   // one port of the switch for all
    std::size_t mtu = 0;  // bytes behind the Ethernet header and one VLAN tag
  };
  // `alone()` says that nobody else is plugged into the switch.
  Hub(Poller& poller, Options options, std::function<bool()> alone);

  std::function<void(const OwnerTag&)> on_gone;  // an interface was removed; its port went with it
  std::function<void()> on_lost;                 // the switch closed a connection

  // Replaces what has the same mark. `to_switch` is its own port of the switch, if it is to have one.
  void add(const PlugFact& plug, std::unique_ptr<Endpoint> endpoint,
           std::unique_ptr<SwitchEndpoint> to_switch);
  void remove(const OwnerTag& mark);
  // The port that all share.
  void connect(std::unique_ptr<SwitchEndpoint> to_switch);
  std::vector<PortLine> list() const;
  SharedLine shared() const;

 private:
  // Frames from one member go to all others.
  struct Segment {
    std::map<OwnerTag, std::unique_ptr<Endpoint>> ports;
    std::unique_ptr<SwitchEndpoint> to_switch;
  };
  using Segments = std::list<Segment>;

  void watch(Segment& segment, const OwnerTag& mark, Endpoint& endpoint);
  void watch_switch(Segment& segment);
  void drop_switch(Segment& segment);
  void on_frames(Segment& segment, const OwnerTag* mark, Endpoint& from);
  void forward(Segment& segment, Endpoint& from, const Frame& frame);
  void to_switch(Segment& segment, Endpoint& from, const Frame& frame);
  bool is_too_long(const Frame& frame) const;

  Poller& poller_;
  const Options options_;
  std::function<bool()> alone_;
  Segments segments_;
  std::map<OwnerTag, std::pair<PlugFact, Segment*>> plugs_;
  Segmenter segmenter_;
  std::unique_ptr<FrameBuffer> buffer_;
};

}  // namespace lanwright::plug
