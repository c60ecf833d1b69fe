#include "model/link_names.h"

#include <linux/if.h>  // IFNAMSIZ

#include <algorithm>

namespace lanwright {

namespace {

std::string name_from(const std::string& prefix, const ObjectUid& uid) {
  return prefix + uid.substr(0, IFNAMSIZ - 1 - prefix.size());
}

}  // namespace

std::string temporary_name(const ObjectUid& uid) {
  return name_from("lw-=", uid);
}

std::vector<std::string> temporary_names(const ObjectUid& uid) {
  return {temporary_name(uid), name_from("lw!", uid)};
}

bool is_temporary_name(const std::string& name, const ObjectUid& uid) {
  const auto names = temporary_names(uid);
  return std::find(names.begin(), names.end(), name) != names.end();
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
