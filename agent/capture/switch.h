// The packets of a network that is carried by a VDE switch, come by as any other program that is plugged in.
#pragma once

#include <memory>
#include <string>

#include "api/rest/capture.h"
#include "reconcilers/vde/paths.h"

namespace lanwright::capture {

// `timeout` when the switch does not answer within some seconds, for which this blocks: not for the loop's
// thread.
Result<std::unique_ptr<Capture>> capture_switch(const vde::SwitchPaths& paths, const std::string& filter);

}  // namespace lanwright::capture
