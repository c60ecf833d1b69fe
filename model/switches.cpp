#include "model/switches.h"

namespace lanwright {

std::string SwitchSpec::settings() const {
  return engine + " hub=" + (hub ? "1" : "0") + " group=" + group + " mode=" + std::to_string(mode) +
         " mtu=" + std::to_string(mtu);
}

}  // namespace lanwright
