// Telling udev, and those who ask it, that a link is another than it was: the kernel makes an event of a new
// or renamed link, and none of one whose group changes. Source: Documentation/ABI/testing/sysfs-uevent.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "reconcilers/os/descriptor.h"

namespace lanwright::os {

struct NetDevice {
  std::string name;  // as it is called now
  int ifindex = 0;
};

// Has the kernel announce each of these links of `netns` as changed, which makes udev apply its rules anew.
// Answers an errno each, 0 when done; ENODEV when no link of that name has that ifindex any more. sysfs is
// that of `netns`, however /sys is mounted. Needs CAP_SYS_ADMIN.
std::vector<int> announce_changed(const Descriptor& netns, std::span<const NetDevice> devices);

}  // namespace lanwright::os
