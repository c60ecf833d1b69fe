// What cannot be among the objects of one set, found without an agent: what the YAML reader, who looks at one
// object and its network at a time, cannot see. Pure; any thread.
#pragma once

#include <vector>

#include "model/base/result.h"
#include "model/desired.h"

namespace lanwright::desired {

// One error for each object that cannot be, naming the other side; the agent says the same when it is asked
// to apply the set, and more, when other sets have their part in it.
std::vector<Error> faults_between(const SetSpec& set);

}  // namespace lanwright::desired
