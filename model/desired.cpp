#include "model/desired.h"

namespace lanwright {

std::string netns_path(const std::string& netns) {
  if (netns.empty() || netns.front() == '/') return netns;
  return "/run/netns/" + netns;
}

}  // namespace lanwright
