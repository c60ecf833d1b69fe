// What a network interface leaves to whoever receives its frames. See ethtool(8), "--offload".
#pragma once

#include <string>

namespace lanwright::os {

// From now on frames that are sent through this interface of the current network namespace have their
// checksums, and are cut to size. Answers an errno, 0 for success. Any thread.
int send_whole_checksums(const std::string& interface);

}  // namespace lanwright::os
