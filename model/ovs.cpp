#include "model/ovs.h"

namespace lanwright {

const std::string* OvsFacts::bridge_of(const std::string& port) const {
  for (const auto& [name, bridge] : bridges) {
    if (bridge.ports.contains(port)) return &name;
  }
  return nullptr;
}

}  // namespace lanwright
