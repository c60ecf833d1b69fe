// Work that takes long, for somebody who may go before it is done.
#pragma once

#include <functional>

namespace lanwright {

// Whether nobody waits for the result any more: asked between steps that take milliseconds at most, on the
// thread that does the work. Once true it stays so, and what is worked out then is given up. Empty: somebody
// always waits.
using Abandoned = std::function<bool()>;

inline bool nobody_waits(const Abandoned& abandoned) {
  return abandoned && abandoned();
}

}  // namespace lanwright
