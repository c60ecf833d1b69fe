#include "model/link_names.h"

#include <linux/if.h>  // IFNAMSIZ

#include <cstddef>

namespace lanwright {

std::string temporary_name(const ObjectUid& uid) {
  constexpr std::size_t kDigits = IFNAMSIZ - 1 - 3;
  return "lw!" + uid.substr(0, kDigits);
}

MacAddress temporary_mac(const ObjectUid& uid) {
  MacAddress mac;
  for (std::size_t i = 0; i < uid.size(); ++i) {
    std::uint8_t& byte = mac.bytes[1 + i % (mac.bytes.size() - 1)];
    byte = static_cast<std::uint8_t>(byte * 31U + static_cast<std::uint8_t>(uid[i]));
  }
  mac.bytes[0] = 0x06;  // local, unicast (IEEE 802, 8.4), and not 02:42, as of Docker
  return mac;
}

}  // namespace lanwright
