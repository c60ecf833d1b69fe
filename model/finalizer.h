// What an object left its traces on, and is cleared of before the object is forgotten, whatever is declared
// by then. It is stored before the trace is left.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace lanwright {

struct Finalizer {
  enum class Kind : std::uint8_t {
    port,   // a link of the managed namespace that is not ours, and was made a port of ours: by its name
    netns,  // a namespace where the object had links, looked at until none is left: by its path
    ovs,    // a bridge of Open vSwitch, which may not be there to ask when the object goes: by its name
  };
  Kind kind = Kind::port;
  std::string name;

  static Finalizer port(std::string interface) { return {Kind::port, std::move(interface)}; }
  static Finalizer netns(std::string path) { return {Kind::netns, std::move(path)}; }

  static Finalizer ovs(std::string bridge) { return {Kind::ovs, std::move(bridge)}; }

  // "eth0", "netns:/run/netns/r1", "ovs:br0": no link's name has a colon (dev_valid_name() in
  // net/core/dev.c).
  std::string text() const {
    return std::string(kind == Kind::netns ? kNetns : kind == Kind::ovs ? kOvs : "") + name;
  }
  static Finalizer parse(const std::string& text) {
    if (text.starts_with(kNetns)) return netns(text.substr(kNetns.size()));
    if (text.starts_with(kOvs)) return ovs(text.substr(kOvs.size()));
    return port(text);
  }

  auto operator<=>(const Finalizer&) const = default;
  bool operator==(const Finalizer&) const = default;

 private:
  static constexpr std::string_view kNetns = "netns:";
  static constexpr std::string_view kOvs = "ovs:";
};

}  // namespace lanwright
