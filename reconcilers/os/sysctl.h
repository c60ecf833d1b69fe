// Settings that the kernel has of an interface, below /proc/sys/net. See sysctl(8) and the kernel's
// Documentation/networking/ip-sysctl.rst.
#pragma once

#include <string>

#include "model/desired.h"

namespace lanwright::os {

// Of an interface of the network namespace that the calling thread stands in. Answers 0, or errno: ENOENT
// when the kernel, or this interface, has no such setting, EINVAL when it does not take the value. It is
// done where /proc/sys is mounted read-only too, as container runtimes have it.
int set_sysctl(const std::string& interface, const Sysctl& sysctl);

// The same the other way round: its value, without the end of the line. Answers 0, or errno.
int get_sysctl(const std::string& interface, Sysctl& sysctl);

}  // namespace lanwright::os
