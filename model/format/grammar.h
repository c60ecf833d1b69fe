// What the YAML reader must know of a driver, so that a driver's settings are decoded by the driver that
// brings them: a table of its settings and a check of what spans several fields. The reader does types,
// unknown keys and suggestions for all of them.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
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

struct DriverSchema {
  std::string name;  // "bridge"; also the YAML key of its settings
  std::vector<SettingField> settings;
  // May be empty. Called with a fully decoded network of this driver.
  std::function<void(const std::string& name, const NetworkSpec&, const ReportFault&)> check_network;
  // May be empty. Called with an attachment and the network (of this driver) that it names.
  std::function<void(const std::string& name, const AttachmentSpec&, const NetworkSpec&, const ReportFault&)>
      check_attachment;
};

using Grammar = std::vector<DriverSchema>;  // the drivers that exist, in the order they are told to users

}  // namespace lanwright
