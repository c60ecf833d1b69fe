// What others must know of a driver, as values. The YAML reader: a table of its settings and a check of what
// spans several fields, so that a driver's settings are decoded by the driver that brings them; the reader
// does types, unknown keys and suggestions for all of them. The plugins of Docker: which options it has. A
// capture: where its packets pass.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "model/desired.h"

namespace lanwright {

struct SettingField {
  enum class Type : std::uint8_t { boolean, integer, text, choice, text_list };
  std::string name;
  Type type = Type::boolean;
  std::string help;                                             // one line, for the JSON Schema
  std::int64_t min = std::numeric_limits<std::int64_t>::min();  // integer
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
  std::vector<std::string> choices;  // choice
};

// Told by a check: `path` is relative to the object, e.g. "bridge.vlan_filtering", "uplinks[0]" or "mtu"; the
// reader turns it into file:line:col (of the nearest existing ancestor when the key itself is absent).
using ReportFault = std::function<void(const std::string& path, const std::string& message)>;

// What the attachments of a driver's networks are plugged into.
enum class Wiring : std::uint8_t {
  ports,   // a switch; host interfaces are ports of it too, its `uplinks`
  parent,  // a link of the host, the network's `parent`, that theirs stand on
};

// Where all packets of a network pass.
enum class CapturePoint : std::uint8_t {
  link,     // its own link
  parent,   // its parent, or its own link when it has none
  vswitch,  // the process that carries it
};

// Another name of a setting, by which Docker's users know it.
struct DockerOption {
  using Fault = std::optional<std::string>;  // what is wrong with a value, in the words that its users know
  std::string name;                          // of `docker network create -o`
  std::string setting;                       // what it sets: options that set the same must say the same
  // The setting is a choice or a text, and becomes the value. The choices are told behind a fault.
  Fault (*fault)(const std::string& value) = nullptr;
  // Does all that the option means, which `fault` is not asked about then.
  Fault (*take)(const std::string& value, NetworkSpec& spec) = nullptr;
};

struct DriverSchema {
  std::string name;  // "bridge"; also the YAML key of its settings
  Wiring wiring = Wiring::ports;
  CapturePoint capture = CapturePoint::link;
  std::vector<DockerOption> docker_options;
  std::vector<SettingField> settings;
  // May be empty. Called with a fully decoded network of this driver.
  std::function<void(const std::string& name, const NetworkSpec&, const ReportFault&)> check_network;
  // May be empty. Called with an attachment and the network (of this driver) that it names.
  std::function<void(const std::string& name, const AttachmentSpec&, const NetworkSpec&, const ReportFault&)>
      check_attachment;
};

using Grammar = std::vector<DriverSchema>;  // the drivers that exist, in the order they are told to users

}  // namespace lanwright
