// What the kernel refused, as an Error that says what to do.
#pragma once

#include <string>

#include "model/base/result.h"
#include "model/plan.h"
#include "reconcilers/netlink/request.h"

namespace lanwright::netlink {

Error action_error(const Action& action, const Reply& reply);
Error action_error(const Action& action, ErrorKind kind, std::string words, std::string hint = {});

}  // namespace lanwright::netlink
