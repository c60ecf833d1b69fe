#include "model/link_names.h"

#include <linux/if.h>  // IFNAMSIZ

#include <cstddef>

namespace lanwright {

std::string temporary_name(const ObjectUid& uid) {
  constexpr std::size_t kDigits = IFNAMSIZ - 1 - 3;
  return "lw!" + uid.substr(0, kDigits);
}

}  // namespace lanwright
